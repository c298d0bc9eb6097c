"""Deliver alerts: merge floods, retry, escalate, recover (ALR-03, ALR-04, I9; fault 35).

A message is sent first and marked after, so that a crash in between tells twice rather than never. A short claim
before sending keeps two routers from telling the same thing at the same moment.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain.alerts import (
    Alert,
    AlertKind,
    AlertRules,
    Channel,
    Delivery,
    DeliveryState,
    Incident,
    Severity,
    open_incident,
)
from shared.domain.errors import ChannelDead, Conflict, HearthwatchError, Throttled, TryAgain, Unavailable
from shared.domain.times import iso
from shared.ports.alert_channels import AlertChannel, DeadLetters
from shared.ports.book import AlertOutbox
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue
from shared.use_cases.tell import tell_quietly

log = logging.getLogger(__name__)

_TRIES: Final = 10
_CLAIM_FOR: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteAlerts:
    """Take alerts into the outbox and deliver what is due; the same alert again changes nothing."""

    clock: Clock
    outbox: AlertOutbox
    channels: Mapping[Channel, AlertChannel]
    alerts: AlertQueue
    dead_letters: DeadLetters
    rules: AlertRules = field(default_factory=AlertRules)

    def __call__(self, alert: Alert) -> Incident | None:
        """Store one alert and deliver its incident; None when it recovers something that was never told.

        Returning means that the alert is safe in the outbox: what cannot be sent now is sent by a later `sweep`.
        """
        incident = self._store(alert)
        return None if incident is None else self._delivered(incident)

    def sweep(self) -> None:
        """Send what is due and escalate what nobody acknowledged; runs every minute.

        An incident that fails is raised as Unavailable after the others had their turn.
        """
        problems = []
        for incident in self.outbox.unsettled():
            try:
                self._delivered(incident)
            except HearthwatchError as error:
                log.warning("incident not delivered", extra={"incident": incident.key, "problem": str(error)})
                problems.append(f"{incident.key}: {error}")
        if problems:
            raise Unavailable("; ".join(problems))

    def acknowledge(self, incident_key: str) -> bool:
        """Mark the newest incident of a kind and subject as seen by a person; False when there is none."""
        for _ in range(_TRIES):
            incidents = self.outbox.open_incidents(incident_key)
            if not incidents:
                return False
            try:
                self.outbox.put(replace(incidents[-1], acknowledged=True))
            except Conflict:
                continue
            return True
        raise Conflict(f"incident {incident_key} stayed contended over {_TRIES} tries")

    def _store(self, alert: Alert) -> Incident | None:
        for _ in range(_TRIES):
            known = self.outbox.open_incidents(alert.incident_key)
            current = next((incident for incident in reversed(known) if incident.takes(alert)), None)
            if current is None:
                if alert.recovers:
                    return None
                merged = open_incident(alert, self.rules, carried=_untold_repeats(known))
            else:
                merged = current.with_recovery(alert) if alert.recovers else current.with_repeat(alert)
            if merged is current:
                return current
            try:
                return self.outbox.put(merged)
            except Conflict:
                continue
        raise Conflict(f"incident {alert.incident_key} stayed contended over {_TRIES} tries")

    def _delivered(self, incident: Incident) -> Incident:
        """Deliver what is due, unless another router is at it: what that one leaves, a later sweep finds."""
        try:
            return self._deliver(incident)
        except Conflict:
            log.info("incident changed meanwhile", extra={"incident": incident.key})
            return incident

    def _deliver(self, incident: Incident) -> Incident:
        if incident.escalation_due(self.clock.now(), self.rules):
            incident = self.outbox.put(incident.with_escalation())
        incident = self._send_all(incident, incident.alert, incident.carried, recovery=False)
        if incident.recovery is not None:
            incident = self._send_all(incident, incident.recovery, incident.suppressed, recovery=True)
        return incident

    def _send_all(self, incident: Incident, alert: Alert, suppressed: int, *, recovery: bool) -> Incident:
        """Send what is due, e-mail last: a failure of the channel before may have added it.

        A recovery waits until its channel is done with the trouble, which another router may be sending just now.
        """
        for channel in Channel:
            if recovery and incident.awaits(channel):
                continue
            deliveries = incident.recovery_deliveries if recovery else incident.deliveries
            delivery = deliveries.get(channel)
            if delivery is not None and delivery.is_due(self.clock.now()):
                incident = self._send_one(incident, alert, channel, delivery, suppressed, recovery=recovery)
        return incident

    def _send_one(
        self,
        incident: Incident,
        alert: Alert,
        channel: Channel,
        delivery: Delivery,
        suppressed: int,
        *,
        recovery: bool,
    ) -> Incident:
        """Claim, send, then mark; the mark says only what the channel answered."""
        claim = replace(delivery, claimed_until=self.clock.now() + _CLAIM_FOR)
        incident = self.outbox.put(incident.with_delivery(channel, claim, recovery=recovery))
        done = self._try(alert, channel, claim, suppressed)
        return self._mark(incident, channel, done, recovery=recovery)

    def _try(self, alert: Alert, channel: Channel, delivery: Delivery, suppressed: int) -> Delivery:
        now = self.clock.now()
        tried = replace(delivery, tries=delivery.tries + 1, claimed_until=None)
        adapter = self.channels.get(channel)
        if adapter is None:
            return self._dead(alert, channel, tried, f"no {channel} channel is configured")
        disabled_until = self.outbox.disabled_until(channel)
        if disabled_until is not None and now < disabled_until:
            return self._dead(alert, channel, tried, f"{channel} is left alone until {iso(disabled_until)}")
        try:
            adapter.send(alert, suppressed=suppressed)
        except ChannelDead as error:
            self.outbox.disable(channel, now + self.rules.disabled_for)
            self._tell_dead_channel(alert, channel, error, now)
            return self._dead(alert, channel, tried, str(error))
        except Throttled as error:
            return self._wait(alert, channel, tried, str(error), now + error.retry_after)
        except TryAgain as error:
            return self._wait(alert, channel, tried, str(error), now + _backoff(tried.tries))
        log.info("alert delivered", extra={"alert": alert.id, "channel": channel})
        return replace(tried, state=DeliveryState.SENT, sent_at=self.clock.now(), problem="")

    def _wait(self, alert: Alert, channel: Channel, tried: Delivery, problem: str, until: datetime) -> Delivery:
        if tried.tries >= self.rules.max_tries:
            return self._dead(alert, channel, tried, problem)
        return replace(tried, not_before=until, problem=problem)

    def _dead(self, alert: Alert, channel: Channel, tried: Delivery, problem: str) -> Delivery:
        self.dead_letters.keep(f"{channel}: {alert.id}: {alert.text}", problem)
        return replace(tried, state=DeliveryState.DEAD, problem=problem)

    def _tell_dead_channel(self, alert: Alert, channel: Channel, error: ChannelDead, now: datetime) -> None:
        """Tell once that a channel must be mended; a message about a dead channel never tells about itself."""
        if alert.kind == AlertKind.CHANNEL_DEAD:
            return
        text = f"{channel} takes no messages until it is mended: {error}"
        meta = Alert(
            kind=AlertKind.CHANNEL_DEAD,
            severity=Severity.CRITICAL,
            subject=channel,
            at=now,
            text=text,
            occurrence=iso(now),
        )
        tell_quietly(self.alerts, meta)

    def _mark(self, incident: Incident, channel: Channel, done: Delivery, *, recovery: bool) -> Incident:
        """Write how the delivery went, on top of whatever changed meanwhile; a failed one escalates with it.

        In one write, so that no crash leaves a message that nobody will send.
        """
        for _ in range(_TRIES):
            marked = incident.with_delivery(channel, done, recovery=recovery)
            if marked.escalation_due(self.clock.now(), self.rules):
                marked = marked.with_escalation()
            try:
                return self.outbox.put(marked)
            except Conflict:
                newer = [i for i in self.outbox.open_incidents(incident.alert.incident_key) if i.key == incident.key]
                incident = newer[0]
        raise Conflict(f"incident {incident.key} stayed contended over {_TRIES} tries")


def _untold_repeats(known: Sequence[Incident]) -> int:
    """Count what the window before suppressed without any later message saying so."""
    return known[-1].suppressed if known and known[-1].recovery is None else 0


def _backoff(tries: int) -> timedelta:
    """Wait one minute, then two: a channel that is back is noticed within three ticks (invariant 10)."""
    return timedelta(minutes=1 if tries <= 1 else 2)
