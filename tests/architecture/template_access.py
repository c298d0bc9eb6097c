"""Who may do what: the list of all grants, and the rules that hold the template's roles against it (SEC-02).

AWS is asked for every action of every service on every resource of the stack, so that a grant too many is found as
well as one too few.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import botocore.session

from local_stack.cloud.deployed import functions_of
from local_stack.cloud.policies import ENCRYPTED, FROM_ADDRESS, Statement, allows, statements_of_role
from local_stack.cloud.stack import Stack
from tests.architecture.deployment import FUNCTION, LOGS, PLACE, QUEUE, ROLE, SENDER, TABLE, as_list

ON_EVERYTHING: Final = {"ssm:DescribeParameters"}
"""What AWS allows on all of an account or not at all."""
READ: Final = {"dynamodb:GetItem", "dynamodb:Query"}
WRITE: Final = {*READ, "dynamodb:PutItem"}
APPEND: Final = {"dynamodb:Query", "dynamodb:PutItem"}
SEND: Final = {"sqs:SendMessage"}
CONSUME: Final = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
LOG: Final = {"logs:CreateLogStream", "logs:PutLogEvents"}
SECRET: Final = {"ssm:GetParameters"}
PAPER: Final = {"alpaca-paper-key-id": SECRET, "alpaca-paper-secret": SECRET}
LIVE: Final = {"alpaca-live-key-id": SECRET, "alpaca-live-secret": SECRET}
MODELS: Final = dict.fromkeys(("anthropic-api-key", "deepseek-api-key", "gemini-api-key"), SECRET)
LISTS_SECRETS: Final = {"*": {"ssm:DescribeParameters"}}

Grants = Mapping[str, set[str]]

GRANTS: Final[Mapping[str, Grants]] = {
    "PrepareSession": {
        "BookTable": WRITE,
        "JournalTable": APPEND,
        "AlertsQueue": SEND,
        "FailedRuns": SEND,
        "PrepareSessionLogs": LOG,
        **PAPER,
        **LISTS_SECRETS,
    },
    "ReconcileOrders": {
        "BookTable": {*WRITE, "dynamodb:DeleteItem"},
        "JournalTable": APPEND,
        "DoorbellQueue": SEND,
        "AlertsQueue": SEND,
        "FailedRuns": SEND,
        "ReconcileOrdersLogs": LOG,
        **PAPER,
        **LIVE,
        **LISTS_SECRETS,
    },
    "PollPrices": {
        "BookTable": WRITE,
        "PricesTable": WRITE,
        "JournalTable": APPEND,
        "CyclesQueue": SEND,
        "AlertsQueue": SEND,
        "FailedRuns": SEND,
        "PollPricesLogs": LOG,
        **PAPER,
        **LISTS_SECRETS,
    },
    "CheckRisk": {
        "BookTable": WRITE,
        "PricesTable": {"dynamodb:GetItem"},
        "JournalTable": APPEND,
        "DoorbellQueue": SEND,
        "AlertsQueue": SEND,
        "FailedRuns": SEND,
        "CheckRiskLogs": LOG,
        **PAPER,
    },
    "PlaceOrders": {
        "BookTable": {*WRITE, "dynamodb:DeleteItem"},
        "PricesTable": {"dynamodb:GetItem"},
        "JournalTable": APPEND,
        "DoorbellQueue": {*SEND, *CONSUME},
        "AlertsQueue": SEND,
        "FailedRuns": SEND,
        "PlaceOrdersLogs": LOG,
        **PAPER,
        **LIVE,
        **LISTS_SECRETS,
    },
    "RouteAlerts": {
        "BookTable": WRITE,
        "BookTable/index/watched": {"dynamodb:Query"},
        "AlertsQueue": {*SEND, *CONSUME},
        "AlertsDeadLetters": SEND,
        "FailedRuns": SEND,
        "RouteAlertsLogs": LOG,
        "discord-webhook-url": SECRET,
        f"mail from {SENDER}": {"ses:SendEmail"},
    },
    "ArchivePrices": {
        "PricesTable": {"dynamodb:Query"},
        "ArchiveBucket": {"s3:ListBucket"},
        "ArchiveBucket/prices/2026/03/02/14.jsonl.gz": {"s3:GetObject", "s3:PutObject"},
        "AlertsQueue": SEND,
        "FailedRuns": SEND,
        "ArchivePricesLogs": LOG,
    },
    "AuditBudget": {
        "BookTable": {"dynamodb:GetItem", "dynamodb:UpdateItem"},
        "JournalTable": WRITE,
        "AlertsQueue": SEND,
        "FailedRuns": SEND,
        "AuditBudgetLogs": LOG,
    },
    "SchedulerRole": {
        "FailedRuns": SEND,
        **{
            name: {"lambda:InvokeFunction"}
            for name in (
                "PrepareSession",
                "ReconcileOrders",
                "PollPrices",
                "CheckRisk",
                "PlaceOrders",
                "RouteAlerts",
                "ArchivePrices",
                "AuditBudget",
            )
        },
    },
}
"""All that anybody may do: by function, or role of its own, and by resource."""


def access_is_as_listed(stack: Stack) -> Iterator[str]:
    """Each role may do exactly what the list says, of all that AWS offers on all the stack has (SEC-02)."""
    found = every_grant(stack)
    for role in sorted(found.keys() | GRANTS.keys()):
        granted, listed = found.get(role, {}), GRANTS.get(role, {})
        for label in sorted(granted.keys() | listed.keys()):
            for action in sorted(granted.get(label, set()) - listed.get(label, set())):
                yield f"{role} may {action} on {label}"
            for action in sorted(listed.get(label, set()) - granted.get(label, set())):
                yield f"{role} may not {action} on {label}"


def statements_are_narrow(stack: Stack) -> Iterator[str]:
    """No Allow has a wildcard in an action, a resource that is not an ARN, or a form that says all but."""
    for name in stack.of_type(ROLE):
        for policy in stack.properties(name).get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield from _too_wide(name, statement)
        for attached in stack.properties(name).get("ManagedPolicyArns", []):
            if attached != stack.ref("TlsOnly"):
                yield f"{name} has the policy {attached}, which grants what nobody listed"


def each_function_has_a_role_of_its_own(stack: Stack) -> Iterator[str]:
    """One role a function, which only Lambda may take; the schedules' own only the scheduler, of this account."""
    functions = functions_of(stack).values()
    if len({function.role_arn for function in functions}) != len(functions):
        yield "two functions share a role"
    for name in stack.of_type(ROLE):
        for_schedules = name == "SchedulerRole"
        trust = stack.properties(name)["AssumeRolePolicyDocument"]["Statement"]
        service = "scheduler" if for_schedules else "lambda"
        wanted = {
            "Effect": "Allow",
            "Principal": {"Service": f"{service}.amazonaws.com"},
            "Action": "sts:AssumeRole",
            **({"Condition": {"StringEquals": {"aws:SourceAccount": PLACE.account}}} if for_schedules else {}),
        }
        if trust != [wanted]:
            yield f"{name} may be taken by {trust}"


