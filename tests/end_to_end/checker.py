"""Compare a replay's report with what must have happened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from tests.end_to_end.expected import Breach, Holding, Market
from tests.end_to_end.replaying import CASH, Report

HALF_A_CENT = Decimal("0.005")


def check_replay(report: Report, market: Market, holdings: Sequence[Holding]) -> dict[str, Breach | None]:
    """Check exits, fills, cash, gains and moves; return each symbol's breach for what a test wants to know besides."""
    breaches = {held.symbol: market.breach(held) for held in holdings}
    check_intents(report, market, breaches)
    check_orders(report, market, breaches)
    check_money(report, market, holdings, breaches)
    check_moves(report, market)
    check_alerts(report)
    assert report["errors"] == []
    return breaches


def check_intents(report: Report, market: Market, breaches: dict[str, Breach | None]) -> None:
    expected = []
    for symbol, breach in breaches.items():
        if breach is None:
            continue
        leaves = market.send_time(breach.at)
        sold = leaves is not None and market.execution(symbol, breach.holding.quantity, leaves) is not None
        expected.append((breach.at, symbol, "sell", breach.holding.quantity, "stop_loss", "FILLED" if sold else ""))
    found = [
        (
            moment(intent["at"]),
            intent["symbol"],
            intent["side"],
            Decimal(intent["quantity"]),
            intent["reason"],
            "FILLED" if intent["state"] == "FILLED" else "",
        )
        for intent in report["intents"]
    ]
    assert sorted(found) == sorted(expected)


def check_orders(report: Report, market: Market, breaches: dict[str, Breach | None]) -> None:
    """Every exit is one order, sent as soon as the exchange takes it and filled from the bars after that."""
    by_symbol = {order["symbol"]: order for order in report["orders"]}
    assert len(by_symbol) == len(report["orders"])
    due = {symbol for symbol, breach in breaches.items() if breach and market.send_time(breach.at)}
    assert by_symbol.keys() == due
    ids = {intent["id"]: intent["symbol"] for intent in report["intents"]}
    for symbol, order in by_symbol.items():
        breach = breaches[symbol]
        assert breach is not None
        sent = moment(order["sent_at"])
        assert ids[order["id"]] == symbol
        assert (order["side"], order["type"], Decimal(order["quantity"])) == ("sell", "market", breach.holding.quantity)
        assert sent == market.send_time(breach.at)
        execution = market.execution(symbol, breach.holding.quantity, sent)
        if execution is None:
            assert order["state"] != "filled"
            continue
        assert order["state"] == "filled"
        assert Decimal(order["filled_quantity"]) == breach.holding.quantity
        assert moment(order["filled_at"]) == execution.at
        assert execution.low <= Decimal(order["fill_price"]) <= execution.high


def check_money(
    report: Report, market: Market, holdings: Sequence[Holding], breaches: dict[str, Breach | None]
) -> None:
    """Cash is the start, plus what was sold and paid out; gains are measured from the entries of the file."""
    sold = {order["symbol"]: order for order in report["orders"] if order["state"] == "filled"}
    cash, realised, unrealised, worth, kept = CASH, Decimal(0), Decimal(0), Decimal(0), []
    for held in holdings:
        order = sold.get(held.symbol)
        cost = held.quantity * held.entry
        earned = market.dividends(held, moment(order["filled_at"]) if order else None)
        cash += earned
        realised += earned
        if order is not None:
            proceeds = Decimal(order["filled_quantity"]) * Decimal(order["fill_price"])
            cash += proceeds
            realised += proceeds - cost
            continue
        last = market.at_the_end(held)
        value = last.quantity * market.last_close(held.symbol)
        worth += value
        unrealised += value - cost
        kept.append((held.symbol, last.quantity))
    end = report["end"]
    assert abs(Decimal(end["cash"]) - cash) < HALF_A_CENT
    assert abs(Decimal(end["equity"]) - cash - worth) < HALF_A_CENT
    assert abs(Decimal(report["pnl"]["realised"]) - realised) <= HALF_A_CENT
    assert abs(Decimal(report["pnl"]["unrealised"]) - unrealised) <= HALF_A_CENT
    assert [(p["symbol"], Decimal(p["quantity"])) for p in end["positions"]] == sorted(kept)


def check_moves(report: Report, market: Market) -> None:
    expected = sorted(
        (swing.at, swing.symbol, swing.from_price, swing.price)
        for symbol in market.rows
        for swing in market.swings(symbol)
    )
    found = [
        (moment(move["at"]), move["symbol"], Decimal(move["from_price"]), Decimal(move["price"]))
        for move in report["moves"]
    ]
    assert sorted(found) == expected
    for move in report["moves"]:
        change = (Decimal(move["price"]) / Decimal(move["from_price"]) - 1) * 100
        assert abs(Decimal(str(move["change_pct"])) - change) <= Decimal("0.0001")
        assert abs(change) >= 5


def check_alerts(report: Report) -> None:
    """Every stop and every move is told, at its own tick."""
    told = {(alert["kind"], alert["at"]) for alert in report["alerts"]}
    told_symbols = len(report["intents"]) and {intent["at"] for intent in report["intents"]}
    for at in told_symbols or ():
        assert ("stop_triggered", at) in told
    for alert in report["alerts"]:
        assert alert["channels"] == sorted({*alert["channels"]} & {"discord", "email"}) != []
        assert alert["severity"] in ("info", "warning", "critical")


def moment(text: str) -> datetime:
    """Read a time of the report, which must be UTC and say so with a Z."""
    assert text.endswith("Z")
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
