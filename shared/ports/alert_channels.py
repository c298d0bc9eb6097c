"""Where alert messages leave the system."""

from __future__ import annotations

from typing import Protocol

from shared.domain.alerts import Alert, Channel


class AlertChannel(Protocol):
    """One way to reach a person."""

    @property
    def channel(self) -> Channel:
        """Name the channel."""
        ...

    def send(self, alert: Alert, *, suppressed: int) -> None:
        """Deliver one message; returning means that the channel accepted it.

        Raises Throttled with the wait it asks for, Unavailable when it did not answer, and ChannelDead when trying
        again is pointless.
        """
        ...


class DeadLetters(Protocol):
    """Where what could not be delivered is kept for a person; the queue itself alarms."""

    def keep(self, item: str, problem: str) -> None:
        """Keep an item with what went wrong; the same item twice is kept twice."""
        ...
