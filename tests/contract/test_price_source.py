"""The price source's contract, on Alpaca's adapter against the simulator and on Yahoo's against a double."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal

import httpx
import pytest

from local_stack.exchange.gate import Misbehaviour
from local_stack.exchange.server import ExchangeSimulator
from shared.adapters.alpaca.prices import AlpacaPrices
from shared.adapters.alpaca.session import connect_data
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.yahoo.prices import YahooPrices
from shared.domain.assets import Symbol
from shared.domain.errors import Throttled, Unavailable
from shared.ports.prices import PriceSource
from tests.fakes.venue import AAPL, MINUTE, NOON, TSLA, bar, small_exchange
from tests.fakes.yahoo import YahooDouble

BRK_B = Symbol("BRK.B")


class Provider:
    """A source under test, what traded there, and how to break it."""

    def __init__(
        self,
        source: PriceSource,
        trade: Callable[[Symbol, str], None],
        requests: Callable[[], int],
        throttle: Callable[[], None],
        fail: Callable[[], None],
    ) -> None:
        self.source = source
        self.trade = trade
        self.requests = requests
        self.throttle = throttle
        self.fail = fail


def alpaca() -> Iterator[Provider]:
    exchange, clock = small_exchange(), SimulatedClock(NOON)
    with ExchangeSimulator(exchange, clock) as simulator:
        client = connect_data(simulator.key_id, simulator.secret, url=simulator.url)
        yield Provider(
            AlpacaPrices(client, clock),
            lambda symbol, price: simulator.feed(bar(price, at=NOON - MINUTE, symbol=symbol)),
            lambda: simulator.count("GET"),
            lambda: simulator.misbehave(Misbehaviour.TOO_MANY_REQUESTS),
            lambda: simulator.misbehave(Misbehaviour.GATEWAY_TIMEOUT_BEFORE_ACCEPT),
        )


def yahoo() -> Iterator[Provider]:
    with YahooDouble() as double, httpx.Client() as client:

        def all_answer(status: int) -> None:
            for symbol in ("TSLA", "AAPL", "BRK-B"):
                double.answers(symbol, status, Retry_After="30")

        yield Provider(
            YahooPrices(client, base_url=double.url),
            lambda symbol, price: double.trades(symbol.replace(".", "-"), price, NOON),
            lambda: len(double.asked),
            lambda: all_answer(429),
            lambda: all_answer(502),
        )


@pytest.fixture(params=[alpaca, yahoo])
def provider(request: pytest.FixtureRequest) -> Iterator[Provider]:
    yield from request.param()


def test_a_quote_carries_the_last_price_its_time_and_its_feed(provider: Provider) -> None:
    provider.trade(TSLA, "100.25")

    quote = provider.source.quotes([TSLA])[TSLA]

    assert (quote.symbol, quote.last, quote.traded_at) == (TSLA, Decimal("100.25"), NOON)
    assert isinstance(quote.traded_at, datetime)
    assert quote.feed in ("alpaca-iex", "yahoo")


def test_a_symbol_the_provider_does_not_know_is_absent(provider: Provider) -> None:
    provider.trade(TSLA, "100.25")

    assert list(provider.source.quotes([TSLA, AAPL])) == [TSLA]


def test_only_unknown_symbols_are_no_failure(provider: Provider) -> None:
    assert dict(provider.source.quotes([AAPL])) == {}


def test_a_share_class_keeps_our_name(provider: Provider) -> None:
    provider.trade(BRK_B, "450.10")

    assert provider.source.quotes([BRK_B])[BRK_B].last == Decimal("450.1")


def test_no_symbols_are_no_request(provider: Provider) -> None:
    assert dict(provider.source.quotes([])) == {}
    assert provider.requests() == 0


def test_a_429_is_throttled_with_its_wait(provider: Provider) -> None:
    provider.trade(TSLA, "100")
    provider.throttle()

    with pytest.raises(Throttled) as caught:
        provider.source.quotes([TSLA, AAPL])

    assert caught.value.retry_after.total_seconds() == 30
    assert provider.requests() == 1


def test_a_server_that_fails_is_unavailable(provider: Provider) -> None:
    provider.trade(TSLA, "100")
    provider.fail()

    with pytest.raises(Unavailable):
        provider.source.quotes([TSLA, AAPL])


def test_alpaca_prices_thirty_symbols_in_one_request() -> None:
    symbols = [Symbol(f"A{chr(65 + n // 10)}{chr(65 + n % 10)}") for n in range(30)]
    for provider in alpaca():
        for place, symbol in enumerate(symbols):
            provider.trade(symbol, str(100 + place))

        quotes = provider.source.quotes(symbols)

        assert provider.requests() == 1
        assert [quotes[symbol].last for symbol in symbols] == [Decimal(100 + n) for n in range(30)]


def test_alpaca_quotes_half_the_spread_to_each_side() -> None:
    for provider in alpaca():
        provider.trade(TSLA, "100.25")

        quote = provider.source.quotes([TSLA])[TSLA]

        assert (quote.bid, quote.ask) == (Decimal("100.2249375"), Decimal("100.2750625"))
        assert quote.quoted_at == NOON


def test_yahoo_has_neither_bid_nor_ask() -> None:
    for provider in yahoo():
        provider.trade(TSLA, "100.25")

        quote = provider.source.quotes([TSLA])[TSLA]

        assert (quote.bid, quote.ask, quote.quoted_at) == (None, None, None)
