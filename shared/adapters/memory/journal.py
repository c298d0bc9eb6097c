"""The journal in memory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from threading import Lock

from shared.domain.journal import Link


class MemoryJournal:
    """Append-only links, one list per day."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._days: dict[date, list[Link]] = {}

    def head(self, day: date) -> Link | None:
        links = self._days.get(day)
        return links[-1] if links else None

    def put(self, link: Link) -> bool:
        with self._lock:
            links = self._days.setdefault(link.day, [])
            if link.sequence != len(links) + 1:
                return False
            links.append(link)
        return True

    def links(self) -> Iterator[Link]:
        """Yield every link, day by day in order."""
        for day in sorted(self._days):
            yield from self._days[day]
