"""Savings against two baselines, with the arithmetic of the requirements spelled out (BUD-09, KPI-01).

Each figure is worked out twice: as the requirements print it, with the rounding they use, and at given prices without
any rounding. Dollars; a price is dollars per million tokens. What is saved does not depend on the portfolio's size,
because nobody checks a larger portfolio more often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from shared.domain.errors import InvalidValue
from shared.domain.model_prices import BASELINE_PRICE, PriceRow
from shared.domain.money import round_to_cent

CHECKS_A_DAY: Final = 80
TRADING_DAYS_A_WEEK: Final = 5
TOKENS_A_CHECK: Final = 850
STRATEGY_TOKENS_A_WEEK: Final = 20_000
WEEKS_A_YEAR: Final = 52
QUERIES_A_DAY: Final = 1_000
TOKENS_A_QUERY: Final = 1_000
DAYS_A_MONTH: Final = 30
MONTHS_A_YEAR: Final = 12
MODELS_A_MONTH: Final = Decimal(20)
POWER_A_MONTH: Final = Decimal(5)
PORTFOLIOS: Final = (Decimal(100), Decimal(1_000), Decimal(10_000), Decimal(100_000))
REDUCTION_GATE: Final = Decimal("0.94")
"""The "95 %" of the requirements is 94.3 % exactly; this is what must be reached."""

_DIME: Final = Decimal("0.1")
_DOLLAR: Final = Decimal(1)
_MILLION: Final = Decimal(1_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of arithmetic: how a figure came about, and the figure in dollars or a plain count."""

    what: str
    sum: str
    figure: Decimal
    counts: bool = False
    """Whether the figure is a count and not dollars."""
    rounding: str = ""
    """How the figure was rounded; empty when it is exact."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSavings:
    """The watch by rules in the place of a model asked 80 times a day; dollars."""

    tokens_a_week: int
    checks_a_week: Decimal
    strategy_a_week: Decimal
    baseline_a_week: Decimal
    target_a_week: Decimal
    baseline_a_year: Decimal
    target_a_year: Decimal
    saved_a_year: Decimal
    steps: tuple[Step, ...]

    @property
    def reduction(self) -> Decimal:
        """Give the share of the weekly cost that is gone."""
        return (self.baseline_a_week - self.target_a_week) / self.baseline_a_week


@dataclass(frozen=True, slots=True, kw_only=True)
class QuerySavings:
    """The ladder and the budget in the place of a thousand queries a day to one dear model; dollars."""

    tokens_a_day: int
    baseline_a_day: Decimal
    baseline_a_month: Decimal
    target_a_month: Decimal
    saved_a_month: Decimal
    saved_a_year: Decimal
    steps: tuple[Step, ...]


def monitor_savings(price: PriceRow = BASELINE_PRICE, *, rounded: bool = True) -> MonitorSavings:
    """Work out the monitor's baseline from input prices alone, which is how the requirements count it.

    `rounded` follows them: the week's checks to ten cents ("about $1.00" for $1.02), a year to whole dollars.
    """
    each = _required(price, "input")
    checks = CHECKS_A_DAY * TRADING_DAYS_A_WEEK
    tokens = checks * TOKENS_A_CHECK
    exact = _cost(tokens, each)
    week = _to(exact, _DIME) if rounded else exact
    strategy = _cost(STRATEGY_TOKENS_A_WEEK, each)
    if rounded:
        strategy = round_to_cent(strategy)
    year, target_year = (_year(amount, rounded=rounded) for amount in (week + strategy, strategy))
    return MonitorSavings(
        tokens_a_week=tokens,
        checks_a_week=week,
        strategy_a_week=strategy,
        baseline_a_week=week + strategy,
        target_a_week=strategy,
        baseline_a_year=year,
        target_a_year=target_year,
        saved_a_year=year - target_year,
        steps=(
            Step(
                what="checks a week",
                sum=f"{CHECKS_A_DAY} a day x {TRADING_DAYS_A_WEEK} trading days",
                figure=Decimal(checks),
                counts=True,
            ),
            Step(what="their tokens", sum=f"{checks} x {TOKENS_A_CHECK}", figure=Decimal(tokens), counts=True),
            Step(what="checks", sum=_times(tokens, each), figure=exact),
            *((Step(what="checks", sum=f"${exact:f}", figure=week, rounding="to ten cents"),) if rounded else ()),
            Step(what="strategy", sum=_times(STRATEGY_TOKENS_A_WEEK, each), figure=strategy),
            Step(what="a week", sum=f"${week:f} + ${strategy:f}", figure=week + strategy),
            Step(what="a week with the watch", sum=f"$0 + ${strategy:f}", figure=strategy),
            _year_step("a year", week + strategy, year, rounded=rounded),
            _year_step("a year with the watch", strategy, target_year, rounded=rounded),
            Step(what="saved a year", sum=f"${year:f} - ${target_year:f}", figure=year - target_year),
        ),
    )


def query_savings(
    price: PriceRow = BASELINE_PRICE, *, models: Decimal = MODELS_A_MONTH, power: Decimal = POWER_A_MONTH
) -> QuerySavings:
    """Work out the query baseline at the output price, against what models and the edge's electricity cost a month."""
    each = _required(price, "output")
    tokens = QUERIES_A_DAY * TOKENS_A_QUERY
    day = _cost(tokens, each)
    month, target = day * DAYS_A_MONTH, models + power
    saved = month - target
    return QuerySavings(
        tokens_a_day=tokens,
        baseline_a_day=day,
        baseline_a_month=month,
        target_a_month=target,
        saved_a_month=saved,
        saved_a_year=saved * MONTHS_A_YEAR,
        steps=(
            Step(
                what="tokens a day",
                sum=f"{QUERIES_A_DAY:,} queries x {TOKENS_A_QUERY:,}",
                figure=Decimal(tokens),
                counts=True,
            ),
            Step(what="a day", sum=_times(tokens, each), figure=day),
            Step(what="a month", sum=f"${day:f} x {DAYS_A_MONTH} days", figure=month),
            Step(what="a month with the ladder", sum=f"${models:f} + ${power:f} power", figure=target),
            Step(what="saved a month", sum=f"${month:f} - ${target:f}", figure=saved),
            Step(what="saved a year", sum=f"${saved:f} x {MONTHS_A_YEAR}", figure=saved * MONTHS_A_YEAR),
        ),
    )


