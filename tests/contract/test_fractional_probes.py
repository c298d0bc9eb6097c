"""What every store of the fractional probe promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.aws.fractional_probes import DynamoFractionalProbes
from shared.adapters.memory.fractional_probes import MemoryFractionalProbes
from shared.domain.fractional import FractionalProbe
from shared.ports.fractional_probes import FractionalProbes
from tests.contract.conftest import NewTable

STORES: dict[str, Callable[[NewTable], FractionalProbes]] = {
    "memory": lambda new_table: MemoryFractionalProbes(),
    "dynamodb": lambda new_table: DynamoFractionalProbes(new_table()),
}
PROBED = FractionalProbe(market=True, limit=False, probed_at=datetime(2026, 2, 4, 15, 0, 0, 123456, UTC))


@pytest.fixture(params=sorted(STORES))
def probes(request: pytest.FixtureRequest, new_table: NewTable) -> FractionalProbes:
    return STORES[request.param](new_table)


def test_nobody_has_probed_at_first(probes: FractionalProbes) -> None:
    assert probes.get() is None


def test_a_probe_reads_back_as_it_was_put(probes: FractionalProbes) -> None:
    probes.put(PROBED)
    probes.put(PROBED)

    assert probes.get() == PROBED


def test_a_newer_probe_takes_the_place_of_the_one_before(probes: FractionalProbes) -> None:
    newer = replace(PROBED, stop=True, probed_at=PROBED.probed_at + timedelta(days=1))
    probes.put(PROBED)
    probes.put(newer)

    assert probes.get() == newer
