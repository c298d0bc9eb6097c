"""The broker port's contract, on the memory broker and on Alpaca's adapter over HTTP against the simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from time import perf_counter

import pytest

from local_stack.exchange.server import ExchangeSimulator
from shared.adapters.alpaca.broker import AlpacaBroker
from shared.adapters.alpaca.calendar import AlpacaCalendar
from shared.adapters.alpaca.session import connect_trading
from shared.adapters.memory.broker import MemoryBroker
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.matching import Exchange
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.errors import BrokerRefusal, Refusal
from shared.domain.orders import Asset, HeldPosition, OrderStatus
from shared.domain.session import TradingDay
from shared.ports.broker import Broker, ExchangeCalendar
from tests.fakes.venue import (
    AAPL,
    ACCOUNT,
    BRK,
    CASH,
    CLOSE,
    MINUTE,
    NIGHT,
    NOON,
    OPEN,
    TSLA,
    Weekdays,
    bar,
    order,
    small_exchange,
)


class Venue:
    """A broker under test with the exchange behind it; TSLA has traded at 100 up to noon."""

    def __init__(
        self,
        broker: Broker,
        calendar: ExchangeCalendar,
        exchange: Exchange,
        clock: SimulatedClock,
        feed: Callable[[Bar], None],
    ) -> None:
        self.broker = broker
        self.calendar = calendar
        self.exchange = exchange
        self.clock = clock
        self._feed = feed
        feed(bar("100", at=NOON - MINUTE))

    def play(self, prices: str, *, volume: str | None = "100000") -> None:
        """Let the next minute of TSLA happen."""
        now = self.clock.now()
        self._feed(bar(prices, at=now, volume=volume))
        self.clock.set(now + MINUTE)

    def refusal(self, *words: str, **terms: str) -> BrokerRefusal:
        with pytest.raises(BrokerRefusal) as caught:
            self.broker.submit(order("refused", *words, **terms))  # type: ignore[arg-type]
        return caught.value


@pytest.fixture(params=["memory", "alpaca"])
def venue(request: pytest.FixtureRequest) -> Iterator[Venue]:
    exchange, clock = small_exchange(), SimulatedClock(NOON)
    if request.param == "memory":
        yield Venue(MemoryBroker(exchange, clock), Weekdays(), exchange, clock, exchange.on_bar)
        return
    with ExchangeSimulator(exchange, clock, rate_limit=10_000) as simulator:
        client = connect_trading(simulator.key_id, simulator.secret, url=simulator.url)
        yield Venue(AlpacaBroker(client, clock), AlpacaCalendar(client, clock), exchange, clock, simulator.feed)


def test_the_account_starts_as_it_was_funded(venue: Venue) -> None:
    account = venue.broker.account()

    assert account.id == ACCOUNT
    assert (account.cash, account.equity, account.buying_power) == (CASH, CASH + 1000, CASH)
    assert not account.blocked


def test_what_may_be_traded_is_said_of_each_symbol(venue: Venue) -> None:
    venue.exchange.list_symbol(AAPL, tradable=False)

    said = [venue.broker.asset(symbol) for symbol in (TSLA, BRK, AAPL)]

    assert said == [
        Asset(symbol=TSLA, active=True, tradable=True, fractionable=True),
        Asset(symbol=BRK, active=True, tradable=True, fractionable=False),
        Asset(symbol=AAPL, active=True, tradable=False, fractionable=True),
    ]


def test_a_halted_symbol_is_not_tradable_until_it_is_resumed(venue: Venue) -> None:
    for act, tradable in ((venue.exchange.halt, False), (venue.exchange.resume, True)):
        act(TSLA)
        asset = venue.broker.asset(TSLA)
        assert asset is not None
        assert asset.tradable is tradable


def test_a_symbol_the_broker_does_not_know_is_none(venue: Venue) -> None:
    assert venue.broker.asset(Symbol("NOPE")) is None


def test_a_position_bought_earlier_is_held_and_available(venue: Venue) -> None:
    assert venue.broker.positions() == [
        HeldPosition(symbol=TSLA, quantity=Decimal(10), available=Decimal(10), average_entry_price=Decimal(90))
    ]


def test_the_order_comes_back_as_it_was_sent(venue: Venue) -> None:
    sent = order("hw-1", "sell", "10", "stop", "91.37", tif="gtc")

    taken = venue.broker.submit(sent)

    for field in ("client_order_id", "symbol", "side", "quantity", "order_type", "time_in_force", "stop_price"):
        assert getattr(taken, field) == getattr(sent, field)
    assert (taken.status, taken.submitted_at, taken.limit_price) == (OrderStatus.NEW, NOON, None)
    assert venue.broker.live_orders() == [taken]
    assert venue.broker.order_by_client_id("hw-1") == taken == venue.exchange.order(taken.id)


def test_an_id_that_was_never_sent_is_none(venue: Venue) -> None:
    assert venue.broker.order_by_client_id("hw-never") is None


def test_a_market_order_fills_in_the_next_bar_and_cash_is_exact(venue: Venue) -> None:
    venue.broker.submit(order("hw-1", "buy", "2.123456789"))

    venue.play("100 101 99 100.50")

    found = venue.broker.order_by_client_id("hw-1")
    assert found is not None
    assert (found.status, found.filled_quantity) == (OrderStatus.FILLED, Decimal("2.123456789"))
    assert found.average_fill_price == Decimal("100.025")
    assert found.filled_at == found.closed_at == NOON + MINUTE
    account = venue.broker.account()
    assert account.cash == CASH - Decimal("2.123456789") * Decimal("100.025")
    assert account.equity == account.cash + Decimal("12.123456789") * Decimal("100.50")
    assert venue.broker.live_orders() == []


def test_a_limit_order_waits_for_its_price(venue: Venue) -> None:
    venue.broker.submit(order("hw-1", "buy", "5", "limit", "98.50"))

    venue.play("100 101 98.51 99")
    assert [live.client_order_id for live in venue.broker.live_orders()] == ["hw-1"]
    venue.play("99 99 98 98")

    found = venue.broker.order_by_client_id("hw-1")
    assert found is not None
    assert found.average_fill_price == Decimal("98.50")


def test_a_stop_fills_at_the_worse_of_open_and_stop(venue: Venue) -> None:
    venue.broker.submit(order("hw-1", "sell", "10", "stop", "95", tif="gtc"))

    venue.play("92 93 91 92")

    found = venue.broker.order_by_client_id("hw-1")
    assert found is not None
    assert found.average_fill_price == Decimal(92)
    assert venue.broker.positions() == []
    assert venue.broker.account().cash == CASH + 920


def test_a_partial_fill_is_reported_and_the_cancel_keeps_it(venue: Venue) -> None:
    placed = venue.broker.submit(order("hw-1", "sell", "10"))

    venue.play("100", volume="40")
    [partly] = venue.broker.live_orders()
    assert (partly.status, partly.filled_quantity, partly.closed_at) == (OrderStatus.PARTIALLY_FILLED, Decimal(4), None)
    [held] = venue.broker.positions()
    assert (held.quantity, held.available) == (Decimal(6), Decimal(0))
    venue.broker.cancel(placed)

    found = venue.broker.order_by_client_id("hw-1")
    assert found is not None
    assert (found.status, found.filled_quantity) == (OrderStatus.CANCELED, Decimal(4))
    assert found.closed_at == NOON + MINUTE
    assert venue.broker.account().cash == CASH + Decimal(4) * Decimal("100")


def test_partial_fills_average_to_the_dollars_paid(venue: Venue) -> None:
    venue.broker.submit(order("hw-1", "buy", "9", "limit", "120"))

    venue.play("100", volume="30")
    venue.play("101", volume="30")
    venue.play("103", volume="30")

    found = venue.broker.order_by_client_id("hw-1")
    assert found is not None
    assert found.status is OrderStatus.FILLED
    assert abs(found.filled_value - (CASH - venue.broker.account().cash)) < Decimal("1e-15")


def test_a_canceled_order_is_gone_and_asking_twice_changes_nothing(venue: Venue) -> None:
    placed = venue.broker.submit(order("hw-1", "sell", "10", "stop", "90", tif="gtc"))

    venue.broker.cancel(placed)
    with pytest.raises(BrokerRefusal) as again:
        venue.broker.cancel(placed)

    assert again.value.kind is Refusal.NOT_CANCELABLE
    found = venue.broker.order_by_client_id("hw-1")
    assert found is not None
    assert (found.status, found.filled_quantity, found.closed_at) == (OrderStatus.CANCELED, Decimal(0), NOON)
    assert venue.broker.positions()[0].available == 10


def test_a_filled_order_cannot_be_canceled(venue: Venue) -> None:
    placed = venue.broker.submit(order("hw-1", "sell", "10"))
    venue.play("100")

    with pytest.raises(BrokerRefusal) as caught:
        venue.broker.cancel(placed)

    assert caught.value.kind is Refusal.NOT_CANCELABLE


def test_an_order_that_nobody_took_cannot_be_canceled(venue: Venue) -> None:
    placed = venue.broker.submit(order("hw-1", "sell", "1", "limit", "200"))
    strangers = [
        type(placed)(**{field: getattr(placed, field) for field in placed.__slots__} | {"id": stranger})
        for stranger in ("99999999-2222-4333-8444-555555555555", "not an id")
    ]

    for stranger in strangers:
        with pytest.raises(BrokerRefusal) as caught:
            venue.broker.cancel(stranger)
        assert caught.value.kind is Refusal.NOT_CANCELABLE


def test_a_day_order_expires_at_the_close(venue: Venue) -> None:
    venue.broker.submit(order("hw-1", "buy", "1", "limit", "50"))

    venue.clock.set(CLOSE)

    found = venue.broker.order_by_client_id("hw-1")
    assert found is not None
    assert (found.status, found.closed_at) == (OrderStatus.EXPIRED, CLOSE)
    assert venue.broker.live_orders() == []


def test_a_used_id_is_refused_for_ever_and_fills_once(venue: Venue) -> None:
    venue.broker.submit(order("refused", "buy", "1"))
    assert venue.refusal("buy", "1").kind is Refusal.USED_ID
    venue.play("100")

    refused = venue.refusal("buy", "1")

    assert (refused.kind, refused.code) == (Refusal.USED_ID, 40010001)
    venue.play("100")
    assert len(venue.exchange.fills) == 1


@pytest.mark.parametrize(
    ("words", "terms", "kind", "code"),
    [
        (("sell", "11"), {}, Refusal.SHARES_RESERVED, 40310000),
        (("sell", "1"), {"symbol": BRK}, Refusal.SHARES_RESERVED, 40310000),
        (("buy", "1001", "limit", "100"), {}, Refusal.BUYING_POWER, 40310000),
        (("buy", "1"), {"symbol": "NOPE"}, Refusal.UNKNOWN_SYMBOL, 42210000),
        (("buy", "0.5", "limit", "90"), {"tif": "gtc"}, Refusal.OTHER, 42210000),
        (("buy", "0.5"), {"symbol": BRK}, Refusal.OTHER, 42210000),
        (("buy", "0"), {}, Refusal.OTHER, 42210000),
        (("buy", "1", "limit", "99.999"), {}, Refusal.OTHER, 42210000),
    ],
)
def test_a_refusal_says_what_it_means_and_takes_nothing(
    venue: Venue, words: tuple[str, ...], terms: dict[str, str], kind: Refusal, code: int
) -> None:
    refused = venue.refusal(*words, **terms)

    assert (refused.kind, refused.code) == (kind, code)
    assert venue.broker.order_by_client_id("refused") is None


def test_shares_under_a_stop_are_reserved_and_the_other_side_is_refused(venue: Venue) -> None:
    stop = venue.broker.submit(order("hw-stop", "sell", "10", "stop", "90", tif="gtc"))

    assert venue.broker.positions()[0].available == 0
    refused = venue.refusal("sell", "1")
    assert (refused.kind, refused.code) == (Refusal.SHARES_RESERVED, 40310000)
    refused = venue.refusal("buy", "1")
    assert (refused.kind, refused.code) == (Refusal.OPPOSITE_SIDE_RESTING, 40310000)
    venue.broker.cancel(stop)

    assert venue.broker.submit(order("hw-buy", "buy", "1")).is_live


def test_a_resting_limit_order_refuses_the_other_side_too(venue: Venue) -> None:
    venue.broker.submit(order("hw-target", "sell", "10", "limit", "120", tif="gtc"))

    assert venue.refusal("buy", "1", "limit", "99").kind is Refusal.OPPOSITE_SIDE_RESTING


def test_while_the_market_is_closed_only_resting_orders_are_taken(venue: Venue) -> None:
    venue.clock.set(NIGHT)

    assert venue.refusal("sell", "1").kind is Refusal.SESSION_CLOSED
    assert venue.refusal("sell", "1", "limit", "100").kind is Refusal.SESSION_CLOSED
    taken = venue.broker.submit(order("hw-1", "sell", "10", "stop", "90", tif="gtc"))

    assert venue.broker.live_orders() == [taken]


def test_the_market_clock_knows_both_turns(venue: Venue) -> None:
    at_noon = venue.broker.clock()
    assert (at_noon.at, at_noon.is_open, at_noon.next_close) == (NOON, True, CLOSE)
    assert at_noon.next_open == OPEN + timedelta(days=1)

    venue.clock.set(NIGHT)

    at_night = venue.broker.clock()
    assert (at_night.is_open, at_night.next_open) == (False, OPEN + timedelta(days=1))


def test_the_calendar_lists_sessions_and_leaves_days_off_out(venue: Venue) -> None:
    days = list(venue.calendar.days(date(2026, 2, 4), date(2026, 2, 9)))

    assert days[0] == TradingDay(date=date(2026, 2, 4), opens=OPEN, closes=CLOSE)
    assert [day.date.day for day in days] == [4, 5, 6, 9]
    assert list(venue.calendar.days(date(2026, 2, 5), date(2026, 2, 6))) == days[1:3]
    assert list(venue.calendar.days(date(2026, 2, 7), date(2026, 2, 8))) == []


def test_live_orders_are_those_of_every_symbol_and_everyone(venue: Venue) -> None:
    for number in range(60):
        venue.broker.submit(order(f"by-hand-{number}", "buy", "1", "limit", "50", symbol=AAPL, tif="gtc"))
    venue.broker.submit(order("hw-1", "sell", "10", "stop", "90", tif="gtc"))

    live = venue.broker.live_orders()

    assert len(live) == 61
    assert {one.symbol for one in live} == {AAPL, TSLA}


def test_sending_takes_no_time_that_a_waiting_packet_would_cost(venue: Venue) -> None:
    """A reply that waits for a delayed acknowledgement costs 40 ms and more."""
    stamps = [perf_counter()]
    for number in range(12):
        venue.broker.submit(order(f"hw-{number}", "buy", "1", "limit", "50", tif="gtc"))
        stamps.append(perf_counter())

    assert sorted(later - earlier for earlier, later in pairwise(stamps))[6] < 0.03
