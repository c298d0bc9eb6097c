"""Checks of what runs: whose credentials these are, functions and schedules, clocks, alarms."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

from hearthwatch.operator.aws import OperatorAws
from hearthwatch.operator.checks import Check, Seen, failed, judged, ok, warning
from hearthwatch.operator.stack import FAILED_RUNS, SCHEDULES, DeployedStack
from shared.adapters.aws.errors import code_of
from shared.ports.clock import Clock
from shared.settings import AccountSettings, BudgetSettings, MailSettings, QueueSettings, SourceSettings, TableSettings

AGAIN: Final = "deploy again with `make deploy`"
SKEW_SEEN: Final = timedelta(seconds=5)
SKEW_WRONG: Final = timedelta(seconds=30)
"""Prices are judged by their age to the second, and AWS refuses requests that are minutes off."""
ABSENT: Final = frozenset({"ResourceNotFoundException", "NotFoundException"})


def checks_of_running(
    aws: OperatorAws, stack: DeployedStack, clock: Clock, broker_time: Callable[[], datetime]
) -> list[Check]:
    """List the checks of everything that runs."""
    return [
        Check("settings", lambda: settings(stack), 'mend the parameter: make deploy PARAMETERS="Name=value"'),
        Check("credentials", lambda: credentials(aws), "run `aws configure`, or set AWS_PROFILE"),
        Check("functions", lambda: functions(aws, stack), AGAIN),
        Check("schedules", lambda: schedules(aws, stack), AGAIN),
        Check("clock and AWS", lambda: skew("AWS", clock, aws.server_time), "check this machine's network"),
        Check("clock and Alpaca", lambda: skew("Alpaca", clock, broker_time), "mend what is said of Alpaca first"),
        Check("alarms", lambda: alarms(aws, stack), AGAIN),
    ]


def settings(stack: DeployedStack) -> Seen:
    """Read every setting as a function would."""
    account = AccountSettings.read(stack.environment)
    for concern in (TableSettings, QueueSettings, SourceSettings, MailSettings, BudgetSettings):
        concern.read(stack.environment)
    symbols = ", ".join(account.symbols())
    return ok(f"stage {account.stage.value}, watching {symbols or 'only what is held'}; stack {stack.status}")


def credentials(aws: OperatorAws) -> Seen:
    """Say whose credentials these are."""
    found = aws.sts.get_caller_identity()
    return ok(f"{found['Arn']} in {aws.region}")


def functions(aws: OperatorAws, stack: DeployedStack) -> Seen:
    """Look at every function: there, and ready to run."""
    problems = []
    for name in SCHEDULES.values():
        try:
            found = aws.functions.get_function_configuration(FunctionName=stack.physical[name])
        except ClientError as problem:
            if code_of(problem) not in ABSENT:
                raise
            problems.append(f"{name} is not there")
            continue
        if found.get("State", "Active") == "Failed" or found.get("LastUpdateStatus") == "Failed":
            problems.append(f"{name} cannot run: {found.get('StateReason') or found.get('LastUpdateStatusReason')}")
    return judged(f"{len(SCHEDULES)} functions are there and ready", problems, AGAIN)


def schedules(aws: OperatorAws, stack: DeployedStack) -> Seen:
    """Look at every schedule: as it was deployed, starting its function, and with a place for what fails."""
    wanted = "ENABLED" if stack.ticks else "DISABLED"
    aside = aws.sqs.get_queue_attributes(QueueUrl=stack.physical[FAILED_RUNS], AttributeNames=["QueueArn"])
    problems, off = [], []
    for name, function in SCHEDULES.items():
        found = _schedule(aws, stack.physical[name])
        if found is None:
            problems.append(f"{name} is not there")
            continue
        target = found["Target"]
        if target["Arn"].rpartition(":")[2] != stack.physical[function]:
            problems.append(f"{name} starts {target['Arn'].rpartition(':')[2]} instead of {function}")
        if target.get("DeadLetterConfig", {}).get("Arn") != aside["Attributes"]["QueueArn"]:
            problems.append(f"{name}: what it cannot start does not go to {FAILED_RUNS}")
        if found["State"] != wanted:
            off.append(f"{name} is {found['State']}")
    if off and not problems:
        return warning(f"{', '.join(off)}, deployed {wanted}", "somebody changed them by hand: deploy again")
    words = "and tick" if stack.ticks else "and do not tick yet: `make deploy` starts them after preflight"
    return judged(f"{len(SCHEDULES)} schedules are there {words}", problems, AGAIN)


def skew(where: str, clock: Clock, their_time: Callable[[], datetime]) -> Seen:
    """Compare this machine's clock with another's."""
    before = clock.now()
    theirs = their_time()
    after = clock.now()
    off = max(theirs - after, before - theirs, timedelta(0))
    seconds = f"{off.total_seconds():.0f} s"
    todo = "set this machine's clock by NTP"
    if off > SKEW_WRONG:
        return failed(f"this machine and {where} are {seconds} apart", todo)
    if off > SKEW_SEEN:
        return warning(f"this machine and {where} are {seconds} apart", todo)
    return ok(f"within {SKEW_SEEN.total_seconds():.0f} s of {where}")


def alarms(aws: OperatorAws, stack: DeployedStack) -> Seen:
    """Look whether anybody hears CloudWatch's alarms."""
    listed = aws.sns.list_subscriptions_by_topic(TopicArn=stack.physical["OperatorTopic"])["Subscriptions"]
    confirmed = [each for each in listed if each["SubscriptionArn"].startswith("arn:")]
    if not confirmed:
        return warning(
            "nobody hears CloudWatch's alarms", "confirm the mail that SNS has sent to the operator's address"
        )
    return ok(f"{len(confirmed)} address hears CloudWatch's alarms")


def _schedule(aws: OperatorAws, name: str) -> Any:
    try:
        return aws.scheduler.get_schedule(Name=name)
    except ClientError as problem:
        if code_of(problem) in ABSENT:
            return None
        raise
