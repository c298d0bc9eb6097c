"""Recorded bars played to the simulated exchange: at their ends, with actions first, and never twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from local_stack.exchange.server import ExchangeSimulator
from local_stack.run.player import MarketPlayer, moments_of
from local_stack.run.service import Market
from shared.adapters.alpaca.prices import AlpacaPrices
from shared.adapters.alpaca.session import connect_data
from shared.adapters.bar_files.bar_set import load
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.matching import Exchange
from shared.adapters.memory.prices import BarFeed
from shared.domain.assets import Symbol
from shared.domain.quotes import Quote
from tests.conftest import ReferenceData
from tests.end_to_end.running import AAA, BBB, CALENDAR, DDD, MINUTE, two_days
from tests.fakes.venue import ACCOUNT

MARKET = two_days()
MONDAY, TUESDAY = MARKET.bars.days


class Floor:
    """An exchange with a player on it; time is set after the market, as a run does it."""

    def __init__(self, market: Market, simulator: ExchangeSimulator, clock: SimulatedClock) -> None:
        self.exchange = simulator.exchange
        self.clock = clock
        self.player = MarketPlayer(market.bars, simulator, history=market.history)
        client = connect_data(simulator.key_id, simulator.secret, url=simulator.url)
        self.prices = AlpacaPrices(client, clock)

    def go(self, at: datetime) -> None:
        self.player.advance(at)
        self.clock.set(at)


@pytest.fixture
def simulator() -> Iterator[tuple[ExchangeSimulator, SimulatedClock]]:
    clock = SimulatedClock(MONDAY.opens - timedelta(hours=2))
    exchange = Exchange(ACCOUNT, MARKET.cash, CALENDAR)
    for position in MARKET.positions:
        exchange.seed_position(position.symbol, position.quantity, position.average_entry_price)
    with ExchangeSimulator(exchange, clock) as served:
        yield served, clock


@pytest.fixture
def floor(simulator: tuple[ExchangeSimulator, SimulatedClock]) -> Floor:
    return Floor(MARKET, *simulator)


def test_each_day_begins_with_two_morning_ticks_and_goes_on_as_a_replay() -> None:
    moments = list(moments_of(MARKET.bars))
    morning = datetime(2026, 3, 2, 13, 29, tzinfo=UTC)
    assert moments[:4] == [morning, morning + MINUTE, MONDAY.opens, MONDAY.opens + MINUTE]
    assert moments[42:46] == [
        MONDAY.closes,
        *(at + timedelta(days=1) for at in (morning, morning + MINUTE)),
        TUESDAY.opens,
    ]
    assert (len(moments), moments[-1]) == (86, TUESDAY.closes)


def test_a_bar_is_known_at_its_end_and_not_before(floor: Floor) -> None:
    floor.go(MONDAY.opens + MINUTE - timedelta(seconds=1))
    assert floor.exchange.last_price(AAA) is None
    floor.go(MONDAY.opens + MINUTE)
    assert floor.exchange.last_price(AAA) == Decimal(100)


def test_actions_come_on_the_morning_of_their_date_before_its_bars(floor: Floor) -> None:
    floor.go(MONDAY.closes)
    before = {held.symbol: held.quantity for held in floor.exchange.positions()}
    cash = floor.exchange.cash

    floor.go(TUESDAY.opens - timedelta(hours=1))

    after = {held.symbol: held.quantity for held in floor.exchange.positions()}
    assert after[DDD] == 2 * before[DDD]
    assert floor.exchange.cash == cash + before[BBB] * Decimal("0.37")


def test_quotes_are_those_of_a_replay_at_every_tick(floor: Floor) -> None:
    feed, symbols = BarFeed(MARKET.bars.bars, MARKET.bars.days), MARKET.bars.symbols
    for at in moments_of(MARKET.bars):
        floor.go(at)
        feed.advance(at)
        if at < MONDAY.opens:
            continue
        assert unlabelled(floor.prices.quotes(symbols)) == unlabelled(feed.quotes(symbols)), at


def test_resuming_knows_the_past_without_letting_it_happen_again(
    floor: Floor, simulator: tuple[ExchangeSimulator, SimulatedClock]
) -> None:
    floor.go(TUESDAY.opens + 5 * MINUTE)
    state = floor.exchange.state()
    quotes = floor.prices.quotes(MARKET.bars.symbols)
    served, clock = simulator

    again = Floor(MARKET, served, clock)
    again.player.resume(TUESDAY.opens + 5 * MINUTE)

    assert again.exchange.state() == state
    assert again.prices.quotes(MARKET.bars.symbols) == quotes


def test_history_serves_the_volatility_and_makes_no_quote(
    simulator: tuple[ExchangeSimulator, SimulatedClock],
) -> None:
    served, clock = simulator
    earlier = replace(MARKET.bars, bars={AAA: MARKET.bars.bars[AAA][:40]}, days=[MONDAY])
    clock.set(TUESDAY.opens - MINUTE)
    floor = Floor(replace(MARKET, history=earlier), served, clock)
    assert not floor.prices.quotes([AAA])
    headers = {"APCA-API-KEY-ID": served.key_id, "APCA-API-SECRET-KEY": served.secret}
    query = {"symbols": AAA, "timeframe": "1Min", "start": MONDAY.opens.isoformat(), "limit": "1000"}
    listed = httpx.get(f"{served.url}/v2/stocks/bars", params=query, headers=headers, timeout=5).json()
    assert len(listed["bars"][AAA]) == 40


def test_recorded_quotes_are_quoted_as_in_a_replay(reference_data: ReferenceData) -> None:
    calendar = LibraryCalendar()
    path: Path = reference_data.path("data", "bars-1min-us-2013-2014-lean")
    bars = load(path, calendar, symbols=["AAPL"], quotes=True)
    bars = replace(bars, days=bars.days[:1])
    feed = BarFeed(bars.bars, bars.days, recorded=bars.quotes)
    clock = SimulatedClock(bars.days[0].opens - timedelta(hours=2))
    with ExchangeSimulator(Exchange(ACCOUNT, Decimal(1), calendar), clock) as served:
        floor = Floor(replace(MARKET, bars=bars), served, clock)
        for at in list(moments_of(bars))[3:60]:
            floor.go(at)
            feed.advance(at)
            assert unlabelled(floor.prices.quotes(bars.symbols)) == unlabelled(feed.quotes(bars.symbols)), at


def unlabelled(quotes: Mapping[Symbol, Quote]) -> list[Quote]:
    """Leave out the name of the feed."""
    return [quote._replace(feed="") for quote in quotes.values()]
