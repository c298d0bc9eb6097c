"""An archive of prices in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.ports.archive import require_hour, require_minutes_of
from shared.ports.prices import Minute


class MemoryPriceArchive:
    """Hours in a dictionary."""

    def __init__(self) -> None:
        self._hours: dict[datetime, tuple[Minute, ...]] = {}

    def has(self, hour: datetime) -> bool:
        return require_hour(hour) in self._hours

    def put(self, hour: datetime, minutes: Sequence[Minute]) -> None:
        self._hours[require_hour(hour)] = tuple(require_minutes_of(hour, minutes))

    def get(self, hour: datetime) -> Sequence[Minute] | None:
        return self._hours.get(require_hour(hour))
