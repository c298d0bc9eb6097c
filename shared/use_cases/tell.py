"""Queue alerts and ring the doorbell from work that must go on when a queue is down (promise 1)."""

from __future__ import annotations

import logging
from datetime import timedelta

from shared.domain.alerts import Alert
from shared.domain.errors import TryAgain
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
