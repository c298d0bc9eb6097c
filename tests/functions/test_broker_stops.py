"""Stops that rest at the broker, deployed: Alpaca's wire, the policies, doubled events (RSK-05, RSK-06)."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import pytest

from shared.domain.coverage import Coverage
from shared.domain.intents import IntentState, OrderType, Reason, Side, TimeInForce
from shared.domain.orders import Order, OrderStatus
from tests.fakes.house import EVERY_MINUTE, NVDA, TSLA, House, before_the_fall, effects

CALM: Final = {TSLA: "321.60", NVDA: "187.00"}
pytestmark = pytest.mark.usefixtures("quiet")


def under_stops(house: House) -> None:
    """TSLA is held, ten shares of it under a stop at the broker."""
    before_the_fall(house)
    for _ in range(2):
        assert all(run.error is None for run in house.go_on(CALM))


def stops(house: House) -> list[Order]:
    return [order for order in house.exchange.exchange.live_orders() if order.order_type is OrderType.STOP]


def published(house: House) -> Coverage:
    found = house.owner.controls.coverage()
    assert found is not None
    return found.coverage


def test_a_stop_rests_at_the_broker_within_two_ticks_and_coverage_says_so() -> None:
    with House(stops=True) as house:
        under_stops(house)

        (stop,) = stops(house)
        assert (stop.side, stop.quantity, stop.stop_price, stop.time_in_force) == (
            Side.SELL,
            Decimal(10),
            Decimal("296.00"),
            TimeInForce.GTC,
        )
        assert published(house) == Coverage(Decimal("96.15"), Decimal("3.85"), Decimal(0))
        assert house.exchange.count("POST", "/v2/orders") == 1


def test_a_fall_is_sold_by_the_broker_the_fraction_by_the_software_stop_and_each_is_told() -> None:
    with House(stops=True) as house:
        under_stops(house)
        for _ in range(4):
            assert all(run.error is None for run in house.go_on({TSLA: "295.50", NVDA: "187.10"}))

        sold = [(o.order_type, o.filled_quantity, o.average_fill_price) for o in house.exchange.exchange.orders()]
        assert sold[0] == (OrderType.STOP, Decimal(10), Decimal("295.50"))
        assert [(kind, quantity) for kind, quantity, _ in sold[1:] if quantity] == [(OrderType.MARKET, Decimal("0.4"))]
        assert effects(house)["positions"] == []
        assert effects(house)["open"] == {}
        assert house.told().count("Protective level reached: TSLA") == 1
        assert house.told().count("Order filled: TSLA") == 2


def test_every_event_five_times_at_once_places_one_stop() -> None:
    with House(stops=True) as house:
        before_the_fall(house)
        for _ in range(2):
            house.trade(CALM)
            for function in EVERY_MINUTE:
                house.run_many(function, house.tick_event(), 5)
            house.pump()

        assert len(stops(house)) == 1
        assert house.exchange.count("POST", "/v2/orders") == 1


def test_a_stop_canceled_at_the_broker_is_told_and_comes_back() -> None:
    with House(stops=True) as house:
        under_stops(house)
        (first,) = stops(house)
        house.exchange.exchange.cancel(first.id, house.clock.now())
        house.go_on(CALM)
        house.go_on(CALM)

        (second,) = stops(house)
        assert second.id != first.id
        assert "Stop not resting at the broker: TSLA" in house.told()


@pytest.mark.parametrize("taken_as", [OrderStatus.REJECTED, OrderStatus.PENDING])
def test_a_stop_that_the_broker_does_not_work_becomes_a_sale(taken_as: OrderStatus) -> None:
    with House(stops=True) as house:
        before_the_fall(house)
        house.exchange.exchange.stops_taken_as = taken_as
        for _ in range(7):
            house.go_on(CALM)

        assert effects(house)["positions"] == []
        closed = [o for o in house.exchange.exchange.orders() if o.order_type is OrderType.MARKET]
        assert [order.filled_quantity for order in closed] == [Decimal("10.4")]


def test_a_night_without_ticks_leaves_the_stop_where_it_is_and_nobody_is_paged() -> None:
    with House(stops=True) as house:
        under_stops(house)
        house.clock.set(house.clock.now().replace(hour=23, minute=5))
        for function in EVERY_MINUTE:
            house.try_tick(function)
        house.pump()

        assert len(stops(house)) == 1
        assert not any("without protection" in title for title in house.told())
        (stop,) = (i for i in house.owner.ledgers.load(house.owner.account).open.values() if i.rests)
        assert (stop.state, stop.purpose.reason) == (IntentState.ACKED, Reason.BROKER_STOP)
