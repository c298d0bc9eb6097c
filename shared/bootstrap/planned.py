"""Sources that answer from the day's plan, and from outside only what the plan does not cover.

Decided: the newest plan is kept for the life of the process, and read anew while it is not today's or lacks a part.
Days ahead of a plan's own date follow one rule each: the calendar is planned far ahead; corporate actions that go ex
after the plan's date are asked for anew on that date, since they may have been announced later, and the plan's own
serve when nobody answers; volatility serves for a week.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date, datetime

from shared.contracts.stored import NewerSchema
from shared.domain.assets import Symbol
from shared.domain.corporate_actions import CorporateAction
from shared.domain.day_plan import DayPlan, exchange_date
from shared.domain.errors import TryAgain
from shared.domain.session import TradingDay
from shared.ports.broker import CorporateActions, ExchangeCalendar
from shared.ports.clock import Clock
from shared.ports.day_plans import DayPlans

log = logging.getLogger(__name__)


class PlannedCalendar:
    """The exchange's calendar from the plan, else from its source."""

    def __init__(self, plans: DayPlans, live: ExchangeCalendar, clock: Clock) -> None:
        self._plan = _NewestPlan(plans, clock)
        self._live = live

    def days(self, first: date, last: date) -> Sequence[TradingDay]:
        """Return the sessions of a range, as the calendar port says."""
        plan = self._plan.get()
        planned = plan.calendar.between(first, last) if plan is not None else None
        return self._live.days(first, last) if planned is None else planned


class PlannedActions:
    """Corporate actions from the plan, else from their source."""

    def __init__(self, plans: DayPlans, live: CorporateActions, clock: Clock) -> None:
        self._plan = _NewestPlan(plans, clock)
        self._live = live
        self._clock = clock

    def actions(self, symbols: Sequence[Symbol], after: date, upto: date) -> Sequence[CorporateAction]:
        """Return the actions of a range, as their port says."""
        plan = self._plan.get()
        known = plan.actions if plan is not None else None
        planned = known.between(symbols, after, upto) if known is not None else None
        if plan is None or planned is None:
            return self._live.actions(symbols, after, upto)
        if _is_newest(plan, min(upto, exchange_date(self._clock.now()))):
            return planned
        try:
            return self._live.actions(symbols, after, upto)
        except TryAgain as error:
            log.warning("corporate actions taken from an earlier day's plan", extra={"problem": str(error)})
            return planned


class PlannedVolatility:
    """The volatility from the plan; without one it is unknown, for nobody works it out within a tick."""

    def __init__(self, plans: DayPlans, clock: Clock) -> None:
        self._plan = _NewestPlan(plans, clock)

    def sigma(self, symbol: Symbol, now: datetime) -> float | None:
        """Return the planned volatility; None is unknown."""
        plan = self._plan.get()
        return plan.sigma(symbol, exchange_date(now)) if plan is not None else None


class _NewestPlan:
    """The newest plan, read when it is first asked for and kept while it cannot get any newer today."""

    def __init__(self, plans: DayPlans, clock: Clock) -> None:
        self._plans = plans
        self._clock = clock
        self._kept: DayPlan | None = None

    def get(self) -> DayPlan | None:
        """Return the newest plan; the one kept, or None, while the store does not answer."""
        if self._kept is None or not self._is_settled(self._kept):
            try:
                self._kept = self._plans.latest() or self._kept
            except (TryAgain, NewerSchema) as error:
                log.warning("day plan unreadable", extra={"problem": str(error)})
        return self._kept

    def _is_settled(self, plan: DayPlan) -> bool:
        return plan.is_complete and _is_newest(plan, exchange_date(self._clock.now()))


def _is_newest(plan: DayPlan, day: date) -> bool:
    """Say whether no session after the plan's own lies before or on a day: then nobody prepared, or will, a newer."""
    sessions = plan.calendar.between(plan.day, max(day, plan.day))
    return sessions is not None and all(session.date <= plan.day for session in sessions)
