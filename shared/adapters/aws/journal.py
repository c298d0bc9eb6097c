"""The journal in DynamoDB: one item per day and number, written once and never changed.

A day's links lie under `day#` and the date, sorted by their number. Two writers that follow the same link both want
the next number, and only one of them gets it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from shared.adapters.aws.stored_items import StoredItems
from shared.adapters.aws.table import ABSENT, Key, Table
from shared.contracts.stored import LINK
from shared.domain.journal import Link


class DynamoJournal:
    """Append-only links, one partition per day."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._links = StoredItems(table, LINK)

    def head(self, day: date) -> Link | None:
        newest = self._table.query(_day(day), newest_first=True, limit=1)
        return self._links.read(newest[0]) if newest else None

    def put(self, link: Link) -> bool:
        return self._links.put(Key(_day(link.day), f"{link.sequence:010d}"), link, when=ABSENT)

    def links(self, day: date) -> Sequence[Link]:
        """Read a day's links in order, for verification and export."""
        return [self._links.read(item) for item in self._table.query(_day(day))]


def _day(day: date) -> str:
    return f"day#{day.isoformat()}"
