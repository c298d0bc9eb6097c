"""A page that something between us and AWS sends with status 200 is no answer: nothing is absent, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final

import pytest

from shared.adapters.aws.book import DynamoControls, DynamoLedgers, DynamoPositions
from shared.adapters.aws.journal import DynamoJournal
from shared.adapters.aws.table import Table
from shared.domain.errors import Unavailable
from shared.domain.ledger import Ledger
from shared.domain.trading_state import KillSwitch, SwitchMode
from shared.use_cases.check_risk import read_kill_switch
from tests.fakes.aws import connect
from tests.fakes.scripted_http import ScriptedServer, reply
from tests.unit.builders import ACCOUNT

PAGE: Final = reply(200, b"<!doctype html><title>Sign in</title>", Content_Type="text/html")
EMPTY: Final = reply(200, b"{}", Content_Type="application/x-amz-json-1.0")

CALLS: Final[dict[str, Callable[[Table], object]]] = {
    "GetItem": lambda table: DynamoLedgers(table, table).load(ACCOUNT),
    "Query": lambda table: DynamoPositions(table).all(),
    "PutItem": lambda table: DynamoLedgers(table, table).save(Ledger(account=ACCOUNT)),
    "PutItem without versions": lambda table: DynamoControls(table).set_kill_switch(KillSwitch(mode=SwitchMode.KILL)),
    "Query of the journal": lambda table: DynamoJournal(table).head(date(2026, 6, 10)),
}


@pytest.mark.parametrize("page", [PAGE, EMPTY], ids=["a page", "an empty object"])
@pytest.mark.parametrize("call", sorted(CALLS))
def test_page_of_a_proxy_is_no_answer(call: str, page: object) -> None:
    with ScriptedServer(page) as server, pytest.raises(Unavailable):  # type: ignore[arg-type]
        CALLS[call](Table(connect(server.url).dynamodb, "book"))


def test_kill_switch_behind_a_page_counts_as_set() -> None:
    with ScriptedServer(PAGE) as server:
        assert read_kill_switch(DynamoControls(Table(connect(server.url).dynamodb, "book"))).engaged
