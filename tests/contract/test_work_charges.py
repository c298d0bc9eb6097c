"""What every store of claims on work promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.adapters.aws.budget import DynamoWorkCharges
from shared.adapters.memory.budget import MemoryWorkCharges
from shared.domain.calls import WorkId
from shared.ports.budget import WorkCharges
from tests.contract.conftest import NewTable
from tests.fakes.racing import race
from tests.unit.budgets import FRIDAY

STORES: dict[str, Callable[[NewTable], WorkCharges]] = {
    "memory": lambda new_table: MemoryWorkCharges(),
    "dynamodb": lambda new_table: DynamoWorkCharges(new_table()),
}
WORK = WorkId("article 7")


@pytest.fixture(params=sorted(STORES))
def work_charges(request: pytest.FixtureRequest, new_table: NewTable) -> WorkCharges:
    return STORES[request.param](new_table)


def claim(work_charges: WorkCharges, most: int = 3, work: WorkId = WORK) -> int | None:
    return work_charges.claim(work, most, FRIDAY)


def test_work_is_claimed_so_often_and_then_no_more(work_charges: WorkCharges) -> None:
    assert [claim(work_charges) for _ in range(8)] == [1, 2, 3, None, None, None, None, None]


def test_each_piece_of_work_has_a_count_of_its_own(work_charges: WorkCharges) -> None:
    for name in ("", "x" * 5_000, "naïve \ud800 article"):
        assert claim(work_charges, most=1, work=WorkId(name)) == 1
        assert claim(work_charges, most=1, work=WorkId(name)) is None


def test_nothing_is_claimed_when_nothing_may_be_charged(work_charges: WorkCharges) -> None:
    assert claim(work_charges, most=0) is None
    assert claim(work_charges) == 1


def test_claim_that_is_given_back_is_free_again(work_charges: WorkCharges) -> None:
    claim(work_charges, most=1)
    work_charges.give_back(WORK, 1)

    assert claim(work_charges, most=1) == 1
    assert claim(work_charges, most=1) is None


def test_only_the_newest_claim_is_taken_back_and_once(work_charges: WorkCharges) -> None:
    claim(work_charges)
    claim(work_charges)

    work_charges.give_back(WORK, 1)
    assert claim(work_charges) == 3
    work_charges.give_back(WORK, 3)
    work_charges.give_back(WORK, 3)
    assert claim(work_charges) == 3


def test_giving_back_what_was_never_claimed_changes_nothing(work_charges: WorkCharges) -> None:
    work_charges.give_back(WORK, 1)

    assert claim(work_charges) == 1


def test_of_parallel_claims_as_many_as_allowed_get_numbers_of_their_own(work_charges: WorkCharges) -> None:
    found = race(lambda _: claim(work_charges))

    assert sorted(number for number in found if number is not None) == [1, 2, 3]


def test_parallel_claims_and_returns_leave_the_count_of_those_that_stayed(work_charges: WorkCharges) -> None:
    def act(number: int) -> bool:
        claimed = claim(work_charges, most=100)
        assert claimed is not None
        if number % 2:
            work_charges.give_back(WORK, claimed)
        return True

    race(act)

    next_number = claim(work_charges, most=100)
    assert next_number is not None
    assert 17 <= next_number <= 33
