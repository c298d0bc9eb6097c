"""Claude, answering later at half the price: message batches (BUD-10).

Bounds: 2 s to connect, 30 s to hand a batch in, 60 s and 64 MB to read its results. Retry policy: a batch is handed in
once, because Claude honours no key for it and a second one would be paid for too; reading is tried twice, a second
apart, within its 60 s. A refusal to show results is no answer about them either: it is tried again later.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final, TypeVar

from shared.adapters.anthropic.access import ADDRESS, ApiKey, ReadKey, require_address
from shared.adapters.anthropic.answers import Garbled, Message, reply_of
from shared.adapters.anthropic.asking import request_for
from shared.adapters.anthropic.failures import refusal_in_batch, refusal_of
from shared.domain.budget import ReservationId
from shared.domain.errors import InvalidValue, OutcomeUnknown, Refused, Stop, Throttled, TryAgain, Unavailable
from shared.domain.model_prices import ModelId
from shared.domain.questions import Attempt, Billed, Ending, Reply
from shared.ports.clock import Clock

if TYPE_CHECKING:
    from shared.adapters.anthropic.wire import Wire

SUBMIT_SECONDS: Final = 30.0
RESULTS_SECONDS: Final = 60.0
MOST_BYTES: Final = 64_000_000
PAUSE_SECONDS: Final = 1.0
MOST_REQUESTS: Final = 1_000
"""Claude takes 100,000; ours are far fewer, and their answers must fit the bound above."""
_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
_BATCH: Final = re.compile(r"[a-zA-Z0-9_-]{1,100}", re.ASCII)
_UNTOLD: Final = Reply(
    ending=Ending.BROKEN_OFF, billed=Billed.UNKNOWN, detail="the batch ended without an answer that can be read"
)
_NEVER_RUN: Final[Mapping[str, Reply]] = {
    "canceled": Reply(ending=Ending.BROKEN_OFF, billed=Billed.NOTHING, detail="canceled before it was asked"),
    "expired": Reply(ending=Ending.TIMED_OUT, billed=Billed.NOTHING, detail="the batch expired before it was asked"),
}

_Read = TypeVar("_Read")


class ClaudeBatches:
    """Hands in batches and reads their results. `url` is another address, for a double of Claude on this machine."""

    def __init__(
        self, read_key: ReadKey, clock: Clock, *, url: str = ADDRESS, pause: Callable[[float], None] = sleep
    ) -> None:
        self._key = ApiKey(read_key, clock)
        self._url = require_address(url)
        self._pause = pause

    def submit(self, attempts: Mapping[ReservationId, Attempt]) -> str:
        requests = [{"custom_id": _own(name), "params": request_for(attempt)} for name, attempt in attempts.items()]
        if not 1 <= len(requests) <= MOST_REQUESTS:
            raise InvalidValue("batch.requests", len(requests), f"1 to {MOST_REQUESTS}")
        private = [text for attempt in attempts.values() for text in (attempt.question.system, attempt.question.user)]
        key = self._key_to_submit()
        from shared.adapters.anthropic import sdk

        wire = _wire(SUBMIT_SECONDS)
        try:
            batch = sdk.hand_in(self._url, key, wire, requests)
        except sdk.BadStatus as bad:
            raise self._refused(bad, key, private) from None
        except sdk.Broken as problem:
            if wire.sent:
                raise OutcomeUnknown(f"Claude may have taken the batch: {problem}") from None
            raise Unavailable(f"no connection to Claude: {problem}") from None
        if not _BATCH.fullmatch(batch):
            raise OutcomeUnknown("Claude took the batch and did not name it")
        return batch

    def results(self, batch: str, asked: Mapping[ReservationId, ModelId]) -> Mapping[ReservationId, Reply] | None:
        if not _BATCH.fullmatch(batch):
            raise InvalidValue("batch", batch, "the name of a batch")
        until = monotonic() + RESULTS_SECONDS
        from shared.adapters.anthropic import sdk

        if self._twice(sdk.batch_status, batch, until) != "ended":
            return None
        found = _replies(self._twice(sdk.batch_lines, batch, until), asked)
        return {name: found.get(name, _UNTOLD) for name in asked}

    def _key_to_submit(self) -> str:
        try:
            return self._key.now()
        except Stop as problem:
            raise Refused(f"no key to ask with: {problem}") from problem

    def _twice(self, read: Callable[[str, str, Wire, str], _Read], batch: str, until: float) -> _Read:
        try:
            return self._once(read, batch, until)
        except TryAgain:
            if until - monotonic() < 2 * PAUSE_SECONDS:
                raise
            self._pause(PAUSE_SECONDS)
            return self._once(read, batch, until)

    def _once(self, read: Callable[[str, str, Wire, str], _Read], batch: str, until: float) -> _Read:
        from shared.adapters.anthropic import sdk

        try:
            key = self._key.now()
            return read(self._url, key, _wire(until - monotonic()), batch)
        except sdk.BadStatus as bad:
            problem = self._refused(bad, key, ())
            raise (problem if isinstance(problem, TryAgain) else Unavailable(str(problem))) from None
        except sdk.Broken as broken:
            raise Unavailable(f"no answer from Claude: {broken}") from None
        except (Refused, Stop) as problem:
            raise Unavailable(f"no key to ask with: {problem}") from problem

    def _refused(self, bad: Any, key: str, private: list[str] | tuple[str, ...]) -> Exception:
        if bad.status == 401:
            self._key.refuse(key)
        reply = refusal_of(bad.status, bad.headers, bad.body, private=(key, *private))
        if reply.billed is Billed.UNKNOWN:
            return OutcomeUnknown(f"Claude answered {reply.detail}")
        if reply.ending is Ending.THROTTLED and reply.retry_after is not None:
            return Throttled(f"Claude asked to slow down: {reply.detail}", reply.retry_after)
        if reply.ending in (Ending.THROTTLED, Ending.OVERLOADED):
            return Unavailable(f"Claude answered {reply.detail}")
        return Refused(f"Claude answered {reply.detail}")


def _wire(seconds: float) -> Wire:
    from shared.adapters.anthropic.wire import Wire

    return Wire(until=monotonic() + seconds, most_bytes=MOST_BYTES)


def _own(name: ReservationId) -> str:
    if not _ID.fullmatch(name):
        raise InvalidValue("batch.custom_id", name, "1 to 64 letters, digits, dashes and underscores")
    return name


def _replies(lines: list[str], asked: Mapping[ReservationId, ModelId]) -> dict[ReservationId, Reply]:
    """Read each line by itself; two for one request contradict each other."""
    found: dict[ReservationId, Reply] = {}
    for line in lines:
        entry = _parsed(line)
        name, result = entry.get("custom_id"), entry.get("result")
        own = ReservationId(str(name))
        if own in asked and isinstance(result, Mapping):
            found[own] = _UNTOLD if own in found else _reply(result, asked[own])
    return found


def _reply(result: Mapping[str, object], asked: ModelId) -> Reply:
    kind = str(result.get("type"))
    if kind in _NEVER_RUN:
        return _NEVER_RUN[kind]
    if kind == "errored":
        return refusal_in_batch(result.get("error"))
    try:
        return reply_of(Message.whole(result.get("message")), asked) if kind == "succeeded" else _UNTOLD
    except Garbled:
        return _UNTOLD


def _parsed(line: str) -> Mapping[str, object]:
    try:
        read = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, Mapping) else {}
