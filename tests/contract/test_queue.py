"""The contract of queues, in memory and over SQS: nothing is lost; what fails too often is dead-lettered (fault 34)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import pytest
from moto.core.utils import unix_time_millis

from shared.adapters.aws.clients import Aws
from shared.adapters.aws.queues import (
    LONGEST_ITEM,
    SqsAlertQueue,
    SqsCycleQueue,
    SqsDeadLetters,
    SqsDoorbell,
)
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.messages import (
    MAX_RECEIVES,
    MemoryDeadLetters,
    MemoryDoorbell,
    MemoryQueue,
)
from shared.contracts.alert_message import AlertMessageV1
from shared.contracts.cycle_request import CycleRequestV1
from shared.contracts.doorbell_ring import DoorbellRingV1
from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.assets import Symbol
from shared.domain.moves import Move
from shared.ports.messages import Doorbell

NOON = datetime(2026, 6, 10, 16, tzinfo=UTC)
RUN = "2026-06-10T16:00:00Z"

T = TypeVar("T")
names = count()


class Broken(Exception):
    """A handler that fails."""


class Queue(Protocol[T]):
    """A queue under test: the port's sending side, and what its consumer sees."""

    def send(self, message: T) -> None: ...
    def drain(self, handle: Callable[[T], object]) -> None: ...
    @property
    def dead(self) -> Sequence[T]: ...


class SqsUnderTest:
    """A queue with its dead-letter queue, and the consumer that Lambda is: what fails is seen again at once."""

    def __init__(self, aws: Aws, sender: Any, read: Callable[[str], Any]) -> None:
        name = f"queue-{next(names)}"
        self._sqs = aws.sqs
        self._read = read
        self._dead_url = self._sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        dead = self._sqs.get_queue_attributes(QueueUrl=self._dead_url, AttributeNames=["QueueArn"])["Attributes"]
        redrive = {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": MAX_RECEIVES}
        self.url = self._sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": json.dumps(redrive)})["QueueUrl"]
        self.send = sender(self._sqs, self.url, lambda: RUN).send

    def drain(self, handle: Callable[[Any], object]) -> None:
        failures: list[Exception] = []
        failed: list[str] = []
        for message in self.receive(self.url):
            try:
                handle(self._read(message["Body"]))
            except Broken as error:
                failures.append(error)
                failed.append(message["ReceiptHandle"])
            else:
                self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        for handle_of in failed:
            self._sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=handle_of, VisibilityTimeout=0)
        if failures:
            raise failures[0]

    @property
    def dead(self) -> list[Any]:
        return [self._read(message["Body"]) for message in self.receive(self._dead_url)]

    def receive(self, url: str) -> list[Any]:
        """Take everything that is visible now."""
        taken: list[Any] = []
        while True:
            batch = self._sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=60
            ).get("Messages", [])
            if not batch:
                return taken
            taken += batch


def move(symbol: str) -> Move:
    return Move(symbol=Symbol(symbol), at=NOON, from_price=Decimal("320"), price=Decimal("301.25"), sigmas=4.25)


def alert(subject: str) -> Alert:
    return Alert(
        kind=AlertKind.ORDER_FILLED.value,
        severity=Severity.CRITICAL,
        subject=subject,
        at=NOON,
        text="Sold 10 TSLA – at 301.25, “stop”",
        occurrence=f"order {subject}",
        recovers=subject == "KO",
        fields=MappingProxyType({"price": "301.25", "\U0001f4c9": "\x00\uffff"}),
    )


def read_move(body: str) -> Move:
    return CycleRequestV1.model_validate_json(body).to_domain()


def read_alert(body: str) -> Alert:
    return AlertMessageV1.model_validate_json(body).to_domain()


