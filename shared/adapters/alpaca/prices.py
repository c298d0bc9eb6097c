"""Prices from Alpaca: one snapshot request for all symbols, five seconds at most, no retry."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from alpaca.common.exceptions import APIError
from alpaca.data.enums import DataFeed
from alpaca.data.historical.stock import StockHistoricalDataClient
from alpaca.data.requests import StockSnapshotRequest

from shared.adapters.alpaca.outcomes import reading
from shared.adapters.alpaca.session import require_disarmed
from shared.adapters.alpaca.translation import to_quote
from shared.domain.assets import Symbol
from shared.domain.quotes import Quote
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

_INVALID_SYMBOLS = re.compile(r"invalid symbols?:?\s*(?P<symbols>[\w./, -]+)", re.I)


class AlpacaPrices:
    """Alpaca's snapshots; `feed` is `iex` (free, one exchange) or `sip`, and every quote is labelled with it."""

    def __init__(self, client: StockHistoricalDataClient, clock: Clock, *, feed: str = "iex") -> None:
        require_disarmed(client)
        self._client = client
        self._clock = clock
        self._feed = DataFeed(feed)

    def quotes(self, symbols: Sequence[Symbol]) -> Mapping[Symbol, Quote]:
        if not symbols:
            return {}
        with reading("snapshots", self._clock):
            snapshots = self._snapshots(list(symbols))
        quotes = {}
        for symbol in symbols:
            quote = self._quote(symbol, snapshots.get(symbol))
            if quote is not None:
                quotes[symbol] = quote
        return quotes

    def _snapshots(self, symbols: list[Symbol]) -> dict[str, Any]:
        """Ask once; only when Alpaca names a symbol it will not take, ask once more without it."""
        try:
            return self._ask(symbols)
        except APIError as error:
            named = _INVALID_SYMBOLS.search(str(error)) if error.status_code == 400 else None
            rest = [s for s in symbols if s not in re.split(r"[\s,]+", named["symbols"])] if named else symbols
            if rest == symbols:
                raise
            log.warning("Alpaca knows no symbol of this form", extra={"symbols": sorted(set(symbols) - set(rest))})
            return self._ask(rest) if rest else {}

    def _ask(self, symbols: list[Symbol]) -> dict[str, Any]:
        request = StockSnapshotRequest(symbol_or_symbols=[str(s) for s in symbols], feed=self._feed)
        return dict(self._client.get_stock_snapshot(request))

    def _quote(self, symbol: Symbol, snapshot: Any) -> Quote | None:
        """Read one symbol's snapshot; one that is unreadable is absent and costs the others nothing."""
        if not snapshot:
            return None
        try:
            return to_quote(symbol, snapshot, f"alpaca-{self._feed.value}")
        except (AttributeError, TypeError, ValueError, ArithmeticError):
            log.warning("unreadable snapshot", extra={"symbol": symbol}, exc_info=True)
            return None
