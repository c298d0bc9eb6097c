"""Every figure of the two baselines, as the requirements print it and at today's prices."""

from __future__ import annotations

from decimal import Decimal

import pytest

from shared.domain.errors import InvalidValue
from shared.domain.model_prices import HAIKU, SONNET, STARTING_PRICES, ModelId, PriceRow
from shared.domain.savings import (
    PORTFOLIOS,
    REDUCTION_GATE,
    by_portfolio,
    monitor_savings,
    query_savings,
)

D = Decimal


def row(model: ModelId) -> PriceRow:
    found = [one for one in STARTING_PRICES.rows if one.model == model]
    return found[-1] if model == SONNET else found[0]


def test_the_monitor_baseline_is_that_of_the_requirements_figure_by_figure() -> None:
    found = monitor_savings()

    assert [str(step.figure) for step in found.steps] == [
        "400",
        "340000",
        "1.02",
        "1.00",
        "0.06",
        "1.06",
        "0.06",
        "55",
        "3",
        "52",
    ]
    assert found.tokens_a_week == 340_000
    assert (found.checks_a_week, found.strategy_a_week) == (D("1.00"), D("0.06"))
    assert (found.baseline_a_week, found.target_a_week) == (D("1.06"), D("0.06"))
    assert (found.baseline_a_year, found.target_a_year, found.saved_a_year) == (D(55), D(3), D(52))


def test_every_rounding_is_named_and_nothing_else_is_rounded() -> None:
    assert [(step.what, step.sum, step.rounding) for step in monitor_savings().steps if step.rounding] == [
        ("checks", "$1.02", "to ten cents"),
        ("a year", "$1.06 x 52 weeks = $55.12", "to whole dollars"),
        ("a year with the watch", "$0.06 x 52 weeks = $3.12", "to whole dollars"),
    ]
    assert not any(step.rounding for step in (*monitor_savings(rounded=False).steps, *query_savings().steps))


def test_figures_are_rounded_to_the_nearest_and_not_down() -> None:
    found = monitor_savings(PriceRow(model=ModelId("x"), since=None, input=D("3.50")))

    assert found.checks_a_week == D("1.20")
    assert (found.baseline_a_week, found.target_a_year) == (D("1.27"), D(4))


def test_the_reduction_is_94_3_percent_and_meets_its_gate() -> None:
    reduction = monitor_savings().reduction

    assert f"{reduction * 100:.1f}" == "94.3"
    assert reduction == D(1) / D("1.06")
    assert reduction >= REDUCTION_GATE == D("0.94")
    assert reduction < D("0.95")


def test_the_query_baseline_is_that_of_the_requirements_figure_by_figure() -> None:
    found = query_savings()

    assert found.tokens_a_day == 1_000_000
    assert (found.baseline_a_day, found.baseline_a_month, found.target_a_month) == (D(15), D(450), D(25))
    assert (found.saved_a_month, found.saved_a_year) == (D(425), D(5_100))
    assert [step.figure for step in found.steps] == [D(1_000_000), D(15), D(450), D(25), D(425), D(5_100)]


def test_a_portfolio_of_any_size_saves_the_same() -> None:
    assert (D(100), D(1_000), D(10_000), D(100_000)) == PORTFOLIOS
    assert [(size, one.baseline_a_year, one.target_a_year, one.saved_a_year) for size, one in by_portfolio()] == [
        (size, D(55), D(3), D(52)) for size in PORTFOLIOS
    ]


@pytest.mark.parametrize(
    ("model", "checks", "week", "year", "saved", "queries", "month", "saved_a_month"),
    [
        (HAIKU, "0.034", "0.036", "1.872", "1.768", "0.50", "15.00", "-10.00"),
        (SONNET, "0.68", "0.72", "37.44", "35.36", "10.00", "300.00", "275.00"),
    ],
)
def test_the_same_is_worked_out_at_todays_prices(
    model: ModelId, checks: str, week: str, year: str, saved: str, queries: str, month: str, saved_a_month: str
) -> None:
    monitor, query = monitor_savings(row(model), rounded=False), query_savings(row(model))

    assert [str(figure) for figure in (monitor.checks_a_week, monitor.baseline_a_week, monitor.baseline_a_year)] == [
        checks,
        week,
        year,
    ]
    assert str(monitor.saved_a_year) == saved
    assert [str(figure) for figure in (query.baseline_a_day, query.baseline_a_month)] == [queries, month]
    assert str(query.saved_a_month) == saved_a_month


def test_a_model_without_a_price_has_no_baseline() -> None:
    with pytest.raises(InvalidValue, match="input"):
        monitor_savings(PriceRow(model=ModelId("x"), since=None))
