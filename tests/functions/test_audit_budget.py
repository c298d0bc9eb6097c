"""The hourly audit of the budget: what nobody settled is spent, whatever the hour, and nothing protective asks it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from local_stack.cloud.door import Misbehaviour
from shared.domain.budget import month_of
from shared.domain.charges import Booked
from tests.fakes.house import (
    FUNCTIONS,
    MINUTE,
    NOON,
    NVDA,
    TSLA,
    House,
    an_hour_of_calls,
    charged,
    effects,
    reserved,
    specimen,
)

pytestmark = pytest.mark.usefixtures("quiet")
JUNE = NOON.date().replace(day=1)
LATE_IN_JUNE = datetime(2026, 7, 1, 2, 50, tzinfo=UTC)
"""Ten to eleven on the evening of the 30th in New York."""
PROTECTION = ("reconcile_orders", "poll_prices", "check_risk", "place_orders", "route_alerts")


def test_what_nobody_settled_is_spent_and_what_is_under_way_stays_reserved() -> None:
    with House() as house:
        an_hour_of_calls(house)
        assert house.tick("audit_budget").answer == {"problems": []}
        month = house.owner.budgets.month(JUNE)
        booked = {charge.id: (charge.cost, charge.booked) for charge in house.owner.charges.of_day(NOON.date())}

        assert month.spent == 12_345 + 40_000 + 6_789
        assert (month.reserved, list(month.open)) == (20_000, ["under way"])
        assert booked == {
            "settled": (12_345, Booked.SETTLED),
            "dropped": (40_000, Booked.ASSUMED),
            "half settled": (6_789, Booked.SETTLED),
        }
        assert house.facts() == ["reservations_expired "]


def test_a_quiet_hour_writes_no_fact() -> None:
    with House() as house:
        held = reserved(house, "settled", 57_000)
        charged(house, held, 12_345)
        house.owner.budgets.close(held, 12_345)

        assert house.tick("audit_budget").answer == {"problems": []}
        assert house.facts() == []


def test_counters_that_are_not_those_of_the_records_are_a_problem_that_is_told() -> None:
    with House() as house:
        held = reserved(house, "settled", 57_000)
        charged(house, held, 12_345)
        house.owner.budgets.close(held, 2_345)

        problem = house.tick("audit_budget").answer["problems"][0]
        by = "differ by -10,000 micro-dollars ($0.002345 and $0.012345)"
        assert problem == f"2026-06-10: spent and the charges on record {by}"
        house.pump()
        assert any("udget" in title for title in house.told())


def test_a_call_of_the_last_evening_counts_in_its_own_month_after_its_end() -> None:
    with House(now=LATE_IN_JUNE) as house:
        reserved(house, "dropped", 40_000)
        house.clock.set(LATE_IN_JUNE.replace(hour=3, minute=20))
        run = house.run("audit_budget", specimen("audit_budget", "at_the_end_of_a_month"))
        june, july = (house.owner.budgets.month(month) for month in (JUNE, JUNE.replace(month=7)))

        assert run.answer == {"problems": []}
        assert (june.spent, june.reserved) == (40_000, 0)
        assert july.days == {}


def test_the_month_before_is_audited_on_the_first_of_the_next() -> None:
    with House(now=LATE_IN_JUNE) as house:
        held = reserved(house, "dropped", 40_000, lasts=timedelta(hours=2))
        house.clock.set(LATE_IN_JUNE + timedelta(hours=5))
        assert house.tick("audit_budget").answer == {"problems": []}

        assert month_of(held.day) == JUNE
        assert house.owner.budgets.month(JUNE).spent == 40_000


def test_nothing_that_protects_runs_differently_with_a_budget_that_cannot_be_read() -> None:
    """A limit nobody can read, prices nobody can read, and a ledger out of reach stop no stop."""
    broken = {"HEARTHWATCH_BUDGET_DAY": "five", "HEARTHWATCH_MODEL_PRICES": "nonsense"}
    outcomes = []
    for environment in ({}, broken):
        with House(environment=environment) as house:
            house.trade({TSLA: "321.50", NVDA: "187.00"})
            house.tick("prepare_session")
            house.tick("reconcile_orders")
            for _ in range(4):
                runs = house.go_on()
                assert [run.error for run in runs if run.error is not None] == []
            outcomes.append({**effects(house), "told": house.told()})
            assert (house.try_tick("audit_budget").error is None) == (environment == {})

    assert outcomes[0] == outcomes[1]
    assert outcomes[0]["positions"] == []


@pytest.mark.parametrize("kind", [Misbehaviour.THROTTLE, Misbehaviour.SERVER_ERROR, Misbehaviour.ANSWER_LOST])
@pytest.mark.parametrize("call", ["GetItem", "UpdateItem", "PutItem", "Query"])
def test_whichever_call_of_an_audit_fails_the_next_one_leaves_the_same_ledger(call: str, kind: Misbehaviour) -> None:
    with House() as house:
        an_hour_of_calls(house)
        caller = FUNCTIONS["audit_budget"]
        house.cloud.misbehave(kind, f"dynamodb:{call}", caller=caller, times=6)
        house.try_tick("audit_budget")
        house.cloud.door.behave()
        house.clock.set(house.clock.now() + MINUTE)

        assert house.tick("audit_budget").answer == {"problems": []}
        month = house.owner.budgets.month(JUNE)
        booked = {charge.id: charge.cost for charge in house.owner.charges.of_day(NOON.date())}
        assert (month.spent, list(month.open)) == (12_345 + 40_000 + 6_789, ["under way"])
        assert booked == {"settled": 12_345, "dropped": 40_000, "half settled": 6_789}
