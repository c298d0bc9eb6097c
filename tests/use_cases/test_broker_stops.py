"""Stops that rest at the broker: placed, moved, withdrawn for a trade, renewed, and what follows a failure (RSK-05)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from shared.adapters.memory.matching import Exchange
from shared.bootstrap.wiring import Rules
from shared.domain.alerts import AlertKind, Severity
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.errors import BrokerRefusal, OutcomeUnknown, Refusal, Unavailable
from shared.domain.gate import FractionalSupport
from shared.domain.intents import Intent, IntentState, OrderType, Reason, Side, TimeInForce
from shared.domain.orders import Order, OrderStatus, PlaceOrder
from shared.domain.protection import ProtectionRules
from shared.ports.book import Readable
from tests.fakes.desk import OWNER, Desk, held
from tests.fakes.venue import AAPL, OPEN, TSLA

_S = IntentState


def protected(*positions: object, **terms: object) -> Desk:
    """A desk whose stops rest at the broker."""
    desk = Desk(*positions, stops=True, **terms)  # type: ignore[arg-type]
    desk.place()
    desk.reconcile()
    desk.heard()
    return desk


def stop_of(desk: Desk, reason: Reason = Reason.BROKER_STOP) -> Intent:
    return next(i for i in desk.ledger.open.values() if i.purpose.reason is reason)


def live_stops(desk: Desk) -> list[Order]:
    return [order for order in desk.world.exchange.live_orders() if order.order_type is OrderType.STOP]


def test_whole_shares_are_under_a_stop_until_canceled_and_the_fraction_under_the_software_stop() -> None:
    desk = protected(held(TSLA, "10.4", "100"))

    (order,) = desk.orders()
    assert (order.side, order.quantity, order.stop_price, order.time_in_force) == (
        Side.SELL,
        Decimal(10),
        Decimal("95.00"),
        TimeInForce.GTC,
    )
    report = desk.check()
    assert report.coverage == (Decimal("96.15"), Decimal("3.85"), Decimal(0))  # type: ignore[attr-defined]


def test_a_fraction_gets_a_stop_for_the_day_where_the_account_takes_it() -> None:
    desk = protected(held(TSLA, "10.4", "100"), rules=Rules(fractional=FractionalSupport(stop=True)))

    assert sorted((o.quantity, o.time_in_force) for o in desk.orders()) == [
        (Decimal("0.4"), TimeInForce.DAY),
        (Decimal(10), TimeInForce.GTC),
    ]


def test_the_same_minute_again_places_nothing_more() -> None:
    desk = protected(held(TSLA, "10.4", "100"))

    for _ in range(3):
        desk.check()
        desk.place()
        desk.reconcile()

    assert len(desk.orders()) == 1


def test_a_stop_reached_at_the_broker_is_told_once_and_nothing_is_sold_twice() -> None:
    desk = protected(held(TSLA, "10", "100"))
    desk.trade(TSLA, "94")
    desk.poll()
    desk.check()
    desk.place()
    desk.wait()
    desk.reconcile()
    for _ in range(3):
        desk.minute()

    assert desk.filled(TSLA, Side.SELL) == 10
    assert desk.position(TSLA) is None
    assert desk.world.exchange.positions() == []
    texts = [alert.text for alert in desk.heard() if alert.kind == AlertKind.STOP_TRIGGERED]
    assert "TSLA: the stop at 95.00 resting at the broker was reached: sold 10 of 10 shares" in texts
    assert len([text for text in texts if "resting at the broker" in text]) == 1


def test_an_exit_that_the_resting_stop_was_faster_than_is_no_alarm() -> None:
    desk = protected(held(TSLA, "10", "100"))
    desk.trade(TSLA, "94")
    desk.poll()
    desk.check()
    desk.place()
    desk.reconcile()

    ends = [alert for alert in desk.heard() if alert.kind == AlertKind.ORDER_ABANDONED]
    assert [(alert.severity, "nothing is held" in alert.text) for alert in ends] == [(Severity.INFO, True)]


def test_what_the_stop_sold_is_not_sold_again_while_the_positions_lag(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that may go short would take the second sale."""
    desk = protected(held(TSLA, "10.4", "100"))
    behind = desk.world.exchange.positions()
    free = [replace(position, available=position.quantity) for position in behind]
    desk.trade(TSLA, "94")
    monkeypatch.setattr(desk.ports.broker, "positions", lambda: free)
    monkeypatch.setattr(desk.use.place_orders.broker, "positions", lambda: free)
    desk.poll()
    desk.check()
    desk.place()

    assert [o.quantity for o in desk.orders() if o.order_type is OrderType.MARKET] == [Decimal("0.4")]


