"""Run the replay command as the operator would, and read what it left behind."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from decimal import Decimal
from pathlib import Path
from typing import Any

from hearthwatch.commands import main
from tests.conftest import PROJECT
from tests.end_to_end.expected import Holding

CASH = Decimal("25000.00")
TIMINGS = ("wall_seconds", "ticks_per_second")

Report = dict[str, Any]


def write_portfolio(path: Path, holdings: Sequence[Holding], cash: Decimal = CASH) -> Path:
    content = {"cash": str(cash), "positions": [held.as_json() for held in holdings]}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def replay(tmp_path: Path, *words: str | Path, holdings: Sequence[Holding] = ()) -> Report:
    """Replay in this process and return the report."""
    report, journal = tmp_path / "report.json", tmp_path / "journal.jsonl"
    portfolio = write_portfolio(tmp_path / "portfolio.json", holdings)
    command = ["replay", "--portfolio", portfolio, "--report", report, "--journal", journal, *words]
    done = run_here(*command)
    assert done.returncode == 0, done.stderr
    read: Report = json.loads(report.read_text(encoding="utf-8"))
    return read


def hearthwatch(*words: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "hearthwatch", *map(str, words)],
        cwd=PROJECT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def run_here(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in this process, which is quicker, with the same answers."""
    out, err = io.StringIO(), io.StringIO()
    arguments = [str(word) for word in words]
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def without_timings(report: Path) -> str:
    """Return a report's own text without the lines that differ from run to run."""
    lines = report.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if not line.strip().startswith(tuple(f'"{key}"' for key in TIMINGS)))
