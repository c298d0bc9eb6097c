"""How fast the simulation under faults runs: seeds a second, and calls of ports a second.

There is no peer; the figures show how many schedules a minute of waiting explores. A call includes the yield to the
scheduler, the draw of a fault and the invariants that are checked after it.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from benchmarks.figures import Figure, Say
from hearthwatch.simulation.campaign import Campaign, run_campaign

SEEDS: Final = 100


def measure(say: Say) -> list[Figure]:
    """Run the first seeds as `make simulate` does; a failing one leaves the figures those of the seeds before it."""
    say(f"{SEEDS} seeds")
    logging.disable(logging.CRITICAL)
    try:
        began = time.process_time()
        campaign: Campaign = run_campaign(seeds=SEEDS, kept=False)
        seconds = time.process_time() - began
    finally:
        logging.disable(logging.NOTSET)
    return [
        Figure("seeds of 15 minutes", campaign.seeds / seconds, "a second"),
        Figure("port calls", campaign.calls / seconds, "a second"),
        Figure("invariants broken", float(campaign.failed is not None), "seeds", "0"),
    ]
