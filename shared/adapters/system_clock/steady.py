"""Time that goes on from a given instant at the pace of this machine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

from shared.domain.times import require_utc


class SteadyClock:
    """Lets somebody who waits in real time do so inside a world whose own time jumps."""

    def __init__(self, start: datetime, *, seconds: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self.set(start)

    def set(self, now: datetime) -> None:
        """Begin anew at an instant."""
        self._start = require_utc("now", now)
        self._began = self._seconds()

    def now(self) -> datetime:
        """Return the instant it began at, and what passed on this machine since."""
        return self._start + timedelta(seconds=self._seconds() - self._began)
