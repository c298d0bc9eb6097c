"""Archive the stored minutes by the hour, before the store forgets them (PRC-03, OPS-13)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.errors import HearthwatchError, Unavailable
from shared.domain.times import Tick, iso
from shared.ports.archive import HOUR, PriceArchive
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue
from shared.ports.prices import PriceStore
from shared.use_cases.tell import tell_quietly

log = logging.getLogger(__name__)

LOOK_BACK: Final = 24
"""Hours that a run looks at: what failed or was missed is caught up as long as the store still has it."""
SETTLED_AFTER: Final = timedelta(minutes=3)
"""After its end an hour waits this long for its last tick, which may run late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveReport:
    """The hours one run archived, oldest first."""

    archived: Sequence[datetime] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivePrices:
    """Archive every finished hour that has prices and is not archived yet; running again changes nothing."""

    clock: Clock
    prices: PriceStore
    archive: PriceArchive
    alerts: AlertQueue

    def __call__(self, tick: Tick) -> ArchiveReport:
        """Archive what is finished by now, hour by hour; one that fails raises Unavailable after the others are done.

        `tick` names the run; a late one does all that is due when it runs.
        """
        now = self.clock.now()
        archived, problems = [], []
        for hour in finished_hours(now):
            try:
                if self._archive(hour):
                    archived.append(hour)
            except HearthwatchError as error:
                log.warning("hour not archived", extra={"hour": iso(hour), "problem": str(error)})
                problems.append(f"{iso(hour)}: {error}")
        if problems:
            failed = f"Prices not archived yet, tried again within the hour: {'; '.join(problems)}"
            tell_quietly(self.alerts, _alert(tick, failed))
            raise Unavailable(failed)
        return ArchiveReport(archived=archived)

    def _archive(self, hour: datetime) -> bool:
        if self.archive.has(hour):
            return False
        minutes = self.prices.window(hour, hour + HOUR)
        if not minutes:
            return False
        self.archive.put(hour, minutes)
        log.info("hour archived", extra={"hour": iso(hour), "minutes": len(minutes)})
        return True


def finished_hours(now: datetime) -> list[datetime]:
    """List the newest hours that are over, oldest first."""
    settled = now - SETTLED_AFTER
    current = settled.replace(minute=0, second=0, microsecond=0)
    return [current - n * HOUR for n in range(LOOK_BACK, 0, -1)]


def _alert(tick: Tick, text: str) -> Alert:
    return Alert(
        kind=AlertKind.SYSTEM_ERROR,
        severity=Severity.WARNING,
        subject="archive_prices",
        at=tick.scheduled,
        text=text,
        occurrence=tick.id,
    )
