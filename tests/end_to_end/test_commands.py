"""The command line as the operator meets it: what it prints, what it refuses, how it exits."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hearthwatch.commands import SAMPLE
from shared.adapters.journal_file.file import read_journal
from tests.conftest import PROJECT
from tests.end_to_end.replaying import hearthwatch, run_here

HEADER = "ts,open,high,low,close,volume"
GOOD = [f"2026-03-04T14:{minute}:00Z,100,101,99,100,5000" for minute in range(30, 40)]
POSITION = {"symbol": "TSLA", "quantity": "10", "average_entry_price": "120"}
ACTIONS = "symbol,ex_date,type,ratio,cash_amount"

Words = list[str | Path]


@pytest.fixture(scope="module")
def sample_journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("journal")
    done = hearthwatch("replay", "--report", folder / "report.json", "--journal", folder / "journal.jsonl")
    assert done.returncode == 0, done.stderr
    return folder / "journal.jsonl"


@pytest.fixture
def bars(tmp_path: Path) -> Path:
    folder = tmp_path / "bars"
    folder.mkdir()
    (folder / "TSLA.csv").write_text("\n".join([HEADER, *GOOD]) + "\n", encoding="utf-8")
    return folder


# help and the sample


def test_the_sample_day_is_replayed_without_any_words(tmp_path: Path) -> None:
    report = tmp_path / "made" / "here" / "report.json"
    done = hearthwatch("replay", "--report", report, "--journal", tmp_path / "journal.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Replayed 2026-06-10" in done.stdout
    assert re.search(r"critical +discord, email +\d+ +TSLA: the stop at 304\.00", done.stdout)
    orders = json.loads(report.read_text(encoding="utf-8"))["orders"]
    sold = [(o["symbol"], o["type"], o["filled_quantity"]) for o in orders if o["state"] == "filled"]
    assert sorted(sold) == [("MRNA", "stop", "40"), ("TSLA", "market", "0.4"), ("TSLA", "stop", "10")]
    assert sorted(o["symbol"] for o in orders if o["state"] == "new") == ["KO", "NVDA"]


@pytest.mark.parametrize("words", [("--help",), ("replay", "--help"), ("verify", "-h")])
def test_help_is_there_for_every_command(words: Sequence[str]) -> None:
    done = hearthwatch(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("usage: python -m hearthwatch")


def test_help_names_every_command_and_option() -> None:
    assert all(command in hearthwatch("--help").stdout for command in ("replay", "verify"))
    text = hearthwatch("replay", "--help").stdout
    options = ("bars", "symbols", "from", "to", "portfolio", "actions", "quotes", "report", "journal")
    assert all(f"--{option}" in text for option in options)


def test_bars_without_a_portfolio_are_watched_with_nothing_held(bars: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = hearthwatch("replay", "--bars", bars, "--report", report, "--journal", tmp_path / "journal.jsonl")
    assert done.returncode == 0
    assert json.loads(report.read_text(encoding="utf-8"))["end"]["cash"] == "100000"


def test_a_single_file_of_bars_is_enough(bars: Path, tmp_path: Path) -> None:
    outputs = ("--report", tmp_path / "report.json", "--journal", tmp_path / "journal.jsonl")
    assert hearthwatch("replay", "--bars", bars / "TSLA.csv", *outputs).returncode == 0


# inputs that cannot be used

Spoil = Callable[[Path, Path], Words]


def with_bars(*rows: str, header: str = HEADER, name: str = "TSLA.csv") -> Spoil:
    def spoil(folder: Path, bars: Path) -> Words:
        (bars / "TSLA.csv").unlink()
        (bars / name).write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return ["--bars", bars]

    return spoil


def with_portfolio(content: object) -> Spoil:
    def spoil(folder: Path, bars: Path) -> Words:
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / "portfolio.json").write_text(text, encoding="utf-8")
        return ["--bars", bars, "--portfolio", folder / "portfolio.json"]

    return spoil


def with_position(**changes: object) -> Spoil:
    return with_portfolio({"cash": "1000", "positions": [{**POSITION, **changes}]})


def with_actions(*rows: str, header: str = ACTIONS) -> Spoil:
    def spoil(folder: Path, bars: Path) -> Words:
        (bars / "corporate_actions.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
        return ["--bars", bars]

    return spoil


def with_words(*words: str) -> Spoil:
    return lambda folder, bars: ["--bars", bars, *words]


def empty_folder(folder: Path, bars: Path) -> Words:
    (bars / "TSLA.csv").unlink()
    return ["--bars", bars]


def not_zipped(folder: Path, bars: Path) -> Words:
    (bars / "TSLA.csv").rename(bars / "TSLA.csv.gz")
    return ["--bars", bars]


def report_under_a_file(folder: Path, bars: Path) -> Words:
    return ["--bars", bars, "--report", bars / "TSLA.csv" / "report.json"]


def report_is_a_folder(folder: Path, bars: Path) -> Words:
    return ["--bars", bars, "--report", bars]


def journal_is_a_folder(folder: Path, bars: Path) -> Words:
    return ["--bars", bars, "--journal", bars]


UNUSABLE: list[tuple[str, Spoil, str]] = [
    ("missing path", lambda folder, bars: ["--bars", folder / "nowhere"], "no such file"),
    ("empty folder", empty_folder, "no bars"),
    ("not bars", lambda folder, bars: ["--bars", SAMPLE / "portfolio.json"], "not a file of bars"),
    ("not zipped", not_zipped, "TSLA.csv.gz"),
    ("no header", with_bars(*GOOD, header=GOOD[0]), "header"),
    ("a word for a price", with_bars(GOOD[0], "2026-03-04T14:31:00Z,100,abc,99,100,5000"), "abc"),
    ("NaN for a price", with_bars(GOOD[0], "2026-03-04T14:31:00Z,NaN,101,99,100,5000"), "NaN"),
    ("price of zero", with_bars(GOOD[0], "2026-03-04T14:31:00Z,0,101,0,100,5000"), "open"),
    ("negative price", with_bars(GOOD[0], "2026-03-04T14:31:00Z,100,101,-99,100,5000"), "low"),
    ("high under low", with_bars(GOOD[0], "2026-03-04T14:31:00Z,100,98,99,100,5000"), "high"),
    ("negative volume", with_bars(GOOD[0], "2026-03-04T14:31:00Z,100,101,99,100,-1"), "volume"),
    ("a cell too few", with_bars(GOOD[0], "2026-03-04T14:31:00Z,100,101,99"), "line 3"),
    ("rows out of order", with_bars(GOOD[1], GOOD[0]), "line 3"),
    ("a row twice", with_bars(GOOD[0], GOOD[0]), "line 3"),
    ("bad stamp", with_bars(GOOD[0], "yesterday,100,101,99,100,5000"), "yesterday"),
    ("option file", with_bars(*GOOD, name="TSLA260320C00250000.csv"), "options are not traded"),
    ("crypto file", with_bars(*GOOD, name="BTCUSD.csv"), "crypto is switched off"),
    ("nonsense file", with_bars(*GOOD, name="hello-world.csv"), "symbol"),
    ("unknown symbol", with_words("--symbols", "MSFT"), "MSFT"),
    ("option symbol", with_words("--symbols", "TSLA260320C00250000"), "options are not traded"),
    ("crypto symbol", with_words("--symbols", "BTC/USD"), "crypto is switched off"),
    ("malformed symbol", with_words("--symbols", "T$LA"), "symbol"),
    ("no symbol", with_words("--symbols", ","), "names no symbol"),
    ("range before the bars", with_words("--to", "2026-03-03"), "covers"),
    ("range after the bars", with_words("--from", "2026-03-05"), "covers"),
    ("range on a weekend", with_words("--from", "2026-03-07", "--to", "2026-03-08"), "covers"),
    ("from after to", with_words("--from", "2026-03-05", "--to", "2026-03-04"), "empty"),
    ("bad date", with_words("--from", "2026-02-30"), "2026-02-30"),
    ("word for a date", with_words("--to", "today"), "today"),
    ("unknown option", with_words("--fast"), "--fast"),
    ("option without value", with_words("--report"), "--report"),
    ("missing portfolio", with_words("--portfolio", "nowhere.json"), "nowhere.json"),
    ("portfolio is no JSON", with_portfolio("{"), "not JSON"),
    ("portfolio is a list", with_portfolio([]), "object"),
    ("portfolio without cash", with_portfolio({"positions": []}), "cash"),
    ("portfolio without positions", with_portfolio({"cash": "1"}), "positions"),
    ("negative cash", with_portfolio({"cash": "-1", "positions": []}), "cash"),
    ("NaN cash", with_portfolio('{"cash": NaN, "positions": []}'), "cash"),
    ("unknown field", with_portfolio({"cash": "1", "positions": [], "margin": "2"}), "margin"),
    ("a symbol twice", with_portfolio({"cash": "1", "positions": [POSITION, POSITION]}), "TSLA"),
    ("no quantity", with_position(quantity=None), "quantity"),
    ("quantity of zero", with_position(quantity="0"), "quantity"),
    ("short position", with_position(quantity="-5"), "quantity"),
    ("entry of zero", with_position(average_entry_price="0"), "average_entry_price"),
    ("stop of 100 %", with_position(stop_loss_pct="1"), "stop_loss_pct"),
    ("stop in percent", with_position(stop_loss_pct="20"), "stop_loss_pct"),
    ("unknown position field", with_position(stop="90"), "stop"),
    ("option position", with_position(symbol="TSLA260320C00250000"), "options are not traded"),
    ("crypto position", with_position(symbol="BTC/USD"), "crypto is switched off"),
    ("position without bars", with_position(symbol="NVDA"), "NVDA"),
    ("missing actions", with_words("--actions", "nowhere.csv"), "nowhere.csv"),
    ("actions without header", with_actions(header="TSLA,2026-03-05,split,7,"), "header"),
    ("unknown action", with_actions("TSLA,2026-03-05,merger,7,"), "merger"),
    ("split without ratio", with_actions("TSLA,2026-03-05,split,,"), "ratio"),
    ("dividend without cash", with_actions("TSLA,2026-03-05,dividend,,"), "cash_amount"),
    ("report under a file", report_under_a_file, "report.json"),
    ("report is a folder", report_is_a_folder, "file that can be written"),
    ("journal is a folder", journal_is_a_folder, "file that can be written"),
]


@pytest.mark.parametrize(("spoil", "named"), [case[1:] for case in UNUSABLE], ids=[case[0] for case in UNUSABLE])
def test_an_unusable_input_exits_2_with_one_line_that_names_it(
    spoil: Spoil, named: str, bars: Path, tmp_path: Path
) -> None:
    outputs: Words = ["--report", tmp_path / "report.json", "--journal", tmp_path / "journal.jsonl"]
    done = run_here("replay", *outputs, *spoil(tmp_path, bars))
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("hearthwatch: ")
    assert named in done.stderr


@pytest.mark.parametrize("words", [(), ("fly",), ("replay", "now"), ("verify", "--root", "2026-06-10=short")])
def test_unknown_words_exit_2_with_one_line(words: Sequence[str]) -> None:
    done = run_here(*words)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_the_process_exits_with_the_code_and_the_line(bars: Path) -> None:
    for words, line in ((("replay", "--bars", bars, "--symbols", "T$LA"), "T$LA"), (("replay", "--fast"), "--fast")):
        done = hearthwatch(*words)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert line in done.stderr


def test_an_unusable_input_leaves_an_earlier_report_alone(bars: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    report.write_text("the last one", encoding="utf-8")
    words: Words = ["--bars", bars, "--symbols", "MSFT", "--report", report, "--journal", tmp_path / "journal.jsonl"]
    assert run_here("replay", *words).returncode == 2
    assert report.read_text(encoding="utf-8") == "the last one"


# verification


def test_a_whole_journal_verifies_with_its_entries_and_roots(sample_journal: Path) -> None:
    done = hearthwatch("verify", "--journal", sample_journal)
    assert (done.returncode, done.stderr) == (0, "")
    journal = read_journal(sample_journal)
    assert f"{len(journal.links)} entries over 1 days" in done.stdout
    assert f"2026-06-10 {journal.links[-1].hash}" in done.stdout


def changed_byte(lines: list[str]) -> list[str]:
    assert "TSLA" in lines[4]
    return [*lines[:4], lines[4].replace("TSLA", "TSLB", 1), *lines[5:]]


def dropped(lines: list[str]) -> list[str]:
    return [*lines[:4], *lines[5:]]


def first_dropped(lines: list[str]) -> list[str]:
    return lines[1:]


def swapped(lines: list[str]) -> list[str]:
    return [*lines[:4], lines[5], lines[4], *lines[6:]]


def repeated(lines: list[str]) -> list[str]:
    return [*lines[:5], *lines[4:]]


def cut_end(lines: list[str]) -> list[str]:
    return [*lines[:4], lines[-1]]


def renumbered(lines: list[str]) -> list[str]:
    content = json.loads(lines[4])
    return [*lines[:4], json.dumps({**content, "sequence": 7}), *lines[5:]]


def rehashed(lines: list[str]) -> list[str]:
    content = json.loads(lines[4])
    return [*lines[:4], json.dumps({**content, "hash": "0" * 64}), *lines[5:]]


BROKEN: list[tuple[Callable[[list[str]], list[str]], int]] = [
    (changed_byte, 5),
    (dropped, 5),
    (first_dropped, 1),
    (swapped, 5),
    (repeated, 6),
    (cut_end, 4),
    (renumbered, 5),
    (rehashed, 5),
]


@pytest.mark.parametrize(("damage", "entry"), BROKEN, ids=[case[0].__name__ for case in BROKEN])
def test_a_damaged_journal_exits_1_and_names_the_entry(
    damage: Callable[[list[str]], list[str]], entry: int, sample_journal: Path, tmp_path: Path
) -> None:
    lines = sample_journal.read_text(encoding="utf-8").splitlines()
    copy = tmp_path / "journal.jsonl"
    copy.write_text("\n".join(damage(lines)) + "\n", encoding="utf-8")
    done = run_here("verify", "--journal", copy)
    assert done.returncode == 1
    assert f"broken at entry {entry} of 2026-06-10" in done.stdout


def test_every_single_changed_line_is_found(sample_journal: Path, tmp_path: Path) -> None:
    lines = sample_journal.read_text(encoding="utf-8").splitlines()
    copy = tmp_path / "journal.jsonl"
    for number in range(len(lines) - 1):
        body = json.loads(lines[number])
        spoiled = json.dumps({**body, "body": body["body"].replace('"schema":1', '"schema":2')})
        copy.write_text("\n".join([*lines[:number], spoiled, *lines[number + 1 :]]) + "\n", encoding="utf-8")
        done = run_here("verify", "--journal", copy)
        assert f"broken at entry {number + 1} of 2026-06-10" in done.stdout


@pytest.mark.parametrize(
    "text",
    ["", "hello\n", "{}\n", "[1]\n", '{"roots": 7}\n', "\ufeff", '{"day": "2026-06-10"}\n'],
    ids=["empty", "text", "empty object", "list", "roots no map", "byte order mark", "half a link"],
)
def test_a_file_that_is_no_journal_exits_2(text: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(text, encoding="utf-8")
    done = run_here("verify", "--journal", path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_a_journal_that_lost_its_roots_exits_2_and_says_so(sample_journal: Path, tmp_path: Path) -> None:
    lines = sample_journal.read_text(encoding="utf-8").splitlines()
    path = tmp_path / "journal.jsonl"
    path.write_text("\n".join(lines[:-1]) + "\n", encoding="utf-8")
    done = run_here("verify", "--journal", path)
    assert done.returncode == 2
    assert "cut off" in done.stderr


def test_a_missing_journal_exits_2(tmp_path: Path) -> None:
    done = run_here("verify", "--journal", tmp_path / "nowhere.jsonl")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1


def test_the_published_root_verifies_and_another_one_does_not(sample_journal: Path) -> None:
    root = read_journal(sample_journal).links[-1].hash
    assert run_here("verify", "--journal", sample_journal, "--root", f"2026-06-10={root}").returncode == 0
    done = hearthwatch("verify", "--journal", sample_journal, "--root", f"2026-06-10={'0' * 64}")
    assert done.returncode == 1
    assert "the day does not end on its root" in done.stdout


def test_a_published_root_of_a_day_that_is_gone_is_missed(sample_journal: Path) -> None:
    done = run_here("verify", "--journal", sample_journal, "--root", f"2026-06-11={'0' * 64}")
    assert done.returncode == 1
    assert "2026-06-11" in done.stdout


def test_a_rewritten_journal_is_caught_by_the_published_root(sample_journal: Path, tmp_path: Path) -> None:
    root = read_journal(sample_journal).links[-1].hash
    words: Words = ["--symbols", "TSLA", "--bars", SAMPLE / "bars", "--report", tmp_path / "report.json"]
    other = tmp_path / "journal.jsonl"
    assert run_here("replay", *words, "--journal", other).returncode == 0
    done = run_here("verify", "--journal", other, "--root", f"2026-06-10={root}")
    assert done.returncode == 1


def test_ctrl_c_stops_a_simulation_with_one_line() -> None:
    running = subprocess.Popen(
        [sys.executable, "-m", "hearthwatch", "simulate", "--seconds", "60"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    with pytest.raises(subprocess.TimeoutExpired):
        running.wait(timeout=6)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert (running.returncode, errors) == (130, "hearthwatch: stopped\n")


def test_a_python_without_the_packages_is_told_which_one_to_take() -> None:
    words = [sys.executable, "-S", "-m", "hearthwatch", "cost", "--savings"]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hearthwatch: this Python has no ")
    assert ".venv/bin/python" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_ends_a_command_without_a_word() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = [sys.executable, "-m", "hearthwatch", "cost", "--savings"]
    done = subprocess.run(words, cwd=PROJECT, stdout=writing, stderr=subprocess.PIPE, timeout=60, check=False)
    os.close(writing)

    assert (done.returncode, done.stderr) == (141, b"")
