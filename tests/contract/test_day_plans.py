"""What every store of day plans promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from shared.adapters.aws.day_plans import DynamoDayPlans
from shared.adapters.memory.day_plans import MemoryDayPlans
from shared.domain.day_plan import Part
from shared.ports.day_plans import DayPlans
from tests.contract.conftest import NewTable
from tests.fakes.racing import race
from tests.unit.day_plans import PLAN, TODAY, plan_of

STORES: dict[str, Callable[[NewTable], DayPlans]] = {
    "memory": lambda new_table: MemoryDayPlans(),
    "dynamodb": lambda new_table: DynamoDayPlans(new_table()),
}


@pytest.fixture(params=sorted(STORES))
def plans(request: pytest.FixtureRequest, new_table: NewTable) -> DayPlans:
    return STORES[request.param](new_table)


def test_an_empty_store_has_no_plan(plans: DayPlans) -> None:
    assert plans.get(TODAY) is None
    assert plans.latest() is None


def test_a_plan_reads_back_as_it_was_put(plans: DayPlans) -> None:
    assert plans.put(PLAN)

    assert plans.get(TODAY) == plans.latest() == PLAN
    assert plans.get(TODAY + timedelta(days=1)) is None


def test_a_plan_with_missing_parts_reads_back_as_it_was_put(plans: DayPlans) -> None:
    bare = plan_of(TODAY, missing=frozenset(Part))

    assert plans.put(bare)

    assert plans.get(TODAY) == bare


def test_a_plan_is_stored_once_and_the_first_stands(plans: DayPlans) -> None:
    assert plans.put(PLAN)
    assert not plans.put(replace(PLAN, equity=Decimal(1)))

    assert plans.get(TODAY) == PLAN


@pytest.mark.parametrize(
    ("before", "after", "stored"),
    [
        ({Part.ACTIONS, Part.EQUITY}, {Part.EQUITY}, True),
        ({Part.EQUITY}, set(), True),
        ({Part.EQUITY}, {Part.EQUITY}, False),
        ({Part.EQUITY}, {Part.ACTIONS}, False),
        (set(), {Part.EQUITY}, False),
    ],
)
def test_only_a_plan_that_lacks_less_takes_the_place_of_another(
    plans: DayPlans, before: set[Part], after: set[Part], stored: bool
) -> None:
    first, second = plan_of(TODAY, missing=frozenset(before)), plan_of(TODAY, missing=frozenset(after))
    plans.put(first)

    assert plans.put(second) is stored

    assert plans.get(TODAY) == (second if stored else first)


def test_the_latest_plan_is_that_of_the_newest_day_whatever_was_put_last(plans: DayPlans) -> None:
    days = [date(2026, 2, 9), date(2025, 12, 31), date(2026, 2, 10), date(2026, 1, 5)]
    for day in days:
        assert plans.put(plan_of(day))

    newest = plans.latest()
    assert newest is not None
    assert newest.day == max(days)


def test_of_many_writers_at_once_exactly_one_stores_the_plan(plans: DayPlans) -> None:
    candidates = [replace(PLAN, equity=Decimal(number + 1)) for number in range(32)]

    stored = race(lambda number: plans.put(candidates[number]))

    assert stored.count(True) == 1
    assert plans.get(TODAY) == candidates[stored.index(True)]