def roles_refuse_plain_http(stack: Stack) -> Iterator[str]:
    """No role may do over plain HTTP what it may do over TLS: tables and parameters cannot refuse it themselves."""
    for role, granted in every_grant(stack, {ENCRYPTED: "false"}).items():
        for label, actions in granted.items():
            yield f"{role} may {', '.join(sorted(actions))} on {label} over plain HTTP"


def every_grant(stack: Stack, context: Mapping[str, str] | None = None) -> dict[str, dict[str, set[str]]]:
    """Ask for every action of every service on every resource, and give what is allowed by role and resource."""
    roles = {function.logical_id: function.statements for function in functions_of(stack).values()}
    for name in stack.of_type(ROLE):
        if name.removesuffix("Role") not in roles:
            roles[name] = statements_of_role(stack, stack.arn(name))
    return {role: _granted(statements, stack, context or {}) for role, statements in roles.items()}


def _granted(statements: tuple[Statement, ...], stack: Stack, context: Mapping[str, str]) -> dict[str, set[str]]:
    granted: dict[str, set[str]] = {}
    for label, (arn, service, sender) in _everything(stack).items():
        given = {**context, **({FROM_ADDRESS: sender} if sender else {})}
        asked = actions_of(service) if service else ON_EVERYTHING
        allowed = {action for action in asked if allows(statements, action, arn, given)}
        if label != "*":
            allowed -= ON_EVERYTHING
        if allowed:
            granted[label] = allowed
    return granted