def test_the_software_stop_sells_the_fraction_beside_the_stop_that_filled() -> None:
    desk = protected(held(TSLA, "10.4", "100"))
    desk.trade(TSLA, "94")
    desk.reconcile()
    desk.poll()
    desk.check()
    desk.place()
    desk.trade(TSLA, "94")
    desk.reconcile()

    assert desk.filled(TSLA, Side.SELL) == Decimal("10.4")
    assert desk.world.exchange.positions() == []


def test_the_software_stop_withdraws_the_resting_one_and_sells_in_one_run() -> None:
    """A halt or a band keeps the broker's stop from being elected; the software stop does not wait for it."""
    desk = protected(held(TSLA, "10.4", "100"))
    exit_intent = desk.breach(TSLA, "94")
    desk.place()

    assert live_stops(desk) == []
    assert [o.quantity for o in desk.orders(TSLA) if o.client_order_id == exit_intent.id] == [Decimal("10.4")]
    desk.trade(TSLA, "94")
    desk.reconcile()
    assert desk.filled(TSLA, Side.SELL) == Decimal("10.4")
    assert live_stops(desk) == []


def test_an_entry_on_a_protected_position_ends_bought_and_protected() -> None:
    desk = protected(held(TSLA, "10", "100"))
    desk.entry(TSLA, "5")
    desk.place()
    assert live_stops(desk) == []
    desk.trade(TSLA, "99")
    desk.reconcile()
    desk.place()

    position = desk.position(TSLA)
    assert position is not None
    assert position.quantity == 15
    (stop,) = live_stops(desk)
    assert (stop.quantity, stop.stop_price) == (Decimal(15), position.stop_price)


def test_an_entry_that_the_gate_refuses_takes_no_stop_away() -> None:
    desk = protected(held(TSLA, "10", "100"))
    entry = desk.entry(TSLA, "5")
    desk.wait()
    desk.set_price(TSLA, "103")
    desk.poll()
    desk.check()
    desk.place()

    assert desk.state(entry) is _S.ABANDONED
    assert len(live_stops(desk)) == 1


def test_an_entry_that_rests_too_long_makes_room_for_the_stop() -> None:
    desk = protected(held(TSLA, "10", "100"))
    entry = desk.entry(TSLA, "5")
    desk.place()
    for _ in range(8):
        desk.minute()

    assert desk.state(entry) is _S.CANCELED
    assert len(live_stops(desk)) == 1


def test_shares_bought_in_parts_are_under_a_stop_of_the_filled_size_once_the_rest_is_canceled() -> None:
    desk = protected()
    entry = desk.entry(TSLA, "10")
    desk.place()
    desk.trade(TSLA, "100", volume="30")
    for _ in range(8):
        desk.minute()

    assert desk.intent(entry).filled_quantity == 3
    assert [stop.quantity for stop in live_stops(desk)] == [Decimal(3)]


def test_a_stop_canceled_by_hand_shows_as_software_within_a_tick_is_told_and_comes_back() -> None:
    desk = protected(held(TSLA, "10", "100"))
    (order,) = desk.orders()
    desk.world.exchange.cancel(order.id, desk.clock.now())
    desk.wait()
    assert desk.use.reconcile_orders.is_due()
    desk.reconcile()
    report = desk.check()
    assert report.coverage == (Decimal(0), Decimal(100), Decimal(0))  # type: ignore[attr-defined]
    desk.place()

    assert len(live_stops(desk)) == 1
    assert AlertKind.STOP_NOT_RESTING in desk.kinds()


def test_a_stop_that_a_known_split_took_away_is_no_news_and_comes_back_in_new_shares() -> None:
    split = CorporateAction(
        symbol=TSLA, ex_date=(OPEN + timedelta(days=1)).date(), kind=ActionKind.SPLIT, ratio=Decimal(4)
    )
    desk = protected(held(TSLA, "10", "100"), actions=[split])
    desk.clock.set(OPEN + timedelta(days=1))
    desk.world.exchange.apply(split, desk.clock.now())
    desk.set_price(TSLA, "25")
    for _ in range(2):
        desk.minute()

    assert [(stop.quantity, stop.stop_price) for stop in live_stops(desk)] == [(Decimal(40), Decimal("23.75"))]
    assert AlertKind.STOP_NOT_RESTING not in desk.kinds()
    assert desk.filled(TSLA, Side.SELL) == 0


