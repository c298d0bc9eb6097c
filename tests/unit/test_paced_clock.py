"""Simulated time keeps the pace it was given, and never goes back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Event
from typing import cast

import pytest

from local_stack.run.clock import LONGEST_STEP, PacedClock, RealPace
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.errors import InvalidValue

AT = datetime(2026, 6, 10, 14, 31, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Waits:
    """An event that nobody sets; waiting on it moves a clock of seconds, or a clock of times."""

    def __init__(self, passes: Callable[[float], None] = lambda _: None, stops_after: int | None = None) -> None:
        self.seconds = 0.0
        self.waits: list[float] = []
        self._passes = passes
        self._stops_after = stops_after

    def read(self) -> float:
        return self.seconds

    def is_set(self) -> bool:
        return self._stops_after is not None and len(self.waits) >= self._stops_after

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.seconds += seconds
        self._passes(seconds)
        return self.is_set()

    @property
    def event(self) -> Event:
        return cast(Event, self)


def test_at_sixty_a_simulated_minute_takes_a_real_second() -> None:
    real = Waits()
    clock = PacedClock(AT, Decimal(60), seconds=real.read)
    assert clock.wait_until(AT + MINUTE, real.event)
    assert sum(real.waits) == pytest.approx(1.0)


def test_the_time_a_tick_took_is_taken_off_its_wait() -> None:
    real = Waits()
    clock = PacedClock(AT, Decimal(60), seconds=real.read)
    clock.set(AT + MINUTE)
    real.seconds += 0.75
    clock.wait_until(AT + 2 * MINUTE, real.event)
    assert sum(real.waits) == pytest.approx(0.25)


def test_a_tick_that_took_too_long_is_followed_at_once_and_not_made_up_for() -> None:
    real = Waits()
    clock = PacedClock(AT, Decimal(60), seconds=real.read)
    real.seconds += 5
    assert clock.wait_until(AT + MINUTE, real.event)
    assert real.waits == []
    clock.set(AT + MINUTE)
    assert clock.seconds_until(AT + 2 * MINUTE) == pytest.approx(1.0)


def test_as_fast_as_possible_never_waits() -> None:
    real = Waits()
    assert PacedClock(AT, None, seconds=real.read).wait_until(AT + timedelta(days=3), real.event)
    assert real.waits == []


def test_a_night_is_not_waited_for() -> None:
    real = Waits()
    clock = PacedClock(AT, Decimal(60), seconds=real.read)
    clock.wait_until(AT + timedelta(hours=16), real.event)
    assert sum(real.waits) == pytest.approx(LONGEST_STEP.total_seconds() / 60)


def test_somebody_may_look_every_second_of_a_long_wait() -> None:
    real, looks = Waits(), []
    clock = PacedClock(AT, Decimal(10), seconds=real.read)
    clock.wait_until(AT + MINUTE, real.event, lambda: looks.append(real.seconds))
    assert looks == pytest.approx([1, 2, 3, 4, 5, 6])


def test_a_stopped_run_waits_no_longer() -> None:
    real = Waits(stops_after=2)
    clock = PacedClock(AT, Decimal(1), seconds=real.read)
    assert not clock.wait_until(AT + MINUTE, real.event)
    assert len(real.waits) == 2


def test_time_stands_still_within_a_tick() -> None:
    real = Waits()
    clock = PacedClock(AT, Decimal(60), seconds=real.read)
    real.seconds += 100
    assert clock.now() == AT


def test_time_never_goes_back() -> None:
    clock = PacedClock(AT)
    with pytest.raises(InvalidValue, match="not before"):
        clock.set(AT - MINUTE)


@pytest.mark.parametrize("speed", ["0", "-1", "NaN"])
def test_a_speed_that_leads_nowhere_is_refused(speed: str) -> None:
    with pytest.raises((InvalidValue, ArithmeticError)):
        PacedClock(AT, Decimal(speed))


def test_at_the_worlds_own_pace_a_tick_waits_for_its_time() -> None:
    world = SimulatedClock(AT)
    real = Waits(lambda seconds: world.advance(timedelta(seconds=seconds)))
    pace = RealPace(world)
    assert pace.wait_until(AT + MINUTE, real.event)
    assert world.now() == AT + MINUTE
    pace.set(AT)
    assert pace.now() == AT + MINUTE
