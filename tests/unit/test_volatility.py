"""Volatility of 15-minute returns (MOV-04), and the corporate actions that are known from the start."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.memory.corporate_actions import KnownActions
from shared.adapters.memory.volatility import BarVolatility
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.corporate_actions import ActionKind, CorporateAction

TSLA, KO = Symbol("TSLA"), Symbol("KO")
FIRST = datetime(2026, 6, 1, 13, 30, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def bars_of(closes_by_day: Sequence[Sequence[float]], length: timedelta) -> list[Bar]:
    made = []
    for day, closes in enumerate(closes_by_day):
        for place, close in enumerate(closes):
            price = Decimal(f"{close:.6f}")
            start = FIRST + day * DAY + place * length
            made.append(Bar(TSLA, start, start + length, price, price, price, price, Decimal(1)))
    return made


def walk(rng: random.Random, sigma: float, days: int, steps: int = 26) -> list[list[float]]:
    series = []
    for _ in range(days):
        price, closes = 100.0, []
        for _ in range(steps):
            price *= math.exp(rng.gauss(0, sigma))
            closes.append(price)
        series.append(closes)
    return series


def after(days: int) -> datetime:
    return FIRST + days * DAY + timedelta(hours=1)


@given(seed=st.integers(0, 10_000), sigma=st.floats(0.0005, 0.02))
def test_score_recovers_the_deviation_of_seeded_returns(seed: int, sigma: float) -> None:
    closes = walk(random.Random(seed), sigma, 20)
    returns = [math.log(b / a) for day in closes for a, b in pairwise(day)]
    found = BarVolatility({TSLA: bars_of(closes, 15 * MINUTE)}, 15 * MINUTE).sigma(TSLA, after(20))

    assert found == pytest.approx(stdev(returns), rel=1e-3)
    assert found == pytest.approx(sigma, rel=0.15)


def test_one_minute_bars_are_read_at_every_quarter_of_an_hour() -> None:
    closes = walk(random.Random(3), 0.001, 20, steps=390)
    quarters = [day[14::15] for day in closes]
    fine = BarVolatility({TSLA: bars_of(closes, MINUTE)}, MINUTE).sigma(TSLA, after(20))
    coarse = BarVolatility({TSLA: bars_of(quarters, 15 * MINUTE)}, 15 * MINUTE).sigma(TSLA, after(20))

    assert fine is not None
    assert fine == coarse


def test_step_without_a_trade_keeps_the_price_before_it() -> None:
    full = walk(random.Random(4), 0.001, 20)
    for day in full:
        day[10] = day[9]
    bars = bars_of(full, 15 * MINUTE)
    thin = [bar for place, bar in enumerate(bars) if place % 26 != 10]

    assert BarVolatility({TSLA: thin}, 15 * MINUTE).sigma(TSLA, after(20)) == BarVolatility(
        {TSLA: bars}, 15 * MINUTE
    ).sigma(TSLA, after(20))


@pytest.mark.parametrize("days", [0, 1, 19])
def test_fewer_than_twenty_days_is_unknown(days: int) -> None:
    volatility = BarVolatility({TSLA: bars_of(walk(random.Random(1), 0.01, 25), 15 * MINUTE)}, 15 * MINUTE)

    assert volatility.sigma(TSLA, after(days)) is None


def test_present_day_and_later_ones_do_not_count() -> None:
    closes = walk(random.Random(1), 0.001, 20)
    wild = walk(random.Random(2), 0.2, 5)
    known = BarVolatility({TSLA: bars_of(closes + wild, 15 * MINUTE)}, 15 * MINUTE).sigma(TSLA, after(20))

    assert known == BarVolatility({TSLA: bars_of(closes, 15 * MINUTE)}, 15 * MINUTE).sigma(TSLA, after(20))


def test_only_the_last_twenty_days_count() -> None:
    wild, closes = walk(random.Random(2), 0.2, 5), walk(random.Random(1), 0.001, 20)
    known = BarVolatility({TSLA: bars_of(wild + closes, 15 * MINUTE)}, 15 * MINUTE).sigma(TSLA, after(25))

    assert known == pytest.approx(0.001, rel=0.15)


def test_bars_longer_than_the_step_are_unknown() -> None:
    volatility = BarVolatility({TSLA: bars_of(walk(random.Random(1), 0.01, 25, 6), 60 * MINUTE)}, 60 * MINUTE)

    assert volatility.sigma(TSLA, after(25)) is None


def test_price_that_never_changes_is_unknown_not_zero() -> None:
    volatility = BarVolatility({TSLA: bars_of([[100.0] * 26] * 25, 15 * MINUTE)}, 15 * MINUTE)

    assert volatility.sigma(TSLA, after(25)) is None


def test_unknown_symbol_is_unknown() -> None:
    assert BarVolatility({}, MINUTE).sigma(KO, after(25)) is None


def test_known_actions_lie_after_the_first_day_and_up_to_the_last() -> None:
    def split(day: int, symbol: Symbol = TSLA) -> CorporateAction:
        return CorporateAction(symbol=symbol, ex_date=date(2026, 6, day), kind=ActionKind.SPLIT, ratio=Decimal(4))

    known = KnownActions([split(3), split(1), split(2), split(2, KO)])

    assert list(known.actions([TSLA], date(2026, 6, 1), date(2026, 6, 3))) == [split(2), split(3)]
    assert list(known.actions([KO, TSLA], date(2026, 6, 1), date(2026, 6, 2))) == [split(2, KO), split(2)]
    assert not known.actions([Symbol("AAPL")], date(2026, 1, 1), date(2026, 12, 31))
    assert not KnownActions().actions([TSLA], date(2026, 1, 1), date(2026, 12, 31))