def _everything(stack: Stack) -> dict[str, tuple[str, str, str]]:
    """Name all there is to act on: its ARN, its service, and for mail who sends."""
    found = {"*": ("*", "", "")}
    kinds = {TABLE: "dynamodb", QUEUE: "sqs", "AWS::SNS::Topic": "sns", FUNCTION: "lambda", LOGS: "logs"}
    for kind, service in kinds.items():
        found |= {name: (stack.arn(name), service, "") for name in stack.of_type(kind)}
    found |= {f"{name}/index/watched": (f"{stack.arn(name)}/index/watched", "dynamodb", "") for name in ("BookTable",)}
    bucket = stack.arn("ArchiveBucket")
    for key in ("", "/prices/2026/03/02/14.jsonl.gz", "/journal/2026-03-02.json"):
        found[f"ArchiveBucket{key}"] = (f"{bucket}{key}", "s3", "")
    parameters = f"arn:aws:ssm:{PLACE.region}:{PLACE.account}:parameter"
    for name in (*PAPER, *LIVE, "discord-webhook-url", *MODELS, "anything-else"):
        found[name] = (f"{parameters}/hearthwatch/{name}", "ssm", "")
    found["a stranger's parameter"] = (f"{parameters}/elsewhere/password", "ssm", "")
    identities = f"arn:aws:ses:{PLACE.region}:{PLACE.account}:identity"
    for sender in (SENDER, "somebody@example.com"):
        found[f"mail from {sender}"] = (f"{identities}/{SENDER}", "ses", sender)
    found["mail from a stranger's identity"] = (f"{identities}/stranger@example.net", "ses", SENDER)
    return found


@cache
def actions_of(service: str) -> frozenset[str]:
    """Name a service's actions: its operations, and those whose names differ from their operations'."""
    differing = {
        "s3": {
            "ListBucket",
            "ListBucketVersions",
            "GetObjectVersion",
            "DeleteObjectVersion",
            "PutLifecycleConfiguration",
        },
        "lambda": {"InvokeFunction"},
    }
    model = botocore.session.get_session().get_service_model("sesv2" if service == "ses" else service)
    names = {*model.operation_names, *differing.get(service, set())}
    return frozenset(f"{service}:{name}" for name in names)


def _too_wide(role: str, statement: Mapping[str, Any]) -> Iterator[str]:
    if inverted := statement.keys() & {"NotAction", "NotResource", "NotPrincipal"}:
        yield f"{role} says all but: {', '.join(sorted(inverted))}"
    if statement["Effect"] != "Allow":
        return
    actions, resources = as_list(statement.get("Action")), as_list(statement.get("Resource"))
    for action in actions:
        if "*" in action or "?" in action:
            yield f"{role} may {action}"
    for resource in resources:
        own_words = resource.split(":", 5)[-1]
        if not resource.startswith("arn:") and not set(actions) <= ON_EVERYTHING:
            yield f"{role} may {', '.join(actions)} on {resource}"
        if own_words.startswith("*") and resource != "*":
            yield f"{role} may {', '.join(actions)} on {resource}"
