"""Let a person release money that a crashed call still holds: the one way to get it back before its time (BUD-02)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.budget import BudgetRules, Reservation, ReservationId, month_of
from shared.domain.charges import Booked, Charge, charge_for
from shared.domain.day_plan import exchange_date
from shared.domain.errors import InvalidValue
from shared.domain.model_prices import in_dollars
from shared.domain.times import iso
from shared.ports.budget import Budgets, Charges
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.tell import tell_quietly


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReservation:
    """Close a reservation at nothing, on a person's word that its provider charged nothing."""

    clock: Clock
    budgets: Budgets
    charges: Charges
    rules: BudgetRules
    alerts: AlertQueue
    record: RecordFact
    day_of: Callable[[datetime], date] = exchange_date

    def open(self) -> list[Reservation]:
        """List what is held in this month and the one before, oldest first. Raises TryAgain."""
        this = month_of(self.day_of(self.clock.now()))
        months = (month_of(this - timedelta(days=1)), this)
        held = [one for month in months for one in self.budgets.month(month).open.values()]
        return sorted(held, key=lambda one: (one.issued_at, one.id))

    def __call__(self, reservation: ReservationId, by: str, why: str) -> Charge:
        """Release one, and record who said so; a call that was charged meanwhile keeps its charge.

        Raises InvalidValue for one that is not open or whose call may still be under way, and TryAgain.
        """
        now = self.clock.now()
        held = {one.id: one for one in self.open()}.get(reservation)
        if held is None:
            expected = "one that is open: see `python -m hearthwatch release --list`"
            raise InvalidValue("reservation", reservation, expected)
        call_ends = held.expires_at - self.rules.expires_after
        if now <= call_ends:
            raise InvalidValue("reservation", reservation, f"one whose call is over: this may run to {iso(call_ends)}")
        self.record("reservation_released", now, reservation=reservation, amount=held.amount, by=by, why=why)
        released = charge_for(held, now, cost=0, booked=Booked.RELEASED, ending="released", note=f"{by}: {why}"[:500])
        standing = self.charges.put(released)
        self.budgets.close(held, standing.cost)
        alert = Alert(
            kind=AlertKind.BUDGET_WARNING,
            severity=Severity.WARNING,
            subject="release",
            at=now,
            text=f"{by} released ${in_dollars(held.amount)} held for {held.call.model}: {why}",
            occurrence=reservation,
        )
        tell_quietly(self.alerts, alert)
        return standing
