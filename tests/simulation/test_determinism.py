"""The same seed gives the same run anywhere, and what is delivered twice changes nothing (invariants 8 and 9)."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from hearthwatch.simulation.chance import CALM
from hearthwatch.simulation.world import Outcome, Scenario, run
from shared.domain.times import LATE_AFTER

PROJECT = Path(__file__).parents[2]
SEEDS = (3, 17, 588)
PROGRAM = f"""
from hearthwatch.simulation.world import Scenario, run
from tests.simulation.test_determinism import digest
for seed in {SEEDS}:
    print(digest(run(Scenario(seed=seed))))
"""


@pytest.fixture(scope="module")
def digests() -> list[str]:
    return [digest(run(Scenario(seed=seed))) for seed in SEEDS]


@pytest.mark.parametrize("hash_seed", ["0", "1", "random"])
def test_a_seed_gives_the_same_run_in_every_process_and_under_every_hash_seed(
    digests: list[str], hash_seed: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=PROJECT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout.split()) == (0, digests), done.stderr


def test_another_seed_gives_another_run(digests: list[str]) -> None:
    assert len(set(digests)) == len(SEEDS)


@pytest.mark.parametrize("echo", [0, LATE_AFTER.total_seconds()], ids=["at once", "late and out of order"])
def test_what_is_delivered_twice_changes_no_decision(echo: float) -> None:
    decided = 0
    for seed in range(60):
        once, twice = (_decisions(Scenario(seed=seed, hazards=CALM, echo=after)) for after in (None, echo))
        assert once == twice, f"seed {seed}"
        decided += len(once)
    assert decided > 200


def digest(outcome: Outcome) -> str:
    """Reduce a run to one hash: every port call with its time, every fault, every decision."""
    parts = (*outcome.log, *map(str, outcome.struck), *outcome.decisions, str(outcome.violation))
    return sha256("\n".join(parts).encode()).hexdigest()


def _decisions(scenario: Scenario) -> list[str]:
    """List the decisions that left; an exit found at the close waits for the next open, whoever finds it first."""
    outcome = run(scenario)
    assert outcome.violation is None, f"seed {scenario.seed}: {outcome.violation}"
    return [decision for decision in outcome.decisions if not decision.endswith(" PREPARED")]
