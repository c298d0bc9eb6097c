"""The exchange calendar against an independent library, and its clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pandas_market_calendars
import pytest

from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.adapters.memory.matching import Exchange
from shared.domain.errors import InvalidValue
from shared.domain.session import TradingDay


@pytest.fixture(scope="module")
def calendar() -> LibraryCalendar:
    return LibraryCalendar()


@pytest.mark.parametrize("year", range(2024, 2029))
def test_sessions_and_early_closes_equal_an_independent_library(calendar: LibraryCalendar, year: int) -> None:
    schedule = pandas_market_calendars.get_calendar("NYSE").schedule(f"{year}-01-01", f"{year}-12-31")
    expected = [
        TradingDay(
            date=row.Index.date(),
            opens=row.market_open.to_pydatetime().astimezone(UTC),
            closes=row.market_close.to_pydatetime().astimezone(UTC),
        )
        for row in schedule.itertuples()
    ]

    assert list(calendar.days(date(year, 1, 1), date(year, 12, 31))) == expected


def test_2024_to_2028_has_the_known_early_closes(calendar: LibraryCalendar) -> None:
    days = calendar.days(date(2024, 1, 1), date(2028, 12, 31))
    early = [day.date for day in days if day.closes - day.opens < timedelta(hours=6)]

    assert early == [
        date(2024, 7, 3),
        date(2024, 11, 29),
        date(2024, 12, 24),
        date(2025, 7, 3),
        date(2025, 11, 28),
        date(2025, 12, 24),
        date(2026, 11, 27),
        date(2026, 12, 24),
        date(2027, 11, 26),
        date(2028, 7, 3),
        date(2028, 11, 24),
    ]


def test_days_are_included_at_both_ends(calendar: LibraryCalendar) -> None:
    days = calendar.days(date(2025, 10, 10), date(2025, 10, 13))

    assert [day.date for day in days] == [date(2025, 10, 10), date(2025, 10, 13)]


def test_holiday_and_weekend_have_no_session(calendar: LibraryCalendar) -> None:
    assert not calendar.days(date(2026, 7, 3), date(2026, 7, 5))


def test_range_that_ends_before_it_begins_is_empty(calendar: LibraryCalendar) -> None:
    assert not calendar.days(date(2026, 7, 5), date(2026, 7, 3))


def test_range_over_the_new_year_joins_both_years(calendar: LibraryCalendar) -> None:
    days = calendar.days(date(2025, 12, 30), date(2026, 1, 5))

    assert [day.date.day for day in days] == [30, 31, 2, 5]


@pytest.mark.parametrize("year", [2000, 2010, 2030, 1972, 2034])
def test_near_and_far_years_are_covered(year: int) -> None:
    assert 248 <= len(LibraryCalendar().days(date(year, 1, 1), date(year, 12, 31))) <= 254


def test_year_beyond_the_library_is_refused(calendar: LibraryCalendar) -> None:
    with pytest.raises(InvalidValue, match="year"):
        calendar.days(date(1901, 1, 1), date(1901, 1, 2))


def test_unknown_exchange_is_refused() -> None:
    with pytest.raises(InvalidValue, match="exchange: 'NOWHERE'"):
        LibraryCalendar("NOWHERE").days(date(2026, 1, 1), date(2026, 1, 2))


def test_other_exchange_has_its_own_hours() -> None:
    (london,) = LibraryCalendar("XLON").days(date(2026, 6, 10), date(2026, 6, 10))

    assert london.opens == datetime(2026, 6, 10, 7, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "is_open", "next_open", "next_close"),
    [
        ("2026-06-10T13:29:59", False, "2026-06-10T13:30:00", "2026-06-10T20:00:00"),
        ("2026-06-10T13:30:00", True, "2026-06-11T13:30:00", "2026-06-10T20:00:00"),
        ("2026-06-10T20:00:00", False, "2026-06-11T13:30:00", "2026-06-11T20:00:00"),
        ("2026-11-27T17:59:59", True, "2026-11-30T14:30:00", "2026-11-27T18:00:00"),
        ("2026-11-27T18:00:00", False, "2026-11-30T14:30:00", "2026-11-30T21:00:00"),
        ("2026-12-31T23:00:00", False, "2027-01-04T14:30:00", "2027-01-04T21:00:00"),
    ],
)
def test_clock_knows_the_next_open_and_close(
    calendar: LibraryCalendar, now: str, is_open: bool, next_open: str, next_close: str
) -> None:
    at, opens, closes = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, next_open, next_close))
    clock = Exchange("account", Decimal(0), calendar).market_clock(at)

    assert (clock.at, clock.is_open, clock.next_open, clock.next_close) == (at, is_open, opens, closes)
