"""The targets that deploy, with programs in the place of SAM and of our own commands that only note their words."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.architecture.deployment import ROOT

FAKE_SAM = """#!/bin/sh
echo "sam $*" >>calls
case "$*" in
  *--guided*)
    printf 'stack_name = "watchtower"\\nparameter_overrides = "Schedules=x"\\nregion = "eu-west-1"\\n' >samconfig.toml
    [ ! -e broken ] ;;
  build*) mkdir -p .aws-sam/build/CoreLayer/python/shared/__pycache__ ;;
esac
"""
FAKE_PYTHON = """#!/bin/sh
echo "python $* in $AWS_DEFAULT_REGION" >>calls
case "$*" in *preflight*) [ ! -e unready ] ;; esac
"""
FIRST = "sam deploy --guided --stack-name hearthwatch --capabilities CAPABILITY_IAM --parameter-overrides"
LATER = "sam deploy --no-fail-on-empty-changeset --parameter-overrides"
BUILT_FOR = "Architecture=arm64 Runtime=python3.13"
PREFLIGHT = "python -m hearthwatch preflight --stack watchtower in eu-west-1"


@pytest.fixture
def yard(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("requirements.txt", "requirements-dev.txt", ".venv/.ready"):
        (tmp_path / name).touch()
    for name, text in (("sam", FAKE_SAM), ("python", FAKE_PYTHON)):
        program = tmp_path / ".venv" / "bin" / name
        program.write_text(text, encoding="utf-8")
        program.chmod(0o755)
    return tmp_path


def make(yard: Path, *words: str) -> tuple[int, list[str]]:
    """Run make and give its exit status with the calls about deploying that it made."""
    calls = yard / "calls"
    calls.unlink(missing_ok=True)
    environment = {"PATH": os.environ["PATH"], "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(
        [shutil.which("make") or "make", *words], cwd=yard, env=environment, capture_output=True, check=False
    )
    made = calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []
    return done.returncode, [line for line in made if "deploy" in line or "hearthwatch" in line]


def test_the_first_deploy_asks_and_enables_schedules_after_preflight(yard: Path) -> None:
    assert make(yard, "deploy") == (
        0,
        [f"{FIRST} {BUILT_FOR} Schedules=DISABLED", PREFLIGHT, f"{LATER} {BUILT_FOR} Schedules=ENABLED"],
    )


def test_nothing_is_enabled_when_preflight_fails(yard: Path) -> None:
    (yard / "unready").touch()
    assert make(yard, "deploy") == (2, [f"{FIRST} {BUILT_FOR} Schedules=DISABLED", PREFLIGHT])


def test_a_later_deploy_keeps_what_the_stack_was_told(yard: Path) -> None:
    make(yard, "deploy")
    assert make(yard, "deploy") == (
        0,
        [f"{LATER} {BUILT_FOR}", PREFLIGHT, f"{LATER} {BUILT_FOR} Schedules=ENABLED"],
    )


def test_a_first_deploy_that_broke_off_asks_again(yard: Path) -> None:
    (yard / "broken").touch()
    assert make(yard, "deploy") == (2, [f"{FIRST} {BUILT_FOR} Schedules=DISABLED"])
    (yard / "broken").unlink()
    assert make(yard, "deploy")[1][0] == f"{FIRST} {BUILT_FOR} Schedules=DISABLED"


def test_stage_and_parameters_are_passed_on_as_they_are(yard: Path) -> None:
    make(yard, "deploy")
    _, calls = make(yard, "deploy", "STAGE=live-1'; echo", "PARAMETERS=PriceFeed=sip", "ARCH=x86_64", "PY=python3.12")
    assert calls[0] == f"{LATER} Architecture=x86_64 Runtime=python3.12 Stage=live-1'; echo PriceFeed=sip"


def test_prices_of_models_come_from_a_file_in_the_quotes_that_sam_takes_off(yard: Path) -> None:
    make(yard, "deploy")
    (yard / "it's.json").write_text('[\n  {"model": "a", "input": "4"}\n]\n', encoding="utf-8")
    _, calls = make(yard, "deploy", "PRICES=it's.json", "PARAMETERS=BudgetDay=4.50")
    assert calls[0] == f'{LATER} {BUILT_FOR} ModelPrices=\'[{{"model":"a","input":"4"}}]\' BudgetDay=4.50'


@pytest.mark.parametrize("word", ["ARCH=host", "ARCH=$(touch pwned)", "PY=python3.9"])
def test_nothing_is_deployed_that_lambda_cannot_run(yard: Path, word: str) -> None:
    status, calls = make(yard, "deploy", word)
    assert (status, calls) == (2, [])
    assert not (yard / "pwned").exists()


def test_schedules_that_shall_be_off_stay_off(yard: Path) -> None:
    make(yard, "deploy")
    status, calls = make(yard, "deploy", "PARAMETERS=Schedules=DISABLED")
    assert (status, calls) == (0, [f"{LATER} {BUILT_FOR} Schedules=DISABLED", PREFLIGHT])


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["secrets"], "secrets --stack watchtower"),
        (["secrets", "ROTATE=it's"], "secrets --stack watchtower --rotate it's"),
        (["secrets", "LIST=1"], "secrets --stack watchtower --list"),
        (["preflight"], "preflight --stack watchtower"),
        (["preflight", "QUIET=1"], "preflight --stack watchtower --quiet"),
        (["mode"], "mode --stack watchtower"),
        (["mode", "STAGE=live-1"], "mode --stack watchtower live-1"),
        (["kill"], "kill --stack watchtower"),
        (["kill", "YES=1", "WHY=it's odd"], "kill --stack watchtower --why it's odd --yes"),
        (["freeze", "WHY=x"], "freeze --stack watchtower --why x"),
        (["flatten", "WHY=x"], "flatten --stack watchtower --why x"),
        (["clear", "WHY=x"], "clear --stack watchtower --why x"),
        (["models"], "models --stack watchtower"),
        (
            ["models", "ON=deepseek", "RUNG=haiku=it's", "TASK=news=mistral:7b", "RESET=1"],
            "models --stack watchtower --on deepseek --rung haiku=it's --task news=mistral:7b --reset",
        ),
    ],
)
def test_commands_are_about_the_stack_that_was_deployed(yard: Path, words: list[str], command: str) -> None:
    make(yard, "deploy")
    assert make(yard, *words) == (0, [f"python -m hearthwatch {command} in eu-west-1"])


@pytest.mark.parametrize("target", ["kill", "freeze", "flatten", "clear"])
def test_the_kill_switch_of_a_run_on_this_machine_needs_no_deploy(yard: Path, target: str) -> None:
    assert make(yard, target, "LOCAL=1", "WHY=x") == (
        0,
        [f"python -m hearthwatch {target} --local --why x in us-east-1"],
    )


def test_secrets_may_come_before_the_first_deploy(yard: Path) -> None:
    assert make(yard, "secrets") == (0, ["python -m hearthwatch secrets --stack hearthwatch in us-east-1"])


@pytest.mark.parametrize("target", ["preflight", "mode", "kill", "freeze", "flatten", "clear"])
def test_nothing_else_asks_about_a_stack_before_the_first_deploy(yard: Path, target: str) -> None:
    assert make(yard, target) == (2, [])


def test_teardown_names_the_stack_that_was_deployed(yard: Path) -> None:
    make(yard, "deploy")
    assert make(yard, "teardown") == (0, ["python -m hearthwatch teardown --stack watchtower in eu-west-1"])


def test_nothing_is_torn_down_that_was_not_deployed_from_here(yard: Path) -> None:
    assert make(yard, "teardown") == (2, [])
