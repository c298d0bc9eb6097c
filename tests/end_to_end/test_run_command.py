"""`hearthwatch run` as the operator meets it: what it prints, how it stops, what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette

from local_stack.loopback import LoopbackServer
from tests.conftest import PROJECT, ReferenceData
from tests.end_to_end.replaying import hearthwatch, run_here

NOWHERE = "http://127.0.0.1:9"
"""A proxy that nobody can reach; nothing on this machine may be asked for through it."""

Words = list[str | Path]
Spoil = Callable[[Path], Words]


def test_help_names_every_option() -> None:
    text = run_here("run", "--help").stdout
    options = ("bars", "symbols", "from", "to", "portfolio", "actions", "quotes", "speed", "fresh", "port", "plain")
    assert all(f"--{option}" in text for option in options)


def test_bars_are_run_to_their_end_with_a_summary_a_report_and_a_whole_journal(
    reference_data: ReferenceData, tmp_path: Path
) -> None:
    portfolio = tmp_path / "portfolio.json"
    position = {"symbol": "NVDA", "quantity": "10", "average_entry_price": "470", "stop_loss_pct": "0.03"}
    portfolio.write_text(json.dumps({"cash": "1000", "positions": [position]}), encoding="utf-8")
    bars = reference_data.path("data", "bars-1day-us-2018-2024")
    words = ("--bars", bars, "--symbols", "NVDA", "--from", "2020-08-04", "--to", "2020-08-07")
    market: Words = [*words, "--portfolio", portfolio]

    done = hearthwatch("run", *market, "--speed", "max", "--plain", "--folder", tmp_path / "run")

    assert (done.returncode, done.stderr) == (0, "")
    assert "exchange: simulated" in done.stdout
    assert "Ran 2020-08-04 to 2020-08-07" in done.stdout
    outputs = ("--report", tmp_path / "report.json", "--journal", tmp_path / "journal.jsonl")
    assert hearthwatch("replay", *market, *outputs).returncode == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    replayed = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    for name in ("moves", "alerts", "end", "pnl", "trading_state", "coverage"):
        assert report[name] == replayed[name]
    assert report["orders"]
    assert run_here("verify", "--journal", tmp_path / "run" / "journal.jsonl").returncode == 0


# stopping


class Running:
    """The command in a process of its own, read line by line."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hearthwatch", "run", "--plain", "--speed", "60", "--folder", str(folder)],
            cwd=PROJECT,
            env={**os.environ, "NO_COLOR": "1", "HTTP_PROXY": NOWHERE, "http_proxy": NOWHERE},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def first_tick(self) -> str:
        """Return the first lines, up to the first that tells of a tick."""
        assert self._process.stdout is not None
        lines = []
        for line in self._process.stdout:
            lines.append(line)
            if " tick " in line:
                break
        return "".join(lines)

    def stop(self, number: signal.Signals) -> tuple[int, str, str]:
        self._process.send_signal(number)
        out, errors = self._process.communicate(timeout=60)
        return self._process.returncode, out, errors


def test_a_stop_says_where_things_are_and_the_next_start_goes_on(tmp_path: Path) -> None:
    first = Running(tmp_path)
    assert "tick 1 of 393" in first.first_tick()
    code, out, errors = first.stop(signal.SIGINT)
    assert (code, errors) == (0, "")
    assert f"The state is in {tmp_path / 'state'}" in out
    assert (tmp_path / "state" / "manifest.json").is_file()

    second = Running(tmp_path)
    opening = second.first_tick()
    code, _, errors = second.stop(signal.SIGTERM)
    assert (code, errors) == (0, "")
    assert "Going on after Wed 2026-06-10 08:" in opening
    assert "tick 1 of" not in opening


# inputs that cannot be used


def with_words(*words: str) -> Spoil:
    return lambda folder: list(words)


def with_keys(text: str) -> Spoil:
    def spoil(folder: Path) -> Words:
        (folder / "keys").write_text(text, encoding="utf-8")
        return ["--keys", folder / "keys"]

    return spoil


def folder_is_a_file(folder: Path) -> Words:
    (folder / "file").write_text("mine", encoding="utf-8")
    return ["--folder", folder / "file"]


def state_is_damaged(folder: Path) -> Words:
    (folder / "run" / "state").mkdir(parents=True)
    (folder / "run" / "state" / "manifest.json").write_text("{}", encoding="utf-8")
    return ["--folder", folder / "run"]


UNUSABLE: list[tuple[str, Spoil, str]] = [
    ("speed of zero", with_words("--speed", "0"), "0.1 to 100000, or max"),
    ("a word for a speed", with_words("--speed", "fast"), "'fast' is not a speed"),
    ("a port of root's", with_words("--port", "80"), "1024 to 65535"),
    ("a word for a port", with_words("--port", "http"), "'http'"),
    ("missing bars", with_words("--bars", "nowhere"), "no such file"),
    ("range outside the bars", with_words("--to", "2020-01-02"), "covers"),
    ("unknown symbol", with_words("--symbols", "MSFT"), "MSFT"),
    ("missing portfolio", with_words("--portfolio", "nowhere.json"), "nowhere.json"),
    ("unknown option", with_words("--faster"), "--faster"),
    ("folder is a file", folder_is_a_file, "a folder that can be written to"),
    ("damaged state", state_is_damaged, "not the manifest of a saved state"),
    ("live key", with_keys("ALPACA_PAPER_KEY_ID=AKABCDEF\nALPACA_PAPER_SECRET=s"), "is a live key"),
    ("half a pair of keys", with_keys("ALPACA_PAPER_KEY_ID=PKABCDEF"), "ALPACA_PAPER_SECRET is missing"),
    ("no webhook", with_keys("DISCORD_WEBHOOK_URL=https://example.com/"), "DISCORD_WEBHOOK_URL is not usable"),
]


@pytest.mark.parametrize(("spoil", "named"), [case[1:] for case in UNUSABLE], ids=[case[0] for case in UNUSABLE])
def test_an_unusable_input_exits_2_with_one_line_that_names_it(spoil: Spoil, named: str, tmp_path: Path) -> None:
    done = run_here("run", "--plain", "--keys", tmp_path / "none", "--folder", tmp_path / "run", *spoil(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("hearthwatch: ")
    assert named in done.stderr


@pytest.fixture
def taken_port() -> Iterator[int]:
    with LoopbackServer(Starlette(), "somebody else") as other:
        yield int(other.url.rpartition(":")[2])


def test_a_taken_port_that_was_asked_for_exits_2(taken_port: int, tmp_path: Path) -> None:
    done = run_here("run", "--plain", "--keys", tmp_path / "none", "--folder", tmp_path, "--port", str(taken_port))
    assert done.returncode == 2
    assert f"cannot listen on port {taken_port}" in done.stderr


def test_bars_are_played_even_where_keys_lie_and_no_account_is_touched(tmp_path: Path, taken_port: int) -> None:
    keys = with_keys("ALPACA_PAPER_KEY_ID=PKABCDEF\nALPACA_PAPER_SECRET=s")(tmp_path)
    words: Words = ["--from", "2026-06-10", "--folder", tmp_path, "--port", str(taken_port)]
    done = run_here("run", "--plain", *keys, *words)
    assert "cannot listen" in done.stderr
