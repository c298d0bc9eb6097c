"""Charges: the record that closes a reservation, and what decisions add up to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.charges import Booked, Statement, charge_for, statement
from shared.domain.errors import InvalidValue
from shared.domain.intents import CycleId
from shared.domain.model_prices import DOLLAR, Usage
from tests.unit.budgets import CALL, FRIDAY, RULES, SONNET_CALL, charged, wanted


def test_record_carries_everything_that_the_reservation_knew() -> None:
    held = replace(wanted(), call=replace(CALL, cycle=CycleId("cycle-1")))
    at = FRIDAY + timedelta(minutes=16)

    charge = charge_for(held, at, cost=SONNET_CALL, booked=Booked.ASSUMED, ending="nobody settled it")

    assert (charge.id, charge.at, charge.day, charge.held, charge.cost) == (
        held.id,
        at,
        held.day,
        SONNET_CALL,
        SONNET_CALL,
    )
    assert (charge.provider, charge.model, charge.rung) == (CALL.provider, CALL.model, CALL.rung)
    assert (charge.purpose, charge.work, charge.cycle) == (CALL.purpose, CALL.work, "cycle-1")
    assert (charge.envelope, charge.prices, charge.booked) == (held.envelope, held.prices, Booked.ASSUMED)
    assert (charge.usage, charge.latency, charge.request_id, charge.note) == (None, None, "", "")
    assert charge.ending == "nobody settled it"


def test_record_keeps_what_the_provider_reported() -> None:
    usage = Usage(input=10, output=2)

    charge = charge_for(
        wanted(),
        FRIDAY,
        cost=0,
        booked=Booked.SETTLED,
        ending="complete",
        usage=usage,
        latency=timedelta(seconds=2),
        request_id="req_1",
        note="seen",
    )

    assert (charge.usage, charge.latency, charge.request_id, charge.note) == (
        usage,
        timedelta(seconds=2),
        "req_1",
        "seen",
    )


@pytest.mark.parametrize("bad", [-1, 1.5, True, None])
def test_cost_that_is_no_amount_is_refused(bad: Any) -> None:
    with pytest.raises(InvalidValue, match=r"charge\.cost"):
        replace(charged(wanted(), 1), cost=bad)


def test_record_without_an_aware_time_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"charge\.at"):
        charged(wanted(), 1, at=FRIDAY.replace(tzinfo=None))


def test_statement_adds_up_the_calls_of_a_decision_and_reads_as_on_an_alert() -> None:
    calls = [charged(wanted("a"), 1_400), charged(wanted("b"), 700)]

    told = statement(iter(calls), month_spent=1_380_000, month_limit=RULES.month)

    assert told == Statement(cost=2_100, calls=2, month_spent=1_380_000, month_limit=150 * DOLLAR)
    assert told.text == "this decision cost $0.0021; month $1.38 of $150.00"


def test_decision_without_a_paid_call_cost_nothing() -> None:
    assert statement([], month_spent=0, month_limit=DOLLAR).text == "this decision cost $0.00; month $0.00 of $1.00"
