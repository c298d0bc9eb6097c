"""The matching engine: where orders fill, what is refused, and that neither cash nor shares appear from nowhere."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from timeit import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.memory.matching import GTC_LIFE, Exchange, quote_around
from shared.domain.bars import Bar
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.errors import BrokerRefusal, Refusal, Unavailable
from shared.domain.intents import OrderType, Side
from shared.domain.orders import OrderStatus
from tests.fakes.venue import AAPL, BRK, CASH, CLOSE, MINUTE, NIGHT, NOON, OPEN, TSLA, bar, order, small_exchange


@pytest.fixture
def exchange() -> Exchange:
    venue = small_exchange()
    venue.on_bar(bar("100", at=NOON - MINUTE))
    return venue


def refusal(exchange: Exchange, *words: str, **terms: str) -> BrokerRefusal:
    with pytest.raises(BrokerRefusal) as caught:
        exchange.submit(order("refused", *words, **terms), NOON)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("side", "kind", "price", "prices", "filled"),
    [
        ("buy", "market", None, "100 101 99 100", "100.025"),
        ("sell", "market", None, "100 101 99 100", "99.975"),
        ("buy", "market", None, "100 100.01 99 100", "100.01"),
        ("sell", "market", None, "100 101 99.99 100", "99.99"),
        ("buy", "limit", "100.50", "100 101 99 100", "100.025"),
        ("buy", "limit", "99.50", "100 101 99 100", "99.50"),
        ("buy", "limit", "99.00", "100 101 99 100", "99.00"),
        ("buy", "limit", "98.99", "100 101 99 100", None),
        ("buy", "limit", "100.50", "98 99 97 98", "98.0245"),
        ("sell", "limit", "99.50", "100 101 99 100", "99.975"),
        ("sell", "limit", "100.50", "100 101 99 100", "100.50"),
        ("sell", "limit", "101.01", "100 101 99 100", None),
        ("sell", "stop", "99.50", "100 101 99 100", "99.50"),
        ("sell", "stop", "99.00", "100 101 99 100", "99.00"),
        ("sell", "stop", "98.99", "100 101 99 100", None),
        ("sell", "stop", "99.50", "95 96 94 95", "95"),
        ("buy", "stop", "100.50", "100 101 99 100", "100.50"),
        ("buy", "stop", "100.50", "105 106 104 105", "105"),
        ("buy", "stop", "101.01", "100 101 99 100", None),
    ],
)
def test_an_order_fills_where_the_table_says(
    exchange: Exchange, side: str, kind: str, price: str | None, prices: str, filled: str | None
) -> None:
    placed = exchange.submit(order("one", side, "10", kind, price), NOON)

    exchange.on_bar(bar(prices, at=NOON))

    found = exchange.order(placed.id)
    assert found is not None
    assert found.average_fill_price == (None if filled is None else Decimal(filled))
    assert found.status is (OrderStatus.NEW if filled is None else OrderStatus.FILLED)


def test_an_order_never_fills_in_the_bar_it_was_sent_in(exchange: Exchange) -> None:
    placed = exchange.submit(order("one", "buy", "1"), NOON + timedelta(seconds=3))

    exchange.on_bar(bar("100", at=NOON))
    assert exchange.works(TSLA)
    exchange.on_bar(bar("101", at=NOON + MINUTE))

    found = exchange.order(placed.id)
    assert found is not None
    assert found.filled_at == NOON + 2 * MINUTE
    assert not exchange.works(TSLA)


def test_a_fill_takes_at_most_a_tenth_of_the_volume_and_the_rest_goes_on(exchange: Exchange) -> None:
    placed = exchange.submit(order("one", "sell", "10"), NOON)

    exchange.on_bar(bar("100", at=NOON, volume="45"))
    partly = exchange.order(placed.id)
    assert partly is not None
    assert (partly.status, partly.filled_quantity) == (OrderStatus.PARTIALLY_FILLED, Decimal(4))
    exchange.on_bar(bar("102", at=NOON + MINUTE, volume="0"))
    exchange.on_bar(bar("102", at=NOON + 2 * MINUTE, volume=None))

    assert [(fill.quantity, fill.price) for fill in exchange.fills] == [
        (Decimal(4), Decimal(100)),
        (Decimal(6), Decimal(102)),
    ]
    done = exchange.order(placed.id)
    assert done is not None
    assert done.average_fill_price == Decimal("101.2")
    assert exchange.positions() == []
    assert exchange.cash == CASH + 4 * 100 + 6 * 102


def test_a_fraction_fills_in_fractions_of_a_thin_bar(exchange: Exchange) -> None:
    exchange.submit(order("one", "buy", "0.4"), NOON)

    exchange.on_bar(bar("100", at=NOON, volume="3"))

    assert [fill.quantity for fill in exchange.fills] == [Decimal("0.3")]


def test_a_triggered_stop_goes_on_as_a_market_order(exchange: Exchange) -> None:
    exchange.submit(order("stop", "sell", "10", "stop", "99", tif="gtc"), NOON)

    exchange.on_bar(bar("100 100 98 98", at=NOON, volume="40"))
    exchange.on_bar(bar("104 105 103 104", at=NOON + MINUTE))

    assert [(fill.quantity, fill.price) for fill in exchange.fills] == [
        (Decimal(4), Decimal(99)),
        (Decimal(6), Decimal("103.974")),
    ]


def test_a_day_order_ends_at_the_close(exchange: Exchange) -> None:
    placed = exchange.submit(order("one", "buy", "1", "limit", "50"), NOON)

    exchange.on_bar(bar("100", at=CLOSE - MINUTE))
    exchange.advance(CLOSE)

    found = exchange.order(placed.id)
    assert found is not None
    assert (found.status, found.closed_at) == (OrderStatus.EXPIRED, CLOSE)


def test_a_day_order_does_not_see_the_next_session_even_when_nobody_moved_the_time(exchange: Exchange) -> None:
    placed = exchange.submit(order("one", "buy", "1", "limit", "50"), NOON)

    exchange.on_bar(bar("40", at=OPEN + timedelta(days=1)))

    found = exchange.order(placed.id)
    assert found is not None
    assert (found.status, found.closed_at) == (OrderStatus.EXPIRED, CLOSE)


def test_a_resting_order_outlives_the_day_and_ends_after_ninety(exchange: Exchange) -> None:
    placed = exchange.submit(order("stop", "sell", "10", "stop", "90", tif="gtc"), NOON)

    exchange.advance(NOON + GTC_LIFE - MINUTE)
    assert exchange.works(TSLA)
    exchange.advance(NOON + GTC_LIFE)

    found = exchange.order(placed.id)
    assert found is not None
    assert found.status is OrderStatus.EXPIRED


def test_nothing_fills_outside_the_session(exchange: Exchange) -> None:
    exchange.submit(order("stop", "sell", "10", "stop", "90", tif="gtc"), NIGHT)

    exchange.on_bar(bar("80", at=OPEN + timedelta(days=1) - timedelta(hours=1)))
    assert exchange.fills == []
    exchange.on_bar(bar("80", at=OPEN + timedelta(days=1)))

    assert [fill.price for fill in exchange.fills] == [80]


def test_a_halted_symbol_takes_orders_and_fills_none(exchange: Exchange) -> None:
    exchange.halt(TSLA)
    exchange.submit(order("one", "sell", "10"), NOON)
    exchange.on_bar(bar("100", at=NOON))
    assert exchange.fills == []

    exchange.resume(TSLA)
    exchange.on_bar(bar("100", at=NOON + MINUTE))

    assert len(exchange.fills) == 1


@pytest.mark.parametrize(
    ("words", "terms", "kind", "code", "says"),
    [
        (("buy", "0"), {}, Refusal.OTHER, 42210000, "qty must be > 0"),
        (("buy", "NaN"), {}, Refusal.OTHER, 42210000, "qty must be > 0"),
        (("buy", "1E+30"), {}, Refusal.OTHER, 42210000, "too large"),
        (("buy", "0.0000000001"), {}, Refusal.OTHER, 42210000, "9 decimal"),
        (("buy", "1", "limit"), {}, Refusal.OTHER, 42210000, "limit_price is required"),
        (("buy", "1", "stop"), {}, Refusal.OTHER, 42210000, "stop_price is required"),
        (("buy", "1", "limit", "-5"), {}, Refusal.OTHER, 42210000, "limit_price must be > 0"),
        (("buy", "1", "limit", "100.001"), {}, Refusal.OTHER, 42210000, "sub-penny"),
        (("buy", "0.5", "stop", "110"), {"tif": "gtc"}, Refusal.OTHER, 42210000, "fractional orders must be DAY"),
        (("buy", "0.5"), {"symbol": BRK}, Refusal.OTHER, 42210000, "not fractionable"),
        (("buy", "1"), {"symbol": AAPL}, Refusal.OTHER, 42210000, "no quote"),
        (("buy", "1"), {"symbol": "NOPE"}, Refusal.UNKNOWN_SYMBOL, 42210000, "not found"),
        (("sell", "10.000000001"), {}, Refusal.SHARES_RESERVED, 40310000, "requested: 10.000000001, available: 10"),
        (("sell", "1"), {"symbol": BRK}, Refusal.SHARES_RESERVED, 40310000, "available: 0"),
        (("buy", "1001", "limit", "100"), {}, Refusal.BUYING_POWER, 40310000, "buying power"),
    ],
)
def test_a_refusal_carries_the_brokers_code(
    exchange: Exchange, words: tuple[str, ...], terms: dict[str, str], kind: Refusal, code: int, says: str
) -> None:
    refused = refusal(exchange, *words, **terms)

    assert (refused.kind, refused.code) == (kind, code)
    assert says in refused.message
    assert exchange.order_by_client_id("refused") is None


def test_an_untradable_symbol_is_refused(exchange: Exchange) -> None:
    exchange.list_symbol(AAPL, tradable=False)

    assert refusal(exchange, "buy", "1", symbol=AAPL).kind is Refusal.UNKNOWN_SYMBOL


def test_a_venue_may_take_fractions_at_market_only() -> None:
    exchange = small_exchange(fractional_orders=frozenset({OrderType.MARKET}))

    assert "fractional orders must not be stop orders" in refusal(exchange, "sell", "0.5", "stop", "80").message


@pytest.mark.parametrize("how", ["filled", "canceled", "working"])
def test_a_used_id_is_refused_for_ever(exchange: Exchange, how: str) -> None:
    placed = exchange.submit(order("once", "buy", "1"), NOON)
    if how == "filled":
        exchange.on_bar(bar("100", at=NOON))
    if how == "canceled":
        exchange.cancel(placed.id, NOON)

    with pytest.raises(BrokerRefusal) as caught:
        exchange.submit(order("once", "sell", "1"), NOON + timedelta(days=1))

    assert (caught.value.kind, caught.value.code) == (Refusal.USED_ID, 40010001)


@pytest.mark.parametrize(
    ("resting", "message"), [(("stop", "90"), "opposite side market/stop order"), (("limit", "110"), "wash trade")]
)
def test_the_opposite_side_is_refused_while_an_order_rests(
    exchange: Exchange, resting: tuple[str, str], message: str
) -> None:
    placed = exchange.submit(order("stop", "sell", "10", *resting, tif="gtc"), NOON)

    refused = refusal(exchange, "buy", "1")
    assert (refused.kind, refused.code) == (Refusal.OPPOSITE_SIDE_RESTING, 40310000)
    assert message in refused.message
    exchange.cancel(placed.id, NOON)

    assert exchange.submit(order("next", "buy", "1"), NOON).is_live


def test_a_resting_sell_reserves_its_shares(exchange: Exchange) -> None:
    exchange.submit(order("stop", "sell", "7", "stop", "90", tif="gtc"), NOON)

    assert [(held.quantity, held.available) for held in exchange.positions()] == [(Decimal(10), Decimal(3))]
    assert refusal(exchange, "sell", "4").message.endswith("(requested: 4, available: 3)")
    assert exchange.submit(order("rest", "sell", "3"), NOON).is_live


def test_a_resting_buy_reserves_cash_until_it_is_canceled(exchange: Exchange) -> None:
    placed = exchange.submit(order("dip", "buy", "900", "limit", "90", tif="gtc"), NOON)

    assert exchange.account().buying_power == CASH - 81000
    assert refusal(exchange, "buy", "300", "limit", "90").kind is Refusal.BUYING_POWER
    exchange.cancel(placed.id, NOON)

    assert exchange.account().buying_power == exchange.cash == CASH


@pytest.mark.parametrize(
    ("kind", "price", "tif", "taken"),
    [("market", None, "day", False), ("market", None, "gtc", False), ("limit", "90", "day", False),
     ("limit", "90", "gtc", True), ("stop", "110", "gtc", True), ("stop", "110", "day", False)],
)  # fmt: skip
def test_while_the_market_is_closed_only_resting_orders_are_taken(
    exchange: Exchange, kind: str, price: str | None, tif: str, taken: bool
) -> None:
    for now in (NIGHT, CLOSE, OPEN - MINUTE):
        venue = small_exchange()
        venue.on_bar(bar("100", at=OPEN - timedelta(days=1)))
        if taken:
            assert venue.submit(order("one", "buy", "1", kind, price, tif=tif), now).is_live
        else:
            with pytest.raises(BrokerRefusal) as caught:
                venue.submit(order("one", "buy", "1", kind, price, tif=tif), now)
            assert caught.value.kind is Refusal.SESSION_CLOSED


def test_a_finished_or_unknown_order_cannot_be_canceled(exchange: Exchange) -> None:
    placed = exchange.submit(order("one", "buy", "1"), NOON)
    exchange.on_bar(bar("100", at=NOON))

    for order_id in (placed.id, "nobody's"):
        with pytest.raises(BrokerRefusal) as caught:
            exchange.cancel(order_id, NOON + MINUTE)
        assert caught.value.kind is Refusal.NOT_CANCELABLE


def test_a_split_keeps_the_value_and_cancels_what_rests(exchange: Exchange) -> None:
    placed = exchange.submit(order("stop", "sell", "10", "stop", "90", tif="gtc"), NOON)
    split = CorporateAction(symbol=TSLA, ex_date=NIGHT.date(), kind=ActionKind.SPLIT, ratio=Decimal(4))
    before = exchange.account()

    exchange.apply(split, NIGHT)
    exchange.apply(split, NIGHT)

    [held] = exchange.positions()
    assert (held.quantity, held.available, held.average_entry_price) == (
        Decimal(40),
        Decimal(40),
        Decimal("22.5"),
    )
    assert exchange.account() == before
    found = exchange.order(placed.id)
    assert found is not None
    assert found.status is OrderStatus.CANCELED


def test_a_dividend_pays_for_what_is_held(exchange: Exchange) -> None:
    paid = CorporateAction(symbol=TSLA, ex_date=NIGHT.date(), kind=ActionKind.DIVIDEND, cash_amount=Decimal("0.22"))

    exchange.apply(paid, NIGHT)
    exchange.apply(paid, NIGHT)

    assert exchange.cash == CASH + Decimal("2.2")


def test_equity_counts_the_last_close_and_the_entry_before_there_is_one() -> None:
    exchange = small_exchange()
    assert exchange.account().equity == CASH + 900

    exchange.on_bar(bar("100 100 100 101", at=NOON))

    assert exchange.account().equity == CASH + 1010


def test_the_market_clock_looks_past_a_weekend(exchange: Exchange) -> None:
    saturday = datetime.fromisoformat("2026-02-07T12:00:00Z")

    clock = exchange.market_clock(saturday)

    assert not clock.is_open
    assert clock.next_open == datetime.fromisoformat("2026-02-09T14:30:00Z")


def test_a_calendar_that_ends_is_no_clock(exchange: Exchange) -> None:
    class Empty:
        def days(self, first: object, last: object) -> list[object]:
            return []

    with pytest.raises(Unavailable):
        Exchange("x", CASH, Empty()).market_clock(NOON)  # type: ignore[arg-type]


def test_an_idle_symbols_bar_costs_well_under_a_microsecond(exchange: Exchange) -> None:
    one = bar("100", at=NOON)

    seconds = min(timeit(lambda: exchange.on_bar(one), number=20_000) for _ in range(5)) / 20_000

    assert seconds < 1e-6


def cents(low: int, high: int) -> st.SearchStrategy[Decimal]:
    return st.integers(low, high).map(lambda n: Decimal(n) / 100)


@st.composite
def bars(draw: st.DrawFn) -> tuple[Decimal, Decimal, Decimal, Decimal, Decimal | None]:
    numbers = sorted(draw(st.lists(cents(5000, 15000), min_size=4, max_size=4)))
    opens, close = draw(st.permutations(numbers[1:3]))
    volume = draw(st.none() | st.integers(0, 500).map(Decimal))
    return opens, numbers[3], numbers[0], close, volume


steps = st.lists(
    st.one_of(
        bars(),
        st.tuples(
            st.sampled_from(["buy", "sell"]),
            st.integers(1, 30_000).map(lambda n: str(Decimal(n) / 1000)),
            st.sampled_from(["market", "limit", "stop"]),
            cents(5000, 15000).map(str),
            st.sampled_from(["day", "gtc"]),
        ),
        st.integers(0, 20),
    ),
    max_size=40,
)


@given(steps=steps)
def test_cash_and_shares_are_conserved_and_fills_lie_in_their_bars(steps: list[object]) -> None:
    exchange = small_exchange()
    now, seen = NOON, list[Bar]()
    exchange.on_bar(bar("100", at=now - MINUTE))
    for number, step in enumerate(steps):
        if isinstance(step, int):
            placed = exchange.orders()
            try:
                exchange.cancel(placed[step % len(placed)].id if placed else "none", now)
            except BrokerRefusal as refused:
                assert refused.kind is Refusal.NOT_CANCELABLE  # noqa: PT017
        elif isinstance(step, tuple) and isinstance(step[0], str):
            side, quantity, kind, price, tif = step
            try:
                exchange.submit(
                    order(f"o{number}", side, quantity, kind, None if kind == "market" else price, tif=tif), now
                )
            except BrokerRefusal:
                assert exchange.order_by_client_id(f"o{number}") is None
        else:
            assert isinstance(step, tuple)
            seen.append(Bar(TSLA, now, now + MINUTE, *step))
            exchange.on_bar(seen[-1])
            now += MINUTE

        bought = [fill for fill in exchange.fills if fill.side is Side.BUY]
        sold = [fill for fill in exchange.fills if fill.side is Side.SELL]
        paid = sum(fill.quantity * fill.price for fill in bought)
        earned = sum(fill.quantity * fill.price for fill in sold)
        assert exchange.cash == CASH - paid + earned
        held = sum(position.quantity for position in exchange.positions())
        assert held == 10 + sum(fill.quantity for fill in bought) - sum(fill.quantity for fill in sold)
        assert all(0 <= position.available <= position.quantity for position in exchange.positions())

    by_end = {one.end: one for one in seen}
    for fill in exchange.fills:
        in_bar = by_end[fill.at]
        assert in_bar.low <= fill.price <= in_bar.high
        assert in_bar.volume is None or fill.quantity <= in_bar.volume * exchange.participation
    for placed_order in exchange.orders():
        stream = [fill for fill in exchange.fills if fill.order_id == placed_order.id]
        assert sum(fill.quantity for fill in stream) == placed_order.filled_quantity <= placed_order.quantity
        assert len({fill.at for fill in stream}) == len(stream)
        assert all(fill.at > placed_order.submitted_at for fill in stream)
        limit = placed_order.limit_price
        if limit is not None:
            assert all((fill.price <= limit) == (fill.side is Side.BUY) or fill.price == limit for fill in stream)


@given(close=cents(1, 1_000_000))
def test_a_quote_lies_around_its_close(close: Decimal) -> None:
    bid, ask = quote_around(close, Decimal("0.00025"))

    assert bid < close < ask
    assert ask - bid == close * Decimal("0.0005")
