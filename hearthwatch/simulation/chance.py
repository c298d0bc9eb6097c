"""Seeded chance: what goes wrong in one run, and the means to leave single faults out when a trace is shrunk."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final


class Fault(StrEnum):
    """What can happen to one port call."""

    NONE = "none"
    REFUSE = "refused: nothing happened"
    LOSE = "answer lost: it happened"
    CRASH_BEFORE = "crash before it happened"
    CRASH_AFTER = "crash after it happened"
    SLOW_DOWN = "429: not looked at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hazards:
    """How often each thing goes wrong, as probabilities; every seed has its own mixture, many of them zero.

    `by_hand` is that of one act a minute at the broker's own desk; `action` that of a split or dividend in the run;
    `thin` that of held symbols with hardly any volume; `older` that of an invocation of the version before, while
    another is deployed; `lag` the longest time, in seconds, by which what the broker reads back to us is behind;
    `bad_stops` that of some minutes in which the broker refuses stop orders or leaves them pending; `bad_models` that
    of an answer of a model that does not come to its normal end.
    """

    refuse: float
    lose: float
    crash: float
    slow_down: float
    duplicate: float
    late: float
    dropped: float
    bad_quote: float
    switch: float
    slow: float
    kill: float
    by_hand: float
    action: float
    thin: float
    older: float
    lag: float
    bad_stops: float
    bad_models: float

    @classmethod
    def drawn(cls, random: Random, world: Random, models: Random) -> Hazards:
        """Draw a mixture: each hazard is off in a third of the runs, so that faults show alone and together.

        Those of the ports come from `random`; what people, exchange and broker do, from `world`; what those who answer
        questions do, from `models`.
        """

        def rate(highest: float, random: Random = random) -> float:
            return 0.0 if random.random() < 1 / 3 else random.uniform(0, highest)

        return cls(
            refuse=rate(0.08),
            lose=rate(0.08),
            crash=rate(0.03),
            slow_down=rate(0.15),
            duplicate=0.25,
            late=rate(0.15),
            dropped=rate(0.10),
            bad_quote=rate(0.15),
            switch=random.choice((0.1, 0.5, 1.0)),
            slow=random.choice((0.01, 0.01, 0.10, 0.25)),
            kill=random.choice((0.0, 1.0)),
            by_hand=rate(0.3, world),
            action=rate(1.0, world),
            thin=rate(1.0, world),
            older=rate(0.8, world),
            lag=rate(4.0, world),
            bad_stops=rate(0.6, world),
            bad_models=rate(0.9, models),
        )


CALM: Final = Hazards(
    refuse=0,
    lose=0,
    crash=0,
    slow_down=0,
    duplicate=0,
    late=0,
    dropped=0,
    bad_quote=0,
    switch=0,
    slow=0,
    kill=0,
    by_hand=0,
    action=0,
    thin=0,
    older=0,
    lag=0,
    bad_stops=0,
    bad_models=0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """One fault that happened: its number in the run, and where it struck.

    `place` counts the calls of the watch upwards and those of the questions beside it downwards, so that leaving out a
    fault of one moves none of the other.
    """

    number: int
    place: int
    fault: Fault
    where: str


class Chance:
    """The faults of one run, numbered in the order of the port calls; with `only`, none but at these places strike."""

    def __init__(
        self, random: Random, hazards: Hazards, only: frozenset[int] | None, crash_at: tuple[int, Fault] | None
    ) -> None:
        self._random = random
        self._hazards = hazards
        self._only = only
        self._crash_at = crash_at
        self.calls = 0
        self._beside = 0
        self.struck: list[Struck] = []
        self.active = True

    def strike(self, where: str, *, writes: bool, broker: bool, draws: Random | None = None) -> Fault:
        """Decide what happens to the next port call; with `draws` it is drawn there and counts beside the others."""
        self.calls += 1
        self._beside += draws is not None
        place = self.calls - self._beside if draws is None else -self._beside
        drawn = (draws or self._random).random()
        if self._crash_at is not None and self._crash_at[0] == self.calls:
            fault = self._crash_at[1]
        elif not self.active:
            return Fault.NONE
        else:
            fault = self._pick(drawn, writes=writes, broker=broker)
        if fault is Fault.NONE or (self._only is not None and place not in self._only):
            return Fault.NONE
        self.struck.append(Struck(number=self.calls, place=place, fault=fault, where=where))
        return fault

    def _pick(self, drawn: float, *, writes: bool, broker: bool) -> Fault:
        h = self._hazards
        steps = (
            (Fault.REFUSE, h.refuse),
            (Fault.LOSE, h.lose if writes else 0.0),
            (Fault.CRASH_BEFORE, h.crash / 2),
            (Fault.CRASH_AFTER, h.crash / 2),
            (Fault.SLOW_DOWN, h.slow_down if broker and writes else 0.0),
        )
        for fault, share in steps:
            if drawn < share:
                return fault
            drawn -= share
        return Fault.NONE
