"""An exchange's published sessions, holidays and early closes.

Decided: the package (and pandas behind it) is imported at the first question, not before: it takes a third of a
second, and most processes never ask. One construction covers 2000 to 2031, as a longer span costs no more; a question
beyond widens it. Sessions are turned into our values a year at a time. Closures that nobody planned are not in a
calendar: that is what the broker's clock is for.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime
from operator import attrgetter
from typing import Any, Final

from shared.domain.errors import InvalidValue
from shared.domain.session import TradingDay

NEW_YORK: Final = "XNYS"

_EARLIEST: Final = 1970
_LATEST: Final = 2100
_date = attrgetter("date")


class LibraryCalendar:
    """The calendar of one exchange, named by its market identifier code."""

    def __init__(self, exchange: str = NEW_YORK) -> None:
        self._exchange = exchange
        self._built: Any = None
        self._span = (2000, 2031)
        self._years: dict[int, list[TradingDay]] = {}
        self._answers: dict[tuple[date, date], list[TradingDay]] = {}

    def days(self, first: date, last: date) -> Sequence[TradingDay]:
        asked = first, last
        known = self._answers.get(asked)
        if known is None:
            known = self._answers[asked] = self._find(first, last)
        return known

    def _find(self, first: date, last: date) -> list[TradingDay]:
        if first > last:
            return []
        sessions = self._year(first.year)
        if first.year != last.year:
            sessions = [day for year in range(first.year, last.year + 1) for day in self._year(year)]
        return sessions[bisect_left(sessions, first, key=_date) : bisect_right(sessions, last, key=_date)]

    def _year(self, year: int) -> list[TradingDay]:
        known = self._years.get(year)
        if known is None:
            known = self._years[year] = self._read_year(year)
        return known

    def _read_year(self, year: int) -> list[TradingDay]:
        if not _EARLIEST <= year <= _LATEST:
            raise InvalidValue("year", year, f"a year from {_EARLIEST} to {_LATEST}")
        earliest, latest = self._span
        if self._built is None or not earliest <= year <= latest:
            self._span = (min(earliest, year), max(latest, year))
            self._built = self._build()
        schedule = self._built.schedule.loc[f"{year}-01-01" : f"{year}-12-31"]
        return [
            TradingDay(date=session.date(), opens=_utc(opens), closes=_utc(closes))
            for session, opens, closes in zip(schedule.index, schedule["open"], schedule["close"], strict=True)
        ]

    def _build(self) -> Any:
        from exchange_calendars import errors, get_calendar

        earliest, latest = self._span
        try:
            return get_calendar(self._exchange, start=f"{earliest}-01-01", end=f"{latest}-12-31")
        except errors.InvalidCalendarName as problem:
            raise InvalidValue("exchange", self._exchange, "a market identifier code such as XNYS") from problem


def _utc(stamp: Any) -> datetime:
    at: datetime = stamp.to_pydatetime()
    return at.astimezone(UTC)
