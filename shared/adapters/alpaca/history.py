"""Volatility from Alpaca's bars of a quarter of an hour (MOV-04).

Only bars inside the regular sessions count: Alpaca's begin at four in the morning. Returns are taken within a day, so
splits between two days do not show and prices are asked for as they were. Batches are small enough that a day's worth
of a batch fits the pages of a few requests.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final

from alpaca.data.enums import DataFeed
from alpaca.data.historical.stock import StockHistoricalDataClient

from shared.adapters.alpaca.outcomes import reading
from shared.adapters.alpaca.pages import pages
from shared.adapters.alpaca.session import require_disarmed
from shared.adapters.alpaca.translation import to_time
from shared.domain.assets import AssetClass, Symbol, asset_class
from shared.domain.bars import Bar
from shared.domain.money import require_positive
from shared.domain.moves import DAYS_FOR_SIGMA, SIGMA_STEP, fifteen_minute_sigma, quarter_closes
from shared.domain.session import TradingDay
from shared.domain.times import iso
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

SYMBOLS_PER_REQUEST: Final = 10
BARS_PER_PAGE: Final = 10_000
"""Alpaca's own limit."""


class AlpacaVolatility:
    """Volatilities of stocks over 20 sessions; `feed` is `iex` or `sip`. Other assets are unknown."""

    def __init__(self, client: StockHistoricalDataClient, clock: Clock, *, feed: str = "iex") -> None:
        require_disarmed(client)
        self._client = client
        self._clock = clock
        self._feed = DataFeed(feed)

    def sigmas(
        self, symbols: Sequence[Symbol], sessions: Sequence[TradingDay], now: datetime
    ) -> Mapping[Symbol, float | None]:
        bars: dict[Symbol, list[Bar]] = {symbol: [] for symbol in symbols}
        ended = sorted(day for day in sessions if day.closes <= now)
        stocks = [symbol for symbol in bars if asset_class(symbol) is AssetClass.US_EQUITY]
        if len(ended) >= DAYS_FOR_SIGMA:
            for place in range(0, len(stocks), SYMBOLS_PER_REQUEST):
                self._fill(bars, stocks[place : place + SYMBOLS_PER_REQUEST], ended)
        return {symbol: fifteen_minute_sigma(quarter_closes(listed), now.date()) for symbol, listed in bars.items()}

    def _fill(
        self, bars: Mapping[Symbol, list[Bar]], symbols: Sequence[Symbol], sessions: Sequence[TradingDay]
    ) -> None:
        """Add the symbols' bars, in the order of time."""
        with reading("bars", self._clock):
            for bar in self._ask(symbols, sessions):
                if bar.symbol in symbols and _is_inside(bar, sessions):
                    bars[bar.symbol].append(bar)

    def _ask(self, symbols: Sequence[Symbol], sessions: Sequence[TradingDay]) -> Iterator[Bar]:
        query: dict[str, str | int] = {
            "symbols": ",".join(symbols),
            "timeframe": f"{SIGMA_STEP.seconds // 60}Min",
            "start": iso(sessions[0].opens),
            "end": iso(sessions[-1].closes - SIGMA_STEP),
            "limit": BARS_PER_PAGE,
            "adjustment": "raw",
            "feed": self._feed.value,
            "sort": "asc",
        }
        for page in pages(self._client, "/stocks/bars", query):
            for symbol, listed in (page["bars"] or {}).items():
                yield from (_bar(Symbol(symbol), raw) for raw in listed)


def _bar(symbol: Symbol, raw: Mapping[str, Any]) -> Bar:
    start = to_time(raw["t"])
    opens, high, low, close = (_price(raw[name]) for name in "ohlc")
    return Bar(symbol, start, start + SIGMA_STEP, opens, high, low, close, None)


def _price(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"{value!r} is no price")
    return require_positive("price", Decimal(str(value)))


def _is_inside(bar: Bar, sessions: Sequence[TradingDay]) -> bool:
    """Say whether a bar lies in a regular session from its start to its end."""
    begun = bisect_right(sessions, bar.start, key=attrgetter("opens"))
    return begun > 0 and bar.end <= sessions[begun - 1].closes
