"""Instants and ticks: everything is aware UTC, and a tick is named by its scheduled minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.errors import InvalidValue

LATE_AFTER = timedelta(seconds=90)
"""A tick that starts later than this after its scheduled minute opens no position (fault 2)."""


def require_utc(field: str, value: datetime) -> datetime:
    """Return an aware UTC instant, or raise InvalidValue naming the field."""
    if value.tzinfo is not UTC and (value.tzinfo is None or value.utcoffset() != timedelta(0)):
        raise InvalidValue(field, value, "an aware UTC time")
    return value


def iso(value: datetime) -> str:
    """Write an instant as UTC ISO 8601 with a trailing Z."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Tick:
    """One scheduled pass; its identity is the scheduled time, never the time of arrival."""

    scheduled: datetime

    def __post_init__(self) -> None:
        require_utc("tick.scheduled", self.scheduled)
        if self.scheduled.second or self.scheduled.microsecond:
            raise InvalidValue("tick.scheduled", self.scheduled, "a whole minute")

    @property
    def id(self) -> str:
        """Name the tick, the same for every delivery of it."""
        return iso(self.scheduled)

    def lag(self, now: datetime) -> timedelta:
        """Measure how long after its scheduled time the tick runs."""
        return now - self.scheduled