def by_portfolio() -> Sequence[tuple[Decimal, MonitorSavings]]:
    """Give the monitor's savings for each size of portfolio: the same for all."""
    return [(portfolio, monitor_savings()) for portfolio in PORTFOLIOS]


def _cost(tokens: int, price: Decimal) -> Decimal:
    return _plain(tokens * price / _MILLION)


def _times(tokens: int, price: Decimal) -> str:
    return f"{tokens:,} tokens x ${price:f} / 1,000,000"


def _year(week: Decimal, *, rounded: bool) -> Decimal:
    year = week * WEEKS_A_YEAR
    return _to(year, _DOLLAR) if rounded else _plain(year)


def _year_step(what: str, week: Decimal, year: Decimal, *, rounded: bool) -> Step:
    how = f"${week:f} x {WEEKS_A_YEAR} weeks"
    if not rounded:
        return Step(what=what, sum=how, figure=year)
    return Step(what=what, sum=f"{how} = ${week * WEEKS_A_YEAR:f}", figure=year, rounding="to whole dollars")


def _to(amount: Decimal, step: Decimal) -> Decimal:
    """Round half up to a step, and keep the cents."""
    rounded = (amount / step).to_integral_value(rounding=ROUND_HALF_UP) * step
    return rounded if step == _DOLLAR else round_to_cent(rounded)


def _plain(amount: Decimal) -> Decimal:
    """Drop trailing zeros, but none before the cents."""
    shortest = amount.normalize()
    exponent = shortest.as_tuple().exponent
    return shortest if isinstance(exponent, int) and exponent < -2 else round_to_cent(shortest)


def _required(price: PriceRow, kind: str) -> Decimal:
    found: Decimal | None = getattr(price, kind)
    if found is None:
        raise InvalidValue(f"price of {price.model}: {kind}", None, "a price")
    return found
