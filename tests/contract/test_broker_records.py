"""What every store of broker facts promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from shared.adapters.aws.book import DynamoBrokerRecords
from shared.adapters.memory.book import MemoryBrokerRecords
from shared.domain.errors import Conflict
from shared.domain.reconciliation import BrokerFacts, Difference, DifferenceKind, Filled
from shared.ports.book import BrokerRecords
from tests.contract.conftest import NewTable
from tests.fakes.racing import WRITERS, race, race_to_write, until_written
from tests.unit.builders import AAPL, NOW, TSLA, intent

STORES: dict[str, Callable[[NewTable], BrokerRecords]] = {
    "memory": lambda new_table: MemoryBrokerRecords(),
    "dynamodb": lambda new_table: DynamoBrokerRecords(new_table()),
}
FACTS = BrokerFacts(
    at=NOW,
    cash=Decimal("-12.340"),
    equity=Decimal("100000.00"),
    quantities={TSLA: Decimal("10.400000001"), AAPL: Decimal(3)},
    fills={intent().id: Filled(TSLA, Decimal("-0.5"), Decimal("92.41"))},
    frozen=frozenset({TSLA, AAPL}),
    clean=False,
    untold=(
        Difference(kind=DifferenceKind.CASH, subject="account", at=NOW, expected=Decimal(1), found=Decimal("0.99")),
    ),
    strangers=frozenset({"TSLA 904837e3"}),
)


@pytest.fixture(params=sorted(STORES))
def records(request: pytest.FixtureRequest, new_table: NewTable) -> BrokerRecords:
    return STORES[request.param](new_table)


def test_nothing_is_known_before_the_first_pass(records: BrokerRecords) -> None:
    assert records.last() is None


def test_facts_read_back_as_they_were_put_one_version_later(records: BrokerRecords) -> None:
    saved = records.put(FACTS)

    assert saved == replace(FACTS, version=1)
    assert records.last() == saved


def test_put_over_a_newer_version_is_a_conflict_and_changes_nothing(records: BrokerRecords) -> None:
    first = records.put(FACTS)
    second = records.put(replace(first, clean=True))

    for stale in (first, FACTS):
        with pytest.raises(Conflict):
            records.put(stale)
    assert records.last() == second


def test_of_parallel_puts_of_one_version_one_wins(records: BrokerRecords) -> None:
    won = race_to_write(lambda number: records.put(replace(FACTS, cash=Decimal(number))))

    assert [records.last()] == won


def test_parallel_writers_lose_no_update(records: BrokerRecords) -> None:
    records.put(replace(FACTS, cash=Decimal(0)))

    def add_one(_: int) -> None:
        def attempt() -> None:
            last = records.last()
            assert last is not None
            records.put(replace(last, cash=last.cash + 1))

        until_written(attempt)

    race(add_one)

    last = records.last()
    assert last is not None
    assert (int(last.cash), last.version) == (WRITERS, WRITERS + 1)
