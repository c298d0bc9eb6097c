"""Catch up on a day that nobody prepared: the first price tick does the job before the open (OPS-13)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.day_plan import exchange_date
from shared.domain.times import Tick
from shared.ports.book import Cooldowns
from shared.ports.clock import Clock
from shared.ports.day_plans import DayPlans
from shared.ports.messages import AlertQueue
from shared.use_cases.prepare_session import PrepareSession
from shared.use_cases.tell import tell_quietly

RETRY_AFTER: Final = timedelta(minutes=15)
"""A day that lacks its plan, or a part of it, is prepared again no more often than this, and by one run at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUpSession:
    """Prepare the day when its plan is missing or lacks a part; `prepare` is built only then."""

    clock: Clock
    plans: DayPlans
    cooldowns: Cooldowns
    alerts: AlertQueue
    prepare: Callable[[], PrepareSession]

    def __call__(self, tick: Tick) -> None:
        """Do nothing when all is prepared; tell once that the job before the open was missed."""
        now = self.clock.now()
        today = exchange_date(now)
        plan = self.plans.get(today)
        if plan is not None and plan.is_complete:
            return
        if not self.cooldowns.start(f"prepare|{today}", now, now + RETRY_AFTER):
            return
        prepared = self.prepare()(tick)
        if plan is None and prepared is not None:
            alert = Alert(
                kind=AlertKind.SESSION_UNPREPARED,
                severity=Severity.WARNING,
                subject="job before the open",
                at=now,
                text=f"Nothing was prepared for {today} before the open; the first price tick has caught up",
                occurrence=today.isoformat(),
            )
            tell_quietly(self.alerts, alert)
