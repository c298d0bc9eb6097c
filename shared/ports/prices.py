"""Prices: where quotes come from and where a minute's quotes are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from shared.domain.assets import Symbol
from shared.domain.moves import Bounds
from shared.domain.quotes import JudgedQuote, Quote
from shared.domain.session import TradingDay
from shared.domain.times import Tick


class PriceSource(Protocol):
    """A provider of quotes."""

    def quotes(self, symbols: Sequence[Symbol]) -> Mapping[Symbol, Quote]:
        """Return the newest quote per symbol, unjudged; a symbol the provider does not know is absent.

        One call is one request where the provider can do that. No symbols, no request.
        """
        ...


class Minute(NamedTuple):
    """One stored tick: its scheduled time and every symbol's judged quote."""

    at: datetime
    quotes: Mapping[Symbol, JudgedQuote]


class PriceStore(Protocol):
    """The recent minutes and the latest judged quotes."""

    def put_minute(self, tick: Tick, quotes: Mapping[Symbol, JudgedQuote]) -> bool:
        """Store a tick's quotes once; False when that tick is stored already, and then nothing changes.

        The latest minute moves forward only: an older tick stored late fills its place in the window.
        """
        ...

    def latest(self) -> Minute | None:
        """Return the newest stored minute, None before the first."""
        ...

    def window(self, since: datetime, before: datetime) -> Sequence[Minute]:
        """Return stored minutes with since <= at < before, oldest first."""
        ...

    def bounds(self, since: datetime, before: datetime) -> Mapping[Symbol, Bounds]:
        """Return, for every symbol priced in that window, bounds that no price in it lies outside of.

        They may be wider than the window's own extremes: what lies inside needs no look at the window.
        """
        ...


class VolatilitySource(Protocol):
    """The volatility each symbol had over the past trading days."""

    def sigma(self, symbol: Symbol, now: datetime) -> float | None:
        """Return the standard deviation of 15-minute returns known at `now`; None is unknown, never zero."""
        ...


class VolatilityHistory(Protocol):
    """Where the volatilities of a day are worked out from, all at once."""

    def sigmas(
        self, symbols: Sequence[Symbol], sessions: Sequence[TradingDay], now: datetime
    ) -> Mapping[Symbol, float | None]:
        """Return, for each symbol, the standard deviation of 15-minute returns over the newest 20 of the sessions.

        `sessions` have ended by `now`, oldest first. None is unknown: fewer than 20 of them have prices.
        """
        ...
