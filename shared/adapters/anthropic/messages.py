"""Claude, answering at once: one streamed request per ask, and every way it can end (TIR-08, faults 26 to 28).

Bounds of one request: 2 s to connect, the attempt's deadline for all of it, 1 MB. Retry policy: none, here or in the
SDK; another try is another attempt under a reservation of its own (BUD-03). Decided: answers are streamed, because a
connection that is silent for a minute is what networks in between cut, and a cut costs the whole reservation.

What happened before anything was sent costs nothing; what was sent and has no end may have been answered and costs
its bound, also when the stream had already said how many tokens the prompt has.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from shared.adapters.anthropic.access import ADDRESS, ApiKey, ReadKey, require_address
from shared.adapters.anthropic.answers import Garbled, Message, reply_of
from shared.adapters.anthropic.asking import request_for
from shared.adapters.anthropic.failures import refusal_of
from shared.domain.errors import HearthwatchError, InvalidValue, TryAgain
from shared.domain.questions import Attempt, Billed, Ending, Reply
from shared.ports.clock import Clock

if TYPE_CHECKING:
    from shared.adapters.anthropic.sdk import Streamed
    from shared.adapters.anthropic.wire import Wire

LEAST_SECONDS: Final = 1.0
"""With less left nothing is sent: no model answers in it, and the reservation would be lost."""
LONGEST_SECONDS: Final = 300.0
"""However far away a deadline is; 4,096 tokens take about a minute."""
MOST_BYTES: Final = 1_000_000
"""A stream of 4,096 tokens takes about 300 KB with its frames."""
_TOO_LATE: Final = Reply(ending=Ending.TIMED_OUT, billed=Billed.NOTHING, detail="too little time was left to ask")


class ClaudeModel:
    """Asks Claude's Messages API. `url` is another address, for a double of Claude on this machine."""

    def __init__(self, read_key: ReadKey, clock: Clock, *, url: str = ADDRESS) -> None:
        self._key = ApiKey(read_key, clock)
        self._clock = clock
        self._url = require_address(url)

    def ask(self, attempt: Attempt) -> Reply:
        began = monotonic()
        until = began + min((attempt.deadline - self._clock.now()).total_seconds(), LONGEST_SECONDS)
        try:
            body = request_for(attempt)
        except InvalidValue as problem:
            return Reply(ending=Ending.REJECTED, billed=Billed.NOTHING, detail=f"not sent: {problem}"[:300])
        if until - began < LEAST_SECONDS:
            return _TOO_LATE
        try:
            key = self._key.now()
        except HearthwatchError as problem:
            ending = Ending.UNREACHABLE if isinstance(problem, TryAgain) else Ending.REJECTED
            return Reply(ending=ending, billed=Billed.NOTHING, detail=f"no key to ask with: {problem}")
        reply = self._ask(attempt, key, body, until)
        return replace(reply, latency=timedelta(seconds=monotonic() - began))

    def _ask(self, attempt: Attempt, key: str, body: Mapping[str, Any], until: float) -> Reply:
        from shared.adapters.anthropic import sdk
        from shared.adapters.anthropic.wire import Wire

        if until - monotonic() < LEAST_SECONDS:
            return _TOO_LATE
        wire = Wire(until=until, most_bytes=MOST_BYTES)
        try:
            with sdk.streamed(self._url, key, wire, body) as answer:
                return _read(answer, attempt)
        except sdk.BadStatus as bad:
            if bad.status == 401:
                self._key.refuse(key)
            private = (key, attempt.question.system, attempt.question.user)
            return refusal_of(bad.status, bad.headers, bad.body, private=private)
        except (sdk.Broken, Garbled) as problem:
            return _unfinished(wire, problem)


def _read(answer: Streamed, attempt: Attempt) -> Reply:
    """Follow a stream to its end. Raises Garbled for one that has none, and what reading it raises."""
    if not answer.headers.get("content-type", "").startswith("text/event-stream"):
        return Reply(ending=Ending.SERVER_ERROR, billed=Billed.UNKNOWN, detail="an answer that is no stream")
    message = Message()
    for name, data in answer.events:
        if name in (None, "ping") or not data:
            continue
        if message.take(_parsed(data)):
            return reply_of(message, attempt.model, answer.headers.get("request-id", ""))
    raise Garbled("the stream ended before the message did")


def _parsed(data: str) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Garbled("an event that is no JSON") from None


def _unfinished(wire: Wire, problem: Exception) -> Reply:
    if not wire.sent:
        return Reply(ending=Ending.UNREACHABLE, billed=Billed.NOTHING, detail=f"no connection: {problem}")
    if wire.flooded:
        detail = f"the answer is larger than {wire.most_bytes} bytes"
        return Reply(ending=Ending.BROKEN_OFF, billed=Billed.UNKNOWN, detail=detail)
    if wire.expired:
        return Reply(ending=Ending.TIMED_OUT, billed=Billed.UNKNOWN, detail="no whole answer by the deadline")
    return Reply(ending=Ending.BROKEN_OFF, billed=Billed.UNKNOWN, detail=f"the answer broke off: {problem}")
