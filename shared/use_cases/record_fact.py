"""Append a fact to the journal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.errors import Unavailable
from shared.domain.journal import Fact, Link, next_link
from shared.ports.journal import JournalStore

_TRIES: Final = 20
"""Parallel writers of one day's chain take turns; each loss means that somebody else's fact was stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFact:
    """Append facts to the day's chain; returns once the fact is stored, and may store it twice after a lost answer."""

    journal: JournalStore

    def __call__(self, kind: str, at: datetime, **fields: object) -> Link:
        """Store one fact; raises Unavailable when the chain stayed contended."""
        fact = Fact(kind=kind, at=at, fields=fields)
        for _ in range(_TRIES):
            link = next_link(self.journal.head(fact.day), fact)
            if self.journal.put(link):
                return link
        raise Unavailable(f"the journal of {fact.day} stayed contended over {_TRIES} tries")
