"""Batches under way in DynamoDB: one item each in the Book, under `batches` and the provider's name for it.

Two hundred reservations take about 150 KB of the 400 KB that an item may have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shared.adapters.aws.stored_items import StoredItems
from shared.adapters.aws.table import ABSENT, Condition, Key, Table, key_part
from shared.contracts.stored import PENDING_BATCH
from shared.domain.questions import PendingBatch

_THERE: Final = Condition("attribute_exists(#pk)")
_BATCHES: Final = "batches"


class DynamoPendingBatches:
    """Batches that were handed in and not settled yet."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._batches = StoredItems(table, PENDING_BATCH)

    def put(self, batch: PendingBatch) -> None:
        self._batches.put(_place(batch.name), batch, when=ABSENT)

    def all(self) -> Sequence[PendingBatch]:
        found = [self._batches.read(item) for item in self._table.query(_BATCHES)]
        return sorted(found, key=lambda batch: (batch.submitted_at, batch.name))

    def remove(self, name: str) -> None:
        self._table.delete(_place(name), schema=PENDING_BATCH.schema, when=_THERE)


def _place(name: str) -> Key:
    return Key(_BATCHES, key_part(name))
