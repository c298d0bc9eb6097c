"""The plans of trading days in memory."""

from __future__ import annotations

from datetime import date
from threading import Lock

from shared.domain.day_plan import DayPlan


class MemoryDayPlans:
    """One plan per trading day."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._plans: dict[date, DayPlan] = {}

    def get(self, day: date) -> DayPlan | None:
        return self._plans.get(day)

    def put(self, plan: DayPlan) -> bool:
        with self._lock:
            if not plan.is_better_than(self._plans.get(plan.day)):
                return False
            self._plans[plan.day] = plan
        return True

    def latest(self) -> DayPlan | None:
        plans = self._plans
        return plans[max(plans)] if plans else None
