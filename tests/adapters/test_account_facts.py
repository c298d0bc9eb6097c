"""What the operator's commands ask of an account: its number, its state, and whether a symbol trades in fractions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from shared.adapters.alpaca.account_facts import AccountFacts, account_facts, takes_fractions
from shared.adapters.alpaca.session import connect_trading
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.assets import Symbol
from shared.domain.errors import HearthwatchError, Throttled, Unavailable
from tests.fakes.scripted_http import ScriptedServer, Step, hang_up, reply

CLOCK = SimulatedClock(datetime(2026, 3, 4, 15, 30, tzinfo=UTC))
ACCOUNT = {"account_number": "PA3ALPHA", "status": "ACTIVE", "account_blocked": False, "trading_blocked": False}
TSLA = Symbol("TSLA")
FAILURES: list[tuple[Step, type[HearthwatchError]]] = [
    (reply(401, {"message": "unauthorized"}), Unavailable),
    (reply(429, {"message": "slow down"}), Throttled),
    (reply(200, b"<html>"), Unavailable),
    (reply(200, []), Unavailable),
    (reply(500, {}), Unavailable),
    (hang_up, Unavailable),
]


@pytest.mark.parametrize(
    ("changed", "blocks"),
    [
        ({}, ()),
        ({"trading_blocked": True}, ("trading_blocked",)),
        ({"account_blocked": True, "trade_suspended_by_user": True}, ("account_blocked", "trade_suspended_by_user")),
    ],
)
def test_an_account_is_told_with_every_block(changed: dict[str, bool], blocks: tuple[str, ...]) -> None:
    with ScriptedServer(reply(200, {**ACCOUNT, **changed})) as server:
        client = connect_trading("PKTEST", "testing", url=server.url)
        assert account_facts(client, CLOCK) == AccountFacts("PA3ALPHA", "ACTIVE", blocks)


@pytest.mark.parametrize(("step", "kind"), FAILURES)
def test_an_account_that_cannot_be_read_is_not_known(step: Step, kind: type[HearthwatchError]) -> None:
    with ScriptedServer(step) as server, pytest.raises(kind):
        account_facts(connect_trading("PKTEST", "testing", url=server.url), CLOCK)


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        (reply(200, {"fractionable": True}), True),
        (reply(200, {"fractionable": False}), False),
        (reply(200, {}), None),
        (reply(200, {"fractionable": "yes"}), None),
        (reply(404, {"message": "asset not found"}), None),
    ],
)
def test_whether_a_symbol_trades_in_fractions_is_alpacas_own_word(step: Step, answer: bool | None) -> None:
    with ScriptedServer(step) as server:
        assert takes_fractions(connect_trading("PKTEST", "testing", url=server.url), TSLA, CLOCK) is answer


def test_an_asset_that_cannot_be_read_is_not_known() -> None:
    with ScriptedServer(reply(500, {})) as server, pytest.raises(Unavailable):
        takes_fractions(connect_trading("PKTEST", "testing", url=server.url), TSLA, CLOCK)
