"""Every half day of five years, minute by minute around its close, and a broker's clock that forgot it (fault 16)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandas_market_calendars
import pytest

from shared.adapters.alpaca.translation import to_clock
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.domain.session import MarketClock, SessionState, judge_session

NEW_YORK = ZoneInfo("America/New_York")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class HalfDay(NamedTuple):
    """A short session as an independent library has it."""

    opens: datetime
    closes: datetime


def half_days() -> list[HalfDay]:
    library = pandas_market_calendars.get_calendar("NYSE")
    schedule = library.schedule("2024-01-01", "2028-12-31")
    early = library.early_closes(schedule)
    return [
        HalfDay(row.market_open.to_pydatetime().astimezone(UTC), row.market_close.to_pydatetime().astimezone(UTC))
        for row in early.itertuples()
    ]


HALF_DAYS = half_days()


def answer(at: datetime, *, is_open: bool, closes: datetime) -> MarketClock:
    """The broker's clock as it comes over the wire, with New York's offset."""
    tomorrow = at + timedelta(days=1)
    written = {"timestamp": at, "next_open": tomorrow, "next_close": closes if is_open else tomorrow + HOUR}
    return to_clock(
        {name: time.astimezone(NEW_YORK).isoformat() for name, time in written.items()} | {"is_open": is_open}
    )


def test_there_are_half_days_in_each_of_the_five_years() -> None:
    assert {day.opens.year for day in HALF_DAYS} == {2024, 2025, 2026, 2027, 2028}


@pytest.mark.parametrize("day", HALF_DAYS, ids=lambda day: str(day.opens.date()))
def test_a_half_day_is_open_to_its_close_and_a_clock_that_forgot_it_opens_nothing_after_it(day: HalfDay) -> None:
    days = LibraryCalendar().days(day.opens.date(), day.opens.date())
    assert day.closes - day.opens < 4 * HOUR
    for minute in range(-5, 8 * 60):
        now = day.opens + minute * MINUTE
        is_open = day.opens <= now < day.closes
        knows = judge_session(now, days, answer(now, is_open=is_open, closes=day.closes))
        assert knows.state is (SessionState.OPEN if is_open else SessionState.CLOSED), now
        until_four = day.opens <= now < day.opens + 6.5 * HOUR
        forgot = judge_session(now, days, answer(now, is_open=until_four, closes=day.opens + 6.5 * HOUR))
        assert forgot.is_open == is_open, now
        assert (forgot.state is SessionState.UNSURE) == (day.closes <= now < day.opens + 6.5 * HOUR), now
        assert not judge_session(now, days, None).is_open
        assert not judge_session(now, None, answer(now, is_open=is_open, closes=day.closes)).is_open
