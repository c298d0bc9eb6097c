"""Queues, alert channels and metrics in memory.

A queue hands out its messages in order and keeps each until it is acknowledged, as SQS does; what was received too
often goes to the dead letters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

from shared.domain.alerts import Alert, Channel
from shared.domain.moves import Move
from shared.ports.clock import Clock

Message = TypeVar("Message")

MAX_RECEIVES = 5
"""A message received this often without success is dead-lettered (fault 34)."""


class MemoryQueue(Generic[Message]):
    """An at-least-once queue of one kind of message; serves as the alert queue and the cycle queue."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Message, int]] = deque()
        self.dead: list[Message] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def send(self, message: Message) -> None:
        self._waiting.append((message, 0))

    def receive(self, at_most: int = 10) -> list[tuple[Message, int]]:
        """Take a batch with each message's receive count; return failures with `put_back`."""
        return [self._waiting.popleft() for _ in range(min(at_most, len(self._waiting)))]

    def put_back(self, message: Message, receives: int) -> None:
        """Return a message whose handling failed; after MAX_RECEIVES it is dead-lettered."""
        if receives + 1 >= MAX_RECEIVES:
            self.dead.append(message)
        else:
            self._waiting.append((message, receives + 1))

    def drain(self, handle: Callable[[Message], object]) -> None:
        """Hand over what waits now, one by one; a failure rises after the others were handed over."""
        failures: list[Exception] = []
        for message, receives in self.receive(len(self._waiting)):
            try:
                handle(message)
            except Exception as error:  # noqa: BLE001 - whatever it is, the message is kept and the error raised below
                self.put_back(message, receives)
                failures.append(error)
        if failures:
            raise failures[0]


AlertMemoryQueue = MemoryQueue[Alert]
CycleMemoryQueue = MemoryQueue[Move]


class MemoryDoorbell:
    """A doorbell that remembers when the executor should look."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rings: list[datetime] = []

    def ring(self, delay: timedelta = timedelta(0)) -> None:
        self._rings.append(self._clock.now() + delay)

    def answer(self) -> bool:
        """Say whether somebody rang by now, and take those rings."""
        now = self._clock.now()
        due = [ring for ring in self._rings if ring <= now]
        self._rings = [ring for ring in self._rings if ring > now]
        return bool(due)

    def take(self) -> list[datetime]:
        """Take every ring with the time it is for, past and future."""
        rings, self._rings = self._rings, []
        return rings


class SentMessage(NamedTuple):
    """A message an alert channel accepted, and when."""

    at: datetime
    alert: Alert
    suppressed: int


class MemoryChannel:
    """An alert channel that accepts everything and keeps it."""

    def __init__(self, channel: Channel, clock: Clock) -> None:
        self._channel = channel
        self._clock = clock
        self.sent: list[SentMessage] = []

    @property
    def channel(self) -> Channel:
        return self._channel

    def send(self, alert: Alert, *, suppressed: int) -> None:
        self.sent.append(SentMessage(self._clock.now(), alert, suppressed))


class DeadLetter(NamedTuple):
    """Something that could not be delivered, and why."""

    item: str
    problem: str


class MemoryDeadLetters:
    """Dead letters in a list."""

    def __init__(self) -> None:
        self.kept: list[DeadLetter] = []

    def keep(self, item: str, problem: str) -> None:
        self.kept.append(DeadLetter(item, problem))


class MemoryMetrics:
    """The newest value per metric, and how often each was put."""

    def __init__(self) -> None:
        self.latest: dict[str, float] = {}
        self.counts: dict[str, int] = {}

    def put(self, name: str, value: float) -> None:
        self.latest[name] = value
        self.counts[name] = self.counts.get(name, 0) + 1
