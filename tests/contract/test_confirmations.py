"""What every store of the live confirmation promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.aws.confirmations import DynamoConfirmations
from shared.adapters.memory.confirmations import MemoryConfirmations
from shared.domain.stage import LiveConfirmation, Stage
from shared.ports.confirmations import Confirmations
from tests.contract.conftest import NewTable

STORES: dict[str, Callable[[NewTable], Confirmations]] = {
    "memory": lambda new_table: MemoryConfirmations(),
    "dynamodb": lambda new_table: DynamoConfirmations(new_table()),
}
CONFIRMED = LiveConfirmation(
    account="123456789",
    stage=Stage.LIVE_1,
    confirmed_at=datetime(2026, 2, 4, 13, 30, 0, 123456, UTC),
    by="ann “the operator”",
)


@pytest.fixture(params=sorted(STORES))
def confirmations(request: pytest.FixtureRequest, new_table: NewTable) -> Confirmations:
    return STORES[request.param](new_table)


def test_nobody_has_confirmed_at_first(confirmations: Confirmations) -> None:
    assert confirmations.get() is None


def test_a_confirmation_reads_back_as_it_was_put(confirmations: Confirmations) -> None:
    confirmations.put(CONFIRMED)
    confirmations.put(CONFIRMED)

    assert confirmations.get() == CONFIRMED


def test_a_newer_confirmation_takes_the_place_of_the_one_before(confirmations: Confirmations) -> None:
    newer = replace(CONFIRMED, stage=Stage.LIVE_2, confirmed_at=CONFIRMED.confirmed_at + timedelta(days=1))
    confirmations.put(CONFIRMED)
    confirmations.put(newer)

    assert confirmations.get() == newer
