"""One file of bars: `ts,open,high,low,close[,volume]` with `ts` the bar's start, or a day for a daily bar.

Decided: a bar ends one bar length after its start, and both ends are clipped to the session, so an hourly bar stamped
09:00 New York covers 09:30 to 10:00. Bars wholly outside the regular session are dropped and counted. A file without
volume, or with nothing but zeros there, has volume None: not recorded is not the same as nothing traded.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import partial
from itertools import repeat
from operator import le
from pathlib import Path
from typing import Final, cast
from zoneinfo import ZoneInfo

from shared.adapters.bar_files.table import (
    BarFileError,
    Row,
    Table,
    bar_length,
    check_day,
    check_number,
    check_start,
    check_width,
    parse_day,
    read_table,
    refused,
    utc_starts,
)
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.money import ZERO, plain
from shared.ports.broker import ExchangeCalendar

ONE_DAY: Final = timedelta(days=1)
"""The bar length of daily bars."""

_PRICES: Final = ("open", "high", "low", "close")
_HEADERS: Final = (("ts", *_PRICES, "volume"), ("ts", *_PRICES))
_NEW_YORK: Final = ZoneInfo("America/New_York")
_PRICE: Final = "a price above zero"
_VOLUME: Final = "a volume of zero or more"

_bar = cast(Callable[[Iterable[object]], Bar], partial(tuple.__new__, Bar))
"""Makes a Bar of its fields without the keyword machinery: half the cost, and this runs once per row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BarFile:
    """What one file holds of the range asked for; `covers` names the days of the whole file."""

    path: Path
    symbol: Symbol
    interval: timedelta
    bars: Sequence[Bar]
    outside_session: int
    covers: str


@dataclass(frozen=True, slots=True)
class _Columns:
    """The checked columns of a file, all of one length."""

    opens: Sequence[Decimal]
    highs: Sequence[Decimal]
    lows: Sequence[Decimal]
    closes: Sequence[Decimal]
    volumes: Sequence[Decimal] | None

    def bars(self, symbol: Symbol, starts: Sequence[datetime], ends: Sequence[datetime], first: int) -> Iterable[Bar]:
        """Make bars of the rows from `first` on, one per start."""
        rows = slice(first, first + len(starts))
        volumes = repeat(None) if self.volumes is None else self.volumes[rows]
        prices = (self.opens[rows], self.highs[rows], self.lows[rows], self.closes[rows])
        return map(_bar, zip(repeat(symbol), starts, ends, *prices, volumes, strict=False))


def read_bars(
    path: Path, symbol: Symbol, calendar: ExchangeCalendar, *, first: date | None = None, last: date | None = None
) -> BarFile:
    """Read a file's bars of the New York days from `first` to `last`, both included.

    Raises BarFileError naming file, line, field and value at the first thing in the range that is not right.
    """
    whole = read_table(path)
    if whole.header not in _HEADERS:
        raise BarFileError(f"{path}, line 1: header {','.join(whole.header)!r}, expected {','.join(_HEADERS[0])}")
    by_day = whole.stamped_by_day
    if not whole.plain:
        _explain(whole, by_day, timedelta(0))
    interval = ONE_DAY if by_day else _interval(whole)
    table = whole.between(first, last)
    bars: list[Bar] = []
    outside = 0
    if table.lines and by_day:
        bars, outside = _daily(table, whole, symbol, calendar, first or date.min, last or date.max)
    elif table.lines:
        bars, outside = _intraday(table, whole, symbol, interval, calendar, first or date.min, last or date.max)
    return BarFile(
        path=path, symbol=symbol, interval=interval, bars=bars, outside_session=outside, covers=whole.covers()
    )


def _interval(table: Table) -> timedelta:
    try:
        return bar_length(table)
    except BarFileError:
        _explain(table, False, timedelta(0))
        raise


