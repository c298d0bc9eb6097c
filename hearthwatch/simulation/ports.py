"""Ports that yield to the scheduler and fail by seeded chance, around the memory adapters."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import fields, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from hearthwatch.simulation.chance import Chance, Fault
from hearthwatch.simulation.scheduler import Scheduler
from shared.bootstrap.wiring import GivenPorts
from shared.domain.errors import BrokerRefusal, OutcomeUnknown, Throttled, Unavailable

WRITES: Final = frozenset(
    {
        "put_minute", "save", "archive", "put", "remove", "set_kill_switch", "publish_trading_state", "start", "extend",
        "acquire", "release", "disable", "send", "ring", "keep", "submit", "cancel", "reserve", "close", "grant",
        "close_day", "warned", "prune", "claim", "give_back",
    }
)  # fmt: skip
"""Methods that change something; only their answers can be lost."""
UNTOUCHED: Final = frozenset(
    {"clock", "calendar", "watchlist", "metrics", "actions", "volatility", "sources", "credentials"}
    | {"models", "batches", "pause"}
)
"""Ports that answer from the process itself, or yield and fail in their own way."""
STRAYS: Final = frozenset({"budgets.reserve", "budgets.close", "charges.put"})
"""Writes that may land when their caller has long given up, or once more when it has long had its answer."""
LATEST_STRAY: Final = timedelta(seconds=150)
NEVER_LEAVES: Final = frozenset({"broker.allowance"})
"""Methods of other ports that answer from the process itself."""
SLOWEST_SEND: Final = timedelta(seconds=12)
"""Connecting takes at most 2 s and reading 10 s: a request to the broker lands within this or never (fault 10)."""

Caller = Callable[[str, tuple[Any, ...]], None]
"""Told when a port is called, and when the call arrives or is lost on its way: where, and the arguments."""
Rejector = Callable[[str, tuple[Any, ...], BrokerRefusal], None]
"""Told when the broker said no: where, the arguments, and what it said."""
Watcher = Callable[[str, str, tuple[Any, ...], Any], None]
"""Told after a port call took effect: port, method, arguments, result."""


class FaultyPort:
    """One port: every public method yields first and may then fail, before or after it took effect."""

    def __init__(self, target: object, name: str, network: Network) -> None:
        self._target = target
        self._name = name
        self._network = network

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        value = getattr(self._target, attribute)
        wrapped = self._network.wrap(self._name, attribute, value) if callable(value) else value
        setattr(self, attribute, wrapped)
        return wrapped


class Network:
    """Everything between the use cases and the world."""

    def __init__(
        self,
        scheduler: Scheduler,
        chance: Chance,
        random: Random,
        switch: float,
        slow: float,
        *,
        called: Caller,
        arrived: Caller,
        refused: Rejector,
        watch: Watcher,
    ) -> None:
        self._scheduler = scheduler
        self._chance = chance
        self._random = random
        self._switch = switch
        self._slow = slow
        self._called = called
        self._arrived = arrived
        self._refused = refused
        self._watch = watch
        self._draws: Random | None = None
        self._strays = 0.0
        self._noted: list[tuple[datetime, str, str, Fault]] = []
        self.calm = False

    def beside(self, random: Random, draws: Random, strays: float, watch: Watcher) -> Network:
        """Give a network of the same world and log, whose draws leave those of this one as they are.

        `strays` is how often a write lands late or twice.
        """
        other = copy(self)
        other._random, other._draws, other._strays, other._watch = random, draws, strays, watch
        return other

    def strike(self, where: str, arguments: tuple[Any, ...], *, writes: bool, broker: bool) -> Fault:
        """Begin a call: note it, and decide what happens to it."""
        self._scheduler.bury()
        self._called(where, arguments)
        fault = self._chance.strike(where, writes=writes, broker=broker, draws=self._draws)
        self._noted.append((self._scheduler.clock.now(), self._scheduler.current(), where, fault))
        return fault

    def around(self, ports: GivenPorts) -> GivenPorts:
        """Wrap every port that leaves the process."""
        changes: dict[str, Any] = {}
        for field in fields(ports):
            target = getattr(ports, field.name)
            if field.name in UNTOUCHED:
                continue
            if field.name == "channels":
                changes["channels"] = {c: FaultyPort(adapter, f"channel {c}", self) for c, adapter in target.items()}
            else:
                changes[field.name] = FaultyPort(target, field.name, self)
        return replace(ports, **changes)

    def wrap(self, port: str, method: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make one method yield and fail."""
        writes, broker = method in WRITES, port == "broker"
        where = f"{port}.{method}"
        if where in NEVER_LEAVES:
            return function

        def effect(*args: Any, **kwargs: Any) -> Any:
            try:
                result = function(*args, **kwargs)
            except BrokerRefusal as refusal:
                self._refused(where, args, refusal)
                raise
            self._watch(port, method, args, result)
            return result

        def call(*args: Any, **kwargs: Any) -> Any:
            fault = self.strike(where, args, writes=writes, broker=broker)
            try:
                too_old = self._random.random() < self._switch and self._scheduler.pause(self._latency(where))
            finally:
                self._arrived(where, args)
            if too_old:
                # the invocation is killed here; what it put on the wire may land all the same
                fault = Fault.CRASH_AFTER if where == "broker.submit" or where in STRAYS else Fault.CRASH_BEFORE
            if fault is Fault.CRASH_BEFORE:
                self._scheduler.crash()
            if fault is Fault.REFUSE:
                self._stray(where, effect, args)
                raise OutcomeUnknown(where) if where == "broker.submit" else Unavailable(where)
            if fault is Fault.SLOW_DOWN:
                raise Throttled(where, timedelta(seconds=self._random.choice((1, 5, 30))))
            result = effect(*args, **kwargs)
            self._stray(where, effect, args)
            if fault is Fault.CRASH_AFTER:
                self._scheduler.crash()
            if fault is Fault.LOSE:
                raise OutcomeUnknown(where) if broker else Unavailable(where)
            return result

        return call

    def _latency(self, where: str) -> timedelta:
        """Draw how long a call takes: mostly milliseconds, now and then long enough for others to overtake."""
        drawn = self._random.random()
        if drawn < 0.91 - self._slow or self.calm:
            seconds = self._random.uniform(0.001, 0.2)
        elif drawn < 1 - self._slow:
            seconds = self._random.uniform(0.2, 5)
        else:
            seconds = self._random.uniform(5, 50)
        latency = timedelta(seconds=seconds)
        return min(latency, SLOWEST_SEND) if where.startswith("broker.") else latency

    def _stray(self, where: str, effect: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Let a write land later on, now and then: late for a caller that gave up, a second time for the others."""
        if self._strays and where in STRAYS and not self.calm and self._random.random() < self._strays:
            after = self._random.random() * LATEST_STRAY
            self._scheduler.at(self._scheduler.clock.now() + after, lambda: effect(*arguments))

    @property
    def log(self) -> list[str]:
        """Write every call with its time, its invocation and its fault; almost no run is read, so none is written."""
        return [_line(*noted) for noted in self._noted]


def _line(at: datetime, invocation: str, where: str, fault: Fault) -> str:
    mark = f"  <- {fault}" if fault is not Fault.NONE else ""
    return f"{at:%H:%M:%S.%f} {invocation:<24} {where}{mark}"
