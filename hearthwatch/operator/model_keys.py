"""Ask a provider of models what it offers: free, and it shows whether a key is taken."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

import httpx
from pydantic import SecretStr

from shared.adapters.chat_apis import deepseek, gemini
from shared.bootstrap.models import DEEPSEEK, GEMINI, KEYS
from shared.domain.errors import Refused, Unavailable
from shared.domain.providers import ANTHROPIC
from shared.settings import SourceSettings

CLAUDE_URL: Final = "https://api.anthropic.com"
TIMEOUT: Final = httpx.Timeout(10.0, connect=3.0)
REPLY_SECONDS: Final = 10.0
LARGEST_BODY: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Free:
    """How a provider lists its models: where, with which headers, and the names in the answer."""

    title: str
    url: Callable[[SourceSettings], str]
    path: str
    headers: Callable[[str], Mapping[str, str]]
    listed: str
    name: str


_FREE: Final[Mapping[str, _Free]] = {
    ANTHROPIC: _Free(
        title="Claude",
        url=lambda sources: sources.anthropic_url or CLAUDE_URL,
        path="/v1/models?limit=1000",
        headers=lambda key: {"x-api-key": key, "anthropic-version": "2023-06-01"},
        listed="data",
        name="id",
    ),
    DEEPSEEK: _Free(
        title="DeepSeek",
        url=lambda sources: sources.deepseek_url or deepseek.BASE_URL,
        path="/models",
        headers=lambda key: {"Authorization": f"Bearer {key}"},
        listed="data",
        name="id",
    ),
    GEMINI: _Free(
        title="Gemini",
        url=lambda sources: sources.gemini_url or gemini.BASE_URL,
        path="/v1beta/models?pageSize=1000",
        headers=lambda key: {"x-goog-api-key": key},
        listed="models",
        name="name",
    ),
}


def provider_of(secret: str) -> str:
    """Name the provider that a secret opens."""
    return next(provider for provider, name in KEYS.items() if name == secret)


def models_offered(provider: str, key: SecretStr, sources: SourceSettings) -> list[str]:
    """List what a provider offers to a key, at no cost; one request, no retry, ten seconds in all.

    Raises Refused when the key is not taken, Unavailable when there is no answer that can be read.
    """
    free = _FREE[provider]
    status, body = _get(free, key, sources)
    if status in (400, 401, 403):
        raise Refused(f"{free.title} does not take this key (HTTP {status})")
    if status != 200:
        raise Unavailable(f"{free.title} answered {status}")
    try:
        return [str(each[free.name]).removeprefix("models/") for each in json.loads(body)[free.listed]]
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise Unavailable(f"{free.title}'s answer cannot be read: something in between answered") from problem


def _get(free: _Free, key: SecretStr, sources: SourceSettings) -> tuple[int, bytes]:
    url = f"{free.url(sources).rstrip('/')}{free.path}"
    until, body = monotonic() + REPLY_SECONDS, bytearray()
    try:
        with (
            httpx.Client(trust_env=not url.startswith("http://")) as client,
            client.stream(
                "GET", url, headers=free.headers(key.get_secret_value()), timeout=TIMEOUT, follow_redirects=False
            ) as response,
        ):
            for piece in response.iter_bytes():
                body += piece
                if len(body) > LARGEST_BODY or monotonic() > until:
                    raise Unavailable(f"{free.title}'s answer is too large or too slow")
            return response.status_code, bytes(body)
    except httpx.HTTPError as problem:
        # the cause is left out: its request holds the key
        raise Unavailable(f"no answer from {free.title}: {type(problem).__name__}") from None
