"""What Claude's errors mean: what is billed, and whether another try makes sense (fault 26).

Decided: an answer that is not in Claude's form came from something in between, which may have passed the request on,
so what it cost is unknown, whatever its status. A limit on spending is told apart from a limit on speed by its code,
or by having no time to come back at; it closes the day.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final

from shared.adapters.anthropic.answers import error_type
from shared.domain.questions import Billed, Ending, Reply
from shared.domain.text import clean

LONGEST_PAUSE: Final = timedelta(days=1)
_SHOWN: Final = 160
_QUOTED: Final = 12
"""Letters in a row that an error may share with what is kept from it."""
_SPENDING: Final = re.compile(
    r"spend_limit|spend limit|billing|credit balance|api usage limits", re.ASCII | re.IGNORECASE
)


def refusal_of(status: int, headers: Mapping[str, str], body: object, *, private: Iterable[str]) -> Reply:
    """Read an answer that is an error; nothing `private` is quoted, whatever the provider repeats of it."""
    error = body.get("error") if isinstance(body, Mapping) else None
    if not isinstance(error, Mapping):
        return Reply(
            ending=Ending.SERVER_ERROR,
            billed=Billed.UNKNOWN,
            detail=f"{status}, not in Claude's words",
            request_id=_request_id(headers),
        )
    wait = _wait(headers) if status == 429 else None
    ending, billed = _meaning(status, error, wait)
    return Reply(
        ending=ending,
        billed=billed,
        retry_after=wait,
        detail=f"{status} {error_type(error)}{_message(error, private)}",
        request_id=_request_id(headers),
    )


def refusal_in_batch(error: object) -> Reply:
    """Read why one request of a batch was not answered; such a one is not billed."""
    inner = error.get("error") if isinstance(error, Mapping) else None
    name = error_type(inner)
    spent = isinstance(inner, Mapping) and _about_spending(inner, None)
    ending = Ending.SPEND_LIMIT if spent else _IN_BATCH.get(name, Ending.SERVER_ERROR)
    return Reply(ending=ending, billed=Billed.NOTHING, detail=f"errored: {name}")


def _meaning(status: int, error: Mapping[str, object], wait: timedelta | None) -> tuple[Ending, Billed]:
    if status in (400, 402, 403, 429) and (status == 402 or _about_spending(error, wait)):
        return Ending.SPEND_LIMIT, Billed.NOTHING
    if status == 429:
        return Ending.THROTTLED, Billed.NOTHING
    if status == 529:
        return Ending.OVERLOADED, Billed.NOTHING
    if status in (408, 499) or not 400 <= status < 500:
        return Ending.SERVER_ERROR, Billed.UNKNOWN
    return Ending.REJECTED, Billed.NOTHING


def _about_spending(error: Mapping[str, object], wait: timedelta | None) -> bool:
    """Go by Claude's code; by its words only where it gives neither a code nor a time to come back at."""
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, Mapping) else None
    if isinstance(code, str):
        return bool(_SPENDING.search(code))
    if error.get("type") == "billing_error":
        return True
    return wait is None and bool(_SPENDING.search(str(error.get("message"))[:1000]))


def _message(error: Mapping[str, object], private: Iterable[str]) -> str:
    message = error.get("message")
    if not isinstance(message, str) or not message:
        return ""
    shown = clean(message, _SHOWN)
    return f": {shown}" if not _quotes(shown, private) else ": (it repeats what we sent)"


def _quotes(message: str, private: Iterable[str]) -> bool:
    pieces = {message[start : start + _QUOTED] for start in range(len(message) - _QUOTED + 1)}
    return any(piece in text for text in private for piece in pieces)


def _wait(headers: Mapping[str, str]) -> timedelta | None:
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    if math.isnan(seconds) or seconds < 0:
        return None
    return timedelta(seconds=min(seconds, LONGEST_PAUSE.total_seconds()))


def _request_id(headers: Mapping[str, str]) -> str:
    return clean(headers.get("request-id", ""), 100)


_IN_BATCH: Final[Mapping[str, Ending]] = {
    "invalid_request_error": Ending.REJECTED,
    "authentication_error": Ending.REJECTED,
    "permission_error": Ending.REJECTED,
    "not_found_error": Ending.REJECTED,
    "rate_limit_error": Ending.THROTTLED,
    "overloaded_error": Ending.OVERLOADED,
}
