"""What must be so of everything the template deploys: each rule reads one deployment and yields what breaks it.

The rules are separate from their test, so that a second test can show that each of them notices what it is there for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from local_stack.cloud.deployed import functions_of, schedules_of, triggers_of
from local_stack.cloud.policies import ENCRYPTED
from local_stack.cloud.stack import Stack
from shared.adapters.powertools.metrics import MOST_METRICS, UNITS
from shared.bootstrap.telemetry import NAMESPACE, SERVICE
from tests.architecture.deployment import (
    ALARM,
    FUNCTION,
    LOGS,
    QUEUE,
    RECIPIENT,
    SENDER,
    TABLE,
    Rule,
    as_list,
    differences,
    look,
)
from tests.architecture.template_access import (
    access_is_as_listed,
    each_function_has_a_role_of_its_own,
    roles_refuse_plain_http,
    statements_are_narrow,
)


def tables_are_safe(stack: Stack) -> Iterator[str]:
    """Every table is encrypted, restorable, protected, on demand, and forgets only what may be forgotten."""
    if set(stack.of_type(TABLE)) != {"BookTable", "PricesTable", "JournalTable"}:
        yield f"the tables are {stack.of_type(TABLE)}"
    for name in stack.of_type(TABLE):
        forgets = name != "JournalTable"
        yield from differences(
            name,
            stack.properties(name),
            {
                "BillingMode": "PAY_PER_REQUEST",
                "SSESpecification": {"SSEEnabled": True},
                "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
                "DeletionProtectionEnabled": True,
                "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": True} if forgets else None,
                "KeySchema": _keys("pk", "sk"),
            },
        )
        yield from _outlives_the_stack(stack, name)


def only_the_book_has_an_index(stack: Stack) -> Iterator[str]:
    """The Book's index of watched incidents is there, whole, and the only one."""
    for name in stack.of_type(TABLE):
        watched = [
            {"IndexName": "watched", "KeySchema": _keys("watched", "sk"), "Projection": {"ProjectionType": "ALL"}}
        ]
        wanted = {"GlobalSecondaryIndexes": watched if name == "BookTable" else None, "LocalSecondaryIndexes": None}
        yield from differences(name, stack.properties(name), wanted)


def the_archive_is_safe(stack: Stack) -> Iterator[str]:
    """The one bucket is encrypted, private, versioned, kept, and gets cheaper after a year (OPS-07)."""
    if stack.of_type("AWS::S3::Bucket") != ("ArchiveBucket",):
        yield f"the buckets are {stack.of_type('AWS::S3::Bucket')}"
    properties = stack.properties("ArchiveBucket")
    yield from differences(
        "ArchiveBucket",
        properties,
        {
            "BucketEncryption.ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            ],
            "PublicAccessBlockConfiguration": {
                "BlockPublicAcls": True,
                "BlockPublicPolicy": True,
                "IgnorePublicAcls": True,
                "RestrictPublicBuckets": True,
            },
            "OwnershipControls.Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}],
            "VersioningConfiguration.Status": "Enabled",
        },
    )
    moved = [
        transition
        for rule in look(properties, "LifecycleConfiguration.Rules") or []
        if rule["Status"] == "Enabled"
        for transition in rule.get("Transitions", [])
    ]
    if moved != [{"StorageClass": "GLACIER_IR", "TransitionInDays": 365}]:
        yield f"ArchiveBucket: objects move {moved}"
    yield from _outlives_the_stack(stack, "ArchiveBucket")


def plain_http_is_refused(stack: Stack) -> Iterator[str]:
    """Every queue, the bucket and the topic refuse what is not encrypted (SEC-03)."""
    guarded = {
        QUEUE: ("AWS::SQS::QueuePolicy", "Queues", "sqs:*"),
        "AWS::S3::Bucket": ("AWS::S3::BucketPolicy", "Bucket", "s3:*"),
        "AWS::SNS::Topic": ("AWS::SNS::TopicPolicy", "Topics", "sns:Publish"),
    }
    for kind, (policy_kind, slot, action) in guarded.items():
        for name in stack.of_type(kind):
            statements = _statements_about(stack, name, policy_kind, slot)
            if not any(_refuses(each, action, "Bool", ENCRYPTED, "false") for each in statements):
                yield f"{name} takes plain HTTP"
    archive = _statements_about(stack, "ArchiveBucket", "AWS::S3::BucketPolicy", "Bucket")
    if not any(_refuses(each, "s3:*", "NumericLessThan", "s3:TlsVersion", "1.2") for each in archive):
        yield "ArchiveBucket takes TLS older than 1.2"


