"""A planted bug is found, shrunk to the faults it needs, and told with its seed."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import islice

import pytest

from hearthwatch.commands import main
from hearthwatch.simulation.campaign import Campaign, describe_failure, run_campaign
from hearthwatch.simulation.chance import CALM
from hearthwatch.simulation.shrink import shrink
from hearthwatch.simulation.world import Scenario, run
from shared.domain.errors import TryAgain
from shared.domain.intents import Intent
from shared.use_cases import place_orders


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an entry leave although the journal could not take it."""
    record = place_orders._Run._record_send

    def careless(self: place_orders._Run, intent: Intent, now: object) -> bool:
        try:
            return record(self, intent, now)  # type: ignore[arg-type]
        except TryAgain:
            return False

    monkeypatch.setattr(place_orders._Run, "_record_send", careless)


@pytest.fixture
def found(planted: None) -> Campaign:
    campaign = run_campaign(first=0, seeds=300, kept=False, shrunk=False)
    assert campaign.failed is not None
    return campaign


@pytest.mark.usefixtures("planted")
def test_traces_shrink_towards_the_faults_they_need() -> None:
    faults = replace(CALM, refuse=0.08, lose=0.08, duplicate=0.25, switch=0.1, slow=0.01)
    runs = (run(Scenario(seed=seed, hazards=faults)) for seed in range(2000))
    large = list(islice((r for r in runs if r.violation is not None and len(r.struck) > 10), 5))
    small = [shrink(outcome) for outcome in large]
    assert all(str(s.violation).endswith("was sent without a record of it in the journal") for s in small)
    assert all(len(s.struck) < len(r.struck) for s, r in zip(small, large, strict=True))
    assert all({struck.where for struck in s.struck} & {"journal.head", "journal.put"} for s in small)
    assert min(len(s.struck) for s in small) <= 3


def test_a_shrunk_trace_fails_again_in_the_same_way(found: Campaign) -> None:
    assert found.failed is not None
    small = shrink(found.failed)
    again = run(small.scenario)
    assert str(again.violation) == str(small.violation)
    assert again.log == small.log


def test_a_failure_is_told_with_its_seed_its_faults_and_its_last_steps(found: Campaign) -> None:
    assert found.failed is not None
    small = shrink(found.failed)
    text = describe_failure(small)
    assert text.startswith(f"seed {small.scenario.seed}, {small.scenario.minutes} minutes: invariant 5: ")
    assert f"make simulate SEED={small.scenario.seed}" in text
    assert all(f"call {struck.number}: {struck.where}" in text for struck in small.struck)
    assert text.endswith(small.log[-1])


@pytest.mark.usefixtures("planted")
def test_a_campaign_that_fails_prints_its_seed_and_exits_with_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging, "disable", lambda level: None)
    seed = _first_failure()
    assert main(["simulate", "--seed", str(seed), "--seeds", "5", "--no-shrink"]) == 1
    assert f"seed {seed}, 15 minutes: invariant 5: " in capsys.readouterr().out
    assert main(["simulate", "--seed", str(seed), "--seeds", "1"]) == 1
    assert f"seed {seed}, " in capsys.readouterr().out


def _first_failure() -> int:
    failed = run_campaign(first=0, seeds=300, kept=False, shrunk=False).failed
    assert failed is not None
    return failed.scenario.seed
