"""What every store of leases promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.adapters.aws.book import DynamoLeases
from shared.adapters.memory.book import MemoryLeases
from shared.ports.book import Leases
from tests.contract.conftest import NewTable
from tests.fakes.racing import race
from tests.unit.builders import MINUTE, NOW

STORES: dict[str, Callable[[NewTable], Leases]] = {
    "memory": lambda new_table: MemoryLeases(),
    "dynamodb": lambda new_table: DynamoLeases(new_table()),
}
END = NOW + MINUTE
MOMENT = timedelta(microseconds=1)


@pytest.fixture(params=sorted(STORES))
def leases(request: pytest.FixtureRequest, new_table: NewTable) -> Leases:
    return STORES[request.param](new_table)


def test_lease_is_held_until_it_ends(leases: Leases) -> None:
    assert leases.acquire("executor", "first", NOW, END)
    assert not leases.acquire("executor", "second", END - MOMENT, END + MINUTE)
    assert leases.acquire("executor", "second", END, END + MINUTE)
    assert not leases.acquire("executor", "first", END, END + MINUTE)


def test_owner_may_take_its_lease_again_for_longer(leases: Leases) -> None:
    assert leases.acquire("executor", "first", NOW, END)
    assert leases.acquire("executor", "first", NOW, END + MINUTE)
    assert not leases.acquire("executor", "second", END, END + MINUTE)


def test_leases_of_different_names_are_apart(leases: Leases) -> None:
    assert leases.acquire("executor", "first", NOW, END)
    assert leases.acquire("router", "second", NOW, END)


def test_released_lease_is_free(leases: Leases) -> None:
    leases.acquire("executor", "first", NOW, END)
    leases.release("executor", "first")

    assert leases.acquire("executor", "second", NOW, END)


def test_only_the_owner_releases(leases: Leases) -> None:
    leases.acquire("executor", "first", NOW, END)
    leases.release("executor", "second")

    assert not leases.acquire("executor", "second", NOW, END)


def test_releasing_what_is_not_held_changes_nothing(leases: Leases) -> None:
    leases.release("executor", "first")

    assert leases.acquire("executor", "second", NOW, END)


def test_of_parallel_owners_one_holds_the_lease(leases: Leases) -> None:
    held = race(lambda number: leases.acquire("executor", f"owner-{number}", NOW, END))

    assert held.count(True) == 1
    assert leases.acquire("executor", f"owner-{held.index(True)}", NOW, END)


def test_of_parallel_owners_after_the_end_one_takes_over(leases: Leases) -> None:
    leases.acquire("executor", "first", NOW, END)

    held = race(lambda number: leases.acquire("executor", f"owner-{number}", END, END + MINUTE))

    assert held.count(True) == 1