def test_stops_that_rest_quietly_need_no_pass() -> None:
    desk = protected(held(TSLA, "10", "100"), held(AAPL, "10", "100"))
    desk.reconcile()
    desk.faults.calls.clear()

    assert not desk.use.reconcile_orders.is_due()
    assert [call for call in desk.faults.calls if call.startswith("broker.")] == ["broker.live_orders"]


def test_a_pass_asks_for_all_quiet_stops_with_the_list_of_live_orders() -> None:
    desk = protected(held(TSLA, "10", "100"), held(AAPL, "10", "100"))
    desk.reconcile()
    desk.faults.calls.clear()
    desk.reconcile()

    assert "broker.order_by_client_id" not in desk.faults.calls


def test_a_stop_that_the_broker_refuses_becomes_a_sale_at_market() -> None:
    desk = Desk(held(TSLA, "10.4", "100"), stops=True)
    desk.faults.fail("broker.submit", BrokerRefusal(Refusal.OTHER, "stop orders are disabled", code=42210000), times=1)
    desk.place()
    desk.minute()
    desk.minute()
    desk.trade(TSLA, "100")
    desk.reconcile()

    assert desk.filled(TSLA, Side.SELL) == Decimal("10.4")
    told = [(alert.kind, alert.severity) for alert in desk.heard()]
    assert (AlertKind.ORDER_REFUSED, Severity.CRITICAL) in told
    assert (AlertKind.STOP_TRIGGERED, Severity.CRITICAL) in told


@pytest.mark.parametrize("taken_as", [OrderStatus.REJECTED, OrderStatus.PENDING])
def test_a_stop_rejected_after_it_was_taken_or_never_worked_becomes_a_sale_at_market(taken_as: OrderStatus) -> None:
    desk = Desk(held(TSLA, "10.4", "100"), stops=True)
    desk.world.exchange.stops_taken_as = taken_as
    desk.place()
    for _ in range(5):
        desk.minute()
    desk.trade(TSLA, "100")
    desk.reconcile()

    assert desk.filled(TSLA, Side.SELL) == Decimal("10.4")
    assert live_stops(desk) == []
    assert any("does not protect" in alert.text for alert in desk.heard())


def test_a_stop_that_is_only_pending_covers_nothing_yet() -> None:
    desk = Desk(held(TSLA, "10", "100"), stops=True)
    desk.world.exchange.stops_taken_as = OrderStatus.PENDING
    desk.place()
    desk.reconcile()
    report = desk.check()

    assert report.coverage == (Decimal(0), Decimal(100), Decimal(0))  # type: ignore[attr-defined]


def test_shares_reserved_by_an_order_placed_by_hand_are_told_and_sell_nothing() -> None:
    desk = Desk(held(TSLA, "10", "100"), stops=True)
    reserve(desk.world.exchange, desk)
    for _ in range(4):
        desk.minute()

    assert [order.client_order_id for order in desk.orders()] == ["by-hand"]
    assert AlertKind.STOP_NOT_RESTING in desk.kinds()


def reserve(exchange: Exchange, desk: Desk) -> None:
    exchange.submit(
        PlaceOrder(
            client_order_id="by-hand",
            symbol=TSLA,
            side=Side.SELL,
            quantity=Decimal(10),
            order_type=OrderType.LIMIT,
            time_in_force=TimeInForce.GTC,
            limit_price=Decimal(150),
        ),
        desk.clock.now(),
    )


def test_a_stop_whose_answer_was_lost_is_found_and_not_sent_again() -> None:
    desk = Desk(held(TSLA, "10", "100"), stops=True)
    desk.faults.fail("broker.submit", OutcomeUnknown("lost"), times=1, answer_lost=True)
    desk.place()
    for _ in range(3):
        desk.minute()

    assert len(desk.orders()) == 1
    assert stop_of(desk).state is _S.ACKED


