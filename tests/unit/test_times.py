"""Instants are aware UTC, and a tick is named by its scheduled minute, whenever it arrives (faults 1, 2 and 17)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from shared.domain.errors import InvalidValue
from shared.domain.times import Tick, iso, require_utc

SCHEDULED = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")


def test_an_aware_utc_time_passes() -> None:
    assert require_utc("at", SCHEDULED) is SCHEDULED


@pytest.mark.parametrize(
    "value",
    [
        SCHEDULED.replace(tzinfo=None),
        SCHEDULED.astimezone(NEW_YORK),
        SCHEDULED.astimezone(timezone(timedelta(hours=1))),
    ],
    ids=["naive", "New York", "an hour east"],
)
def test_any_other_time_is_refused(value: datetime) -> None:
    with pytest.raises(InvalidValue, match="at"):
        require_utc("at", value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (SCHEDULED, "2026-03-04T15:30:00Z"),
        (SCHEDULED.replace(microsecond=250_000), "2026-03-04T15:30:00.250000Z"),
        (SCHEDULED.astimezone(NEW_YORK), "2026-03-04T15:30:00Z"),
    ],
)
def test_an_instant_is_written_in_utc_with_a_z(value: datetime, text: str) -> None:
    assert iso(value) == text


def test_the_hour_that_repeats_in_autumn_gives_two_ticks() -> None:
    first = datetime(2026, 11, 1, 1, 30, tzinfo=NEW_YORK)
    again = first.replace(fold=1)
    assert Tick(scheduled=first.astimezone(UTC)).id != Tick(scheduled=again.astimezone(UTC)).id


def test_a_tick_delivered_twice_is_the_same_tick() -> None:
    assert Tick(scheduled=SCHEDULED) == Tick(scheduled=datetime(2026, 3, 4, 15, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    "scheduled",
    [SCHEDULED + timedelta(seconds=1), SCHEDULED + timedelta(microseconds=1), SCHEDULED.replace(tzinfo=None)],
    ids=["off the minute", "off by a microsecond", "naive"],
)
def test_a_tick_off_the_whole_utc_minute_is_refused(scheduled: datetime) -> None:
    with pytest.raises(InvalidValue):
        Tick(scheduled=scheduled)


def test_lag_counts_from_the_scheduled_minute() -> None:
    assert Tick(scheduled=SCHEDULED).lag(SCHEDULED + timedelta(seconds=7)) == timedelta(seconds=7)


def test_ticks_sort_by_their_minute() -> None:
    early, late = Tick(scheduled=SCHEDULED), Tick(scheduled=SCHEDULED + timedelta(minutes=1))
    assert sorted([late, early]) == [early, late]
