"""The journal's store."""

from __future__ import annotations

from datetime import date
from typing import Protocol

from shared.domain.journal import Link


class JournalStore(Protocol):
    """Append-only links, one per day and number; nothing is ever changed or deleted."""

    def head(self, day: date) -> Link | None:
        """Return the day's last link, None when the day is empty."""
        ...

    def put(self, link: Link) -> bool:
        """Store a link unless its day and number are taken; of many callers at once exactly one gets True."""
        ...
