"""The moving parts of a stack as plain facts: its functions, what fires them, and what feeds them.

A setting that would change what happens, and is not played here, is an error that names it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from local_stack.cloud.policies import Statement, statements_of_role
from local_stack.cloud.stack import Stack
from local_stack.cloud.template import NotPlayed

DEFAULT_RETRIES: Final = 2
DEFAULT_EVENT_AGE: Final = timedelta(hours=6)
DEFAULT_BATCH: Final = 10
_SCHEDULE: Final = frozenset(
    {"Description", "FlexibleTimeWindow", "GroupName", "Name", "ScheduleExpression", "ScheduleExpressionTimezone"}
    | {"State", "Target"}
)
_TARGET: Final = frozenset({"Arn", "DeadLetterConfig", "Input", "RetryPolicy", "RoleArn"})
_MAPPING: Final = frozenset(
    {"BatchSize", "Enabled", "EventSourceArn", "FunctionName", "FunctionResponseTypes"}
    | {"MaximumBatchingWindowInSeconds", "ScalingConfig", "Tags"}
)
"""One machine delivers one batch at a time and at once, so a batching window and a concurrency change nothing."""
REPORTS: Final = "ReportBatchItemFailures"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedFunction:
    """A function; `dead_letters` and `on_failure` are ARNs of queues for asynchronous events that failed for good."""

    logical_id: str
    name: str
    arn: str
    handler: str
    timeout: timedelta
    memory_mb: int
    environment: Mapping[str, str]
    layers: tuple[str, ...]
    role_arn: str
    statements: tuple[Statement, ...]
    retries: int
    event_age: timedelta
    dead_letters: str | None
    on_failure: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeployedSchedule:
    """A schedule and the function it fires; its dead letters hold what could not be delivered."""

    logical_id: str
    name: str
    arn: str
    expression: str
    zone: str
    input: str
    enabled: bool
    function: str
    role_arn: str
    retries: int
    dead_letters: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTrigger:
    """A queue that feeds a function."""

    logical_id: str
    function: str
    queue: str
    batch_size: int
    reports_failures: bool
    enabled: bool


def functions_of(stack: Stack) -> Mapping[str, DeployedFunction]:
    """Give the functions by logical id, in the template's order."""
    configs = {
        stack.properties(name)["FunctionName"]: stack.properties(name)
        for name in stack.of_type("AWS::Lambda::EventInvokeConfig")
    }
    return {
        name: _function(stack, name, stack.properties(name), configs.get(stack.name(name), {}))
        for name in stack.of_type("AWS::Lambda::Function")
    }


def schedules_of(stack: Stack) -> tuple[DeployedSchedule, ...]:
    """Give the schedules in the order of the functions they fire, so that what is due together fires in that order."""
    functions = {stack.arn(name): name for name in stack.of_type("AWS::Lambda::Function")}
    schedules = [
        _schedule(stack, name, stack.properties(name), functions) for name in stack.of_type("AWS::Scheduler::Schedule")
    ]
    order = list(functions.values())
    return tuple(sorted(schedules, key=lambda schedule: order.index(schedule.function)))


def triggers_of(stack: Stack) -> tuple[QueueTrigger, ...]:
    """Give the queues that feed functions, in the template's order."""
    functions = {stack.name(name): name for name in stack.of_type("AWS::Lambda::Function")}
    queues = {stack.arn(name): name for name in stack.of_type("AWS::SQS::Queue")}
    return tuple(
        _trigger(name, stack.properties(name), functions, queues)
        for name in stack.of_type("AWS::Lambda::EventSourceMapping")
    )


def _function(
    stack: Stack, name: str, properties: Mapping[str, Any], asynchronous: Mapping[str, Any]
) -> DeployedFunction:
    role = str(properties["Role"])
    return DeployedFunction(
        logical_id=name,
        name=stack.name(name),
        arn=stack.arn(name),
        handler=str(properties["Handler"]),
        timeout=timedelta(seconds=int(properties.get("Timeout", 3))),
        memory_mb=int(properties.get("MemorySize", 128)),
        environment={key: str(value) for key, value in properties.get("Environment", {}).get("Variables", {}).items()},
        layers=tuple(str(layer) for layer in properties.get("Layers", [])),
        role_arn=role,
        statements=statements_of_role(stack, role),
        retries=int(asynchronous.get("MaximumRetryAttempts", DEFAULT_RETRIES)),
        event_age=_event_age(asynchronous),
        dead_letters=properties.get("DeadLetterConfig", {}).get("TargetArn"),
        on_failure=asynchronous.get("DestinationConfig", {}).get("OnFailure", {}).get("Destination"),
    )


def _event_age(asynchronous: Mapping[str, Any]) -> timedelta:
    seconds = asynchronous.get("MaximumEventAgeInSeconds")
    return DEFAULT_EVENT_AGE if seconds is None else timedelta(seconds=int(seconds))


def _schedule(stack: Stack, name: str, properties: Mapping[str, Any], functions: Mapping[str, str]) -> DeployedSchedule:
    target = properties["Target"]
    _refuse_strange(name, properties, _SCHEDULE)
    _refuse_strange(f"{name}.Target", target, _TARGET)
    if target["Arn"] not in functions:
        raise NotPlayed(f"the target {target['Arn']} of {name}, which is no function of the stack")
    if "Input" not in target:
        raise NotPlayed(f"{name} without an Input")
    return DeployedSchedule(
        logical_id=name,
        name=stack.name(name),
        arn=stack.arn(name),
        expression=str(properties["ScheduleExpression"]),
        zone=str(properties.get("ScheduleExpressionTimezone", "UTC")),
        input=str(target["Input"]),
        enabled=properties.get("State", "ENABLED") == "ENABLED",
        function=functions[target["Arn"]],
        role_arn=str(target["RoleArn"]),
        retries=int(target.get("RetryPolicy", {}).get("MaximumRetryAttempts", 185)),
        dead_letters=target.get("DeadLetterConfig", {}).get("Arn"),
    )


def _trigger(
    name: str, properties: Mapping[str, Any], functions: Mapping[str, str], queues: Mapping[str, str]
) -> QueueTrigger:
    _refuse_strange(name, properties, _MAPPING)
    source, function = str(properties["EventSourceArn"]), str(properties["FunctionName"])
    if source not in queues or source.endswith(".fifo"):
        raise NotPlayed(f"the source {source} of {name}; only plain queues of the stack feed functions")
    if function not in functions:
        raise NotPlayed(f"the function {function} of {name}, which is not in the stack")
    return QueueTrigger(
        logical_id=name,
        function=functions[function],
        queue=queues[source],
        batch_size=int(properties.get("BatchSize", DEFAULT_BATCH)),
        reports_failures=REPORTS in properties.get("FunctionResponseTypes", []),
        enabled=bool(properties.get("Enabled", True)),
    )


def _refuse_strange(name: str, properties: Mapping[str, Any], known: Iterable[str]) -> None:
    if strange := sorted(properties.keys() - set(known)):
        raise NotPlayed(f"{', '.join(strange)} of {name}")
