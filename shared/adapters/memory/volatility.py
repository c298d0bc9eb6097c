"""Volatility from the bars of a replay, as far as they were known at the time.

Decided: a day's closes are read at every full quarter of an hour, where a step without a trade keeps the price
before it; only days before the present one count, so nothing of the present day leaks into its own yardstick.
Regular sessions of US exchanges lie within one UTC day, so days are told apart by their UTC date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby

from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.moves import SIGMA_STEP, fifteen_minute_sigma


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
                closes = self._closes[symbol] = _closes_by_day(self._bars[symbol])
            self._sigmas[asked] = fifteen_minute_sigma(closes, now.date())
        return self._sigmas[asked]


def _closes_by_day(bars: Iterable[Bar]) -> dict[date, Sequence[Decimal]]:
    return {day: _steps(series) for day, series in groupby(bars, key=lambda bar: bar.start.date())}


def _steps(bars: Iterable[Bar]) -> Sequence[Decimal]:
    """Read one day's closes at every full step, from the first that is known."""
    closes: list[Decimal] = []
    due: datetime | None = None
    last: Decimal | None = None
    for bar in bars:
        if due is None:
            due = _step_at_or_after(bar.end)
        while last is not None and bar.end > due:
            closes.append(last)
            due += SIGMA_STEP
        last = bar.close
    if last is not None:
        closes.append(last)
    return closes


def _step_at_or_after(instant: datetime) -> datetime:
    floor = instant.replace(minute=instant.minute - instant.minute % 15, second=0, microsecond=0)
    return floor if floor == instant else floor + SIGMA_STEP