Kind = tuple[Queue[Any], Callable[[str], Any]]
KINDS: dict[str, Callable[[pytest.FixtureRequest], Kind]] = {
    "cycles in memory": lambda _: (MemoryQueue[Move](), move),
    "alerts in memory": lambda _: (MemoryQueue[Alert](), alert),
    "cycles over SQS": lambda request: (SqsUnderTest(request.getfixturevalue("aws"), SqsCycleQueue, read_move), move),
    "alerts over SQS": lambda request: (SqsUnderTest(request.getfixturevalue("aws"), SqsAlertQueue, read_alert), alert),
}


class Consumer:
    """Handles what the queue hands over, and fails on what it is told to."""

    def __init__(self, *refuses: object) -> None:
        self.refuses = refuses
        self.seen: list[Any] = []

    def __call__(self, message: object) -> None:
        self.seen.append(message)
        if message in self.refuses:
            raise Broken


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param](request)


def same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """Compare in any order, which no queue promises."""
    return len(some) == len(others) and all(some.count(one) == others.count(one) for one in some)


def test_messages_arrive_as_they_were_sent(kind: Kind) -> None:
    queue, make = kind
    sent = [make(name) for name in ("TSLA", "KO", "NVDA")]
    for message in sent:
        queue.send(message)
    consumer = Consumer()

    queue.drain(consumer)

    assert same(consumer.seen, sent)


def test_a_handled_message_does_not_come_again(kind: Kind) -> None:
    queue, make = kind
    queue.send(make("TSLA"))
    queue.drain(Consumer())
    again = Consumer()

    queue.drain(again)

    assert again.seen == []


def test_a_message_sent_twice_arrives_twice(kind: Kind) -> None:
    queue, make = kind
    queue.send(make("TSLA"))
    queue.send(make("TSLA"))
    consumer = Consumer()

    queue.drain(consumer)

    assert consumer.seen == [make("TSLA")] * 2


def test_more_messages_than_one_batch_holds_all_arrive(kind: Kind) -> None:
    queue, make = kind
    sent = [make(letter) for letter in "ABCDEFGHIJKLMNOPQRSTUVW"]
    for message in sent:
        queue.send(message)
    consumer = Consumer()

    queue.drain(consumer)

    assert same(consumer.seen, sent)


def test_a_failing_message_stays_and_the_others_are_handled(kind: Kind) -> None:
    queue, make = kind
    sent = [make(name) for name in ("TSLA", "KO", "NVDA")]
    for message in sent:
        queue.send(message)
    failing, healed = Consumer(make("KO")), Consumer()

    with pytest.raises(Broken):
        queue.drain(failing)
    queue.drain(healed)

    assert same(failing.seen, sent)
    assert healed.seen == [make("KO")]


def test_a_message_that_always_fails_is_tried_five_times_and_dead_lettered(kind: Kind) -> None:
    queue, make = kind
    for name in ("TSLA", "KO"):
        queue.send(make(name))
    consumer = Consumer(make("KO"))

    for _ in range(MAX_RECEIVES + 2):
        with suppress(Broken):
            queue.drain(consumer)

    assert (consumer.seen.count(make("KO")), consumer.seen.count(make("TSLA"))) == (MAX_RECEIVES, 1)
    assert list(queue.dead) == [make("KO")]


class Bell(Protocol):
    """A doorbell under test, with its executor and the time."""

    @property
    def doorbell(self) -> Doorbell: ...
    def answer(self) -> bool: ...
    def wait(self, duration: timedelta) -> None: ...


class MemoryBell:
    def __init__(self) -> None:
        self._clock = SimulatedClock(NOON)
        self.doorbell = MemoryDoorbell(self._clock)

    def answer(self) -> bool:
        return self.doorbell.answer()

    def wait(self, duration: timedelta) -> None:
        self._clock.set(self._clock.now() + duration)


