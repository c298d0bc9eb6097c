"""Passes over an account in which we trade, people trade past us and answers get lost: each difference is told once."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.domain.assets import Symbol
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.errors import BrokerRefusal, HearthwatchError, OutcomeUnknown, Unavailable
from shared.domain.intents import OrderType, Side, TimeInForce, is_ours
from shared.domain.money import CENT
from shared.domain.orders import PlaceOrder
from shared.domain.reconciliation import MISMATCHES_A_DAY, BrokerFacts, DifferenceKind
from shared.domain.trading_state import HaltReason
from shared.use_cases.reconcile_orders import ReconcileReport, ReconcileResult
from tests.fakes.desk import NVDA, Desk, held
from tests.fakes.faults import Crash
from tests.fakes.venue import AAPL, CLOSE, MINUTE, OPEN, TSLA

R = ReconcileResult
ZERO = Decimal(0)
SYMBOLS = (TSLA, AAPL, NVDA)
TOMORROW = (OPEN + timedelta(days=1)).date()
KNOWN = CorporateAction(symbol=TSLA, ex_date=TOMORROW, kind=ActionKind.SPLIT, ratio=Decimal(4))
UNKNOWN = CorporateAction(symbol=AAPL, ex_date=TOMORROW, kind=ActionKind.SPLIT, ratio=Decimal(7))
PORTS = ("records.put", "positions.put", "positions.remove", "ledgers.save", "journal.put", "alerts.send")


class Reconciliation(RuleBasedStateMachine):
    """TSLA and AAPL are held; what is done past the book is kept in `shares` and `dollars` until a pass takes it."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(held(TSLA, "10", "100"), held(AAPL, "10", "100"), actions=[KNOWN])
        self.count = 0
        self.shares: dict[Symbol, Decimal] = {}
        self.dollars = ZERO
        self.mismatches = 0
        self.fills = 0
        self.is_second_day = False
        self.was_troubled = False

    # ours

    @rule(symbol=st.sampled_from(SYMBOLS), quantity=st.sampled_from(["1", "2"]))
    def buy(self, symbol: Symbol, quantity: str) -> None:
        self.count += 1
        self.desk.poll()
        self.desk.check()
        self.attempt(lambda: self.desk.enter(symbol, quantity, cycle=f"cycle-{self.count}"))
        self.place()

    @rule(symbol=st.sampled_from([TSLA, AAPL]))
    def fall(self, symbol: Symbol) -> None:
        """Let a symbol fall through any stop, and send the exit."""
        last = self.desk.world.exchange.last_price(symbol) or Decimal(100)
        self.desk.set_price(symbol, str((last * Decimal("0.9")).quantize(CENT)))
        self.desk.wait()
        self.desk.poll()
        self.desk.check()
        self.place()

    @rule(lost=st.booleans())
    def place_with_a_lost_answer(self, lost: bool) -> None:
        """Send what is prepared while the broker's answer is lost, whether it took the order or not."""
        self.desk.faults.fail("broker.submit", OutcomeUnknown("gone"), answer_lost=lost, times=1)
        self.place()
        self.desk.faults.mend()

    @rule(volume=st.sampled_from([10, 30, 1_000_000]))
    def trade(self, volume: int) -> None:
        """Let a minute pass in which every symbol trades at its last price, all of it or a part."""
        for symbol in SYMBOLS:
            price = self.desk.primary.quotes([symbol])[symbol].last
            assert price is not None
            self.desk.trade(symbol, str(price), volume=str(volume))
        self.take_fills()

    # people's

    @rule(symbol=st.sampled_from(SYMBOLS), side=st.sampled_from(Side), quantity=st.sampled_from(["1", "3"]))
    def trade_by_hand(self, symbol: Symbol, side: Side, quantity: str) -> None:
        self.count += 1
        request = PlaceOrder(
            client_order_id=f"by hand {self.count}",
            symbol=symbol,
            side=side,
            quantity=Decimal(quantity),
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.DAY,
        )
        with suppress(BrokerRefusal):
            self.desk.world.exchange.submit(request, self.desk.clock.now())
            self.trade(1_000_000)

    @rule(amount=st.sampled_from([500, -200]))
    def move_cash(self, amount: int) -> None:
        self.desk.world.exchange.cash += amount
        self.dollars += amount

    @precondition(lambda self: not self.is_second_day)
    @rule()
    def pass_the_night(self) -> None:
        """Go on the next morning: a split is known, another is not."""
        self.is_second_day = True
        exchange = self.desk.world.exchange
        self.desk.clock.set(max(self.desk.clock.now(), CLOSE + MINUTE))
        exchange.advance(self.desk.clock.now())
        self.desk.clock.set(OPEN + timedelta(days=1, minutes=1))
        for action in (KNOWN, UNKNOWN):
            before = self.quantity(action.symbol)
            last = self.desk.primary.quotes([action.symbol])[action.symbol].last
            assert last is not None
            exchange.apply(action, self.desk.clock.now())
            self.desk.set_price(action.symbol, str((last / action.ratio).quantize(CENT)))
            if action is UNKNOWN:
                self.note(action.symbol, self.quantity(action.symbol) - before)
            elif self.shares.get(action.symbol):
                self.shares[action.symbol] *= action.ratio
        self.mismatches = 0

    # passes

    @rule()
    def reconcile(self) -> None:
        self.desk.wait(timedelta(seconds=20))
        before = self.facts()
        report = self.desk.use.reconcile_orders()
        if report.result in (R.UNSETTLED, R.OVERTAKEN):
            after = self.facts()
            assert (after.quantities, after.cash, after.fills) == (before.quantities, before.cash, before.fills)
            return
        self.is_exact(report)

    @rule(port=st.sampled_from(PORTS), crash=st.integers(0, 40), dies=st.booleans())
    def reconcile_in_trouble(self, port: str, crash: int, dies: bool) -> None:
        """Let a pass die at one of its calls, or one port fail; what it took over is told, now or by the next pass."""
        self.desk.wait(timedelta(seconds=20))
        faults, before = self.desk.faults, self.facts()
        self.was_troubled = True
        if dies:
            faults.crash_before = len(faults.calls) + crash
        else:
            faults.fail(port, Unavailable(port), times=1)
        self.attempt(self.desk.reconcile)
        faults.mend()
        after = self.facts()
        if (after.quantities, after.cash) != (before.quantities, before.cash) or after.at > before.at:
            self.was_told_or_is_kept(after)
            self.forget()

    @rule()
    def settle(self) -> None:
        """Pass until one is settled; three passes suffice once nothing moves."""
        for _ in range(3):
            self.desk.wait(timedelta(seconds=20))
            report = self.desk.use.reconcile_orders()
            if report.result not in (R.UNSETTLED, R.OVERTAKEN):
                self.is_exact(report)
                self.agrees()
                return
        raise AssertionError("no pass was settled although nothing moved")

    def is_exact(self, report: ReconcileReport) -> None:
        """Compare what a pass reported with what was really done past the book, number for number."""
        found = {d.subject: d.found - d.expected for d in report.differences if d.kind is DifferenceKind.QUANTITY}
        assert found == {symbol: shares for symbol, shares in self.shares.items() if shares}
        cash = [d.found - d.expected for d in report.differences if d.kind is DifferenceKind.CASH]
        assert cash == ([self.dollars] if abs(self.dollars) >= CENT else [])
        facts = self.facts()
        assert facts.frozen == found.keys()
        assert (report.result is R.CLEAN) == (not found and not cash)
        self.mismatches += len(found)
        self.was_told_or_is_kept(facts)
        self.forget()

    # what must hold

    @invariant()
    def every_told_difference_is_in_the_journal_and_the_other_way_round(self) -> None:
        self.desk.heard()
        journaled = {key for key, _ in self.journaled()}
        for alert in self.desk.told:
            if alert.kind in ("position_mismatch", "cash_mismatch"):
                assert any(subject == alert.subject for _, subject, *_ in journaled), alert

    @invariant()
    def a_frozen_symbol_takes_no_entry(self) -> None:
        for symbol in self.facts().frozen:
            self.count += 1
            assert self.desk.enter(symbol, "1", cycle=f"frozen-{self.count}").intent is None

    @invariant()
    def three_mismatches_in_a_day_stop_entries(self) -> None:
        if self.mismatches < MISMATCHES_A_DAY:
            return
        self.desk.check()
        state = self.desk.world.controls.trading_state()
        assert state is not None
        assert HaltReason.REPEATED_MISMATCH in state.reasons
        assert not state.entries_allowed

    def teardown(self) -> None:
        self.desk.faults.mend()
        for order in self.desk.world.exchange.live_orders():
            if not is_ours(order.client_order_id):
                self.desk.world.exchange.cancel(order.id, self.desk.clock.now())
        self.desk.wait()
        for _ in range(3):
            self.desk.wait()
            self.attempt(self.desk.reconcile)
        self.forget()
        self.agrees()
        assert self.facts().untold == ()

    def agrees(self) -> None:
        ours = {position.symbol: position.quantity for position in self.desk.world.positions.all()}
        theirs = {position.symbol: position.quantity for position in self.desk.world.exchange.positions()}
        assert ours == theirs == self.facts().quantities
        assert abs(self.facts().cash - self.desk.world.exchange.cash) < CENT

    # keeping count

    def take_fills(self) -> None:
        """Count what filled that nobody here sent."""
        fills = self.desk.world.exchange.fills
        ours = {order.id for order in self.desk.orders() if is_ours(order.client_order_id)}
        for fill in fills[self.fills :]:
            if fill.order_id not in ours:
                sign = 1 if fill.side is Side.BUY else -1
                self.note(fill.symbol, sign * fill.quantity)
                self.dollars -= sign * fill.quantity * fill.price
        self.fills = len(fills)

    def note(self, symbol: Symbol, shares: Decimal) -> None:
        self.shares[symbol] = self.shares.get(symbol, ZERO) + shares

    def forget(self) -> None:
        self.shares, self.dollars = {}, ZERO

    def was_told_or_is_kept(self, facts: BrokerFacts) -> None:
        """Each difference that a pass took over is in the journal or waits with the facts; only trouble repeats one."""
        keys = {key for key, _ in self.journaled()}
        for symbol, shares in self.shares.items():
            told = any(kind == "quantity" and subject == symbol for kind, subject, *_ in keys)
            kept = any(difference.subject == symbol for difference in facts.untold)
            assert told or kept or not shares, symbol
        if not self.was_troubled:
            assert all(times == 1 for _, times in self.journaled())

    def journaled(self) -> list[tuple[tuple[str, str, str, str, str], int]]:
        """List the differences in the journal, and how often each is there."""
        found: dict[tuple[str, str, str, str, str], int] = {}
        for link in self.desk.world.journal.links():
            body = json.loads(link.body)
            if body["kind"] == "reconciliation_difference":
                fields = body["fields"]
                key = (fields["difference"], fields["subject"], fields["expected"], fields["found"], body["at"])
                found[key] = found.get(key, 0) + 1
        return list(found.items())

    def facts(self) -> BrokerFacts:
        facts = self.desk.world.records.last()
        assert facts is not None
        return facts

    def quantity(self, symbol: Symbol) -> Decimal:
        return next((p.quantity for p in self.desk.world.exchange.positions() if p.symbol == symbol), ZERO)

    def place(self) -> None:
        self.attempt(lambda: self.desk.place(f"executor {self.count}"))

    def attempt(self, call: Callable[[], object]) -> None:
        with suppress(HearthwatchError, Crash):
            call()


TestReconciliation = Reconciliation.TestCase
TestReconciliation.settings = settings(max_examples=60, stateful_step_count=25)
