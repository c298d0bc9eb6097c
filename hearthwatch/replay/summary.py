"""The summary of a replay that a person reads in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from hearthwatch.replay.report import Report

_SHOWN = 30
"""Rows shown per table; the report holds them all."""


def print_summary(report: Report, console: Console) -> None:
    """Print what was replayed, what moved, what was sold and how the account ended."""
    span, end = report["range"], report["end"]
    days = span["from"] if span["from"] == span["to"] else f"{span['from']} to {span['to']}"
    symbols = ", ".join(report["symbols"][:12]) + (" ..." if len(report["symbols"]) > 12 else "")
    console.print(
        f"[bold]Replayed {days}[/bold]: {report['ticks']} ticks, {len(report['symbols'])} symbols ({symbols})"
    )
    _print(console, "Moves of 5 % and more", ["when (UTC)", "symbol", "change", "from", "to"], _moves(report))
    _print(
        console,
        "Exits and entries",
        ["intended (UTC)", "symbol", "side", "why", "shares", "filled (UTC)", "at", "state"],
        _intents(report),
    )
    _print(console, "Alerts", ["when (UTC)", "kind", "severity", "told by", "repeats merged"], _alerts(report))
    held = ", ".join(f"{p['quantity']} {p['symbol']}" for p in end["positions"]) or "nothing"
    console.print(f"Held at the end: {held}")
    console.print(f"Cash {_dollars(end['cash'])}, equity {_dollars(end['equity'])}", highlight=False)
    pnl = report["pnl"]
    console.print(f"Realised {_dollars(pnl['realised'])}, open {_dollars(pnl['unrealised'])}", highlight=False)
    for error in report["errors"]:
        console.print(f"[red]error[/red] {error}", highlight=False)
    console.print(f"{report['wall_seconds']:.2f} s, {report['ticks_per_second']:,.0f} ticks a second", highlight=False)


def _print(console: Console, title: str, columns: list[str], rows: list[list[str]]) -> None:
    if not rows:
        console.print(f"{title}: none")
        return
    table = Table(title=title, title_justify="left", title_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in ("change", "from", "to", "shares", "at") else "left")
    for row in rows[:_SHOWN]:
        table.add_row(*row)
    console.print(table)
    if len(rows) > _SHOWN:
        console.print(f"... and {len(rows) - _SHOWN} more in the report")


def _moves(report: Report) -> list[list[str]]:
    return [
        [_time(m["at"]), m["symbol"], f"{m['change_pct']:+.2f} %", m["from_price"], m["price"]] for m in report["moves"]
    ]


def _intents(report: Report) -> list[list[str]]:
    orders = {order["id"]: order for order in report["orders"]}
    rows = []
    for intent in report["intents"]:
        order = orders.get(intent["id"], {})
        rows.append(
            [
                _time(intent["at"]),
                intent["symbol"],
                intent["side"],
                intent["reason"].replace("_", " "),
                intent["quantity"],
                _time(order["filled_at"]) if order.get("filled_at") else "-",
                order.get("fill_price") or "-",
                intent["state"].replace("_", " ").lower(),
            ]
        )
    return rows


def _alerts(report: Report) -> list[list[str]]:
    return [
        [
            _time(alert["at"]),
            alert["kind"].replace("_", " "),
            alert["severity"],
            ", ".join(alert["channels"]) or "nobody",
            str(alert["suppressed"]),
        ]
        for alert in report["alerts"]
    ]


def _time(iso_time: str) -> str:
    return iso_time.replace("T", " ").removesuffix("Z").removesuffix(":00")


def _dollars(amount: str) -> str:
    sign, digits = ("-", amount[1:]) if amount.startswith("-") else ("", amount)
    whole, _, cents = digits.partition(".")
    return f"{sign}${int(whole):,}.{(cents + '00')[:2]}"
