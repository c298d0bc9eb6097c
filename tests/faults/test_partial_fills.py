"""Orders that fill in parts, are canceled or expire: the position is what was filled, so is its stop (fault 11)."""

from __future__ import annotations

from datetime import timedelta
from decimal import ROUND_DOWN, Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.intents import Intent, OrderType, Side, TimeInForce
from shared.domain.orders import Order
from shared.domain.trading_state import SwitchMode
from tests.fakes.desk import Desk, held
from tests.fakes.venue import CLOSE, MINUTE, OPEN, TSLA

PARTS = st.lists(st.integers(0, 60), min_size=1, max_size=6)
"""The volume of each minute, of which a tenth can be ours."""
WAYS = st.sampled_from(["goes on", "canceled by hand", "canceled by the kill switch"])


def resting(desk: Desk) -> list[Order]:
    return [o for o in desk.world.exchange.live_orders() if o.order_type is OrderType.STOP]


def next_minute(desk: Desk, price: str, volume: int) -> None:
    desk.trade(TSLA, price, volume=str(volume))
    desk.reconcile()
    desk.poll()
    desk.check()
    desk.place()


def at_broker(desk: Desk) -> Decimal:
    return next((p.quantity for p in desk.world.exchange.positions() if p.symbol == TSLA), Decimal(0))


@given(wanted=st.integers(1, 20), begun=st.sampled_from(["0", "3", "7.5"]), parts=PARTS, way=WAYS)
@settings(max_examples=100, deadline=None)
def test_an_entry_filled_in_any_parts_and_ended_in_any_way_leaves_a_stop_for_what_was_filled(
    wanted: int, begun: str, parts: list[int], way: str
) -> None:
    desk = Desk(*([held(TSLA, begun, "100")] if Decimal(begun) else []), stops=True)
    desk.place()
    desk.reconcile()
    entry = desk.entry(TSLA, str(wanted))
    desk.place()
    desk.place()
    for volume in parts:
        next_minute(desk, "100", volume)
        selling = sum((o.quantity - o.filled_quantity for o in resting(desk)), Decimal(0))
        assert selling <= at_broker(desk)
        position = desk.position(TSLA)
        assert (position.quantity if position is not None else 0) == at_broker(desk)
    _end(desk, entry, way)
    for _ in range(8):
        next_minute(desk, "100", 0)

    ended = desk.intent(entry)
    assert ended.is_open == (way == "goes on" and at_broker(desk) == 0)  # with nothing to protect it may rest on
    assert ended.filled_quantity == desk.filled(TSLA, Side.BUY)
    assert at_broker(desk) == Decimal(begun) + ended.filled_quantity
    whole = at_broker(desk).to_integral_value(ROUND_DOWN)
    assert [(o.quantity, o.time_in_force) for o in resting(desk)] == ([(whole, TimeInForce.GTC)] if whole else [])


@given(parts=PARTS, left=st.integers(1, 10))
@settings(max_examples=60, deadline=None)
def test_an_exit_that_expires_after_a_part_is_completed_the_next_morning_and_sells_no_share_twice(
    parts: list[int], left: int
) -> None:
    """The day order ends at the close with some of it filled; the rest has its own order at the next open."""
    desk = Desk(held(TSLA, "10", "100"), start=CLOSE - (len(parts) + 3) * MINUTE)
    desk.breach(TSLA, "94")
    desk.place()
    for volume in [min(part, 9 * left) for part in parts]:
        next_minute(desk, "94", volume)
        position = desk.position(TSLA)
        assert (position.quantity if position is not None else 0) == at_broker(desk)
    desk.wait(CLOSE + MINUTE - desk.clock.now())
    desk.world.exchange.advance(desk.clock.now())
    desk.reconcile()
    kept = at_broker(desk)
    assert not desk.live()
    desk.wait(OPEN + timedelta(days=1, minutes=1) - desk.clock.now())
    for _ in range(4):
        next_minute(desk, "94", 100_000)

    assert at_broker(desk) == 0
    assert desk.filled(TSLA, Side.SELL) == Decimal(10)
    sold = [order.filled_quantity for order in desk.orders(TSLA)]
    assert sum(sold, Decimal(0)) == Decimal(10)
    assert len(sold) == 1 + (kept != 0)


def _end(desk: Desk, entry: Intent, way: str) -> None:
    """Cancel what is left of an entry as somebody at the broker or the kill switch does, or leave it to its age."""
    if way == "canceled by hand":
        for order in desk.world.exchange.live_orders():
            if order.client_order_id == entry.id:
                desk.world.exchange.cancel(order.id, desk.clock.now())
    elif way == "canceled by the kill switch":
        desk.use.set_kill_switch(SwitchMode.KILL, by="ann", why="enough")
