"""Many callers at one moment."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

from shared.domain.errors import Conflict, TryAgain

T = TypeVar("T")

WRITERS = 32


def race(act: Callable[[int], T], writers: int = WRITERS) -> list[T]:
    """Let numbered writers act, all started together; give what each got, by number."""
    start = Barrier(writers)

    def run(number: int) -> T:
        start.wait()
        return act(number)

    with ThreadPoolExecutor(writers) as pool:
        return list(pool.map(run, range(writers)))


def race_to_write(write: Callable[[int], T], writers: int = WRITERS) -> list[T]:
    """Let numbered writers write on one condition; give what the winners got."""

    def attempt(number: int) -> T | None:
        try:
            return write(number)
        except Conflict:
            return None

    return [result for result in race(attempt, writers) if result is not None]


def until_written(attempt: Callable[[], T]) -> T:
    """Read and write again until nobody else was faster, each time losing to one of the others."""
    for _ in range(WRITERS):
        try:
            return attempt()
        except TryAgain:
            continue
    raise AssertionError("more losses than there are others to lose to")
