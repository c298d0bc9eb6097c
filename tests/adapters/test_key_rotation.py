"""Keys that change while the system runs: read anew when they are refused, and no order is lost or doubled (SEC-01)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from local_stack.exchange.server import ExchangeSimulator
from shared.adapters.alpaca import session
from shared.adapters.alpaca.broker import AlpacaBroker
from shared.adapters.alpaca.prices import AlpacaPrices
from shared.adapters.alpaca.session import Keys, Rotation, connect_data, connect_trading
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.errors import BrokerRefusal, HearthwatchError, MissingSecret, OutcomeUnknown, Unavailable
from tests.fakes.scripted_http import ScriptedServer, Step, hang, reply
from tests.fakes.venue import MINUTE, NOON, TSLA, bar, order, small_exchange

NEW = Keys("PKNEW", "new secret")
NEWER = Keys("PKNEWER", "newer secret")
ONE = order("hw-1", "buy", "1", "limit", "99")
TAKEN = {
    "id": "11111111-2222-4333-8444-000000000001",
    "client_order_id": "hw-1",
    "symbol": "TSLA",
    "side": "buy",
    "type": "limit",
    "time_in_force": "day",
    "qty": "1",
    "filled_qty": "0",
    "limit_price": "99",
    "status": "pending_new",
    "submitted_at": "2026-02-04T17:00:00.123456789Z",
}
UNAUTHORISED = reply(401, {"code": 40110000, "message": "request is not authorized"})
FORBIDDEN = reply(403, {"code": 40310000, "message": "forbidden."})


class Vault:
    """Where keys are kept; counts how often they are read."""

    def __init__(self, keys: Keys) -> None:
        self.keys = keys
        self.problem: HearthwatchError | None = None
        self.reads = 0

    def __call__(self) -> Keys:
        self.reads += 1
        if self.problem is not None:
            raise self.problem
        return self.keys


class Desk:
    """A simulated exchange with a broker and prices that share one rotation."""

    def __init__(self, simulator: ExchangeSimulator, clock: SimulatedClock) -> None:
        self.simulator = simulator
        self.clock = clock
        self.old = Keys(simulator.key_id, simulator.secret)
        self.vault = Vault(self.old)
        rotation = Rotation(self.vault, clock)
        signed: dict[str, Any] = {"url": simulator.url, "rotation": rotation}
        self.broker = AlpacaBroker(connect_trading(self.old.key_id, self.old.secret, **signed), clock)
        self.prices = AlpacaPrices(connect_data(self.old.key_id, self.old.secret, **signed), clock)

    def issue(self, keys: Keys) -> None:
        """Make new keys at the broker and put them where they are kept; the old ones stay good."""
        self.simulator.admit(keys.key_id, keys.secret)
        self.vault.keys = keys


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "TRADING_READ_SECONDS", 0.3)


@pytest.fixture
def desk() -> Iterator[Desk]:
    clock = SimulatedClock(NOON)
    with ExchangeSimulator(small_exchange(), clock) as simulator:
        simulator.feed(bar("100", at=NOON - MINUTE))
        yield Desk(simulator, clock)


def broker_at(url: str, vault: Vault) -> AlpacaBroker:
    clock = SimulatedClock(NOON)
    return AlpacaBroker(connect_trading("old", "old secret", url=url, rotation=Rotation(vault, clock)), clock)


def test_a_rotation_with_an_overlap_fails_no_request(desk: Desk) -> None:
    desk.broker.submit(order("before", "buy", "1", "limit", "99"))
    desk.issue(NEW)
    desk.broker.submit(order("both are good", "buy", "1", "limit", "99"))
    desk.simulator.revoke(desk.old.key_id)
    desk.broker.submit(order("after", "buy", "1", "limit", "99"))

    assert [live.client_order_id for live in desk.broker.live_orders()] == ["before", "both are good", "after"]
    assert desk.vault.reads == 1
    assert TSLA in desk.prices.quotes([TSLA])


def test_keys_rotated_twice_are_followed_twice(desk: Desk) -> None:
    for old, new in ((desk.old, NEW), (NEW, NEWER)):
        desk.issue(new)
        desk.simulator.revoke(old.key_id)
        desk.clock.set(desk.clock.now() + MINUTE)
        assert desk.broker.account().id

    assert desk.vault.reads == 2


def test_connections_that_share_keys_read_them_anew_once(desk: Desk) -> None:
    desk.issue(NEW)
    desk.simulator.revoke(desk.old.key_id)

    assert desk.broker.account().id
    assert TSLA in desk.prices.quotes([TSLA])
    assert desk.vault.reads == 1


def test_a_connection_that_comes_late_takes_the_newer_keys_without_reading_them(desk: Desk) -> None:
    desk.issue(NEW)
    desk.simulator.revoke(desk.old.key_id)
    desk.broker.account()
    desk.clock.set(NOON + 10 * MINUTE)

    assert TSLA in desk.prices.quotes([TSLA])
    assert desk.vault.reads == 1


def test_newer_keys_stay_in_use(desk: Desk) -> None:
    desk.issue(NEW)
    desk.simulator.revoke(desk.old.key_id)
    desk.broker.account()
    asked = len(desk.simulator.seen)

    desk.broker.positions()

    assert len(desk.simulator.seen) == asked + 1


@pytest.mark.parametrize("refusal", [UNAUTHORISED, FORBIDDEN])
def test_a_send_whose_keys_were_refused_goes_out_once_more_unchanged(refusal: Step) -> None:
    with ScriptedServer(refusal, reply(200, TAKEN)) as server:
        taken = broker_at(server.url, Vault(NEW)).submit(ONE)

    assert taken.client_order_id == "hw-1"
    first, second = server.arrived
    assert first == second
    assert json.loads(second.body)["client_order_id"] == "hw-1"


def test_an_order_sent_during_a_rotation_is_at_the_broker_once(desk: Desk) -> None:
    desk.issue(NEW)
    desk.simulator.revoke(desk.old.key_id)

    desk.broker.submit(ONE)

    assert desk.simulator.count("POST") == 2
    assert [found.client_order_id for found in desk.simulator.exchange.orders()] == ["hw-1"]


def test_a_send_refused_under_both_keys_leaves_twice_and_no_more() -> None:
    with ScriptedServer(UNAUTHORISED) as server, pytest.raises(Unavailable, match="does not take our keys"):
        broker_at(server.url, Vault(NEW)).submit(ONE)

    assert server.count("POST") == len(server.arrived) == 2


def test_a_second_send_whose_answer_is_lost_is_unknown_and_not_sent_a_third_time() -> None:
    with ScriptedServer(UNAUTHORISED, hang) as server, pytest.raises(OutcomeUnknown):
        broker_at(server.url, Vault(NEW)).submit(ONE)

    assert server.count("POST") == 2


@pytest.mark.parametrize(
    "step",
    [reply(403, {"code": 40310000, "message": "insufficient buying power"}),
     reply(403, {"code": 40310000, "message": "cannot open a trade while an opposite side order rests"}),
     reply(422, {"code": 42210000, "message": "client_order_id must be unique"})],
)  # fmt: skip
def test_a_refused_order_is_no_question_of_keys(step: Step) -> None:
    vault = Vault(NEW)
    with ScriptedServer(step) as server, pytest.raises(BrokerRefusal):
        broker_at(server.url, vault).submit(ONE)

    assert (server.count("POST"), vault.reads) == (1, 0)


@pytest.mark.parametrize("step", [reply(500, b""), reply(504, b"request is not authorized"), hang])
def test_an_unclear_answer_is_no_question_of_keys(step: Step) -> None:
    vault = Vault(NEW)
    with ScriptedServer(step) as server, pytest.raises(OutcomeUnknown):
        broker_at(server.url, vault).submit(ONE)

    assert (server.count("POST"), vault.reads) == (1, 0)


def test_the_same_keys_again_fail_as_before_and_are_read_once_a_minute(desk: Desk) -> None:
    desk.simulator.revoke(desk.old.key_id)

    for seconds, reads in ((0, 1), (1, 1), (59, 1), (60, 2), (119, 2), (120, 3)):
        desk.clock.set(NOON + timedelta(seconds=seconds))
        asked = len(desk.simulator.seen)
        with pytest.raises(Unavailable):
            desk.broker.account()
        assert desk.vault.reads == reads
        assert len(desk.simulator.seen) == asked + 1


def test_keys_stored_too_late_are_found_a_minute_after_the_first_look(desk: Desk) -> None:
    desk.simulator.revoke(desk.old.key_id)
    with pytest.raises(Unavailable):
        desk.broker.account()

    desk.issue(NEW)
    desk.clock.set(NOON + MINUTE)

    assert desk.broker.account().id


@pytest.mark.parametrize("problem", [Unavailable("no answer"), MissingSecret(["/hearthwatch/alpaca-paper-secret"])])
def test_keys_that_cannot_be_read_leave_the_refusal_as_it_was(
    desk: Desk, problem: HearthwatchError, caplog: pytest.LogCaptureFixture
) -> None:
    desk.vault.problem = problem
    desk.simulator.revoke(desk.old.key_id)

    with caplog.at_level(logging.ERROR), pytest.raises(Unavailable, match="does not take our keys"):
        desk.broker.submit(ONE)

    assert [record.message for record in caplog.records] == ["keys not read anew"]
    assert desk.simulator.count("POST") == 1


def test_without_a_rotation_refused_keys_fail_at_once() -> None:
    with ScriptedServer(UNAUTHORISED) as server, pytest.raises(Unavailable):
        AlpacaBroker(connect_trading("old", "old secret", url=server.url), SimulatedClock(NOON)).account()

    assert len(server.arrived) == 1


def test_many_threads_refused_at_once_read_the_keys_once() -> None:
    vault = Vault(NEW)
    rotation = Rotation(vault, SimulatedClock(NOON))
    together = Barrier(16)

    def refused(_: int) -> Keys | None:
        together.wait()
        return rotation.newer_than(Keys("old", "old secret"))

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(refused, range(16))) == {NEW}
    assert vault.reads == 1


def test_keys_do_not_show_themselves() -> None:
    assert "new secret" not in f"{NEW!r} {NEW}"
    assert "PKNEW" not in f"{NEW!r} {NEW}"
