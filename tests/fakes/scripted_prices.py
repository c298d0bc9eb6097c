"""A price source that answers what a story says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from shared.domain.assets import Symbol
from shared.domain.errors import TryAgain
from shared.domain.quotes import Quote
from shared.ports.clock import Clock

HALF_SPREAD = Decimal("0.0002")


class ScriptedPrices:
    """Quotes each symbol at its last set price, dated now; `requests` lists the symbols of every request."""

    def __init__(self, feed: str) -> None:
        self.feed = feed
        self.clock: Clock | None = None
        self.requests: list[tuple[Symbol, ...]] = []
        self.down: TryAgain | None = None
        self.frozen_at: datetime | None = None
        self.takes = timedelta(0)
        self._last: dict[Symbol, Decimal] = {}
        self._whole: dict[Symbol, Quote] = {}

    def set(self, symbol: Symbol, last: str) -> None:
        self._last[symbol] = Decimal(last)
        self._whole.pop(symbol, None)

    def set_quote(self, quote: Quote) -> None:
        """Answer with exactly this quote."""
        self._whole[quote.symbol] = quote

    def forget(self, symbol: Symbol) -> None:
        self._last.pop(symbol, None)
        self._whole.pop(symbol, None)

    def freeze(self) -> None:
        """Go on answering, with the times of now."""
        self.frozen_at = self._now()

    def thaw(self) -> None:
        self.frozen_at = None

    def quotes(self, symbols: Sequence[Symbol]) -> Mapping[Symbol, Quote]:
        self.requests.append(tuple(symbols))
        if self.down is not None:
            raise self.down
        answers = {symbol: self._quote(symbol) for symbol in symbols if symbol in self._last}
        return answers | {symbol: self._whole[symbol] for symbol in symbols if symbol in self._whole}

    def _quote(self, symbol: Symbol) -> Quote:
        last, at = self._last[symbol], self.frozen_at or self._now()
        return Quote(symbol, last * (1 - HALF_SPREAD), last * (1 + HALF_SPREAD), last, at, at, self.feed)

    def _now(self) -> datetime:
        assert self.clock is not None
        return self.clock.now()
