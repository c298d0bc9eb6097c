"""What every store of controls and watchlists promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from shared.adapters.aws.book import DynamoControls, DynamoWatchlist
from shared.adapters.memory.book import MemoryControls, MemoryWatchlist
from shared.domain.errors import Conflict
from shared.domain.trading_state import HaltReason, KillSwitch, SwitchMode, trading_state
from shared.ports.book import Controls, Watchlist
from tests.contract.conftest import NewTable
from tests.fakes.racing import race, race_to_write
from tests.unit.builders import AAPL, NOW, NVDA, TSLA, began_with

CONTROLS: dict[str, Callable[[NewTable], Controls]] = {
    "memory": lambda new_table: MemoryControls(),
    "dynamodb": lambda new_table: DynamoControls(new_table()),
}
WATCHLISTS: dict[str, Callable[[NewTable], Watchlist]] = {
    "memory": lambda new_table: MemoryWatchlist([TSLA, NVDA]),
    "dynamodb": lambda new_table: DynamoWatchlist(new_table(), [TSLA, NVDA]),
}
ENGAGED = KillSwitch(mode=SwitchMode.KILL, by="ada", why="half a \ud83d surrogate, “quotes” and an é")


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

    cleared = KillSwitch(mode=SwitchMode.OFF, by="ada", why="all is well")
    controls.set_kill_switch(cleared)
    assert controls.kill_switch() == cleared


@pytest.mark.parametrize("mode", SwitchMode)
def test_kill_switch_keeps_its_mode_and_the_time_it_was_set(controls: Controls, mode: SwitchMode) -> None:
    switch = KillSwitch(mode=mode, by="ada", why="a test", at=NOW)
    controls.set_kill_switch(switch)
    assert controls.kill_switch() == switch


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


LOSSES = began_with(Decimal("100000.10"))


def test_no_losses_before_the_first_tick(controls: Controls) -> None:
    assert controls.losses() is None


def test_losses_read_back_as_they_were_put_one_version_later(controls: Controls) -> None:
    saved = controls.put_losses(replace(LOSSES, day=replace(LOSSES.day, tripped_at=NOW)))

    assert saved == replace(LOSSES, day=replace(LOSSES.day, tripped_at=NOW), version=1)
    assert controls.losses() == saved


def test_losses_over_a_newer_version_are_a_conflict_so_that_no_trip_is_lost(controls: Controls) -> None:
    first = controls.put_losses(LOSSES)
    tripped = controls.put_losses(replace(first, week=replace(first.week, tripped_at=NOW)))

    for stale in (LOSSES, first):
        with pytest.raises(Conflict):
            controls.put_losses(stale)
    assert controls.losses() == tripped


def test_of_parallel_losses_of_one_version_one_wins(controls: Controls) -> None:
    won = race_to_write(
        lambda number: controls.put_losses(replace(LOSSES, day=replace(LOSSES.day, equity=Decimal(number + 1))))
    )

    assert [controls.losses()] == won


def test_of_parallel_settings_one_stands_whole(controls: Controls) -> None:
    switches = [KillSwitch(mode=list(SwitchMode)[number % 4], by=str(number), why=str(number)) for number in range(32)]

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
