"""The door knows who asks for what, lets nobody do more than the template allows, and misbehaves when told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, HTTPClientError

from local_stack.cloud.door import Misbehaviour, Plan
from local_stack.cloud.embedded import EmbeddedCloud
from local_stack.cloud.identities import key_of
from local_stack.cloud.requests import Ask
from shared.adapters.aws.clients import Aws

ONCE = Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 1, "mode": "standard"})
KEY = {"pk": {"S": "p"}, "sk": {"S": "s"}}
MAIL: dict[str, Any] = {
    "Destination": {"ToAddresses": ["owner@example.com"]},
    "Content": {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}},
}


def client(cloud: EmbeddedCloud, service: Any, who: str = "Clerk") -> Any:
    return cloud.session_of(who).client(service, endpoint_url=cloud.url, config=ONCE)


def code(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return str(caught.value.response["Error"]["Code"])


def test_a_function_does_what_its_policy_allows(cloud: EmbeddedCloud) -> None:
    table = cloud.physical("BookTable")
    client(cloud, "dynamodb").put_item(TableName=table, Item=KEY)
    assert client(cloud, "dynamodb").get_item(TableName=table, Key=KEY)["Item"] == KEY
    arn = cloud.stack.arn("BookTable")
    assert cloud.door.calls_of("Clerk") == (Ask("dynamodb:PutItem", arn), Ask("dynamodb:GetItem", arn))
    assert not cloud.door.refused


def test_an_action_that_the_policy_lacks_is_refused_and_named(cloud: EmbeddedCloud) -> None:
    arn = cloud.stack.arn("BookTable")
    with pytest.raises(
        ClientError, match=f"not authorized to perform: dynamodb:DeleteItem on resource: {arn}"
    ) as caught:
        client(cloud, "dynamodb").delete_item(TableName=cloud.physical("BookTable"), Key=KEY)
    assert code(caught) == "AccessDeniedException"
    assert [(call.caller, call.action, call.resource) for call in cloud.door.refused] == [
        ("Clerk", "dynamodb:DeleteItem", arn)
    ]


def test_another_function_has_another_policy(cloud: EmbeddedCloud) -> None:
    with pytest.raises(ClientError) as caught:
        client(cloud, "dynamodb", "Porter").get_item(TableName=cloud.physical("BookTable"), Key=KEY)
    assert code(caught) == "AccessDeniedException"
    assert cloud.door.calls_of("Clerk") == ()


def refusals(cloud: EmbeddedCloud) -> dict[str, Any]:
    queue, bucket, table = cloud.physical("FailedRuns"), cloud.physical("Shelf"), cloud.physical("BookTable")
    sqs, s3, ssm, dynamodb = (client(cloud, name) for name in ("sqs", "s3", "ssm", "dynamodb"))
    ses, sns = client(cloud, "sesv2"), client(cloud, "sns")
    return {
        "sqs:PurgeQueue": lambda: sqs.purge_queue(QueueUrl=queue),
        "sqs:SendMessage": lambda: sqs.send_message(
            QueueUrl=cloud.physical("OldWays").replace("OldWays", "X"), MessageBody="x"
        ),
        "s3:PutObject": lambda: s3.put_object(Bucket=bucket, Key="news/1", Body=b"x"),
        "s3:GetObject": lambda: s3.get_object(Bucket=bucket, Key="prices/sealed/1"),
        "s3:DeleteObject": lambda: s3.delete_object(Bucket=bucket, Key="prices/1"),
        "s3:ListBucket": lambda: s3.list_objects_v2(Bucket=bucket),
        "s3:ListAllMyBuckets": s3.list_buckets,
        "ssm:GetParameters": lambda: ssm.get_parameters(Names=["/hearthwatch/key", "/hearthwatch/other"]),
        "ssm:GetParameter": lambda: ssm.get_parameter(Name="/hearthwatch/key"),
        "dynamodb:Query": lambda: dynamodb.query(
            TableName=table,
            KeyConditionExpression="pk = :p",
            ExpressionAttributeValues={":p": {"S": "p"}},
        ),
        "dynamodb:BatchGetItem": lambda: dynamodb.batch_get_item(RequestItems={table: {"Keys": [KEY]}}),
        "dynamodb:ListTables": dynamodb.list_tables,
        "dynamodb:DeleteItem": lambda: dynamodb.transact_write_items(
            TransactItems=[{"Delete": {"TableName": table, "Key": KEY}}]
        ),
        "ses:SendEmail": lambda: ses.send_email(FromEmailAddress="thief@example.com", **MAIL),
        "ses:GetAccount": ses.get_account,
        "sns:Publish": lambda: sns.publish(TopicArn="arn:aws:sns:us-east-1:1:t", Message="x"),
    }


def test_each_service_refuses_in_its_own_way(cloud: EmbeddedCloud) -> None:
    for action, call in refusals(cloud).items():
        with pytest.raises(ClientError, match=f"not authorized to perform: {action} ") as caught:
            call()
        denied = {"sqs": "AccessDenied", "s3": "AccessDenied", "sns": "AuthorizationError"}
        assert code(caught) == denied.get(action.split(":")[0], "AccessDeniedException"), action
        assert cloud.door.refused[-1].action == action


def test_every_service_answers_whoever_may_ask(cloud: EmbeddedCloud) -> None:
    cloud.client("ssm").put_parameter(Name="/hearthwatch/key", Value="secret", Type="SecureString")
    names = client(cloud, "ssm").get_parameters(Names=["/hearthwatch/key"], WithDecryption=True)
    assert [part["Value"] for part in names["Parameters"]] == ["secret"]
    client(cloud, "s3").put_object(Bucket=cloud.physical("Shelf"), Key="prices/a b", Body=b"12")
    assert client(cloud, "s3").get_object(Bucket=cloud.physical("Shelf"), Key="prices/a b")["Body"].read() == b"12"
    assert client(cloud, "s3").head_object(Bucket=cloud.physical("Shelf"), Key="prices/a b")["ContentLength"] == 2
    client(cloud, "sesv2").send_email(FromEmailAddress="Hearthwatch <watch@example.com>", **MAIL)
    assert [mail.subject for mail in cloud.sent_mail()] == ["s"]
    client(cloud, "sts").get_caller_identity()
    assert not cloud.door.refused


def test_a_missing_object_is_denied_to_whoever_may_not_list(cloud: EmbeddedCloud) -> None:
    with pytest.raises(ClientError, match="s3:ListBucket") as caught:
        client(cloud, "s3").get_object(Bucket=cloud.physical("Shelf"), Key="prices/none")
    assert code(caught) == "AccessDenied"
    with pytest.raises(ClientError) as seen:
        cloud.client("s3").get_object(Bucket=cloud.physical("Shelf"), Key="prices/none")
    assert code(seen) == "NoSuchKey"


def test_the_owner_may_do_everything(cloud: EmbeddedCloud) -> None:
    cloud.client("dynamodb").delete_item(TableName=cloud.physical("BookTable"), Key=KEY)
    assert cloud.client("sesv2").get_account()["ProductionAccessEnabled"]


@pytest.mark.parametrize("service", ["dynamodb", "sqs", "s3", "ssm", "sesv2"])
def test_a_stranger_is_turned_away(cloud: EmbeddedCloud, service: Any) -> None:
    cloud.door._callers.pop(key_of("Porter"))
    calls = {
        "dynamodb": lambda c: c.list_tables(),
        "sqs": lambda c: c.list_queues(),
        "s3": lambda c: c.list_buckets(),
        "ssm": lambda c: c.get_parameter(Name="/x"),
        "sesv2": lambda c: c.get_account(),
    }
    with pytest.raises(ClientError) as caught:
        calls[service](client(cloud, service, "Porter"))
    assert code(caught) in {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId"}


THROTTLED = {
    "dynamodb": "ThrottlingException",
    "sqs": "RequestThrottled",
    "s3": "SlowDown",
    "ssm": "ThrottlingException",
    "sesv2": "TooManyRequestsException",
}


def call(cloud: EmbeddedCloud, service: str) -> Any:
    """Ask a service for something that is allowed."""
    asked = client(cloud, service)
    match service:
        case "dynamodb":
            return asked.put_item(TableName=cloud.physical("BookTable"), Item=KEY)
        case "sqs":
            return asked.send_message(QueueUrl=cloud.physical("DoorbellQueue"), MessageBody="x")
        case "s3":
            return asked.put_object(Bucket=cloud.physical("Shelf"), Key="prices/1", Body=b"x")
        case "ssm":
            return asked.get_parameters(Names=["/hearthwatch/key"])
        case _:
            return asked.send_email(FromEmailAddress="watch@example.com", **MAIL)


@pytest.mark.parametrize("service", THROTTLED)
def test_a_throttled_service_says_so_in_its_own_words(cloud: EmbeddedCloud, service: str) -> None:
    cloud.misbehave(Misbehaviour.THROTTLE)
    with pytest.raises(ClientError) as caught:
        call(cloud, service)
    assert code(caught) == THROTTLED[service]
    call(cloud, service)


@pytest.mark.parametrize("service", THROTTLED)
def test_a_broken_service_answers_with_a_server_error(cloud: EmbeddedCloud, service: str) -> None:
    cloud.misbehave(Misbehaviour.SERVER_ERROR)
    with pytest.raises(ClientError) as caught:
        call(cloud, service)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


def test_throttling_is_retried_by_the_clients_of_the_functions(cloud: EmbeddedCloud) -> None:
    cloud.misbehave(Misbehaviour.THROTTLE, "dynamodb:PutItem")
    aws = Aws(cloud.session_of("Clerk"), endpoint_url=cloud.url)
    aws.dynamodb.put_item(TableName=cloud.physical("BookTable"), Item=KEY)
    assert cloud.door.count("Clerk", "dynamodb:PutItem") == 2


def test_a_denied_action_is_denied_as_a_narrow_policy_would(cloud: EmbeddedCloud) -> None:
    cloud.misbehave(Misbehaviour.DENY, "dynamodb:PutItem")
    with pytest.raises(ClientError, match="not authorized to perform: dynamodb:PutItem"):
        call(cloud, "dynamodb")


def test_a_hanging_service_says_nothing_and_does_nothing(cloud: EmbeddedCloud) -> None:
    cloud.misbehave(Misbehaviour.HANG, lasting=timedelta(milliseconds=50))
    with pytest.raises((ConnectionClosedError, HTTPClientError, EndpointConnectionError)):
        call(cloud, "dynamodb")
    assert "Item" not in client(cloud, "dynamodb").get_item(TableName=cloud.physical("BookTable"), Key=KEY)


def test_a_lost_answer_leaves_its_effect(cloud: EmbeddedCloud) -> None:
    cloud.misbehave(Misbehaviour.ANSWER_LOST, "dynamodb:PutItem")
    with pytest.raises((ConnectionClosedError, HTTPClientError)):
        call(cloud, "dynamodb")
    assert client(cloud, "dynamodb").get_item(TableName=cloud.physical("BookTable"), Key=KEY)["Item"] == KEY


def test_a_slow_service_answers_in_the_end(cloud: EmbeddedCloud) -> None:
    cloud.misbehave(Misbehaviour.SLOW, lasting=timedelta(milliseconds=20))
    call(cloud, "dynamodb")


def test_a_plan_is_for_its_action_its_resource_and_its_caller_as_often_as_said(cloud: EmbeddedCloud) -> None:
    cloud.misbehave(Misbehaviour.THROTTLE, "sqs:*", resource="*-DoorbellQueue", caller="Clerk", times=2)
    call(cloud, "dynamodb")
    for _ in range(2):
        with pytest.raises(ClientError):
            call(cloud, "sqs")
    call(cloud, "sqs")


def test_a_plan_for_everybody_spares_the_owner(cloud: EmbeddedCloud) -> None:
    cloud.misbehave(Misbehaviour.SERVER_ERROR, times=1)
    cloud.client("dynamodb").list_tables()
    with pytest.raises(ClientError):
        call(cloud, "dynamodb")
    cloud.misbehave(Misbehaviour.SERVER_ERROR, caller="owner")
    with pytest.raises(ClientError):
        cloud.client("dynamodb").list_tables()


def test_a_disturbance_is_asked_about_each_request_of_a_function_and_spares_the_owner(cloud: EmbeddedCloud) -> None:
    asked: list[tuple[str, str]] = []

    def second_one_fails(caller: str, asks: Sequence[Ask]) -> Plan | None:
        asked.append((caller, asks[0].action))
        return Plan(kind=Misbehaviour.SERVER_ERROR) if len(asked) == 2 else None

    cloud.door.disturb(second_one_fails)
    cloud.client("dynamodb").list_tables()
    call(cloud, "dynamodb")
    with pytest.raises(ClientError):
        call(cloud, "dynamodb")
    assert [caller for caller, _ in asked] == ["Clerk", "Clerk"]
    cloud.door.behave()
    call(cloud, "dynamodb")
    assert len(asked) == 2


def test_dropped_plans_do_nothing(cloud: EmbeddedCloud) -> None:
    cloud.misbehave(Misbehaviour.SERVER_ERROR, times=9)
    cloud.door.behave()
    call(cloud, "dynamodb")
