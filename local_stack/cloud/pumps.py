"""From queues to functions, as Lambda's pollers do it, on the stack's clock.

A pump receives whatever is visible, hides it from moto for longer than a run lasts, and holds it until it is due; then
it delivers up to a batch. What the function did is deleted. What failed comes back when the queue's visibility timeout
has passed on the stack's clock: the pump makes it visible and receives it again, so that moto counts the delivery, and
moto puts it into the dead-letter queue when that was one too many. Receiving and deleting are done in the function's
name, because in the cloud its role must allow them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from local_stack.cloud.deployed import QueueTrigger
from local_stack.cloud.functions import Functions, Invocation

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueOutputTypeDef, MessageTypeDef

HIDDEN_SECONDS: Final = 43_200
"""The longest that SQS hides a message: until the pump itself brings it back."""
AT_ONCE: Final = 10
ROUNDS: Final = 1_000
"""Batches that one drain delivers at most: a function that feeds itself without a delay must not stop the clock."""


@dataclass(slots=True, kw_only=True)
class _Held:
    message: MessageTypeDef
    sent: datetime
    due: datetime


@dataclass(slots=True, kw_only=True)
class _Hidden:
    receipt: str
    due: datetime


class QueuePump:
    """One queue and the function it feeds."""

    def __init__(self, trigger: QueueTrigger, functions: Functions) -> None:
        cloud = functions.cloud
        self.trigger = trigger
        self._functions = functions
        self._cloud = cloud
        self._url = cloud.physical(trigger.queue)
        self._arn = cloud.stack.arn(trigger.queue)
        self._sqs: SQSClient = cloud.client_for(trigger.function, "sqs")
        self._owner: SQSClient = cloud.client("sqs")
        self._held: list[_Held] = []
        self._failed: list[_Hidden] = []
        self._first_received: dict[str, datetime] = {}
        self._visibility = self._visibility_timeout()

    def pump(self) -> Invocation | None:
        """Deliver one batch of what is due, if anything is."""
        if not self.trigger.enabled:
            return None
        self._bring_back()
        self._receive()
        batch = self._due()[: self.trigger.batch_size]
        if not batch:
            return None
        ids = [_id(held) for held in batch]
        self._held = [held for held in self._held if _id(held) not in ids]
        event = {"Records": [self._record(held) for held in batch]}
        outcome = self._functions.invoke(self.trigger.function, event)
        failed = failed_ids(outcome, ids, reported=self.trigger.reports_failures)
        self._delete([held for held in batch if _id(held) not in failed])
        self._hide([held for held in batch if _id(held) in failed])
        return outcome

    def give_back(self) -> None:
        """Make visible again what is held or has failed, so that whoever saves the queue sees it; delays are lost."""
        receipts = [held.message["ReceiptHandle"] for held in self._held] + [hidden.receipt for hidden in self._failed]
        for receipt in receipts:
            self._owner.change_message_visibility(QueueUrl=self._url, ReceiptHandle=receipt, VisibilityTimeout=0)
        self._held, self._failed = [], []

    def next_due(self) -> datetime | None:
        """Say when something that is held or has failed is next due."""
        waiting = [held.due for held in self._held] + [hidden.due for hidden in self._failed]
        return min(waiting, default=None)

    def _bring_back(self) -> None:
        now = self._cloud.clock.now()
        for hidden in [hidden for hidden in self._failed if hidden.due <= now]:
            self._owner.change_message_visibility(QueueUrl=self._url, ReceiptHandle=hidden.receipt, VisibilityTimeout=0)
            self._failed.remove(hidden)

    def _receive(self) -> None:
        while messages := self._sqs.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=AT_ONCE,
            VisibilityTimeout=HIDDEN_SECONDS,
            WaitTimeSeconds=0,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", []):
            for message in messages:
                posted = self._cloud.times.posted(message["MessageId"])
                self._held.append(_Held(message=message, sent=posted.sent, due=posted.due))

    def _due(self) -> list[_Held]:
        now = self._cloud.clock.now()
        return sorted((held for held in self._held if held.due <= now), key=lambda held: held.due)

    def _delete(self, done: Sequence[_Held]) -> None:
        for held in done:
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=held.message["ReceiptHandle"])
            self._cloud.times.forget(_id(held))
            self._first_received.pop(_id(held), None)

    def _hide(self, failed: Sequence[_Held]) -> None:
        back = self._cloud.clock.now() + self._visibility
        for held in failed:
            receipt = held.message["ReceiptHandle"]
            self._failed.append(_Hidden(receipt=receipt, due=self._cloud.times.take_return(receipt) or back))

    def _record(self, held: _Held) -> dict[str, Any]:
        message = held.message
        first = self._first_received.setdefault(_id(held), self._cloud.clock.now())
        attributes = message.get("Attributes", {})
        return {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": {
                "ApproximateReceiveCount": attributes.get("ApproximateReceiveCount", "1"),
                "SentTimestamp": _milliseconds(held.sent),
                "SenderId": attributes.get("SenderId", ""),
                "ApproximateFirstReceiveTimestamp": _milliseconds(first),
            },
            "messageAttributes": dict(_attributes(message.get("MessageAttributes", {}))),
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": self._arn,
            "awsRegion": self._cloud.stack.place.region,
        }

    def _visibility_timeout(self) -> timedelta:
        """Read the queue's visibility timeout; creating a trigger needs the permission for it in the cloud, too."""
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["VisibilityTimeout"])
        return timedelta(seconds=int(attributes["Attributes"]["VisibilityTimeout"]))


class Pumps:
    """Every queue of a stack that feeds a function."""

    def __init__(self, functions: Functions) -> None:
        self._pumps = tuple(QueuePump(trigger, functions) for trigger in functions.cloud.triggers)

    def drain(self) -> tuple[Invocation, ...]:
        """Deliver batches, queue by queue, until nothing is due; what one function sends is delivered to the next."""
        done: list[Invocation] = []
        while len(done) < ROUNDS:
            outcomes = [outcome for pump in self._pumps if (outcome := pump.pump()) is not None]
            if not outcomes:
                break
            done += outcomes
        return tuple(done)

    def give_back(self) -> None:
        """Make every message visible again that a pump holds."""
        for pump in self._pumps:
            pump.give_back()

    def next_due(self) -> datetime | None:
        """Say when a message is next due that is not due now."""
        return min((due for pump in self._pumps if (due := pump.next_due()) is not None), default=None)


def failed_ids(outcome: Invocation, ids: Sequence[str], *, reported: bool) -> frozenset[str]:
    """Name the messages of a batch that failed, as Lambda concludes it from the outcome.

    A report that names a message not in the batch, or is not in the right form, fails the whole batch.
    """
    if outcome.failed:
        return frozenset(ids)
    if not reported or not outcome.answer:
        return frozenset()
    try:
        named = [str(failure["itemIdentifier"]) for failure in outcome.answer.get("batchItemFailures") or []]
    except (AttributeError, KeyError, TypeError):
        return frozenset(ids)
    return frozenset(named) if set(named) <= set(ids) else frozenset(ids)


def _id(held: _Held) -> str:
    return held.message["MessageId"]


def _attributes(
    attributes: Mapping[str, MessageAttributeValueOutputTypeDef],
) -> Iterable[tuple[str, dict[str, Any]]]:
    for name, value in attributes.items():
        text = {"stringValue": value["StringValue"]} if "StringValue" in value else {}
        yield (
            name,
            {**text, "stringListValues": [], "binaryListValues": [], "dataType": value.get("DataType", "String")},
        )


def _milliseconds(instant: datetime) -> str:
    return str(int(instant.timestamp() * 1000))
