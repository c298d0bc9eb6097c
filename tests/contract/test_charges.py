"""What every store of charges promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.aws.budget import DynamoCharges
from shared.adapters.memory.budget import MemoryCharges
from shared.domain.budget import ReservationId
from shared.domain.charges import Booked
from shared.ports.budget import Charges
from tests.contract.conftest import NewTable
from tests.fakes.racing import race
from tests.unit.budgets import DAY, FRIDAY, SONNET_CALL, charged, wanted

STORES: dict[str, Callable[[NewTable], Charges]] = {
    "memory": lambda new_table: MemoryCharges(),
    "dynamodb": lambda new_table: DynamoCharges(new_table()),
}


@pytest.fixture(params=sorted(STORES))
def charges(request: pytest.FixtureRequest, new_table: NewTable) -> Charges:
    return STORES[request.param](new_table)


def test_charge_reads_back_as_it_was_put(charges: Charges) -> None:
    charge = replace(charged(wanted("naïve \ud800 id"), 13_440), note="“quotes” \ud800", usage=None, latency=None)

    assert charges.put(charge) == charge

    assert charges.get(DAY, charge.id) == charge
    assert list(charges.of_day(DAY)) == [charge]


def test_earlier_record_decides(charges: Charges) -> None:
    first = charged(wanted(), 13_440)
    charges.put(first)

    later = charged(wanted(), SONNET_CALL, at=FRIDAY + timedelta(hours=1), booked=Booked.ASSUMED)

    assert charges.put(later) == first
    assert charges.put(first) == first
    assert list(charges.of_day(DAY)) == [first]


def test_day_or_id_without_a_charge_has_none(charges: Charges) -> None:
    charges.put(charged(wanted(), 1))

    assert charges.get(DAY + timedelta(days=1), wanted().id) is None
    assert charges.get(DAY, ReservationId("other")) is None
    assert list(charges.of_day(DAY + timedelta(days=1))) == []


def test_day_lists_its_charges_oldest_first_whatever_their_ids(charges: Charges) -> None:
    put = [
        charges.put(charged(wanted(name), 1, at=FRIDAY + timedelta(seconds=second)))
        for name, second in [("b", 30), ("a", 20), ("d", 10), ("c", 10)]
    ]

    assert list(charges.of_day(DAY)) == [put[3], put[2], put[1], put[0]]


@pytest.mark.parametrize("name", ["", "x" * 900, "sha256:0"])
def test_any_text_is_an_id(charges: Charges, name: str) -> None:
    charge = charges.put(charged(wanted(name), 1))
    other = charges.put(charged(wanted(name + "!"), 2))

    assert (charges.get(DAY, charge.id), charges.get(DAY, other.id)) == (charge, other)


def test_of_parallel_records_for_one_id_all_learn_of_the_same_one(charges: Charges) -> None:
    found = race(lambda number: charges.put(charged(wanted(), number)))

    assert len({charge.cost for charge in found}) == 1
    assert charges.get(DAY, wanted().id) == found[0]
