"""Splits and dividends from a file: `symbol,ex_date,type,ratio,cash_amount`.

A split needs its ratio (new shares for one old) and a dividend its cash amount in dollars a share; the other cell is
left empty.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Final

from shared.adapters.bar_files.table import (
    DAY,
    BarFileError,
    Row,
    Table,
    check_number,
    check_width,
    parse_day,
    read_table,
    refused,
)
from shared.domain.assets import admit_symbol
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.errors import InvalidValue
from shared.domain.money import ONE, ZERO

_HEADER: Final = ("symbol", "ex_date", "type", "ratio", "cash_amount")
_NEEDED: Final = {ActionKind.SPLIT: "ratio", ActionKind.DIVIDEND: "cash_amount"}


def read_corporate_actions(path: Path) -> tuple[CorporateAction, ...]:
    """Read a file's actions in its order; raises BarFileError naming file, line, field and value."""
    table = read_table(path)
    if table.header != _HEADER:
        raise BarFileError(f"{path}, line 1: header {','.join(table.header)!r}, expected {','.join(_HEADER)}")
    return tuple(_action(table, row) for row in table.rows())


def _action(table: Table, row: Row) -> CorporateAction:
    check_width(table, row)
    symbol, ex_date, kind = row.cells[:3]
    try:
        admitted = admit_symbol(symbol)
    except InvalidValue as problem:
        raise refused(table.path, row.line, "symbol", symbol, problem.expected) from problem
    try:
        day = parse_day(ex_date)
    except ValueError as problem:
        raise refused(table.path, row.line, "ex_date", ex_date, DAY) from problem
    if kind not in _NEEDED:
        raise refused(table.path, row.line, "type", kind, "split or dividend")
    ratio = _amount(table, row, "ratio", kind == ActionKind.SPLIT, ONE)
    cash = _amount(table, row, "cash_amount", kind == ActionKind.DIVIDEND, ZERO)
    return CorporateAction(symbol=admitted, ex_date=day, kind=ActionKind(kind), ratio=ratio, cash_amount=cash)


def _amount(table: Table, row: Row, field: str, needed: bool, otherwise: Decimal) -> Decimal:
    text = row.cells[table.header.index(field)]
    if not text and not needed:
        return otherwise
    amount = check_number(table, row, field, "a number above zero")
    if amount == ZERO and not needed:
        return otherwise
    if amount <= ZERO:
        raise refused(table.path, row.line, field, text, "a number above zero")
    return amount
