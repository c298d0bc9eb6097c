"""Reconciliation: the broker's word is taken, every difference is told, and a crash between any two steps heals."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest

from shared.domain.alerts import AlertKind, Severity
from shared.domain.assets import Symbol
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.errors import Conflict, HearthwatchError, OutcomeUnknown, Unavailable
from shared.domain.intents import Intent, IntentState, Side
from shared.domain.orders import HeldPosition
from shared.domain.positions import DEFAULT_STOP_LOSS
from shared.domain.reconciliation import DifferenceKind
from shared.domain.trading_state import HaltReason
from shared.use_cases.reconcile_orders import ReconcileReport, ReconcileResult
from tests.fakes.desk import NVDA, START, Desk, held
from tests.fakes.faults import Crash
from tests.fakes.venue import AAPL, MINUTE, OPEN, TSLA, order

S = IntentState
R = ReconcileResult
DOWN = Unavailable("down")
NEXT_OPEN = OPEN + timedelta(days=1)


def holding_tsla() -> Desk:
    """Ten TSLA with a stop at 95."""
    return Desk(held(TSLA, "10", "100"))


def reconcile(desk: Desk) -> ReconcileReport:
    return desk.use.reconcile_orders()


# agreement


def test_nothing_happened_is_clean_and_writes_only_the_facts() -> None:
    desk = holding_tsla()
    desk.wait()
    assert reconcile(desk).result is R.CLEAN
    assert desk.heard() == []
    assert not {"positions.put", "ledgers.save", "journal.put"} & set(desk.faults.calls)


def test_the_first_pass_of_an_empty_book_adopts_what_the_broker_holds_with_the_default_stop() -> None:
    desk = Desk(blank=True)
    desk.world.exchange.seed_position(TSLA, Decimal("10.4"), Decimal("90"))
    assert reconcile(desk).result is R.CLEAN
    position = desk.position(TSLA)
    assert position is not None
    assert (position.quantity, position.average_entry_price) == (Decimal("10.4"), Decimal(90))
    assert (position.stop_loss_pct, position.stop_price) == (DEFAULT_STOP_LOSS, Decimal("72.00"))
    assert position.adjusted_through == START.date()


def test_the_first_pass_of_a_book_with_other_positions_tells_the_difference() -> None:
    desk = Desk(held(TSLA, "10", "100"), blank=True)
    desk.world.exchange.seed_position(TSLA, Decimal(7), Decimal(100))
    report = reconcile(desk)
    assert [d.text for d in report.differences] == ["quantity of TSLA: expected 10, the broker says 7"]


def test_the_fill_of_our_own_order_is_no_difference() -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.place()
    desk.trade(TSLA, "94")
    report = reconcile(desk)
    assert (report.result, report.differences) == (R.CLEAN, [])
    assert [closed.id for closed in report.finished] == [intent.id]
    assert desk.position(TSLA) is None
    assert desk.world.ledgers.closed(intent.id) is not None
    assert desk.facts("intent_closed") == 1
    assert desk.ledger.open == desk.ledger.finished == {}
    filled = next(a for a in desk.heard() if a.kind == AlertKind.ORDER_FILLED)
    assert (filled.severity, filled.occurrence) == (Severity.INFO, intent.id)


def test_a_partial_fill_lowers_the_position_and_keeps_the_intent_open() -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.place()
    desk.trade(TSLA, "94", volume="30")
    assert reconcile(desk).result is R.CLEAN
    position = desk.position(TSLA)
    assert position is not None
    assert position.quantity == Decimal(7)
    stored = desk.intent(intent)
    assert (stored.state, stored.filled_quantity) == (S.PARTIALLY_FILLED, Decimal(3))
    desk.trade(TSLA, "93")
    assert reconcile(desk).result is R.CLEAN
    assert desk.position(TSLA) is None
    assert desk.intent(intent).filled_quantity == Decimal(10)


def test_a_filled_entry_becomes_a_position_with_its_lot_and_stop() -> None:
    desk = Desk()
    desk.entry(TSLA, "10")
    desk.place()
    desk.trade(TSLA, "100")
    assert reconcile(desk).result is R.CLEAN
    position = desk.position(TSLA)
    assert position is not None
    assert position.quantity == Decimal(10)
    assert position.stop_price == Decimal("80.00")


def test_the_stop_follows_the_average_entry_after_an_added_fill() -> None:
    desk = Desk(held(TSLA, "10", "90", "0.10"))
    lot = desk.position(TSLA)
    desk.entry(TSLA, "10")
    desk.place()
    desk.trade(TSLA, "100")
    reconcile(desk)
    position = desk.position(TSLA)
    assert position is not None
    assert lot is not None
    assert (position.quantity, position.lot) == (Decimal(20), lot.lot)
    assert position.average_entry_price == Decimal(95)
    assert position.stop_price == Decimal("85.50")


# differences


def bought_by_hand(desk: Desk) -> None:
    desk.trade(TSLA, "100")
    desk.world.exchange.submit(order("by-hand", "buy", "3"), desk.clock.now())
    desk.trade(TSLA, "100")


def sold_by_hand(desk: Desk) -> None:
    desk.world.exchange.submit(order("by-hand", "sell", "4"), desk.clock.now())
    desk.trade(TSLA, "100")


def closed_by_hand(desk: Desk) -> None:
    desk.world.exchange.submit(order("by-hand", "sell", "10"), desk.clock.now())
    desk.trade(TSLA, "100")


def opened_by_hand(desk: Desk) -> None:
    desk.trade(AAPL, "100")
    desk.world.exchange.submit(order("by-hand", "buy", "2", symbol=AAPL), desk.clock.now())
    desk.trade(AAPL, "100")


def deposited(desk: Desk) -> None:
    desk.wait()
    desk.world.exchange.cash += 500


def charged(desk: Desk) -> None:
    desk.wait()
    desk.world.exchange.cash -= Decimal("0.01")


def rounded(desk: Desk) -> None:
    desk.wait()
    desk.world.exchange.cash -= Decimal("0.0099")


def resting_by_hand(desk: Desk) -> None:
    desk.wait()
    desk.world.exchange.submit(order("by-hand", "buy", "1", "limit", "10"), desk.clock.now())


def resting_of_ours(desk: Desk) -> None:
    desk.wait()
    desk.world.exchange.submit(order("hw-" + "0" * 40, "buy", "1", "limit", "10"), desk.clock.now())


K = DifferenceKind
A = AlertKind
DIFFERENCES: list[tuple[Callable[[Desk], None], set[DifferenceKind], set[str], set[Symbol], str]] = [
    (bought_by_hand, {K.QUANTITY, K.CASH}, {A.POSITION_MISMATCH, A.CASH_MISMATCH}, {TSLA}, "13"),
    (sold_by_hand, {K.QUANTITY, K.CASH}, {A.POSITION_MISMATCH, A.CASH_MISMATCH}, {TSLA}, "6"),
    (closed_by_hand, {K.QUANTITY, K.CASH}, {A.POSITION_MISMATCH, A.CASH_MISMATCH}, {TSLA}, "0"),
    (opened_by_hand, {K.QUANTITY, K.CASH}, {A.POSITION_MISMATCH, A.CASH_MISMATCH}, {AAPL}, "10"),
    (deposited, {K.CASH}, {A.CASH_MISMATCH}, set(), "10"),
    (charged, {K.CASH}, {A.CASH_MISMATCH}, set(), "10"),
    (rounded, set(), set(), set(), "10"),
    (resting_by_hand, {K.FOREIGN_ORDER}, {A.FOREIGN_ORDER}, set(), "10"),
    (resting_of_ours, {K.LOST_ORDER}, {A.FOREIGN_ORDER}, set(), "10"),
]


@pytest.mark.parametrize(
    ("happen", "found", "told", "frozen", "quantity"), DIFFERENCES, ids=[case[0].__name__ for case in DIFFERENCES]
)
def test_every_difference_is_named_told_and_journaled_and_the_broker_is_right(
    happen: Callable[[Desk], None],
    found: set[DifferenceKind],
    told: set[str],
    frozen: set[Symbol],
    quantity: str,
) -> None:
    desk = holding_tsla()
    happen(desk)
    report = reconcile(desk)
    assert {d.kind for d in report.differences} == found
    assert set(desk.kinds()) - {A.LARGE_POSITION_CHANGE} == told
    assert desk.facts("reconciliation_difference") == len(report.differences)
    facts = desk.world.records.last()
    assert facts is not None
    assert facts.frozen == frozen
    assert facts.clean is (found <= {K.FOREIGN_ORDER})
    position = desk.position(TSLA)
    assert (position.quantity if position else Decimal(0)) == Decimal(quantity)


def test_a_difference_is_told_with_both_numbers_and_the_symbol_is_frozen_until_a_clean_pass() -> None:
    desk = holding_tsla()
    sold_by_hand(desk)
    reconcile(desk)
    mismatch = next(a for a in desk.heard() if a.kind == A.POSITION_MISMATCH)
    assert "expected 10" in mismatch.text
    assert "says 6" in mismatch.text
    desk.poll()
    desk.check()
    state = desk.world.controls.trading_state()
    assert state is not None
    assert HaltReason.BROKER_UNSURE in state.reasons
    assert desk.enter(TSLA, "1").intent is None
    desk.wait()
    assert reconcile(desk).result is R.CLEAN
    desk.poll()
    desk.check()
    assert desk.enter(TSLA, "1").intent is not None


def test_an_order_by_hand_is_told_when_it_first_shows_and_not_again() -> None:
    desk = holding_tsla()
    resting_by_hand(desk)
    told = []
    for _ in range(3):
        reconcile(desk)
        told.append(A.FOREIGN_ORDER in desk.kinds())
    assert told == [True, False, False]


@pytest.mark.parametrize(
    ("symbol", "quantity", "why"),
    [
        ("TSLA260619C00300000", "1", "options are not traded"),
        ("BTCUSD", "0.5", "switched off"),
        ("AAPL", "-5", "above zero"),
    ],
)
def test_a_position_that_cannot_be_protected_is_told_once_and_left_alone(symbol: str, quantity: str, why: str) -> None:
    desk = holding_tsla()
    stranger = HeldPosition(
        symbol=Symbol(symbol),
        quantity=Decimal(quantity),
        available=Decimal(quantity),
        average_entry_price=Decimal(100),
    )
    held_so_far = desk.world.exchange.positions
    desk.world.exchange.positions = lambda: [*held_so_far(), stranger]  # type: ignore[method-assign]
    told = []
    for _ in range(2):
        reconcile(desk)
        told.append([a.text for a in desk.heard() if a.kind == A.POSITION_UNWATCHED])
        desk.wait()
    assert [len(texts) for texts in told] == [1, 0]
    assert why in told[0][0]
    assert desk.position(Symbol(symbol)) is None


def test_a_position_that_changed_by_a_quarter_is_told_and_a_small_change_is_not() -> None:
    for quantity, told in (("3", True), ("2", False)):
        desk = holding_tsla()
        desk.world.exchange.submit(order("by-hand", "sell", quantity), desk.clock.now())
        desk.trade(TSLA, "100")
        reconcile(desk)
        assert (A.LARGE_POSITION_CHANGE in desk.kinds()) is told


# corporate actions

SPLIT = CorporateAction(symbol=TSLA, ex_date=NEXT_OPEN.date(), kind=ActionKind.SPLIT, ratio=Decimal(4))
DIVIDEND = CorporateAction(symbol=TSLA, ex_date=NEXT_OPEN.date(), kind=ActionKind.DIVIDEND, cash_amount=Decimal(2))


def over_night(*known: CorporateAction, applied: CorporateAction | None) -> Desk:
    """Ten TSLA held into the next morning, when the broker has applied what went ex."""
    desk = Desk(held(TSLA, "10", "100"), actions=known)
    desk.wait(NEXT_OPEN - desk.clock.now())
    if applied is not None:
        desk.world.exchange.apply(applied, desk.clock.now())
    return desk


def test_a_known_split_is_no_difference_and_is_applied_once_whoever_comes_first() -> None:
    for first in (Desk.reconcile, Desk.check):
        desk = over_night(SPLIT, applied=SPLIT)
        desk.set_price(TSLA, "25")
        first(desk)
        desk.heard()
        for _ in range(3):
            desk.wait()
            assert reconcile(desk).differences == []
            desk.poll()
            desk.check()
            position = desk.position(TSLA)
            assert position is not None
            assert (position.quantity, position.stop_price) == (Decimal(40), Decimal("23.75"))
        assert A.LARGE_POSITION_CHANGE not in desk.kinds()
        assert desk.ledger.open == {}


def test_a_split_that_the_broker_books_late_leaves_the_stop_where_it_belongs() -> None:
    desk = over_night(SPLIT, applied=None)
    desk.set_price(TSLA, "25")
    for number in range(4):
        desk.wait()
        if number == 2:
            desk.world.exchange.apply(SPLIT, desk.clock.now())
        reconcile(desk)
        desk.poll()
        desk.check()
        position = desk.position(TSLA)
        assert position is not None
        assert position.stop_price == Decimal("23.75")
        assert position.quantity == (10 if number < 2 else 40)
    assert desk.ledger.open == {}


def test_an_unknown_split_freezes_the_symbol_and_alerts() -> None:
    desk = over_night(applied=SPLIT)
    report = reconcile(desk)
    assert [d.kind for d in report.differences] == [K.QUANTITY]
    assert desk.enter(TSLA, "1").intent is None


def test_a_known_dividend_explains_the_cash_and_keeps_the_lowered_stop() -> None:
    desk = over_night(DIVIDEND, applied=DIVIDEND)
    desk.set_price(TSLA, "98")
    for _ in range(3):
        desk.wait()
        assert reconcile(desk).differences == []
        desk.poll()
        desk.check()
        position = desk.position(TSLA)
        assert position is not None
        assert position.stop_price == Decimal("93.10")


def test_an_unknown_dividend_is_a_cash_difference() -> None:
    report = reconcile(over_night(applied=DIVIDEND))
    assert [(d.kind, d.found - d.expected) for d in report.differences] == [(K.CASH, Decimal(20))]


# order of steps, and trouble


def filled_exit() -> tuple[Desk, Intent]:
    """An exit that the exchange has filled and the book does not know of yet."""
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.place()
    desk.trade(TSLA, "94")
    desk.heard()
    desk.faults.calls.clear()
    return desk, intent


def test_the_facts_are_written_before_the_position_and_the_position_before_the_ledger_lets_go() -> None:
    desk, _ = filled_exit()
    reconcile(desk)
    writes = [c for c in desk.faults.calls if c in ("positions.remove", "records.put", "ledgers.save")]
    assert writes[:3] == ["records.put", "positions.remove", "ledgers.save"]


@pytest.mark.parametrize("write", ["positions.put", "records.put"])
def test_a_first_pass_that_dies_after_it_found_a_trade_by_hand_leaves_it_to_be_told(write: str) -> None:
    desk = Desk(held(TSLA, "10", "100"), blank=True)
    sold_by_hand(desk)
    desk.faults.fail("alerts.send", DOWN)
    desk.faults.fail(write, DOWN)
    with pytest.raises(Unavailable):
        reconcile(desk)
    desk.faults.mend()
    desk.wait()
    reconcile(desk)
    assert A.POSITION_MISMATCH in desk.kinds()


def test_a_finished_intent_is_journaled_told_and_archived_before_it_is_forgotten() -> None:
    desk, _ = filled_exit()
    reconcile(desk)
    done = [c for c in desk.faults.calls if c in ("journal.put", "alerts.send", "ledgers.archive", "ledgers.save")]
    assert done[-4:] == ["journal.put", "alerts.send", "ledgers.archive", "ledgers.save"]


def test_with_the_alert_queue_down_a_finished_intent_waits_to_be_told() -> None:
    desk, intent = filled_exit()
    desk.faults.fail("alerts.send", DOWN)
    assert reconcile(desk).finished == []
    assert desk.position(TSLA) is None
    assert list(desk.ledger.finished) == [intent.id]
    assert desk.use.reconcile_orders.is_due()
    desk.faults.mend()
    desk.wait()
    report = reconcile(desk)
    assert [closed.id for closed in report.finished] == [intent.id]
    assert report.differences == []
    assert A.ORDER_FILLED in desk.kinds()


@pytest.mark.parametrize("call", ["alerts.send", "journal.put"])
def test_a_difference_that_could_not_be_told_is_told_by_the_next_pass(call: str) -> None:
    desk = holding_tsla()
    sold_by_hand(desk)
    desk.faults.fail(call, DOWN)
    reconcile(desk)
    desk.faults.mend()
    desk.heard()
    desk.wait()
    report = reconcile(desk)
    assert report.differences == []
    assert {A.POSITION_MISMATCH, A.CASH_MISMATCH} <= set(desk.kinds())
    desk.wait()
    reconcile(desk)
    assert desk.heard() == []


@pytest.mark.parametrize(
    "call", ["broker.positions", "broker.account", "broker.live_orders", "broker.order_by_client_id", "records.last"]
)
def test_a_broker_that_cannot_be_read_changes_nothing(call: str) -> None:
    desk, intent = filled_exit()
    before = (desk.world.positions.all(), desk.world.records.last(), desk.ledger)
    desk.faults.fail(call, DOWN)
    with pytest.raises(Unavailable):
        reconcile(desk)
    assert (desk.world.positions.all(), desk.world.records.last(), desk.ledger) == before
    desk.faults.mend()
    assert [closed.id for closed in reconcile(desk).finished] == [intent.id]


def test_a_fill_while_the_broker_is_read_is_read_again_and_settled_in_the_same_pass() -> None:
    desk = holding_tsla()
    desk.breach(TSLA, "94")
    desk.place()
    desk.faults.before("broker.positions", lambda: desk.trade(TSLA, "94", volume="30"))
    assert reconcile(desk).result is R.CLEAN
    position = desk.position(TSLA)
    assert position is not None
    assert position.quantity == 7


def test_a_picture_that_keeps_changing_is_left_for_the_next_pass() -> None:
    desk = holding_tsla()
    desk.breach(TSLA, "94")
    desk.place()
    fills = iter(range(1, 100))

    def fill_a_little(*args: object) -> bool:
        desk.trade(TSLA, "94", volume="10") if next(fills) < 9 else None
        return False

    desk.faults.fail("broker.positions", DOWN, when=fill_a_little)
    before = desk.position(TSLA)
    assert reconcile(desk).result is R.UNSETTLED
    assert desk.position(TSLA) == before
    desk.faults.mend()
    assert reconcile(desk).result is R.CLEAN


def test_a_pass_that_is_overtaken_gives_way() -> None:
    desk, _ = filled_exit()
    desk.faults.before("records.put", desk.reconcile)
    assert reconcile(desk).result is R.OVERTAKEN
    desk.wait()
    assert reconcile(desk).result is R.CLEAN
    assert desk.kinds().count(A.ORDER_FILLED) == 1


def test_two_passes_at_once_end_as_one() -> None:
    calls = (
        "broker.positions",
        "broker.live_orders",
        "positions.remove",
        "ledgers.save",
        "journal.put",
        "ledgers.archive",
    )
    for call in calls:
        desk, intent = filled_exit()
        desk.faults.before(call, desk.reconcile)
        reconcile(desk)
        desk.wait()
        assert reconcile(desk).differences == []
        assert desk.state(intent) is S.FILLED
        assert desk.ledger.finished == {}


def end_of(desk: Desk) -> tuple[object, ...]:
    facts = desk.world.records.last()
    assert facts is not None
    ledger = desk.ledger
    return (
        [(p.symbol, p.quantity, p.average_entry_price, p.lot) for p in desk.world.positions.all()],
        (facts.cash, facts.quantities, facts.clean, facts.frozen, facts.untold),
        (ledger.open, ledger.finished, {key: tried.times for key, tried in ledger.generations.items()}),
        {i.id: (i.state, i.filled_quantity, i.filled_value) for i in desk.world.ledgers.every_closed()},
    )


def partly_filled_exit() -> Desk:
    desk = holding_tsla()
    desk.breach(TSLA, "94")
    desk.place()
    desk.trade(TSLA, "94", volume="30")
    return desk


def filled_entry() -> Desk:
    desk = Desk()
    desk.entry(TSLA, "10")
    desk.place()
    desk.trade(TSLA, "100")
    return desk


def filled_exit_and_entry() -> Desk:
    desk = Desk(held(TSLA, "10", "100"), held(NVDA, "5", "100"))
    desk.entry(AAPL, "10")
    desk.breach(TSLA, "94")
    desk.place()
    desk.trade(AAPL, "100")
    desk.trade(TSLA, "94")
    return desk


def unknown_exit_without_trace() -> Desk:
    desk = holding_tsla()
    desk.breach(TSLA, "94")
    desk.faults.fail("broker.submit", OutcomeUnknown("timeout"), times=1)
    desk.place()
    desk.wait(timedelta(seconds=31))
    return desk


def traded_by_hand() -> Desk:
    desk = holding_tsla()
    sold_by_hand(desk)
    return desk


def split_in_the_night() -> Desk:
    return over_night(SPLIT, applied=SPLIT)


STORIES: list[Callable[[], Desk]] = [
    lambda: filled_exit()[0],
    partly_filled_exit,
    filled_entry,
    filled_exit_and_entry,
    unknown_exit_without_trace,
    traded_by_hand,
    split_in_the_night,
]
NAMES = ["exit", "partial", "entry", "both", "unknown", "by hand", "split"]


@pytest.mark.parametrize("story", STORIES, ids=NAMES)
def test_a_crash_before_any_call_of_a_pass_is_healed_by_the_next(story: Callable[[], Desk]) -> None:
    whole = story()
    whole.faults.calls.clear()
    whole.heard()
    reconcile(whole)
    calls = len(whole.faults.calls)
    told = {alert.id.rpartition("|")[0].partition("|2026")[0] for alert in whole.heard()}
    reconcile(whole)
    for point in range(calls):
        desk = story()
        desk.faults.calls.clear()
        desk.heard()
        desk.faults.crash_before = point
        with pytest.raises(Crash):
            reconcile(desk)
        desk.faults.mend()
        reconcile(desk)
        reconcile(desk)
        assert end_of(desk) == end_of(whole), desk.faults.calls[point - 1 : point + 1]
        again = {alert.id.rpartition("|")[0].partition("|2026")[0] for alert in desk.heard()}
        assert {a for a in told if not a.startswith(A.LARGE_POSITION_CHANGE)} <= again


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("error", [DOWN, Conflict("busy")], ids=["down", "conflict"])
@pytest.mark.parametrize("story", STORIES, ids=NAMES)
def test_a_failing_write_of_a_pass_is_healed_by_the_next(
    story: Callable[[], Desk], error: HearthwatchError, answer_lost: bool
) -> None:
    whole = story()
    reconcile(whole)
    reconcile(whole)
    for call in ("positions.put", "positions.remove", "records.put", "ledgers.save", "ledgers.archive"):
        desk = story()
        desk.faults.fail(call, error, times=1, answer_lost=answer_lost)
        with suppress(Unavailable):
            reconcile(desk)
        desk.faults.mend()
        for _ in range(2):
            reconcile(desk)
        assert end_of(desk) == end_of(whole), call


# when


def test_a_pass_is_due_every_minute_while_anything_is_open_and_else_every_five() -> None:
    desk = holding_tsla()
    due = desk.use.reconcile_orders.is_due
    assert not due()
    desk.wait(5 * MINUTE - timedelta(seconds=1))
    assert not due()
    desk.wait(timedelta(seconds=1))
    assert due()
    reconcile(desk)
    desk.breach(TSLA, "94")
    assert not due()
    desk.place()
    assert due()


def test_a_pass_is_due_before_the_first_and_after_one_with_differences() -> None:
    assert Desk(blank=True).use.reconcile_orders.is_due()
    desk = holding_tsla()
    sold_by_hand(desk)
    reconcile(desk)
    assert desk.use.reconcile_orders.is_due()


def test_a_sent_intent_belongs_to_its_executor_for_a_minute() -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.faults.fail("broker.submit", Crash())
    with pytest.raises(Crash):
        desk.place()
    desk.faults.mend()
    for seconds, state in ((59, S.SENT), (1, S.SENT), (1, S.PREPARED)):
        desk.wait(timedelta(seconds=seconds))
        reconcile(desk)
        assert desk.state(intent) is state


def test_a_crash_after_the_broker_took_the_order_is_adopted_at_once() -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.faults.fail("broker.submit", Crash(), answer_lost=True)
    with pytest.raises(Crash):
        desk.place()
    desk.faults.mend()
    desk.wait(timedelta(seconds=1))
    reconcile(desk)
    assert desk.state(intent) is S.ACKED
    assert len(desk.orders()) == 1
    assert desk.orders()[0].side is Side.SELL


def test_an_exit_that_was_sold_before_anybody_was_told_is_told_with_its_fill() -> None:
    desk = Desk(held(TSLA, "10", "100"))
    desk.faults.fail("alerts.send", Unavailable("down"))
    desk.breach(TSLA, "94")
    desk.faults.mend()
    desk.place()
    desk.trade(TSLA, "94")
    desk.heard()
    desk.reconcile()
    assert [k for k in desk.kinds() if k in (A.STOP_TRIGGERED, A.ORDER_FILLED)] == [A.STOP_TRIGGERED, A.ORDER_FILLED]
