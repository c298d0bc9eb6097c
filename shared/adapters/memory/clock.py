"""Time that moves only when it is told to."""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.domain.errors import InvalidValue
from shared.domain.times import require_utc


class SimulatedClock:
    """A clock for replays and simulations; it never goes back."""

    def __init__(self, start: datetime) -> None:
        self._now = require_utc("start", start)

    def now(self) -> datetime:
        return self._now

    def set(self, now: datetime) -> None:
        """Move to an instant that is not in the past."""
        if require_utc("now", now) < self._now:
            raise InvalidValue("now", now, f"a time not before {self._now}")
        self._now = now

    def advance(self, by: timedelta) -> None:
        """Move forward by a duration."""
        self.set(self._now + by)
