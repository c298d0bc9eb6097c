"""The report's form, and that the same replay writes the same bytes wherever and however often it runs."""

from __future__ import annotations

import json
import re
import shutil
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hearthwatch.commands import SAMPLE
from shared.domain.alerts import AlertKind
from shared.domain.trading_state import HaltReason
from tests.end_to_end.expected import Holding
from tests.end_to_end.replaying import Report, hearthwatch, replay, without_timings, write_portfolio

KEYS = {
    "": {
        "range",
        "ticks",
        "symbols",
        "moves",
        "intents",
        "orders",
        "alerts",
        "trading_state",
        "coverage",
        "errors",
        "end",
        "pnl",
        "wall_seconds",
        "ticks_per_second",
    },
    "range": {"from", "to"},
    "moves": {"symbol", "at", "change_pct", "from_price", "price"},
    "intents": {"id", "symbol", "side", "quantity", "reason", "lot", "at", "state"},
    "orders": {
        "id",
        "symbol",
        "side",
        "type",
        "quantity",
        "sent_at",
        "filled_at",
        "filled_quantity",
        "fill_price",
        "state",
    },
    "alerts": {"kind", "severity", "at", "channels", "suppressed"},
    "trading_state": {"at", "reasons"},
    "coverage": {"at", "broker_pct", "software_pct", "none_pct"},
    "end": {"cash", "equity", "positions"},
    "end.positions": {"symbol", "quantity", "average_entry_price", "last_price", "stop_price"},
    "pnl": {"realised", "unrealised"},
}
MONEY = {
    "from_price",
    "price",
    "quantity",
    "filled_quantity",
    "fill_price",
    "cash",
    "equity",
    "average_entry_price",
    "last_price",
    "stop_price",
    "realised",
    "unrealised",
}
TIMES = {"at", "sent_at", "filled_at"}
TEXTS = {"symbol", "id", "side", "reason", "lot", "state", "type", "kind", "severity"}
NUMBERS = {"change_pct", "broker_pct", "software_pct", "none_pct", "wall_seconds", "ticks_per_second"}
COUNTS = {"ticks", "suppressed"}
AMOUNT = re.compile(r"-?\d+(\.\d*[1-9])?")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")


@pytest.fixture(scope="module")
def sample_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    done = hearthwatch("replay", "--report", folder / "report.json", "--journal", folder / "journal.jsonl")
    assert done.returncode == 0, done.stderr
    return folder


OF_A_FILL = {"filled_at", "fill_price"}
"""What an order that rests, or ended without a trade, has no value for."""


