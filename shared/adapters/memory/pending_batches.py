"""Batches under way, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from shared.domain.questions import PendingBatch


class MemoryPendingBatches:
    """Batches that were handed in and not settled yet."""

    def __init__(self) -> None:
        self._batches: dict[str, PendingBatch] = {}

    def put(self, batch: PendingBatch) -> None:
        self._batches[batch.name] = batch

    def all(self) -> Sequence[PendingBatch]:
        return sorted(self._batches.values(), key=lambda batch: (batch.submitted_at, batch.name))

    def remove(self, name: str) -> None:
        self._batches.pop(name, None)
