"""What a role may do: its statements, and AWS's answer to "may it?".

A Deny outweighs every Allow; without an Allow the answer is no. A statement that says something not read here is
refused when it is read: leaving out a condition would make a policy wider than it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

from local_stack.cloud.stack import Stack
from local_stack.cloud.template import MANAGED_POLICIES, NotPlayed

FROM_ADDRESS: Final = "ses:FromAddress"
ENCRYPTED: Final = "aws:SecureTransport"
ALWAYS: Final[Mapping[str, str]] = {ENCRYPTED: "true"}
"""What is so of every request: loopback stands for the encrypted endpoint."""
_UNDERSTOOD: Final = frozenset({"Sid", "Effect", "Action", "Resource", "Condition"})
_OPERATORS: Final = frozenset({"Bool", "StringEquals"})
_CONTEXT_KEYS: Final = frozenset({FROM_ADDRESS, ENCRYPTED})
_ATTACHED_ELSEWHERE: Final = ("AWS::IAM::Policy", "AWS::IAM::RolePolicy")


class Effect(StrEnum):
    """What a statement does with what it names."""

    ALLOW = "Allow"
    DENY = "Deny"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Actions on resources that are allowed or denied; "*" and "?" stand for any text and any letter.

    A condition holds when the request's context has one of its values under its key; a key that is not there does not.
    """

    effect: Effect
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def names(self, action: str, resource: str, context: Mapping[str, str]) -> bool:
        """Say whether the statement is about this action on this resource in this context."""
        return (
            any(_fits(pattern.lower(), action.lower()) for pattern in self.actions)
            and any(_fits(pattern, resource) for pattern in self.resources)
            and all(context.get(key) in values for key, values in self.conditions)
        )


_LOGS: Final = Statement(
    effect=Effect.ALLOW,
    actions=("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
    resources=("*",),
)
_QUEUES: Final = Statement(
    effect=Effect.ALLOW,
    actions=("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    resources=("*",),
)
MANAGED: Final[Mapping[str, tuple[Statement, ...]]] = {
    f"{MANAGED_POLICIES}AWSLambdaBasicExecutionRole": (_LOGS,),
    f"{MANAGED_POLICIES}AWSLambdaSQSQueueExecutionRole": (_LOGS, _QUEUES),
}
"""What AWS's own policies grant, of those a function here may have."""


def allows(
    statements: Iterable[Statement], action: str, resource: str, context: Mapping[str, str] | None = None
) -> bool:
    """Say whether the statements together allow an action on a resource."""
    known = {**ALWAYS, **(context or {})}
    effects = {statement.effect for statement in statements if statement.names(action, resource, known)}
    return effects == {Effect.ALLOW}


def statements_of_role(stack: Stack, arn: str) -> tuple[Statement, ...]:
    """Read everything a role of the stack is granted or denied."""
    if elsewhere := [name for kind in _ATTACHED_ELSEWHERE for name in stack.of_type(kind)]:
        raise NotPlayed(f"policies outside of their role: {', '.join(elsewhere)}")
    managed = {
        **MANAGED,
        **{
            str(stack.ref(name)): _document(stack.properties(name)["PolicyDocument"], name)
            for name in stack.of_type("AWS::IAM::ManagedPolicy")
        },
    }
    for name in stack.of_type("AWS::IAM::Role"):
        if stack.arn(name) == arn:
            return _role(name, stack.properties(name), managed)
    raise NotPlayed(f"the role {arn}, which is not in the template")


def read_statement(raw: Mapping[str, Any], where: str) -> Statement:
    """Read one statement of a policy document; `where` names it in an error."""
    if strange := sorted(raw.keys() - _UNDERSTOOD):
        raise NotPlayed(f"{', '.join(strange)} in a policy of {where}")
    return Statement(
        effect=Effect(raw["Effect"]),
        actions=_texts(raw.get("Action")),
        resources=_texts(raw.get("Resource")),
        conditions=tuple(_conditions(raw.get("Condition", {}), where)),
    )


def _role(
    name: str, properties: Mapping[str, Any], managed: Mapping[str, tuple[Statement, ...]]
) -> tuple[Statement, ...]:
    found: list[Statement] = []
    for arn in properties.get("ManagedPolicyArns", []):
        if arn not in managed:
            raise NotPlayed(f"the managed policy {arn} of {name}")
        found += managed[arn]
    for policy in properties.get("Policies", []):
        found += _document(policy["PolicyDocument"], name)
    return tuple(found)


def _document(document: Mapping[str, Any], where: str) -> tuple[Statement, ...]:
    raw = document["Statement"]
    return tuple(read_statement(part, where) for part in (raw if isinstance(raw, list) else [raw]))


def _conditions(raw: Mapping[str, Mapping[str, Any]], where: str) -> Iterable[tuple[str, tuple[str, ...]]]:
    for operator, keys in raw.items():
        for key, values in keys.items():
            if operator not in _OPERATORS or key not in _CONTEXT_KEYS:
                raise NotPlayed(f"the condition {operator} {key} in a policy of {where}")
            yield key, _texts(values)


def _texts(value: object) -> tuple[str, ...]:
    match value:
        case str():
            return (value,)
        case [*parts]:
            return tuple(str(part) for part in parts)
        case _:
            return ()


def _fits(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = (".*" if letter == "*" else "." if letter == "?" else re.escape(letter) for letter in pattern)
    return re.compile("".join(parts), re.DOTALL)
