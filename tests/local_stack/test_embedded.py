"""The cloud of one machine has what the template says, and nothing of it is reachable from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from local_stack.cloud.embedded import EmbeddedCloud
from local_stack.cloud.template import NotPlayed, Template
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.errors import Unavailable
from tests.local_stack.small import START, TEXT, clock_of, small_cloud
from tests.local_stack.test_template import GIVEN, OURS

WRITERS = 32


@pytest.fixture(scope="module")
def ours() -> Iterator[EmbeddedCloud]:
    """Serve the template that is deployed."""
    with EmbeddedCloud(Template.read(OURS, GIVEN), SimulatedClock(START)) as served:
        yield served


def test_it_listens_on_loopback_only(ours: EmbeddedCloud) -> None:
    assert urlsplit(ours.url).hostname == "127.0.0.1"
    assert ours._server is not None
    assert ours._server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("table", ["BookTable", "PricesTable", "JournalTable"])
def test_tables_have_the_templates_keys(ours: EmbeddedCloud, table: str) -> None:
    described = ours.client("dynamodb").describe_table(TableName=ours.physical(table))["Table"]
    assert [(key["AttributeName"], key["KeyType"]) for key in described["KeySchema"]] == [
        ("pk", "HASH"),
        ("sk", "RANGE"),
    ]
    assert described["TableArn"] == ours.stack.arn(table)
    assert described["DeletionProtectionEnabled"]


def test_the_book_has_its_index(ours: EmbeddedCloud) -> None:
    (index,) = ours.client("dynamodb").describe_table(TableName=ours.physical("BookTable"))["Table"][
        "GlobalSecondaryIndexes"
    ]
    assert index["IndexName"] == "watched"
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["watched", "sk"]


@pytest.mark.parametrize(
    ("table", "attribute"), [("BookTable", "expires"), ("PricesTable", "expires"), ("JournalTable", None)]
)
def test_items_end_where_the_template_says(ours: EmbeddedCloud, table: str, attribute: str | None) -> None:
    answer = ours.client("dynamodb").describe_time_to_live(TableName=ours.physical(table))["TimeToLiveDescription"]
    assert answer.get("AttributeName") == attribute
    assert answer["TimeToLiveStatus"] == ("ENABLED" if attribute else "DISABLED")


def test_tables_can_be_recovered_to_a_point_in_time(ours: EmbeddedCloud) -> None:
    answer = ours.client("dynamodb").describe_continuous_backups(TableName=ours.physical("JournalTable"))
    recovery = answer["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"


@pytest.mark.parametrize("queue", ["DoorbellQueue", "CyclesQueue", "AlertsQueue"])
def test_queues_give_up_after_five_times(ours: EmbeddedCloud, queue: str) -> None:
    attributes = ours.client("sqs").get_queue_attributes(QueueUrl=ours.physical(queue), AttributeNames=["All"])[
        "Attributes"
    ]
    dead_letters = ours.stack.arn(queue.replace("Queue", "DeadLetters"))
    assert attributes["QueueArn"] == ours.stack.arn(queue)
    assert f'"deadLetterTargetArn": "{dead_letters}"' in attributes["RedrivePolicy"]
    assert '"maxReceiveCount": 5' in attributes["RedrivePolicy"]
    assert attributes["VisibilityTimeout"] == "360"


def test_bucket_topic_and_logs_are_there(ours: EmbeddedCloud) -> None:
    ours.client("s3").head_bucket(Bucket=ours.physical("ArchiveBucket"))
    ours.client("sns").get_topic_attributes(TopicArn=ours.physical("OperatorTopic"))
    groups = {group["logGroupName"]: group for group in ours.client("logs").describe_log_groups()["logGroups"]}
    assert groups["/aws/lambda/hearthwatch/check_risk"]["retentionInDays"] == 30


def test_mail_can_be_sent_from_the_address_in_the_template(ours: EmbeddedCloud) -> None:
    identities = ours.client("sesv2").list_email_identities()["EmailIdentities"]
    assert [identity["IdentityName"] for identity in identities] == [GIVEN["MailFrom"]]


def test_a_function_sees_the_templates_variables_and_those_that_lambda_adds(ours: EmbeddedCloud) -> None:
    variables = ours.environment_of("CheckRisk")
    assert variables["HEARTHWATCH_BOOK_TABLE"] == ours.physical("BookTable")
    assert variables["AWS_ENDPOINT_URL"] == ours.url
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "hearthwatch-CheckRisk"
    assert variables["AWS_ACCESS_KEY_ID"] != ours.environment_of("PollPrices")["AWS_ACCESS_KEY_ID"]
    assert ours.policy_of("CheckRisk") == ours.functions["CheckRisk"].statements


def test_no_function_may_delete_from_the_journal(ours: EmbeddedCloud) -> None:
    for function in ours.functions:
        dynamodb = ours.session_of(function).client("dynamodb", endpoint_url=ours.url)
        with pytest.raises(ClientError, match="dynamodb:DeleteItem"):
            dynamodb.delete_item(
                TableName=ours.physical("JournalTable"), Key={"pk": {"S": "2026-03-02"}, "sk": {"S": "1"}}
            )


def test_two_clouds_of_one_process_do_not_see_each_other(cloud: EmbeddedCloud) -> None:
    with small_cloud() as other:
        for one in (cloud, other):
            one.client("dynamodb").put_item(
                TableName=one.physical("BookTable"), Item={"pk": {"S": one.url}, "sk": {"S": "s"}}
            )
        for one in (cloud, other):
            items = one.client("dynamodb").scan(TableName=one.physical("BookTable"))["Items"]
            assert [item["pk"]["S"] for item in items] == [one.url]


def test_a_stopped_cloud_has_forgotten_everything() -> None:
    template, clock = Template.from_text(TEXT), SimulatedClock(START)
    for _ in range(2):
        with EmbeddedCloud(template, clock, account="999999999999") as cloud:
            cloud.client("s3").put_object(Bucket=cloud.physical("Shelf"), Key="k", Body=b"x")
            cloud.client("sqs").send_message(QueueUrl=cloud.physical("OldWays"), MessageBody="x")
            seen = cloud.client("sqs").receive_message(QueueUrl=cloud.physical("OldWays"), MaxNumberOfMessages=10)
            assert len(seen["Messages"]) == 1


def test_a_template_that_cannot_be_played_leaves_nothing_running() -> None:
    cloud = EmbeddedCloud(Template.from_text(TEXT + "  Odd: {Type: AWS::Kinesis::Stream}\n"), SimulatedClock(START))
    with pytest.raises(NotPlayed, match="AWS::Kinesis::Stream"):
        cloud.start()
    assert cloud._server is None
    cloud.stop()


def test_a_taken_port_is_named(cloud: EmbeddedCloud) -> None:
    port = urlsplit(cloud.url).port
    assert port is not None
    with pytest.raises(Unavailable, match=str(port)):
        EmbeddedCloud(Template.from_text(TEXT), SimulatedClock(START), port=port).start()


def test_items_that_are_over_go_when_asked(cloud: EmbeddedCloud) -> None:
    dynamodb, table, now = cloud.client("dynamodb"), cloud.physical("BookTable"), int(START.timestamp())
    for name, expires in {"over": now, "soon": now + 60}.items():
        dynamodb.put_item(TableName=table, Item={"pk": {"S": name}, "sk": {"S": "s"}, "expires": {"N": str(expires)}})
    dynamodb.put_item(TableName=table, Item={"pk": {"S": "for ever"}, "sk": {"S": "s"}})
    assert cloud.expire_items() == 1
    assert {item["pk"]["S"] for item in dynamodb.scan(TableName=table)["Items"]} == {"soon", "for ever"}
    clock_of(cloud).set(START.replace(minute=31))
    assert cloud.expire_items() == 1


def test_conditional_writes_of_many_at_once_have_one_winner(cloud: EmbeddedCloud) -> None:
    dynamodb, table, won = cloud.client("dynamodb"), cloud.physical("BookTable"), []

    def write(number: int) -> None:
        try:
            dynamodb.put_item(
                TableName=table,
                Item={"pk": {"S": "slot"}, "sk": {"S": "s"}, "by": {"N": str(number)}},
                ConditionExpression="attribute_not_exists(pk)",
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return
        won.append(number)

    threads = [Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
