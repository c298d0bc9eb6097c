"""A provider of paid models that keeps its own bill: it charges when it generates, whoever is still there to hear it.

Its tariff and arithmetic are its own, in thousandths of a micro-dollar, so that they share nothing with what is tried.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Final, NamedTuple

from hearthwatch.simulation.chance import Fault
from hearthwatch.simulation.scheduler import Scheduler
from shared.domain.model_prices import ModelId, Usage
from shared.domain.questions import Attempt, Billed, Ending, Reply

SURE: Final = '{"sure": true}'
UNSURE: Final = '{"sure": false}'
_PROSE: Final = "I would hold, if I were you."
_LONGEST_WAY: Final = timedelta(seconds=12)
"""A request that left is generated within this time, or never."""


class Rate(NamedTuple):
    """What a token costs in thousandths of a micro-dollar: given, written, read from a cache, put into one."""

    input: int
    output: int
    cache_read: int
    cache_write: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """A model's rates: for prompts of up to `short` tokens, for longer ones, and for all from `changes` on."""

    short: int
    rate: Rate
    for_long: Rate
    changes: datetime
    changed: Rate

    def cost(self, usage: Usage, at: datetime) -> int:
        """Add up a call in whole micro-dollars, a started one counting whole."""
        prompt = usage.input + usage.cache_read + usage.cache_write
        rate = self.changed if at >= self.changes else self.rate if prompt <= self.short else self.for_long
        thousandths = (
            usage.input * rate.input
            + usage.output * rate.output
            + usage.cache_read * rate.cache_read
            + usage.cache_write * rate.cache_write
        )
        return -(-thousandths // 1000)


_USELESS: Final = (Ending.REFUSED, Ending.TRUNCATED, Ending.EMPTY, Ending.CONTEXT_EXCEEDED)
_TURNED_AWAY: Final = (Ending.THROTTLED, Ending.OVERLOADED, Ending.REJECTED, Ending.SPEND_LIMIT)
_CUT_OFF: Final = (Ending.TIMED_OUT, Ending.BROKEN_OFF, Ending.SERVER_ERROR)

Strike = Callable[[Attempt], Fault]
Bill = Callable[[int], None]
"""Takes what one request was charged, in micro-dollars."""
OpenBill = Callable[[Attempt], Bill]
"""Told of each request as it leaves; gives what its charge is to be put on."""


class SimulatedProvider:
    """Answers, refuses, stops short, turns away, is late or breaks off; `bad` is how often it does not just answer."""

    def __init__(
        self,
        scheduler: Scheduler,
        random: Random,
        tariffs: dict[ModelId, Tariff],
        *,
        strike: Strike,
        open_bill: OpenBill,
        bad: float,
    ) -> None:
        self._scheduler = scheduler
        self._random = random
        self._tariffs = tariffs
        self._strike = strike
        self._open_bill = open_bill
        self.bad = bad
        self.endings: Counter[str] = Counter()

    def ask(self, attempt: Attempt) -> Reply:
        """Take a request as the adapter does: nothing leaves after the deadline, and nobody waits beyond it."""
        fault = self._strike(attempt)
        if self._now >= attempt.deadline:
            return Reply(ending=Ending.TIMED_OUT, billed=Billed.NOTHING, detail="too late to be asked")
        bill = self._open_bill(attempt)
        if fault is Fault.REFUSE:
            return self._turned_away(Ending.UNREACHABLE)
        if fault is Fault.CRASH_BEFORE and self._random.random() < 0.5:
            self._scheduler.crash()
        ending = self._ending(fault)
        if ending in _TURNED_AWAY:
            return self._turned_away(ending)
        usage, way, began = self._usage(attempt, ending), self._random.random() * _LONGEST_WAY, self._now
        if ending is not Ending.SERVER_ERROR or self._random.random() < 0.5:
            self._scheduler.at(began + way, lambda: self._generate(attempt, usage, bill))
        if fault is Fault.CRASH_BEFORE:
            self._scheduler.crash()
        if ending in _CUT_OFF:
            return self._cut_off(attempt, ending)
        self._wait(min(way, attempt.deadline - began))
        if fault is Fault.CRASH_AFTER:
            self._scheduler.crash()
        if began + way >= attempt.deadline:
            return self._reply(Ending.TIMED_OUT, Billed.UNKNOWN)
        return self._reply(ending, Billed.BY_USAGE, self._text(ending), usage, way)

    @property
    def _now(self) -> datetime:
        return self._scheduler.clock.now()

    def _generate(self, attempt: Attempt, usage: Usage, bill: Bill) -> None:
        """Charge at the rates of now; what goes on after the deadline counts at those of the deadline."""
        bill(self._tariffs[attempt.model].cost(usage, min(self._now, attempt.deadline)))

    def _ending(self, fault: Fault) -> Ending:
        drawn, badly = self._random.random(), self._random.choice((_USELESS, _TURNED_AWAY[:2], _CUT_OFF, _TURNED_AWAY))
        ending = self._random.choice(badly)
        if fault is Fault.LOSE:
            return Ending.TIMED_OUT
        return ending if drawn < self.bad and (ending is not Ending.SPEND_LIMIT or drawn < 0.3) else Ending.COMPLETE

    def _usage(self, attempt: Attempt, ending: Ending) -> Usage:
        """Count the tokens: mostly a part of what was allowed, now and then all of it."""
        whole = self._random.random() < 0.2
        most = attempt.question.input_bound * 13 // 10
        prompt = most if whole else self._random.randint(most // 2, most)
        written = self._random.randint(0, attempt.most_tokens)
        if whole or ending in (Ending.TRUNCATED, Ending.TIMED_OUT):
            written = attempt.most_tokens
        kept, read = self._random.randint(0, prompt), self._random.random() < 0.5
        if not attempt.caches:
            return Usage(input=prompt, output=written)
        return Usage(
            input=prompt - kept, output=written, cache_read=kept if read else 0, cache_write=0 if read else kept
        )

    def _text(self, ending: Ending) -> str:
        drawn = self._random.random()
        if ending is not Ending.COMPLETE or drawn < 0.1:
            return _PROSE
        return SURE if drawn < 0.7 else UNSURE

    def _turned_away(self, ending: Ending) -> Reply:
        self._wait(timedelta(seconds=self._random.uniform(0.01, 2)))
        patience: Sequence[timedelta | None] = (None, timedelta(seconds=1), timedelta(seconds=40))
        return self._reply(ending, Billed.NOTHING, retry_after=self._random.choice(patience))

    def _cut_off(self, attempt: Attempt, ending: Ending) -> Reply:
        left = attempt.deadline - self._now
        self._wait(left if ending is Ending.TIMED_OUT else self._random.random() * left)
        return self._reply(ending, Billed.UNKNOWN)

    def _reply(
        self,
        ending: Ending,
        billed: Billed,
        text: str = "",
        usage: Usage | None = None,
        latency: timedelta = timedelta(0),
        retry_after: timedelta | None = None,
    ) -> Reply:
        self.endings[ending] += 1
        return Reply(ending=ending, billed=billed, text=text, usage=usage, latency=latency, retry_after=retry_after)

    def _wait(self, by: timedelta) -> None:
        if self._scheduler.pause(by):
            self._scheduler.crash()
