"""A crash before and after every single port call of a run with an exit and an entry (faults 5 and 6)."""

from __future__ import annotations

import pytest

from hearthwatch.simulation.chance import CALM, Fault
from hearthwatch.simulation.world import Outcome, Scenario, run

SCENARIO = Scenario(seed=138, minutes=8, hazards=CALM)
PARTS = 8
"""Slices of the calls, so that workers can share them."""


@pytest.fixture(scope="module")
def undisturbed() -> Outcome:
    return run(SCENARIO)


def test_the_scenario_has_an_exit_and_an_entry_that_fill_before_the_calm(undisturbed: Outcome) -> None:
    sides = {decision.split()[2] for decision in undisturbed.decisions if decision.endswith(" FILLED")}
    assert sides == {"buy", "sell"}
    assert undisturbed.violation is None
    early = undisturbed.log[: undisturbed.calls_under_faults]
    assert sum("broker.submit" in line for line in early) >= 3


@pytest.mark.parametrize("fault", [Fault.CRASH_BEFORE, Fault.CRASH_AFTER], ids=["before", "after"])
@pytest.mark.parametrize("part", range(PARTS))
def test_a_crash_at_any_call_breaks_no_invariant(undisturbed: Outcome, part: int, fault: Fault) -> None:
    for call in range(1 + part, undisturbed.calls_under_faults + 1, PARTS):
        outcome = run(Scenario(seed=SCENARIO.seed, minutes=SCENARIO.minutes, hazards=CALM, crash_at=(call, fault)))
        where = undisturbed.log[call - 1]
        assert [(struck.number, struck.fault) for struck in outcome.struck] == [(call, fault)], where
        assert outcome.violation is None, f"{fault} at call {call}, {where}: {outcome.violation}"
