"""Lists that Alpaca sends in pages, read to their end.

alpaca-py reads pages by itself, without any bound on their number, and stops without a word at a limit of items given
to it; so the pages are asked for here, each a request of its own. A list that does not end counts as no answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from alpaca.common.rest import RESTClient

from shared.domain.errors import Unavailable

MOST_PAGES: Final = 30
"""A longer list than this was not what we asked for."""


def pages(client: RESTClient, path: str, query: Mapping[str, str | int]) -> Iterator[Mapping[str, Any]]:
    """Ask for page after page; raises Unavailable when there are too many, and whatever the client raises."""
    token: str | None = None
    for _ in range(MOST_PAGES):
        asked = {**query, "page_token": token} if token else dict(query)
        page = client.get(path, asked)
        if not isinstance(page, dict):
            raise TypeError(f"a JSON object expected, got {type(page).__name__}")
        yield page
        token = page.get("next_page_token")
        if not token:
            return
    raise Unavailable(f"{path}: more than {MOST_PAGES} pages")
