"""The one module that imports the SDK, and is itself imported by the first call that is sent.

Found in the source of the pinned anthropic 2.11: by default it repeats a request twice, waits ten minutes, follows
redirects, honours proxies of the environment, and looks for keys, profiles and tokens in the environment and in files.
It is given a key, an address and a connection of ours, which turns all of that off. At the level DEBUG it logs whole
requests; it is kept from that.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import anthropic
import httpcore2
import httpx2

from shared.adapters.anthropic.wire import CONNECT_SECONDS, BoundedTransport, Wire


class BadStatus(Exception):
    """Claude, or something before it, answered with an error; `body` is read as JSON where it is that."""

    def __init__(self, status: int, headers: Mapping[str, str], body: object) -> None:
        super().__init__(str(status))
        self.status = status
        self.headers = headers
        self.body = body


class Broken(Exception):
    """No whole answer came; named after the error, whose text may hold what was sent."""


class Streamed(NamedTuple):
    """An answer that has begun: its headers, and its events as (name, data)."""

    headers: Mapping[str, str]
    events: Iterator[tuple[str | None, str]]


@contextmanager
def streamed(url: str, key: str, wire: Wire, body: Mapping[str, Any]) -> Iterator[Streamed]:
    """Send a request for a message and give its stream while it comes. Raises BadStatus or Broken."""
    with (
        _client(url, key, wire) as client,
        _failures(),
        client.messages.with_streaming_response.create(**body, stream=True) as answer,
    ):
        received = anthropic.Stream.raw_events(answer.http_response)
        yield Streamed(answer.headers, ((event.event, event.data) for event in received))


def hand_in(url: str, key: str, wire: Wire, requests: list[Any]) -> str:
    """Hand in a batch and give its name, empty when the answer has none. Raises BadStatus or Broken."""
    with _client(url, key, wire) as client, _failures():
        taken = client.messages.batches.with_raw_response.create(requests=requests)
        return str(_field(taken.http_response, "id"))


def batch_status(url: str, key: str, wire: Wire, batch: str) -> str:
    """Give how far a batch is, in Claude's word. Raises BadStatus or Broken."""
    with _client(url, key, wire) as client, _failures():
        found = client.messages.batches.with_raw_response.retrieve(batch)
        return str(_field(found.http_response, "processing_status"))


def batch_lines(url: str, key: str, wire: Wire, batch: str) -> list[str]:
    """Give the results of a batch, one JSON text each. Raises BadStatus or Broken.

    They are read at the address they always have, not at the one the batch names: the key goes nowhere else.
    """
    with _client(url, key, wire) as client, _failures():
        found = client.get(f"/v1/messages/batches/{batch}/results", cast_to=httpx2.Response)
        return found.content.decode("utf-8").split("\n")


@contextmanager
def _client(url: str, key: str, wire: Wire) -> Iterator[anthropic.Anthropic]:
    logging.getLogger("anthropic").setLevel(logging.WARNING)
    seconds = httpx2.Timeout(max(0.001, wire.until - wire.began), connect=CONNECT_SECONDS)
    http = httpx2.Client(
        transport=BoundedTransport(wire, _trusted()), timeout=seconds, trust_env=False, follow_redirects=False
    )
    with anthropic.Anthropic(
        api_key=key,
        base_url=url,
        http_client=http,
        timeout=seconds,
        max_retries=0,
        open_telemetry=False,
        default_headers={"Accept-Encoding": "identity"},
    ) as client:
        yield client


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except anthropic.APIStatusError as problem:
        raise BadStatus(problem.status_code, problem.response.headers, problem.body) from None
    except (anthropic.APIError, httpx2.HTTPError, httpx2.StreamError, UnicodeError) as problem:
        raise Broken(type(problem).__name__) from None


def _field(response: httpx2.Response, name: str) -> object:
    try:
        body = response.json()
    except ValueError:
        return ""
    return body.get(name, "") if isinstance(body, Mapping) else ""


@cache
def _trusted() -> ssl.SSLContext:
    """Read the trusted authorities once: it takes 20 ms."""
    return httpcore2.default_ssl_context()
