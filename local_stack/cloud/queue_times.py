"""When queue messages were sent, are due and come back, on the stack's clock.

moto counts delays and visibility in seconds of the wall. A stack whose minutes take a second needs them on its own
clock: the door takes every delay off a message before moto sees it and writes it down here, and the pump, which holds
what it has received, delivers by what is written.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import Final, NamedTuple

from shared.ports.clock import Clock

REMEMBERED: Final = 100_000
"""Messages remembered; the oldest are forgotten, and count as sent when they are first seen and due at once."""


class Posted(NamedTuple):
    """When a message was sent, and from when on it may be delivered."""

    sent: datetime
    due: datetime


class QueueTimes:
    """The book of one stack's messages; safe under threads."""

    def __init__(self, clock: Clock, *, delays: Mapping[str, timedelta]) -> None:
        self._clock = clock
        self._delays = delays
        self._posted: OrderedDict[str, Posted] = OrderedDict()
        self._returns: dict[str, datetime] = {}
        self._lock = Lock()

    def post(self, queue: str, message_id: str, delay_seconds: int | None) -> None:
        """Write down a message that was sent; without a delay of its own it has its queue's."""
        now = self._clock.now()
        delay = self._delays.get(queue, timedelta(0)) if delay_seconds is None else timedelta(seconds=delay_seconds)
        with self._lock:
            self._posted[message_id] = Posted(now, now + delay)
            if len(self._posted) > REMEMBERED:
                self._posted.popitem(last=False)

    def posted(self, message_id: str) -> Posted:
        """Say when a message was sent and is due."""
        now = self._clock.now()
        with self._lock:
            return self._posted.setdefault(message_id, Posted(now, now))

    def forget(self, message_id: str) -> None:
        """Forget a message that is gone."""
        with self._lock:
            self._posted.pop(message_id, None)

    def hide(self, receipt: str, seconds: int) -> None:
        """Write down that a consumer asked for a message to come back this long from now."""
        with self._lock:
            self._returns[receipt] = self._clock.now() + timedelta(seconds=seconds)

    def take_return(self, receipt: str) -> datetime | None:
        """Say when a consumer wanted its message back, if it said so; what is read is forgotten."""
        with self._lock:
            return self._returns.pop(receipt, None)