def queues_keep_what_fails(stack: Stack) -> Iterator[str]:
    """Every queue is encrypted; what is tried five times lies in a queue of its own for longer than it could wait."""
    names = stack.of_type(QUEUE)
    arns = {stack.arn(name): name for name in names}
    redriven: dict[str, str] = {}
    for name in names:
        properties = stack.properties(name)
        yield from differences(name, properties, {"SqsManagedSseEnabled": True})
        redrive = properties.get("RedrivePolicy")
        if redrive is not None:
            redriven[name] = arns.get(redrive["deadLetterTargetArn"], "a queue of somebody else's")
            yield from differences(name, redrive, {"maxReceiveCount": 5})
    if sorted(redriven.values()) != sorted(set(redriven.values())):
        yield f"queues share their dead letters: {redriven}"
    for name in names:
        if name not in redriven and name not in redriven.values() and name != "FailedRuns":
            yield f"{name} has no dead-letter queue"
    for source, dead in redriven.items():
        if stack.properties(dead).get("MessageRetentionPeriod") != 1_209_600:
            yield f"{dead} does not keep messages for two weeks"
        if stack.properties(source).get("MessageRetentionPeriod", 345_600) >= 1_209_600:
            yield f"{source} keeps messages as long as its dead letters"


def queues_feed_with_patience(stack: Stack) -> Iterator[str]:
    """A fed function reports what failed of ten at a time, and a message stays hidden for six of its longest runs."""
    functions = functions_of(stack)
    fed = {(trigger.queue, trigger.function) for trigger in triggers_of(stack)}
    if fed != {("DoorbellQueue", "PlaceOrders"), ("AlertsQueue", "RouteAlerts")}:
        yield f"queues feed {sorted(fed)}"
    for trigger in triggers_of(stack):
        if not (trigger.reports_failures and trigger.batch_size == 10 and trigger.enabled):
            yield f"{trigger.logical_id} delivers {trigger}"
        hidden = stack.properties(trigger.queue).get("VisibilityTimeout", 30)
        if hidden < 6 * functions[trigger.function].timeout.total_seconds():
            yield f"{trigger.queue} hides messages for {hidden} s"


SCHEDULES: Final = {
    "PrepareSession": ("cron(30 8 ? * MON-FRI *)", "America/New_York"),
    "ReconcileOrders": ("rate(1 minute)", None),
    "PollPrices": ("rate(1 minute)", None),
    "CheckRisk": ("rate(1 minute)", None),
    "PlaceOrders": ("rate(1 minute)", None),
    "RouteAlerts": ("rate(1 minute)", None),
    "ArchivePrices": ("cron(5 * * * ? *)", "UTC"),
    "AuditBudget": ("cron(20 * * * ? *)", "UTC"),
}
"""When each function runs by itself, in the order in which they run when they are due together."""
TICK: Final = {
    "version": 1,
    "scheduled_at": "<aws.scheduler.scheduled-time>",
    "schedule": "<aws.scheduler.schedule-arn>",
    "execution_id": "<aws.scheduler.execution-id>",
    "attempt": "<aws.scheduler.attempt-number>",
}
FEWEST_SECONDS: Final = 60
"""The shortest age that the scheduler lets an event have."""


def schedules_are_exact(stack: Stack) -> Iterator[str]:
    """Every schedule has its minute or its zone, no window, its own retries, and a place for what it cannot deliver."""
    found = schedules_of(stack)
    order = [schedule.function for schedule in found]
    if order != list(SCHEDULES):
        yield f"the functions run in the order {order}"
    for schedule in found:
        name, properties = schedule.logical_id, stack.properties(schedule.logical_id)
        expression, zone = SCHEDULES.get(schedule.function, (None, None))
        often = expression is not None and expression.startswith("rate")
        yield from differences(
            name,
            properties,
            {
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "ScheduleExpression": expression,
                "ScheduleExpressionTimezone": zone,
                "Target.RoleArn": stack.arn("SchedulerRole"),
                "Target.DeadLetterConfig.Arn": stack.arn("FailedRuns"),
                "Target.RetryPolicy.MaximumEventAgeInSeconds": FEWEST_SECONDS if often else 3600,
                "Target.RetryPolicy.MaximumRetryAttempts": 3 if often else 10,
            },
        )
        if json.loads(schedule.input) != TICK:
            yield f"{name} says {schedule.input}"


