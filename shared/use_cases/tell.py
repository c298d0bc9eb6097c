"""Queue alerts from work that must go on when the alert queue is down (promise 1)."""

from __future__ import annotations

import logging

from shared.domain.alerts import Alert
from shared.domain.errors import TryAgain
from shared.ports.messages import AlertQueue

log = logging.getLogger(__name__)


def tell_quietly(alerts: AlertQueue, alert: Alert) -> bool:
    """Queue an alert and say whether the queue took it; a queue that is down stops nothing."""
    try:
        alerts.send(alert)
    except TryAgain as error:
        log.error("alert not queued", extra={"alert": alert.id, "problem": str(error)})
        return False
    return True
