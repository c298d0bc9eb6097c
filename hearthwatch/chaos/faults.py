"""What can be broken in a cell, each as a small value that breaks it; `Stage.calm` mends everything.

Each says afterwards how often it struck: a row whose fault never did proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Final, Protocol

from hearthwatch.chaos.askers import NAME
from hearthwatch.chaos.channels import DISCORD, YAHOO
from hearthwatch.chaos.stage import Stage
from local_stack.claude.trouble import Misbehaviour as Wrong
from local_stack.cloud import door
from local_stack.cloud.requests import Ask
from local_stack.exchange import gate
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.budget import No
from shared.domain.trading_state import SwitchMode

ALWAYS: Final = 1_000_000
"""More requests than a cell makes."""
SNAPSHOTS: Final = "/v2/stocks"
ORDERS: Final = "/v2/orders"
DELAY: Final = timedelta(milliseconds=150)
"""Simulated time that each call to a slow table takes."""


Strikes = Callable[[], int]
"""Counts how often a fault has struck since it began."""


class Fault(Protocol):
    """Something that breaks when it begins."""

    def begin(self, stage: Stage) -> Strikes:
        """Break it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscordAnswers:
    """Discord answers every message with a status."""

    status: int

    def begin(self, stage: Stage) -> Strikes:
        """Break it."""
        return stage.channels.refuse(DISCORD, self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudFails:
    """An action at AWS fails for every function, on the resources that the pattern names."""

    action: str
    resource: str = "*"
    kind: door.Misbehaviour = door.Misbehaviour.SERVER_ERROR

    def begin(self, stage: Stage) -> Strikes:
        """Break it."""
        plan = door.Plan(kind=self.kind, action=self.action, resource=self.resource, times=ALWAYS)
        stage.cloud.door.plan(plan)
        return lambda: ALWAYS - plan.times


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowTables:
    """Each call to DynamoDB takes `delay`; a share is throttled, some so often that the call fails; answers get lost.

    Which ones follows from their count alone.
    """

    delay: timedelta = DELAY

    def begin(self, stage: Stage) -> Strikes:
        """Break it."""
        slow = _SlowCalls(stage.clock, self.delay)
        stage.cloud.door.disturb(slow)
        return lambda: slow.calls


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFails:
    """The exchange misbehaves on every request of a method under a path."""

    kind: gate.Misbehaviour
    method: str
    path: str
    retry_after: timedelta = timedelta(seconds=20)

    def begin(self, stage: Stage) -> Strikes:
        """Break it."""
        stage.exchange.misbehave(
            self.kind, method=self.method, path=self.path, times=ALWAYS, retry_after=self.retry_after
        )
        return _requests(stage, self.method, self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedFrozen:
    """The first price provider goes on answering with what it knew."""

    def begin(self, stage: Stage) -> Strikes:
        """Break it."""
        stage.exchange.freeze_feed()
        return _requests(stage, "GET", SNAPSHOTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondProviderFails:
    """The second price provider answers with a server error."""

    def begin(self, stage: Stage) -> Strikes:
        """Break it."""
        return stage.channels.refuse(YAHOO, 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDoubled:
    """Every scheduled event is delivered twice at the same moment, and once more 100 s late."""

    def begin(self, stage: Stage) -> Strikes:
        """Break it."""
        stage.delivery.doubled = True
        return lambda: stage.delivery.strikes


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverRuns:
    """Schedules do not reach these functions."""

    functions: tuple[str, ...]

    def begin(self, stage: Stage) -> Strikes:
        """Break it."""
        stage.delivery.silent |= frozenset(self.functions)
        return lambda: stage.delivery.strikes


@dataclass(frozen=True, slots=True, kw_only=True)
class KilledBeforeSending:
    """The executor is killed between the write that claims an order and the request that sends it, once each."""

    def begin(self, stage: Stage) -> Strikes:
        """Break it."""
        stage.guillotine.armed = True
        stage.cloud.door.disturb(stage.guillotine.strikes)
        return lambda: len(stage.guillotine.spared)


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitchSet:
    """A person sets the kill switch, and nobody clears it."""

    def begin(self, stage: Stage) -> Strikes:
        """Set it."""
        stage.owner.use_cases.set_kill_switch(SwitchMode.KILL, by="chaos", why="a drill")
        return lambda: int(stage.owner.controls.kill_switch().engaged)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleAsk:
    """So many ask a model at every tick, unless they still wait for an answer."""

    asking: int

    def begin(self, stage: Stage) -> Strikes:
        """Gather them."""
        stage.crowd.gather(self.asking)
        return lambda: len(stage.crowd.outcomes())


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthSpent:
    """The month's money is all reserved."""

    def begin(self, stage: Stage) -> Strikes:
        """Reserve it."""
        stage.crowd.spend_the_month(stage.owner, stage.clock.now())
        return lambda: _ended(stage, No.MONTH_SPENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoPrices:
    """No model has a price in force; comes before those who ask."""

    def begin(self, stage: Stage) -> Strikes:
        """Take the prices away."""
        stage.crowd.prices = ""
        return lambda: _ended(stage, No.UNPRICED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaudeFails:
    """Claude misbehaves, each way for so large a share of the requests."""

    chances: Mapping[Wrong, float]

    def begin(self, stage: Stage) -> Strikes:
        """Break it."""
        stage.crowd.claude.misbehave(self.chances, seed=1)
        return lambda: len(stage.crowd.claude.requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerFails:
    """A third of the updates of the Book by those who ask fail, and of another third the answer is lost."""

    def begin(self, stage: Stage) -> Strikes:
        """Break it."""
        failing = _FailingUpdates()
        stage.cloud.door.disturb(failing)
        return lambda: failing.struck


def _ended(stage: Stage, why: No) -> int:
    return sum(f"denied: {why}" in outcome for outcome in stage.crowd.outcomes())


class _FailingUpdates:
    """A disturbance of the crowd's updates, in blocks longer than the tries of a client."""

    _BLOCK = 5
    _KINDS = (door.Misbehaviour.SERVER_ERROR, None, door.Misbehaviour.ANSWER_LOST)

    def __init__(self) -> None:
        self.struck = 0
        self._seen = 0

    def __call__(self, caller: str, asks: Sequence[Ask]) -> door.Plan | None:
        """Choose what becomes of an update; the door asks for one request after the other."""
        if caller != NAME or not any(fnmatchcase(f"{a.action} {a.resource}", "dynamodb:Update* *Book*") for a in asks):
            return None
        kind = self._KINDS[self._seen // self._BLOCK % len(self._KINDS)]
        self._seen += 1
        self.struck += kind is not None
        return None if kind is None else door.Plan(kind=kind)


def _requests(stage: Stage, method: str, path: str) -> Strikes:
    before = stage.exchange.count(method, path)
    return lambda: stage.exchange.count(method, path) - before


class _SlowCalls:
    """A disturbance of the tables; the door asks it for one request after the other, never for two at once."""

    _WHOLE_CALL = range(3)
    """Of each `_ROUND` requests, those that throttle one call until its client gives up."""
    _ROUND = 300

    def __init__(self, clock: SimulatedClock, delay: timedelta) -> None:
        self._clock = clock
        self._delay = delay
        self.calls = 0

    def __call__(self, caller: str, asks: Sequence[Ask]) -> door.Plan | None:
        """Let time pass, and choose what goes wrong."""
        if not any(ask.action.startswith("dynamodb:") for ask in asks):
            return None
        self._clock.advance(self._delay)
        self.calls += 1
        if self.calls % self._ROUND in self._WHOLE_CALL or self.calls % 6 == 0:
            return door.Plan(kind=door.Misbehaviour.THROTTLE)
        if self.calls % 13 == 0:
            return door.Plan(kind=door.Misbehaviour.ANSWER_LOST)
        return None
