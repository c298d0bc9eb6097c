"""Price moves: a departure from the rolling window's high or low by the threshold (MOV-01, MOV-02, MOV-04)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby, pairwise
from statistics import stdev
from typing import Final, NamedTuple

from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.errors import InvalidValue
from shared.domain.money import ONE, require_fraction
from shared.domain.quotes import JudgedQuote

DAYS_FOR_SIGMA: Final = 20
"""Trading days of history the volatility score needs; fewer is unknown (MOV-04)."""
SIGMA_STEP: Final = timedelta(minutes=15)
"""The volatility score compares 15-minute returns."""
EXTREME_SIGMAS: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRule:
    """What counts as a move: `threshold` as a fraction, within `window`, then quiet for `cooldown` per symbol."""

    threshold: Decimal = Decimal("0.05")
    window: timedelta = timedelta(minutes=15)
    cooldown: timedelta = timedelta(minutes=15)

    def __post_init__(self) -> None:
        require_fraction("threshold", self.threshold)
        for field in ("window", "cooldown"):
            if getattr(self, field) <= timedelta(0):
                raise InvalidValue(field, getattr(self, field), "a duration above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One reported move: from a window extreme to the price at the tick.

    `sigmas` is the size of the move in standard deviations of 15-minute returns, None when unknown.
    """

    symbol: Symbol
    at: datetime
    from_price: Decimal
    price: Decimal
    sigmas: float | None = None

    @property
    def change(self) -> Decimal:
        """Give the change as a signed fraction of the price it left."""
        return self.price / self.from_price - ONE

    @property
    def is_extreme(self) -> bool | None:
        """Say whether the move lies beyond three sigma; None when the volatility is unknown."""
        return None if self.sigmas is None else self.sigmas > EXTREME_SIGMAS


class Bounds(NamedTuple):
    """Prices that no earlier price lies outside of; they may be wider than those prices' own extremes."""

    low: Decimal
    high: Decimal


def may_have_moved(
    quotes: Mapping[Symbol, JudgedQuote], bounds: Mapping[Symbol, Bounds], threshold: Decimal
) -> dict[Symbol, Decimal]:
    """Give the prices that lie far enough from their bounds for a move; `find_move` finds none in the others."""
    risen, fallen = ONE + threshold, ONE - threshold
    return {
        symbol: price
        for symbol, quote in quotes.items()
        if (price := quote.price) is not None
        and (known := bounds.get(symbol)) is not None
        and (price >= known.low * risen or price <= known.high * fallen)
    }


def find_move(
    symbol: Symbol, price: Decimal, at: datetime, window: Sequence[Decimal], threshold: Decimal
) -> Move | None:
    """Compare a price with both extremes of the window's earlier prices; the larger departure is reported.

    An empty window reports nothing. The bound is included: exactly the threshold is a move.
    """
    if not window:
        return None
    low, high = min(window), max(window)
    rose = price >= low * (ONE + threshold)
    fell = price <= high * (ONE - threshold)
    if not rose and not fell:
        return None
    if rose and fell:
        rose = price / low - ONE >= ONE - price / high
    return Move(symbol=symbol, at=at, from_price=low if rose else high, price=price)


def fifteen_minute_sigma(closes_by_day: Mapping[date, Sequence[Decimal]], today: date) -> float | None:
    """Give the standard deviation of 15-minute returns over the 20 trading days before `today`.

    `closes_by_day` holds each day's closes at 15-minute steps, oldest first. Returns None (unknown, never zero)
    with fewer than 20 earlier days, fewer than two returns, or prices that never changed.
    """
    days = sorted(day for day in closes_by_day if day < today)[-DAYS_FOR_SIGMA:]
    if len(days) < DAYS_FOR_SIGMA:
        return None
    returns = [ret for day in days for ret in _log_returns(closes_by_day[day])]
    if len(returns) < 2:
        return None
    sigma = stdev(returns)
    return sigma if sigma > 0 else None


def quarter_closes(bars: Iterable[Bar]) -> dict[date, Sequence[Decimal]]:
    """Give each day's closes at every full 15 minutes; a step without a trade keeps the price before it.

    Bars come in the order of time and are no longer than a step. Days are told apart by their UTC date: regular
    sessions of US exchanges lie within one.
    """
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


def _log_returns(closes: Iterable[Decimal]) -> list[float]:
    values = [float(close) for close in closes]
    return [math.log(after / before) for before, after in pairwise(values)]


def volatility_score(change: Decimal, sigma: float | None) -> float | None:
    """Express a change in standard deviations; unknown volatility gives an unknown score."""
    return None if sigma is None else abs(float(change)) / sigma
