"""When an expression of EventBridge Scheduler fires.

A rate fires on whole periods since 1970, so that every minute's schedule fires on the minute. A cron expression is
read in its zone's local time, as AWS does: a local time that a clock change skips does not fire, and one that it
repeats fires once, the first time. croniter walks the local times; what the two notations read differently (numbers of
weekdays, L, W, #) is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

from local_stack.cloud.template import NotPlayed

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LONGEST_JUMP: Final = timedelta(hours=3)
"""More than a clock change moves a clock."""
_RATE: Final = re.compile(r"rate\(([1-9]\d*) (minute|minutes|hour|hours|day|days)\)")
_CRON: Final = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_UNITS: Final = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
_NUMBERS: Final = re.compile(r"[\d*/,-]+")
_MONTHS: Final = re.compile(r"[\dA-Z*/,-]+")
_WEEKDAYS: Final = re.compile(r"[A-Z*,-]+")


class Expression(Protocol):
    """A rule of firing."""

    def after(self, instant: datetime) -> Iterator[datetime]:
        """Give the instants after this one, in order, as aware UTC; it may have an end."""
        ...


def read_expression(text: str, zone: str) -> Expression:
    """Read rate(...) or cron(...)."""
    try:
        if (rate := _RATE.fullmatch(text)) is not None:
            return _Rate(int(rate[1]) * _UNITS[rate[2].removesuffix("s")])
        if (cron := _CRON.fullmatch(text)) is not None:
            return _Cron(_converted(cron.groups()), ZoneInfo(zone))
    except (CroniterBadCronError, ZoneInfoNotFoundError) as error:
        raise NotPlayed(f"the schedule {text} in {zone}: {error}") from error
    except NotPlayed as error:
        raise NotPlayed(f"the schedule {text}: {error}") from error
    raise NotPlayed(f"the schedule {text}")


class _Rate:
    def __init__(self, period: timedelta) -> None:
        self._period = period

    def after(self, instant: datetime) -> Iterator[datetime]:
        fire = EPOCH + ((instant - EPOCH) // self._period + 1) * self._period
        while True:
            yield fire
            fire += self._period


class _Cron:
    def __init__(self, expression: str, zone: ZoneInfo) -> None:
        self._expression = expression
        self._zone = zone
        croniter(expression)

    def after(self, instant: datetime) -> Iterator[datetime]:
        start = instant.astimezone(self._zone).replace(tzinfo=None) - LONGEST_JUMP
        local_times = croniter(self._expression, start, ret_type=datetime)
        with suppress(CroniterBadDateError):  # the years are over
            while True:
                local: datetime = local_times.get_next()
                fire = local.replace(tzinfo=self._zone).astimezone(UTC)
                exists = fire.astimezone(self._zone).replace(tzinfo=None) == local
                if exists and fire > instant:
                    yield fire


def _converted(fields: tuple[str, ...]) -> str:
    """Turn AWS's minutes, hours, days, months, weekdays and years into croniter's order, seconds before years."""
    minute, hour, day, month, weekday, year = fields
    if (day == "?") == (weekday == "?"):
        raise NotPlayed("exactly one of the days and the weekdays must be ?")
    day, weekday = day.replace("?", "*"), weekday.replace("?", "*")
    for text, form in ((minute, _NUMBERS), (hour, _NUMBERS), (day, _NUMBERS), (month, _MONTHS), (year, _NUMBERS)):
        if not form.fullmatch(text):
            raise NotPlayed(f"the field {text}")
    if not _WEEKDAYS.fullmatch(weekday):
        raise NotPlayed(f"the weekdays {weekday}; only names like MON-FRI mean the same everywhere")
    return f"{minute} {hour} {day} {month} {weekday} 0 {year}"
