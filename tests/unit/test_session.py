"""Sessions: calendar against clock (fault 16) and the weekends on which the clocks change (fault 17)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.adapters.memory.matching import Exchange
from shared.domain.errors import InvalidValue
from shared.domain.session import MarketClock, SessionState, TradingDay, judge_session, trading_day_at

NEW_YORK = ZoneInfo("America/New_York")
OPENS = datetime(2026, 6, 10, 13, 30, tzinfo=UTC)
CLOSES = datetime(2026, 6, 10, 20, 0, tzinfo=UTC)
DAYS = [TradingDay(date=date(2026, 6, 10), opens=OPENS, closes=CLOSES)]
NOON = datetime(2026, 6, 10, 16, 0, tzinfo=UTC)
EVENING = datetime(2026, 6, 10, 22, 0, tzinfo=UTC)


def clock(at: datetime, is_open: bool) -> MarketClock:
    return MarketClock(at=at, is_open=is_open, next_open=OPENS + timedelta(days=1), next_close=CLOSES)


@pytest.mark.parametrize(
    ("now", "days", "answer", "state"),
    [
        pytest.param(NOON, DAYS, clock(NOON, True), SessionState.OPEN, id="both-say-open"),
        pytest.param(EVENING, DAYS, clock(EVENING, False), SessionState.CLOSED, id="both-say-closed"),
        pytest.param(NOON, [], clock(NOON, False), SessionState.CLOSED, id="holiday"),
        pytest.param(NOON, DAYS, clock(NOON, False), SessionState.UNSURE, id="unscheduled-closure"),
        pytest.param(EVENING, DAYS, clock(EVENING, True), SessionState.UNSURE, id="clock-open-calendar-closed"),
        pytest.param(NOON, [], clock(NOON, True), SessionState.UNSURE, id="clock-open-on-a-holiday"),
        pytest.param(NOON, None, clock(NOON, True), SessionState.UNSURE, id="no-calendar"),
        pytest.param(NOON, DAYS, None, SessionState.UNSURE, id="no-clock"),
        pytest.param(EVENING, DAYS, None, SessionState.UNSURE, id="no-clock-in-the-evening"),
        pytest.param(NOON, None, None, SessionState.UNSURE, id="neither"),
        pytest.param(NOON, DAYS, clock(NOON - timedelta(minutes=2), True), SessionState.OPEN, id="clock-just-in-time"),
        pytest.param(NOON, DAYS, clock(NOON - timedelta(seconds=121), True), SessionState.UNSURE, id="clock-stale"),
        pytest.param(NOON, DAYS, clock(NOON + timedelta(seconds=121), True), SessionState.UNSURE, id="clock-ahead"),
        pytest.param(OPENS, DAYS, clock(OPENS, True), SessionState.OPEN, id="first-instant"),
        pytest.param(CLOSES, DAYS, clock(CLOSES, False), SessionState.CLOSED, id="last-instant"),
    ],
)
def test_session_is_open_only_when_calendar_and_clock_agree(
    now: datetime, days: list[TradingDay] | None, answer: MarketClock | None, state: SessionState
) -> None:
    judged = judge_session(now, days, answer)

    assert judged.state is state
    assert judged.is_open == (state is SessionState.OPEN)
    assert judged.reason


def test_session_that_closes_before_it_opens_is_refused() -> None:
    with pytest.raises(InvalidValue, match="closes"):
        TradingDay(date=date(2026, 6, 10), opens=CLOSES, closes=OPENS)


CHANGES = [
    pytest.param(date(2026, 3, 8), id="US-to-summer"),
    pytest.param(date(2026, 3, 29), id="EU-to-summer"),
    pytest.param(date(2026, 10, 25), id="EU-to-winter"),
    pytest.param(date(2026, 11, 1), id="US-to-winter"),
]


@pytest.mark.parametrize("sunday", CHANGES)
def test_every_minute_of_a_clock_change_weekend_is_judged_by_new_york_time(sunday: date) -> None:
    calendar = LibraryCalendar()
    days = calendar.days(sunday - timedelta(days=4), sunday + timedelta(days=4))
    exchange = Exchange("account", Decimal(0), calendar)
    begin = datetime(sunday.year, sunday.month, sunday.day, tzinfo=UTC) - timedelta(days=2)
    for minute in range(4 * 24 * 60):
        now = begin + timedelta(minutes=minute)
        there = now.astimezone(NEW_YORK)
        expected = there.weekday() < 5 and (9, 30) <= (there.hour, there.minute) < (16, 0)

        assert (trading_day_at(days, now) is not None) == expected, now
        assert judge_session(now, days, exchange.market_clock(now)).is_open == expected, now


@pytest.mark.parametrize(
    ("day", "opens", "closes"),
    [
        (date(2026, 3, 6), (14, 30), (21, 0)),
        (date(2026, 3, 9), (13, 30), (20, 0)),
        (date(2026, 3, 27), (13, 30), (20, 0)),
        (date(2026, 3, 30), (13, 30), (20, 0)),
        (date(2026, 10, 23), (13, 30), (20, 0)),
        (date(2026, 10, 26), (13, 30), (20, 0)),
        (date(2026, 10, 30), (13, 30), (20, 0)),
        (date(2026, 11, 2), (14, 30), (21, 0)),
        (date(2026, 11, 27), (14, 30), (18, 0)),
    ],
)
def test_open_and_close_follow_new_yorks_clock_in_utc(
    day: date, opens: tuple[int, int], closes: tuple[int, int]
) -> None:
    (found,) = LibraryCalendar().days(day, day)

    assert (found.opens.hour, found.opens.minute) == opens
    assert (found.closes.hour, found.closes.minute) == closes


def test_a_year_has_its_holidays_and_two_half_days() -> None:
    """PRC-04: one year with both clock changes and its half days."""
    calendar = LibraryCalendar()
    days = calendar.days(date(2026, 1, 1), date(2026, 12, 31))
    lengths = [(day.closes - day.opens) // timedelta(minutes=1) for day in days]

    assert len(days) == 251
    assert sorted(set(lengths)) == [210, 390]
    assert lengths.count(210) == 2
