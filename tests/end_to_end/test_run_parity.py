"""The same bars through the replay on memory and through the whole local system give the same trades and alerts.

What may differ: a run ticks twice more each morning, and an intent's id is made of the account's name. Nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from hearthwatch.commands import SAMPLE
from hearthwatch.replay.report import Report
from hearthwatch.run_command import market_of, report_of_run
from local_stack.exchange.market import Timeframe, join_bars
from local_stack.run.service import Market
from shared.adapters.bar_files.bar_set import BarSet, load
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.contracts.portfolio import load_portfolio
from shared.domain.journal import first_break
from shared.ports.broker import ExchangeCalendar
from tests.end_to_end.running import CALENDAR, play_once, replayed, two_days

MORNING_TICKS = 2
HALF_AN_HOUR = timedelta(minutes=30)
"""Longer than the window of a move, which is then judged from bar to bar."""


def sample_day_in_half_hours() -> Market:
    bars = load(SAMPLE / "bars", LibraryCalendar())
    joined = {symbol: join_bars(series, Timeframe(HALF_AN_HOUR)) for symbol, series in bars.bars.items()}
    longer = BarSet(bars=joined, interval=HALF_AN_HOUR, days=bars.days, quotes={})
    return market_of(longer, None, load_portfolio(SAMPLE / "portfolio.json"))


def comparable(report: Report, ids: Mapping[str, str]) -> dict[str, Any]:
    """Take what must be equal, with ids put into the run's words; alerts and orders of one instant have no order."""
    renamed = {**ids, **{ours: ours for ours in ids.values()}}
    alerts = sorted(report["alerts"], key=lambda alert: (alert["at"], alert["kind"], alert["severity"], str(alert)))
    return {
        **{name: report[name] for name in ("range", "symbols", "moves", "trading_state", "coverage", "end", "pnl")},
        "intents": sorted(
            ({**intent, "id": renamed[intent["id"]]} for intent in report["intents"]),
            key=lambda intent: (intent["at"], intent["id"]),
        ),
        "orders": sorted(
            ({**order, "id": renamed[order["id"]]} for order in report["orders"]),
            key=lambda order: (order["sent_at"], order["id"]),
        ),
        "alerts": alerts,
        "errors": report["errors"],
    }


@pytest.mark.parametrize(
    ("market", "calendar"),
    [(two_days(), CALENDAR), (sample_day_in_half_hours(), LibraryCalendar())],
    ids=["two short days of minutes", "the sample day in half hours"],
)
def test_a_run_does_what_a_replay_does(market: Market, calendar: ExchangeCalendar, tmp_path: Path) -> None:
    expected, ids = replayed(market, calendar)

    assert expected["orders"]
    assert expected["moves"]
    result = play_once(market, tmp_path, calendar)
    report = report_of_run(result, 0.0)

    assert comparable(report, ids) == comparable(expected, ids)
    assert report["ticks"] == expected["ticks"] + MORNING_TICKS * len(market.bars.days)
    assert first_break(result.links) is None


def test_the_two_days_show_what_they_are_meant_to() -> None:
    """Without this the comparison above could come to compare nothing."""
    report, _ = replayed(two_days(), CALENDAR)
    assert {alert["kind"] for alert in report["alerts"]} >= {
        "order_filled",
        "price_move",
        "price_unconfirmed",
        "stop_triggered",
        "symbol_blind",
    }
    filled = {order["symbol"]: Decimal(0) for order in report["orders"] if order["state"] != "CANCELED"}
    for order in report["orders"]:
        if Decimal(order["filled_quantity"]):
            filled[order["symbol"]] += Decimal(order["filled_quantity"])
    assert {order["type"] for order in report["orders"]} == {"stop", "market"}
    assert filled == {"AAA": 30, "BBB": 0, "CCC": 12, "DDD": 20, "EEE": 0}
    assert {move["symbol"] for move in report["moves"]} >= {"AAA", "CCC"}
    assert any("email" in alert["channels"] for alert in report["alerts"] if alert["kind"] == "symbol_blind")
