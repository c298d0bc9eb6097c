"""Set or clear the kill switch (BRK-04)."""

from __future__ import annotations

from dataclasses import dataclass

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.times import iso
from shared.domain.trading_state import KillSwitch
from shared.ports.book import Controls
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue, Doorbell
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.tell import ring_quietly, tell_quietly


@dataclass(frozen=True, slots=True, kw_only=True)
class SetKillSwitch:
    """Write the flag first; telling and journaling it come after, because the flag is what protects."""

    clock: Clock
    controls: Controls
    alerts: AlertQueue
    doorbell: Doorbell
    record: RecordFact

    def __call__(self, *, engaged: bool, by: str, why: str) -> None:
        """Set (or clear) the switch for all entry orders; wakes the executor so that resting ones are canceled."""
        self.controls.set_kill_switch(KillSwitch(engaged=engaged, by=by, why=why))
        now = self.clock.now()
        ring_quietly(self.doorbell)
        word = "set" if engaged else "cleared"
        alert = Alert(
            kind=AlertKind.BREAKER,
            severity=Severity.CRITICAL if engaged else Severity.INFO,
            subject="kill switch",
            at=now,
            text=f"Kill switch {word} by {by}: {why}",
            occurrence=iso(now),
            recovers=not engaged,
        )
        tell_quietly(self.alerts, alert)
        self.record("kill_switch", now, engaged=engaged, by=by, why=why)
