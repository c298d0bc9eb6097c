"""What every store of pending batches promises (BUD-10); each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.adapters.aws.pending_batches import DynamoPendingBatches
from shared.adapters.memory.pending_batches import MemoryPendingBatches
from shared.domain.questions import PendingBatch
from shared.ports.budget import PendingBatches
from shared.use_cases.ask_in_batch import MOST_IN_BATCH
from tests.contract.conftest import NewTable
from tests.unit.builders import MINUTE
from tests.unit.stored_values import pending_batch

STORES: dict[str, Callable[[NewTable], PendingBatches]] = {
    "memory": lambda new_table: MemoryPendingBatches(),
    "dynamodb": lambda new_table: DynamoPendingBatches(new_table()),
}
FIRST = pending_batch()
SECOND = replace(FIRST, name="msgbatch_02", submitted_at=FIRST.submitted_at + MINUTE)


@pytest.fixture(params=sorted(STORES))
def pending(request: pytest.FixtureRequest, new_table: NewTable) -> PendingBatches:
    return STORES[request.param](new_table)


def test_batches_come_back_oldest_first_as_they_were(pending: PendingBatches) -> None:
    for batch in (SECOND, FIRST, FIRST):
        pending.put(batch)
    assert list(pending.all()) == [FIRST, SECOND]


def test_a_batch_is_forgotten_by_its_name_and_an_absent_one_stays_absent(pending: PendingBatches) -> None:
    pending.put(FIRST)
    pending.put(SECOND)
    pending.remove(FIRST.name)
    pending.remove(FIRST.name)
    assert list(pending.all()) == [SECOND]


def test_the_largest_batch_fits(pending: PendingBatches) -> None:
    largest: PendingBatch = replace(FIRST, held=FIRST.held * MOST_IN_BATCH)
    pending.put(largest)
    assert list(pending.all()) == [largest]
