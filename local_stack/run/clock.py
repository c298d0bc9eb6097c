"""Simulated time that the driver sets, paced against real time.

Decided: time stands still within a tick, so that a tick means the same however long the machine takes over it; the
pace is kept between ticks. A machine that cannot keep up falls behind without making up for it later.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from threading import Event, Lock
from time import monotonic
from typing import Final, Protocol

from shared.domain.errors import InvalidValue
from shared.domain.times import require_utc
from shared.ports.clock import Clock

LONGEST_STEP: Final = timedelta(minutes=10)
"""A longer stretch between two ticks, such as a night, is not waited for: it counts as this."""
LOOK_EVERY: Final = 1.0
"""Seconds between two looks at the world while waiting."""

Speed = Decimal | None
"""Simulated seconds in a real one; None is as fast as possible."""


class Pace(Clock, Protocol):
    """A clock that a driver moves from tick to tick."""

    def set(self, now: datetime) -> None:
        """Begin a tick at an instant that is not in the past."""
        ...

    def wait_until(self, at: datetime, stopped: Event, look: Callable[[], None]) -> bool:
        """Wait until the tick at this instant may begin; False as soon as the run is stopped.

        `look` is called every second meanwhile.
        """
        ...


class PacedClock:
    """The simulated clock of a run; any thread may read it, one driver sets it, and it never goes back."""

    def __init__(self, start: datetime, speed: Speed = None, *, seconds: Callable[[], float] = monotonic) -> None:
        if speed is not None and not speed > 0:
            raise InvalidValue("speed", speed, "a number above zero")
        self._now = require_utc("start", start)
        self._lock = Lock()
        self._speed = speed
        self._seconds = seconds
        self._set_at = seconds()

    def now(self) -> datetime:
        """Return the simulated time."""
        with self._lock:
            return self._now

    def set(self, now: datetime) -> None:
        """Move to an instant that is not in the past."""
        with self._lock:
            if require_utc("now", now) < self._now:
                raise InvalidValue("now", now, f"a time not before {self._now}")
            self._now = now
            self._set_at = self._seconds()

    def wait_until(self, at: datetime, stopped: Event, look: Callable[[], None] = lambda: None) -> bool:
        """Wait as long as the pace asks before `at` may be set; False as soon as the run is stopped."""
        return _wait(lambda: self.seconds_until(at), stopped, look)

    def seconds_until(self, at: datetime) -> float:
        """Give the real seconds left before `at` is due."""
        if self._speed is None:
            return 0.0
        with self._lock:
            step = min(at - self._now, LONGEST_STEP)
            return step.total_seconds() / float(self._speed) - (self._seconds() - self._set_at)


class RealPace:
    """The pace of the world: a tick begins when its time has come, and setting it changes nothing."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        """Return the present."""
        return self._clock.now()

    def set(self, now: datetime) -> None:
        """Leave time alone."""

    def wait_until(self, at: datetime, stopped: Event, look: Callable[[], None] = lambda: None) -> bool:
        """Wait until it is `at`; False as soon as the run is stopped."""
        return _wait(lambda: (at - self.now()).total_seconds(), stopped, look)


def _wait(seconds_left: Callable[[], float], stopped: Event, look: Callable[[], None]) -> bool:
    while not stopped.is_set():
        left = seconds_left()
        if left <= 0:
            return True
        stopped.wait(min(left, LOOK_EVERY))
        look()
    return False
