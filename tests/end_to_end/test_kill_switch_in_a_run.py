"""The kill switch typed into a run on this machine, from outside of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Event

import pytest

from hearthwatch.commands import main
from local_stack.run.service import LocalRun, open_run, plan_run
from shared.domain.intents import IntentState, Reason, Side
from tests.conftest import PROJECT
from tests.end_to_end.running import AAA, CALENDAR, DDD, Silent, settings, two_days
from tests.end_to_end.test_run_command import NOWHERE


def typed(folder: Path, command: str, line: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own, with what somebody types."""
    words = [command, "--local", "--folder", str(folder), "--why", "a test"]
    return subprocess.run(
        [sys.executable, "-m", "hearthwatch", *words],
        cwd=PROJECT,
        env={**os.environ, "HTTP_PROXY": NOWHERE, "http_proxy": NOWHERE, "HTTPS_PROXY": NOWHERE},
        input=f"{line}\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_nothing_is_set_where_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kill", "--local", "--folder", str(tmp_path), "--yes"]) == 2
    assert "no run goes on in" in capsys.readouterr().err


def test_a_way_in_that_nobody_serves_any_more_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dead = "http://127.0.0.1:9"
    left = {"aws": dead, "page": dead, "stack": "hearthwatch", "region": "us-east-1", "stand_ins": {}}
    (tmp_path / "running.json").write_text(json.dumps(left), encoding="utf-8")
    assert main(["kill", "--local", "--folder", str(tmp_path), "--yes"]) == 2
    assert "does not answer" in capsys.readouterr().err


def test_a_freeze_outlives_the_run_and_a_flatten_sells_all(tmp_path: Path) -> None:
    market = two_days()
    plan = settings(market, tmp_path)
    with open_run(plan_run(plan), CALENDAR) as run:
        stopped = Event()
        assert not run.play(stopped, Silent(stopped, 5))
        frozen = typed(tmp_path, "freeze", "freeze exits of paper")
        assert (frozen.returncode, frozen.stderr) == (0, "")
        before = sent(run)
        stopped = Event()
        assert not run.play(stopped, Silent(stopped, 12))
        assert sent(run) == before
        assert IntentState.PREPARED in {i.state for i in run.result().intents if i.symbol == AAA}
        run.save(finished=False)
    with open_run(plan_run(plan), CALENDAR) as run:
        refused = typed(tmp_path, "clear", "clear up")
        assert refused.returncode == 2
        assert "Kill switch: freeze, set by this machine at 2026-03-02T" in refused.stdout
        assert typed(tmp_path, "flatten", f"flatten {len(market.positions)} positions of paper").returncode == 0
        stopped = Event()
        assert not run.play(stopped, Silent(stopped, 12))
        result = run.result()
        assert {p.symbol for p in result.positions} <= {DDD}  # nobody trades it for the rest of the day
        flattened = {i.symbol for i in result.intents if i.purpose.reason is Reason.FLATTEN and i.filled_quantity}
        assert flattened
        assert {i.symbol for i in result.intents if i.side is Side.SELL} == {p.symbol for p in market.positions}


def sent(run: LocalRun) -> set[str]:
    return {intent.id for intent in run.result().intents if intent.sends}
