"""The way into a run from another process of this machine."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from local_stack.run.desk import Desk
from local_stack.run.folder import RunFolder
from local_stack.run.way_in import NoRun, RunClock, WayIn, open_to_others, read_way_in
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.errors import Unavailable
from tests.operator.deployment import NOON

HERE = WayIn(
    aws="http://127.0.0.1:1234",
    page="http://127.0.0.1:8642",
    stack="hearthwatch",
    region="us-east-1",
    stand_ins={"HEARTHWATCH_YAHOO_URL": "http://127.0.0.1:8642", "HEARTHWATCH_DISCORD_LOOPBACK": "1"},
)


def test_the_way_in_is_there_while_the_run_is(tmp_path: Path) -> None:
    with open_to_others(RunFolder(root=tmp_path), HERE):
        assert read_way_in(tmp_path) == HERE
    with pytest.raises(NoRun, match="no run goes on in"):
        read_way_in(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"aws": "https://dynamodb.us-east-1.amazonaws.com"},
        {"aws": "http://127.0.0.1.example.com:80"},
        {"aws": "http://localhost:1234"},
        {"aws": "https://127.0.0.1:1234"},
        {"page": "http://10.0.0.1:8642"},
        {"stand_ins": {"HEARTHWATCH_ALPACA_TRADING_URL": "https://api.alpaca.markets"}},
        {"surprise": 1},
        {"aws": None},
    ],
    ids=str,
)
def test_an_address_of_another_machine_is_refused(tmp_path: Path, changed: dict[str, object]) -> None:
    file = RunFolder(root=tmp_path).way_in
    file.write_text(json.dumps({**HERE.model_dump(), **changed}), encoding="utf-8")
    with pytest.raises(NoRun, match=f"{file.name} is not what a run leaves there"):
        read_way_in(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00"])
def test_a_damaged_way_in_is_refused(tmp_path: Path, text: str) -> None:
    RunFolder(root=tmp_path).way_in.write_text(text, encoding="utf-8")
    with pytest.raises(NoRun):
        read_way_in(tmp_path)


def test_the_clock_of_the_run_is_asked(tmp_path: Path) -> None:
    desk = Desk(SimulatedClock(NOON), RunFolder(root=tmp_path), "a note")
    with desk.served(0, 0) as url, httpx.Client(trust_env=False) as client:
        assert RunClock(client, HERE.model_copy(update={"page": url})).now() == NOON


def test_a_clock_that_does_not_answer_is_unavailable() -> None:
    with httpx.Client(trust_env=False) as client, pytest.raises(Unavailable, match="does not answer"):
        RunClock(client, HERE.model_copy(update={"page": "http://127.0.0.1:9"})).now()


@pytest.mark.parametrize("answer", [b"", b"{}", b'{"now":"noon"}', b'{"now":"2026-06-10T16:03:00"}', b'{"now":1}'])
def test_a_clock_that_tells_no_time_is_unavailable(answer: bytes) -> None:
    told = httpx.MockTransport(lambda request: httpx.Response(200, content=answer))
    with httpx.Client(transport=told) as client, pytest.raises(Unavailable):
        RunClock(client, HERE).now()
