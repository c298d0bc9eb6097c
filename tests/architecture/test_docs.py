"""What the documents say of the code is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.adapters.powertools.metrics import UNITS
from shared.bootstrap.cloud import EVERY_SECRET
from shared.domain.alerts import AlertKind
from shared.domain.protection import STEPS, Standing, Traffic
from shared.domain.trading_state import RULES, HaltReason, trading_state

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
FUNCTIONS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/handler.py"))
NOT_RAISED_YET = {AlertKind.DAILY_SUMMARY}
"""Kinds that the routing table knows before anything raises them."""


@pytest.mark.parametrize("reason", HaltReason)
def test_the_table_of_trading_states_is_what_the_code_does(reason: HaltReason) -> None:
    state = trading_state({reason})
    entries, resting = "yes" if state.entries_allowed else "no", "canceled" if state.cancels_entries else "rest"
    exits, words = "pass" if state.exits_allowed else "held", reason.value.replace("_", " ")
    row = f"| {words} | {state.mode.name} | {entries} | {resting} | {exits} | {RULES[reason].ends_when} |"
    assert row in ARCHITECTURE


@pytest.mark.parametrize("standing", Standing)
def test_the_table_of_stops_is_what_the_code_does(standing: Standing) -> None:
    steps = [STEPS[standing, traffic].value for traffic in Traffic]
    assert f"| {' | '.join([standing.value, *steps])} |" in ARCHITECTURE


@pytest.mark.parametrize("kind", [kind for kind in AlertKind if kind not in NOT_RAISED_YET])
def test_the_runbook_says_what_to_do_about_every_alert(kind: AlertKind) -> None:
    assert f"`{kind.value}`" in OPERATIONS


def test_the_runbook_says_what_to_do_about_every_alarm() -> None:
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    alarms = re.findall(r"^  (\w+):\n    Type: AWS::CloudWatch::Alarm$", template, re.MULTILINE)
    assert alarms
    assert [alarm for alarm in alarms if f"`{alarm}`" not in OPERATIONS] == []


@pytest.mark.parametrize("secret", EVERY_SECRET)
def test_the_runbook_names_every_secret(secret: str) -> None:
    assert f"`{secret}`" in OPERATIONS


@pytest.mark.parametrize("metric", UNITS)
def test_the_runbook_explains_every_metric(metric: str) -> None:
    assert f"`{metric}`" in OPERATIONS


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_architecture_names_every_function(function: str) -> None:
    assert f"| `{function}` |" in ARCHITECTURE


def test_the_readme_names_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z]+)", README)) <= targets


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8") + README)
    assert [link for link in links if not (ROOT / link).exists() and not (page.parent / link).exists()] == []
