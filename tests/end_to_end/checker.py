"""Compare a replay's report with what must have happened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.end_to_end.expected import Course, Holding, Market, Stop
from tests.end_to_end.replaying import CASH, Report

HALF_A_CENT = Decimal("0.005")


def check_replay(report: Report, market: Market, holdings: Sequence[Holding]) -> dict[str, Course]:
    """Check stops, exits, fills, cash, gains and moves; return each symbol's course for what a test wants besides."""
    courses = {held.symbol: market.course(held) for held in holdings}
    check_intents(report, courses)
    check_orders(report, courses)
    check_money(report, market, holdings, courses)
    check_moves(report, market)
    check_alerts(report, courses)
    assert report["errors"] == []
    return courses


def check_intents(report: Report, courses: dict[str, Course]) -> None:
    """One intent for every stop that rests, at its tick, and one for the breach; nothing else, and no purchase."""
    expected = [
        (stop.planned, symbol, "broker_stop", stop.quantity, "FILLED" if not stop.left else "")
        for symbol, course in courses.items()
        for stop in course.stops
    ]
    expected += [
        (course.breach.at, symbol, "stop_loss", course.breach.holding.quantity, "FILLED" if course.execution else "")
        for symbol, course in courses.items()
        if course.breach is not None
    ]
    found = [
        (
            moment(intent["at"]),
            intent["symbol"],
            intent["reason"],
            Decimal(intent["quantity"]),
            "FILLED" if intent["state"] == "FILLED" else "",
        )
        for intent in report["intents"]
    ]
    assert sorted(found) == sorted(expected)
    assert {intent["side"] for intent in report["intents"]} <= {"sell"}


def check_orders(report: Report, courses: dict[str, Course]) -> None:
    """Every stop and every exit is one order, sent as soon as the exchange takes it, and filled as its bars allow."""
    ids = {intent["id"]: intent["symbol"] for intent in report["intents"]}
    assert len({order["id"] for order in report["orders"]}) == len(report["orders"])
    for symbol, course in courses.items():
        orders = sorted((o for o in report["orders"] if o["symbol"] == symbol), key=lambda o: moment(o["sent_at"]))
        assert {ids[order["id"]] for order in orders} <= {symbol}
        stops = [order for order in orders if order["type"] == "stop"]
        expected = [stop for stop in course.stops if stop.sent is not None]
        assert len(stops) == len(expected)
        for order, stop in zip(stops, expected, strict=True):
            check_stop(order, stop)
        exits = [order for order in orders if order["type"] != "stop"]
        assert len(exits) == (course.sent is not None)
        for order in exits:
            check_exit(order, course)
    assert {order["symbol"] for order in report["orders"]} <= courses.keys()


def check_stop(order: dict[str, Any], stop: Stop) -> None:
    assert (order["side"], Decimal(order["quantity"]), moment(order["sent_at"])) == ("sell", stop.quantity, stop.sent)
    assert Decimal(order["filled_quantity"]) == stop.quantity - stop.left
    if not stop.fills:
        assert order["state"] in ("new", "canceled")
        return
    price = Decimal(order["fill_price"])
    assert moment(order["filled_at"]) == stop.fills[-1].at
    if len(stop.fills) == 1:
        assert price == stop.fills[0].price
    assert min(fill.low for fill in stop.fills) <= price <= max(fill.high for fill in stop.fills)
    assert (order["state"] == "filled") == (not stop.left)


def check_exit(order: dict[str, Any], course: Course) -> None:
    assert course.breach is not None
    quantity = course.breach.holding.quantity
    assert (order["side"], order["type"], Decimal(order["quantity"])) == ("sell", "market", quantity)
    assert moment(order["sent_at"]) == course.sent
    if course.execution is None:
        assert order["state"] != "filled"
        return
    assert order["state"] == "filled"
    assert Decimal(order["filled_quantity"]) == quantity
    assert moment(order["filled_at"]) == course.execution.at
    assert course.execution.low <= Decimal(order["fill_price"]) <= course.execution.high


def check_money(report: Report, market: Market, holdings: Sequence[Holding], courses: dict[str, Course]) -> None:
    """Cash is the start, plus what was sold and paid out; gains are measured from the entries of the file."""
    cash, realised, unrealised, worth, kept = CASH, Decimal(0), Decimal(0), Decimal(0), []
    for held in holdings:
        course = courses[held.symbol]
        orders = [o for o in report["orders"] if o["symbol"] == held.symbol and Decimal(o["filled_quantity"])]
        proceeds = sum((Decimal(o["filled_quantity"]) * Decimal(o["fill_price"]) for o in orders), Decimal(0))
        left = Decimal(0) if course.execution is not None else course.left.quantity
        paid = held.quantity * held.entry
        cost = left * course.left.cost
        cash += proceeds + course.earned
        realised += proceeds + course.earned - (paid - cost)
        if left:
            value = left * market.last_close(held.symbol)
            worth += value
            unrealised += value - cost
            kept.append((held.symbol, left))
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


def check_alerts(report: Report, courses: dict[str, Course]) -> None:
    """Every sale is told when it begins: a second one of the lot within the quarter of an hour joins the first."""
    told = {moment(alert["at"]) for alert in report["alerts"] if alert["kind"] == "stop_triggered"}
    assert {course.sold_at for course in courses.values() if course.sold_at} <= told
    assert bool(told) == any(course.sold_at for course in courses.values())
    for alert in report["alerts"]:
        assert alert["channels"] == sorted({*alert["channels"]} & {"discord", "email"}) != []
        assert alert["severity"] in ("info", "warning", "critical")


def moment(text: str) -> datetime:
    """Read a time of the report, which must be UTC and say so with a Z."""
    assert text.endswith("Z")
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
