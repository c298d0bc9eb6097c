"""Orders, stops and cancels over a broken wire: what is counted is what really arrived on a socket (faults 7 to 12)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

import pytest

from local_stack.exchange.gate import Misbehaviour
from shared.adapters.alpaca import session
from shared.adapters.alpaca.broker import AlpacaBroker
from shared.adapters.alpaca.session import connect_trading
from shared.adapters.alpaca.translation import STATUSES
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.alerts import AlertKind
from shared.domain.errors import BrokerRefusal, OutcomeUnknown, Refusal, Throttled
from shared.domain.intents import CycleId, Intent, IntentState, OrderType, Reason, Side, TimeInForce
from shared.domain.orders import Order, PlaceOrder
from shared.domain.trading_state import KillSwitch, SwitchMode
from shared.use_cases.prepare_entry import ProposeEntry
from tests.fakes.house import NOON, NVDA, TSLA, House, before_the_fall, effects, prepared
from tests.fakes.scripted_http import ScriptedServer, Step, hang, hang_up, reply, reset_in_body
from tests.fakes.venue import order

ORDERS: Final = "/v2/orders"
SECOND: Final = timedelta(seconds=1)
CALM: Final = {TSLA: "321.60", NVDA: "187.00"}
KINDS: Final = {
    "market sell": order("hw-1", "sell", "10.4"),
    "limit buy": order("hw-1", "buy", "1", "limit", "99"),
    "stop until canceled": PlaceOrder(
        client_order_id="hw-1",
        symbol=TSLA,
        side=Side.SELL,
        quantity=Decimal(10),
        order_type=OrderType.STOP,
        time_in_force=TimeInForce.GTC,
        stop_price=Decimal("296.00"),
    ),
}
"""Every form in which an order of ours leaves."""
RED: Final = 0xE74C3C
"""The color at the side of a critical message."""
pytestmark = pytest.mark.usefixtures("quiet")
UNKNOWN_ENDS: Final = {
    "500": reply(500, {"code": 50010000, "message": "internal server error occurred"}),
    "503": reply(503, b""),
    "504": reply(504, b"upstream timeout"),
    "hangs": hang,
    "closes": hang_up,
    "resets in the body": reset_in_body,
}


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "TRADING_READ_SECONDS", 0.3)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("end", UNKNOWN_ENDS)
def test_an_order_of_any_form_leaves_once_however_the_answer_fails(kind: str, end: str) -> None:
    """Fault 10: alpaca-py would send a POST up to four times by itself."""
    step: Step = UNKNOWN_ENDS[end]
    with ScriptedServer(step) as server:
        broker = AlpacaBroker(connect_trading("key", "secret", url=server.url), SimulatedClock(NOON))
        with pytest.raises(OutcomeUnknown):
            broker.submit(KINDS[kind])

    assert [request.method for request in server.arrived] == ["POST"]


@pytest.mark.parametrize("header", ["3600", "90"])
def test_a_wait_longer_than_a_tick_is_told_and_not_slept(header: str) -> None:
    """Fault 9: the adapter comes back at once; who waits is the executor, between runs."""
    with ScriptedServer(reply(429, {"message": "too many requests."}, Retry_After=header)) as server:
        broker = AlpacaBroker(connect_trading("key", "secret", url=server.url), SimulatedClock(NOON))
        with pytest.raises(Throttled) as told:
            broker.submit(KINDS["stop until canceled"])

    assert told.value.retry_after == int(header) * SECOND
    assert len(server.arrived) == 1


def intent_of(house: House, client_order_id: str) -> Intent:
    ledger = house.owner.ledgers.load(house.owner.account)
    found = house.owner.ledgers.closed(client_order_id)  # type: ignore[arg-type]
    return found or next(i for i in (*ledger.open.values(), *ledger.finished.values()) if i.id == client_order_id)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", [Misbehaviour.RESET_BEFORE_ACCEPT, Misbehaviour.GATEWAY_TIMEOUT_BEFORE_ACCEPT])
def test_two_sends_that_never_arrive_are_all_and_the_exit_goes_on_under_a_new_id(kind: Misbehaviour) -> None:
    """Fault 8: the same id twice, then ABANDONED with an alert; the position is still sold."""
    with House() as house:
        prepared(house)
        (exit_,) = house.owner.ledgers.load(house.owner.account).open.values()
        house.exchange.misbehave(kind, method="POST", path=ORDERS, times=2)

        house.tick("place_orders")
        for _ in range(2):
            house.go_on()

        gone = intent_of(house, exit_.id)
        assert (gone.state, gone.sends) == (IntentState.ABANDONED, 2)
        assert house.exchange.exchange.order_by_client_id(exit_.id) is None
        assert AlertKind.ORDER_ABANDONED in {kind for kind, *_ in house.incidents()}
        for _ in range(3):
            house.go_on()
        (sold,) = house.exchange.exchange.orders()
        assert (sold.client_order_id != exit_.id, sold.filled_quantity) == (True, Decimal("10.4"))
        assert house.exchange.count("POST", ORDERS) == 3


def test_after_a_429_the_exit_leaves_first_whatever_was_prepared_before_it() -> None:
    """Fault 9: nothing leaves until the wait is over; then exits, then entries."""
    with House() as house:
        before_the_fall(house)
        entry = house.new_cloud("PlaceOrders").use_cases.prepare_entry(
            ProposeEntry(
                symbol=NVDA,
                quantity=Decimal(1),
                reason=Reason.ENTRY,
                cycle=CycleId("cycle-1"),
                decided_at=house.clock.now(),
                text="a story",
            )
        )
        assert entry.intent is not None
        house.trade({TSLA: "295.50", NVDA: "187.10"})
        house.tick("poll_prices")
        house.tick("check_risk")
        house.exchange.misbehave(Misbehaviour.TOO_MANY_REQUESTS, method="POST", path=ORDERS, retry_after=45 * SECOND)

        assert house.tick("place_orders").answer["sent"] == []
        house.clock.set(house.clock.now() + 44 * SECOND)
        assert house.tick("place_orders").answer["sent"] == []
        assert house.exchange.count("POST", ORDERS) == 1
        house.clock.set(house.clock.now() + SECOND)
        house.tick("place_orders")

        left = [(order.symbol, order.side) for order in house.exchange.exchange.orders()]
        assert left == [(TSLA, Side.SELL), (NVDA, Side.BUY)]


# stops


def stops(house: House) -> list[Order]:
    return [o for o in house.exchange.exchange.live_orders() if o.order_type is OrderType.STOP]


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("kind", "requests"),
    [
        (Misbehaviour.HANG_AFTER_ACCEPT, 1),
        (Misbehaviour.GATEWAY_TIMEOUT_AFTER_ACCEPT, 1),
        (Misbehaviour.RESET_IN_BODY, 1),
        (Misbehaviour.GATEWAY_TIMEOUT_BEFORE_ACCEPT, 2),
        (Misbehaviour.RESET_BEFORE_ACCEPT, 2),
    ],
)
def test_a_stop_whose_answer_is_lost_rests_once_and_is_sent_again_only_if_it_never_arrived(
    kind: Misbehaviour, requests: int
) -> None:
    """Faults 7, 8 and 10 for a resting stop: the same rules as for a trade."""
    with House(stops=True) as house:
        before_the_fall(house)
        house.exchange.misbehave(kind, method="POST", path=ORDERS)
        for _ in range(4):
            house.go_on(CALM)

        (stop,) = stops(house)
        assert (stop.quantity, stop.stop_price) == (Decimal(10), Decimal("296.00"))
        assert house.exchange.count("POST", ORDERS) == intent_of(house, stop.client_order_id).sends == requests


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "kind", [Misbehaviour.HANG_AFTER_ACCEPT, Misbehaviour.GATEWAY_TIMEOUT_BEFORE_ACCEPT, Misbehaviour.RESET_IN_BODY]
)
def test_a_cancel_that_fails_is_asked_again_and_nothing_is_sold_before_the_stop_is_gone(kind: Misbehaviour) -> None:
    """Fault 10: while the broker may still have the stop, its shares are not sold a second time."""
    with House(stops=True) as house:
        under_a_stop(house)
        house.exchange.misbehave(kind, method="DELETE")
        house.owner.controls.set_kill_switch(KillSwitch(mode=SwitchMode.FLATTEN, by="ann", why="enough"))
        house.tick("check_risk")
        house.tick("place_orders")
        assert house.exchange.count("DELETE") in (1, 2)  # the exit asks for it, and the run once more
        assert all(order.order_type is OrderType.STOP for order in house.exchange.exchange.orders())
        for _ in range(4):
            house.go_on(CALM)

        assert effects(house)["positions"] == []
        sold = [o.filled_quantity for o in house.exchange.exchange.orders() if o.filled_quantity]
        assert sold == [Decimal("10.4")]
        assert not stops(house)
        assert house.exchange.count("DELETE") <= 2


def under_a_stop(house: House) -> None:
    before_the_fall(house)
    house.go_on(CALM)
    house.go_on(CALM)
    assert len(stops(house)) == 1


def refuse_stops(house: House, message: str) -> None:
    """Let the exchange answer every stop order with 403 and Alpaca's code 40310000."""
    take = house.exchange.exchange.submit

    def submit(request: PlaceOrder, now: object) -> Order:
        if request.order_type is OrderType.STOP:
            raise BrokerRefusal(Refusal.OTHER, message, code=40310000)
        return take(request, now)  # type: ignore[arg-type]

    house.exchange.exchange.submit = submit  # type: ignore[method-assign]


