"""Queue alerts and ring the doorbell from work that must go on when a queue is down (promise 1)."""

from __future__ import annotations

import logging
from datetime import timedelta

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.errors import TryAgain
from shared.domain.intents import Intent
from shared.domain.money import plain
from shared.domain.quotes import in_words
from shared.domain.trade_fields import trade_fields
from shared.ports.messages import AlertQueue, Doorbell

log = logging.getLogger(__name__)


def tell_quietly(alerts: AlertQueue, alert: Alert) -> bool:
    """Queue an alert and say whether the queue took it; a queue that is down stops nothing."""
    try:
        alerts.send(alert)
    except TryAgain as error:
        log.error("alert not queued", extra={"alert": alert.id, "problem": str(error)})
        return False
    return True


def ring_quietly(doorbell: Doorbell, delay: timedelta = timedelta(0)) -> None:
    """Wake the executor; it also looks every minute, so a bell that does not ring loses nothing but time."""
    try:
        doorbell.ring(delay)
    except TryAgain as error:
        log.warning("doorbell not rung", extra={"problem": str(error)})


def stop_alert(intent: Intent) -> Alert:
    """Tell of an exit that is prepared; the same exit always gives the same alert."""
    doubts = intent.evidence.doubts
    note = f"; the price is degraded: {in_words(doubts)}" if doubts else ""
    return Alert(
        kind=AlertKind.STOP_TRIGGERED,
        severity=Severity.CRITICAL,
        subject=intent.purpose.origin,
        at=intent.created_at,
        text=f"{intent.evidence.text}: selling {plain(intent.quantity)}{note}",
        occurrence=intent.id,
        fields=trade_fields(intent, intent.created_at),
    )
