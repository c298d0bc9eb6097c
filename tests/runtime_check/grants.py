"""What a function's policy grants, held against the calls that were seen: nothing more, and nothing unexplained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from local_stack.cloud.embedded import EmbeddedCloud
from local_stack.cloud.policies import Effect, Statement
from local_stack.cloud.requests import Ask

FED_BY_QUEUE: Final = ("sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage")


class Grant(NamedTuple):
    """One action on one resource; "*" stands for any text."""

    action: str
    resource: str

    def covers(self, ask: Ask) -> bool:
        """Say whether a call is of this grant, its conditions left aside."""
        statement = Statement(effect=Effect.ALLOW, actions=(self.action,), resources=(self.resource,))
        return statement.names(ask.action, ask.resource, {})


_REAL_MONEY: Final = "the keys of an account with real money; the houses trade on paper"
_TELLS: Final = "tells of what went wrong, and with the specimens nothing does"
_IDENTITY: Final = "SES asks for whichever identities are verified; here it is the sender's address"
UNSEEN: Final[Mapping[tuple[str, str, str], str]] = {
    ("PrepareSession", "sqs:SendMessage", "*-AlertsQueue"): _TELLS,
    ("ReconcileOrders", "sqs:SendMessage", "*-DoorbellQueue"): "rings for an order that the broker never received",
    ("ReconcileOrders", "ssm:GetParameters", "*/alpaca-live-*"): _REAL_MONEY,
    (
        "PollPrices",
        "ssm:DescribeParameters",
        "*",
    ): "catches up on a day that was not prepared, ages of the keys included",
    ("PlaceOrders", "dynamodb:GetItem", "*-PricesTable"): "weighs an entry; the specimens meet an exit",
    ("PlaceOrders", "sqs:SendMessage", "*-AlertsQueue"): _TELLS,
    ("PlaceOrders", "sqs:SendMessage", "*-DoorbellQueue"): "rings again when the broker's answer was lost",
    ("PlaceOrders", "ssm:GetParameters", "*/alpaca-live-*"): _REAL_MONEY,
    ("RouteAlerts", "ses:SendEmail", "*:identity/example.com"): _IDENTITY,
    ("RouteAlerts", "ses:SendEmail", "*:identity/owner@example.com"): _IDENTITY,
    ("RouteAlerts", "sqs:SendMessage", "*-AlertsDeadLetters"): "puts aside an alert that no channel took",
    ("RouteAlerts", "sqs:SendMessage", "*-AlertsQueue"): _TELLS,
    ("ArchivePrices", "s3:ListBucket", "*"): "lets S3 tell an object that is not there from one that is forbidden",
    ("ArchivePrices", "sqs:SendMessage", "*-AlertsQueue"): _TELLS,
}
"""Function, action and resource of what is granted although no specimen uses it, with the reason."""


def grants_of(cloud: EmbeddedCloud, function: str) -> set[Grant]:
    """List what a function itself may do; what its role lets Lambda do in its name is left out."""
    granted = {
        Grant(action, resource)
        for statement in cloud.functions[function].statements
        if statement.effect is Effect.ALLOW
        for action in statement.actions
        for resource in statement.resources
    }
    return granted - _of_lambda_itself(cloud, function, granted)


def unseen(grants: Iterable[Grant], calls: Iterable[Ask]) -> set[Grant]:
    """List the grants that no call has used."""
    seen = tuple(calls)
    return {grant for grant in grants if not any(grant.covers(call) for call in seen)}


def unexplained(function: str, grants: Iterable[Grant]) -> set[Grant]:
    """List the grants for which no reason is written down."""
    return {grant for grant in grants if not any(_is_meant(key, function, grant) for key in UNSEEN)}


def outlived(function: str, grants: Iterable[Grant]) -> list[str]:
    """List the reasons that explain nothing any more."""
    left = tuple(grants)
    return [
        f"{action} on {resource}"
        for (name, action, resource) in UNSEEN
        if name == function and not any(_is_meant((name, action, resource), function, grant) for grant in left)
    ]


def _of_lambda_itself(cloud: EmbeddedCloud, function: str, granted: Iterable[Grant]) -> set[Grant]:
    """Lambda polls the function's queues, puts its failed runs aside and writes its log, all under its role."""
    queues = {cloud.stack.arn(trigger.queue) for trigger in cloud.triggers if trigger.function == function}
    aside = {cloud.functions[function].on_failure, cloud.functions[function].dead_letters}
    return {
        grant
        for grant in granted
        if (grant.resource in queues and grant.action in FED_BY_QUEUE)
        or (grant.resource in aside and grant.action == "sqs:SendMessage")
        or grant.action in ("logs:CreateLogStream", "logs:PutLogEvents")
    }


def _is_meant(key: tuple[str, str, str], function: str, grant: Grant) -> bool:
    name, action, resource = key
    return name == function and action == grant.action and fnmatchcase(grant.resource, resource)
