"""What every store of controls and watchlists promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.adapters.aws.book import DynamoControls, DynamoWatchlist
from shared.adapters.memory.book import MemoryControls, MemoryWatchlist
from shared.domain.trading_state import HaltReason, KillSwitch, trading_state
from shared.ports.book import Controls, Watchlist
from tests.contract.conftest import NewTable
from tests.fakes.racing import race
from tests.unit.builders import AAPL, NVDA, TSLA

CONTROLS: dict[str, Callable[[NewTable], Controls]] = {
    "memory": lambda new_table: MemoryControls(),
    "dynamodb": lambda new_table: DynamoControls(new_table()),
}
WATCHLISTS: dict[str, Callable[[NewTable], Watchlist]] = {
    "memory": lambda new_table: MemoryWatchlist([TSLA, NVDA]),
    "dynamodb": lambda new_table: DynamoWatchlist(new_table(), [TSLA, NVDA]),
}
ENGAGED = KillSwitch(engaged=True, by="ada", why="half a \ud83d surrogate, “quotes” and an é")


@pytest.fixture(params=sorted(CONTROLS))
def controls(request: pytest.FixtureRequest, new_table: NewTable) -> Controls:
    return CONTROLS[request.param](new_table)


@pytest.fixture(params=sorted(WATCHLISTS))
def watchlist(request: pytest.FixtureRequest, new_table: NewTable) -> Watchlist:
    return WATCHLISTS[request.param](new_table)


def test_kill_switch_is_clear_until_somebody_sets_it(controls: Controls) -> None:
    assert not controls.kill_switch().engaged


def test_kill_switch_reads_as_it_was_last_set(controls: Controls) -> None:
    controls.set_kill_switch(ENGAGED)
    assert controls.kill_switch() == ENGAGED

    cleared = KillSwitch(engaged=False, by="ada", why="all is well")
    controls.set_kill_switch(cleared)
    assert controls.kill_switch() == cleared


def test_no_trading_state_before_the_first_tick(controls: Controls) -> None:
    assert controls.trading_state() is None


@pytest.mark.parametrize("reasons", [[], [HaltReason.STALE_DATA], list(HaltReason)])
def test_trading_state_reads_as_it_was_last_published(controls: Controls, reasons: list[HaltReason]) -> None:
    controls.publish_trading_state(trading_state([HaltReason.MANUAL_PAUSE]))
    controls.publish_trading_state(trading_state(reasons))

    assert controls.trading_state() == trading_state(reasons)


def test_switch_and_state_do_not_touch_each_other(controls: Controls) -> None:
    controls.set_kill_switch(ENGAGED)
    controls.publish_trading_state(trading_state([]))

    assert controls.kill_switch() == ENGAGED
    assert controls.trading_state() == trading_state([])


def test_of_parallel_settings_one_stands_whole(controls: Controls) -> None:
    switches = [KillSwitch(engaged=bool(number % 2), by=str(number), why=str(number)) for number in range(32)]

    race(lambda number: controls.set_kill_switch(switches[number]))

    assert controls.kill_switch() in switches


def test_watchlist_is_the_configured_one(watchlist: Watchlist) -> None:
    assert list(watchlist.symbols()) == [TSLA, NVDA]


def test_stored_watchlist_takes_the_place_of_the_configured_one(new_table: NewTable) -> None:
    watchlist = DynamoWatchlist(new_table(), [TSLA])

    watchlist.put([NVDA, AAPL])
    assert list(watchlist.symbols()) == [NVDA, AAPL]

    watchlist.put([])
    assert list(watchlist.symbols()) == []
