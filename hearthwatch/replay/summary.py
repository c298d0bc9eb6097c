"""The summary of a replay that a person reads in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from rich.console import Console
from rich.table import Table

from hearthwatch.replay.report import Report
from shared.domain.money import ZERO, round_to_cent

_SHOWN: Final = 30
"""Rows shown per table; the report holds them all."""
_NAMED: Final = 12
_NUMBERS: Final = frozenset({"change", "from", "to", "price", "merged"})

Clock = Callable[[str], str]
"""Writes a report's time as short as the range allows."""


def print_summary(report: Report, alert_texts: Sequence[str], console: Console, *, did: str = "Replayed") -> None:
    """Print what was replayed (`did` is the word for it), what moved, what was sold and how the account ended.

    `alert_texts` are the messages of the report's alerts, in their order.
    """
    span, end, pnl = report["range"], report["end"], report["pnl"]
    one_day = span["from"] == span["to"]
    days = span["from"] if one_day else f"{span['from']} to {span['to']}"
    symbols = ", ".join(report["symbols"][:_NAMED]) + (", ..." if len(report["symbols"]) > _NAMED else "")
    _say(console, f"[bold]{did} {days}[/bold] in {report['ticks']} ticks: {symbols} (times are UTC)")
    console.print()
    clock = _clock if one_day else _day_and_clock
    _print(console, "Moves", ["at", "symbol", "change", "from", "to"], [_move(m, clock) for m in report["moves"]])
    orders = {order["id"]: order for order in report["orders"]}
    columns = ["at", "symbol", "order", "why", "filled", "price", "state"]
    rows = [_intent(intent, orders.get(intent["id"], {}), clock) for intent in report["intents"]]
    _print(console, "Sold and bought", columns, rows)
    alerts = [_alert(alert, text, clock) for alert, text in zip(report["alerts"], alert_texts, strict=True)]
    _print(console, "Alerts", ["at", "severity", "told by", "merged", "text"], alerts)
    held = ", ".join(f"{position['quantity']} {position['symbol']}" for position in end["positions"]) or "nothing"
    _say(
        console, f"[bold]At the end[/bold] {held} held, cash {_dollars(end['cash'])}, equity {_dollars(end['equity'])}"
    )
    _say(console, f"Realised {_dollars(pnl['realised'])}, open {_dollars(pnl['unrealised'])}")
    for error in report["errors"]:
        _say(console, f"[red]error[/red] {error}")
    _say(console, f"{report['wall_seconds']:.2f} s, {report['ticks_per_second']:,.0f} ticks a second")


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)


def _print(console: Console, title: str, columns: list[str], rows: list[list[str]]) -> None:
    if not rows:
        _say(console, f"[bold]{title}[/bold]: none")
        return
    table = Table(
        title=title, title_justify="left", title_style="bold", header_style="dim", box=None, padding=(0, 2, 0, 0)
    )
    for column in columns:
        table.add_column(column, justify="right" if column in _NUMBERS else "left", no_wrap=column != "text")
    for row in rows[:_SHOWN]:
        table.add_row(*row)
    console.print(table)
    console.print()
    if len(rows) > _SHOWN:
        _say(console, f"... and {len(rows) - _SHOWN} more in the report")


def _move(move: Report, clock: Clock) -> list[str]:
    return [clock(move["at"]), move["symbol"], f"{move['change_pct']:+.2f} %", move["from_price"], move["price"]]


def _intent(intent: Report, order: Report, clock: Clock) -> list[str]:
    return [
        clock(intent["at"]),
        intent["symbol"],
        f"{intent['side']} {intent['quantity']}",
        intent["reason"].replace("_", " "),
        clock(order["filled_at"]) if order.get("filled_at") else "-",
        order.get("fill_price") or "-",
        intent["state"].replace("_", " ").lower(),
    ]


def _alert(alert: Report, text: str, clock: Clock) -> list[str]:
    told = ", ".join(alert["channels"]) or "nobody yet"
    return [clock(alert["at"]), alert["severity"], told, str(alert["suppressed"]), text]


def _clock(iso_time: str) -> str:
    return iso_time[11:].removesuffix("Z").removesuffix(":00")


def _day_and_clock(iso_time: str) -> str:
    """Leave the year to the first line."""
    return f"{iso_time[5:10]} {_clock(iso_time)}"


def _dollars(amount: str) -> str:
    rounded = round_to_cent(Decimal(amount))
    return f"{'-' if rounded < ZERO else ''}${abs(rounded):,}"