def _intraday(
    table: Table,
    whole: Table,
    symbol: Symbol,
    interval: timedelta,
    calendar: ExchangeCalendar,
    first: date,
    last: date,
) -> tuple[list[Bar], int]:
    """Make bars of the rows that touch a session, and count the rows of the range that touch none."""
    try:
        stamps, columns = _columns(table, whole)
        starts = utc_starts(stamps)
        ends = [start + interval for start in starts]
        if not all(map(le, ends, starts[1:])):
            raise ValueError("rows overlap")
    except (ValueError, InvalidOperation) as problem:
        _explain(table, False, interval)
        raise BarFileError(f"{table.path}: not usable as bars ({problem})") from problem
    first, last = max(first, _new_york_day(starts[0])), min(last, _new_york_day(starts[-1]))
    wanted = bisect_right(starts, last, key=_new_york_day) - bisect_left(starts, first, key=_new_york_day)
    bars: list[Bar] = []
    for day in calendar.days(first, last):
        begin, stop = bisect_right(ends, day.opens), bisect_left(starts, day.closes)
        if begin < stop:
            starts[begin] = max(starts[begin], day.opens)
            ends[stop - 1] = min(ends[stop - 1], day.closes)
            bars.extend(columns.bars(symbol, starts[begin:stop], ends[begin:stop], begin))
    return bars, max(0, wanted - len(bars))


def _daily(
    table: Table, whole: Table, symbol: Symbol, calendar: ExchangeCalendar, first: date, last: date
) -> tuple[list[Bar], int]:
    """Make a session's bar of every row stamped with a trading day, and count the other rows of the range."""
    try:
        stamps, columns = _columns(table, whole)
        dates = [parse_day(stamp) for stamp in stamps]
        if any(map(le, dates[1:], dates)):
            raise ValueError("rows are not in order")
    except (ValueError, InvalidOperation) as problem:
        _explain(table, True, ONE_DAY)
        raise BarFileError(f"{table.path}: not usable as bars ({problem})") from problem
    first, last = max(first, dates[0]), min(last, dates[-1])
    sessions = {day.date: day for day in calendar.days(first, last)}
    bars: list[Bar] = []
    for row, day in enumerate(map(sessions.get, dates)):
        if day is not None:
            bars.extend(columns.bars(symbol, [day.opens], [day.closes], row))
    return bars, sum(first <= day <= last for day in dates) - len(bars)


def _new_york_day(instant: datetime) -> date:
    return instant.astimezone(_NEW_YORK).date()


def _columns(table: Table, whole: Table) -> tuple[Sequence[str], _Columns]:
    """Parse the columns and check them as a whole; raises ValueError or InvalidOperation when anything is wrong."""
    texts = table.columns()
    if len(texts) != len(table.header):
        raise ValueError("the number of columns is wrong")
    opens, highs, lows, closes = (list(map(Decimal, column)) for column in texts[1:5])
    sane = all(map(le, lows, opens)) and all(map(le, lows, closes))
    sane = sane and all(map(le, opens, highs)) and all(map(le, closes, highs))
    if not sane or min(lows) <= ZERO or not max(highs).is_finite():
        raise ValueError("a price is not sane")
    volumes = list(map(Decimal, texts[5])) if len(texts) == len(_HEADERS[0]) else None
    if volumes is not None and (min(volumes) < ZERO or not max(volumes).is_finite()):
        raise ValueError("a volume is not sane")
    if volumes is not None and not any(volumes) and not _trades(whole):
        volumes = None
    return texts[0], _Columns(opens, highs, lows, closes, volumes)


def _trades(table: Table) -> bool:
    """Say whether the file has a volume anywhere."""
    return any(line.rpartition(",")[2].strip('0."') for line in table.lines)


def _explain(table: Table, by_day: bool, step: timedelta) -> None:
    """Walk the rows and raise at the first that is not right, naming line, field, value and what was expected."""
    day: date | None = None
    start: datetime | None = None
    for row in table.rows():
        check_width(table, row)
        if by_day:
            day = check_day(table, row, day)
        else:
            start = check_start(table, row, start, step)
        _check_prices(table, row)
        if table.header[-1] == "volume" and check_number(table, row, "volume", _VOLUME) < ZERO:
            raise refused(table.path, row.line, "volume", row.cells[-1], _VOLUME)


def _check_prices(table: Table, row: Row) -> None:
    prices = {}
    for place, field in enumerate(_PRICES, start=1):
        prices[field] = check_number(table, row, field, _PRICE)
        if prices[field] <= ZERO:
            raise refused(table.path, row.line, field, row.cells[place], _PRICE)
    bound = max(prices["open"], prices["close"], prices["low"])
    if prices["high"] < bound:
        expected = f"a price not below open, low and close, here {plain(bound)}"
        raise refused(table.path, row.line, "high", row.cells[2], expected)
    bound = min(prices["open"], prices["close"])
    if prices["low"] > bound:
        expected = f"a price not above open and close, here {plain(bound)}"
        raise refused(table.path, row.line, "low", row.cells[3], expected)
