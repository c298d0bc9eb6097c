"""Entries: what the gate refuses, shrinks and stores."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from shared.domain.assets import Symbol
from shared.domain.errors import Conflict, InvalidValue, Throttled, Unavailable
from shared.domain.intents import CycleId, IntentState, OrderType, Reason, Side, TimeInForce
from shared.domain.trading_state import HaltReason, KillSwitch, SwitchMode, trading_state
from shared.use_cases.prepare_entry import ProposeEntry
from tests.fakes.desk import NVDA, START, Desk, held
from tests.fakes.venue import AAPL, MINUTE, TSLA

DOWN = Unavailable("down")
Trouble = Callable[[Desk], object]


def test_an_entry_is_stored_journaled_and_rings_the_doorbell() -> None:
    desk = Desk()
    outcome = desk.enter(TSLA, "10")
    intent = outcome.intent
    assert intent is not None
    assert outcome.reasons == ()
    assert (intent.side, intent.quantity, intent.state) == (Side.BUY, Decimal(10), IntentState.PREPARED)
    assert (intent.order_type, intent.time_in_force) == (OrderType.LIMIT, TimeInForce.DAY)
    assert intent.limit_price == Decimal("100.02")
    assert desk.ledger.open[intent.id] == intent
    assert desk.facts("intent_prepared") == 1
    assert desk.world.doorbell.answer()
    assert desk.orders() == []


def test_a_fraction_goes_at_market_priced_at_the_edge_of_the_collar() -> None:
    intent = Desk().entry(TSLA, "1.5")
    assert (intent.order_type, intent.limit_price, intent.worst_price) == (OrderType.MARKET, None, Decimal("102.00"))


def set_kill(desk: Desk) -> None:
    desk.world.controls.set_kill_switch(KillSwitch(mode=SwitchMode.KILL, by="ann", why="enough"))


def halt(desk: Desk) -> None:
    desk.world.controls.publish_trading_state(trading_state({HaltReason.MANUAL_PAUSE}))


def reduce(desk: Desk) -> None:
    desk.world.controls.publish_trading_state(trading_state({HaltReason.STALE_DATA}))


def break_call(call: str, error: Exception = DOWN) -> Trouble:
    return lambda desk: desk.faults.fail(call, error)


def wild_print(desk: Desk) -> None:
    desk.wait()
    desk.set_price(TSLA, "70")
    desk.poll()


def backup_price(desk: Desk) -> None:
    desk.wait()
    desk.primary.forget(TSLA)
    desk.backup.set(TSLA, "100")
    desk.poll()


def blind_holding(desk: Desk) -> None:
    desk.world.positions.put(held(AAPL, "5", "100"))
    desk.wait()
    desk.primary.forget(AAPL)
    desk.poll()


def manual_trade(desk: Desk) -> None:
    desk.world.exchange.seed_position(TSLA, Decimal(3), Decimal(100))
    desk.wait()
    desk.reconcile()
    desk.poll()


def spend_everything(desk: Desk) -> None:
    desk.world.exchange.cash = Decimal(0)


REFUSALS: list[tuple[str, Trouble, str]] = [
    ("kill switch set", set_kill, "kill switch: enough"),
    ("kill switch unreadable", break_call("controls.kill_switch"), "could not be read"),
    ("kill switch throttled", break_call("controls.kill_switch", Throttled("wait", MINUTE)), "could not be read"),
    ("halted", halt, "manual_pause"),
    ("reducing", reduce, "stale_data"),
    ("state unreadable", break_call("controls.trading_state"), "broker_unsure"),
    ("market clock unknown", break_call("broker.clock"), "session: unsure"),
    ("calendar unknown", break_call("calendar.days"), "session: unsure"),
    ("prices unreadable", break_call("prices.latest"), "no usable quote"),
    ("prices older than 90 s", lambda desk: desk.wait(timedelta(seconds=91)), "no usable quote"),
    ("wild print", wild_print, "no usable quote"),
    ("backup price", backup_price, "backup_price"),
    ("facts unreadable", break_call("records.last"), "frozen"),
    ("positions unreadable", break_call("positions.all"), "exposure unknown"),
    ("a held symbol without a price", blind_holding, "exposure unknown"),
    ("a manual trade in the symbol", manual_trade, "frozen"),
    ("account unknown", break_call("broker.account"), "account: unknown"),
    ("asset unknown", break_call("broker.asset"), "asset: unknown"),
    ("a halted symbol", lambda desk: desk.world.exchange.halt(TSLA), "asset: TSLA is halted"),
    ("a symbol that left", lambda d: d.world.exchange.list_symbol(TSLA, tradable=False), "halted or not tradable"),
    ("no money left", spend_everything, "buying power: 0.00 dollars"),
    ("losses unreadable", break_call("controls.losses"), "losses: unknown"),
]


@pytest.mark.parametrize(("trouble", "named"), [case[1:] for case in REFUSALS], ids=[case[0] for case in REFUSALS])
def test_the_gate_refuses_and_says_why(trouble: Trouble, named: str) -> None:
    desk = Desk()
    trouble(desk)
    outcome = desk.enter()
    assert outcome.intent is None
    assert any(named in reason for reason in outcome.reasons), outcome.reasons
    assert desk.ledger.open == {}
    assert not desk.ledger.open_for(TSLA, Side.BUY)


def test_a_signal_to_sell_short_is_no_entry() -> None:
    desk = Desk()
    short = ProposeEntry(
        symbol=TSLA,
        quantity=Decimal(1),
        reason=Reason.ENTRY,
        cycle=CycleId("short"),
        decided_at=desk.clock.now(),
        text="a story",
        side=Side.SELL,
    )
    outcome = desk.use.prepare_entry(short)
    assert outcome.intent is None
    assert outcome.reasons == ("order: only buys open a position: a sell would be a short sale",)
    assert desk.ledger.open == {}


@pytest.mark.parametrize("call", ["broker.account", "broker.asset"])
def test_while_the_broker_wants_quiet_no_entry_is_prepared(call: str) -> None:
    desk = Desk()
    desk.faults.fail(call, Throttled("asked to wait 30 s", MINUTE), times=1)
    assert desk.enter().reasons == ("asked to wait 30 s",)
    assert desk.enter().intent is not None


def test_before_the_first_reconciliation_nothing_is_entered() -> None:
    desk = Desk(blank=True)
    desk.poll()
    desk.check()
    assert desk.enter().intent is None


@pytest.mark.parametrize(("minutes", "passes"), [(11, True), (12, False)])
def test_the_broker_s_word_of_an_earlier_pass_opens_nothing_once_it_is_old(minutes: int, passes: bool) -> None:
    """No risk check has run since that could have said so."""
    desk = Desk()
    desk.wait(minutes * MINUTE)
    desk.poll()
    outcome = desk.enter(TSLA, "10")
    assert (outcome.intent is not None) is passes
    if not passes:
        assert "reconciliation: TSLA is frozen for entries until a clean reconciliation" in outcome.reasons


def test_after_the_close_nothing_is_entered() -> None:
    desk = Desk()
    desk.wait(timedelta(hours=6))
    desk.poll()
    assert desk.enter().intent is None


def test_an_unknown_symbol_is_refused() -> None:
    assert Desk().enter(Symbol("KO")).intent is None


@pytest.mark.parametrize("symbol", ["TSLA260320C00250000", "BTC/USD"])
def test_options_and_crypto_are_refused_at_this_entrance_too(symbol: str) -> None:
    with pytest.raises(InvalidValue):
        Desk().enter(Symbol(symbol))


# limits


def test_an_entry_past_five_percent_shrinks_to_whole_shares() -> None:
    outcome = Desk().enter(TSLA, "60")
    assert outcome.intent is not None
    assert outcome.intent.quantity == Decimal(49)
    assert outcome.reasons == ("symbol limit: limit of 5% of equity per symbol",)


def test_what_is_held_counts_against_the_limit() -> None:
    desk = Desk(held(TSLA, "45", "100"))
    outcome = desk.enter(TSLA, "10")
    assert outcome.intent is not None
    assert outcome.intent.quantity == Decimal(7)


def test_open_entries_count_against_the_total() -> None:
    desk = Desk(*(held(Symbol(name), "45", "100") for name in ("KO", "PEP", "IBM", "GS")), watched=(TSLA, AAPL, NVDA))
    for name in ("KO", "PEP", "IBM", "GS"):
        desk.set_price(Symbol(name), "100")
    desk.wait()
    desk.poll()
    assert desk.entry(TSLA, "30").quantity == Decimal(30)
    last = desk.enter(AAPL, "30", "cycle-2")
    assert last.intent is None or last.intent.quantity < Decimal(30)


def test_a_full_position_takes_nothing_more() -> None:
    outcome = Desk(held(TSLA, "55", "100")).enter(TSLA, "1")
    assert outcome.intent is None


def test_entries_prepared_at_the_same_moment_cannot_pass_the_limit_together() -> None:
    desk = Desk()
    desk.faults.before("ledgers.save", lambda: desk.entry(TSLA, "40", "cycle-1"))
    outcome = desk.enter(TSLA, "40", "cycle-2")
    assert outcome.intent is None
    assert [intent.quantity for intent in desk.ledger.open.values()] == [Decimal(40)]


def test_racing_entries_of_two_symbols_stay_inside_the_total() -> None:
    desk = Desk(*(held(Symbol(name), "40", "100") for name in ("KO", "PEP", "IBM", "GS")))
    for name in ("KO", "PEP", "IBM", "GS"):
        desk.set_price(Symbol(name), "100")
    desk.wait()
    desk.poll()
    desk.faults.before("ledgers.save", lambda: desk.entry(TSLA, "40", "cycle-1"))
    outcome = desk.enter(AAPL, "40", "cycle-2")
    committed = desk.ledger.committed()
    equity = desk.world.exchange.account().equity
    assert committed + 16_000 <= equity / 5
    assert outcome.intent is None or outcome.intent.quantity < 40


# the slot


def test_the_same_decision_again_stores_nothing_more() -> None:
    desk = Desk()
    first = desk.entry()
    again = desk.enter()
    assert again.intent is None or again.intent == first
    assert list(desk.ledger.open) == [first.id]


def test_another_decision_waits_while_an_entry_in_the_symbol_is_open() -> None:
    desk = Desk()
    desk.entry(TSLA, cycle="cycle-1")
    assert desk.enter(TSLA, cycle="cycle-2").intent is None
    assert desk.enter(AAPL, cycle="cycle-2").intent is not None


def test_no_entry_while_an_exit_in_the_symbol_is_open() -> None:
    desk = Desk(held(TSLA, "10", "100"))
    desk.breach(TSLA, "94")
    outcome = desk.enter(TSLA, "1")
    assert outcome.reasons == (f"an exit in {TSLA} is open",)


def test_one_decision_gives_one_order_even_after_it_filled() -> None:
    desk = Desk()
    intent = desk.entry()
    desk.place()
    desk.trade(TSLA, "100")
    desk.reconcile()
    desk.poll()
    desk.check()
    assert desk.state(intent) is IntentState.FILLED
    assert desk.enter(cycle="cycle-1").reasons == ("this decision has had its order",)
    assert desk.enter(cycle="cycle-2").intent is not None


def test_a_third_entry_order_within_the_hour_is_refused() -> None:
    desk = Desk()
    for number in range(2):
        desk.entry(TSLA, "1", f"cycle-{number}")
        desk.place()
        desk.trade(TSLA, "100")
        desk.reconcile()
        desk.poll()
        desk.check()
    assert desk.enter(TSLA, "1", "cycle-3").intent is None
    assert desk.enter(AAPL, "1", "cycle-3").intent is not None


# trouble


def test_a_contended_ledger_is_read_again_and_given_up_after_a_while() -> None:
    desk = Desk()
    desk.faults.fail("ledgers.save", Conflict("busy"), times=3)
    assert desk.enter().intent is not None
    desk.faults.fail("ledgers.save", Conflict("busy"))
    with pytest.raises(Conflict):
        desk.enter(AAPL)


def test_a_lost_answer_leaves_one_intent_that_the_next_try_finds() -> None:
    desk = Desk()
    desk.faults.fail("ledgers.save", DOWN, times=1, answer_lost=True)
    with pytest.raises(Unavailable):
        desk.enter()
    desk.enter()
    assert len(desk.ledger.open) == 1


def test_an_intent_prepared_is_dated_now() -> None:
    assert Desk().entry().created_at == START


@pytest.mark.parametrize(("minutes", "passes"), [(10, True), (11, False)])
def test_a_decision_delivered_long_after_it_was_taken_buys_nothing(minutes: int, passes: bool) -> None:
    outcome = Desk().enter(TSLA, age=timedelta(minutes=minutes))
    assert (outcome.intent is not None) is passes
    assert passes or "too long ago" in outcome.reasons[0]
