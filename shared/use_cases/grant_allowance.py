"""Let a person allow one call more than the day's budget (BUD-07)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.budget import BudgetMonth, BudgetRules, Denied, Grant, GrantId
from shared.domain.day_plan import exchange_date
from shared.domain.model_prices import in_dollars
from shared.ports.budget import Budgets
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.tell import tell_quietly


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantAllowance:
    """Add an allowance for today: it raises today's limit for one call alone, and never the month's."""

    clock: Clock
    budgets: Budgets
    rules: BudgetRules
    alerts: AlertQueue
    record: RecordFact
    day_of: Callable[[datetime], date] = exchange_date

    def __call__(self, grant_id: GrantId, by: str, why: str) -> BudgetMonth | Denied:
        """Grant and record it, or say why not; the same id again grants nothing more. Raises TryAgain."""
        now = self.clock.now()
        grant = Grant(id=grant_id, day=self.day_of(now), amount=self.rules.grant)
        found = self.budgets.grant(grant, self.rules)
        granted = not isinstance(found, Denied)
        self.record(
            "allowance_granted" if granted else "allowance_refused",
            now,
            grant=grant_id,
            amount=grant.amount,
            by=by,
            why=why,
        )
        if granted:
            alert = Alert(
                kind=AlertKind.BUDGET_WARNING,
                severity=Severity.INFO,
                subject="allowance",
                at=now,
                text=f"{by} allowed one call of up to ${in_dollars(grant.amount)} beyond today's budget: {why}",
                occurrence=grant_id,
            )
            tell_quietly(self.alerts, alert)
        return found
