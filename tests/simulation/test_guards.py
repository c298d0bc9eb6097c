"""Guards that no other test removes and the simulation cannot reach, each with the story that needs it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from shared.adapters.memory.book import MemoryLeases
from shared.domain.intents import IntentState, Side
from shared.use_cases.reconcile_orders import ReconcileReport, ReconcileResult
from tests.fakes.desk import OWNER, START, Desk, held
from tests.fakes.venue import AAPL, TSLA

LEASE = timedelta(seconds=60)


def test_only_its_owner_can_give_a_lease_back() -> None:
    leases = MemoryLeases()
    assert leases.acquire("executor", "early", START, START + LEASE)
    late = START + LEASE
    assert leases.acquire("executor", "late", late, late + LEASE)
    leases.release("executor", "early")
    assert not leases.acquire("executor", "third", late, late + LEASE)
    leases.release("executor", "late")
    assert leases.acquire("executor", "third", late, late + LEASE)


def test_a_blind_symbol_does_not_keep_another_from_being_sold() -> None:
    desk = Desk(held(TSLA, "10", "100"), held(AAPL, "10", "100"))
    desk.wait()
    desk.primary.forget(TSLA)
    desk.set_price(AAPL, "94")
    desk.poll()
    desk.check()
    assert desk.ledger.open_for(TSLA, Side.SELL) is None
    assert desk.ledger.open_for(AAPL, Side.SELL) is not None


def test_an_exit_filled_before_the_first_pass_is_no_trade_by_hand() -> None:
    desk = Desk(held(TSLA, "10", "100"), blank=True)
    desk.breach(TSLA, "94")
    desk.place(OWNER)
    desk.trade(TSLA, "94", volume="30")
    report = desk.reconcile()
    assert isinstance(report, ReconcileReport)
    assert (report.result, report.differences) == (ReconcileResult.CLEAN, [])


def test_a_first_pass_that_died_after_it_took_the_position_is_no_trade_by_hand() -> None:
    desk = Desk(held(TSLA, "10", "100"), blank=True)
    desk.breach(TSLA, "94")
    desk.place(OWNER)
    desk.trade(TSLA, "94", volume="30")
    position = desk.position(TSLA)
    assert position is not None
    half_done = held(TSLA, "7", "100")
    desk.world.positions.remove(position)
    desk.world.positions.put(half_done)
    report = desk.reconcile()
    assert isinstance(report, ReconcileReport)
    assert (report.result, report.differences) == (ReconcileResult.CLEAN, [])


def test_a_trade_by_hand_freezes_its_symbol_from_the_pass_that_finds_it() -> None:
    desk = Desk(held(TSLA, "10", "100"))
    desk.world.exchange.seed_position(TSLA, Decimal(9), Decimal(100))
    desk.wait()
    desk.poll()
    desk.reconcile()
    assert desk.enter(TSLA, "1").reasons == ("reconciliation: TSLA is frozen for entries until a clean reconciliation",)
    assert desk.enter(AAPL, "1").intent is not None


def test_an_entry_whose_price_ran_away_after_it_was_prepared_is_not_sent() -> None:
    desk = Desk()
    entry = desk.entry(TSLA, "10")
    desk.wait()
    desk.set_price(TSLA, "103")
    desk.poll()
    desk.check()
    desk.place()
    assert desk.orders() == []
    assert desk.intent(entry).state is IntentState.ABANDONED
    assert "outside the 2% collar" in desk.intent(entry).note


def test_an_entry_that_no_longer_fits_is_cut_before_it_is_sent() -> None:
    desk = Desk()
    desk.entry(TSLA, "50")
    desk.world.exchange.seed_position(AAPL, Decimal(220), Decimal(100))
    desk.reconcile()
    desk.wait()
    desk.reconcile()
    desk.poll()
    desk.check()
    desk.place()
    assert [order.quantity for order in desk.orders()] == [Decimal(23)]
