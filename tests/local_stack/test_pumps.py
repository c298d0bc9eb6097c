"""Queues feed functions as Lambda's pollers do it, on the stack's clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from hashlib import md5
from typing import Any

import pytest

from local_stack.cloud.embedded import EmbeddedCloud
from local_stack.cloud.functions import Functions, Invocation
from local_stack.cloud.pumps import Pumps, failed_ids
from tests.local_stack.small import START, clock_of

Answer = Callable[[list[Any]], Any]


class Desk:
    """A function fed by queues: keeps what arrived, and answers as told."""

    def __init__(self, cloud: EmbeddedCloud, answer: Answer = lambda _: None, *, deliveries: int = 1) -> None:
        self.cloud = cloud
        self.clock = clock_of(cloud)
        self.batches: list[list[Any]] = []
        self._answer = answer
        self.pumps = Pumps(Functions(cloud, {"Clerk": self._work}.get, deliveries=deliveries))

    def _work(self, event: Any, _: Any) -> Any:
        self.batches.append(event["Records"])
        return self._answer(event["Records"])

    @property
    def bodies(self) -> list[list[str]]:
        return [[record["body"] for record in batch] for batch in self.batches]

    def send(self, *bodies: str, queue: str = "DoorbellQueue", **more: Any) -> None:
        sqs = self.cloud.session_of("Clerk").client("sqs", endpoint_url=self.cloud.url)
        for body in bodies:
            sqs.send_message(QueueUrl=self.cloud.physical(queue), MessageBody=body, **more)

    def left_in(self, queue: str) -> list[Any]:
        return list(
            self.cloud.client("sqs")
            .receive_message(QueueUrl=self.cloud.physical(queue), MaxNumberOfMessages=10, VisibilityTimeout=0)
            .get("Messages", [])
        )


def crash(_: list[Any]) -> None:
    raise RuntimeError("the executor fell over")


def test_a_message_arrives_once_in_the_form_lambda_gives_it(cloud: EmbeddedCloud) -> None:
    desk = Desk(cloud)
    desk.send("look", MessageAttributes={"trace": {"DataType": "String", "StringValue": "t-1"}})
    desk.clock.advance(timedelta(seconds=2))
    assert len(desk.pumps.drain()) == 1
    ((record,),) = desk.batches
    message_id, receipt, sender = (
        record.pop("messageId"),
        record.pop("receiptHandle"),
        record["attributes"].pop("SenderId"),
    )
    assert message_id
    assert receipt
    assert sender
    assert record == {
        "body": "look",
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": str(int(START.timestamp() * 1000)),
            "ApproximateFirstReceiveTimestamp": str(int(START.timestamp() * 1000) + 2000),
        },
        "messageAttributes": {
            "trace": {"stringValue": "t-1", "stringListValues": [], "binaryListValues": [], "dataType": "String"}
        },
        "md5OfBody": md5(b"look", usedforsecurity=False).hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": cloud.stack.arn("DoorbellQueue"),
        "awsRegion": "us-east-1",
    }
    assert desk.pumps.drain() == ()
    assert desk.pumps.next_due() is None


def test_a_batch_is_no_larger_than_the_template_says(cloud: EmbeddedCloud) -> None:
    desk = Desk(cloud)
    desk.send(*"abcdefg")
    desk.pumps.drain()
    assert desk.bodies == [["a", "b", "c"], ["d", "e", "f"], ["g"]]


def test_a_crashed_batch_comes_back_after_the_visibility_timeout(cloud: EmbeddedCloud) -> None:
    desk = Desk(cloud, crash)
    desk.send("a", "b")
    assert desk.pumps.drain()[0].failed
    assert desk.pumps.next_due() == START + timedelta(seconds=360)
    desk.clock.advance(timedelta(seconds=359))
    assert desk.pumps.drain() == ()
    desk.clock.advance(timedelta(seconds=1))
    desk.pumps.drain()
    assert desk.bodies == [["a", "b"], ["a", "b"]]
    assert [record["attributes"]["ApproximateReceiveCount"] for record in desk.batches[1]] == ["2", "2"]
    first, again = (
        record["attributes"]["ApproximateFirstReceiveTimestamp"] for batch in desk.batches for record in batch[:1]
    )
    assert first == again


def test_only_what_is_reported_failed_comes_back(cloud: EmbeddedCloud) -> None:
    def refuse_b(records: list[Any]) -> Any:
        return {"batchItemFailures": [{"itemIdentifier": r["messageId"]} for r in records if r["body"] == "b"]}

    desk = Desk(cloud, refuse_b)
    desk.send("a", "b", "c")
    desk.pumps.drain()
    desk.clock.advance(timedelta(minutes=6))
    desk.pumps.drain()
    assert desk.bodies == [["a", "b", "c"], ["b"]]


def test_a_message_that_failed_five_times_is_a_dead_letter(cloud: EmbeddedCloud) -> None:
    desk = Desk(cloud, crash)
    desk.send("poison")
    for _ in range(8):
        desk.pumps.drain()
        desk.clock.advance(timedelta(minutes=6))
    assert desk.bodies == [["poison"]] * 5
    assert [letter["Body"] for letter in desk.left_in("DoorbellDeadLetters")] == ["poison"]
    assert desk.left_in("DoorbellQueue") == []


def test_a_delay_is_counted_on_the_stacks_clock(cloud: EmbeddedCloud) -> None:
    desk = Desk(cloud)
    desk.send("later", DelaySeconds=5)
    desk.send("now")
    desk.pumps.drain()
    assert desk.bodies == [["now"]]
    assert desk.pumps.next_due() == START + timedelta(seconds=5)
    desk.clock.advance(timedelta(seconds=4))
    assert desk.pumps.drain() == ()
    desk.clock.advance(timedelta(seconds=1))
    desk.pumps.drain()
    assert desk.bodies == [["now"], ["later"]]
    assert desk.batches[1][0]["attributes"]["ApproximateReceiveCount"] == "1"


def test_the_longest_delay_passes_as_fast_as_the_clock(cloud: EmbeddedCloud) -> None:
    desk = Desk(cloud)
    desk.send("later", DelaySeconds=900)
    assert desk.pumps.drain() == ()
    desk.clock.advance(timedelta(minutes=15))
    assert len(desk.pumps.drain()) == 1


def test_messages_of_a_batch_have_delays_of_their_own(cloud: EmbeddedCloud) -> None:
    desk = Desk(cloud)
    cloud.session_of("Clerk").client("sqs", endpoint_url=cloud.url).send_message_batch(
        QueueUrl=cloud.physical("DoorbellQueue"),
        Entries=[
            {"Id": "x", "MessageBody": "later", "DelaySeconds": 60},
            {"Id": "y", "MessageBody": "now"},
        ],
    )
    desk.pumps.drain()
    assert desk.bodies == [["now"]]
    desk.clock.advance(timedelta(minutes=1))
    desk.pumps.drain()
    assert desk.bodies == [["now"], ["later"]]


def test_a_queues_own_delay_holds_unless_the_message_has_one(cloud: EmbeddedCloud) -> None:
    desk = Desk(cloud)
    desk.send("by the queue", queue="SlowQueue")
    desk.send("at once", queue="SlowQueue", DelaySeconds=0)
    desk.pumps.drain()
    assert desk.bodies == [["at once"]]
    desk.clock.advance(timedelta(minutes=1))
    desk.pumps.drain()
    assert desk.bodies == [["at once"], ["by the queue"]]


def test_a_delay_that_sqs_refuses_is_refused(cloud: EmbeddedCloud) -> None:
    with pytest.raises(Exception, match="DelaySeconds"):
        Desk(cloud).send("never", DelaySeconds=901)


def test_a_consumer_may_say_when_its_message_comes_back(cloud: EmbeddedCloud) -> None:
    def soon(records: list[Any]) -> None:
        cloud.session_of("Clerk").client("sqs", endpoint_url=cloud.url).change_message_visibility(
            QueueUrl=cloud.physical("DoorbellQueue"), ReceiptHandle=records[0]["receiptHandle"], VisibilityTimeout=20
        )
        raise RuntimeError("too fast")

    desk = Desk(cloud, soon)
    desk.send("a")
    desk.pumps.drain()
    assert desk.pumps.next_due() == START + timedelta(seconds=20)


def test_what_a_function_sends_is_delivered_in_the_same_drain(cloud: EmbeddedCloud) -> None:
    desk = Desk(cloud, lambda records: desk.send("echo") if records[0]["body"] == "call" else None)
    desk.send("call")
    assert len(desk.pumps.drain()) == 2
    assert desk.bodies == [["call"], ["echo"]]


def test_a_function_that_feeds_itself_does_not_stop_the_clock(
    cloud: EmbeddedCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("local_stack.cloud.pumps.ROUNDS", 5)
    desk = Desk(cloud, lambda _: desk.send("again"))
    desk.send("again")
    assert len(desk.pumps.drain()) == 5


def test_every_message_can_be_delivered_twice(cloud: EmbeddedCloud) -> None:
    desk = Desk(cloud, deliveries=2)
    desk.send("a")
    desk.pumps.drain()
    assert desk.bodies == [["a"], ["a"]]
    assert desk.left_in("DoorbellQueue") == []


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (None, set()),
        ({}, set()),
        ({"batchItemFailures": []}, set()),
        ({"batchItemFailures": None}, set()),
        ({"batchItemFailures": [{"itemIdentifier": "b"}]}, {"b"}),
        ({"batchItemFailures": [{"itemIdentifier": "x"}]}, {"a", "b"}),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, {"a", "b"}),
        ({"batchItemFailures": [{"id": "b"}]}, {"a", "b"}),
        ({"batchItemFailures": ["b"]}, {"a", "b"}),
        ("done", {"a", "b"}),
    ],
)
def test_a_report_is_read_as_lambda_reads_it(answer: object, failed: set[str]) -> None:
    outcome = Invocation(function="Clerk", request_id="r", answer=answer)
    assert failed_ids(outcome, ["a", "b"], reported=True) == failed


def test_an_answer_is_no_report_where_none_is_promised() -> None:
    outcome = Invocation(function="Clerk", request_id="r", answer={"batchItemFailures": [{"itemIdentifier": "a"}]})
    assert failed_ids(outcome, ["a"], reported=False) == frozenset()


def test_a_run_that_raised_failed_for_the_whole_batch() -> None:
    outcome = Invocation(function="Clerk", request_id="r", error=RuntimeError())
    assert failed_ids(outcome, ["a", "b"], reported=True) == {"a", "b"}


def test_what_a_pump_holds_can_be_given_back(cloud: EmbeddedCloud) -> None:
    desk = Desk(cloud, crash)
    desk.send("failed")
    desk.pumps.drain()
    desk.send("later", DelaySeconds=60)
    desk.pumps.drain()
    assert desk.left_in("DoorbellQueue") == []
    desk.pumps.give_back()
    assert {message["Body"] for message in desk.left_in("DoorbellQueue")} == {"failed", "later"}
    assert desk.pumps.next_due() is None
