"""`hearthwatch chaos`: play the matrix, show it as a table, and fail when any cell does.

Cells share nothing, so several are played at once, each in a process of its own; one process plays one after the other.
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from hearthwatch.chaos.cell import play
from hearthwatch.chaos.judge import Verdict, judge
from hearthwatch.chaos.matrix import ROWS, Row
from hearthwatch.chaos.stage import template, without_waiting
from hearthwatch.chaos.story import COLUMNS, Column
from local_stack.cloud.template import Template
from local_stack.loopback import past_proxies
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.domain.errors import InvalidValue

Named = TypeVar("Named", Row, Column)


def run_chaos(options: argparse.Namespace, console: Console) -> bool:
    """Play the chosen cells, or list them; say whether all hold. InvalidValue for a name that is not there."""
    rows, columns = _chosen("row", options.row, ROWS), _chosen("column", options.column, COLUMNS)
    if options.list:
        _print_list(rows, columns, console)
        return True
    if options.json is not None:
        _check_writable(options.json)
    verdicts = list(_judged(rows, columns, console, options.jobs))
    _print_table(rows, columns, verdicts, console)
    for verdict in verdicts:
        _print_failure(verdict, console)
    if options.json is not None:
        options.json.write_text(json.dumps([_as_json(verdict) for verdict in verdicts], indent=2) + "\n", "utf-8")
    held = sum(verdict.holds for verdict in verdicts)
    console.print(f"{held} of {len(verdicts)} cells hold.", highlight=False)
    return held == len(verdicts)


def _judged(rows: Sequence[Row], columns: Sequence[Column], console: Console, jobs: int) -> Iterator[Verdict]:
    cells = list(product(rows, columns))
    with _progress(console) as progress:
        task = progress.add_task("playing", total=len(cells))
        for verdict in _played(cells, min(jobs, len(cells))):
            progress.update(task, advance=1, description=f"after {verdict.row}, {verdict.column}")
            yield verdict


def _played(cells: Sequence[tuple[Row, Column]], jobs: int) -> Iterator[Verdict]:
    """Play cells and give their verdicts in order."""
    if jobs == 1:
        yield from map(_verdict, cells)
        return
    context = get_context("spawn")  # a copy of this process would share its threads and sockets
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_ignore_interrupts) as pool:
        try:
            yield from pool.map(_verdict, cells)
        finally:
            pool.shutdown(cancel_futures=True)


def _verdict(cell: tuple[Row, Column]) -> Verdict:
    row, column = cell
    with past_proxies(), without_waiting(), _quiet():
        return judge(play(row, column, _template(), LibraryCalendar()))


@cache
def _template() -> Template:
    return template()


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that was started by hand."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _chosen(field: str, names: Sequence[str], there: Sequence[Named]) -> Sequence[Named]:
    known = {each.name: each for each in there}
    for name in names:
        if name not in known:
            raise InvalidValue(field, name, f"one of {', '.join(known)}")
    return [each for each in there if not names or each.name in names]


def _print_list(rows: Sequence[Row], columns: Sequence[Column], console: Console) -> None:
    table = Table("row", "breaks", "how", "must hold besides", "does not apply", show_lines=True)
    for row in rows:
        table.add_row(row.name, row.breaks, row.how, row.must.value, row.not_applicable)
    console.print(table)
    for column in columns:
        console.print(f"{column.name}: {column.about}", highlight=False)


def _print_table(rows: Sequence[Row], columns: Sequence[Column], verdicts: Sequence[Verdict], console: Console) -> None:
    table = Table("broken", *(column.name for column in columns), show_lines=True)
    cells = {(verdict.row, verdict.column): verdict for verdict in verdicts}
    for row in rows:
        shown = [_shown(cells[row.name, column.name]) for column in columns]
        table.add_row(Text.assemble((row.name, "bold"), f"\n{row.breaks}"), *shown)
    console.print(table)


def _shown(verdict: Verdict) -> Text:
    return Text.assemble((verdict.text, "" if verdict.holds else "bold red"), (f"\n{verdict.coverage}", "dim"))


def _print_failure(verdict: Verdict, console: Console) -> None:
    """Print what the functions of a failed cell reported, for whoever looks for the cause."""
    if verdict.holds:
        return
    console.print(f"{verdict.row}, {verdict.column}: {verdict.text}", style="bold", highlight=False, markup=False)
    for problem in verdict.problems:
        console.print(f"  {problem}", highlight=False, markup=False)


def _as_json(verdict: Verdict) -> dict[str, object]:
    return {
        "row": verdict.row,
        "column": verdict.column,
        "holds": verdict.holds,
        "text": verdict.text,
        "coverage": verdict.coverage,
        "failures": list(verdict.failures),
        "problems": list(verdict.problems),
    }


def _check_writable(path: Path) -> None:
    """Find out before the cells are played that the result has nowhere to go."""
    try:
        with path.open("a", encoding="utf-8"):
            pass
    except OSError as problem:
        raise InvalidValue("json", str(path), f"a file that can be written ({problem.strerror})") from problem


def _progress(console: Console) -> Progress:
    return Progress(
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave the log out: under faults there is a traceback for each, and the verdicts name what matters."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