def nothing_runs_before_it_is_enabled(stack: Stack) -> Iterator[str]:
    """One parameter starts and stops every schedule."""
    wanted = stack.template.parameters["Schedules"] == "ENABLED"
    for schedule in schedules_of(stack):
        if schedule.enabled is not wanted:
            yield f"{schedule.logical_id} runs whatever Schedules says"


def failed_runs_are_kept(stack: Stack) -> Iterator[str]:
    """A failed tick is not tried again, a failed job is; what failed for good lies in FailedRuns."""
    for function in functions_of(stack).values():
        expression, _ = SCHEDULES.get(function.logical_id, ("rate", None))
        often = expression.startswith("rate")
        if function.on_failure != stack.arn("FailedRuns"):
            yield f"{function.logical_id}: what fails goes to {function.on_failure}"
        if (function.retries, function.event_age.total_seconds()) != ((0, 60) if often else (2, 3600)):
            yield f"{function.logical_id}: {function.retries} retries within {function.event_age}"


BROKER: Final = {"PrepareSession", "ReconcileOrders", "PollPrices", "CheckRisk", "PlaceOrders"}
VARIABLES: Final = {
    "HEARTHWATCH_STAGE": "paper",
    "HEARTHWATCH_LIVE_ACCOUNT": "none",
    "HEARTHWATCH_BOOK_TABLE": "watch-BookTable",
    "HEARTHWATCH_PRICES_TABLE": "watch-PricesTable",
    "HEARTHWATCH_JOURNAL_TABLE": "watch-JournalTable",
    "HEARTHWATCH_ARCHIVE_BUCKET": "watch-archivebucket-123456789012",
    "HEARTHWATCH_DOORBELL_QUEUE_URL": "https://queues.example.com/123456789012/watch-DoorbellQueue",
    "HEARTHWATCH_CYCLES_QUEUE_URL": "https://queues.example.com/123456789012/watch-CyclesQueue",
    "HEARTHWATCH_ALERTS_QUEUE_URL": "https://queues.example.com/123456789012/watch-AlertsQueue",
    "HEARTHWATCH_ALERTS_DEAD_LETTERS_URL": "https://queues.example.com/123456789012/watch-AlertsDeadLetters",
    "HEARTHWATCH_PARAMETERS": "/hearthwatch",
    "HEARTHWATCH_WATCHLIST": "TSLA,NVDA",
    "HEARTHWATCH_ASSET_CLASSES": "us_equity",
    "HEARTHWATCH_PRICE_FEED": "iex",
    "HEARTHWATCH_BROKER_STOPS": "true",
    "HEARTHWATCH_CLOSE_ON_DATA_LOSS": "false",
    "HEARTHWATCH_DATA_LOSS_AFTER": "300",
    "HEARTHWATCH_BUDGET_DAY": "5",
    "HEARTHWATCH_BUDGET_MONTH": "150",
    "HEARTHWATCH_MODEL_PRICES": "",
    "HEARTHWATCH_MAIL_FROM": SENDER,
    "HEARTHWATCH_MAIL_TO": RECIPIENT,
    "LOG_LEVEL": "INFO",
}


