"""`cost --forecast` and `cost --savings`: what a month will cost, and what is saved; neither asks AWS or anybody."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from hearthwatch.cost import plan
from hearthwatch.cost.as_json import dumped, forecast_json
from hearthwatch.cost.from_template import forecast_of, read_template
from hearthwatch.cost.plan import Choices, decisions
from hearthwatch.cost.show import drawn
from shared.domain.forecast import Forecast, Line, at_least_cents, aws_lines, cents, model_line, newest_row
from shared.domain.model_prices import HAIKU, OPUS, SONNET, STARTING_PRICES, ModelId
from shared.domain.money import ZERO
from shared.domain.savings import (
    REDUCTION_GATE,
    Step,
    by_portfolio,
    monitor_savings,
    query_savings,
)

OK, WRONG = 0, 1
MODELS = {"haiku": HAIKU, "sonnet": SONNET, "opus": OPUS}


def run_offline(options: argparse.Namespace) -> int:
    """Forecast the month, or show what is saved."""
    return _savings() if options.savings else _forecast(options)


# the forecast


def _forecast(options: argparse.Namespace) -> int:
    choices = Choices(
        decisions=options.decisions_a_day,
        decision_model=MODELS[options.decision_model],
        articles=options.articles_a_day,
        batch=options.batch,
        watts=options.watts,
        tariff=options.tariff,
    )
    template: Path = options.template
    forecast = forecast_of(read_template(template), choices, STARTING_PRICES, template.resolve().parent)
    failures = forecast.failures(options.cap)
    if options.json:
        print(dumped(forecast_json(forecast, failures)))
    elif not options.quiet:
        print(forecast_text(forecast))
    if not options.json:
        print(_verdict(forecast, options.cap))
        for failure in failures:
            print(f"  {failure}")
    return WRONG if failures else OK


def forecast_text(forecast: Forecast) -> str:
    """Write a forecast line by line, and beside its groups the month that was planned for everything."""
    rows = [_row(line) for line in forecast.lines if line.count]
    rows.append(["total", "", "", f"${cents(forecast.total)}", f"${cents(forecast.total_after_free)}"])
    columns = ["a month", "count", "price", "at list price", "after the free tier"]
    parts = [drawn("What a month costs, from template.yaml", columns, rows)]
    planned = reference()
    groups = dict.fromkeys([*forecast.groups, *planned.groups])
    compared = [
        [group, f"${cents(forecast.groups.get(group, ZERO))}", f"${cents(planned.groups.get(group, ZERO))}"]
        for group in groups
        if forecast.groups.get(group) or planned.groups.get(group)
    ]
    parts.append(drawn("Beside the month that was planned", ["", "this template", "planned"], compared))
    parts.append(_assumptions())
    return "\n\n".join(parts)


def reference() -> Forecast:
    """Price the annex's month: its counts, its decisions on Sonnet, and its electricity."""
    power = Line(group="power", what="electricity", count=Decimal(1), price=Decimal(5))
    paid = model_line(decisions(Choices().decisions, SONNET), STARTING_PRICES)
    priced = aws_lines(plan.REFERENCE)
    return Forecast(lines=(*priced, paid, power))


def _row(line: Line) -> list[str]:
    price = f"${at_least_cents(line.price)}" + (f" for {line.per:,}" if line.per > 1 else "")
    count = f"{line.count:,.0f}" if line.count >= plan.SYMBOLS else at_least_cents(round(line.count, 3))
    return [line.what, count, price, f"${cents(line.cost)}", f"${cents(line.after_free)}"]


def _assumptions() -> str:
    hours, (prompt, answer) = plan.OPEN_MINUTES // 60, plan.DECISION_TOKENS
    return "\n".join(
        [
            f"Assumed: {plan.SYMBOLS} symbols held, {hours} hours of open market, {plan.ORDERS_A_DAY} orders a day;",
            f"decisions of {prompt:,} tokens in and {answer:,} out without any cache.",
            "Durations and table operations of each run stand in hearthwatch/cost/plan.py.",
        ]
    )


def _verdict(forecast: Forecast, cap: Decimal) -> str:
    after = f"${cents(forecast.total_after_free)} after the free tier"
    return f"${cents(forecast.total)} a month at list prices, {after}; the cap is ${cents(cap)}"


# savings


def _savings() -> int:
    print(savings_text())
    return OK if monitor_savings().reduction >= REDUCTION_GATE else WRONG


def savings_text() -> str:
    """Write both baselines with their arithmetic, and the same at today's prices."""
    monitor, query = monitor_savings(), query_savings()
    reduction = monitor.reduction * 100
    gate = REDUCTION_GATE * 100
    portfolios = [
        [f"${size:,}", f"${one.baseline_a_year:f}", f"${one.target_a_year:f}", f"${one.saved_a_year:f}"]
        for size, one in by_portfolio()
    ]
    parts = [
        _steps("The watch, against a model asked 80 times a day (baseline: input tokens alone)", monitor.steps),
        f"{reduction:.1f} % of the weekly cost is gone; the gate is {gate:.0f} %.",
        drawn(
            "The same for every portfolio: nobody checks a larger one more often",
            ["portfolio", "baseline a year", "with the watch", "saved"],
            portfolios,
        ),
        _steps("The ladder, against a thousand queries a day (baseline: output tokens alone)", query.steps),
        _today(),
    ]
    return "\n\n".join(parts)


def _steps(title: str, steps: Sequence[Step]) -> str:
    rows = [[step.what, step.sum, _figure(step), step.rounding] for step in steps]
    return drawn(title, ["", "worked out from", "is", "rounded"], rows, words=2)


def _figure(step: Step) -> str:
    return f"{step.figure:,f}" if step.counts else f"${step.figure:,f}"


def _today() -> str:
    rows = [_at(model) for model in (HAIKU, SONNET)]
    target = query_savings().target_a_month
    columns = ["model", "checks a week", "with strategy", "saved a year", "queries a day", "a month", "saved a month"]
    table = drawn("The same at the newest prices, nothing rounded", columns, rows)
    return (
        f"{table}\nA figure below zero means that the baseline would cost less than the ${target} it is held against."
    )


def _at(model: ModelId) -> list[str]:
    row = newest_row(STARTING_PRICES, model, plan.DECISION_TOKENS[0])
    monitor, query = monitor_savings(row, rounded=False), query_savings(row)
    figures = (
        monitor.checks_a_week,
        monitor.baseline_a_week,
        monitor.saved_a_year,
        query.baseline_a_day,
        query.baseline_a_month,
        query.saved_a_month,
    )
    return [model, *(f"-${-figure:,f}" if figure < 0 else f"${figure:,f}" for figure in figures)]
