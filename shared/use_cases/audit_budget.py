"""Audit the budget: expire what nobody settled, and compare the counters with the records (BUD-02, fault 30)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.budget import BudgetMonth, BudgetRules, Reservation, month_of
from shared.domain.charges import Booked, charge_for
from shared.domain.cost_report import disagreements_of_day
from shared.domain.day_plan import exchange_date
from shared.domain.model_prices import PriceTable, in_dollars
from shared.domain.times import Tick
from shared.ports.budget import Budgets, Charges
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue
from shared.ports.models import Choices
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.tell import tell_quietly

log = logging.getLogger(__name__)

NEVER_SETTLED: Final = "never_settled"
"""The ending of a call whose caller went away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What an audit did and found: how many reservations it counted as spent, and what does not add up."""

    expired: int
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditBudget:
    """Keep the ledger true; running twice or late changes nothing more."""

    clock: Clock
    budgets: Budgets
    charges: Charges
    choices: Choices
    prices: PriceTable
    rules: BudgetRules
    alerts: AlertQueue
    record: RecordFact
    day_of: Callable[[datetime], date] = exchange_date

    def __call__(self, tick: Tick) -> Audited:
        """Audit this month and the one before. Raises TryAgain when the ledger cannot be had."""
        now = self.clock.now()
        today = self.day_of(now)
        months = dict.fromkeys((month_of(month_of(today) - timedelta(days=1)), month_of(today)))
        overdue = [held for month in months for held in self._overdue(month, now)]
        if overdue:
            self._expire(overdue, tick, now)
        found = (problem for day in (today - timedelta(days=1), today) for problem in self._compared(day))
        problems = list(dict.fromkeys(found))
        for month in months:
            self.budgets.prune(month, now - self.rules.remembered)
        self._check_prices(now)
        if problems:
            self._tell_wrong(problems, today, now)
            self.record("budget_disagrees", now, tick=tick.id, problems=problems)
        return Audited(expired=len(overdue), problems=tuple(problems))

    def _overdue(self, month: date, now: datetime) -> list[Reservation]:
        return [held for held in self.budgets.month(month).open.values() if held.expires_at <= now]

    def _expire(self, overdue: Sequence[Reservation], tick: Tick, now: datetime) -> None:
        """Count as spent what nobody settled in time; a record that stands already says what it really cost."""
        named = [{"reservation": held.id, "amount": held.amount} for held in overdue]
        self.record("reservations_expired", now, tick=tick.id, expired=named)
        for held in overdue:
            assumed = charge_for(held, now, cost=held.amount, booked=Booked.ASSUMED, ending=NEVER_SETTLED)
            standing = self.charges.put(assumed)
            self.budgets.close(held, standing.cost)
            log.warning("reservation expired", extra={"reservation": held.id, "cost": standing.cost})

    def _compared(self, day: date) -> Iterator[str]:
        """Name what does not add up on a day; one that changes meanwhile is looked at the next time."""
        before = self.budgets.month(month_of(day))
        records = self.charges.of_day(day)
        after = self.budgets.month(month_of(day))
        if before.day(day) != after.day(day):
            return
        closed = [charge for charge in records if charge.id not in before.open]
        yield from disagreements_of_day(before, day, closed, self.rules)
        yield from _unlike_its_days(before)
        if before.committed > self.rules.month:
            spent, limit = in_dollars(before.committed), in_dollars(self.rules.month)
            yield f"{before.month:%Y-%m}: ${spent} is spent or reserved of ${limit}"

    def _check_prices(self, now: datetime) -> None:
        """Say which models on the rungs cannot be priced, once a day (fault 31)."""
        catalogue = self.choices.catalogue()
        for model, why in self.prices.unusable(catalogue.routable(), now).items():
            alert = Alert(
                kind=AlertKind.MODEL_UNPRICED,
                severity=Severity.WARNING,
                subject=model,
                at=now,
                text=f"{why}: it is not asked",
                occurrence=f"{self.day_of(now)} {model}",
            )
            tell_quietly(self.alerts, alert)

    def _tell_wrong(self, problems: list[str], today: date, now: datetime) -> None:
        alert = Alert(
            kind=AlertKind.BUDGET_WRONG,
            severity=Severity.CRITICAL,
            subject="ledger",
            at=now,
            text="; ".join(problems) + "; a limit that was lowered lately explains the like",
            occurrence=f"{today} {' '.join(sorted(problems))}"[:200],
        )
        tell_quietly(self.alerts, alert)


def _unlike_its_days(month: BudgetMonth) -> Iterator[str]:
    """Say where a month's counters are not the sum of its days'."""
    for name in ("committed", "spent"):
        total, parts = getattr(month, name), sum(getattr(one, name) for one in month.days.values())
        if total != parts:
            yield f"{month.month:%Y-%m}: {name} is ${in_dollars(total)}, its days add up to ${in_dollars(parts)}"