def functions_are_as_planned(stack: Stack) -> Iterator[str]:
    """Every function has its handler, its layers, its limits, and the processor and Python of the parameters."""
    layers = {name: re.sub(r"[0-9a-f]{10}$", "", name) for name in stack.of_type("AWS::Lambda::LayerVersion")}
    for name, function in functions_of(stack).items():
        properties, folder = stack.properties(name), re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        used = [layers[each["Ref"]] for each in stack.template.resources[name]["Properties"].get("Layers", [])]
        yield from differences(
            name,
            properties,
            {
                "Handler": f"functions.{folder}.handler.handler",
                "Architectures": [stack.template.parameters["Architecture"]],
                "Runtime": stack.template.parameters["Runtime"],
                "MemorySize": 512,
                "VpcConfig": None,
                "ReservedConcurrentExecutions": None,
            },
        )
        if used != (["CoreLayer", "BrokerLayer"] if name in BROKER else ["CoreLayer"]):
            yield f"{name} has the layers {used}"
        if function.timeout.total_seconds() > (120 if name == "PrepareSession" else 60):
            yield f"{name} may run for {function.timeout}"


def variables_are_those_of_the_settings(stack: Stack) -> Iterator[str]:
    """Every function gets what its settings read, by the names they read it by, and nothing else."""
    for name, function in functions_of(stack).items():
        yield from differences(name, {"env": function.environment}, {"env": VARIABLES})


def logs_are_kept_for_thirty_days(stack: Stack) -> Iterator[str]:
    """Every function writes to a group of its own, and every group forgets after thirty days (OPS-07)."""
    for name in stack.of_type(LOGS):
        yield from differences(name, stack.properties(name), {"RetentionInDays": 30})
    for name in stack.of_type(FUNCTION):
        wanted = {
            "LoggingConfig": {"LogGroup": stack.name(f"{name}Logs") if stack.exists(f"{name}Logs") else "its own"}
        }
        yield from differences(name, stack.properties(name), wanted)


MOST_ALARMS: Final = 10
"""CloudWatch gives ten alarms of one metric each for nothing."""


def everything_that_stops_alarms(stack: Stack) -> Iterator[str]:
    """A dead letter, a risk check that stays away, and shares without protection alarm by themselves (I9, RSK-06)."""
    alarms = {name: stack.properties(name) for name in stack.of_type(ALARM)}
    for queue in stack.of_type(QUEUE):
        if queue.endswith("DeadLetters") or queue == "FailedRuns":
            wanted = {
                "Namespace": "AWS/SQS",
                "MetricName": "ApproximateNumberOfMessagesVisible",
                "Dimensions": [{"Name": "QueueName", "Value": stack.name(queue)}],
                "Threshold": 0,
                "ComparisonOperator": "GreaterThanThreshold",
                "EvaluationPeriods": 1,
            }
            if not any(wanted.items() <= _hashless(alarm, wanted) for alarm in alarms.values()):
                yield f"{queue} fills silently"
    yield from differences(
        "CheckRiskMissing",
        alarms.get("CheckRiskMissing", {}),
        {
            "MetricName": "Invocations",
            "Dimensions": [{"Name": "FunctionName", "Value": stack.name("CheckRisk")}],
            "TreatMissingData": "breaching",
            "ComparisonOperator": "LessThanThreshold",
            "Threshold": 1,
            "Period": 60,
            "EvaluationPeriods": 5,
            "ActionsEnabled": stack.template.parameters["Schedules"] == "ENABLED",
        },
    )
    yield from differences(
        "CoverageNone",
        alarms.get("CoverageNone", {}),
        {
            "Namespace": "Hearthwatch",
            "MetricName": "coverage_none_pct",
            "Statistic": "Maximum",
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 0,
            "Period": 60,
            "EvaluationPeriods": 2,
        },
    )
    errors = {look(alarm, "Dimensions")[0]["Value"] for alarm in alarms.values() if alarm.get("MetricName") == "Errors"}
    if missing := {stack.name(trigger.function) for trigger in triggers_of(stack)} - errors:
        yield f"errors of {', '.join(sorted(missing))} are silent"


def alarms_reach_the_operator_for_nothing(stack: Stack) -> Iterator[str]:
    """At most ten alarms, each on one metric, each mailed to the operator."""
    names = stack.of_type(ALARM)
    if len(names) > MOST_ALARMS:
        yield f"{len(names)} alarms"
    for name in names:
        properties = stack.properties(name)
        yield from differences(name, properties, {"AlarmActions": [stack.ref("OperatorTopic")], "Metrics": None})
    wanted = [{"Protocol": "email", "Endpoint": stack.template.parameters["OperatorEmail"]}]
    yield from differences("OperatorTopic", stack.properties("OperatorTopic"), {"Subscription": wanted})
    # the key aws/sns does not admit CloudWatch: an encrypted topic would stay silent
    yield from differences("OperatorTopic", stack.properties("OperatorTopic"), {"KmsMasterKeyId": None})


