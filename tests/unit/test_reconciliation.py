"""Reconciliation: what fills, splits and dividends do not explain is a difference (ORD-06, fault 45, invariant 11)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.assets import Symbol
from shared.domain.corporate_actions import Adjustment
from shared.domain.intents import IntentId, Reason
from shared.domain.orders import HeldPosition, OrderStatus
from shared.domain.reconciliation import (
    BrokerFacts,
    Difference,
    DifferenceKind,
    Filled,
    filled_by,
    foreign_orders,
    quantities_of,
    unexplained,
)
from tests.unit.builders import AAPL, MINUTE, NOW, NVDA, TSLA, intent, order_for

LATER = NOW + 5 * MINUTE
BUY, SELL = intent("10", "100"), intent("10", "100", reason=Reason.STOP_LOSS)


def facts(cash: str, held: Mapping[Symbol, str], fills: Mapping[str, Filled] = MappingProxyType({})) -> BrokerFacts:
    return BrokerFacts(
        at=LATER,
        cash=Decimal(cash),
        equity=Decimal(100_000),
        quantities={symbol: Decimal(quantity) for symbol, quantity in held.items()},
        fills={IntentId(name): filled for name, filled in fills.items()},
    )


def fill(shares: str, dollars: str, symbol: Symbol = TSLA) -> Filled:
    return Filled(symbol, Decimal(shares), Decimal(dollars))


def difference(kind: DifferenceKind, subject: str, expected: str, found: str) -> Difference:
    return Difference(kind=kind, subject=subject, at=LATER, expected=Decimal(expected), found=Decimal(found))


SPLIT_4 = {TSLA: Adjustment(Decimal(4), Decimal(0))}
DIVIDEND = {TSLA: Adjustment(Decimal(1), Decimal("0.50"))}
QUANTITY, CASH = DifferenceKind.QUANTITY, DifferenceKind.CASH


class TestExplained:
    @pytest.mark.parametrize(
        ("before", "now", "actions"),
        [
            (facts("1000", {TSLA: "10"}), facts("1000", {TSLA: "10"}), {}),
            (facts("1000", {}), facts("0", {TSLA: "10"}, {"a": fill("10", "-1000")}), {}),
            (facts("1000", {TSLA: "10"}), facts("1990", {}, {"a": fill("-10", "990")}), {}),
            (
                facts("600", {TSLA: "4"}, {"a": fill("4", "-400")}),
                facts("0", {TSLA: "10"}, {"a": fill("10", "-1000")}),
                {},
            ),
            (
                facts("1000", {TSLA: "10"}, {"a": fill("10", "-1000")}),
                facts("1000", {TSLA: "10"}, {"a": fill("10", "-1000")}),
                {},
            ),
            (
                facts("1000", {TSLA: "10"}),
                facts("1500", {AAPL: "2"}, {"a": fill("-10", "900"), "b": fill("2", "-400", AAPL)}),
                {},
            ),
            (facts("1000", {TSLA: "10"}), facts("1000", {TSLA: "40"}), SPLIT_4),
            (facts("1000", {TSLA: "10"}), facts("1005", {TSLA: "10"}), DIVIDEND),
            (facts("1000", {TSLA: "10"}), facts("1000", {TSLA: "10"}), DIVIDEND),
            (facts("1000", {TSLA: "10"}), facts("1000", {TSLA: "10.000001"}), {}),
            (facts("1000", {TSLA: "10"}), facts("1000.009", {TSLA: "10"}), {}),
        ],
        ids=[
            "nothing happened",
            "our buy",
            "our sale",
            "the rest of a partial fill",
            "a fill already counted",
            "a sale and a buy",
            "a 4:1 split",
            "a dividend paid on its ex-date",
            "a dividend paid later",
            "rounding of a fraction",
            "rounding under a cent",
        ],
    )
    def test_what_we_know_of_explains_the_change(
        self, before: BrokerFacts, now: BrokerFacts, actions: Mapping[Symbol, Adjustment]
    ) -> None:
        assert unexplained(before, now, actions) == []


class TestUnexplained:
    @pytest.mark.parametrize(
        ("before", "now", "actions", "found"),
        [
            (
                facts("1000", {TSLA: "10"}),
                facts("1000", {TSLA: "12"}),
                {},
                [difference(QUANTITY, "TSLA", "10", "12")],
            ),
            (
                facts("1000", {TSLA: "10"}),
                facts("2000", {}),
                {},
                [difference(QUANTITY, "TSLA", "10", "0"), difference(CASH, "account", "1000", "2000")],
            ),
            (
                facts("1000", {}),
                facts("500", {NVDA: "5"}),
                {},
                [difference(QUANTITY, "NVDA", "0", "5"), difference(CASH, "account", "1000", "500")],
            ),
            (facts("1000", {}), facts("900", {}), {}, [difference(CASH, "account", "1000", "900")]),
            (facts("1000", {}), facts("1000.01", {}), {}, [difference(CASH, "account", "1000", "1000.01")]),
            (
                facts("1000", {}),
                facts("0", {TSLA: "9"}, {"a": fill("10", "-1000")}),
                {},
                [difference(QUANTITY, "TSLA", "10", "9")],
            ),
            (
                facts("1000", {TSLA: "10"}),
                facts("1000", {TSLA: "40"}),
                {},
                [difference(QUANTITY, "TSLA", "10", "40")],
            ),
            (
                facts("1000", {TSLA: "10"}),
                facts("1000", {TSLA: "10"}),
                SPLIT_4,
                [difference(QUANTITY, "TSLA", "40", "10")],
            ),
            (
                facts("1000", {TSLA: "10"}),
                facts("1003", {TSLA: "10"}),
                DIVIDEND,
                [difference(CASH, "account", "1000", "1003")],
            ),
            (
                facts("1000", {TSLA: "10"}),
                facts("1000", {TSLA: "10.000002"}),
                {},
                [difference(QUANTITY, "TSLA", "10", "10.000002")],
            ),
        ],
        ids=[
            "an extra fill",
            "a sale by hand",
            "a buy by hand",
            "a withdrawal",
            "a cent",
            "a share missing from our fill",
            "a split nobody announced",
            "an announced split that did not come",
            "cash that is not the dividend",
            "just over the rounding",
        ],
    )
    def test_table_of_differences(
        self,
        before: BrokerFacts,
        now: BrokerFacts,
        actions: Mapping[Symbol, Adjustment],
        found: list[Difference],
    ) -> None:
        assert unexplained(before, now, actions) == found

    def test_a_difference_says_both_numbers(self) -> None:
        told = difference(QUANTITY, "TSLA", "10.0", "12.50")
        assert told.text == "quantity of TSLA: expected 10, the broker says 12.5"

    def test_symbols_come_in_a_fixed_order(self) -> None:
        found = unexplained(facts("0", {}), facts("0", {TSLA: "1", AAPL: "1", NVDA: "1"}))
        assert [each.subject for each in found] == ["AAPL", "NVDA", "TSLA"]


class TestForeignOrders:
    BY_HAND = replace(order_for(BUY, OrderStatus.NEW), client_order_id="6f0c8e2a-from-the-app")

    def test_an_order_placed_by_hand_is_foreign(self) -> None:
        [found] = foreign_orders([self.BY_HAND], frozenset(), LATER)
        assert (found.kind, found.subject) == (DifferenceKind.FOREIGN_ORDER, "TSLA 6f0c8e2a-from-the-app")

    def test_an_order_of_ours_that_no_intent_explains_is_lost(self) -> None:
        [found] = foreign_orders([order_for(BUY, OrderStatus.NEW)], frozenset(), LATER)
        assert found.kind is DifferenceKind.LOST_ORDER

    def test_an_order_of_an_open_intent_is_neither(self) -> None:
        assert foreign_orders([order_for(BUY, OrderStatus.NEW)], frozenset({BUY.id}), LATER) == []


class TestFills:
    def test_a_buy_adds_shares_and_takes_dollars(self) -> None:
        assert filled_by(order_for(BUY, OrderStatus.PARTIALLY_FILLED, "4", "100.25")) == fill("4", "-401")

    def test_a_sale_takes_shares_and_adds_dollars(self) -> None:
        assert filled_by(order_for(SELL, OrderStatus.FILLED, "10", "99")) == fill("-10", "990")

    def test_an_unfilled_order_moves_nothing(self) -> None:
        assert filled_by(order_for(BUY, OrderStatus.NEW)) == fill("0", "0")

    def test_quantities_are_reduced_to_shares_by_symbol(self) -> None:
        held = HeldPosition(
            symbol=TSLA, quantity=Decimal(10), available=Decimal(4), average_entry_price=Decimal("184.82")
        )
        assert quantities_of([held]) == {TSLA: Decimal(10)}


counts = st.integers(min_value=0, max_value=1_000).map(Decimal)
cents = st.integers(min_value=0, max_value=10**9).map(lambda n: Decimal(n) / 100)
trades = st.lists(st.tuples(st.sampled_from([TSLA, AAPL]), st.integers(-50, 50), cents), max_size=5)


@given(counts, counts, cents, trades, st.sampled_from(["1", "4", "0.1"]), st.integers(0, 100))
def test_fills_splits_and_dividends_explain_everything_they_did(
    tsla: Decimal, aapl: Decimal, cash: Decimal, traded: list[tuple[Symbol, int, Decimal]], ratio: str, paid: int
) -> None:
    step = Adjustment(Decimal(ratio), Decimal(paid) / 100)
    held = {TSLA: step.quantity(tsla), AAPL: aapl}
    after = cash + step.quantity(tsla) * step.cash
    fills = {}
    for number, (symbol, shares, dollars) in enumerate(traded):
        signed = -dollars if shares > 0 else dollars
        held[symbol] += shares
        after += signed
        fills[f"cycle {number}"] = Filled(symbol, Decimal(shares), signed)
    before = facts(str(cash), {TSLA: str(tsla), AAPL: str(aapl)})
    now = facts(str(after), {symbol: str(quantity) for symbol, quantity in held.items()}, fills)
    assert unexplained(before, now, {TSLA: step}) == []


def test_shares_sold_before_a_split_are_old_shares_and_earn_no_dividend() -> None:
    """Three are held, two of them sold at the close; overnight the one that is left becomes four at a dollar each."""
    step = Adjustment(Decimal(4), Decimal(1))
    fills = {"at the close": Filled(TSLA, Decimal(-2), Decimal(176))}
    before, now = facts("0", {TSLA: "3"}), facts("180", {TSLA: "4"}, fills)
    assert unexplained(before, now, {TSLA: step}, early={IntentId("at the close")}) == []
    assert {d.kind for d in unexplained(before, now, {TSLA: step})} == {DifferenceKind.QUANTITY, DifferenceKind.CASH}


@given(counts, cents, st.decimals(min_value="0.01", max_value=10_000, places=2))
def test_any_cash_that_appears_or_vanishes_is_named(held: Decimal, cash: Decimal, change: Decimal) -> None:
    before = facts(str(cash), {TSLA: str(held)})
    [found] = unexplained(before, facts(str(cash + change), {TSLA: str(held)}))
    assert found.found - found.expected == change
