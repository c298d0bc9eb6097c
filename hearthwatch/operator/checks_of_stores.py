"""Checks of what keeps state and messages: tables, queues, the archive, log groups and metrics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from hearthwatch.operator.aws import OperatorAws
from hearthwatch.operator.checks import Check, Seen, judged, ok, warning
from hearthwatch.operator.stack import DEAD_LETTERS, FAILED_RUNS, LOGS, DeployedStack
from shared.adapters.aws.table import ABSENT, Condition, Key, Table
from shared.adapters.powertools.metrics import MOST_METRICS
from shared.bootstrap.telemetry import NAMESPACE

AGAIN: Final = "deploy again with `make deploy`: the template says how it must be"
TIME_TO_LIVE: Final[Mapping[str, str | None]] = {
    "BookTable": "expires",
    "PricesTable": "expires",
    "JournalTable": None,
}
INDEX: Final = "watched"
LOG_DAYS: Final = 30
TRIES: Final = 5
"""Deliveries of a message before it goes aside."""
_PROBE: Final = Key("preflight", "probe")
_ARN: Final = "QueueArn"
_WAITING: Final = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


def checks_of_stores(aws: OperatorAws, stack: DeployedStack) -> list[Check]:
    """List the checks of everything that keeps something."""
    tables = [Check(name, partial(table, aws, name, physical), AGAIN) for name, physical in stack.tables.items()]
    queues = [Check(name, partial(queue, aws, stack, name), AGAIN) for name in DEAD_LETTERS]
    return [
        *tables,
        Check("writing", lambda: writing(Table(aws.dynamodb, stack.tables["BookTable"])), "see AWS's health page"),
        *queues,
        Check("dead letters", lambda: dead_letters(aws, stack), AGAIN),
        Check("archive", lambda: archive(aws, stack.bucket), AGAIN),
        Check("logs", lambda: logs(aws, stack), AGAIN),
        Check("metrics", lambda: metrics(aws), "see AWS's health page"),
    ]


def table(aws: OperatorAws, name: str, physical: str) -> Seen:
    """Hold a table against the template: keys, index, time to live, recovery, protection."""
    found: Any = aws.dynamodb.describe_table(TableName=physical)["Table"]
    keys = [(key["AttributeName"], key["KeyType"]) for key in found["KeySchema"]]
    indexes = {index["IndexName"] for index in found.get("GlobalSecondaryIndexes", [])}
    backups: Any = aws.dynamodb.describe_continuous_backups(TableName=physical)["ContinuousBackupsDescription"]
    problems = {
        f"it is {found['TableStatus']}": found["TableStatus"] == "ACTIVE",
        f"its keys are {keys}": keys == [("pk", "HASH"), ("sk", "RANGE")],
        f"it has no index {INDEX!r}": name != "BookTable" or INDEX in indexes,
        "its items are not forgotten as they should be": _time_to_live(aws, physical) == TIME_TO_LIVE[name],
        "it cannot be recovered to a point in time": backups.get("PointInTimeRecoveryDescription", {}).get(
            "PointInTimeRecoveryStatus"
        )
        == "ENABLED",
        "it is not protected from deletion": found.get("DeletionProtectionEnabled", False),
    }
    wrong = [f"{physical}: {problem}" for problem, is_well in problems.items() if not is_well]
    return judged(f"{physical}: keys, recovery and protection as the template says", wrong, AGAIN)


def writing(book: Table) -> Seen:
    """Write an item once and not twice, read it back, and delete it."""
    any_probe = Condition("#pk = :pk", {"pk": _PROBE.pk})
    book.delete(_PROBE, schema=1, when=any_probe)  # what a broken-off preflight left
    problems = []
    if not book.put(_PROBE, {"made": "by preflight"}, schema=1, when=ABSENT):
        problems.append("nothing can be written")
    if book.put(_PROBE, {"made": "twice"}, schema=1, when=ABSENT):
        problems.append("a conditional write went over what stood there")
    if (book.get(_PROBE) or {}).get("made") != "by preflight":
        problems.append("what was written does not read back")
    if not book.delete(_PROBE, schema=1, when=any_probe):
        problems.append("nothing can be deleted")
    text = f"{book.name}: a probe was written once and not twice, read and deleted"
    return judged(text, problems, "look for another program on this table, then at AWS's health page")


def queue(aws: OperatorAws, stack: DeployedStack, name: str) -> Seen:
    """Hold a queue against the template: reachable, and what cannot be handled goes aside."""
    attributes = _attributes(aws, stack.physical[name])
    aside = _attributes(aws, stack.physical[DEAD_LETTERS[name]])[_ARN]
    policy = json.loads(attributes.get("RedrivePolicy", "{}"))
    problems = []
    if policy.get("deadLetterTargetArn") != aside:
        problems.append(f"{name}: what cannot be handled does not go to {DEAD_LETTERS[name]}")
    elif int(policy.get("maxReceiveCount", 0)) != TRIES:
        problems.append(f"{name}: a message is tried {policy.get('maxReceiveCount')} times, expected {TRIES}")
    return judged(f"reachable, {_waiting(attributes)} waiting; aside after {TRIES} tries", problems, AGAIN)


def dead_letters(aws: OperatorAws, stack: DeployedStack) -> Seen:
    """Look for messages that nobody could handle, and for runs that failed."""
    counts = {name: _waiting(_attributes(aws, stack.physical[name])) for name in (*DEAD_LETTERS.values(), FAILED_RUNS)}
    found = [f"{name} holds {count}" for name, count in counts.items() if count]
    if found:
        return warning("; ".join(found), "read them, then redrive or delete them (docs/operations.md)")
    return ok("none")


def archive(aws: OperatorAws, bucket: str) -> Seen:
    """Look at the archive's bucket: there, and encrypted."""
    aws.s3.head_bucket(Bucket=bucket)
    rules = aws.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    methods = [rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") for rule in rules]
    problems = [] if any(methods) else [f"{bucket} is not encrypted"]
    return judged(f"{bucket}: reachable and encrypted", problems, AGAIN)


def logs(aws: OperatorAws, stack: DeployedStack) -> Seen:
    """Look at the log groups: there, and not kept for ever."""
    problems = []
    for name in (stack.physical[log] for log in LOGS):
        listed = aws.logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
        days = {group["logGroupName"]: group.get("retentionInDays") for group in listed}
        if name not in days:
            problems.append(f"{name} is not there")
        elif days[name] != LOG_DAYS:
            problems.append(f"{name} is kept {f'{days[name]} days' if days[name] else 'for ever'}")
    return judged(f"{len(LOGS)} log groups, kept {LOG_DAYS} days", problems, AGAIN)


def metrics(aws: OperatorAws) -> Seen:
    """Count the custom metrics: beyond ten they cost money."""
    pages = aws.cloudwatch.get_paginator("list_metrics").paginate(Namespace=NAMESPACE)
    count = sum(len(page["Metrics"]) for page in pages)
    if count > MOST_METRICS:
        text = f"{count} custom metrics, of which {MOST_METRICS} cost nothing"
        return warning(text, "see which program writes the others; unused ones go away by themselves")
    return ok(f"{count} of at most {MOST_METRICS} custom metrics" + ("" if count else ": nothing has run yet"))


def _time_to_live(aws: OperatorAws, physical: str) -> str | None:
    found: Any = aws.dynamodb.describe_time_to_live(TableName=physical)["TimeToLiveDescription"]
    is_on = found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    return str(found.get("AttributeName")) if is_on else None


def _attributes(aws: OperatorAws, url: str) -> Mapping[str, str]:
    found: Any = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    attributes: Mapping[str, str] = found["Attributes"]
    return attributes


def _waiting(attributes: Mapping[str, str]) -> int:
    return sum(int(attributes.get(name, 0)) for name in _WAITING)
