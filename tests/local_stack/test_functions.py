"""Functions run as Lambda runs them; asynchronous failures are tried again and put aside."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from typing import Any

import pytest

from local_stack.cloud.asynchronous import AsynchronousRuns
from local_stack.cloud.embedded import EmbeddedCloud
from local_stack.cloud.functions import Functions, find_handler
from local_stack.cloud.schedules import ScheduleClock
from local_stack.cloud.template import NotPlayed
from tests.local_stack.small import START, clock_of

MINUTE = timedelta(minutes=1)


class Work:
    """Remembers what it was called with, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.events: list[Any] = []
        self.contexts: list[Any] = []
        self._failures = failures

    def __call__(self, event: Any, context: Any) -> Any:
        self.events.append(event)
        self.contexts.append(context)
        if len(self.events) <= self._failures:
            raise RuntimeError("the desk is closed")
        return {"answered": len(self.events)}


def test_a_function_gets_its_use_case_and_a_context(cloud: EmbeddedCloud) -> None:
    work = Work()
    run = Functions(cloud, {"Clerk": work}.get).invoke("Clerk", {"a": 1})
    assert (run.answer, work.events) == ({"answered": 1}, [{"a": 1}])
    (context,) = work.contexts
    assert context.function_name == "hearthwatch-Clerk"
    assert context.memory_limit_in_mb == 256
    assert context.invoked_function_arn == cloud.stack.arn("Clerk")
    assert 6_000 < context.get_remaining_time_in_millis() <= 7_000
    assert context.aws_request_id == run.request_id


def test_without_a_use_case_the_handler_has_its_environment_for_the_call(cloud: EmbeddedCloud) -> None:
    before = dict(os.environ)
    assert Functions(cloud).invoke("Clerk", {}).answer == {"table": cloud.physical("BookTable")}
    assert dict(os.environ) == before


def test_an_error_is_the_outcome_and_not_a_crash(cloud: EmbeddedCloud) -> None:
    run = Functions(cloud, {"Clerk": Work(failures=1)}.get).invoke("Clerk", {})
    assert run.failed
    assert run.error_payload()["errorType"] == "RuntimeError"
    assert run.error_payload()["errorMessage"] == "the desk is closed"


def test_every_event_can_arrive_twice_under_one_id(cloud: EmbeddedCloud) -> None:
    work = Work()
    Functions(cloud, {"Clerk": work}.get, deliveries=2).invoke("Clerk", {"a": 1})
    assert work.events == [{"a": 1}, {"a": 1}]
    assert len({context.aws_request_id for context in work.contexts}) == 1


def test_of_two_deliveries_a_failed_one_counts(cloud: EmbeddedCloud) -> None:
    assert Functions(cloud, {"Clerk": Work(failures=1)}.get, deliveries=2).invoke("Clerk", {}).failed


@pytest.mark.parametrize("name", ["tests.local_stack.handlers.nobody", "tests.nowhere.handler", "handler"])
def test_a_handler_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(NotPlayed, match=name):
        find_handler(name)


def test_a_schedule_fires_its_function_with_its_event(cloud: EmbeddedCloud) -> None:
    work = Work()
    runs = AsynchronousRuns(Functions(cloud, {"Clerk": work}.get))
    (fire,) = ScheduleClock(cloud.schedules).due(START, START + MINUTE)
    assert not runs.fire(fire).failed
    assert work.events == [{"version": 1, "scheduled_at": "2026-03-02T14:31:00Z"}]


def test_a_failed_run_is_tried_again_after_a_minute_under_its_id(cloud: EmbeddedCloud) -> None:
    work = Work(failures=1)
    runs = AsynchronousRuns(Functions(cloud, {"Clerk": work}.get))
    runs.run("Clerk", {"tick": 1})
    assert runs.next_due() == START + MINUTE
    assert runs.run_due() == ()
    clock_of(cloud).advance(MINUTE)
    (again,) = runs.run_due()
    assert not again.failed
    assert work.events == [{"tick": 1}] * 2
    assert len({context.aws_request_id for context in work.contexts}) == 1
    assert runs.next_due() is None
    assert _messages(cloud, "FailedRuns") == []


def test_a_run_that_keeps_failing_is_put_aside_as_lambda_writes_it(cloud: EmbeddedCloud) -> None:
    runs = AsynchronousRuns(Functions(cloud, {"Clerk": Work(failures=9)}.get))
    failed = runs.run("Clerk", {"tick": 1})
    clock_of(cloud).advance(MINUTE)
    runs.run_due()
    assert runs.next_due() is None
    (record,) = _messages(cloud, "FailedRuns")
    body = json.loads(record["Body"])
    assert body["requestContext"] == {
        "requestId": failed.request_id,
        "functionArn": f"{cloud.stack.arn('Clerk')}:$LATEST",
        "condition": "RetriesExhausted",
        "approximateInvokeCount": 2,
    }
    assert body["requestPayload"] == {"tick": 1}
    assert body["responsePayload"]["errorMessage"] == "the desk is closed"
    assert (body["version"], body["timestamp"]) == ("1.0", "2026-03-02T14:31:00Z")


def test_the_dead_letter_queue_gets_the_event_itself(cloud: EmbeddedCloud) -> None:
    runs = AsynchronousRuns(Functions(cloud, {"Clerk": Work(failures=9)}.get))
    failed = runs.run("Clerk", {"tick": 1})
    clock_of(cloud).advance(MINUTE)
    runs.run_due()
    (letter,) = _messages(cloud, "OldWays")
    assert json.loads(letter["Body"]) == {"tick": 1}
    words = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert words == {"RequestID": failed.request_id, "ErrorCode": "200", "ErrorMessage": "the desk is closed"}


def _messages(cloud: EmbeddedCloud, queue: str) -> list[Any]:
    answer = cloud.client("sqs").receive_message(
        QueueUrl=cloud.physical(queue), MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )
    return list(answer.get("Messages", []))
