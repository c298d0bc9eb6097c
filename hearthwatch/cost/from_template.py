"""A month's counts from what the template deploys, and what in it would make the month dear (BEY-13).

Unknown means no: a kind of resource that is not known to cost nothing, or a schedule that cannot be read, is a warning.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

from yaml import YAMLError

from hearthwatch.cost import plan
from hearthwatch.cost.plan import Choices, Load, paid_calls
from local_stack.cloud.cron import read_expression
from local_stack.cloud.deployed import DeployedFunction, DeployedSchedule, functions_of, schedules_of, triggers_of
from local_stack.cloud.stack import Place, Stack
from local_stack.cloud.template import NotPlayed, Template
from shared.adapters.powertools.metrics import UNITS
from shared.bootstrap.telemetry import NAMESPACE, SERVICE
from shared.domain.errors import Stop
from shared.domain.forecast import (
    DAYS,
    HOURS,
    Forecast,
    Item,
    added,
    aws_lines,
    model_line,
    power_line,
)
from shared.domain.model_prices import OPUS, PriceTable
from shared.domain.providers import SHIPPED

GIVEN: Final = {"MailFrom": "watch@example.com", "MailTo": "owner@example.com", "OperatorEmail": "owner@example.com"}
"""Parameters without a default; none of them costs anything."""
PLACE: Final = Place(stack="hearthwatch", account="123456789012", region="us-east-1", url="https://queues.example.com")
FIRST: Final = datetime(2026, 6, 1, tzinfo=UTC)
"""A month that begins on a Monday: schedules are counted over its 30 days."""

FREE: Final = frozenset(
    {
        "AWS::ApiGatewayV2::Api",
        "AWS::ApiGatewayV2::Route",
        "AWS::ApiGatewayV2::Integration",
        "AWS::ApiGatewayV2::Stage",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Role",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::LayerVersion",
        "AWS::Lambda::Permission",
        "AWS::Lambda::Url",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::Topic",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::SSM::Parameter",
    }
)
"""What costs nothing by being there; SNS sends a thousand mails a month for nothing, and alarms are fewer."""
COUNTED: Final = frozenset(
    {
        "AWS::CloudWatch::Alarm",
        "AWS::CloudWatch::Dashboard",
        "AWS::DynamoDB::Table",
        "AWS::KMS::Key",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
        "AWS::S3::Bucket",
        "AWS::SQS::Queue",
        "AWS::Scheduler::Schedule",
    }
)
"""What has a line of its own, or adds to one."""
DEAR: Final[Mapping[str, str]] = {
    "AWS::SecretsManager::Secret": "a secret of Secrets Manager, $0.40 a month; the parameter store takes nothing",
    "AWS::EC2::NatGateway": "a NAT gateway, $33 a month before any traffic",
    "AWS::EC2::VPC": "a network of its own, which needs a NAT gateway to reach a broker",
}
KILOBYTES: Final = Decimal(1_000_000)
"""In a gigabyte, as it is billed."""
_MAKES_METRICS: Final = frozenset({"add_dimension", "set_default_dimensions", "single_metric", "put_metric_data"})


def forecast_of(template: Template, choices: Choices, prices: PriceTable, sources: Path) -> Forecast:
    """Forecast the month of a template; `sources` is the folder whose code is looked through for metrics."""
    stack = Stack(template, PLACE)
    calls = paid_calls(choices)
    counts = added(_counts(stack), _of_paid_calls(sum(paid.calls for paid in calls)))
    models = [model_line(paid, prices) for paid in calls if paid.calls]
    return Forecast(
        lines=(*aws_lines(counts), *models, power_line(choices.watts, choices.tariff)),
        warnings=tuple(_warnings(stack, counts, choices, sources)),
    )


def read_template(path: Path) -> Template:
    """Read a template with what it has no defaults for; raises Stop for a file that is none."""
    try:
        return Template.read(path, GIVEN)
    except OSError as problem:
        raise Stop(f"{path} cannot be read: {problem.strerror}") from problem
    except (UnicodeDecodeError, YAMLError, KeyError, TypeError, AttributeError) as problem:
        raise Stop(f"{path} is no template of SAM: {type(problem).__name__}") from problem


def runs_of(schedule: DeployedSchedule) -> tuple[int, int]:
    """Count a schedule's runs in a month, while the market is open and while it is closed.

    What runs as often by night as by day meets the market open for 21 sessions' share of the month. A schedule that
    cannot be read, as one below a minute, is taken as one that runs every second.
    """
    runs = _runs(schedule.expression, schedule.zone)
    opened = runs * plan.OPEN_MINUTES // (DAYS * 24 * 60)
    return opened, runs - opened


@cache
def _runs(expression: str, zone: str) -> int:
    try:
        times = read_expression(expression, zone).after(FIRST - timedelta(seconds=1))
    except NotPlayed:
        return DAYS * 24 * 60 * 60
    end = FIRST + timedelta(days=DAYS)
    return sum(1 for _ in takewhile(lambda at: at < end, times))


# counts


def _counts(stack: Stack) -> Mapping[Item, Decimal]:
    functions, schedules = functions_of(stack), schedules_of(stack)
    of_functions = [_of_runs(stack, functions[each.function], *runs_of(each)) for each in schedules]
    of_queues = [_of_queue(stack, functions[trigger.function]) for trigger in triggers_of(stack)]
    return added(
        *of_functions,
        *of_queues,
        *(_of_cold_starts(stack, function) for function in functions.values()),
        _of_trade(),
        _of_resources(stack),
    )


def _of_runs(stack: Stack, function: DeployedFunction, opened: int, closed: int) -> Mapping[Item, Decimal]:
    load = load_of(function.logical_id)
    return {
        Item.SCHEDULES: Decimal(opened + closed),
        **_work(stack, function, load, opened, closed),
    }


def _work(stack: Stack, function: DeployedFunction, load: Load, opened: int, closed: int) -> Mapping[Item, Decimal]:
    runs = opened + closed
    seconds = load.open_seconds * opened + load.closed_seconds * closed
    return {
        Item.LAMBDA_RUNS: Decimal(runs),
        _gigabyte_seconds(stack, function): seconds * function.memory_mb / 1024,
        Item.DYNAMO_READS: Decimal(load.open_reads * opened + load.closed_reads * closed),
        Item.DYNAMO_WRITES: Decimal(load.open_writes * opened + load.closed_writes * closed),
        Item.LOGS_IN: plan.LOG_KB_A_RUN * runs / KILOBYTES,
        Item.LOGS_KEPT: plan.LOG_KB_A_RUN * runs / KILOBYTES * plan.LOG_DAYS / DAYS,
        Item.S3_PUT: Decimal(_puts(function, load) * runs),
    }


def _of_queue(stack: Stack, function: DeployedFunction) -> Mapping[Item, Decimal]:
    polls = plan.POLLERS * DAYS * 24 * 60 * 60 // plan.POLL_SECONDS
    runs = plan.ALERTS_A_MONTH if function.logical_id == "RouteAlerts" else plan.ORDERS_A_DAY * 21
    load = load_of(function.logical_id)
    return added(
        {Item.SQS: Decimal(polls + 3 * runs)},
        _work(stack, function, load, runs, 0),
        {Item.DYNAMO_WRITES: Decimal(plan.ALERT_WRITES * runs)},
    )


def _of_cold_starts(stack: Stack, function: DeployedFunction) -> Mapping[Item, Decimal]:
    seconds = plan.COLD_STARTS_A_DAY * DAYS * plan.COLD_SECONDS
    return {_gigabyte_seconds(stack, function): seconds * function.memory_mb / 1024}


def _of_trade() -> Mapping[Item, Decimal]:
    orders = plan.ORDERS_A_DAY * 21
    return {
        Item.DYNAMO_WRITES: Decimal(orders * plan.WRITES_AN_ORDER),
        Item.DYNAMO_READS: Decimal(orders * plan.READS_AN_ORDER),
        Item.MAIL: Decimal(plan.MAILS_A_MONTH),
    }


def _of_paid_calls(calls: int) -> Mapping[Item, Decimal]:
    return {
        Item.DYNAMO_WRITES: Decimal(calls * plan.WRITES_A_PAID_CALL),
        Item.DYNAMO_READS: Decimal(calls * plan.READS_A_PAID_CALL),
    }


def _of_resources(stack: Stack) -> Mapping[Item, Decimal]:
    tables = stack.of_type("AWS::DynamoDB::Table")
    return {
        Item.DYNAMO_GB: plan.TABLE_GB,
        Item.DYNAMO_BACKUP: plan.TABLE_GB * _share(len(tables), sum(_is_restorable(stack, name) for name in tables)),
        Item.S3_GB: plan.ARCHIVE_GB * len(stack.of_type("AWS::S3::Bucket")),
        Item.METRICS: Decimal(len(UNITS)),
        Item.ALARMS: Decimal(len(stack.of_type("AWS::CloudWatch::Alarm"))),
        Item.DASHBOARDS: Decimal(len(stack.of_type("AWS::CloudWatch::Dashboard"))),
        Item.SECRETS: Decimal(len(stack.of_type("AWS::SecretsManager::Secret"))),
        Item.KMS_KEYS: Decimal(len(stack.of_type("AWS::KMS::Key"))),
        Item.NAT_HOURS: Decimal(HOURS * len(stack.of_type("AWS::EC2::NatGateway"))),
    }


def load_of(function: str) -> Load:
    """Give what a run of a function is assumed to take."""
    return plan.LOADS.get(function, plan.ANY_LOAD)


def _gigabyte_seconds(stack: Stack, function: DeployedFunction) -> Item:
    arm = stack.properties(function.logical_id).get("Architectures") == ["arm64"]
    return Item.LAMBDA_ARM if arm else Item.LAMBDA_X86


def _puts(function: DeployedFunction, load: Load) -> int:
    """Count the objects of a run: whoever may write any is taken to write one at least."""
    may = any("s3:PutObject" in statement.actions for statement in function.statements)
    return max(load.puts, 1) if may else 0


def _is_restorable(stack: Stack, table: str) -> bool:
    recovery = stack.properties(table).get("PointInTimeRecoverySpecification", {})
    return bool(recovery.get("PointInTimeRecoveryEnabled"))


def _share(all_of_them: int, some: int) -> Decimal:
    return Decimal(some) / all_of_them if all_of_them else Decimal(0)


# what makes a month dear


def _warnings(stack: Stack, counts: Mapping[Item, Decimal], choices: Choices, sources: Path) -> Iterator[str]:
    yield from _dear_kinds(stack)
    yield from _dear_functions(stack)
    yield from _unbounded_logs(stack)
    yield from _too_often(stack)
    yield from _metrics(stack, sources)
    if counts[Item.S3_PUT] > plan.PUTS_A_MONTH:
        yield f"{counts[Item.S3_PUT]:,} objects a month: one for each minute or article costs more than keeping them"
    if choices.decision_model == OPUS or OPUS in (SHIPPED.rungs.get(rung) for rung in SHIPPED.rungs if rung != "opus"):
        yield f"{OPUS} decides: it is for a person's request alone"


def _dear_kinds(stack: Stack) -> Iterator[str]:
    for name, resource in stack.template.resources.items():
        kind = resource["Type"]
        if kind in DEAR:
            yield f"{name} is {DEAR[kind]}"
        elif kind not in FREE | COUNTED:
            yield f"{name} is a {kind}, of which no price is known"


def _dear_functions(stack: Stack) -> Iterator[str]:
    for name in stack.of_type("AWS::Lambda::Function"):
        properties = stack.properties(name)
        if properties.get("VpcConfig"):
            yield f"{name} runs in a network of its own, which needs a NAT gateway to reach a broker"
        if properties.get("ProvisionedConcurrencyConfig"):
            yield f"{name} is kept warm by the hour"


def _unbounded_logs(stack: Stack) -> Iterator[str]:
    bounded = set()
    for name in stack.of_type("AWS::Logs::LogGroup"):
        if stack.properties(name).get("RetentionInDays"):
            bounded.add(stack.name(name))
        else:
            yield f"{name} keeps logs for ever"
    for name in stack.of_type("AWS::Lambda::Function"):
        if stack.properties(name).get("LoggingConfig", {}).get("LogGroup") not in bounded:
            yield f"{name} logs where nothing is ever deleted"


def _too_often(stack: Stack) -> Iterator[str]:
    for schedule in schedules_of(stack):
        if sum(runs_of(schedule)) > DAYS * 24 * 60:
            yield f"{schedule.logical_id} runs more than once a minute: {schedule.expression}"


def _metrics(stack: Stack, sources: Path) -> Iterator[str]:
    if len(UNITS) > plan.METRICS:
        yield f"{len(UNITS)} custom metrics, of which {plan.METRICS} are free"
    for name in UNITS:
        if name != name.lower() or "symbol" in name:
            yield f"the metric {name} names a symbol: each would be billed"
    for name in stack.of_type("AWS::CloudWatch::Alarm"):
        properties = stack.properties(name)
        if str(properties.get("Namespace", "")).startswith("AWS/"):
            continue
        dimensions = properties.get("Dimensions", [])
        if properties.get("Namespace") != NAMESPACE or dimensions != [{"Name": "service", "Value": SERVICE}]:
            yield f"{name} looks at a metric by {_named(dimensions)}: each value of it would be billed"
    yield from metrics_made_in(sources)


def _named(dimensions: list[Mapping[str, Any]]) -> str:
    return ", ".join(str(each.get("Name")) for each in dimensions) or "nothing"


def metrics_made_in(sources: Path) -> Iterator[str]:
    """Name every place in a folder's code that adds a dimension, or makes a metric's name while it runs."""
    for path in sorted((*sources.glob("shared/**/*.py"), *sources.glob("functions/**/*.py"))):
        text = path.read_text(encoding="utf-8")
        if not ("etrics" in text or any(word in text for word in _MAKES_METRICS)):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and (problem := _problem(node)):
                yield f"{path.relative_to(sources)}:{node.lineno} {problem}"


def _problem(call: ast.Call) -> str:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _MAKES_METRICS:
        return f"calls {name}: each value of a dimension would be billed"
    puts = isinstance(call.func, ast.Attribute) and name == "put" and ast.unparse(call.func.value).endswith("metrics")
    if puts and not (call.args and isinstance(call.args[0], ast.Constant)):
        return "makes a metric's name while it runs: each would be billed"
    return ""
