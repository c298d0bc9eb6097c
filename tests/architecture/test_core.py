"""The core stays pure: the standard library only in the domain, and no clock, chance or machine in any of it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ("domain", "ports", "use_cases")
FILES = [file for room in CORE for file in sorted((ROOT / "shared" / room).glob("*.py"))]
IMPURE = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
MONEY = ("gate", "ledger", "positions", "reconciliation", "orders", "intents", "money")


def imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_the_core_needs_nothing_but_itself_and_the_standard_library(file: Path) -> None:
    foreign = {name for name in imports(file) if name.split(".")[0] not in {*sys.stdlib_module_names, "shared"}}
    assert not foreign


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_the_core_asks_no_clock_of_its_own(file: Path) -> None:
    calls = (node.func for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call))
    assert not {name for call in calls if (name := ast.unparse(call)) in IMPURE}


@pytest.mark.parametrize("name", MONEY)
def test_money_is_never_a_float(name: str) -> None:
    file = ROOT / "shared" / "domain" / f"{name}.py"
    names = {node.id for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Name)}
    assert "float" not in names
