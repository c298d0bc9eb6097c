"""One request to a model over HTTP: one deadline for all of it, one bound on its size, and never a second try.

Decided: what certainly never reached the provider costs nothing; whatever broke off after the request had left may
have been answered and paid for, so its price is unknown. The deadline is kept by waiting in another thread, because a
provider that sends a blank line now and then, as DeepSeek does while it is busy, outlasts every timeout of a socket.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, Final, NamedTuple, NoReturn

import httpx

from shared.domain.errors import HearthwatchError, TryAgain
from shared.domain.model_prices import ModelId, Usage
from shared.domain.questions import Attempt, Billed, Ending, Reply
from shared.domain.text import clean
from shared.ports.clock import Clock

CONNECT_SECONDS: Final = 2.0
LEAST_SECONDS: Final = 1.0
"""With less left nothing is sent: no model answers in it, and the reservation would be lost."""
LONGEST_SECONDS: Final = 300.0
"""However far away a deadline is."""
LARGEST_BODY: Final = 1024 * 1024
"""An answer of 4,096 tokens takes some 20 KB."""
LONGEST_WORDS: Final = 200
LONGEST_PAUSE: Final = timedelta(hours=1)
_QUOTED: Final = 12
"""Letters in a row that a refusal may share with what is kept from it."""
_KEY: Final = re.compile(r"[!-~]{1,500}", re.ASCII)

ReadKey = Callable[[bool], str]
"""Gives the API key; with True it reads the secret anew."""


class Got(NamedTuple):
    """A reply as it came: its status, its headers, and its body as an object, empty for anything else."""

    status: int
    headers: httpx.Headers
    body: Mapping[str, Any]


class NoReply(Exception):
    """Nothing that could be read came back; `reply` says how that ended and what is billed."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.detail)
        self.reply = reply


class Sender:
    """Posts JSON to one provider; a key that was refused is read anew before the next request."""

    def __init__(
        self, client: httpx.Client, clock: Clock, read_key: ReadKey, headers: Callable[[str], Mapping[str, str]]
    ) -> None:
        self._client = client
        self._clock = clock
        self._read_key = read_key
        self._headers = headers
        self._refused = False

    def ask(self, url: str, body: Mapping[str, Any], attempt: Attempt, read: Callable[[Got], Reply]) -> Reply:
        """Post once and read the reply; every failure is a reply too, and `latency` is on each."""
        began = monotonic()
        try:
            key = self._key()
            reply = read(self._post(url, key, body, attempt.deadline))
            private = (key, attempt.question.system, attempt.question.user)
            reply = replace(_compared(reply, attempt.model), detail=_unquoted(reply.detail, private))
        except NoReply as none:
            reply = none.reply
        return replace(reply, latency=timedelta(seconds=monotonic() - began))

    def _key(self) -> str:
        try:
            key = self._read_key(self._refused).strip()
        except HearthwatchError as problem:
            ending = Ending.UNREACHABLE if isinstance(problem, TryAgain) else Ending.REJECTED
            raise _none(ending, Billed.NOTHING, f"no key to ask with: {problem}") from problem
        if not _KEY.fullmatch(key):
            raise _none(Ending.REJECTED, Billed.NOTHING, "the stored API key is not one")
        return key

    def _post(self, url: str, key: str, body: Mapping[str, Any], deadline: datetime) -> Got:
        left = min((deadline - self._clock.now()).total_seconds(), LONGEST_SECONDS)
        if left < LEAST_SECONDS:
            raise _none(Ending.TIMED_OUT, Billed.NOTHING, "too little time was left to ask")
        got = _within(left, lambda: _exchange(self._client, url, self._headers(key), body, left))
        self._refused = got.status in (401, 403)
        return got


def refusal(got: Got, *, spent: bool, too_long: str) -> Reply:
    """Give the reply for an answer that is none, by its status and the provider's own object `error`.

    `spent` says that the account's money is at its end; a refusal whose words hold `too_long` is about the prompt. What
    is not in the provider's form came from something in between, which may have passed the request on.
    """
    error = got.body.get("error")
    if got.status == 200 or not isinstance(error, Mapping):
        broken = got.status == 200
        ending = Ending.BROKEN_OFF if broken else Ending.SERVER_ERROR
        return Reply(ending=ending, billed=Billed.UNKNOWN, detail=f"HTTP {got.status}, not in the provider's words")
    words = said(error.get("message"))
    detail = f"HTTP {got.status}: {words}" if words else f"HTTP {got.status}"
    if spent:
        return Reply(ending=Ending.SPEND_LIMIT, billed=Billed.NOTHING, detail=detail)
    if got.status == 429:
        pause = retry_after(got.headers)
        return Reply(ending=Ending.THROTTLED, billed=Billed.NOTHING, detail=detail, retry_after=pause)
    if got.status in (408, 499) or not 400 <= got.status < 500:
        return Reply(ending=Ending.SERVER_ERROR, billed=Billed.UNKNOWN, detail=detail)
    ending = Ending.CONTEXT_EXCEEDED if got.status == 400 and too_long in words else Ending.REJECTED
    return Reply(ending=ending, billed=Billed.NOTHING, detail=detail)


