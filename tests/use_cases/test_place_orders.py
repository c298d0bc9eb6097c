"""The executor: each intent reaches the broker once, exits first, whatever happens around the send."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest

from shared.domain.alerts import AlertKind, Severity
from shared.domain.errors import (
    BrokerRefusal,
    HearthwatchError,
    OutcomeUnknown,
    Refusal,
    StartRefused,
    Throttled,
    Unavailable,
)
from shared.domain.intents import IntentState, Side
from shared.domain.ledger import Ledger
from shared.domain.orders import OrderStatus
from shared.domain.trading_state import KillSwitch, SwitchMode
from tests.fakes.desk import NVDA, OWNER, Desk, held
from tests.fakes.faults import Crash
from tests.fakes.venue import AAPL, CLOSE, MINUTE, OPEN, TSLA, order

S = IntentState
SECOND = timedelta(seconds=1)
DOWN = Unavailable("down")
KILLED = KillSwitch(mode=SwitchMode.KILL, by="ann", why="enough")


def holding_tsla() -> Desk:
    """Ten TSLA with a stop at 95."""
    return Desk(held(TSLA, "10", "100"))


def test_an_exit_is_sent_and_recorded_before_anything_else_may_fail() -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    report = desk.place()
    assert report.sent == [intent.id]
    sent = desk.orders()
    assert [(o.client_order_id, o.side, o.quantity) for o in sent] == [(intent.id, Side.SELL, Decimal(10))]
    stored = desk.intent(intent)
    assert (stored.state, stored.broker_order_id, stored.recorded) == (S.ACKED, sent[0].id, True)
    assert desk.facts("order_sending") == desk.facts("order_acknowledged") == 1


def test_the_journal_and_the_claim_come_before_the_send() -> None:
    desk = holding_tsla()
    desk.breach(TSLA, "94")
    desk.faults.calls.clear()
    desk.place()
    writes = [c for c in desk.faults.calls if c in ("journal.put", "ledgers.save", "broker.submit")]
    assert writes[:3] == ["journal.put", "ledgers.save", "broker.submit"]


def test_the_kill_switch_is_the_last_thing_read_before_an_entry_leaves() -> None:
    desk = Desk()
    desk.entry()
    desk.faults.calls.clear()
    desk.place()
    before = desk.faults.calls[: desk.faults.calls.index("broker.submit")]
    assert before[-1] == "controls.kill_switch"


def test_exits_leave_before_entries_that_were_prepared_earlier() -> None:
    desk = Desk(held(AAPL, "10", "100"))
    entry = desk.entry(TSLA)
    exit_ = desk.breach(AAPL, "94")
    assert desk.place().sent == [exit_.id, entry.id]


def test_nothing_prepared_takes_no_lease_and_asks_no_broker() -> None:
    desk = Desk()
    desk.place()
    assert desk.faults.count("leases.acquire") == 0
    assert not any(call.startswith("broker.") for call in desk.faults.calls)


# one executor at a time


def test_a_second_executor_is_busy_and_sends_nothing() -> None:
    desk = holding_tsla()
    desk.breach(TSLA, "94")
    reports = []
    desk.faults.before("broker.positions", lambda: reports.append(desk.place("executor-2")))
    first = desk.place()
    assert [report.busy for report in reports] == [True]
    assert len(first.sent) == 1
    assert desk.faults.count("broker.submit") == 1


def test_the_lease_is_given_back_also_after_a_failure() -> None:
    desk = holding_tsla()
    desk.breach(TSLA, "94")
    desk.faults.fail("ledgers.save", RuntimeError("a bug"), times=1)
    with pytest.raises(RuntimeError):
        desk.place()
    assert not desk.place("executor-2").busy


def test_two_executors_that_both_believe_to_hold_the_lease_send_one_order() -> None:
    desk = holding_tsla()
    desk.breach(TSLA, "94")
    desk.world.leases.acquire = lambda name, owner, now, until: True  # type: ignore[method-assign]
    desk.faults.before("ledgers.save", lambda: desk.place("executor-2"))
    desk.place()
    assert desk.faults.count("broker.submit") == 1
    assert len(desk.orders()) == 1


def test_what_an_executor_claimed_that_died_is_not_sent_by_one_that_overlapped() -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.world.leases.acquire = lambda name, owner, now, until: True  # type: ignore[method-assign]
    desk.faults.fail("broker.submit", Crash("killed"), times=1)

    def die() -> None:
        with pytest.raises(Crash):
            desk.place("executor-2")

    desk.faults.before("ledgers.save", die)
    desk.place()
    assert desk.faults.count("broker.submit") == 1
    assert desk.state(intent) is S.SENT


# one failing intent


@pytest.mark.parametrize(
    "error",
    [
        DOWN,
        OutcomeUnknown("timeout"),
        BrokerRefusal(Refusal.OTHER, "no"),
        BrokerRefusal(Refusal.SHARES_RESERVED, "reserved"),
        BrokerRefusal(Refusal.USED_ID, "used"),
    ],
    ids=lambda error: str(error),
)
def test_a_poisoned_exit_does_not_delay_another_symbols_exit(error: HearthwatchError) -> None:
    desk = Desk(held(TSLA, "10", "100"), held(AAPL, "5", "100"))
    desk.set_price(AAPL, "94")
    desk.breach(TSLA, "94")
    desk.faults.fail("broker.submit", error, when=lambda request: request.symbol == TSLA)
    desk.place()
    assert [o.symbol for o in desk.orders()] == [AAPL]


def test_a_rejected_exit_is_told_and_tried_again_under_the_next_generation() -> None:
    desk = holding_tsla()
    first = desk.breach(TSLA, "94")
    desk.faults.fail("broker.submit", BrokerRefusal(Refusal.OTHER, "account restricted"), times=1)
    desk.place()
    assert desk.state(first) is S.REJECTED
    refused = [a for a in desk.heard() if a.kind == AlertKind.ORDER_REFUSED]
    assert [a.severity for a in refused] == [Severity.CRITICAL]
    second = desk.breach(TSLA, "93")
    assert (second.generation, second.purpose) == (1, first.purpose)
    assert desk.place().sent == [second.id]


@pytest.mark.parametrize("times", [1, 3])
def test_a_broker_that_cannot_be_reached_leaves_the_exit_prepared_for_the_next_run(times: int) -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.faults.fail("broker.submit", DOWN, times=times)
    for _ in range(times):
        assert desk.place().sent == []
        stored = desk.intent(intent)
        assert (stored.state, stored.sends) == (S.PREPARED, 0)
        desk.wait(5 * SECOND)
    assert desk.place().sent == [intent.id]


# 429


def test_a_throttled_exit_holds_back_everything_and_loses_nothing() -> None:
    desk = Desk(held(AAPL, "10", "100"))
    entry = desk.entry(TSLA)
    exit_ = desk.breach(AAPL, "94")
    desk.faults.fail("broker.submit", Throttled("429", timedelta(seconds=30)), times=1)
    assert desk.place().sent == []
    assert desk.faults.count("broker.submit") == 1
    desk.wait(29 * SECOND)
    asked = len(desk.faults.calls)
    assert set(desk.place().waiting) == {entry.id, exit_.id}
    assert not any(call.startswith("broker.") for call in desk.faults.calls[asked:])
    desk.wait(SECOND)
    assert desk.place().sent == [exit_.id, entry.id]


def test_an_entry_held_back_again_and_again_still_goes_out() -> None:
    desk = Desk()
    entry = desk.entry(TSLA)
    desk.faults.fail("broker.submit", Throttled("429", timedelta(seconds=5)), times=4)
    for _ in range(4):
        assert desk.place().sent == []
        desk.wait(5 * SECOND)
    desk.poll()
    assert desk.place().sent == [entry.id]


def test_an_entry_waits_as_long_as_the_broker_asks_though_exits_are_tried_after_a_minute() -> None:
    desk = Desk(held(TSLA, "10", "100"))
    entry = desk.entry(AAPL, "10")
    desk.breach(TSLA, "94")
    desk.faults.fail("broker.submit", Throttled("429", timedelta(minutes=3)), times=1)
    desk.place()
    desk.clock.advance(timedelta(seconds=61))
    desk.place()
    assert [order.symbol for order in desk.orders()] == [TSLA]
    desk.clock.advance(timedelta(minutes=2))
    desk.poll()
    desk.check()
    desk.place()

    assert [order.symbol for order in desk.orders()] == [TSLA, AAPL]
    assert desk.state(entry) is IntentState.ACKED


def test_an_exit_is_tried_again_after_a_minute_however_long_the_broker_wants_quiet() -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.faults.fail("broker.submit", Throttled("429", timedelta(hours=1)), times=1)
    desk.world.doorbell.take()
    desk.place()
    rings = desk.world.doorbell.take()
    assert max(rings) - desk.clock.now() <= timedelta(minutes=15)
    desk.wait()
    assert desk.place().sent == [intent.id]


# unknown outcomes


def test_a_lost_answer_is_looked_up_and_adopted_at_once() -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.faults.fail("broker.submit", OutcomeUnknown("timeout"), times=1, answer_lost=True)
    assert desk.place().sent == [intent.id]
    assert desk.state(intent) is S.ACKED
    assert desk.faults.count("broker.submit") == 1


def test_a_used_id_is_looked_up_and_adopted() -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.faults.fail("broker.submit", BrokerRefusal(Refusal.USED_ID, "used"), times=1, answer_lost=True)
    assert desk.place().sent == [intent.id]


def test_an_unknown_outcome_without_trace_blocks_the_symbol_and_is_told() -> None:
    desk = Desk()
    intent = desk.entry(TSLA)
    desk.faults.fail("broker.submit", OutcomeUnknown("timeout"), times=1)
    desk.world.doorbell.take()
    assert desk.place().sent == []
    assert desk.state(intent) is S.UNKNOWN
    assert AlertKind.ORDER_UNKNOWN in desk.kinds()
    assert desk.world.doorbell.take() == [desk.clock.now() + 5 * SECOND]
    assert desk.enter(TSLA, cycle="cycle-2").intent is None


def test_an_unknown_order_that_arrived_after_all_is_adopted_by_reconciliation() -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.faults.fail("broker.submit", OutcomeUnknown("timeout"), times=1, answer_lost=True)
    desk.faults.fail("broker.order_by_client_id", DOWN, times=1)
    desk.place()
    assert desk.state(intent) is S.UNKNOWN
    desk.wait(5 * SECOND)
    desk.reconcile()
    assert desk.state(intent) is S.ACKED
    assert desk.faults.count("broker.submit") == 1


def test_the_same_id_is_sent_once_more_after_the_deadline_and_not_before() -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.faults.fail("broker.submit", OutcomeUnknown("timeout"), times=1)
    desk.place()
    desk.wait(30 * SECOND)
    desk.reconcile()
    assert desk.state(intent) is S.UNKNOWN
    assert desk.place().sent == []
    desk.wait(SECOND)
    desk.reconcile()
    assert desk.state(intent) is S.PREPARED
    assert desk.place().sent == [intent.id]
    assert [o.client_order_id for o in desk.orders()] == [intent.id]
    assert desk.intent(intent).sends == 2


def test_two_sends_without_trace_are_abandoned_with_an_alert_and_a_new_generation_follows() -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.faults.fail("broker.submit", OutcomeUnknown("timeout"), times=2)
    for _ in range(2):
        desk.place()
        desk.wait(31 * SECOND)
        desk.reconcile()
    assert desk.state(intent) is S.ABANDONED
    assert desk.faults.count("broker.submit") == 2
    abandoned = [a for a in desk.heard() if a.kind == AlertKind.ORDER_ABANDONED]
    assert [a.severity for a in abandoned] == [Severity.CRITICAL]
    assert desk.breach(TSLA, "93").generation == 1


def test_a_second_send_that_meets_the_late_first_one_is_adopted_not_doubled() -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.faults.fail("broker.submit", OutcomeUnknown("timeout"), times=1)
    desk.place()
    desk.wait(31 * SECOND)
    desk.reconcile()
    desk.world.exchange.submit(order(intent.id, "sell", "10"), desk.clock.now())
    assert desk.place().sent == [intent.id]
    assert len(desk.orders()) == 1
    assert AlertKind.EXIT_BLOCKED not in desk.kinds()
    desk.trade(TSLA, "94")
    desk.reconcile()
    assert desk.state(intent) is S.FILLED
    assert desk.facts("reconciliation_difference") == 0


def test_a_late_entry_is_adopted_even_when_the_gate_would_no_longer_let_it_pass() -> None:
    desk = Desk()
    intent = desk.entry(TSLA)
    desk.faults.fail("broker.submit", OutcomeUnknown("timeout"), times=1)
    desk.place()
    desk.wait(31 * SECOND)
    desk.reconcile()
    desk.world.exchange.submit(order(intent.id, "buy", "10", "limit", "100.02"), desk.clock.now())
    desk.world.controls.set_kill_switch(KILLED)
    desk.place()
    assert desk.state(intent) is S.ACKED
    desk.place()
    assert desk.live() == []
    desk.reconcile()
    assert desk.state(intent) is S.CANCELED


def test_an_entry_is_weighed_again_before_its_second_send() -> None:
    desk = Desk()
    intent = desk.entry(TSLA)
    desk.faults.fail("broker.submit", OutcomeUnknown("timeout"), times=1)
    desk.place()
    desk.wait(31 * SECOND)
    desk.reconcile()
    desk.world.controls.set_kill_switch(KILLED)
    assert desk.place().abandoned == [intent.id]
    assert desk.orders() == []


# kill switch


def test_a_kill_between_claim_and_send_stops_the_entry_and_not_the_exit() -> None:
    desk = Desk(held(AAPL, "10", "100"))
    entry = desk.entry(TSLA)
    exit_ = desk.breach(AAPL, "94")

    def kill_at_the_entrys_claim(ledger: Ledger) -> bool:
        if any(i.is_entry and i.state is S.SENT for i in ledger.open.values()):
            desk.world.controls.set_kill_switch(KILLED)
        return False

    desk.faults.fail("ledgers.save", DOWN, when=kill_at_the_entrys_claim)
    report = desk.place()
    assert report.sent == [exit_.id]
    assert report.abandoned == [entry.id]
    assert [o.symbol for o in desk.orders()] == [AAPL]
    desk.reconcile()
    assert desk.state(entry) is S.ABANDONED


@pytest.mark.parametrize("readable", [True, False])
def test_a_set_or_unreadable_kill_switch_cancels_resting_entries_and_lets_exits_go(readable: bool) -> None:
    desk = Desk(held(AAPL, "10", "100"))
    entry = desk.entry(TSLA)
    desk.place()
    assert desk.live() == [entry.id]
    exit_ = desk.breach(AAPL, "94")
    if readable:
        desk.world.controls.set_kill_switch(KILLED)
    else:
        desk.faults.fail("controls.kill_switch", DOWN)
    assert desk.place().sent == [exit_.id]
    assert desk.live() == [exit_.id]
    desk.reconcile()
    assert desk.state(entry) is S.CANCELED


# the other side


def test_our_resting_entry_is_canceled_first_and_the_exit_follows() -> None:
    desk = holding_tsla()
    entry = desk.entry(TSLA)
    desk.place()
    exit_ = desk.breach(TSLA, "94")
    assert desk.place().waiting == [exit_.id]
    assert desk.live() == []
    desk.wait(5 * SECOND)
    desk.reconcile()
    assert desk.state(entry) is S.CANCELED
    assert desk.place().sent == [exit_.id]


def test_an_entry_not_sent_yet_gives_way_to_the_exit_at_once() -> None:
    desk = holding_tsla()
    entry = desk.entry(TSLA)
    exit_ = desk.breach(TSLA, "94")
    assert desk.place().sent == [exit_.id]
    assert desk.state(entry) is S.ABANDONED


def test_shares_reserved_by_a_stranger_block_the_exit_with_an_alert_and_free_ones_go() -> None:
    desk = holding_tsla()
    exchange = desk.world.exchange
    manual = exchange.submit(order("by-hand", "sell", "10", "limit", "200"), desk.clock.now())
    exit_ = desk.breach(TSLA, "94")
    assert desk.place().waiting == [exit_.id]
    blocked = [a for a in desk.heard() if a.kind == AlertKind.EXIT_BLOCKED]
    assert [a.severity for a in blocked] == [Severity.CRITICAL]
    exchange.cancel(manual.id, desk.clock.now())
    exchange.submit(order("by-hand-2", "sell", "4", "limit", "200"), desk.clock.now())
    assert desk.place().sent == [exit_.id]
    assert [o.quantity for o in desk.orders() if o.client_order_id == exit_.id] == [Decimal(6)]


def test_a_strangers_resting_buy_blocks_the_exit_until_it_is_gone() -> None:
    desk = holding_tsla()
    manual = desk.world.exchange.submit(order("by-hand", "buy", "1", "limit", "10"), desk.clock.now())
    exit_ = desk.breach(TSLA, "94")
    desk.place()
    assert desk.state(exit_) is S.PREPARED
    assert AlertKind.EXIT_BLOCKED in desk.kinds()
    desk.world.exchange.cancel(manual.id, desk.clock.now())
    assert desk.place().sent == [exit_.id]


def test_a_position_that_is_gone_at_the_broker_is_not_sold() -> None:
    desk = holding_tsla()
    exit_ = desk.breach(TSLA, "94")
    desk.world.exchange.submit(order("by-hand", "sell", "10"), desk.clock.now())
    desk.trade(TSLA, "94")
    assert desk.place().abandoned == [exit_.id]
    assert desk.filled(TSLA, Side.SELL) == Decimal(10)


# the session


def test_an_exit_found_at_the_close_waits_and_is_sold_at_the_next_open() -> None:
    desk = Desk(held(TSLA, "10", "100"), start=CLOSE - MINUTE)
    exit_ = desk.breach(TSLA, "94")
    assert desk.clock.now() == CLOSE
    assert desk.place().waiting == [exit_.id]
    assert desk.heard()
    assert AlertKind.SESSION_UNSURE not in desk.kinds()
    desk.wait(OPEN + timedelta(days=1) - CLOSE)
    desk.reconcile()
    assert desk.place().sent == [exit_.id]
    desk.trade(TSLA, "93")
    assert desk.filled(TSLA, Side.SELL) == Decimal(10)


@pytest.mark.parametrize("call", ["broker.clock", "calendar.days"])
def test_an_exit_waits_with_an_alert_while_the_session_is_unsure(call: str) -> None:
    desk = holding_tsla()
    exit_ = desk.breach(TSLA, "94")
    desk.heard()
    desk.faults.fail(call, DOWN)
    assert desk.place().waiting == [exit_.id]
    alerts = desk.heard()
    assert [(a.kind, a.severity) for a in alerts] == [(AlertKind.SESSION_UNSURE, Severity.CRITICAL)]
    desk.faults.mend()
    assert desk.place().sent == [exit_.id]


# time


def test_a_claim_older_than_ten_seconds_is_not_sent_and_sent_later_under_the_same_id() -> None:
    desk = holding_tsla()
    exit_ = desk.breach(TSLA, "94")
    desk.faults.before("ledgers.save", lambda: desk.wait(11 * SECOND))
    assert desk.place().sent == []
    assert desk.faults.count("broker.submit") == 0
    assert desk.state(exit_) is S.PREPARED
    desk.minute()
    assert [o.client_order_id for o in desk.orders()] == [exit_.id]


def test_an_entry_not_sent_for_ten_minutes_is_abandoned() -> None:
    desk = Desk()
    entry = desk.entry(TSLA)
    for _ in range(11):
        desk.wait()
        desk.poll()
    assert desk.place().abandoned == [entry.id]
    assert desk.orders() == []


def test_a_run_stops_sending_before_its_lease_ends_and_rings_again() -> None:
    desk = Desk(held(TSLA, "10", "100"), held(AAPL, "5", "100"))
    desk.set_price(AAPL, "94")
    desk.breach(TSLA, "94")
    desk.world.doorbell.take()
    desk.faults.before("broker.positions", lambda: desk.wait(41 * SECOND))
    report = desk.place()
    assert len(report.waiting) >= 1
    assert desk.world.doorbell.take()
    assert len(desk.place().sent) == 1


# journal and alerts


def test_with_the_journal_down_an_exit_leaves_and_is_journaled_later() -> None:
    desk = holding_tsla()
    exit_ = desk.breach(TSLA, "94")
    desk.faults.fail("journal.put", DOWN)
    assert desk.place().sent == [exit_.id]
    assert not desk.intent(exit_).recorded
    desk.faults.mend()
    desk.trade(TSLA, "94")
    desk.reconcile()
    assert desk.facts("order_sending") == 1
    assert desk.facts("intent_closed") == 1


def test_with_the_journal_down_an_entry_stays() -> None:
    desk = Desk()
    entry = desk.entry(TSLA)
    desk.faults.fail("journal.put", DOWN)
    assert desk.place().sent == []
    assert desk.state(entry) is S.PREPARED
    assert desk.faults.count("broker.submit") == 0
    desk.faults.mend()
    assert desk.place().sent == [entry.id]


def test_with_the_alert_queue_down_orders_leave_all_the_same() -> None:
    desk = Desk(held(AAPL, "10", "100"))
    entry = desk.entry(TSLA)
    exit_ = desk.breach(AAPL, "94")
    desk.faults.fail("alerts.send", DOWN)
    desk.faults.fail("broker.submit", DOWN, times=1)
    desk.place()
    assert set(desk.place().sent) | {o.client_order_id for o in desk.orders()} == {entry.id, exit_.id}


# crashes


def run_until_flat(desk: Desk) -> None:
    """Let six minutes pass with everything working."""
    for _ in range(6):
        desk.trade(TSLA, "94")
        desk.reconcile()
        desk.poll()
        desk.check()
        desk.place("executor-2")


def crash_points(desk: Desk, owner: str = OWNER) -> range:
    before = len(desk.faults.calls)
    desk.place(owner)
    return range(before, len(desk.faults.calls) + 1)


def test_an_exit_that_crashes_before_any_call_is_sold_once() -> None:
    probe = holding_tsla()
    probe.breach(TSLA, "94")
    for point in crash_points(probe):
        desk = holding_tsla()
        desk.breach(TSLA, "94")
        desk.faults.crash_before = point
        with suppress(Crash):
            desk.place()
        desk.faults.mend()
        run_until_flat(desk)
        assert desk.filled(TSLA, Side.SELL) == Decimal(10), point
        assert [o.status for o in desk.orders()] == [OrderStatus.FILLED], point
        assert (desk.ledger.open, desk.ledger.finished) == ({}, {}), point
        assert desk.facts("intent_closed") >= 1


def test_an_entry_that_crashes_before_any_call_is_bought_once_or_not_at_all() -> None:
    probe = Desk()
    probe.entry(TSLA)
    for point in crash_points(probe):
        desk = Desk()
        intent = desk.entry(TSLA)
        desk.faults.crash_before = point
        with suppress(Crash):
            desk.place()
        desk.faults.mend()
        run_until_flat(desk)
        assert len(desk.orders()) <= 1
        assert desk.filled(TSLA, Side.BUY) == sum(o.filled_quantity for o in desk.orders())
        assert desk.state(intent) in (S.FILLED, S.ABANDONED), point
        assert desk.ledger.open.keys() <= {i.id for i in desk.ledger.open.values() if not i.is_entry}


WRITES = ("journal.put", "ledgers.save", "leases.acquire", "leases.release", "doorbell.ring", "alerts.send")
READS = ("ledgers.load", "broker.positions", "broker.order_by_client_id", "controls.kill_switch", "journal.head")


@pytest.mark.parametrize("answer_lost", [False, True])
@pytest.mark.parametrize("call", [*WRITES, *READS, "broker.submit"])
def test_an_exit_is_sold_once_whichever_call_fails(call: str, answer_lost: bool) -> None:
    desk = holding_tsla()
    desk.breach(TSLA, "94")
    error: HearthwatchError = OutcomeUnknown("lost") if call == "broker.submit" else DOWN
    desk.faults.fail(call, error, times=2, answer_lost=answer_lost)
    for _ in range(3):
        with suppress(Unavailable):
            desk.place()
    desk.faults.mend()
    run_until_flat(desk)
    assert desk.filled(TSLA, Side.SELL) == Decimal(10)
    assert len(desk.orders()) == 1
    assert desk.position(TSLA) is None


def test_a_partly_filled_exit_that_expires_is_completed_by_the_next_generation() -> None:
    desk = Desk(held(NVDA, "10", "100"), start=CLOSE - 3 * MINUTE)
    first = desk.breach(NVDA, "94")
    desk.place()
    desk.trade(NVDA, "94", volume="40")
    desk.wait(MINUTE)
    desk.reconcile()
    desk.poll()
    desk.check()
    assert desk.state(first) is S.EXPIRED
    position = desk.position(NVDA)
    assert position is not None
    assert position.quantity == Decimal(6)
    second = desk.ledger.open_for(NVDA, Side.SELL)
    assert second is not None
    assert (second.generation, second.quantity) == (1, Decimal(6))
    desk.wait(OPEN + timedelta(days=1) - CLOSE)
    desk.reconcile()
    assert desk.place().sent == [second.id]
    desk.trade(NVDA, "93")
    desk.reconcile()
    assert desk.position(NVDA) is None
    assert desk.filled(NVDA, Side.SELL) == Decimal(10)


@pytest.mark.parametrize("call", ["journal.head", "journal.put"])
def test_a_journal_of_a_newer_version_does_not_hold_back_an_exit(call: str) -> None:
    desk = holding_tsla()
    intent = desk.breach(TSLA, "94")
    desk.faults.fail(call, StartRefused("written by a newer version"))
    assert desk.place().sent == [intent.id]
    assert not desk.intent(intent).recorded


def test_an_exit_that_only_a_person_can_mend_holds_back_no_other() -> None:
    desk = Desk(held(TSLA, "10", "100"), held(AAPL, "10", "100"))
    desk.breach(TSLA, "94")
    other = desk.breach(AAPL, "94")
    desk.faults.fail("broker.submit", StartRefused("no such account"), times=1)
    report = desk.place()
    assert report.sent == [other.id]
    assert len(report.problems) == 1
    assert AlertKind.EXIT_BLOCKED in desk.kinds()