def test_an_exit_waits_for_a_stop_that_may_still_be_on_its_way() -> None:
    """Landing after the sale it would sell what is no longer held."""
    desk = Desk(held(TSLA, "10", "100"), stops=True)
    desk.faults.fail("broker.submit", OutcomeUnknown("hung"), times=1)
    desk.clock.advance(timedelta(seconds=45))
    desk.place()
    assert stop_of(desk).state is _S.UNKNOWN
    desk.clock.advance(timedelta(seconds=20))
    desk.set_price(TSLA, "94")
    desk.poll()
    desk.check()
    desk.place()
    assert desk.orders() == []
    desk.clock.advance(timedelta(seconds=11))
    desk.place()

    assert [order.order_type for order in desk.orders()] == [OrderType.MARKET]


def test_no_exit_is_sent_while_the_cancel_of_the_stop_is_not_confirmed() -> None:
    desk = protected(held(TSLA, "10", "100"))
    desk.faults.fail("broker.cancel", OutcomeUnknown("hung"), times=2)
    desk.breach(TSLA, "94")
    desk.place()
    assert [order.order_type for order in desk.orders() if order.is_live] == [OrderType.STOP]
    desk.place()

    assert live_stops(desk) == []
    assert [o.order_type for o in desk.orders() if o.is_live] == [OrderType.MARKET]


def test_a_stop_for_a_position_that_is_gone_never_stays() -> None:
    desk = protected(held(TSLA, "10", "100"))
    del desk.world.exchange._holdings[TSLA]
    for _ in range(3):
        desk.minute()

    assert live_stops(desk) == []


def test_a_stop_planned_before_an_entry_makes_way_for_it() -> None:
    desk = Desk(held(TSLA, "10", "100"), stops=True)
    desk.entry(TSLA, "5")
    desk.place()

    assert [order.order_type for order in desk.orders()] == [OrderType.LIMIT]


def test_a_stop_at_or_above_the_price_is_left_to_the_software_stop() -> None:
    desk = Desk(held(TSLA, "10", "100"), stops=True)
    desk.wait()
    desk.set_price(TSLA, "75")
    desk.poll()
    desk.place()
    assert desk.faults.count("broker.submit") == 0
    desk.wait()
    desk.set_price(TSLA, "100")
    desk.poll()
    desk.place()

    assert [stop.stop_price for stop in live_stops(desk)] == [Decimal("95.00")]


def test_nothing_is_planned_at_night_and_what_is_missing_at_the_open_comes_back() -> None:
    desk = protected(held(TSLA, "10", "100"))
    (order,) = desk.orders()
    desk.clock.set(OPEN + timedelta(hours=12))
    desk.world.exchange.cancel(order.id, desk.clock.now())
    desk.reconcile()
    desk.place()
    assert dict(desk.ledger.open) == {}
    desk.clock.set(OPEN + timedelta(days=1))
    desk.minute()

    assert len(live_stops(desk)) == 1


def test_a_stop_planned_before_the_close_is_planned_anew_at_the_open() -> None:
    desk = protected(held(TSLA, "10", "100"))
    (order,) = desk.orders()
    desk.clock.set(OPEN + timedelta(hours=6, minutes=29))
    desk.world.exchange.cancel(order.id, desk.clock.now())
    desk.reconcile()
    planned = stop_of(desk)
    desk.clock.set(OPEN + timedelta(days=1))
    desk.place()
    assert desk.state(planned) is _S.ABANDONED
    desk.minute()

    assert len(live_stops(desk)) == 1


def test_a_trailing_stop_is_moved_up_at_the_broker_by_the_risk_check_alone() -> None:
    desk = protected(held(TSLA, "10", "100", trailing="0.04"))
    desk.minute()
    desk.reconcile()
    (first,) = live_stops(desk)
    desk.wait()
    desk.set_price(TSLA, "110")
    desk.poll()
    desk.check()
    desk.place()
    assert live_stops(desk) == []
    desk.reconcile()
    desk.place()

    (second,) = live_stops(desk)
    assert (first.stop_price, second.stop_price) == (Decimal("96.00"), Decimal("105.60"))


def test_a_stop_planned_for_shares_that_are_gone_is_not_sent() -> None:
    desk = Desk(held(TSLA, "10", "100"), stops=True)
    desk.world.exchange._holdings[TSLA].quantity = Decimal(4)
    desk.place()
    assert desk.faults.count("broker.submit") == 0
    desk.wait()
    for _ in range(3):
        desk.minute()

    assert [stop.quantity for stop in live_stops(desk)] == [Decimal(4)]


