"""The plans of trading days in the Book, one item per date under one partition, so that the newest is one query.

`missing` counts the parts that a plan lacks, so that the condition of a write can compare it.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from shared.adapters.aws.stored_items import StoredItems
from shared.adapters.aws.table import ABSENT, Condition, Key, Table, expiry
from shared.contracts.day_plan import DAY_PLAN, StoredDayPlan
from shared.domain.day_plan import DayPlan

KEPT_FOR: Final = timedelta(days=60)
"""How long a plan is kept; the journal says for good what was in it."""

_PLANS: Final = "day_plans"


class DynamoDayPlans:
    """One plan per trading day."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._plans = StoredItems(table, DAY_PLAN)

    def get(self, day: date) -> DayPlan | None:
        stored = self._plans.get(Key(_PLANS, day.isoformat()))
        return None if stored is None else stored.to_domain()

    def put(self, plan: DayPlan) -> bool:
        return self._plans.put(
            Key(_PLANS, plan.day.isoformat()),
            StoredDayPlan.from_domain(plan),
            when=ABSENT | Condition("#missing > :missing", {"missing": len(plan.problems)}),
            missing=len(plan.problems),
            expires=expiry(plan.prepared_at + KEPT_FOR),
        )

    def latest(self) -> DayPlan | None:
        newest = self._table.query(_PLANS, newest_first=True, limit=1)
        return self._plans.read(newest[0]).to_domain() if newest else None
