"""The broker fails while TSLA must be sold: one request per attempt, one order in all (faults 5 to 10)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from local_stack.exchange.gate import Misbehaviour
from shared.domain.alerts import AlertKind
from shared.domain.orders import OrderStatus
from tests.fakes.house import NOON, NVDA, TSLA, House, fallen, prepared, specimen

ORDERS = "/v2/orders"
SECONDS = timedelta(seconds=1)
pytestmark = pytest.mark.usefixtures("quiet")


def sold_once(house: House) -> bool:
    """Say whether everything is over: one order, filled, and nothing left of it in the Book."""
    orders = [(order.status, order.filled_quantity) for order in house.exchange.exchange.orders()]
    ledger = house.owner.ledgers.load(house.owner.account)
    over = not (ledger.open or ledger.finished or house.owner.positions.all())
    return over and len(orders) == 1 and orders[0][0] is OrderStatus.FILLED


@pytest.mark.parametrize(
    ("kind", "requests"),
    [
        (Misbehaviour.HANG_AFTER_ACCEPT, 1),
        (Misbehaviour.GATEWAY_TIMEOUT_AFTER_ACCEPT, 1),
        (Misbehaviour.SERVER_ERROR_AFTER_ACCEPT, 1),
        (Misbehaviour.MALFORMED_AFTER_ACCEPT, 1),
        (Misbehaviour.RESET_IN_BODY, 1),
        (Misbehaviour.SLOW_DRIP, 1),
        (Misbehaviour.HANG_BEFORE_ACCEPT, 2),
        (Misbehaviour.GATEWAY_TIMEOUT_BEFORE_ACCEPT, 2),
        (Misbehaviour.RESET_BEFORE_ACCEPT, 2),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_send_that_fails_sells_once_and_puts_one_request_on_the_wire_per_attempt(
    kind: Misbehaviour, requests: int
) -> None:
    """Faults 7, 8 and 10: an order that arrived is found and not sent again; one that did not is sent once more."""
    with House() as house:
        prepared(house)
        house.exchange.misbehave(kind, method="POST", path=ORDERS)

        house.tick("place_orders")
        assert house.exchange.count("POST", ORDERS) == 1
        for _ in range(3):
            house.go_on()

        assert sold_once(house)
        (order,) = house.exchange.exchange.orders()
        intent = house.owner.ledgers.closed(order.client_order_id)  # type: ignore[arg-type]
        assert intent is not None
        assert house.exchange.count("POST", ORDERS) == intent.sends == requests


def test_exit_waits_as_long_as_the_broker_asks_and_no_longer() -> None:
    """Fault 9: nothing is sent before Retry-After is over, and the doorbell rings then, not at the next tick."""
    with House() as house:
        prepared(house)
        house.exchange.misbehave(Misbehaviour.TOO_MANY_REQUESTS, method="POST", path=ORDERS, retry_after=20 * SECONDS)

        report = house.tick("place_orders").answer
        assert (report["sent"], len(report["waiting"])) == ([], 1)
        for after in (1, 19):
            house.clock.set(NOON + after * SECONDS)
            house.tick("place_orders")
            house.pump()
        assert house.exchange.count("POST", ORDERS) == 1

        house.clock.set(NOON + 20 * SECONDS)
        house.pump()
        assert house.exchange.count("POST", ORDERS) == 2
        house.go_on()  # the minute in which it was sent; it fills in the next
        house.go_on()
        assert sold_once(house)


def test_exit_is_tried_again_within_a_minute_however_long_the_broker_asks() -> None:
    """Fault 9: a protective exit cannot wait for an hour."""
    with House() as house:
        prepared(house)
        house.exchange.misbehave(Misbehaviour.TOO_MANY_REQUESTS, method="POST", path=ORDERS, retry_after=3600 * SECONDS)

        house.tick("place_orders")
        house.go_on()
        house.go_on()
        assert sold_once(house)


@pytest.mark.parametrize("path", ["/v2/positions", "/v2/clock", "/v2/account", "/v2/orders", "/v2/stocks/snapshots"])
def test_read_that_fails_in_every_way_delays_the_exit_without_loss(path: str) -> None:
    """Fault 10: three bad minutes, and the exit is sold once in the three minutes after them."""
    with House() as house:
        fallen(house)
        for kind in (
            Misbehaviour.MALFORMED_AFTER_ACCEPT,
            Misbehaviour.SERVER_ERROR_AFTER_ACCEPT,
            Misbehaviour.RESET_IN_BODY,
        ):
            house.exchange.misbehave(kind, method="GET", path=path, times=1)
        for _ in range(3):
            house.go_on()
        house.exchange.behave()
        for _ in range(3):
            if not sold_once(house):
                house.go_on()

        assert sold_once(house)
        assert house.exchange.count("POST", ORDERS) == 1


@pytest.mark.usefixtures("impatient")
def test_exit_that_the_broker_refuses_for_now_is_told_and_sent_when_it_can_be() -> None:
    """A broker that cannot be read blocks the exit and says so; the next tick tries again by itself."""
    with House() as house:
        prepared(house)
        for queue in ("AlertsQueue", "DoorbellQueue"):
            house.drain(queue)
        house.exchange.misbehave(Misbehaviour.HANG_BEFORE_ACCEPT, method="GET", path="/v2/positions")

        problems = house.tick("place_orders").answer["problems"]
        house.pump()

        assert "TSLA" in problems[0]
        assert [kind for kind, *_ in house.incidents()] == [AlertKind.EXIT_BLOCKED]
        assert house.exchange.count("POST", ORDERS) == 0
        house.go_on()
        house.go_on()
        assert sold_once(house)


def test_doorbell_and_schedule_at_once_place_one_order() -> None:
    """Fault 4: whoever comes second finds the lease taken, or nothing left to send."""
    with House() as house:
        prepared(house)
        rings = [{"Records": [_ring(number)]} for number in range(2)]
        runs = house.run_at_once("place_orders", [*rings, house.tick_event(), house.tick_event()])

        assert [run.error for run in runs] == [None] * 4
        assert house.exchange.count("POST", ORDERS) == 1
        house.go_on({TSLA: "295.10", NVDA: "187.10"})
        assert sold_once(house)


def _ring(number: int) -> dict[str, object]:
    (record, *_) = specimen("place_orders", "ring")["Records"]
    return {**record, "messageId": f"{record['messageId'][:-1]}{number}"}
