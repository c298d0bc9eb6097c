"""Make a failing run small: fewer minutes, then fewer faults, while the same invariant still breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hearthwatch.simulation.world import Outcome, Scenario, run

_MOST_RUNS = 300
"""Runs spent on one trace; a few seconds."""


def shrink(failed: Outcome) -> Outcome:
    """Return a run of the same seed that breaks the same invariant with as few minutes and faults as were found."""
    budget = iter(range(_MOST_RUNS))
    small = failed
    for minutes in range(2, failed.scenario.minutes):
        shorter = _still_fails(replace(failed.scenario, minutes=minutes), failed, budget)
        if shorter is not None:
            small = shorter
            break
    small = _without_a_side(small, budget)
    chunk = max(1, len(small.struck) // 2)
    while chunk:
        small, removed = _without_chunks(small, chunk, budget)
        if not removed:
            chunk //= 2
    return small


def _without_a_side(small: Outcome, budget: Iterator[int]) -> Outcome:
    """Try to do without any fault of the questions, or else of the watch."""
    for side in (1, -1):
        only = frozenset(struck.place for struck in small.struck if struck.place * side > 0)
        quieter = _still_fails(replace(small.scenario, only=only), small, budget)
        if quieter is not None:
            return quieter
    return small


def _without_chunks(small: Outcome, chunk: int, budget: Iterator[int]) -> tuple[Outcome, bool]:
    """Try to do without faults, a chunk at a time, last ones first; report whether any chunk could go.

    Faults are kept by their place, never added: a run without some of them takes another course, on which others would
    be drawn.
    """
    removed = False
    place = len(small.struck)
    while place > 0:
        place = max(0, min(place, len(small.struck)) - chunk)
        kept = [*small.struck[:place], *small.struck[place + chunk :]]
        only = frozenset(struck.place for struck in kept)
        quieter = _still_fails(replace(small.scenario, only=only), small, budget)
        if quieter is not None and len(quieter.struck) < len(small.struck):
            small, removed = quieter, True
    return small, removed


def _still_fails(scenario: Scenario, like: Outcome, budget: Iterator[int]) -> Outcome | None:
    if next(budget, None) is None:
        return None
    outcome = run(scenario)
    same = outcome.violation and like.violation and outcome.violation.number == like.violation.number
    return outcome if same else None
