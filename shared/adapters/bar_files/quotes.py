"""Recorded quotes: `<symbol>..._quotes.csv[.gz]` files with the bid and ask of every bar.

Of each bar only the last bid and ask count, and they are known at its end. Quotes outside the regular session are
left out. A crossed or absent side is kept as it is: the freshness contract judges it, as it does a live one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from shared.adapters.bar_files.table import (
    BarFileError,
    Row,
    Table,
    bar_length,
    check_number,
    check_start,
    check_width,
    read_table,
    refused,
)
from shared.domain.assets import Symbol
from shared.domain.money import ZERO
from shared.domain.quotes import Quote
from shared.domain.session import trading_day_at
from shared.ports.broker import ExchangeCalendar

FEED: Final = "quotes"

_FIELDS: Final = ("bid_close", "ask_close")
_PRICE: Final = "a price of zero or more, or nothing"


def read_quotes(
    path: Path, symbol: Symbol, calendar: ExchangeCalendar, *, first: date | None = None, last: date | None = None
) -> Sequence[Quote]:
    """Read a file's quotes of the New York days from `first` to `last`, oldest first.

    Raises BarFileError naming file, line, field and value at the first thing in the range that is not right.
    """
    whole = read_table(path)
    missing = [field for field in ("ts", *_FIELDS) if field not in whole.header]
    if missing or whole.header[0] != "ts":
        raise BarFileError(
            f"{path}, line 1: header {','.join(whole.header)!r}, expected ts first, and bid_close and ask_close"
        )
    step = bar_length(whole)
    quotes: list[Quote] = []
    start: datetime | None = None
    day = None
    for row in whole.between(first, last).rows():
        check_width(whole, row)
        start = check_start(whole, row, start, step)
        bid, ask = (_price(whole, row, field) for field in _FIELDS)
        if day is None or not day.is_open_at(start):
            days = calendar.days(max(start.date(), first or start.date()), min(start.date(), last or start.date()))
            day = trading_day_at(days, start)
        if day is not None:
            quotes.append(Quote(symbol, bid, ask, None, min(start + step, day.closes), None, FEED))
    return quotes


def _price(table: Table, row: Row, field: str) -> Decimal | None:
    text = row.cells[table.header.index(field)]
    if not text:
        return None
    price = check_number(table, row, field, _PRICE)
    if price < ZERO:
        raise refused(table.path, row.line, field, text, _PRICE)
    return price
