"""A saved exchange goes on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.memory.exchange_file import read_state, write_state
from shared.adapters.memory.matching import Exchange
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.errors import BrokerRefusal, InvalidValue, Refusal
from shared.domain.orders import PlaceOrder
from tests.fakes.venue import AAPL, ACCOUNT, BRK, CASH, MINUTE, NOON, TSLA, Weekdays, bar, order, small_exchange

Step = Callable[[Exchange, int], None]
"""Does one thing to an exchange in a minute of its day."""

SYMBOLS = st.sampled_from([TSLA, AAPL, BRK])
PRICES = st.decimals("50", "150", places=2).map(str)


def saved_and_restored(exchange: Exchange) -> Exchange:
    other = Exchange("another account", Decimal(1), Weekdays())
    other.restore(read_state(write_state(exchange.state())))
    return other


@st.composite
def submits(draw: st.DrawFn) -> Step:
    kind = draw(st.sampled_from(["market", "limit", "stop"]))
    price = None if kind == "market" else draw(PRICES)
    symbol, side = draw(SYMBOLS), draw(st.sampled_from(["buy", "sell"]))
    quantity = draw(st.sampled_from(["1", "3", "0.123456789", "10"]))
    tif = draw(st.sampled_from(["day", "gtc"]))

    def submit(exchange: Exchange, minute: int) -> None:
        wanted = order(f"order-{minute}", side, quantity, kind, price, tif=tif, symbol=symbol)
        with suppress(BrokerRefusal):
            exchange.submit(wanted, NOON + minute * MINUTE)

    return submit


@st.composite
def trades(draw: st.DrawFn) -> Step:
    low, opens, closes, high = sorted(draw(st.lists(st.decimals("50", "150", places=2), min_size=4, max_size=4)))
    symbol, volume = draw(SYMBOLS), draw(st.sampled_from(["0", "15", "100000", None]))
    prices = f"{opens} {high} {low} {closes}"
    return lambda exchange, minute: exchange.on_bar(
        bar(prices, at=NOON + minute * MINUTE, symbol=symbol, volume=volume)
    )


@st.composite
def cancels(draw: st.DrawFn) -> Step:
    chosen = draw(st.integers(0, 5))

    def cancel(exchange: Exchange, minute: int) -> None:
        live = exchange.live_orders()
        if live:
            exchange.cancel(live[chosen % len(live)].id, NOON + minute * MINUTE)

    return cancel


@st.composite
def halts(draw: st.DrawFn) -> Step:
    symbol, stops = draw(SYMBOLS), draw(st.booleans())
    return lambda exchange, _: exchange.halt(symbol) if stops else exchange.resume(symbol)


@st.composite
def actions(draw: st.DrawFn) -> Step:
    kind = draw(st.sampled_from(ActionKind))
    figures = {"ratio": Decimal(7)} if kind is ActionKind.SPLIT else {"cash_amount": Decimal("0.37")}
    action = CorporateAction(symbol=draw(SYMBOLS), ex_date=NOON.date(), kind=kind, **figures)
    return lambda exchange, minute: exchange.apply(action, NOON + minute * MINUTE)


STEPS = st.lists(st.one_of(trades(), submits(), cancels(), halts(), actions()), max_size=40)


@given(steps=STEPS, share=st.floats(0, 1))
def test_an_exchange_saved_half_way_ends_like_one_that_was_not(steps: Sequence[Step], share: float) -> None:
    whole, halved = small_exchange(), small_exchange()
    for minute, step in enumerate(steps):
        step(whole, minute)
        if minute == int(share * len(steps)):
            halved = saved_and_restored(halved)
        step(halved, minute)

    after = NOON + timedelta(days=1)
    whole.advance(after)
    halved.advance(after)

    assert write_state(halved.state()) == write_state(whole.state())
    assert halved.account() == whole.account()
    assert halved.orders() == whole.orders()


def test_a_restored_exchange_refuses_the_ids_it_has_seen() -> None:
    exchange = small_exchange()
    exchange.on_bar(bar("100", at=NOON - MINUTE))
    exchange.submit(order("once", "sell", "10"), NOON)
    exchange.on_bar(bar("100", at=NOON))

    restored = saved_and_restored(exchange)

    assert restored.cash == CASH + Decimal(1000)
    assert refused(restored, order("once", "sell", "1")).kind is Refusal.USED_ID


def test_exact_decimals_survive_with_every_digit() -> None:
    exchange = small_exchange()
    exchange.seed_position(AAPL, Decimal("0.100000000"), Decimal(100) / Decimal(7))

    restored = saved_and_restored(exchange)

    assert [str(held.quantity) for held in restored.positions()] == ["10", "0.100000000"]
    assert restored.positions()[1].average_entry_price == Decimal(100) / Decimal(7)
    assert restored.account_id == ACCOUNT


def test_a_state_is_a_copy_that_later_trading_leaves_alone() -> None:
    exchange = small_exchange()
    exchange.on_bar(bar("100", at=NOON - MINUTE))
    exchange.submit(order("one", "sell", "10"), NOON)
    before = exchange.state()
    text = write_state(before)

    exchange.on_bar(bar("100", at=NOON, volume="50"))

    assert write_state(before) == text
    assert write_state(exchange.state()) != text


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"account_id": 7}', "hello"])
def test_a_text_that_is_no_state_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="exchange state"):
        read_state(text)


def refused(exchange: Exchange, request: PlaceOrder) -> BrokerRefusal:
    with pytest.raises(BrokerRefusal) as caught:
        exchange.submit(request, NOON + MINUTE)
    return caught.value
