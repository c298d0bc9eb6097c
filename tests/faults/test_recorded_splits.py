"""Splits as they were traded: the last close in old shares, the first open in new ones, a stop 5 % off (fault 14)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from shared.domain.alerts import AlertKind
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.intents import OrderType, Side
from tests.fakes.desk import Desk, held
from tests.fakes.venue import OPEN, TSLA

MORNING = OPEN + timedelta(days=1)
RECORDED = [
    pytest.param("10", "1208.88", "120.37", id="NVDA 10:1 2024-06-10"),
    pytest.param("7", "645.57", "92.70", id="AAPL 7:1 2014-06-09"),
    pytest.param("4", "499.23", "127.58", id="AAPL 4:1 2020-08-31"),
    pytest.param("4", "751.19", "187.30", id="NVDA 4:1 2021-07-20"),
]


def over_the_split(ratio: str, close: str, *, known: bool) -> Desk:
    """Ten shares bought at the last close, protected at the broker, on the morning after."""
    split = CorporateAction(symbol=TSLA, ex_date=MORNING.date(), kind=ActionKind.SPLIT, ratio=Decimal(ratio))
    desk = Desk(held(TSLA, "10", close), actions=[split] if known else [], price=close, stops=True)
    desk.place()
    desk.reconcile()
    desk.wait(MORNING - desk.clock.now())
    desk.world.exchange.apply(split, desk.clock.now())
    desk.heard()
    return desk


@pytest.mark.parametrize(("ratio", "close", "opens"), RECORDED)
def test_a_known_split_sells_nothing_is_no_move_and_is_followed_by_stop_and_broker(
    ratio: str, close: str, opens: str
) -> None:
    desk = over_the_split(ratio, close, known=True)
    for _ in range(4):
        desk.trade(TSLA, opens)
        desk.reconcile()
        desk.poll()
        desk.check()
        desk.place()

    position = desk.position(TSLA)
    assert position is not None
    assert position.quantity == 10 * Decimal(ratio)
    assert abs(position.quantity * position.average_entry_price - 10 * Decimal(close)) < Decimal("1E-6")
    assert abs(position.stop_price * Decimal(ratio) - Decimal(close) * Decimal("0.95")) <= Decimal("0.005") * 10
    assert desk.filled(TSLA, Side.SELL) == 0
    assert not {AlertKind.PRICE_MOVE, AlertKind.STOP_TRIGGERED, AlertKind.POSITION_MISMATCH} & set(desk.kinds())
    (stop,) = [o for o in desk.world.exchange.live_orders() if o.order_type is OrderType.STOP]
    assert (stop.quantity, stop.stop_price) == (position.quantity, position.stop_price)


@pytest.mark.parametrize(("ratio", "close", "opens"), RECORDED)
def test_a_split_nobody_knows_of_sells_nothing_freezes_entries_and_says_what_it_suspects(
    ratio: str, close: str, opens: str
) -> None:
    """The broker's changed quantity is believed by the second pass, before the second price would confirm the fall."""
    desk = over_the_split(ratio, close, known=False)
    for _ in range(2):
        assert desk.ledger.open_for(TSLA, Side.SELL) is None
        desk.trade(TSLA, opens)
        desk.reconcile()
        desk.poll()
        desk.check()
    assert f"a split of {ratio}:1 is suspected" in " ".join(alert.text for alert in desk.heard())
    assert any("frozen" in reason for reason in desk.enter(TSLA, "1").reasons)
    for _ in range(3):
        desk.minute()
    position = desk.position(TSLA)
    assert position is not None
    assert (position.quantity, desk.filled(TSLA, Side.SELL)) == (10 * Decimal(ratio), Decimal(0))
