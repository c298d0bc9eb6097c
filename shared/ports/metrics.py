"""Numbers about the system itself."""

from __future__ import annotations

from typing import Protocol


class Metrics(Protocol):
    """A sink for metrics; losing one is never an error."""

    def put(self, name: str, value: float) -> None:
        """Record one value, seconds for durations and plain counts otherwise."""
        ...
