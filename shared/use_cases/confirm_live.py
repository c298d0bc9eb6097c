"""Confirm live trading: the second of its two switches (ORD-02)."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.stage import LiveConfirmation, Stage, confirm
from shared.domain.times import iso
from shared.ports.clock import Clock
from shared.ports.confirmations import Confirmations
from shared.ports.messages import AlertQueue
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.tell import tell_quietly


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmLive:
    """Journal the confirmation first: without a record nobody may trade live."""

    clock: Clock
    confirmations: Confirmations
    alerts: AlertQueue
    record: RecordFact

    def __call__(self, typed: str, *, stage: Stage, account: str, by: str) -> LiveConfirmation:
        """Store a person's typed confirmation of a stage and account; raises InvalidValue unless typed exactly."""
        now = self.clock.now()
        confirmation = confirm(typed, stage, account, by, now)
        ends = iso(confirmation.expires_at)
        self.record("live_confirmed", now, stage=stage, account=account, by=by, expires_at=confirmation.expires_at)
        self.confirmations.put(confirmation)
        alert = Alert(
            kind=AlertKind.LIVE_TRADING,
            severity=Severity.CRITICAL,
            subject=f"account {account}",
            at=now,
            text=f"Live trading confirmed by {by}: {typed}, until {ends}",
            occurrence=iso(now),
        )
        tell_quietly(self.alerts, alert)
        return confirmation