class SqsBell:
    """The doorbell's queue; time is the server's own, moved ahead by hand."""

    def __init__(self, aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = unix_time_millis()
        monkeypatch.setattr("moto.sqs.models.unix_time_millis", lambda: self._now)
        self._sqs = aws.sqs
        self._url = self._sqs.create_queue(QueueName=f"bell-{next(names)}")["QueueUrl"]
        self.doorbell = SqsDoorbell(self._sqs, self._url, lambda: "")

    def answer(self) -> bool:
        self._now += 1
        rings = self._sqs.receive_message(QueueUrl=self._url, MaxNumberOfMessages=10).get("Messages", [])
        for ring in rings:
            DoorbellRingV1.model_validate_json(ring["Body"])
            self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=ring["ReceiptHandle"])
        return bool(rings)

    def wait(self, duration: timedelta) -> None:
        self._now += duration.total_seconds() * 1000


@pytest.fixture(params=["memory", "sqs"])
def bell(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bell:
    if request.param == "memory":
        return MemoryBell()
    return SqsBell(request.getfixturevalue("aws"), monkeypatch)


def test_a_bell_that_nobody_rang_is_silent(bell: Bell) -> None:
    assert not bell.answer()


def test_ringing_twice_is_answered_and_then_it_is_quiet(bell: Bell) -> None:
    bell.doorbell.ring()
    bell.doorbell.ring()

    assert bell.answer()
    assert not bell.answer()


@pytest.mark.parametrize("delay", [timedelta(seconds=30), timedelta(minutes=15)])
def test_a_delayed_ring_is_heard_after_its_delay_and_not_before(bell: Bell, delay: timedelta) -> None:
    bell.doorbell.ring(delay)

    bell.wait(delay - timedelta(seconds=1))
    assert not bell.answer()
    bell.wait(timedelta(seconds=1))
    assert bell.answer()


def test_a_message_carries_the_id_of_the_run_that_sent_it(aws: Aws) -> None:
    queue = SqsUnderTest(aws, SqsAlertQueue, read_alert)
    queue.send(alert("TSLA"))

    [message] = queue.receive(queue.url)

    assert message["MessageAttributes"] == {"correlation_id": {"DataType": "String", "StringValue": RUN}}


def test_a_message_sent_outside_a_run_carries_no_id(aws: Aws) -> None:
    queue = SqsUnderTest(aws, SqsAlertQueue, read_alert)
    SqsAlertQueue(aws.sqs, queue.url, lambda: "").send(alert("TSLA"))

    [message] = queue.receive(queue.url)

    assert "MessageAttributes" not in message


def kept_in_memory(item: str, problem: str) -> dict[str, str]:
    letters = MemoryDeadLetters()
    letters.keep(item, problem)
    return letters.kept[0]._asdict()


def test_dead_letters_keep_item_and_problem(aws: Aws) -> None:
    url = aws.sqs.create_queue(QueueName=f"letters-{next(names)}")["QueueUrl"]
    letters = SqsDeadLetters(aws.sqs, url, lambda: RUN)

    letters.keep("discord: TSLA sold", "no Discord channel is configured")
    letters.keep("discord: TSLA sold", "no Discord channel is configured")

    found = aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    expected = kept_in_memory("discord: TSLA sold", "no Discord channel is configured")
    assert [json.loads(message["Body"]) for message in found] == [expected] * 2


@pytest.mark.parametrize("character", ["x", "é", "\U0001f4c9", "\x00", "\ud800"])
def test_a_dead_letter_of_any_length_and_text_is_kept_from_its_start(aws: Aws, character: str) -> None:
    url = aws.sqs.create_queue(QueueName=f"letters-{next(names)}")["QueueUrl"]

    SqsDeadLetters(aws.sqs, url, lambda: RUN).keep("discord: " + character * 1_000_000, character * 1_000_000)

    [message] = aws.sqs.receive_message(QueueUrl=url)["Messages"]
    item = json.loads(message["Body"])["item"]
    assert item.startswith("discord: " + character * 1000)
    assert len(item) == LONGEST_ITEM