def test_a_stop_planned_before_an_exit_makes_way_for_it() -> None:
    desk = Desk(held(TSLA, "10", "100"), stops=True)
    desk.breach(TSLA, "94")
    desk.place()

    assert [order.order_type for order in desk.orders()] == [OrderType.MARKET]


def test_one_unreadable_position_keeps_its_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = protected(held(TSLA, "10", "100"))
    hide(desk, monkeypatch)
    desk.check()
    desk.place()

    assert len(live_stops(desk)) == 1


def test_a_stop_is_renewed_before_ninety_days_are_over() -> None:
    desk = protected(held(TSLA, "10", "100"))
    (first,) = live_stops(desk)
    desk.clock.set(OPEN + timedelta(days=86, hours=1))
    desk.minute()
    desk.minute()
    desk.minute()

    (second,) = live_stops(desk)
    assert first.id != second.id
    assert desk.clock.now() - first.submitted_at < timedelta(days=90)


def test_planning_goes_on_when_the_ledger_was_down_for_a_tick() -> None:
    desk = Desk(held(TSLA, "10", "100"), stops=True, blank=True)
    desk.faults.fail("ledgers.save", Unavailable("down"), times=1)
    desk.reconcile()
    desk.poll()
    desk.check()
    desk.place()

    assert len(live_stops(desk)) == 1


def test_with_the_broker_left_out_resting_stops_are_taken_back() -> None:
    desk = protected(held(TSLA, "10", "100"))
    left_out = Desk(held(TSLA, "10", "100"))
    assert live_stops(left_out) == []
    assert left_out.use.check_risk.protect.rules == ProtectionRules(at_broker=False)
    assert desk.place(OWNER).sent == []


def test_a_page_follows_when_shares_are_bare_for_more_than_a_minute_and_ends_with_a_price() -> None:
    desk = protected(held(TSLA, "10.4", "100"))
    (order,) = desk.orders()
    desk.world.exchange.cancel(order.id, desk.clock.now())
    desk.primary.forget(TSLA)
    desk.faults.fail("broker.submit", OutcomeUnknown("hung"))
    kinds: list[list[str]] = []
    for _ in range(3):
        desk.wait()
        desk.poll()
        desk.reconcile()
        desk.check()
        kinds.append([k for k in desk.kinds() if k == AlertKind.COVERAGE_LOST])
    desk.set_price(TSLA, "100")
    desk.wait()
    desk.poll()
    desk.check()
    over = [alert for alert in desk.heard() if alert.kind == AlertKind.COVERAGE_LOST]

    assert kinds == [[], [], [AlertKind.COVERAGE_LOST]]
    assert [(alert.recovers, alert.severity) for alert in over] == [(True, Severity.INFO)]


def test_coverage_counts_what_cannot_be_read_as_bare(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = protected(held(TSLA, "10", "100"), held(AAPL, "10", "100"))
    hide(desk, monkeypatch)
    report = desk.check()

    assert report.coverage == (Decimal(50), Decimal(0), Decimal(50))  # type: ignore[attr-defined]


def hide(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the stored position in TSLA one that cannot be read."""
    rest = [position for position in desk.world.positions.all() if position.symbol != TSLA]
    monkeypatch.setattr(desk.world.positions, "readable", lambda: Readable(rest, ["positions TSLA: not readable"]))
    for port in (desk.use.check_risk.positions, desk.use.check_risk.protect.positions):
        monkeypatch.setattr(port, "readable", desk.world.positions.readable)


def test_a_stop_refused_at_the_very_close_is_a_sale_at_the_next_open() -> None:
    desk = Desk(held(TSLA, "10", "100"), stops=True, start=OPEN + timedelta(hours=6, minutes=29))
    desk.world.exchange.stops_taken_as = OrderStatus.REJECTED
    desk.place()
    desk.wait()
    desk.reconcile()
    desk.place()
    assert [intent.purpose.reason for intent in desk.ledger.open.values()] == [Reason.UNPROTECTED]
    desk.clock.set(OPEN + timedelta(days=1))
    desk.place()

    assert [order.order_type for order in desk.orders()] == [OrderType.STOP, OrderType.MARKET]
