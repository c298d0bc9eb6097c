"""A run that is stopped and started again ends like one that never stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hearthwatch.replay.report import Report
from hearthwatch.run_command import report_of_run
from local_stack.run.service import Market, RunResult, open_run, plan_run
from local_stack.run.tables import MANIFEST, StateError
from local_stack.run.way_in import read_way_in
from shared.domain.errors import Stop
from tests.end_to_end.running import CALENDAR, play, play_once, settings, two_days

HALF_FILLED = 17
"""Ticks after which the sale of AAA has begun to fill, and an alert still waits for its escalation."""


@pytest.fixture(scope="module")
def market() -> Market:
    return two_days()


@pytest.fixture(scope="module")
def uninterrupted(market: Market, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, Path]:
    folder = tmp_path_factory.mktemp("whole")
    return play_once(market, folder), folder


def report_of(result: RunResult) -> Report:
    return report_of_run(result, 0.0)


def messages(folder: Path) -> list[str]:
    lines = (folder / "discord.jsonl").read_text(encoding="utf-8").splitlines()
    mails = [path.read_text(encoding="utf-8") for path in sorted((folder / "mail").glob("*.eml"))]
    return [*(json.dumps(json.loads(line)["embeds"]) for line in lines), *mails]


def test_a_run_stopped_twice_ends_like_one_that_was_not(
    market: Market, uninterrupted: tuple[RunResult, Path], tmp_path: Path
) -> None:
    wanted = settings(market, tmp_path)
    first, _ = play(plan_run(wanted), stop_after=HALF_FILLED)
    assert 0 < first.exchange.orders()[0].filled_quantity < first.exchange.orders()[0].quantity
    going_on = plan_run(wanted)
    assert going_on.notice == "Going on after Mon 2026-03-02 09:44 New York; FRESH=1 starts anew."
    play(going_on, stop_after=30)

    last, screen = play(plan_run(wanted))

    whole, folder = uninterrupted
    assert report_of(last) == report_of(whole)
    assert messages(tmp_path) == messages(folder)
    assert screen.snapshots[0].ticks == HALF_FILLED + 30 + 1


def test_a_finished_run_starts_anew(market: Market, tmp_path: Path) -> None:
    wanted = settings(market, tmp_path)
    with open_run(plan_run(wanted), CALENDAR) as run:
        run.save(finished=True)

    plan = plan_run(wanted)

    assert (plan.record, plan.notice) == (None, "")


def test_other_bars_or_a_fresh_start_forget_what_was_saved(market: Market, tmp_path: Path) -> None:
    wanted = settings(market, tmp_path)
    play(plan_run(wanted), stop_after=HALF_FILLED)

    assert plan_run(replace(wanted, fresh=True)).record is None
    other = plan_run(replace(wanted, about="other bars"))
    assert (other.record, other.notice) == (None, "What was saved is of another run: starting anew.")

    _, screen = play(other, stop_after=1)
    assert screen.snapshots[0].ticks == 1
    assert screen.snapshots[0].alerts == []
    assert not (tmp_path / "discord.jsonl").exists()


def test_a_damaged_state_is_named_before_anything_starts(market: Market, tmp_path: Path) -> None:
    wanted = settings(market, tmp_path)
    play(plan_run(wanted), stop_after=1)
    (tmp_path / "state" / MANIFEST).write_text("{", encoding="utf-8")

    with pytest.raises(StateError, match=r"manifest\.json: not the manifest"):
        plan_run(wanted)


def test_a_second_run_in_the_same_folder_is_refused_and_the_first_goes_on(market: Market, tmp_path: Path) -> None:
    plan = plan_run(settings(market, tmp_path))
    with open_run(plan, CALENDAR):
        inside = read_way_in(tmp_path)
        (tmp_path / "discord.jsonl").touch()
        with pytest.raises(Stop, match="already: stop it, or name another --folder"), open_run(plan, CALENDAR):
            pass
        assert read_way_in(tmp_path) == inside
        assert (tmp_path / "discord.jsonl").exists()
    with open_run(plan, CALENDAR):
        assert read_way_in(tmp_path) != inside