def own_metrics_are_few(stack: Stack) -> Iterator[str]:
    """Alarms look at metrics that the code writes, under the one dimension it writes (DSH-05)."""
    if len(UNITS) > MOST_METRICS:
        yield f"{len(UNITS)} custom metrics"
    for name in stack.of_type(ALARM):
        properties = stack.properties(name)
        if str(properties.get("Namespace", "")).startswith("AWS/"):
            continue
        yield from differences(
            name,
            properties,
            {"Namespace": NAMESPACE, "Dimensions": [{"Name": "service", "Value": SERVICE}]},
        )
        if properties.get("MetricName") not in UNITS:
            yield f"{name} looks at {properties.get('MetricName')}, which nobody writes"


KINDS: Final = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::DynamoDB::Table",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Role",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::Lambda::LayerVersion",
    "AWS::Logs::LogGroup",
    "AWS::S3::Bucket",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Topic",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::Queue",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::Schedule",
}
"""What costs next to nothing when nothing happens; a gateway, a key or a secret would cost more than all of it."""


def nothing_costs_by_the_hour(stack: Stack) -> Iterator[str]:
    """No network of our own, no key, no managed secret, no server, no kept-warm function."""
    for name, resource in stack.template.resources.items():
        if resource["Type"] not in KINDS:
            yield f"{name} is a {resource['Type']}"


def the_api_is_shut(stack: Stack) -> Iterator[str]:
    """Nothing answers yet, so nothing listens."""
    yield from differences(
        "ControlApi", stack.properties("ControlApi"), {"ProtocolType": "HTTP", "DisableExecuteApiEndpoint": True}
    )
    for name in stack.of_type("AWS::ApiGatewayV2::Stage"):
        settings = stack.properties(name).get("DefaultRouteSettings", {})
        if not (0 < settings.get("ThrottlingRateLimit", 0) <= 10 and 0 < settings.get("ThrottlingBurstLimit", 0) <= 20):
            yield f"{name} takes {settings}"
        if not look(stack.properties(name), "AccessLogSettings.DestinationArn"):
            yield f"{name} keeps no record of requests"


RULES: Final[Mapping[str, Rule]] = {
    rule.__name__: rule
    for rule in (
        tables_are_safe,
        only_the_book_has_an_index,
        the_archive_is_safe,
        plain_http_is_refused,
        roles_refuse_plain_http,
        access_is_as_listed,
        statements_are_narrow,
        each_function_has_a_role_of_its_own,
        queues_keep_what_fails,
        queues_feed_with_patience,
        schedules_are_exact,
        nothing_runs_before_it_is_enabled,
        failed_runs_are_kept,
        functions_are_as_planned,
        variables_are_those_of_the_settings,
        logs_are_kept_for_thirty_days,
        everything_that_stops_alarms,
        alarms_reach_the_operator_for_nothing,
        own_metrics_are_few,
        nothing_costs_by_the_hour,
        the_api_is_shut,
    )
}


def _hashless(alarm: Mapping[str, Any], wanted: Mapping[str, Any]) -> Any:
    return {key: alarm.get(key) for key in wanted}.items()


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}]


def _outlives_the_stack(stack: Stack, name: str) -> Iterator[str]:
    yield from differences(
        name, stack.template.resources[name], {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}
    )


def _statements_about(stack: Stack, name: str, kind: str, slot: str) -> list[Mapping[str, Any]]:
    arn = stack.arn(name)
    return [
        statement
        for policy in stack.of_type(kind)
        if stack.ref(name) in as_list(stack.properties(policy)[slot])
        for statement in stack.properties(policy)["PolicyDocument"]["Statement"]
        if arn in as_list(statement["Resource"])
    ]


def _refuses(statement: Mapping[str, Any], action: str, operator: str, key: str, value: str) -> bool:
    return (
        statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and statement["Action"] == action
        and statement.get("Condition") == {operator: {key: value}}
    )
