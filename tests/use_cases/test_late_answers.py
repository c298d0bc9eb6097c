"""Answers of the broker that are behind each other for a moment: none is taken for a trade by hand (fault 45)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from shared.domain.alerts import AlertKind
from shared.domain.intents import IntentState, OrderType, Side, TimeInForce
from shared.domain.orders import PlaceOrder
from shared.domain.reconciliation import Doubted
from shared.use_cases.reconcile_orders import ReconcileReport, ReconcileResult, ReconcileRules
from tests.fakes.desk import START, Desk, held
from tests.fakes.venue import AAPL, TSLA

R = ReconcileResult
SECOND = timedelta(seconds=1)


class Behind:
    """A broker that answers on positions, cash and live orders as it did when this was made."""

    def __init__(self, broker: Any, *, of: Sequence[str] = ("positions", "account")) -> None:
        self._broker = broker
        self._answers = {name: getattr(broker, name)() for name in of}

    def __getattr__(self, name: str) -> Any:
        return (lambda: self._answers[name]) if name in self._answers else getattr(self._broker, name)


def reconcile(desk: Desk, broker: Any = None) -> ReconcileReport:
    return replace(desk.use.reconcile_orders, broker=broker or desk.ports.broker)()


def selling() -> Desk:
    """Ten TSLA fell through their stop and are being sold."""
    desk = Desk(held(TSLA, "10", "100"))
    desk.breach(TSLA, "94")
    desk.place()
    desk.heard()
    return desk


def sell_by_hand(desk: Desk, quantity: str) -> None:
    request = PlaceOrder(
        client_order_id=f"by hand {quantity} {desk.clock.now()}",
        symbol=AAPL,
        side=Side.SELL,
        quantity=Decimal(quantity),
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
    )
    desk.world.exchange.submit(request, desk.clock.now())
    desk.trade(AAPL, "100")


def test_a_fill_that_the_positions_do_not_show_yet_changes_and_tells_nothing() -> None:
    desk = selling()
    behind = Behind(desk.ports.broker)
    desk.trade(TSLA, "94")
    (intent,) = desk.ledger.open.values()
    assert reconcile(desk, behind).result is R.UNSETTLED
    assert desk.heard() == []
    assert desk.state(intent) is IntentState.ACKED
    assert desk.position(TSLA) is not None
    desk.wait(SECOND)
    assert reconcile(desk, behind).result is R.UNSETTLED

    desk.wait(5 * SECOND)
    assert reconcile(desk).result is R.CLEAN
    assert desk.state(intent) is IntentState.FILLED
    assert desk.position(TSLA) is None
    assert AlertKind.POSITION_MISMATCH not in desk.kinds()


def test_a_fill_that_the_cash_does_not_show_yet_tells_nothing() -> None:
    desk = selling()
    behind = Behind(desk.ports.broker, of=["account"])
    desk.trade(TSLA, "94")
    assert reconcile(desk, behind).result is R.UNSETTLED
    assert reconcile(desk).result is R.CLEAN
    assert AlertKind.CASH_MISMATCH not in desk.kinds()


@pytest.mark.parametrize("between", [0, 1])
def test_cash_that_is_late_by_one_of_several_equal_fills_in_pass_after_pass_tells_nothing(between: int) -> None:
    desk = selling()
    for seen in (0, between):
        for _ in range(seen):
            desk.trade(TSLA, "94", volume="20")
        behind = Behind(desk.ports.broker, of=["account"])
        desk.trade(TSLA, "94", volume="20")
        assert reconcile(desk, behind).result is R.UNSETTLED
    assert reconcile(desk).result is R.CLEAN
    assert AlertKind.CASH_MISMATCH not in desk.kinds()


def test_an_order_that_ended_and_is_still_listed_is_not_taken_for_a_lost_one() -> None:
    desk = selling()
    behind = Behind(desk.ports.broker, of=["live_orders"])
    desk.trade(TSLA, "94")
    assert reconcile(desk).result is R.CLEAN
    desk.heard()
    assert reconcile(desk, behind).result is R.UNSETTLED
    assert reconcile(desk).result is R.CLEAN
    assert desk.heard() == []


def test_a_symbol_in_doubt_takes_no_entries_until_a_pass_is_sure_of_it() -> None:
    desk = selling()
    behind = Behind(desk.ports.broker)
    desk.trade(TSLA, "94")
    reconcile(desk, behind)
    facts = desk.world.records.last()
    assert facts is not None
    assert facts.frozen == {TSLA}
    desk.wait(10 * SECOND)
    reconcile(desk)
    facts = desk.world.records.last()
    assert facts is not None
    assert (facts.frozen, facts.doubted) == (frozenset(), {})


def test_a_pass_is_due_while_there_is_a_doubt() -> None:
    desk = selling()
    behind = Behind(desk.ports.broker, of=["live_orders"])
    desk.trade(TSLA, "94")
    reconcile(desk)
    assert not desk.use.reconcile_orders.is_due()
    reconcile(desk, behind)
    assert desk.use.reconcile_orders.is_due()


def test_a_trade_by_hand_beside_an_open_order_is_told_by_the_second_pass() -> None:
    desk = Desk(held(AAPL, "10", "100"))
    desk.entry(AAPL, "1")
    desk.place()
    desk.world.exchange.seed_position(AAPL, Decimal(7), Decimal(100))
    assert reconcile(desk).result is R.UNSETTLED
    desk.wait(9 * SECOND)
    assert reconcile(desk).result is R.UNSETTLED
    assert AlertKind.POSITION_MISMATCH not in desk.kinds()
    desk.wait(SECOND)
    assert reconcile(desk).result is R.DIFFERENT
    assert AlertKind.POSITION_MISMATCH in desk.kinds()
    position = desk.position(AAPL)
    assert position is not None
    assert position.quantity == 7


def test_numbers_that_never_stand_still_are_believed_after_five_minutes() -> None:
    desk = Desk(held(AAPL, "10", "100"))
    desk.entry(AAPL, "1")
    desk.place()
    results = []
    for minute in range(6):
        desk.world.exchange.seed_position(AAPL, Decimal(9 - minute), Decimal(100))
        results.append(reconcile(desk).result)
        desk.wait()
    assert results == [R.UNSETTLED] * 5 + [R.DIFFERENT]


def test_a_fill_that_shows_late_is_no_trade_by_hand_though_another_difference_is_believed_by_now() -> None:
    desk = Desk(held(TSLA, "10", "100"), held(AAPL, "10", "100"))
    desk.breach(TSLA, "94")
    desk.entry(AAPL, "1")
    desk.place()
    for minute in range(5):
        desk.world.exchange.seed_position(AAPL, Decimal(9 - minute), Decimal(100))
        assert reconcile(desk).result is R.UNSETTLED
        desk.wait()
    desk.world.exchange.seed_position(AAPL, Decimal(4), Decimal(100))
    behind = Behind(desk.ports.broker, of=["positions"])
    desk.trade(TSLA, "94")
    desk.heard()
    assert reconcile(desk, behind).result is R.UNSETTLED
    assert desk.heard() == []

    desk.wait(15 * SECOND)
    desk.world.exchange.seed_position(AAPL, Decimal(3), Decimal(100))
    report = reconcile(desk)
    assert (report.result, [d.subject for d in report.differences]) == (R.DIFFERENT, [AAPL])


def test_a_new_difference_holds_up_an_old_one_for_one_pass_however_it_moves() -> None:
    desk = Desk(held(TSLA, "10", "100"), held(AAPL, "10", "100"))
    desk.breach(TSLA, "94")
    desk.entry(AAPL, "1")
    desk.place()
    results = []
    for minute in range(7):
        desk.world.exchange.seed_position(AAPL, Decimal(9 - minute), Decimal(100))
        if minute >= 5:
            desk.world.exchange.seed_position(TSLA, Decimal(14 - minute), Decimal(100))
        results.append(reconcile(desk).result)
        desk.wait()
    assert results == [R.UNSETTLED] * 6 + [R.DIFFERENT]


@pytest.mark.parametrize(
    ("minutes", "passes", "over"), [(4, 9, False), (5, 4, False), (5, 5, True), (17 * 60, 2, False)]
)
def test_a_doubt_grows_old_by_passes_and_not_by_a_night(minutes: int, passes: int, over: bool) -> None:
    doubted = Doubted(START - timedelta(minutes=minutes), START, Decimal(10), Decimal(9), passes)
    assert ReconcileRules().is_over(doubted, START) is over


def test_a_trade_by_hand_where_nothing_of_ours_is_open_is_told_by_the_first_pass() -> None:
    desk = Desk(held(AAPL, "10", "100"), held(TSLA, "10", "100"))
    sell_by_hand(desk, "3")
    assert reconcile(desk).result is R.DIFFERENT
    assert AlertKind.POSITION_MISMATCH in desk.kinds()


def test_cash_moved_by_hand_is_told_though_fills_of_ours_move_it_every_minute() -> None:
    desk = selling()
    desk.world.exchange.cash += 500
    results = []
    for _ in range(2):
        desk.trade(TSLA, "94", volume="20")
        results.append(reconcile(desk).result)
    assert results == [R.UNSETTLED, R.DIFFERENT]
    assert AlertKind.CASH_MISMATCH in desk.kinds()
