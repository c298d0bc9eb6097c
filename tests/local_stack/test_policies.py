"""A role may do what its statements say, and nothing is read wider than it is written."""

from __future__ import annotations

import pytest

from local_stack.cloud.policies import FROM_ADDRESS, Effect, Statement, allows, read_statement
from local_stack.cloud.template import NotPlayed

TABLE = "arn:aws:dynamodb:us-east-1:1:table/book"
READ = Statement(effect=Effect.ALLOW, actions=("dynamodb:GetItem", "dynamodb:Q*"), resources=(TABLE,))


@pytest.mark.parametrize(
    ("action", "resource", "allowed"),
    [
        ("dynamodb:GetItem", TABLE, True),
        ("dynamodb:getitem", TABLE, True),
        ("dynamodb:Query", TABLE, True),
        ("dynamodb:PutItem", TABLE, False),
        ("dynamodb:GetItem", f"{TABLE}/index/watched", False),
        ("dynamodb:GetItem", TABLE.replace("book", "b.ok"), False),
    ],
)
def test_only_what_is_named_is_allowed(action: str, resource: str, allowed: bool) -> None:
    assert allows([READ], action, resource) is allowed


def test_a_deny_outweighs_an_allow() -> None:
    deny = Statement(effect=Effect.DENY, actions=("dynamodb:*",), resources=("*/book",))
    assert not allows([READ, deny], "dynamodb:GetItem", TABLE)


def test_without_a_statement_nothing_is_allowed() -> None:
    assert not allows([], "dynamodb:GetItem", TABLE)


def test_a_wildcard_may_stand_anywhere() -> None:
    statement = read_statement(
        {"Effect": "Allow", "Action": "s3:Put?bject", "Resource": "arn:aws:s3:::*/prices/*"}, "x"
    )
    assert allows([statement], "s3:PutObject", "arn:aws:s3:::shelf/prices/2026/03")
    assert not allows([statement], "s3:PutObject", "arn:aws:s3:::shelf/news/2026/03")


def test_a_condition_narrows_a_statement() -> None:
    raw = {
        "Effect": "Allow",
        "Action": "ses:SendEmail",
        "Resource": "*",
        "Condition": {"StringEquals": {FROM_ADDRESS: ["a@b.c"]}},
    }
    mail = read_statement(raw, "x")
    assert allows([mail], "ses:SendEmail", "any", {FROM_ADDRESS: "a@b.c"})
    assert not allows([mail], "ses:SendEmail", "any", {FROM_ADDRESS: "d@b.c"})
    assert not allows([mail], "ses:SendEmail", "any")


def test_requests_on_loopback_count_as_encrypted() -> None:
    raw = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    assert allows([READ, read_statement(raw, "x")], "dynamodb:GetItem", TABLE)


@pytest.mark.parametrize(
    "strange",
    [
        {"NotAction": "x"},
        {"NotResource": "x"},
        {"Condition": {"StringLike": {FROM_ADDRESS: "*"}}},
        {"Condition": {"StringEquals": {"aws:SourceIp": "1.2.3.4"}}},
    ],
)
def test_what_is_not_read_is_named(strange: dict[str, object]) -> None:
    with pytest.raises(NotPlayed, match="Clerk"):
        read_statement({"Effect": "Allow", "Action": "a", "Resource": "b", **strange}, "Clerk")
