"""Run many seeds: kept ones first, then new ones until the count or the time is used up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from hearthwatch.simulation.shrink import shrink
from hearthwatch.simulation.world import Outcome, Scenario, run

KEPT: Final = Path(__file__).parent / "kept_seeds.txt"
"""Seeds that once failed, one a line; a word after the number says what they found."""
_LINES_SHOWN: Final = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """What a campaign covered, and its first failure, shrunk."""

    seeds: int
    calls: int
    faults: int
    seconds: float
    failed: Outcome | None = None


Progress = Callable[[int], None]
"""Called with the seeds done."""


def kept_seeds(path: Path = KEPT) -> list[int]:
    """Read the seeds that every campaign begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [int(line.split()[0]) for line in lines if line.strip() and not line.startswith("#")]


def run_campaign(
    *,
    first: int = 0,
    seeds: int | None = None,
    seconds: float | None = None,
    minutes: int = 15,
    kept: bool = True,
    shrunk: bool = True,
    progress: Progress | None = None,
) -> Campaign:
    """Run kept seeds, then new ones from `first` on: `seeds` of them or as many as begin within `seconds`.

    The first failure ends the campaign; it is made small unless `shrunk` is false.
    """
    began = time.monotonic()
    done = calls = faults = 0
    for seed in _seeds(first, seeds, kept=kept):
        if seconds is not None and time.monotonic() - began >= seconds:
            break
        outcome = run(Scenario(seed=seed, minutes=minutes))
        done, calls, faults = done + 1, calls + outcome.calls, faults + len(outcome.struck)
        if progress is not None:
            progress(done)
        if outcome.violation is not None:
            spent = time.monotonic() - began
            failed = shrink(outcome) if shrunk else outcome
            return Campaign(seeds=done, calls=calls, faults=faults, seconds=spent, failed=failed)
    return Campaign(seeds=done, calls=calls, faults=faults, seconds=time.monotonic() - began)


def _seeds(first: int, seeds: int | None, *, kept: bool) -> Iterator[int]:
    if kept:
        yield from kept_seeds()
    yield from count(first) if seeds is None else range(first, first + seeds)


def describe_failure(failed: Outcome) -> str:
    """Write a failure as a person needs it: the seed, what broke, which faults are needed, and the last steps."""
    scenario = failed.scenario
    lines = [
        f"seed {scenario.seed}, {scenario.minutes} minutes: {failed.violation}",
        f"again: make simulate SEED={scenario.seed} SEEDS=1",
        f"faults that are needed ({len(failed.struck)}):",
        *(f"  call {s.number}: {s.where}, {s.fault}" for s in failed.struck),
        "the last steps:",
        *(f"  {line}" for line in failed.log[-_LINES_SHOWN:]),
    ]
    return "\n".join(lines)
