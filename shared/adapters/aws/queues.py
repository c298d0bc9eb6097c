"""Queues over SQS: each message is one of our contracts as JSON, with the id of the run that sends it beside it.

Bounds: those of the connection, three tries in all. A send whose answer was lost is tried again, so a message may
arrive twice; every consumer tells repeats apart by what the message says.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel

from shared.adapters.aws.errors import talking_to
from shared.contracts.alert_message import AlertMessageV1
from shared.contracts.cycle_request import CycleRequestV1
from shared.contracts.doorbell_ring import DoorbellRingV1
from shared.domain.alerts import Alert
from shared.domain.errors import InvalidValue, Unavailable
from shared.domain.moves import Move

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

LARGEST_MESSAGE: Final = 256 * 1024
"""Bytes; SQS takes a megabyte, but nothing of ours comes near this."""
LONGEST_DELAY: Final = timedelta(minutes=15)
LONGEST_ITEM: Final = 15_000
LONGEST_PROBLEM: Final = 2_000
"""Characters of a dead letter: within the largest message even when each is written as twelve bytes."""
CORRELATION: Final = "correlation_id"


class _Sender:
    """Sends to one queue; `correlation` names the run that sends, empty when there is none."""

    def __init__(self, client: SQSClient, url: str, correlation: Callable[[], str]) -> None:
        self._client = client
        self._url = url
        self._correlation = correlation

    def _send(self, what: str, body: str, *, delay: int = 0) -> None:
        size = len(body.encode())
        if size > LARGEST_MESSAGE:
            raise InvalidValue(what, size, f"a message of at most {LARGEST_MESSAGE} bytes")
        with talking_to(what):
            answer = self._client.send_message(
                QueueUrl=self._url, MessageBody=body, DelaySeconds=delay, MessageAttributes=self._attributes()
            )
        if "MessageId" not in answer:
            raise Unavailable(f"{what}: the answer does not say that the queue took it")

    def _attributes(self) -> dict[str, MessageAttributeValueTypeDef]:
        correlation = self._correlation()
        return {CORRELATION: {"DataType": "String", "StringValue": correlation}} if correlation else {}


class SqsDoorbell(_Sender):
    """The executor's doorbell; a delay is rounded up to whole seconds and cut at the queue's fifteen minutes."""

    def ring(self, delay: timedelta = timedelta(0)) -> None:
        seconds = ceil(min(max(delay, timedelta(0)), LONGEST_DELAY).total_seconds())
        self._send("ringing the doorbell", _written(DoorbellRingV1()), delay=seconds)


class SqsCycleQueue(_Sender):
    """The queue that starts event cycles."""

    def send(self, move: Move) -> None:
        self._send(f"queueing a cycle on {move.symbol}", _written(CycleRequestV1.from_domain(move)))


class SqsAlertQueue(_Sender):
    """The queue to the alert router."""

    def send(self, alert: Alert) -> None:
        self._send(f"queueing an alert of {alert.kind}", _written(AlertMessageV1.from_domain(alert)))


class SqsDeadLetters(_Sender):
    """Dead letters as {"item", "problem"}; a text too long is cut, because keeping its start beats losing it."""

    def keep(self, item: str, problem: str) -> None:
        letter = {"item": _cut(item, LONGEST_ITEM), "problem": _cut(problem, LONGEST_PROBLEM)}
        self._send("keeping a dead letter", json.dumps(letter))


def _written(message: BaseModel) -> str:
    """Write a message in ASCII: SQS refuses some characters that JSON may hold."""
    return message.model_dump_json(ensure_ascii=True)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