@pytest.mark.parametrize("answer", ["rejected", "pending_new", "403"])
def test_a_stop_that_does_not_work_becomes_a_sale_with_a_critical_alert(answer: str) -> None:
    """Fault 12: refused, rejected after it was taken, or never more than pending."""
    with House(stops=True) as house:
        before_the_fall(house)
        if answer == "403":
            refuse_stops(house, "stop orders are not allowed for this account")
        else:
            house.exchange.exchange.stops_taken_as = STATUSES[answer]
        ticks = 0
        while effects(house)["positions"] and ticks < 8:
            house.go_on(CALM)
            ticks += 1

        assert effects(house)["positions"] == []
        sold = [o for o in house.exchange.exchange.orders() if o.filled_quantity]
        assert [(o.order_type, o.filled_quantity) for o in sold] == [(OrderType.MARKET, Decimal("10.4"))]
        assert not stops(house)
        told = [body["embeds"][0] for body in house.discord.taken]
        assert any("does not protect" in each["description"] and each["color"] == RED for each in told)


def test_a_stop_refused_because_somebody_reserved_the_shares_is_told_and_sells_nothing() -> None:
    """Fault 12: the same 403 and code, but the shares are under an order that a person placed; it is left alone."""
    with House(stops=True) as house:
        before_the_fall(house)
        by_hand = order("by-hand", "sell", "10.4", "limit", "500")
        house.exchange.exchange.submit(by_hand, house.clock.now())
        for _ in range(4):
            house.go_on(CALM)

        assert [o.client_order_id for o in house.exchange.exchange.orders()] == ["by-hand"]
        assert AlertKind.STOP_NOT_RESTING in {kind for kind, *_ in house.incidents()}
