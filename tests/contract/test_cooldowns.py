"""What every store of cooldowns promises (MOV-02); each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

import pytest

from shared.adapters.aws.book import DynamoCooldowns
from shared.adapters.memory.book import MemoryCooldowns
from shared.ports.book import Cooldowns
from tests.contract.conftest import NewTable
from tests.fakes.racing import race
from tests.unit.builders import MINUTE, NOW

STORES: dict[str, Callable[[NewTable], Cooldowns]] = {
    "memory": lambda new_table: MemoryCooldowns(),
    "dynamodb": lambda new_table: DynamoCooldowns(new_table()),
}
MOVE = "move|TSLA"
END = NOW + 15 * MINUTE
MOMENT = timedelta(microseconds=1)


@pytest.fixture(params=sorted(STORES))
def cooldowns(request: pytest.FixtureRequest, new_table: NewTable) -> Cooldowns:
    return STORES[request.param](new_table)


def test_quiet_time_starts_once_and_again_when_it_is_over(cooldowns: Cooldowns) -> None:
    assert cooldowns.start(MOVE, NOW, END)
    assert not cooldowns.start(MOVE, NOW, END)
    assert not cooldowns.start(MOVE, END - MOMENT, END + MINUTE)
    assert cooldowns.start(MOVE, END, END + MINUTE)
    assert not cooldowns.start(MOVE, END + MOMENT, END + MINUTE)


def test_each_key_has_a_quiet_time_of_its_own(cooldowns: Cooldowns) -> None:
    assert cooldowns.start(MOVE, NOW, END)
    assert cooldowns.start("move|AAPL", NOW, END)


@pytest.mark.parametrize("key", ["", "x" * 5_000, "naïve \ud800 key"])
def test_any_text_is_a_key(cooldowns: Cooldowns, key: str) -> None:
    assert cooldowns.start(key, NOW, END)
    assert not cooldowns.start(key, NOW, END)
    assert cooldowns.start(key + "!", NOW, END)


def test_long_key_and_its_own_hash_are_two_keys(cooldowns: Cooldowns) -> None:
    key = "x" * 5_000

    assert cooldowns.start(key, NOW, END)
    assert cooldowns.start(f"sha256:{sha256(key.encode()).hexdigest()}", NOW, END)


def test_extended_quiet_time_lasts_longer(cooldowns: Cooldowns) -> None:
    cooldowns.start(MOVE, NOW, END)
    cooldowns.extend(MOVE, END + MINUTE)

    assert not cooldowns.start(MOVE, END + MINUTE - MOMENT, END + 2 * MINUTE)
    assert cooldowns.start(MOVE, END + MINUTE, END + 2 * MINUTE)


def test_extending_never_shortens(cooldowns: Cooldowns) -> None:
    cooldowns.start(MOVE, NOW, END)
    cooldowns.extend(MOVE, NOW + MINUTE)

    assert not cooldowns.start(MOVE, END - MOMENT, END + MINUTE)


def test_extending_what_does_not_run_begins_it(cooldowns: Cooldowns) -> None:
    cooldowns.extend(MOVE, END)

    assert not cooldowns.start(MOVE, NOW, END)


def test_fifty_parallel_starts_give_one_true_and_leave_another_key_alone(cooldowns: Cooldowns) -> None:
    assert race(lambda _: cooldowns.start(MOVE, NOW, END), writers=50).count(True) == 1
    assert cooldowns.start("move|AAPL", NOW, END)


def test_of_parallel_extensions_the_longest_stands(cooldowns: Cooldowns) -> None:
    race(lambda number: cooldowns.extend(MOVE, NOW + number * MINUTE))

    assert not cooldowns.start(MOVE, NOW + 31 * MINUTE - MOMENT, END)
    assert cooldowns.start(MOVE, NOW + 31 * MINUTE, END)
