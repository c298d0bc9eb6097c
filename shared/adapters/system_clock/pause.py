"""A wait that varies by chance, so that callers who failed together do not come back together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import uniform
from time import sleep


class JitteredPause:
    """Waits on the machine's own clock; `sleeps` takes a number of seconds."""

    def __init__(self, sleeps: Callable[[float], None] = sleep) -> None:
        self._sleeps = sleeps

    def __call__(self, least: timedelta, most: timedelta) -> None:
        self._sleeps(uniform(least.total_seconds(), most.total_seconds()))  # noqa: S311 - nothing is secret about it
