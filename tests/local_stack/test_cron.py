"""Expressions fire when EventBridge Scheduler fires them, clock changes included."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest

from local_stack.cloud.cron import read_expression
from local_stack.cloud.template import NotPlayed

NEW_YORK = ZoneInfo("America/New_York")
MINUTE = timedelta(minutes=1)
WEEKENDS = {
    "New York springs forward": (date(2026, 3, 7), "America/New_York"),
    "Europe springs forward": (date(2026, 3, 28), "Europe/Berlin"),
    "Europe falls back": (date(2026, 10, 24), "Europe/Berlin"),
    "New York falls back": (date(2026, 10, 31), "America/New_York"),
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(expression: str, start: datetime, until: datetime, zone: str = "UTC") -> list[datetime]:
    return list(takewhile(lambda fire: fire <= until, read_expression(expression, zone).after(start)))


@pytest.mark.parametrize("weekend", WEEKENDS)
@pytest.mark.parametrize("expression", ["rate(1 minute)", "cron(* * * * ? *)"])
def test_every_minute_fires_once_through_a_clock_change(weekend: str, expression: str) -> None:
    day, _ = WEEKENDS[weekend]
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    expected = [start + n * MINUTE for n in range(1, 3 * 24 * 60 + 1)]
    assert fires(expression, start, start + timedelta(days=3)) == expected


@pytest.mark.parametrize("weekend", WEEKENDS)
def test_a_rate_does_not_know_of_time_zones(weekend: str) -> None:
    day, zone = WEEKENDS[weekend]
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    end = start + timedelta(days=3)
    assert fires("rate(1 minute)", start, end, zone) == fires("rate(1 minute)", start, end)


@pytest.mark.parametrize("weekend", WEEKENDS)
def test_each_local_minute_that_exists_fires_once(weekend: str) -> None:
    day, zone = WEEKENDS[weekend]
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    found = fires("cron(* * * * ? *)", start, start + timedelta(days=3), zone)
    walked = [start + n * MINUTE for n in range(1, 3 * 24 * 60 + 1)]
    local = [minute.astimezone(ZoneInfo(zone)) for minute in walked]
    assert found == [minute.astimezone(UTC) for minute in local if minute.fold == 0]


def test_before_the_open_comes_once_every_weekday_of_a_year() -> None:
    found = fires("cron(30 8 ? * MON-FRI *)", at("2026-01-01"), at("2027-01-01"), "America/New_York")
    local = [fire.astimezone(NEW_YORK) for fire in found]
    assert {(fire.hour, fire.minute) for fire in local} == {(8, 30)}
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    assert [fire.date() for fire in local] == [day for day in days if day.weekday() < 5]
    assert Counter(fire.hour for fire in found).keys() == {12, 13}  # summer and winter


def test_every_day_of_a_year_has_one_fire_at_half_past_eight() -> None:
    found = fires("cron(30 8 * * ? *)", at("2026-01-01"), at("2027-01-01"), "America/New_York")
    assert Counter(fire.astimezone(NEW_YORK).date() for fire in found) == Counter(
        date(2026, 1, 1) + timedelta(days=n) for n in range(365)
    )


def test_a_local_time_that_is_skipped_does_not_fire() -> None:
    found = fires("cron(30 2 * * ? *)", at("2026-03-07T12:00"), at("2026-03-10T00:00"), "America/New_York")
    assert found == [at("2026-03-09T06:30")]


def test_a_local_time_that_is_repeated_fires_the_first_time() -> None:
    found = fires("cron(30 1 * * ? *)", at("2026-10-31T12:00"), at("2026-11-02T00:00"), "America/New_York")
    assert found == [at("2026-11-01T05:30")]


@pytest.mark.parametrize(
    ("expression", "first"),
    [
        ("rate(5 minutes)", ["14:35", "14:40", "14:45"]),
        ("rate(1 hour)", ["15:00", "16:00", "17:00"]),
        ("cron(5 * * * ? *)", ["15:05", "16:05", "17:05"]),
        ("cron(0/20 * * * ? *)", ["14:40", "15:00", "15:20"]),
        ("cron(31,33 14-15 * * ? *)", ["14:31", "14:33", "15:31"]),
        ("cron(40 14 2 MAR ? 2026-2027)", ["14:40"]),
    ],
)
def test_an_expression_fires_from_then_on(expression: str, first: list[str]) -> None:
    found = islice(read_expression(expression, "UTC").after(at("2026-03-02T14:30")), len(first))
    assert [f"{fire:%H:%M}" for fire in found] == first


def test_years_come_to_an_end() -> None:
    assert list(read_expression("cron(0 12 1 1 ? 2026)", "UTC").after(at("2026-01-02"))) == []


def test_nothing_fires_at_the_instant_itself() -> None:
    assert next(read_expression("rate(1 minute)", "UTC").after(at("2026-03-02T14:30"))) == at("2026-03-02T14:31")


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 12 ? * 2-6 *)",
        "cron(0 12 ? * MON#1 *)",
        "cron(0 12 L * ? *)",
        "cron(0 12 15W * ? *)",
        "cron(0 12 ? * 6L *)",
        "cron(0 12 * * * *)",
        "cron(0 12 ? * ? *)",
        "cron(61 12 * * ? *)",
        "cron(0 12 * * ?)",
        "cron(H 12 * * ? *)",
        "rate(0 minutes)",
        "rate(1 week)",
        "at(2026-03-02T14:30:00)",
        "* * * * *",
    ],
)
def test_what_is_read_differently_or_not_at_all_is_named(expression: str) -> None:
    with pytest.raises(NotPlayed) as caught:
        read_expression(expression, "UTC")
    assert expression in str(caught.value)


def test_a_zone_must_exist() -> None:
    with pytest.raises(NotPlayed, match="Mars/Olympus"):
        read_expression("cron(0 12 * * ? *)", "Mars/Olympus")
