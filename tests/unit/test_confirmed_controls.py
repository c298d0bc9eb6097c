"""With real money, no entry leaves while no confirmation holds (ORD-02)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from shared.adapters.memory.book import MemoryControls
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.confirmations import MemoryConfirmations
from shared.bootstrap.confirmed import ConfirmedControls
from shared.domain.errors import Unavailable
from shared.domain.stage import CONFIRMED_FOR, LiveConfirmation, Stage
from shared.domain.trading_state import KillSwitch, SwitchMode, trading_state
from shared.use_cases.check_risk import read_kill_switch
from tests.unit.builders import began_with

NOW = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)
ACCOUNT = "123456789"


class Unreadable(MemoryConfirmations):
    def get(self) -> LiveConfirmation | None:
        raise Unavailable("the Book does not answer")


def controls(confirmations: MemoryConfirmations, stage: Stage = Stage.LIVE_1, now: datetime = NOW) -> ConfirmedControls:
    return ConfirmedControls(MemoryControls(), confirmations, SimulatedClock(now), stage, ACCOUNT)


def confirmed(stage: Stage = Stage.LIVE_1, account: str = ACCOUNT) -> MemoryConfirmations:
    confirmations = MemoryConfirmations()
    confirmations.put(LiveConfirmation(account=account, stage=stage, confirmed_at=NOW, by="ann"))
    return confirmations


def test_confirmed_stage_lets_entries_out() -> None:
    assert not controls(confirmed()).kill_switch().engaged


@pytest.mark.parametrize(
    "confirmations", [MemoryConfirmations(), confirmed(Stage.LIVE_2), confirmed(account="987654321")]
)
def test_stage_that_nobody_confirmed_counts_as_killed_and_says_why(confirmations: MemoryConfirmations) -> None:
    switch = controls(confirmations).kill_switch()
    assert switch.engaged
    assert "live-1" in switch.why


def test_ended_confirmation_counts_as_killed() -> None:
    assert controls(confirmed(), now=NOW + CONFIRMED_FOR).kill_switch().engaged
    assert not controls(confirmed(), now=NOW + CONFIRMED_FOR - timedelta(seconds=1)).kill_switch().engaged


def test_confirmation_that_cannot_be_read_counts_as_killed() -> None:
    assert read_kill_switch(controls(Unreadable())).engaged


def test_stored_kill_switch_stays_set_whatever_is_confirmed() -> None:
    confirmed_controls = controls(confirmed())
    confirmed_controls.set_kill_switch(KillSwitch(mode=SwitchMode.KILL, by="ann", why="holiday"))
    assert confirmed_controls.kill_switch() == KillSwitch(mode=SwitchMode.KILL, by="ann", why="holiday")


def test_trading_state_is_the_published_one() -> None:
    confirmed_controls = controls(confirmed())
    confirmed_controls.publish_trading_state(trading_state(()))
    assert confirmed_controls.trading_state() == trading_state(())


def test_losses_are_those_of_the_stored_controls() -> None:
    live = controls(confirmed())
    saved = live.put_losses(began_with(Decimal(100)))
    assert live.losses() == saved == replace(began_with(Decimal(100)), version=1)
