"""A question typed into a run on this machine: what the Claude there charged is what the run's ledger holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING
from pathlib import Path
from threading import Event
from typing import Any

from pydantic import SecretStr

from local_stack.claude.server import ClaudeServer
from local_stack.exchange.server import ExchangeSimulator
from local_stack.run.claude_part import prices_from, speak
from local_stack.run.keys import LocalKeys
from local_stack.run.service import LocalRun, RunSettings, open_run, plan_run
from shared.adapters.memory.clock import SimulatedClock
from shared.contracts.model_prices import priced, read_price_rows
from shared.domain.budget import BudgetMonth
from shared.domain.model_prices import HAIKU, SONNET, STARTING_PRICES
from tests.conftest import PROJECT
from tests.end_to_end.running import CALENDAR, MONDAY, OPENS, Silent, settings, two_days
from tests.end_to_end.test_run_command import NOWHERE
from tests.end_to_end.test_run_on_an_account import PassingTime
from tests.end_to_end.test_run_on_an_account import settings as on_an_account
from tests.fakes.venue import AAPL, MINUTE, Weekdays, bar, small_exchange

MARCH = date(2026, 3, 1)
KEY = "sk-ant-of-somebody"
NOON = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
"""A Friday on which the shipped prices are in force."""


def asked(folder: Path, question: str, *, code: int = 0) -> dict[str, Any]:
    """Ask in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "hearthwatch", "ask", "--local", "--folder", str(folder), "--json", question],
        cwd=PROJECT,
        env={**os.environ, "HTTP_PROXY": NOWHERE, "http_proxy": NOWHERE, "HTTPS_PROXY": NOWHERE},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr if code == 0 else "") == (code, "")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def ticked(run: LocalRun, ticks: int) -> Silent:
    stopped = Event()
    screen = Silent(stopped, ticks)
    assert not run.play(stopped, screen)
    return screen


def month(run: LocalRun) -> BudgetMonth:
    return run._wired.owner.budgets.month(MARCH)


def bill(claude: ClaudeServer | None) -> int:
    assert claude is not None
    return sum(int(line.cost.to_integral_value(ROUND_CEILING)) for line in claude.charged().lines)


def test_the_ledger_holds_what_the_played_claude_charged_and_keeps_it(tmp_path: Path) -> None:
    plan = settings(two_days(), tmp_path)
    with open_run(plan_run(plan), CALENDAR) as run:
        shown = ticked(run, 3).snapshots[-1]
        assert shown.models == "$0.00 of $5.00 today"
        assert ("Claude", "played", False) in {(part.name, part.what, part.is_real) for part in shown.parts}

        told = asked(tmp_path, "Why do prices gap?")
        again = asked(tmp_path, "Why do prices gap?")

        assert told["answer"].startswith(f"Played on this machine by no model: {HAIKU} was asked with ")
        assert (again["from_cache"], again["cost"]["micros"]) == (True, 0)
        first = bill(run.claude)
        assert first > 0
        assert (told["cost"]["micros"], month(run).spent, month(run).committed) == (first, first, first)
        assert ticked(run, 1).snapshots[-1].models.startswith("$0.0000")

        before = run._wired.cloud.door.count("AuditBudget", "dynamodb:GetItem")
        errors = ticked(run, 40).snapshots[-1].errors
        assert run._wired.cloud.door.count("AuditBudget", "dynamodb:GetItem") > before
        assert [error for error in errors if "AuditBudget" in error] == []
        run.save(finished=False)
    with open_run(plan_run(plan), CALENDAR) as run:
        assert month(run).spent == first
        asked(tmp_path, "And why do they close again?")
        assert month(run).spent == first + bill(run.claude)


