"""The second promise under load: no interleaving, crash, lost answer or change of day takes spending over a limit."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

import pytest

from shared.domain.budget import BudgetRules
from tests.end_to_end.budget_load import (
    Bill,
    Load,
    LoadRun,
    ModelHere,
    Outcome,
    Point,
    Stretch,
    in_memory,
    over_month_end,
)
from tests.end_to_end.budget_stores import MISBEHAVIOUR, claude, on_tables

Record = Callable[[str, object], None]

STEP: Final = timedelta(seconds=10)
ON_TABLES: Final = 500
IN_MEMORY: Final = 20_000
EVERYTHING: Final = Load(
    calls=ON_TABLES,
    workers=64,
    rules=BudgetRules(day=160_000, month=240_000, warn_at=(100_000,), grant=20_000),
    stretches=over_month_end(ON_TABLES, STEP),
    step=STEP,
    dying=0.1,
    losing=0.05,
    late=0.03,
    twice=0.1,
    granted_every=37,
    audited_every=0.5,
)
"""A quarter of what is asked for can be paid, and everything goes wrong."""
LAST_OF_THE_MONTH: Final = date(2026, 11, 30)
DAYS: Final = {date(2026, 11, 29), LAST_OF_THE_MONTH, date(2026, 12, 1)}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep thousands of expected warnings out of a failing test's report."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_no_fault_takes_spending_on_tables_over_a_limit(record_property: Record) -> None:
    bill = Bill()
    with on_tables() as stores, claude(bill, EVERYTHING.seed, MISBEHAVIOUR) as model:
        outcome = LoadRun(EVERYTHING, stores, model, bill)()
    record_property("note", outcome.note("budget on tables", EVERYTHING))
    assert_promises_held(outcome, EVERYTHING)


def test_no_fault_takes_spending_in_memory_over_a_limit(record_property: Record) -> None:
    step = timedelta(seconds=2)
    rules = replace(EVERYTHING.rules, day=5_000_000, month=8_000_000)
    stretches = over_month_end(IN_MEMORY, step)
    load = replace(EVERYTHING, calls=IN_MEMORY, rules=rules, stretches=stretches, step=step, audited_every=0.05)
    bill = Bill()
    outcome = LoadRun(load, in_memory(), ModelHere(bill, 0.1, load.seed), bill)()
    record_property("note", outcome.note("budget in memory", load))
    assert_promises_held(outcome, load)
    assert {"settled late", *(f"died {point}" for point in Point)} <= outcome.happened.keys()


def test_without_faults_nearly_the_whole_limit_is_used(record_property: Record) -> None:
    calm = one_day(calls=4_000)
    bill = Bill()
    outcome = LoadRun(calm, in_memory(), ModelHere(bill, 0.0, calm.seed), bill)()
    used = outcome.share(LAST_OF_THE_MONTH, calm.rules)
    record_property("note", f"{outcome.note('budget without faults', calm)}; {used:.1%} of the limit was used")
    assert outcome.problems == []
    assert used > 0.98


def test_with_one_call_in_ten_failing_most_of_the_limit_is_used(record_property: Record) -> None:
    failing = one_day(calls=4_000)
    bill = Bill()
    outcome = LoadRun(failing, in_memory(), ModelHere(bill, 0.1, failing.seed), bill)()
    used = outcome.share(LAST_OF_THE_MONTH, failing.rules)
    record_property("note", f"{outcome.note('budget with failing calls', failing)}; {used:.1%} of the limit was used")
    assert outcome.problems == []
    assert used > 0.9


def one_day(calls: int) -> Load:
    """Make a load of one day whose workers live."""
    noon = Stretch(datetime(2026, 11, 30, 17, 0, tzinfo=UTC), 1.0)
    rules = BudgetRules(day=3_000_000, month=9_000_000, warn_at=(), decisions=1_000)
    return Load(calls=calls, workers=64, rules=rules, stretches=(noon,), step=timedelta(seconds=1))


def assert_promises_held(outcome: Outcome, load: Load) -> None:
    assert outcome.problems == []
    assert set(outcome.charged) == DAYS
    for month in outcome.months.values():
        taken = sum(amount for day, amount in outcome.charged.items() if day.replace(day=1) == month.month)
        assert taken <= month.spent <= load.rules.month
    for day, taken in outcome.charged.items():
        granted = outcome.months[day.replace(day=1)].granted(day)
        assert taken <= load.rules.day + granted
    assert {"expired", "granted", "settled twice"} <= outcome.happened.keys()
    assert any(what.startswith("died ") for what in outcome.happened)
    assert {"denied day_spent", "denied month_spent", "denied envelope_spent"} <= outcome.happened.keys()
