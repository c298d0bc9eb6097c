"""The plans of trading days, and the sources they are made from."""

from __future__ import annotations

from datetime import date
from typing import Protocol

from shared.domain.day_plan import DayPlan
from shared.ports.broker import CorporateActions, ExchangeCalendar
from shared.ports.prices import VolatilityHistory


class DayPlans(Protocol):
    """One plan per trading day, kept for at least a month."""

    def get(self, day: date) -> DayPlan | None:
        """Return the plan of a date."""
        ...

    def put(self, plan: DayPlan) -> bool:
        """Store a plan unless one of its date is stored that lacks no more; False means that nothing changed.

        Of many equal plans put at once exactly one is stored.
        """
        ...

    def latest(self) -> DayPlan | None:
        """Return the plan of the newest date, None before the first."""
        ...


class DaySources(Protocol):
    """Where a plan's parts are looked up: the sources themselves, never a plan made earlier."""

    @property
    def calendar(self) -> ExchangeCalendar: ...  # noqa: D102
    @property
    def actions(self) -> CorporateActions: ...  # noqa: D102
    @property
    def history(self) -> VolatilityHistory: ...  # noqa: D102