@contextmanager
def with_a_key(folder: Path) -> Iterator[tuple[ClaudeServer, RunSettings, PassingTime]]:
    """Give what stands where the real Claude would, a run on an account with its key, and the run's pace."""
    clock = SimulatedClock(NOON - timedelta(seconds=30))
    with ClaudeServer(clock, key=KEY) as real, ExchangeSimulator(small_exchange(), clock) as simulator:
        real.answer_with(speak)
        simulator.feed(bar("100", at=NOON - 2 * MINUTE), bar("200", at=NOON - 2 * MINUTE, symbol=AAPL))
        given = on_an_account(simulator, folder)
        given = replace(given, keys=replace(given.keys, anthropic_key=SecretStr(KEY)), claude_url=real.url)
        pace = PassingTime(clock, lambda at: simulator.feed(bar("100", at=at - MINUTE)))
        yield real, given, pace


def test_a_key_asks_the_real_one_in_a_run_in_the_present_alone(tmp_path: Path) -> None:
    """What stands where the real one would is another server on this machine."""
    with with_a_key(tmp_path) as (real, given, pace):
        with open_run(plan_run(given), Weekdays(), pace=pace) as run:
            shown = ticked(run, 2).snapshots[-1]
            assert run.claude is None
            assert {part.name for part in shown.parts if part.is_real} == {"exchange", "Claude"}
            assert asked(tmp_path, "Why?")["answered"]
            assert run._wired.owner.budgets.month(NOON.date().replace(day=1)).spent == bill(real) > 0

        seen = len(real.requests)
        played = replace(settings(two_days(), tmp_path / "played"), keys=LocalKeys(anthropic_key=SecretStr(KEY)))
        with open_run(plan_run(played), CALENDAR) as run:
            assert "Claude" not in {part.name for part in ticked(run, 1).snapshots[-1].parts if part.is_real}
            assert asked(tmp_path / "played", "Why?")["answered"]
            assert bill(run.claude) > 0
        assert len(real.requests) == seen


def test_what_the_real_one_charged_is_known_to_the_next_run_though_this_one_was_killed_or_forgotten(
    tmp_path: Path,
) -> None:
    """A run that is left without being saved has written no state, as one that was killed."""
    november = NOON.date().replace(day=1)
    with with_a_key(tmp_path) as (real, given, pace):
        with open_run(plan_run(given), Weekdays(), pace=pace) as run:
            assert asked(tmp_path, "Why?")["answered"]
        spent = bill(real)
        with (tmp_path / "money.jsonl").open("a", encoding="utf-8") as kept:
            kept.write('{"table":"BookTable","item":{"pk":{"S":"bud')

        for fresh in (False, True):
            with open_run(plan_run(replace(given, fresh=fresh)), Weekdays(), pace=pace) as run:
                owner = run._wired.owner
                assert owner.budgets.month(november).spent == spent > 0
                assert [charge.cost for charge in owner.charges.of_day(NOON.date())] == [spent]

        with open_run(plan_run(given), Weekdays(), pace=pace) as run:
            (tmp_path / "money.jsonl").unlink()
            (tmp_path / "money.jsonl").mkdir()
            seen = len(real.requests)
            refused = asked(tmp_path, "And now?", code=1)
            assert not refused["answered"]
        assert len(real.requests) == seen


def test_the_prices_of_a_run_are_the_newest_from_its_first_day_on() -> None:
    rows = read_price_rows(prices_from(MONDAY))
    table = priced(STARTING_PRICES, rows)
    now = datetime.combine(MONDAY, OPENS, UTC)

    assert {row.model for row in rows} == {HAIKU, SONNET}
    assert [(row.input, row.output, row.longest_prompt) for row in rows] == [
        (row.input, row.output, row.longest_prompt)
        for row in STARTING_PRICES.rows
        if row.since is not None and row.until is None
    ]
    assert table.unusable([HAIKU, SONNET], now) == {}


def test_only_a_free_question_is_answered_with_a_sentence() -> None:
    body: Mapping[str, Any] = {
        "model": HAIKU,
        "messages": [{"role": "user", "content": "hello"}],
        "output_config": {"format": {"schema": {"type": "object", "properties": {"action": {"enum": ["hold"]}}}}},
    }
    assert speak(body).text == '{"action": "hold"}'
