"""The watch under seeded faults: the kept seeds, then as many new ones as the time allows."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from hearthwatch.simulation.campaign import Campaign, describe_failure, kept_seeds, run_campaign
from hearthwatch.simulation.world import Scenario, run

SECONDS = float(os.environ.get("SIM_SECONDS", "20"))
SHARDS = (0, 1_000_000)
"""First seeds of parts that workers can run side by side; the time is shared between them."""
FEWEST = 10
"""Seeds a shard must get through in its time, or it proved nothing; a slow machine does ten times as many."""

Record = Callable[[str, object], None]


@pytest.mark.parametrize("seed", kept_seeds())
def test_a_seed_that_once_failed_stays_mended(seed: int) -> None:
    outcome = run(Scenario(seed=seed))
    assert outcome.violation is None, describe_failure(outcome)


@pytest.mark.parametrize("first", SHARDS)
def test_every_invariant_holds_under_new_seeds(first: int, record_property: Record) -> None:
    campaign = run_campaign(first=first, seconds=SECONDS / len(SHARDS), kept=False)
    record_property("simulated", (campaign.seeds, campaign.calls, campaign.faults))
    assert campaign.failed is None, _failure(campaign)
    assert campaign.seeds >= FEWEST, f"only {campaign.seeds} seeds in {campaign.seconds:.0f} s"
    assert campaign.faults > campaign.seeds, "hardly anything went wrong, so hardly anything was tried"


def _failure(campaign: Campaign) -> str:
    assert campaign.failed is not None
    return f"after {campaign.seeds} seeds\n{describe_failure(campaign.failed)}"
