"""The Book: mutable state, each item with a version and written only when the version still stands.

A conditional write raises Conflict when somebody wrote first; then nothing changed. When its answer is lost it raises
Unavailable although the write may stand: read again before the next step.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from shared.domain.alerts import Channel, Incident
from shared.domain.assets import Symbol
from shared.domain.coverage import PublishedCoverage
from shared.domain.intents import AccountId, Intent, IntentId
from shared.domain.ledger import Ledger
from shared.domain.losses import Losses
from shared.domain.positions import Position
from shared.domain.reconciliation import BrokerFacts
from shared.domain.trading_state import KillSwitch, TradingState


class Ledgers(Protocol):
    """The order ledger and the archive of closed intents."""

    def load(self, account: AccountId) -> Ledger:
        """Return the stored ledger, or an empty one of version 0."""
        ...

    def save(self, ledger: Ledger) -> Ledger:
        """Write a changed ledger if its version still stands; return it with the new version. Raises Conflict."""
        ...

    def archive(self, intent: Intent) -> None:
        """Keep a closed intent for good; the same intent again changes nothing."""
        ...

    def closed(self, intent_id: IntentId) -> Intent | None:
        """Return an archived intent."""
        ...


class Readable(NamedTuple):
    """The positions that could be read, and what is wrong with each of the others."""

    positions: Sequence[Position]
    problems: Sequence[str] = ()


class Positions(Protocol):
    """Our positions, one per symbol."""

    def all(self) -> Sequence[Position]:
        """Return every position; one that cannot be read raises."""
        ...

    def readable(self) -> Readable:
        """Return those positions that can be read: for what protects them, never for what adds to them."""
        ...

    def put(self, position: Position) -> Position:
        """Write a position if its version still stands (0: none is stored yet); return it with the new version.

        Raises Conflict.
        """
        ...

    def remove(self, position: Position) -> None:
        """Remove a position if its version still stands; removing an absent one changes nothing. Raises Conflict."""
        ...


class BrokerRecords(Protocol):
    """What the broker said at the last reconciliation."""

    def last(self) -> BrokerFacts | None:
        """Return the facts of the last pass, None before the first."""
        ...

    def put(self, facts: BrokerFacts) -> BrokerFacts:
        """Write facts if their version still stands (0: none stored yet). Raises Conflict."""
        ...


class Controls(Protocol):
    """Switches that people and the system set at run time."""

    def kill_switch(self) -> KillSwitch:
        """Read the kill switch with a consistent read; a failure to read counts as set."""
        ...

    def set_kill_switch(self, switch: KillSwitch) -> None:
        """Write the kill switch; the last writer wins."""
        ...

    def trading_state(self) -> TradingState | None:
        """Return the published trading state, None before the first tick."""
        ...

    def publish_trading_state(self, state: TradingState) -> None:
        """Publish the trading state; derived every tick, so the last writer wins."""
        ...

    def losses(self) -> Losses | None:
        """Return what the trading day and week began with and whether they tripped, None before the first tick."""
        ...

    def put_losses(self, losses: Losses) -> Losses:
        """Write losses if their version still stands (0: none stored yet), so that no trip is lost. Raises Conflict."""
        ...

    def coverage(self) -> PublishedCoverage | None:
        """Return the published coverage, None before the first."""
        ...

    def publish_coverage(self, coverage: PublishedCoverage) -> None:
        """Publish the coverage; derived every tick, so the last writer wins."""
        ...


class Watchlist(Protocol):
    """The symbols to watch beside those held."""

    def symbols(self) -> Sequence[Symbol]:
        """Return the watched symbols."""
        ...


class Cooldowns(Protocol):
    """Quiet times per key."""

    def start(self, key: str, now: datetime, until: datetime) -> bool:
        """Begin a quiet time unless one is running; of many callers at once exactly one gets True."""
        ...

    def extend(self, key: str, until: datetime) -> None:
        """Make the running quiet time last until then; it never gets shorter."""
        ...


class Leases(Protocol):
    """Short exclusive rights, each with an owner token."""

    def acquire(self, name: str, owner: str, now: datetime, until: datetime) -> bool:
        """Take the lease when it is free, expired or already the owner's; exactly one owner holds it."""
        ...

    def release(self, name: str, owner: str) -> None:
        """Give the lease back; only its owner can, anybody else changes nothing."""
        ...


class AlertOutbox(Protocol):
    """Incidents with their deliveries."""

    def open_incidents(self, incident_key: str) -> Sequence[Incident]:
        """Return the newest incidents of one kind and subject, oldest first: at least the last five."""
        ...

    def unsettled(self) -> Sequence[Incident]:
        """Return incidents with messages still to send or that may still escalate, oldest first.

        One that cannot be read is logged and left out: it must not hold back the others.
        """
        ...

    def put(self, incident: Incident) -> Incident:
        """Write an incident if its version still stands (0: not stored yet); Raises Conflict."""
        ...

    def disabled_until(self, channel: Channel) -> datetime | None:
        """Return until when nothing is sent to a channel that must be mended; None while it takes messages."""
        ...

    def disable(self, channel: Channel, until: datetime) -> None:
        """Send nothing to a channel until then; the later time wins."""
        ...
