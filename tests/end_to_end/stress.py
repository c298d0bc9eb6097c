"""Put the budget under a load of any size, by hand: `make stress`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain.budget import BudgetRules
from tests.end_to_end.budget_load import Bill, Load, LoadRun, ModelHere, Outcome, in_memory, over_month_end
from tests.end_to_end.budget_stores import MISBEHAVIOUR, claude, on_tables

SHOWN: Final = 10


def main(arguments: Sequence[str]) -> int:
    """Run a load on tables and one of ten times as many calls in memory; 1 when a promise was broken."""
    options = _parser().parse_args(arguments)
    logging.disable(logging.CRITICAL)
    on_servers = _load(options.calls, options.workers, options.seed, step=timedelta(seconds=10))
    bill = Bill()
    with on_tables() as stores, claude(bill, options.seed, MISBEHAVIOUR) as model:
        broken = _told("on tables", on_servers, LoadRun(on_servers, stores, model, bill)())
    here = _load(10 * options.calls, options.workers, options.seed, step=timedelta(seconds=2))
    here, bill = replace(here, audited_every=0.05), Bill()
    broken += _told("in memory", here, LoadRun(here, in_memory(), ModelHere(bill, 0.1, options.seed), bill)())
    return int(broken > 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make stress", description=__doc__)
    parser.add_argument("--calls", type=int, default=3_000, help="calls on tables; ten times as many in memory")
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    return parser


def _load(calls: int, workers: int, seed: int, step: timedelta) -> Load:
    """Want about three times what the days' limits admit."""
    day = 500 * calls
    return Load(
        calls=calls,
        workers=workers,
        rules=BudgetRules(day=day, month=day * 7 // 4, warn_at=(day // 2,), grant=20_000),
        stretches=over_month_end(calls, step),
        step=step,
        seed=seed,
        dying=0.1,
        losing=0.05,
        late=0.03,
        twice=0.1,
        granted_every=37,
        audited_every=0.5,
    )


def _told(where: str, load: Load, outcome: Outcome) -> int:
    print(outcome.note(where, load))
    for what, times in sorted(outcome.happened.items()):
        print(f"  {times:>7,} {what}")
    for problem in outcome.problems[:SHOWN]:
        print(f"  BROKEN {problem}")
    return len(outcome.problems)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
