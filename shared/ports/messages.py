"""Outgoing messages: each queue has one consumer and delivers at least once."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from shared.domain.alerts import Alert
from shared.domain.moves import Move


class Doorbell(Protocol):
    """Wakes the executor; carries nothing but "look at the Book"."""

    def ring(self, delay: timedelta = timedelta(0)) -> None:
        """Ask for an executor run, now or after a delay of up to 15 minutes; ringing twice is safe."""
        ...


class CycleQueue(Protocol):
    """Starts one event cycle per move (MOV-03)."""

    def send(self, move: Move) -> None:
        """Ask for a decision cycle on the move's symbol."""
        ...


class AlertQueue(Protocol):
    """Carries alerts to the router."""

    def send(self, alert: Alert) -> None:
        """Queue an alert; the router tells repeats apart by the alert's id."""
        ...
