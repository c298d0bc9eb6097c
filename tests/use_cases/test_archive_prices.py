"""Archiving: each finished hour once, late ones caught up, a failing one told after the others are done (PRC-03)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.alerts import AlertKind
from shared.domain.errors import Throttled, TryAgain, Unavailable
from shared.domain.quotes import NO_DOUBTS, JudgedQuote
from shared.domain.times import Tick
from shared.use_cases.archive_prices import finished_hours
from tests.fakes.desk import Desk
from tests.fakes.venue import MINUTE, TSLA

HOUR = timedelta(hours=1)
EVENING = datetime(2026, 2, 4, 22, 5, tzinfo=UTC)
"""Five past the hour, an hour after the close."""
DOWN = Unavailable("no route")


def price(desk: Desk, at: datetime) -> None:
    quote = JudgedQuote(
        TSLA, Decimal(100), Decimal(99), Decimal(101), at, "bars", NO_DOUBTS, Decimal(100), at, None, None
    )
    assert desk.world.prices.put_minute(Tick(scheduled=at), {TSLA: quote})


def desk_with(minutes: Iterable[datetime], at: datetime = EVENING) -> Desk:
    desk = Desk(start=at, blank=True)
    for minute in minutes:
        price(desk, minute)
    return desk


def hour(of_day: int) -> datetime:
    return EVENING.replace(hour=of_day, minute=0)


def archive(desk: Desk) -> list[int]:
    return [at.hour for at in desk.use.archive_prices(desk.tick).archived]


def a_day() -> list[datetime]:
    return [hour(14) + timedelta(minutes=30) + n * MINUTE for n in range(391)]


def test_each_finished_hour_that_has_prices_is_archived_as_it_was_stored() -> None:
    desk = desk_with(a_day())

    assert archive(desk) == [14, 15, 16, 17, 18, 19, 20, 21]

    kept = [minute for of_day in range(24) for minute in desk.world.archive.get(hour(of_day)) or ()]
    assert kept == list(desk.world.prices.window(hour(0), EVENING))
    assert len(kept) == 391
    assert not desk.world.archive.has(hour(13))


def test_a_second_run_changes_nothing() -> None:
    desk = desk_with(a_day())
    archive(desk)

    assert archive(desk) == []

    assert desk.faults.count("archive.put") == 8
    assert desk.heard() == []


def test_an_hour_that_runs_is_left_until_it_is_over_and_its_last_tick_had_its_time() -> None:
    desk = desk_with([hour(21) + timedelta(minutes=50)], at=hour(21) + timedelta(minutes=55))
    assert archive(desk) == []
    desk.clock.set(hour(22) + timedelta(minutes=2))
    assert archive(desk) == []

    desk.clock.set(hour(22) + timedelta(minutes=3))

    assert archive(desk) == [21]


def test_a_late_run_catches_up_with_a_day_and_not_more() -> None:
    desk = desk_with([hour(21), hour(22)], at=hour(22) + timedelta(days=1, minutes=5))

    assert archive(desk) == [22]


@pytest.mark.parametrize("call", ["archive.has", "archive.put", "prices.window"])
@pytest.mark.parametrize("error", [DOWN, Throttled("slow down", timedelta(seconds=5))])
def test_an_hour_that_fails_is_told_after_the_others_are_done_and_made_up_for_later(call: str, error: TryAgain) -> None:
    desk = desk_with(a_day())
    desk.faults.fail(call, error, when=lambda at, *_: at == hour(16))

    with pytest.raises(Unavailable, match="T16:00:00Z"):
        archive(desk)

    assert [of_day for of_day in range(24) if desk.world.archive.has(hour(of_day))] == [14, 15, 17, 18, 19, 20, 21]
    [alert] = desk.heard()
    assert (alert.kind, alert.subject) == (AlertKind.SYSTEM_ERROR, "archive_prices")
    desk.faults.mend()
    assert archive(desk) == [16]


def test_a_lost_answer_of_the_archive_is_made_up_for_by_the_next_run() -> None:
    desk = desk_with(a_day())
    desk.faults.fail("archive.put", DOWN, times=1, answer_lost=True)
    with pytest.raises(Unavailable):
        archive(desk)

    assert archive(desk) == []
    assert desk.world.archive.has(hour(14))


@given(seconds=st.integers(0, 3 * 86_400))
def test_finished_hours_are_twenty_four_full_ones_in_a_row_that_end_by_now(seconds: int) -> None:
    now = EVENING + timedelta(seconds=seconds)
    hours = finished_hours(now)

    assert len(hours) == 24
    assert all(at == at.replace(minute=0, second=0, microsecond=0) for at in hours)
    assert [at + HOUR for at in hours[:-1]] == hours[1:]
    assert hours[-1] + HOUR <= now < hours[-1] + 2 * HOUR + timedelta(minutes=3)
