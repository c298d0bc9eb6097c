"""The chaos matrix end to end: its worst cells hold, and a system that does not sell is found out (BEY-02)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hearthwatch import commands
from hearthwatch.chaos.cell import Evidence, play
from hearthwatch.chaos.judge import judge
from hearthwatch.chaos.matrix import ROWS
from hearthwatch.chaos.stage import template, without_waiting
from hearthwatch.chaos.story import COLUMNS
from local_stack.cloud.template import Template
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.use_cases.place_orders import PlaceOrders, PlaceReport

ROW = {row.name: row for row in ROWS}
COLUMN = {column.name: column for column in COLUMNS}
WORST = [
    ("everything-at-once", "gap"),
    ("no-channel", "gap-software"),
    ("tables-down", "bleed"),
    ("prices-first-frozen", "bleed"),
    ("prices-none", "gap"),
    ("broker-429", "bleed"),
    ("killed-before-sending", "gap-software"),
    ("budget-and-discord", "gap"),
    ("claude-fails", "gap-software"),
    ("crowd", "bleed"),
]


@pytest.fixture(scope="module")
def deployed() -> Template:
    return template()


@pytest.fixture(scope="module", autouse=True)
def at_once() -> Iterator[None]:
    with without_waiting():
        yield


def played(row: str, column: str, deployed: Template) -> Evidence:
    return play(ROW[row], COLUMN[column], deployed, LibraryCalendar())


@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(("row", "column"), WORST)
def test_a_stop_fires_with_this_broken(row: str, column: str, deployed: Template) -> None:
    """BEY-02, promises 1 and 2; faults 1, 2, 4, 5, 9, 13, 26, 29, 32, 35 and 36."""
    verdict = judge(played(row, column, deployed))

    assert verdict.holds, "\n".join([verdict.text, *verdict.problems])


@pytest.mark.usefixtures("quiet")
def test_a_system_that_never_sells_is_missed_and_the_command_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(PlaceOrders, "__call__", lambda *_: PlaceReport())
    results = tmp_path / "results.json"

    code = commands.main(["chaos", "--row", "nothing", "--column", "gap", "--json", str(results)])

    (cell,) = json.loads(results.read_text("utf-8"))
    assert (code, cell["holds"], cell["text"][:6]) == (1, False, "MISSED")
    assert "TSLA: 0 of 10 sold" in cell["failures"]
    printed = capsys.readouterr().out
    assert "MISSED" in printed
    assert "0 of 1 cells hold." in printed


def test_the_list_names_every_row_and_column_and_plays_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "240")

    assert commands.main(["chaos", "--list"]) == 0

    printed = capsys.readouterr().out
    assert [name for name in (*ROW, *COLUMN) if name not in printed] == []
    assert "cells hold" not in printed


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--row", "earthquake"], "row: 'earthquake' is not usable, expected one of nothing, discord-429"),
        (["--column", "up"], "column: 'up' is not usable, expected one of gap, bleed, gap-software"),
        (["--row", "nothing", "--json", "there/is/no/such.json"], "json: 'there/is/no/such.json' is not usable"),
    ],
)
def test_what_cannot_be_used_is_named_before_anything_is_played(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.main(["chaos", *words]) == 2
    assert named in capsys.readouterr().err


def test_the_page_has_the_rows_of_the_code_in_their_order() -> None:
    page = (Path(__file__).parents[2] / "docs" / "chaos.md").read_text("utf-8")
    rows = [f"| `{r.name}` | {r.breaks} | {r.how} | {r.must} | {r.not_applicable} |" for r in ROWS]

    assert [line for line in page.splitlines() if line.startswith("| `")] == rows


def test_the_matrix_has_every_row_that_can_be_broken_without_the_edge() -> None:
    """BEY-02's own list, less the edge and the tunnel."""
    asked = {"budget-spent", "discord-429", "double-schedule", "slow-tables", "prices-first-down"}
    assert asked <= ROW.keys()
    assert COLUMN.keys() == {"gap", "bleed", "gap-software"}
    assert len(ROW) == len(ROWS)
