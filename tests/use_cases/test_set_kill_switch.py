"""The kill switch: the flag first, then the telling."""

from __future__ import annotations

from contextlib import suppress

import pytest

from shared.domain.alerts import AlertKind, Severity
from shared.domain.errors import Unavailable
from shared.domain.trading_state import SwitchMode
from tests.fakes.desk import Desk, held
from tests.fakes.venue import AAPL, TSLA

DOWN = Unavailable("down")


def test_setting_it_is_told_journaled_and_wakes_the_executor() -> None:
    desk = Desk()
    desk.world.doorbell.take()
    desk.use.set_kill_switch(SwitchMode.KILL, by="ann", why="a bad feeling")
    switch = desk.world.controls.kill_switch()
    assert (switch.engaged, switch.by, switch.why) == (True, "ann", "a bad feeling")
    assert [(a.kind, a.severity, a.recovers) for a in desk.heard()] == [(AlertKind.BREAKER, Severity.CRITICAL, False)]
    assert desk.facts("kill_switch") == 1
    assert desk.world.doorbell.answer()


def test_clearing_it_ends_the_incident_and_lets_entries_pass_again() -> None:
    desk = Desk()
    desk.use.set_kill_switch(SwitchMode.KILL, by="ann", why="test")
    assert desk.enter().intent is None
    desk.heard()
    desk.use.set_kill_switch(SwitchMode.OFF, by="ann", why="test", typed="clear")
    assert [a.recovers for a in desk.heard()] == [True]
    desk.check()
    assert desk.enter().intent is not None


@pytest.mark.parametrize("call", ["alerts.send", "journal.put", "doorbell.ring"])
def test_the_flag_is_set_whatever_else_fails(call: str) -> None:
    desk = Desk()
    desk.faults.fail(call, DOWN)
    with suppress(Unavailable):
        desk.use.set_kill_switch(SwitchMode.KILL, by="ann", why="test")
    assert desk.world.controls.kill_switch().engaged


def test_a_flag_that_cannot_be_written_is_an_error() -> None:
    desk = Desk()
    desk.faults.fail("controls.set_kill_switch", DOWN)
    with pytest.raises(Unavailable):
        desk.use.set_kill_switch(SwitchMode.KILL, by="ann", why="test")


def test_it_stays_set_until_a_person_clears_it() -> None:
    desk = Desk()
    desk.use.set_kill_switch(SwitchMode.KILL, by="ann", why="test")
    for _ in range(30):
        desk.minute()
    assert desk.enter().intent is None


def test_resting_entries_are_canceled_within_two_ticks_and_a_breached_stop_still_sells() -> None:
    desk = Desk(held(AAPL, "10", "100"))
    entry = desk.entry(TSLA)
    desk.place()
    assert desk.live() == [entry.id]
    desk.use.set_kill_switch(SwitchMode.KILL, by="ann", why="test")
    desk.set_price(AAPL, "94")
    desk.minute()
    assert entry.id not in desk.live()
    assert [o.symbol for o in desk.orders() if o.side == "sell"] == [AAPL]