def answered(
    ending: Ending, text: str, usage: Usage | None, *, why: object, request_id: object, model: object
) -> Reply:
    """Give the reply for an answer that was read; without usable counts nobody knows what it costs.

    Only one JSON object is an answer; `why` is the provider's word for how it ended.
    """
    if ending is Ending.COMPLETE:
        ending = Ending.EMPTY if not text.strip() else ending if is_one_object(text) else Ending.UNREADABLE
    return Reply(
        ending=ending,
        billed=Billed.UNKNOWN if usage is None else Billed.BY_USAGE,
        text=text.encode("utf-8", "replace").decode(),
        usage=usage,
        detail="" if ending is Ending.COMPLETE else said(why),
        request_id=said(request_id),
        model=said(model),
    )


def unreadable(usage: Usage | None) -> Reply:
    """Give the reply for an answer of another form; what it counted is paid all the same."""
    billed = Billed.UNKNOWN if usage is None else Billed.BY_USAGE
    return Reply(ending=Ending.UNREADABLE, billed=billed, usage=usage, detail="the answer has another form")


def is_one_object(text: str) -> bool:
    """Say whether a text is exactly one JSON object, with no name twice and no number that JSON does not know."""
    try:
        read = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return False
    return isinstance(read, dict)


def retry_after(headers: httpx.Headers) -> timedelta | None:
    """Read how many seconds the provider wants quiet, an hour at most."""
    text = headers.get("Retry-After", "")
    if not text.isascii() or not text.isdecimal():
        return None
    return min(timedelta(seconds=int(text[:9])), LONGEST_PAUSE)


def said(words: object) -> str:
    """Clean a provider's words for a record; anything but text is nothing."""
    return clean(words, LONGEST_WORDS) if isinstance(words, str) else ""


def tokens(counts: Mapping[str, Any], name: str) -> int:
    """Read a count; one that is not given is zero. Raises ValueError for anything but a count."""
    value = counts.get(name, 0)
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} is {value!r}")
    return value


def _compared(reply: Reply, asked: ModelId) -> Reply:
    """Doubt the cost of an answer that another model wrote; a dated form of the name is the same model."""
    if not reply.model or reply.model == asked or reply.model.startswith(f"{asked}-"):
        return reply
    return replace(reply, billed=Billed.UNKNOWN, detail=f"{reply.model} answered; {reply.detail}".strip("; "))


def _unquoted(detail: str, private: Iterable[str]) -> str:
    pieces = {detail[start : start + _QUOTED] for start in range(len(detail) - _QUOTED + 1)}
    quotes = any(piece in text for text in private for piece in pieces)
    return "(it repeats what we sent)" if quotes else detail


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name twice")
    return found


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(text)
    return number


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


def _within(seconds: float, work: Callable[[], Got]) -> Got:
    """Wait for some work until a time is over; what is late then ends by itself and is left alone."""
    results: SimpleQueue[Got | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            results.put(work())
        except BaseException as problem:  # noqa: BLE001 - it is raised again where somebody waits for it
            results.put(problem)

    Thread(target=run, daemon=True, name="model request").start()
    try:
        result = results.get(timeout=seconds)
    except Empty:
        raise _none(Ending.TIMED_OUT, Billed.UNKNOWN, "no whole answer came in time") from None
    if isinstance(result, BaseException):
        raise result
    return result


def _exchange(
    client: httpx.Client, url: str, headers: Mapping[str, str], body: Mapping[str, Any], seconds: float
) -> Got:
    timeout = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
    until = monotonic() + seconds
    content = bytearray()
    try:
        with client.stream(
            "POST", url, json=body, headers=headers, timeout=timeout, follow_redirects=False
        ) as response:
            for piece in response.iter_bytes():
                content += piece
                if len(content) > LARGEST_BODY:
                    raise _none(Ending.BROKEN_OFF, Billed.UNKNOWN, f"the answer is larger than {LARGEST_BODY} bytes")
                if monotonic() > until:
                    raise _none(Ending.TIMED_OUT, Billed.UNKNOWN, "no whole answer came in time")
    except _NEVER_SENT as problem:
        raise _none(Ending.UNREACHABLE, Billed.NOTHING, _named(problem)) from None
    except httpx.TimeoutException as problem:
        raise _none(Ending.TIMED_OUT, Billed.UNKNOWN, _named(problem)) from None
    except httpx.HTTPError as problem:
        raise _none(Ending.BROKEN_OFF, Billed.UNKNOWN, _named(problem)) from None
    return _got(response, bytes(content))


_NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


def _got(response: httpx.Response, content: bytes) -> Got:
    try:
        read = json.loads(content)
    except (ValueError, RecursionError):
        read = None
    return Got(response.status_code, response.headers, read if isinstance(read, dict) else {})


def _named(problem: Exception) -> str:
    """Name a failure without its words, which may quote a header."""
    return type(problem).__name__


def _none(ending: Ending, billed: Billed, detail: str) -> NoReply:
    return NoReply(Reply(ending=ending, billed=billed, detail=detail))
