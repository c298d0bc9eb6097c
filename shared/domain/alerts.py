"""Alerts: what is told to people, where it goes, how floods merge and losses escalate (ALR-03, ALR-04).

An incident is one kind of trouble with one subject. Its first alert opens it and is sent at once; repeats within the
window are counted, not sent; recovery sends one message that carries the count. A channel counts as told only after
it accepted the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

from shared.domain.times import iso, require_utc


class AlertKind(StrEnum):
    """The kinds of alert the code raises; others from outside are routed to every channel."""

    STOP_TRIGGERED = "stop_triggered"
    ORDER_FILLED = "order_filled"
    ORDER_CLOSED_UNFILLED = "order_closed_unfilled"
    ORDER_REFUSED = "order_refused"
    ORDER_UNKNOWN = "order_unknown"
    ORDER_ABANDONED = "order_abandoned"
    EXIT_BLOCKED = "exit_blocked"
    STOP_NOT_RESTING = "stop_not_resting"
    COVERAGE_LOST = "coverage_lost"
    LARGE_POSITION_CHANGE = "large_position_change"
    POSITION_MISMATCH = "position_mismatch"
    POSITION_UNWATCHED = "position_unwatched"
    FOREIGN_ORDER = "foreign_order"
    CASH_MISMATCH = "cash_mismatch"
    SPLIT_SUSPECTED = "split_suspected"
    PRICE_MOVE = "price_move"
    PRICE_UNCONFIRMED = "price_unconfirmed"
    PRICE_DISPUTED = "price_disputed"
    SYMBOL_BLIND = "symbol_blind"
    TICKS_MISSED = "ticks_missed"
    SESSION_UNSURE = "session_unsure"
    SESSION_UNPREPARED = "session_unprepared"
    TRADING_STATE = "trading_state"
    RUNAWAY_LOCKED = "runaway_locked"
    BREAKER = "breaker"
    LIVE_TRADING = "live_trading"
    CREDENTIAL_DUE = "credential_due"
    BUDGET_WARNING = "budget_warning"
    BUDGET_SPENT = "budget_spent"
    BUDGET_WRONG = "budget_wrong"
    MODEL_UNPRICED = "model_unpriced"
    WORK_PARKED = "work_parked"
    DAILY_SUMMARY = "daily_summary"
    CHANNEL_DEAD = "channel_dead"
    SYSTEM_ERROR = "system_error"
    TEST_MESSAGE = "test_message"


class Severity(IntEnum):
    """How bad it is; CRITICAL wants a person now."""

    INFO = 0
    WARNING = 1
    CRITICAL = 2


class Channel(StrEnum):
    """Where messages go."""

    DISCORD = "discord"
    EMAIL = "email"


_DISCORD: Final = frozenset({Channel.DISCORD})
_BOTH: Final = frozenset(Channel)

_AT_ONCE_TO_ALL: Final = frozenset(
    {
        AlertKind.BREAKER,
        AlertKind.CHANNEL_DEAD,
        AlertKind.DAILY_SUMMARY,
        AlertKind.LARGE_POSITION_CHANGE,
        AlertKind.LIVE_TRADING,
        AlertKind.POSITION_MISMATCH,
        AlertKind.SPLIT_SUSPECTED,
        AlertKind.TEST_MESSAGE,
    }
)
"""Kinds that go everywhere whatever their severity."""
_CRITICAL_TO_ALL: Final = frozenset(
    {
        AlertKind.COVERAGE_LOST,
        AlertKind.EXIT_BLOCKED,
        AlertKind.ORDER_ABANDONED,
        AlertKind.ORDER_CLOSED_UNFILLED,
        AlertKind.ORDER_REFUSED,
        AlertKind.STOP_TRIGGERED,
    }
)
"""Kinds about money on its way: critical ones go everywhere at once; other critical alerts escalate unless seen."""


def _routes_of(kind: AlertKind) -> Mapping[Severity, frozenset[Channel]]:
    return {
        severity: _BOTH
        if kind in _AT_ONCE_TO_ALL or (severity is Severity.CRITICAL and kind in _CRITICAL_TO_ALL)
        else _DISCORD
        for severity in Severity
    }


ROUTES: Final[Mapping[AlertKind, Mapping[Severity, frozenset[Channel]]]] = {
    kind: _routes_of(kind) for kind in AlertKind
}


def route(kind: str, severity: Severity) -> frozenset[Channel]:
    """Decide the channels of an alert; a kind nobody listed goes to all of them."""
    try:
        return ROUTES[AlertKind(kind)][severity]
    except ValueError:
        return _BOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRules:
    """How alerts merge and escalate.

    Repeats within `window` are counted; an unacknowledged critical alert goes to e-mail after `escalate_after`; a
    message is tried `max_tries` times per channel before it is dead-lettered. A channel that must be mended is left
    alone for `disabled_for` before it is tried again: Discord bans an address for repeated invalid requests.
    """

    window: timedelta = timedelta(minutes=15)
    escalate_after: timedelta = timedelta(minutes=10)
    max_tries: int = 5
    disabled_for: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing to tell; `subject` is what it is about, `recovers` ends the incident.

    Alerts of one kind and subject merge, so facts that must each be told, such as fills, have subjects of their own.

    `occurrence` names what caused it, so that the same alert raised twice for one cause is one alert.
    """

    kind: str
    severity: Severity
    subject: str
    at: datetime
    text: str
    occurrence: str
    recovers: bool = False
    fields: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        require_utc("alert.at", self.at)

    @property
    def incident_key(self) -> str:
        """Name the incident the alert belongs to."""
        return f"{self.kind}|{self.subject}"

    @property
    def id(self) -> str:
        """Name the alert itself, the same however often it is delivered."""
        return f"{self.incident_key}|{self.occurrence}|{'recovered' if self.recovers else 'raised'}"


