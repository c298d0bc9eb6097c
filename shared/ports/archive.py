"""The archive of prices: what is kept for replay after the recent minutes are forgotten (PRC-03)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from shared.domain.errors import InvalidValue
from shared.domain.times import require_utc
from shared.ports.prices import Minute

HOUR: Final = timedelta(hours=1)


class PriceArchive(Protocol):
    """Stored minutes by the hour; an hour is an aware UTC time on the full hour, else InvalidValue is raised."""

    def has(self, hour: datetime) -> bool:
        """Say whether an hour is archived."""
        ...

    def put(self, hour: datetime, minutes: Sequence[Minute]) -> None:
        """Archive an hour, in place of an earlier archive of it; the same minutes give the same bytes.

        Raises InvalidValue for minutes that are not of that hour, each once and oldest first.
        """
        ...

    def get(self, hour: datetime) -> Sequence[Minute] | None:
        """Return the hour's minutes, equal to those that were put; None when the hour was never archived."""
        ...


def require_hour(hour: datetime) -> datetime:
    """Return an aware UTC time on the full hour, or raise InvalidValue."""
    if require_utc("hour", hour).replace(minute=0, second=0, microsecond=0) != hour:
        raise InvalidValue("hour", hour, "a time on the full hour")
    return hour


def require_minutes_of(hour: datetime, minutes: Sequence[Minute]) -> Sequence[Minute]:
    """Return minutes that are of an hour, each once and oldest first, or raise InvalidValue."""
    times = [minute.at for minute in minutes]
    if times != sorted(set(times)) or not all(require_hour(hour) <= at < hour + HOUR for at in times):
        raise InvalidValue("minutes", times, f"minutes of the hour from {hour}, each once and oldest first")
    return minutes
