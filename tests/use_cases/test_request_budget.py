"""The broker's rate window: its last requests are kept for exits, and entries wait for the next one (ORD-08)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from shared.bootstrap.offline import OFFLINE_ACCOUNT
from shared.bootstrap.wiring import Rules, UseCases
from shared.domain.errors import Throttled
from shared.domain.intents import IntentState
from shared.domain.orders import RequestAllowance
from shared.ports.broker import Broker
from tests.fakes.desk import OWNER, Desk, held
from tests.fakes.venue import TSLA

S = IntentState


class Rationed:
    """A broker that says how many requests are left."""

    def __init__(self, broker: Broker, left: RequestAllowance | None) -> None:
        self._broker = broker
        self._left = left

    def allowance(self) -> RequestAllowance | None:
        return self._left

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


def rationed(desk: Desk, remaining: int, resets_in: timedelta = timedelta(seconds=20)) -> UseCases:
    left = RequestAllowance(remaining, desk.clock.now() + resets_in)
    return UseCases(
        replace(desk.ports, broker=cast(Broker, Rationed(desk.ports.broker, left))), OFFLINE_ACCOUNT, Rules()
    )


@pytest.mark.parametrize(("remaining", "sent"), [(0, 0), (40, 0), (41, 1), (200, 1)])
def test_the_last_requests_of_the_window_are_kept_for_exits(remaining: int, sent: int) -> None:
    desk = Desk()
    entry = desk.entry()
    report = rationed(desk, remaining).place_orders(OWNER)
    assert (len(report.sent), len(report.waiting)) == (sent, 1 - sent)
    assert desk.state(entry) is (S.ACKED if sent else S.PREPARED)


def test_an_exit_takes_the_last_request_of_the_window() -> None:
    desk = Desk(held(TSLA, "10", "100"))
    exit_ = desk.breach(TSLA, "94")
    assert rationed(desk, 1).place_orders(OWNER).sent == [exit_.id]


def test_an_entry_that_waited_for_the_window_goes_when_it_is_over() -> None:
    desk = Desk()
    entry = desk.entry()
    use = rationed(desk, 0)
    desk.world.doorbell.answer()
    use.place_orders(OWNER)
    assert not desk.world.doorbell.answer()
    desk.wait(timedelta(seconds=20))
    assert desk.world.doorbell.answer()
    assert use.place_orders(OWNER).sent == [entry.id]


@pytest.mark.parametrize("call", ["broker.account", "broker.asset"])
def test_an_entry_waits_when_the_broker_wants_quiet_while_it_is_weighed(call: str) -> None:
    desk = Desk()
    entry = desk.entry()
    desk.faults.fail(call, Throttled("429", timedelta(seconds=5)), times=1)
    assert desk.place().waiting == [entry.id]
    desk.wait(timedelta(seconds=5))
    assert desk.place().sent == [entry.id]
