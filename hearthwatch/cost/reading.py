"""Everything the cost report says, read at one instant and put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from shared.domain.budget import BudgetMonth, BudgetRules, month_of
from shared.domain.charges import Charge
from shared.domain.cost_report import (
    Admitted,
    Left,
    Saved,
    Target,
    admitted,
    day_left,
    days_of,
    disagreements,
    envelopes_left,
    month_left,
    saved,
    targets,
)
from shared.domain.model_prices import PriceTable
from shared.domain.providers import Catalogue
from shared.ports.budget import Budgets, Charges

READS: Final = 3
"""Tries to read counters and records between two writes; after that the last reading counts as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One day and its month; `charges` are those of the period asked for, `all_charges` those of the month."""

    day: date
    period: str
    month: BudgetMonth
    rules: BudgetRules
    charges: Sequence[Charge]
    all_charges: Sequence[Charge]
    day_left: Left
    month_left: Left
    envelopes: Sequence[Left]
    admitted: Sequence[Admitted]
    saved: Saved
    targets: Sequence[Target]
    disagreements: Sequence[str]
    known_answers: int | None = None

    @property
    def day_closed(self) -> str:
        """Say why nothing more is asked on the day; empty while it is open."""
        return self.month.day(self.day).closed


def read_month(budgets: Budgets, charges: Charges, day: date) -> tuple[BudgetMonth, Sequence[Charge]]:
    """Read a month's counters and its records so that nothing was settled between them, if that can be had."""
    month = budgets.month(month_of(day))
    for _ in range(READS):
        records = [charge for each in days_of(day) for charge in charges.of_day(each)]
        after = budgets.month(month_of(day))
        if after == month:
            break
        month = after
    return month, records


def report_of(
    month: BudgetMonth,
    records: Sequence[Charge],
    *,
    day: date,
    whole_month: bool,
    now: datetime,
    rules: BudgetRules,
    prices: PriceTable,
    catalogue: Catalogue,
) -> Report:
    """Put the report of a day, or of its whole month, together."""
    period = records if whole_month else [charge for charge in records if charge.day == day]
    models = sorted(dict.fromkeys(catalogue.paid()))
    return Report(
        day=day,
        period=f"{day:%Y-%m}" if whole_month else day.isoformat(),
        month=month,
        rules=rules,
        charges=period,
        all_charges=records,
        day_left=day_left(month, day, rules),
        month_left=month_left(month, rules),
        envelopes=envelopes_left(month, day, rules, edge_down=False),
        admitted=admitted(prices, models, now, month, day, rules),
        saved=saved(period, prices),
        targets=targets(month, records),
        disagreements=disagreements(month, records, rules),
    )
