"""Volatility from the bars of a replay, as far as they were known at the time.

Decided: only days before the present one count, so nothing of the present day leaks into its own yardstick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal

from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.moves import SIGMA_STEP, fifteen_minute_sigma, quarter_closes
from shared.domain.session import TradingDay


class BarVolatility:
    """A volatility source over bars of one length; worked out per symbol and day when first asked."""

    def __init__(self, bars: Mapping[Symbol, Sequence[Bar]], interval: timedelta) -> None:
        self._bars = bars if interval <= SIGMA_STEP else {}
        self._closes: dict[Symbol, dict[date, Sequence[Decimal]]] = {}
        self._sigmas: dict[tuple[Symbol, date], float | None] = {}

    def sigma(self, symbol: Symbol, now: datetime) -> float | None:
        if symbol not in self._bars:
            return None
        asked = symbol, now.date()
        if asked not in self._sigmas:
            closes = self._closes.get(symbol)
            if closes is None:
                closes = self._closes[symbol] = quarter_closes(self._bars[symbol])
            self._sigmas[asked] = fifteen_minute_sigma(closes, now.date())
        return self._sigmas[asked]

    def sigmas(
        self, symbols: Sequence[Symbol], sessions: Sequence[TradingDay], now: datetime
    ) -> Mapping[Symbol, float | None]:
        return {symbol: self.sigma(symbol, now) for symbol in symbols}
