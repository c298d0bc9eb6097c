"""Quotes made of bars: when they are known, how long they live, and what recorded quotes change."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.prices import BarFeed
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.errors import InvalidValue
from shared.domain.quotes import Doubt, FreshnessLimits, Quote, doubts_of
from shared.domain.session import TradingDay

MINUTE = timedelta(minutes=1)
TSLA, KO = Symbol("TSLA"), Symbol("KO")
TODAY = TradingDay(
    date=date(2026, 6, 10),
    opens=datetime(2026, 6, 10, 13, 30, tzinfo=UTC),
    closes=datetime(2026, 6, 10, 20, 0, tzinfo=UTC),
)
TOMORROW = TradingDay(
    date=date(2026, 6, 11),
    opens=datetime(2026, 6, 11, 13, 30, tzinfo=UTC),
    closes=datetime(2026, 6, 11, 20, 0, tzinfo=UTC),
)
OPEN = TODAY.opens


def bar(symbol: Symbol, start: datetime, close: str, length: timedelta = MINUTE) -> Bar:
    price = Decimal(close)
    return Bar(symbol, start, start + length, price, price, price, price, Decimal(100))


def feed(*bars: Bar, recorded: Iterable[Quote] = ()) -> BarFeed:
    symbols = sorted({each.symbol for each in bars})
    return BarFeed(
        {symbol: [each for each in bars if each.symbol == symbol] for symbol in symbols},
        [TODAY, TOMORROW],
        recorded={TSLA: list(recorded)},
    )


def recorded(at: datetime, bid: str, ask: str) -> Quote:
    return Quote(TSLA, Decimal(bid), Decimal(ask), None, at, None, "quotes")


def test_bar_is_not_known_before_its_end() -> None:
    prices = feed(bar(TSLA, OPEN, "320"))
    assert not prices.advance(OPEN + timedelta(seconds=59))
    assert not prices.quotes([TSLA])

    assert len(prices.advance(OPEN + MINUTE)) == 1
    assert prices.quotes([TSLA])[TSLA].last == Decimal(320)


def test_quote_is_the_close_with_half_the_spread_on_each_side() -> None:
    prices = feed(bar(TSLA, OPEN, "320"))
    prices.advance(OPEN + MINUTE)
    at = OPEN + MINUTE

    assert prices.quotes([TSLA])[TSLA] == Quote(
        TSLA, Decimal("319.92"), Decimal("320.08"), Decimal(320), at, at, "bars"
    )


def test_bars_come_once_in_time_order_and_by_symbol_within_an_instant() -> None:
    prices = feed(bar(TSLA, OPEN, "1"), bar(TSLA, OPEN + MINUTE, "2"), bar(KO, OPEN, "3"), bar(KO, OPEN + MINUTE, "4"))
    known = prices.advance(OPEN + 5 * MINUTE)

    assert [(each.symbol, each.close) for each in known] == [
        (KO, Decimal(3)),
        (TSLA, Decimal(1)),
        (KO, Decimal(4)),
        (TSLA, Decimal(2)),
    ]
    assert not prices.advance(OPEN + 6 * MINUTE)


def test_quote_stays_live_through_minutes_without_a_trade() -> None:
    prices = feed(bar(TSLA, OPEN, "320"))
    now = OPEN + 30 * MINUTE
    prices.advance(now)
    quote = prices.quotes([TSLA])[TSLA]

    assert (quote.quoted_at, quote.traded_at) == (now, OPEN + MINUTE)
    assert not doubts_of(quote, now, FreshnessLimits())


def test_symbol_without_a_trade_in_this_session_is_stale() -> None:
    prices = feed(bar(TSLA, TODAY.closes - MINUTE, "320"), bar(KO, TOMORROW.opens, "70"))
    now = TOMORROW.opens + 5 * MINUTE
    prices.advance(now)
    quotes = prices.quotes([KO, TSLA])

    assert doubts_of(quotes[TSLA], now, FreshnessLimits()) == {Doubt.STALE}
    assert not doubts_of(quotes[KO], now, FreshnessLimits())


def test_quotes_stop_at_the_close() -> None:
    prices = feed(bar(TSLA, OPEN, "320"))
    now = TODAY.closes + 10 * MINUTE
    prices.advance(now)
    quote = prices.quotes([TSLA])[TSLA]

    assert quote.quoted_at == TODAY.closes
    assert doubts_of(quote, now, FreshnessLimits()) == {Doubt.STALE}


def test_daily_bar_gives_a_fresh_quote_at_the_close() -> None:
    prices = feed(bar(TSLA, OPEN, "320", TODAY.closes - TODAY.opens))
    prices.advance(TODAY.closes)

    assert not doubts_of(prices.quotes([TSLA])[TSLA], TODAY.closes, FreshnessLimits())


def test_unknown_symbol_is_absent() -> None:
    prices = feed(bar(TSLA, OPEN, "320"))
    prices.advance(OPEN + MINUTE)

    assert set(prices.quotes([KO, TSLA])) == {TSLA}


def test_recorded_quote_replaces_the_spread_until_the_next_one() -> None:
    prices = feed(
        bar(TSLA, OPEN, "320"),
        recorded=[recorded(OPEN + MINUTE, "319.5", "321"), recorded(OPEN + 3 * MINUTE, "1", "2")],
    )
    prices.advance(OPEN + 2 * MINUTE)
    quote = prices.quotes([TSLA])[TSLA]

    assert (quote.bid, quote.ask, quote.last) == (Decimal("319.5"), Decimal(321), Decimal(320))
    assert quote.quoted_at == OPEN + 2 * MINUTE


def test_quote_recorded_before_the_session_is_not_used() -> None:
    prices = feed(bar(TSLA, OPEN, "320"), recorded=[recorded(OPEN - MINUTE, "1", "2")])
    prices.advance(OPEN + MINUTE)

    assert prices.quotes([TSLA])[TSLA].bid == Decimal("319.92")


def test_feed_does_not_go_back() -> None:
    prices = feed(bar(TSLA, OPEN, "320"))
    prices.advance(OPEN + MINUTE)

    with pytest.raises(InvalidValue, match="now"):
        prices.advance(OPEN)


def test_clock_moves_forward_only() -> None:
    clock = SimulatedClock(OPEN)
    clock.advance(MINUTE)
    clock.set(OPEN + 2 * MINUTE)

    assert clock.now() == OPEN + 2 * MINUTE
    with pytest.raises(InvalidValue, match="now"):
        clock.set(OPEN)


def test_clock_takes_aware_utc_only() -> None:
    with pytest.raises(InvalidValue, match="start"):
        SimulatedClock(datetime(2026, 6, 10, 13, 30))  # noqa: DTZ001 - the point of the test
