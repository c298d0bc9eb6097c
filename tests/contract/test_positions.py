"""What every store of positions promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from shared.adapters.aws.book import DynamoPositions
from shared.adapters.memory.book import MemoryPositions
from shared.domain.assets import Symbol
from shared.domain.errors import Conflict
from shared.ports.book import Positions
from tests.contract.conftest import NewTable
from tests.fakes.racing import WRITERS, race, race_to_write, until_written
from tests.unit.builders import AAPL, holding

STORES: dict[str, Callable[[NewTable], Positions]] = {
    "memory": lambda new_table: MemoryPositions(),
    "dynamodb": lambda new_table: DynamoPositions(new_table()),
}


@pytest.fixture(params=sorted(STORES))
def positions(request: pytest.FixtureRequest, new_table: NewTable) -> Positions:
    return STORES[request.param](new_table)


def test_nothing_is_held_at_first(positions: Positions) -> None:
    assert list(positions.all()) == []


def test_positions_read_back_as_they_were_put_one_version_later(positions: Positions) -> None:
    tsla = holding("10.400000001", "184.8200", trailing="0.10", take_profit="0.5", high="201.123456789")
    aapl = replace(holding(), symbol=AAPL)

    saved = [positions.put(tsla), positions.put(aapl)]

    assert saved == [replace(tsla, version=1), replace(aapl, version=1)]
    assert sorted(positions.all(), key=lambda position: position.symbol) == sorted(saved, key=lambda p: p.symbol)


def test_readable_gives_what_all_gives_while_everything_can_be_read(positions: Positions) -> None:
    positions.put(holding())
    positions.put(replace(holding(), symbol=AAPL))

    readable = positions.readable()

    assert list(readable.positions) == list(positions.all())
    assert list(readable.problems) == []


def test_put_keeps_every_digit(positions: Positions) -> None:
    positions.put(holding("10.40", "184.820"))

    (stored,) = positions.all()
    assert (str(stored.quantity), str(stored.average_entry_price)) == ("10.40", "184.820")


def test_put_over_a_newer_version_is_a_conflict_and_changes_nothing(positions: Positions) -> None:
    first = positions.put(holding())
    second = positions.put(replace(first, quantity=Decimal(7)))

    for stale in (first, holding()):
        with pytest.raises(Conflict):
            positions.put(replace(stale, quantity=Decimal(1)))
    assert list(positions.all()) == [second]


def test_put_of_a_version_that_was_removed_is_a_conflict(positions: Positions) -> None:
    stored = positions.put(holding())
    positions.remove(stored)

    with pytest.raises(Conflict):
        positions.put(stored)
    assert list(positions.all()) == []


def test_removed_position_is_gone_and_can_be_opened_again(positions: Positions) -> None:
    positions.remove(positions.put(holding()))

    assert list(positions.all()) == []
    assert positions.put(holding()).version == 1


def test_removing_an_absent_position_changes_nothing(positions: Positions) -> None:
    other = positions.put(replace(holding(), symbol=AAPL))

    positions.remove(holding())
    positions.remove(replace(holding(), version=4))

    assert list(positions.all()) == [other]


def test_removing_an_old_version_is_a_conflict_and_keeps_the_position(positions: Positions) -> None:
    first = positions.put(holding())
    second = positions.put(replace(first, quantity=Decimal(7)))

    for stale in (first, holding()):
        with pytest.raises(Conflict):
            positions.remove(stale)
    assert list(positions.all()) == [second]


def test_of_parallel_puts_of_one_version_one_wins(positions: Positions) -> None:
    stored = positions.put(holding())

    won = race_to_write(lambda number: positions.put(replace(stored, quantity=Decimal(number + 1))))

    assert list(positions.all()) == won


def test_of_parallel_puts_and_removals_of_one_version_one_wins(positions: Positions) -> None:
    """A removal that comes after a put loses; one that finds nothing any more has nothing to do."""
    stored = positions.put(holding())

    def act(number: int) -> str:
        if number % 2:
            positions.remove(stored)
            return "removed"
        positions.put(replace(stored, quantity=Decimal(number + 1)))
        return "put"

    won = race_to_write(act)

    held = list(positions.all())
    assert won.count("put") == len(held) <= 1
    assert ("removed" in won) != bool(held)


def test_parallel_writers_lose_no_update(positions: Positions) -> None:
    positions.put(holding("1"))

    def add_one(_: int) -> None:
        def attempt() -> None:
            (stored,) = positions.all()
            positions.put(replace(stored, quantity=stored.quantity + 1))

        until_written(attempt)

    race(add_one)

    (stored,) = positions.all()
    assert (int(stored.quantity), stored.version) == (WRITERS + 1, WRITERS + 1)


def test_parallel_puts_of_different_symbols_all_stand(positions: Positions) -> None:
    race(lambda number: positions.put(replace(holding(), symbol=Symbol(f"SYM{number}"))))

    assert {position.symbol for position in positions.all()} == {f"SYM{number}" for number in range(WRITERS)}