@pytest.fixture(scope="module")
def sample_report(sample_run: Path) -> Report:
    read: Report = json.loads((sample_run / "report.json").read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("place", sorted(KEYS))
def test_every_object_of_the_report_has_exactly_its_keys(sample_report: Report, place: str) -> None:
    found = objects(sample_report, place)
    assert found
    assert all(set(each) == KEYS[place] for each in found)


def test_money_is_text_times_end_with_z_and_counts_are_whole(sample_report: Report) -> None:
    pairs = list(leaves(sample_report))
    assert {name for name, _ in pairs} >= MONEY | TIMES | TEXTS | NUMBERS | COUNTS
    for name, value in pairs:
        if value is None:
            assert name in OF_A_FILL
        elif name in MONEY:
            assert isinstance(value, str)
            assert AMOUNT.fullmatch(value), (name, value)
        elif name in TIMES:
            assert isinstance(value, str)
            assert TIME.fullmatch(value), (name, value)
        elif name in COUNTS:
            assert type(value) is int
        elif name in NUMBERS:
            assert isinstance(value, int | float)
        elif name in ("from", "to"):
            assert date.fromisoformat(value).isoformat() == value
        else:
            assert isinstance(value, str), (name, value)


def test_an_exit_that_found_no_trade_expires_with_nulls_and_is_prepared_again(tmp_path: Path) -> None:
    report = replay_one_day(tmp_path, ["100", "90"], quantity="0.5")
    order = report["orders"][0]
    assert (order["filled_at"], order["fill_price"], order["filled_quantity"]) == (None, None, "0")
    assert order["state"] == "expired"
    assert [intent["state"] for intent in report["intents"]] == ["EXPIRED", "PREPARED"]


def test_states_coverage_and_alerts_say_known_words(sample_report: Report) -> None:
    assert {alert["kind"] for alert in sample_report["alerts"]} <= set(AlertKind)
    reasons = {reason for state in sample_report["trading_state"] for reason in state["reasons"]}
    assert reasons <= set(HaltReason)
    for covered in sample_report["coverage"]:
        total = covered["broker_pct"] + covered["software_pct"] + covered["none_pct"]
        assert total == pytest.approx(100.0)
    changes = [(c["broker_pct"], c["software_pct"], c["none_pct"]) for c in sample_report["coverage"]]
    assert all(one != other for one, other in pairwise(changes))


def test_lists_are_in_order_of_time(sample_report: Report) -> None:
    for name in ("moves", "intents", "trading_state", "coverage"):
        times = [entry["at"] for entry in sample_report[name]]
        assert times == sorted(times)
    assert sample_report["symbols"] == sorted(sample_report["symbols"])


def test_the_same_replay_again_writes_the_same_bytes(sample_run: Path, tmp_path: Path) -> None:
    report, journal = tmp_path / "report.json", tmp_path / "journal.jsonl"
    assert hearthwatch("replay", "--report", report, "--journal", journal).returncode == 0
    assert without_timings(report) == without_timings(sample_run / "report.json")
    assert journal.read_bytes() == (sample_run / "journal.jsonl").read_bytes()


@pytest.mark.parametrize("seed", ["0", "1", "random"])
def test_the_hash_seed_changes_nothing(sample_run: Path, tmp_path: Path, seed: str) -> None:
    report, journal = tmp_path / "report.json", tmp_path / "journal.jsonl"
    done = hearthwatch("replay", "--report", report, "--journal", journal, env={"PYTHONHASHSEED": seed})
    assert done.returncode == 0
    assert without_timings(report) == without_timings(sample_run / "report.json")
    assert journal.read_bytes() == (sample_run / "journal.jsonl").read_bytes()


def test_only_the_timings_differ_between_runs(sample_run: Path) -> None:
    text = (sample_run / "report.json").read_text(encoding="utf-8")
    dropped = set(text.splitlines()) - set(without_timings(sample_run / "report.json").splitlines())
    assert len(dropped) == 2


def test_the_order_of_files_in_the_folder_changes_nothing(tmp_path: Path) -> None:
    files = sorted((SAMPLE / "bars").iterdir())
    results = []
    for number, order in enumerate((files, files[::-1])):
        folder = tmp_path / f"bars{number}"
        folder.mkdir()
        for file in order:
            shutil.copyfile(file, folder / file.name)
        report, journal = tmp_path / f"{number}.json", tmp_path / f"{number}.jsonl"
        words = ("--bars", folder, "--portfolio", SAMPLE / "portfolio.json", "--report", report, "--journal", journal)
        assert hearthwatch("replay", *words).returncode == 0
        results.append((without_timings(report), journal.read_bytes()))
    assert results[0] == results[1]


def test_the_order_of_symbols_asked_for_changes_nothing(tmp_path: Path) -> None:
    results = []
    for names in ("TSLA,KO,NVDA", "nvda, TSLA,KO,TSLA"):
        report = tmp_path / "report.json"
        words = ("--bars", SAMPLE / "bars", "--symbols", names, "--report", report)
        assert hearthwatch("replay", *words, "--journal", tmp_path / "journal.jsonl").returncode == 0
        results.append(without_timings(report))
    assert results[0] == results[1]


def test_positions_in_another_order_end_with_the_same_report(tmp_path: Path) -> None:
    content = json.loads((SAMPLE / "portfolio.json").read_text(encoding="utf-8"))
    results = []
    for positions in (content["positions"], content["positions"][::-1]):
        portfolio = tmp_path / "portfolio.json"
        portfolio.write_text(json.dumps({"cash": content["cash"], "positions": positions}), encoding="utf-8")
        report = tmp_path / "report.json"
        words = ("--bars", SAMPLE / "bars", "--portfolio", portfolio, "--report", report)
        assert hearthwatch("replay", *words, "--journal", tmp_path / "journal.jsonl").returncode == 0
        results.append(without_timings(report))
    assert results[0] == results[1]


def test_a_stop_that_rests_to_the_end_has_nulls_for_its_fill(tmp_path: Path) -> None:
    [order] = replay_one_day(tmp_path, ["100", "99"])["orders"]
    assert (order["type"], order["state"]) == ("stop", "new")
    assert (order["filled_at"], order["fill_price"], order["filled_quantity"]) == (None, None, "0")


def replay_one_day(tmp_path: Path, closes: list[str], quantity: str = "1") -> Report:
    folder = tmp_path / "bars"
    folder.mkdir()
    rows = [f"2026-03-04T14:{30 + n}:00Z,{p},{p},{p},{p},1000" for n, p in enumerate(closes)]
    rows.append(f"2026-03-04T14:{30 + len(closes)}:00Z,{closes[-1]},{closes[-1]},{closes[-1]},{closes[-1]},0")
    (folder / "TSLA.csv").write_text("\n".join(["ts,open,high,low,close,volume", *rows]) + "\n", encoding="utf-8")
    held = Holding(symbol="TSLA", quantity=Decimal(quantity), entry=Decimal(100), loss=Decimal("0.05"))
    write_portfolio(tmp_path / "portfolio.json", [held])
    return replay(tmp_path, "--bars", folder, holdings=[held])


def objects(report: Report, place: str) -> list[dict[str, Any]]:
    found: list[Any] = [report]
    for step in filter(None, place.split(".")):
        found = [each for one in found for each in (one[step] if isinstance(one[step], list) else [one[step]])]
    return found


def leaves(value: Any, name: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, key)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner, name)]
    return [(name, value)]
