"""The month that the template costs, what makes it dear, and the assumptions that both rest on."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import tests.operator.deployment as deployment
from hearthwatch.commands import main
from hearthwatch.cost import from_template
from hearthwatch.cost.from_template import COUNTED, DEAR, FREE, forecast_of, metrics_made_in, runs_of
from hearthwatch.cost.plan import LOADS, SYMBOLS, Choices, Load
from local_stack.cloud.deployed import schedules_of
from local_stack.cloud.template import Template
from shared.adapters.powertools.metrics import UNITS
from shared.bootstrap.cloud import Cloud
from shared.domain.assets import Symbol
from shared.domain.forecast import Forecast, Item, cents
from shared.domain.model_prices import OPUS, STARTING_PRICES
from shared.domain.times import Tick
from tests.architecture.deployment import FUNCTION, ROOT, TEXT, deployed
from tests.architecture.test_template_mutations import PER_SYMBOL, made_wrong

CAP = Decimal(30)
README = (ROOT / "README.md").read_text(encoding="utf-8")
COSTS = (ROOT / "docs" / "costs.md").read_text(encoding="utf-8")


@cache
def forecast(text: str = TEXT, choices: Choices | None = None, sources: Path = ROOT) -> Forecast:
    return forecast_of(Template.from_text(text, from_template.GIVEN), choices or Choices(), STARTING_PRICES, sources)


def count(found: Forecast, item: Item) -> Decimal:
    return sum((line.count for line in found.lines if line.what == item), Decimal(0))


# the template as it is


def test_the_month_of_the_template_is_below_its_cap_and_nothing_makes_it_dear() -> None:
    found = forecast()

    assert found.failures(CAP) == []
    assert found.warnings == ()
    aws = found.total - found.of_group("models") - found.of_group("power")
    assert 1 < aws < 6


def test_every_schedule_is_counted() -> None:
    runs = {schedule.function: sum(runs_of(schedule)) for schedule in schedules_of(deployed())}

    assert runs.keys() == set(deployed().of_type(FUNCTION))
    assert (runs["CheckRisk"], runs["ArchivePrices"], runs["PrepareSession"]) == (43_200, 720, 22)
    assert count(forecast(), Item.SCHEDULES) == sum(runs.values())
    assert count(forecast(), Item.LAMBDA_RUNS) > sum(runs.values())


def test_the_market_is_open_in_a_share_of_the_runs() -> None:
    opened, closed = next(runs_of(each) for each in schedules_of(deployed()) if each.function == "PollPrices")

    assert (opened, closed) == (21 * 390, 43_200 - 21 * 390)


def test_every_function_has_a_load_of_its_own() -> None:
    assert LOADS.keys() == set(deployed().of_type(FUNCTION))


def test_every_kind_of_resource_is_free_counted_or_dear() -> None:
    kinds = {resource["Type"] for resource in deployed().template.resources.values()}

    assert kinds <= FREE | COUNTED
    assert not FREE & COUNTED
    assert not DEAR.keys() & (FREE | COUNTED)


def test_more_memory_and_the_other_processor_cost_more() -> None:
    larger = forecast(TEXT.replace("MemorySize: 512", "MemorySize: 1024"))
    other = forecast(TEXT.replace("Default: arm64", "Default: x86_64"))

    assert count(larger, Item.LAMBDA_ARM) == 2 * count(forecast(), Item.LAMBDA_ARM)
    assert count(other, Item.LAMBDA_ARM) == 0
    assert other.of_group("Lambda") > forecast().of_group("Lambda")


def test_choices_change_what_models_and_power_cost() -> None:
    nobody = forecast(choices=Choices(decisions=0, watts=Decimal(0)))
    news = forecast(choices=Choices(articles=10_000, batch=True))

    assert nobody.of_group("models") == nobody.of_group("power") == 0
    assert cents(news.of_group("models")) == "32.94"
    assert news.of_group("DynamoDB") > forecast().of_group("DynamoDB")
    assert news.failures(CAP)


# what makes it dear

NAT = "  Way:\n    Type: AWS::EC2::NatGateway\n    Properties: {SubnetId: a, AllocationId: b}\n"
SECRET = "  Keys:\n    Type: AWS::SecretsManager::Secret\n    Properties: {Name: keys}\n"
NETWORK = "  Net:\n    Type: AWS::EC2::VPC\n    Properties: {CidrBlock: 10.0.0.0/16}\n"
SERVER = "  Box:\n    Type: AWS::EC2::Instance\n    Properties: {InstanceType: t3.large}\n"
IN_NETWORK = "      VpcConfig: {SubnetIds: [a], SecurityGroupIds: [b]}\n"
BEFORE_TLS = "  TlsOnly:\n"

# what it is, the resource it happens to, what the template says there, what it would say, and what is said about it
SEEDED = [
    ("a NAT gateway", "TlsOnly", BEFORE_TLS, NAT + BEFORE_TLS, "Way is a NAT gateway"),
    ("a managed secret", "TlsOnly", BEFORE_TLS, SECRET + BEFORE_TLS, "Keys is a secret of Secrets Manager"),
    ("a network", "TlsOnly", BEFORE_TLS, NETWORK + BEFORE_TLS, "Net is a network of its own"),
    ("a server", "TlsOnly", BEFORE_TLS, SERVER + BEFORE_TLS, "Box is a AWS::EC2::Instance, of which no price is known"),
    ("a function in a network", "CheckRisk", "      Timeout:", IN_NETWORK + "      Timeout:", "needs a NAT gateway"),
    (
        "a metric for each symbol",
        "TickLag",
        "[{Name: service, Value: hearthwatch}]",
        PER_SYMBOL,
        "TickLag looks at a metric by service, symbol",
    ),
    ("a schedule every second", "CheckRisk", "rate(1 minute)", "rate(1 second)", "runs more than once a minute"),
    ("logs without an end", "CheckRiskLogs", "      RetentionInDays: 30\n", "", "CheckRiskLogs keeps logs for ever"),
    (
        "logs of nobody's",
        "CheckRisk",
        "      LoggingConfig: {LogGroup: !Ref CheckRiskLogs}\n",
        "",
        "CheckRisk logs where nothing is ever deleted",
    ),
    (
        "an object each minute",
        "PollPricesRole",
        "Action: [dynamodb:",
        "Action: [s3:PutObject, dynamodb:",
        "objects a month: one for each minute or article",
    ),
]


@pytest.mark.parametrize(
    ("resource", "right", "wrong", "said"), [row[1:] for row in SEEDED], ids=[r[0] for r in SEEDED]
)
def test_what_would_make_it_dear_fails(resource: str, right: str, wrong: str, said: str) -> None:
    failures = forecast(made_wrong(resource, right, wrong)).failures(Decimal(1_000))

    assert [line for line in failures if said in line], failures


def test_a_dashboard_and_a_key_of_ones_own_are_counted() -> None:
    key = "  StrayKey:\n    Type: AWS::KMS::Key\n    Properties: {KeyPolicy: {}}\n"
    view = "  View:\n    Type: AWS::CloudWatch::Dashboard\n    Properties: {DashboardBody: ''}\n"
    found = forecast(made_wrong("TlsOnly", BEFORE_TLS, key + view + BEFORE_TLS))

    assert found.total - forecast().total == 1 + 3


@pytest.mark.parametrize(
    "line",
    [
        'metrics.add_dimension(name="symbol", value=symbol)',
        "metrics.set_default_dimensions(symbol=symbol)",
        'single_metric(name="price", unit=unit, value=1)',
        "cloudwatch.put_metric_data(MetricData=[])",
        'self.metrics.put(f"price_{symbol}", price)',
    ],
)
def test_code_that_makes_a_metric_for_each_symbol_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "functions").mkdir()
    (tmp_path / "functions" / "new.py").write_text(f"from x import Metrics\n\n{line}\n")

    assert [found.split(" ")[0] for found in metrics_made_in(tmp_path)] == ["functions/new.py:3"]
    assert forecast(sources=tmp_path).failures(CAP)


@pytest.mark.parametrize("more", [[f"metric_{number}" for number in range(9)], ["price_TSLA"], ["lag_by_symbol"]])
def test_too_many_metrics_or_one_for_a_symbol_fail(more: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(from_template, "UNITS", {**UNITS, **dict.fromkeys(more)})

    assert forecast.__wrapped__().failures(CAP)


def test_opus_deciding_fails() -> None:
    assert [line for line in forecast(choices=Choices(decision_model=OPUS)).warnings if OPUS in line]


# the command


def test_the_command_prints_every_line_and_the_total(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--forecast", "--template", str(ROOT / "template.yaml")]) == 0
    out = capsys.readouterr().out

    found = forecast()
    assert [line.what for line in found.lines if line.count and line.what not in out] == []
    assert f"${cents(found.total)} a month at list prices" in out
    assert f"${cents(found.total_after_free)} after the free tier" in out


def test_the_command_fails_above_its_cap_and_quietly_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cost", "--forecast", "--quiet", "--template", str(ROOT / "template.yaml")]
    assert main(words) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1

    assert main([*words, "--cap", "5"]) == 1
    assert "is more than the cap of $5.00" in capsys.readouterr().out.splitlines()[1]


def test_the_forecast_for_programs_has_exact_dollars(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--forecast", "--json", "--template", str(ROOT / "template.yaml")]) == 0
    found = json.loads(capsys.readouterr().out)

    assert Decimal(found["total"]) == forecast().total
    assert sum(Decimal(line["dollars"]) for line in found["lines"]) == forecast().total


@pytest.mark.parametrize("words", [["--cap", "-1"], ["--cap", "NaN"], ["--articles-a-day", "1.5"], ["--tariff", "x"]])
def test_what_is_no_amount_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["cost", "--forecast", *words])
    assert ended.value.code == 2
    assert words[0] in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--cap", "5"], ["--quiet"], ["--decision-model", "haiku"]])
def test_what_belongs_to_a_forecast_is_refused_without_one(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for instead in ([], ["--savings"]):
        with pytest.raises(SystemExit) as ended:
            main(["cost", *instead, *words])
        assert ended.value.code == 2
        assert f"{words[0]} goes with --forecast" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"\xcf\x00", b"# a page", b"{}", b"{", b"Resources: 5", b"- a"])
def test_a_file_that_is_no_template_is_named(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "template.yaml"
    if content is not None:
        path.write_bytes(content)

    assert main(["cost", "--forecast", "--template", str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_savings_are_printed_with_their_arithmetic(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--savings"]) == 0
    out = capsys.readouterr().out

    for figure in ("400 x 850", "$1.02", "$1.06", "$55", "$52", "94.3 %", "$425.00", "$5,100.00", "$0.034", "-$10.00"):
        assert figure in out


# the assumptions


@dataclass
class Meter:
    """Counts the units that requests to tables are billed in."""

    reads: Decimal = Decimal(0)
    writes: int = 0
    _asked: dict[int, Mapping[str, Any]] = field(default_factory=dict)

    def before(self, params: Mapping[str, Any], context: dict[str, Any], **_: object) -> None:
        context["asked"] = params

    def after(self, parsed: Mapping[str, Any], model: Any, context: Mapping[str, Any], **_: object) -> None:
        asked = context["asked"]
        if model.name == "GetItem":
            self._read([parsed.get("Item", {})], asked)
        elif model.name == "Query":
            self._read(parsed.get("Items", []), asked)
        elif model.name == "PutItem":
            self.writes += _units(_size(asked["Item"]), 1024)
        elif model.name in ("UpdateItem", "DeleteItem"):
            self.writes += 1
        else:
            raise AssertionError(f"{model.name} is not counted")

    def taken(self) -> tuple[Decimal, int]:
        taken = (self.reads, self.writes)
        self.reads, self.writes = Decimal(0), 0
        return taken

    def _read(self, items: list[Mapping[str, Any]], asked: Mapping[str, Any]) -> None:
        share = 1 if asked.get("ConsistentRead") else Decimal("0.5")
        self.reads += _units(sum(map(_size, items)), 4096) * share


def _size(item: Mapping[str, Any]) -> int:
    return sum(len(name) + len(json.dumps(value)) for name, value in item.items())


def _units(size: int, unit: int) -> int:
    return max(1, math.ceil(size / unit))


STEPS: Mapping[str, Callable[[Cloud, Tick], object]] = {
    "ReconcileOrders": lambda ports, tick: ports.use_cases.reconcile_orders(),
    "PollPrices": lambda ports, tick: ports.use_cases.poll_prices(tick),
    "CheckRisk": lambda ports, tick: ports.use_cases.check_risk(tick),
    "PlaceOrders": lambda ports, tick: ports.use_cases.place_orders("executor"),
    "RouteAlerts": lambda ports, tick: ports.use_cases.route_alerts.sweep(),
    "AuditBudget": lambda ports, tick: ports.use_cases.audit_budget(tick),
}
QUIET = 3
"""The minute that is measured: stops rest, nothing is to be done."""


@pytest.mark.parametrize("now", ["NOON", "EVENING"])
def test_a_run_takes_no_more_table_operations_than_assumed(now: str, monkeypatch: pytest.MonkeyPatch) -> None:
    thirty = [Symbol(f"{first}{second}X") for first in "ABCDE" for second in "ABCDEF"]
    assert len(thirty) == SYMBOLS
    monkeypatch.setattr(deployment, "PRICES", {symbol: str(100 + i) for i, symbol in enumerate(thirty)})
    held = dict.fromkeys(thirty, "10")
    with deployment.Deployment(now=getattr(deployment, now), held=held, Watchlist=",".join(thirty)) as stack:
        stack.ready()
        meter = Meter()
        events = stack.aws.dynamodb.meta.events
        events.register("before-parameter-build.dynamodb", meter.before)
        events.register("after-call.dynamodb", meter.after)
        for _ in range(QUIET):
            taken = {name: _measured(stack, step, meter) for name, step in STEPS.items()}
            stack._trade()

    for name, (reads, writes) in taken.items():
        assumed_reads, assumed_writes = _assumed(LOADS[name], is_open=now == "NOON")
        assert reads <= assumed_reads <= 3 * reads + 10, (name, reads)
        assert writes <= assumed_writes, (name, writes)


def _measured(stack: deployment.Deployment, step: Callable[[Cloud, Tick], object], meter: Meter) -> tuple[Decimal, int]:
    ports = stack.ports
    meter.taken()
    try:
        step(ports, Tick(scheduled=ports.clock.now()))
    finally:
        ports.close()
    return meter.taken()


def _assumed(load: Load, *, is_open: bool) -> tuple[int, int]:
    return (load.open_reads, load.open_writes) if is_open else (load.closed_reads, load.closed_writes)


# the documents


def test_the_readme_and_the_page_on_costs_say_what_the_forecast_says() -> None:
    found = forecast()
    aws = found.total - found.of_group("models") - found.of_group("power")
    for text in (README, COSTS):
        assert f"${cents(aws)}" in text
        assert f"${cents(found.total)}" in text
        assert f"${cents(found.total_after_free)}" in text
        for group in ("Lambda", "DynamoDB", "CloudWatch", "models", "power"):
            assert re.search(rf"^\| {group} \|.*\| \${re.escape(cents(found.of_group(group)))} \|$", text, re.M), group