class DeliveryState(StrEnum):
    """Where one message stands on one channel."""

    PENDING = "pending"
    SENT = "sent"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One channel's part of an incident message.

    `claimed_until` is a router's short claim while it sends, so that two routers rarely send twice; `not_before` is
    the wait the channel asked for.
    """

    state: DeliveryState = DeliveryState.PENDING
    tries: int = 0
    not_before: datetime | None = None
    claimed_until: datetime | None = None
    sent_at: datetime | None = None
    problem: str = ""

    def is_due(self, now: datetime) -> bool:
        """Say whether the message should be tried now."""
        waits = max((at for at in (self.not_before, self.claimed_until) if at is not None), default=now)
        return self.state is DeliveryState.PENDING and waits <= now


SEEN_LIMIT: Final = 64
"""Repeats remembered by id in one incident, so that a redelivered message is not counted twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One open or finished incident with its deliveries, as kept in the outbox.

    `suppressed` counts repeats within the window; `carried` is what the window before had suppressed.
    """

    alert: Alert
    deliveries: Mapping[Channel, Delivery]
    opened_at: datetime
    window_ends: datetime
    suppressed: int = 0
    carried: int = 0
    seen: tuple[str, ...] = ()
    acknowledged: bool = False
    escalated: bool = False
    recovery: Alert | None = None
    recovery_deliveries: Mapping[Channel, Delivery] = field(default_factory=lambda: MappingProxyType({}))
    version: int = 0

    @property
    def key(self) -> str:
        """Name the incident."""
        return f"{self.alert.incident_key}|{iso(self.opened_at)}|{self.alert.occurrence}"

    @property
    def is_settled(self) -> bool:
        """Say whether every message of the incident was sent or given up."""
        every = (*self.deliveries.values(), *self.recovery_deliveries.values())
        return all(d.state is not DeliveryState.PENDING for d in every)

    @property
    def needs_watching(self) -> bool:
        """Say whether something may still have to be sent: a pending message, or an escalation not yet due."""
        waits = self.alert.severity is Severity.CRITICAL and not (self.acknowledged or self.escalated or self.recovery)
        return not self.is_settled or (waits and Channel.EMAIL not in self.deliveries)

    def awaits(self, channel: Channel) -> bool:
        """Say whether the message about the trouble itself is still to be sent on a channel."""
        delivery = self.deliveries.get(channel)
        return delivery is not None and delivery.state is DeliveryState.PENDING

    def takes(self, alert: Alert) -> bool:
        """Say whether an alert falls into this incident: raised in its window, or its recovery.

        After the recovery only what was taken before is taken: a redelivery must not open the incident again. A
        recovery delivered late ends nothing that began after it.
        """
        if alert.recovers:
            return self.recovery.id == alert.id if self.recovery is not None else alert.at >= self.opened_at
        return alert.at < self.window_ends and (self.recovery is None or self._knows(alert))

    def with_repeat(self, alert: Alert) -> Incident:
        """Count a repeat once; the opening alert delivered again, or a repeat already counted, changes nothing."""
        if self._knows(alert):
            return self
        severity = max(self.alert.severity, alert.severity)
        merged = self
        if severity > self.alert.severity:
            wanted = route(alert.kind, severity)
            added = {channel: Delivery() for channel in wanted if channel not in self.deliveries}
            merged = replace(
                self,
                alert=replace(self.alert, severity=severity),
                deliveries=MappingProxyType({**self.deliveries, **added}),
            )
        return replace(merged, suppressed=self.suppressed + 1, seen=(*self.seen, alert.id)[-SEEN_LIMIT:])

    def with_recovery(self, alert: Alert) -> Incident:
        """Add the one recovery message, to the channels that the incident went to."""
        if self.recovery is not None:
            return self
        text = f"{alert.text} ({self.suppressed} suppressed)" if self.suppressed else alert.text
        deliveries = {channel: Delivery() for channel in self.deliveries}
        return replace(self, recovery=replace(alert, text=text), recovery_deliveries=MappingProxyType(deliveries))

    def escalation_due(self, now: datetime, rules: AlertRules) -> bool:
        """Say whether a critical incident has waited too long for a person, or its first channel failed."""
        if self.escalated or self.acknowledged or self.recovery or Channel.EMAIL in self.deliveries:
            return False
        if any(d.state is DeliveryState.DEAD or d.not_before is not None for d in self.deliveries.values()):
            return True
        return self.alert.severity is Severity.CRITICAL and now - self.opened_at >= rules.escalate_after

    def with_escalation(self) -> Incident:
        """Send the incident by e-mail as well."""
        return replace(
            self, escalated=True, deliveries=MappingProxyType({**self.deliveries, Channel.EMAIL: Delivery()})
        )

    def with_delivery(self, channel: Channel, delivery: Delivery, *, recovery: bool) -> Incident:
        """Record how one delivery went."""
        if recovery:
            done = MappingProxyType({**self.recovery_deliveries, channel: delivery})
            return replace(self, recovery_deliveries=done)
        return replace(self, deliveries=MappingProxyType({**self.deliveries, channel: delivery}))

    def _knows(self, alert: Alert) -> bool:
        return alert.id == self.alert.id or alert.id in self.seen


def open_incident(alert: Alert, rules: AlertRules, *, carried: int = 0) -> Incident:
    """Open an incident for an alert that no earlier one takes; `carried` repeats went untold before it."""
    deliveries = {channel: Delivery() for channel in sorted(route(alert.kind, alert.severity))}
    return Incident(
        alert=alert,
        deliveries=MappingProxyType(deliveries),
        opened_at=alert.at,
        window_ends=alert.at + rules.window,
        carried=carried,
    )
