"""What a benchmark brings back, and how it takes the time."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

Say = Callable[[str], None]
"""Tells the operator what is being measured now."""


class Figure(NamedTuple):
    """One measured number; `hold` says in words what it should be, empty where it is there for the reader alone."""

    what: str
    value: float
    unit: str
    hold: str = ""


def best_of(rounds: int, work: Callable[[], object], clock: Callable[[], float] = time.process_time) -> float:
    """Run the work several times and return the seconds of the quickest.

    The processor's seconds are counted, not the wall's, so that other programs on the machine disturb little; work
    that waits for a server brings `time.perf_counter` instead.
    """
    quickest = float("inf")
    for _ in range(rounds):
        began = clock()
        work()
        quickest = min(quickest, clock() - began)
    return quickest


@contextmanager
def settled() -> Iterator[None]:
    """Keep the collector away from what is there already, as `make replay` does for its bars."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
