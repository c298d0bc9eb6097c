"""The stored form of a day's plan.

The volatilities are the one thing stored that is a float; they travel as the decimal that a float's shortest text
shows, which gives the same float back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from shared.contracts.stored import StoredForm
from shared.domain.assets import Symbol
from shared.domain.day_plan import DayActions, DayCalendar, DayPlan, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDayPlan:
    """A plan as it is written."""

    day: date
    prepared_at: datetime
    calendar: DayCalendar
    actions: DayActions | None
    sigmas: Mapping[Symbol, Decimal | None]
    equity: Decimal | None
    week_equity: Decimal | None
    problems: Mapping[Part, str]

    @classmethod
    def from_domain(cls, plan: DayPlan) -> StoredDayPlan:
        """Write a plan."""
        sigmas = {symbol: None if sigma is None else Decimal(repr(sigma)) for symbol, sigma in plan.sigmas.items()}
        return cls(
            day=plan.day,
            prepared_at=plan.prepared_at,
            calendar=plan.calendar,
            actions=plan.actions,
            sigmas=sigmas,
            equity=plan.equity,
            week_equity=plan.week_equity,
            problems=plan.problems,
        )

    def to_domain(self) -> DayPlan:
        """Read the plan; raises InvalidValue for one that no rule can work with."""
        sigmas = {symbol: None if sigma is None else float(sigma) for symbol, sigma in self.sigmas.items()}
        return DayPlan(
            day=self.day,
            prepared_at=self.prepared_at,
            calendar=self.calendar,
            actions=self.actions,
            sigmas=sigmas,
            equity=self.equity,
            week_equity=self.week_equity,
            problems=self.problems,
        )


DAY_PLAN: Final = StoredForm[StoredDayPlan]("day_plan", StoredDayPlan)
