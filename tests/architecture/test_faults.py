"""Every fault and invariant has its row in docs/faults.md, and every test named there exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
LATER: Final = "with its part: "
NOT_IN_YET: Final = frozenset({*range(18, 26), 37, 38, 40})
"""Faults of the edge node and the reading of news."""

Rows = Mapping[int, tuple[str, Sequence[str]]]


def rows(page: str, heading: str) -> Rows:
    """Read a table: by its number, the text of each row before the tests, and the tests."""
    table = page.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    found = {}
    for line in re.findall(r"^\| \d+ \|.*$", table, re.MULTILINE):
        number, *cells, tests = (cell.strip() for cell in line.strip("|").split(" | "))
        assert int(number) not in found, f"{heading} has two rows {number}"
        found[int(number)] = " ".join([*cells, tests if LATER in tests else ""]), re.findall(r"`([^`]+)`", tests)
    return found


@cache
def _body(path: str) -> list[ast.stmt]:
    file = ROOT / path
    return ast.parse(file.read_text(encoding="utf-8")).body if file.is_file() else []


def exists(name: str) -> bool:
    """Say whether `path::name` or `path::Class::name` is there; a parametrised test counts by its function."""
    path, *inner = name.split("::")
    body = _body(path)
    for part in inner:
        found = [n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == part]
        if not found:
            return False
        body = found[0].body
    return bool(inner)


def problems(page: str, heading: str, numbers: Sequence[int], later: frozenset[int]) -> list[str]:
    """List what is wrong with a table: rows that lack, rows without a test, tests that do not exist."""
    found = rows(page, heading)
    wrong = [f"{number} has no row" for number in numbers if number not in found]
    wrong += [f"{number} is no {heading.lower()[:-1]}" for number in found if number not in numbers]
    for number, (text, tests) in found.items():
        if (LATER in text) != (number in later):
            wrong.append(f"{number} {'is in' if LATER in text else 'is not in yet'}")
        if not tests and number not in later:
            wrong.append(f"{number} names no test")
        wrong += [f"{number}: no {name}" for name in tests if not exists(name)]
    return wrong


TABLES = [("Faults", range(1, 47), NOT_IN_YET), ("Invariants", range(1, 14), frozenset())]


@pytest.mark.parametrize(("heading", "numbers", "later"), TABLES, ids=["faults", "invariants"])
def test_every_row_names_tests_that_exist(heading: str, numbers: range, later: frozenset[int]) -> None:
    assert problems(PAGE, heading, numbers, later) == []


@pytest.mark.parametrize("number", sorted({*range(1, 47)} - NOT_IN_YET))
def test_a_fault_is_injected_by_a_test_and_not_by_a_check_alone(number: int) -> None:
    _, tests = rows(PAGE, "Faults")[number]
    assert all(re.match(r"tests/[\w/]+/test_\w+\.py::", name) for name in tests)


SAMPLE = "tests/faults/test_runaway.py::test_the_lock_ends_with_the_next_open"
CLASS = "tests/unit/test_quotes.py::TestWildPrints"


@pytest.mark.parametrize(
    ("table", "wrong"),
    [
        (f"| 1 | one | done | `{SAMPLE}` |\n| 2 | two | {LATER}news |  |", []),
        (f"| 1 | one | done | `{CLASS}::test_a_larger_jump_waits_down_and_up` |\n| 2 | two | {LATER}news |  |", []),
        (f"| 1 | one | done | `{SAMPLE}` |", ["2 has no row"]),
        (f"| 1 | one | done |  |\n| 2 | two | {LATER}news |  |", ["1 names no test"]),
        (f"| 1 | one | {LATER}news |  |\n| 2 | two | {LATER}news |  |", ["1 is in", "1 names no test"]),
        (f"| 1 | one | done | `{SAMPLE}` |\n| 2 | two | done | `{SAMPLE}` |", ["2 is not in yet"]),
        (f"| 1 | one | done | `{SAMPLE}s` |\n| 2 | two | {LATER}news |  |", [f"1: no {SAMPLE}s"]),
        (f"| 1 | one | done | `{CLASS}::no` |\n| 2 | two | {LATER}news |  |", [f"1: no {CLASS}::no"]),
        (f"| 1 | one | done | `tests/no.py::a` |\n| 2 | two | {LATER}news |  |", ["1: no tests/no.py::a"]),
        ("| 1 | one | done | `tests/conftest.py` |\n| 2 | two | with its part: news |  |", ["1: no tests/conftest.py"]),
        (f"| 1 | one | done | `{SAMPLE}` |\n| 2 | two | {LATER}news |  |\n| 3 | x | y | `{SAMPLE}` |",
         ["3 is no fault"]),
    ],
)  # fmt: skip
def test_a_table_that_is_wrong_is_told(table: str, wrong: list[str]) -> None:
    assert problems(f"# Page\n\n## Faults\n\n{table}\n\n## More\n\n| 9 |\n", "Faults", [1, 2], frozenset({2})) == wrong
