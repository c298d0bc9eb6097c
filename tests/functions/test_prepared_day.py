"""The day before it opens: prepared, missed and caught up, and left alone on a holiday (OPS-13)."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from local_stack.exchange.gate import Misbehaviour
from shared.domain.alerts import AlertKind
from tests.fakes.house import MINUTE, NOON, NVDA, TSLA, House

TODAY = NOON.date()
BEFORE_THE_OPEN = NOON.replace(hour=12, minute=30)
OPEN = NOON.replace(hour=13, minute=30)
FOURTH_OF_JULY = NOON.replace(month=7, day=3, hour=12, minute=30)
MISSED = "The day is not prepared: job before the open"
PRICES = {TSLA: "321.50", NVDA: "187.00"}
pytestmark = pytest.mark.usefixtures("quiet")


def planned(house: House) -> date | None:
    plan = house.owner.plans.latest()
    return None if plan is None else plan.day


def test_missed_job_is_caught_up_by_the_first_tick_and_told_once() -> None:
    with House(now=OPEN) as house:
        house.tick("reconcile_orders")
        for _ in range(3):
            house.trade(PRICES)
            house.tick("poll_prices")
            house.pump()

        assert planned(house) == TODAY
        assert house.told().count(MISSED) == 1
        assert [fact for fact in house.facts() if fact.startswith("session_prepared")] == ["session_prepared "]


def test_prepared_day_is_not_prepared_again_and_nothing_is_told() -> None:
    with House(now=BEFORE_THE_OPEN) as house:
        house.tick("reconcile_orders")
        house.tick("prepare_session")
        asked = len(house.exchange.seen)
        house.tick("prepare_session")
        assert len(house.exchange.seen) == asked

        house.clock.set(OPEN)
        house.trade(PRICES)
        house.tick("poll_prices")
        house.pump()
        assert planned(house) == TODAY
        assert house.told() == []


@pytest.mark.parametrize("day", [FOURTH_OF_JULY, BEFORE_THE_OPEN.replace(day=13)])
def test_day_without_a_session_is_not_prepared_and_not_polled(day: datetime) -> None:
    """The third of July 2026 is the holiday's observed day; the thirteenth of June is a Saturday."""
    with House(now=day) as house:
        house.tick("prepare_session")
        house.clock.set(day.replace(hour=16, minute=0))
        polled = house.tick("poll_prices").answer
        checked = house.tick("check_risk").answer
        house.pump()

        assert planned(house) is None
        assert (polled["result"], checked["prepared"]) == ("closed", [])
        assert house.told() == []


def test_source_that_fails_costs_its_part_of_the_day_and_is_asked_again() -> None:
    """The exit does not wait for a part of the plan; the missing one is told, and told again when it is there."""
    with House(now=BEFORE_THE_OPEN) as house:
        house.tick("reconcile_orders")
        house.exchange.misbehave(Misbehaviour.SERVER_ERROR_AFTER_ACCEPT, path="/v1/corporate-actions", times=20)
        answer = house.tick("prepare_session").answer
        house.pump()
        assert answer["problems"] == ["corporate actions"]
        assert house.told() == ["The day is not prepared: corporate actions"]

        house.exchange.behave()
        house.clock.set(house.clock.now() + MINUTE)
        assert house.tick("prepare_session").answer["problems"] == []
        house.pump()
        assert house.told()[1:] == ["Over: The day is not prepared: corporate actions"]
        assert {kind for kind, *_ in house.incidents()} == {AlertKind.SESSION_UNPREPARED}
