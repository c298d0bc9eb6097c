"""What the template deploys: every rule of it, on the plain template that CloudFormation would get."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator

import pytest
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

import shared.settings
from local_stack.cloud.deployed import functions_of
from local_stack.cloud.functions import find_handler
from shared.adapters.powertools.metrics import MOST_METRICS, UNITS
from shared.bootstrap.cloud import DISCORD, EVERY_SECRET, LIVE_KEYS, MODEL_KEYS, PAPER_KEYS
from shared.settings import PREFIX, Settings
from tests.architecture.deployment import FUNCTION, QUEUE, ROOT, TABLE, TEXT, deployed
from tests.architecture.template_access import GRANTS, LIVE, MODELS, PAPER, SECRET
from tests.architecture.template_rules import RULES, VARIABLES

DECLARED = yaml_parse(TEXT)["Parameters"]
OUTPUTS = yaml_parse(TEXT)["Outputs"]
ONE_MACHINE_ONLY = {
    "HEARTHWATCH_ALPACA_TRADING_URL",
    "HEARTHWATCH_ALPACA_DATA_URL",
    "HEARTHWATCH_YAHOO_URL",
    "HEARTHWATCH_DISCORD_LOOPBACK",
    "HEARTHWATCH_ANTHROPIC_URL",
    "HEARTHWATCH_DEEPSEEK_URL",
    "HEARTHWATCH_GEMINI_URL",
}
"""What stands in for the real addresses."""
NOT_A_SETTING = {"LOG_LEVEL"}
SECRETS = re.compile(
    r"discord(app)?\.com/api/webhooks|\b(AKIA|ASIA)[A-Z0-9]{16}|\b[PA]K[A-Z0-9]{18}|BEGIN [A-Z ]*KEY|\{\{resolve:"
)
PROGRAM = [file for room in ("shared", "functions") for file in sorted((ROOT / room).rglob("*.py"))]


@pytest.mark.parametrize("schedules", ["DISABLED", "ENABLED"])
@pytest.mark.parametrize("rule", RULES)
def test_the_template_keeps_every_rule(rule: str, schedules: str) -> None:
    assert list(RULES[rule](deployed(Schedules=schedules))) == []


def test_only_orders_may_read_the_live_keys() -> None:
    readers = {role for role, granted in GRANTS.items() if LIVE.keys() & granted.keys()}
    assert readers == {"PlaceOrders", "ReconcileOrders"}


def test_the_listed_secrets_are_those_the_program_reads() -> None:
    assert {*PAPER, *LIVE, DISCORD, *MODELS} == {*PAPER_KEYS, *LIVE_KEYS, DISCORD, *MODEL_KEYS} == {*EVERY_SECRET}
    assert {role for role, granted in GRANTS.items() if granted.get(DISCORD) == SECRET} == {"RouteAlerts"}


def test_nobody_may_delete_from_the_journal() -> None:
    assert not [granted for granted in GRANTS.values() if "dynamodb:DeleteItem" in granted.get("JournalTable", set())]


@pytest.mark.parametrize("name", functions_of(deployed()))
def test_every_handler_is_where_the_template_says(name: str) -> None:
    assert callable(find_handler(functions_of(deployed())[name].handler))


def test_the_variables_are_exactly_the_settings() -> None:
    known = {
        f"{PREFIX}{field}".upper()
        for concern in vars(shared.settings).values()
        if isinstance(concern, type) and issubclass(concern, Settings)
        for field in concern.model_fields
    }
    assert known - ONE_MACHINE_ONLY == VARIABLES.keys() - NOT_A_SETTING


def test_the_template_holds_no_secret() -> None:
    assert SECRETS.search(TEXT) is None
    assert not [name for name, slot in DECLARED.items() if slot.get("NoEcho")]
    assert not [line for line in json.dumps(DECLARED).splitlines() if "AWS::SSM::Parameter::Value" in line]


@pytest.mark.parametrize("name", DECLARED)
def test_every_parameter_says_what_it_is_for_and_refuses_nonsense(name: str) -> None:
    slot = DECLARED[name]
    assert slot["Description"].endswith(".")
    assert ("AllowedValues" in slot) != ("AllowedPattern" in slot)
    if "AllowedPattern" in slot:
        pattern = re.compile(slot["AllowedPattern"])
        assert pattern.match(slot.get("Default", "owner@example.com"))
        assert not pattern.match("<nonsense>, and more")


def test_the_safe_choice_is_the_default() -> None:
    defaults = {name: DECLARED[name].get("Default") for name in ("Stage", "Schedules", "AssetClasses", "Architecture")}
    assert defaults == {"Stage": "paper", "Schedules": "DISABLED", "AssetClasses": "us_equity", "Architecture": "arm64"}


def test_the_outputs_name_all_that_an_operator_may_look_at() -> None:
    kinds = (
        TABLE, QUEUE, FUNCTION, "AWS::S3::Bucket", "AWS::SNS::Topic", "AWS::ApiGatewayV2::Api",
        "AWS::Scheduler::Schedule", "AWS::Logs::LogGroup",
    )  # fmt: skip
    assert {name: slot["Value"] for name, slot in OUTPUTS.items()} == {
        name: {"Ref": name} for kind in kinds for name in deployed().of_type(kind)
    }


def metrics_written(source: str) -> Iterator[str]:
    """Name the metrics that a source puts; one whose name is not plain text is named by its expression."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("metrics.put"):
            name = node.args[0]
            yield str(name.value) if isinstance(name, ast.Constant) else f"not plain text: {ast.unparse(name)}"


def test_every_metric_written_is_in_the_table_of_at_most_ten() -> None:
    written = {name for file in PROGRAM for name in metrics_written(file.read_text(encoding="utf-8"))}
    assert written == UNITS.keys()
    assert len(UNITS) <= MOST_METRICS == 10


def test_a_metric_per_symbol_would_be_noticed() -> None:
    assert set(metrics_written('self.metrics.put(f"lag_{symbol}", 1.0)')) == {"not plain text: f'lag_{symbol}'"}


def test_no_source_adds_a_dimension() -> None:
    adds = re.compile(r"add_dimension|set_default_dimensions|capture_cold_start|add_cold_start")
    assert not [file for file in PROGRAM if adds.search(file.read_text(encoding="utf-8"))]
