"""The template is read as AWS reads it, and what this machine does not play is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local_stack.cloud.deployed import functions_of, schedules_of, triggers_of
from local_stack.cloud.functions import find_handler
from local_stack.cloud.policies import allows, statements_of_role
from local_stack.cloud.resources import ABSENT, MADE, PLAYED, plain_template
from local_stack.cloud.stack import Place, Stack
from local_stack.cloud.template import NotPlayed, Template
from tests.local_stack.small import TEXT

PLACE = Place(stack="hearthwatch", account="000000000042", region="eu-central-1", url="http://127.0.0.1:1")
OURS = Path(__file__).parents[2] / "template.yaml"
GIVEN = {
    "MailFrom": "watch@example.com",
    "MailTo": "owner@example.com",
    "OperatorEmail": "owner@example.com",
    "Schedules": "ENABLED",
}


def small(text: str = TEXT, parameters: dict[str, str] | None = None) -> Stack:
    return Stack(Template.from_text(text, parameters), PLACE)


@pytest.fixture(scope="module")
def ours() -> Stack:
    """Evaluate the template that is deployed."""
    return Stack(Template.read(OURS, GIVEN), PLACE)


def test_every_value_of_the_deployed_template_can_be_told(ours: Stack) -> None:
    for name in ours.template.resources:
        assert "Fn::" not in repr(ours.properties(name))


def test_every_resource_of_the_deployed_template_is_made_played_or_known_to_be_absent(ours: Stack) -> None:
    made = plain_template(ours)["Resources"]
    assert {part["Type"] for part in made.values()} <= MADE
    assert not MADE & PLAYED | MADE & ABSENT | PLAYED & ABSENT


def test_every_deployed_function_is_fired_by_something(ours: Stack) -> None:
    fired = {schedule.function for schedule in schedules_of(ours)} | {trigger.function for trigger in triggers_of(ours)}
    assert fired == set(functions_of(ours))


def test_the_deployed_schedules_may_fire_what_they_fire(ours: Stack) -> None:
    for schedule in schedules_of(ours):
        statements = statements_of_role(ours, schedule.role_arn)
        assert allows(statements, "lambda:InvokeFunction", ours.arn(schedule.function))
        assert schedule.dead_letters is not None
        assert allows(statements, "sqs:SendMessage", schedule.dead_letters)


def test_the_deployed_functions_may_put_aside_what_failed_and_read_what_feeds_them(ours: Stack) -> None:
    functions = functions_of(ours)
    for function in functions.values():
        assert function.on_failure is not None
        assert allows(function.statements, "sqs:SendMessage", function.on_failure)
    for trigger in triggers_of(ours):
        for action in ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"):
            assert allows(functions[trigger.function].statements, action, ours.arn(trigger.queue))


def test_nothing_fires_before_the_schedules_are_enabled() -> None:
    given = {name: value for name, value in GIVEN.items() if name != "Schedules"}
    schedules = schedules_of(Stack(Template.read(OURS, given), PLACE))
    assert schedules
    assert not any(schedule.enabled for schedule in schedules)


def test_a_function_is_read_whole() -> None:
    clerk = functions_of(small())["Clerk"]
    assert (clerk.name, clerk.handler, clerk.memory_mb) == (
        "hearthwatch-Clerk",
        "tests.local_stack.handlers.clerk",
        256,
    )
    assert clerk.timeout.total_seconds() == 7
    assert clerk.environment == {
        "HEARTHWATCH_BOOK_TABLE": "hearthwatch-BookTable",
        "HEARTHWATCH_DOORBELL_QUEUE_URL": "http://127.0.0.1:1/000000000042/hearthwatch-DoorbellQueue",
        "HEARTHWATCH_MAIL_FROM": "watch@example.com",
    }
    assert clerk.retries == 1
    assert clerk.on_failure == "arn:aws:sqs:eu-central-1:000000000042:hearthwatch-FailedRuns"
    assert clerk.dead_letters == "arn:aws:sqs:eu-central-1:000000000042:hearthwatch-OldWays"
    assert find_handler(clerk.handler).__name__ == "clerk"


def test_a_trigger_is_read_whole() -> None:
    rung, slowly = triggers_of(small())
    assert (rung.function, rung.queue, rung.batch_size, rung.reports_failures) == ("Clerk", "DoorbellQueue", 3, True)
    assert (slowly.queue, slowly.reports_failures) == ("SlowQueue", False)


def test_a_parameter_may_be_given() -> None:
    stack = small(parameters={"MailFrom": "other@example.com"})
    assert functions_of(stack)["Clerk"].environment["HEARTHWATCH_MAIL_FROM"] == "other@example.com"


def test_what_refers_to_another_resource_is_made_after_it() -> None:
    made = plain_template(small())["Resources"]
    assert made["DoorbellQueue"]["DependsOn"] == ["DoorbellDeadLetters"]
    assert made["DoorbellQueue"]["Properties"]["RedrivePolicy"] == {
        "deadLetterTargetArn": "arn:aws:sqs:eu-central-1:000000000042:hearthwatch-DoorbellDeadLetters",
        "maxReceiveCount": 5,
    }


def test_a_resource_whose_condition_is_false_is_not_there() -> None:
    text = TEXT + "  Spare: {Type: AWS::SQS::Queue, Condition: Never}\nConditions: {Never: !Equals [a, b]}\n"
    stack = small(text)
    assert "Spare" not in plain_template(stack)["Resources"]
    with pytest.raises(NotPlayed, match="Spare"):
        stack.ref("Spare")


@pytest.mark.parametrize(
    ("added", "named"),
    [
        ("  Odd: {Type: AWS::Kinesis::Stream}\n", "AWS::Kinesis::Stream"),
        ("  Odd: {Type: AWS::SQS::Queue, Properties: {QueueName: !ImportValue x}}\n", "Fn::ImportValue"),
        (
            "  Odd: {Type: AWS::SQS::Queue, Properties: {QueueName: !GetAtt BookTable.StreamArn}}\n",
            "BookTable.StreamArn",
        ),
        ("  Odd: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Nobody}}\n", "Nobody"),
        ("  Odd: {Type: AWS::SQS::Queue, Properties: {QueueName: !If [Unsaid, a, b]}}\n", "Unsaid"),
    ],
)
def test_what_this_machine_does_not_play_is_named(added: str, named: str) -> None:
    with pytest.raises(NotPlayed, match=named):
        plain_template(small(TEXT + added))


@pytest.mark.parametrize(
    ("was", "becomes", "named"),
    [
        ("Input: '{", "# '{", "without an Input"),
        (
            "ScheduleExpression: rate(1 minute)",
            "ScheduleExpression: rate(1 minute)\n            StartDate: x",
            "StartDate",
        ),
        ("BatchSize: 3, Fun", "BatchSize: 3, FilterCriteria: {Filters: []}, Fun", "FilterCriteria"),
        ("Policies: []", "Policies: [AmazonS3FullAccess]", "AmazonS3FullAccess"),
        ("Policies: []", "Role: arn:aws:iam::1:role/other", "arn:aws:iam::1:role/other"),
    ],
)
def test_a_setting_that_would_change_what_happens_is_named(was: str, becomes: str, named: str) -> None:
    assert was in TEXT

    def read() -> Any:
        stack = small(TEXT.replace(was, becomes, 1))
        return functions_of(stack), schedules_of(stack), triggers_of(stack)

    with pytest.raises(NotPlayed, match=named):
        read()


@pytest.mark.parametrize(("parameters", "named"), [({"Unheard": "x"}, "Unheard"), ({"Stage": "x"}, "Stage")])
def test_a_parameter_that_is_not_declared_is_named(parameters: dict[str, str], named: str) -> None:
    with pytest.raises(NotPlayed, match=named):
        small(parameters=parameters)


def test_a_parameter_without_a_value_is_named() -> None:
    with pytest.raises(NotPlayed, match="MailFrom"):
        small(TEXT.replace("Type: String, Default: watch@example.com", "Type: String"))
