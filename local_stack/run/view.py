"""The live view of a run in the terminal: one screen that fits, drawn from a snapshot and nothing else.

Decided: no frames, because rows are scarce at 80 by 24. What a screen cannot hold is left out from the old end, and
what a column cannot hold is cut with dots; the page and the files have it all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from local_stack.exchange.market import NEW_YORK
from local_stack.run.snapshot import (
    Part,
    ShownAlert,
    ShownOrder,
    ShownPosition,
    ShownSchedule,
    Snapshot,
)
from shared.domain.money import plain
from shared.domain.trading_state import Mode

SMALLEST: Final = (80, 24)
"""Columns and rows below which nothing is made to fit."""

_FIXED_ROWS: Final = 14
"""Rows that are there whatever there is to show: head, titles, blank rows, the foot."""
_MOST: Final = {"positions": 12, "orders": 8}
_SEVERITY_STYLES: Final = {"critical": "bold red", "warning": "yellow", "info": ""}
_MODE_STYLES: Final = {Mode.ACTIVE: "bold green", Mode.REDUCING: "bold yellow", Mode.HALTED: "bold red"}
_NAMED: Final = 2
"""Functions of one minute that a narrow screen names; more are counted."""
_NEAR: Final = Decimal(3)
"""Percent to the stop from which a distance is marked."""


def draw(snapshot: Snapshot, width: int, height: int) -> RenderableType:
    """Lay a snapshot out on a screen of this size, its last row left free for the cursor."""
    positions, alerts, orders = _rows(snapshot, max(height, SMALLEST[1]))
    wide = width >= 110
    return Group(
        *_head(snapshot, wide=wide),
        Text(),
        _positions(snapshot.positions, positions),
        Text(),
        _alerts(snapshot.alerts, alerts),
        Text(),
        _orders(snapshot.orders, orders),
        Text(),
        _schedules(snapshot.schedules, snapshot.now, wide),
        _foot(snapshot),
    )


def _rows(snapshot: Snapshot, height: int) -> tuple[int, int, int]:
    """Share the free rows out: first to positions, then to orders, what is left to alerts; an empty list needs one."""
    free = height - _FIXED_ROWS - 1
    positions = min(max(len(snapshot.positions), 1), _MOST["positions"], free - 4)
    orders = min(max(len(snapshot.orders), 1), _MOST["orders"], max(2, (free - positions) // 2))
    return positions, max(free - positions - orders, 1), orders


def _head(snapshot: Snapshot, *, wide: bool) -> list[RenderableType]:
    there = snapshot.now.astimezone(NEW_YORK)
    title = Text.assemble(
        ("Hearthwatch ", "bold"),
        (f" {snapshot.stage} ", "reverse bold red" if snapshot.stage == "LIVE" else "reverse"),
        f"  {there:%a %Y-%m-%d} ",
        (f"{there:%H:%M}", "bold"),
        f" New York, {snapshot.now:%H:%M} UTC",
    )
    in_all = "" if snapshot.ticks_in_all is None else f" of {snapshot.ticks_in_all}"
    title.append(f"  {snapshot.speed}", style="dim")
    session = f"Session {snapshot.session}; tick {snapshot.ticks}{in_all}; account {_short(snapshot.account, wide)}"
    return [
        _line(title),
        _line(Text(session)),
        _line(_parts(snapshot.parts)),
        _line(_state(snapshot)),
        _line(_figures(snapshot)),
    ]


def _figures(snapshot: Snapshot) -> Text:
    cash, equity, covered = dollars(snapshot.cash), dollars(snapshot.equity), snapshot.coverage
    text = Text.assemble("Cash ", (cash, "bold"), "  Equity ", (equity, "bold"))
    if covered is not None:
        text.append(f"  Coverage % broker {covered.broker_pct:.0f}, software {covered.software_pct:.0f}, ")
        text.append(f"none {covered.none_pct:.0f}", style="bold red" if covered.none_pct else "")
    return text


def _short(account: str, wide: bool) -> str:
    return account if wide or len(account) <= 8 else f"{account[:8]}..."


def _parts(parts: Sequence[Part]) -> Text:
    text = Text()
    for number, part in enumerate(parts):
        text.append("  " if number else "")
        text.append(f"{part.name} ", style="dim")
        text.append(f"{part.what} (real)" if part.is_real else part.what, style="bold magenta" if part.is_real else "")
    return text


def _state(snapshot: Snapshot) -> Text:
    text, state = Text("Trading "), snapshot.state
    if state is None:
        text.append("not judged yet", style="dim")
    else:
        text.append(state.mode.name, style=_MODE_STYLES[state.mode])
        reasons = ", ".join(sorted(state.reasons)).replace("_", " ") or "nothing restricts it"
        text.append(f" ({state.level.name.replace('_', ' ')}): {reasons}")
    return text.append(f"  Models {snapshot.models}" if snapshot.models else "")


def _positions(positions: Sequence[ShownPosition], rows: int) -> Table:
    columns = ["held", "quantity", "entry", "last", "stop", "to stop", "P/L", "covered by"]
    table = _table(columns, numbers=frozenset(columns[1:7]))
    for position in positions[:rows]:
        table.add_row(*_position(position))
    if not positions:
        table.add_row("nothing", *[""] * 7)
    return _left_out(table, len(positions) - rows)


def _position(position: ShownPosition) -> list[RenderableType]:
    distance, gain = position.distance_pct, position.gain
    near = distance is not None and distance < _NEAR
    return [
        Text(position.symbol, style="bold"),
        plain(position.quantity),
        _price(position.entry),
        Text("no price", style="bold red") if position.last is None else _price(position.last),
        _price(position.stop),
        Text("-" if distance is None else f"{distance:.1f} %", style="bold yellow" if near else ""),
        Text("-" if gain is None else _gain(gain), style="" if gain is None else "green" if gain >= 0 else "red"),
        Text(position.covered_by, style="bold red" if position.is_bare else ""),
    ]


def _alerts(alerts: Sequence[ShownAlert], rows: int) -> Table:
    table = _table(["told", "severity", "by", "what"], stretched="what")
    for alert in reversed(alerts[-rows:]):
        told = ", ".join(alert.channels) or "nobody yet"
        severity = Text(alert.severity, style=_SEVERITY_STYLES.get(alert.severity, ""))
        table.add_row(_clock(alert.at), severity, told, Text(" ".join(alert.text.split())))
    if not alerts:
        table.add_row("nothing", "", "", "")
    return table


def _orders(orders: Sequence[ShownOrder], rows: int) -> Table:
    table = _table(["ordered", "symbol", "order", "filled", "price", "state"], numbers=frozenset({"filled", "price"}))
    for order in reversed(orders[-rows:]):
        price = "-" if order.price is None else _price(order.price)
        state = order.state.replace("_", " ").lower()
        table.add_row(
            _clock(order.at), Text(order.symbol, style="bold"), order.wanted, plain(order.filled), price, state
        )
    if not orders:
        table.add_row("nothing", *[""] * 5)
    return table


def _schedules(schedules: Iterable[ShownSchedule], now: datetime, wide: bool) -> Text:
    at: dict[datetime, list[str]] = {}
    for schedule in schedules:
        at.setdefault(schedule.next_at, []).append(schedule.name)
    parts = [f"{_clock(moment, now)} {_names(at[moment], wide)}" for moment in sorted(at)]
    return _line(Text.assemble(("Next ", "dim"), "; ".join(parts)))


def _names(names: Sequence[str], wide: bool) -> str:
    return ", ".join(names) if wide or len(names) <= _NAMED else f"{len(names)} functions"


def _foot(snapshot: Snapshot) -> Text:
    if snapshot.errors:
        return _line(Text(f"Errors {len(snapshot.errors)}, last: {snapshot.errors[-1]}", style="bold red"))
    where = f"Messages: {snapshot.page}  " if snapshot.page else ""
    return _line(Text(f"{where}Ctrl-C stops and keeps the state", style="dim"))


def _table(columns: Sequence[str], *, numbers: frozenset[str] = frozenset(), stretched: str = "") -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=bool(stretched))
    for column in columns:
        table.add_column(
            column,
            justify="right" if column in numbers else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if column == stretched else None,
        )
    return table


def _left_out(table: Table, count: int) -> Table:
    if count > 0:
        table.columns[0].header = f"held (+{count})"
    return table


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def dollars(amount: Decimal) -> str:
    """Write dollars with cents and commas."""
    sign = "-" if amount < 0 else ""
    return f"{sign}${abs(amount):,.2f}"


def _gain(amount: Decimal) -> str:
    return f"{'+' if amount >= 0 else '-'}{abs(amount):,.2f}"


def _price(price: Decimal) -> str:
    return f"{price:,.2f}" if price >= 1 else f"{price:,.4f}"


def _clock(at: datetime, now: datetime | None = None) -> str:
    """Write a time of day as New York has it, with its weekday when it is not today."""
    there = at.astimezone(NEW_YORK)
    is_today = now is None or there.date() == now.astimezone(NEW_YORK).date()
    return f"{there:%H:%M}" if is_today else f"{there:%a %H:%M}"
