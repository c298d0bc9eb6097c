"""The budget in memory: the domain's own rules, applied by one writer at a time.

Each write decides and changes under one lock, as a conditional update of the month's item would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from threading import Lock
from typing import TypeVar

from shared.domain.budget import (
    Bounds,
    BudgetMonth,
    BudgetRules,
    Denied,
    Grant,
    Reservation,
    ReservationId,
    closed,
    day_closed,
    granted,
    judge,
    month_of,
    pruned,
    reserved,
    told,
)
from shared.domain.calls import WorkId
from shared.domain.charges import Charge
from shared.domain.model_prices import MicroDollars
from shared.domain.providers import SHIPPED, Catalogue, Switches
from shared.ports.budget import KnownAnswer

_T = TypeVar("_T", BudgetMonth, BudgetMonth | Denied)


class MemoryBudgets:
    """The ledger, one value a month."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._months: dict[date, BudgetMonth] = {}

    def reserve(self, wanted: Reservation, bounds: Bounds) -> BudgetMonth | Denied:
        def decide(month: BudgetMonth) -> BudgetMonth | Denied:
            return judge(month, wanted, bounds) or reserved(month, wanted)

        return self._change(wanted.month, decide)

    def close(self, held: Reservation, cost: MicroDollars) -> BudgetMonth:
        return self._change(held.month, lambda month: closed(month, held, cost))

    def grant(self, grant: Grant, rules: BudgetRules) -> BudgetMonth | Denied:
        def decide(month: BudgetMonth) -> BudgetMonth | Denied:
            return granted(month, grant, rules)

        return self._change(month_of(grant.day), decide)

    def close_day(self, day: date, why: str) -> None:
        self._change(month_of(day), lambda month: day_closed(month, day, why))

    def warned(self, day: date, level: str) -> None:
        self._change(month_of(day), lambda month: told(month, day, level))

    def prune(self, month: date, before: datetime) -> None:
        self._change(month, lambda found: pruned(found, before))

    def month(self, month: date) -> BudgetMonth:
        return self._months.get(month) or BudgetMonth(month=month)

    def _change(self, month: date, decide: Callable[[BudgetMonth], _T]) -> _T:
        with self._lock:
            after = decide(self.month(month))
            if isinstance(after, BudgetMonth):
                self._months[month] = after
        return after


class MemoryCharges:
    """The final record of each call, by day."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._days: dict[date, dict[ReservationId, Charge]] = {}

    def put(self, charge: Charge) -> Charge:
        with self._lock:
            return self._days.setdefault(charge.day, {}).setdefault(charge.id, charge)

    def get(self, day: date, reservation: ReservationId) -> Charge | None:
        return self._days.get(day, {}).get(reservation)

    def of_day(self, day: date) -> Sequence[Charge]:
        with self._lock:
            found = list(self._days.get(day, {}).values())
        return sorted(found, key=lambda charge: (charge.at, charge.id))


class MemoryWorkCharges:
    """How often each piece of work was charged."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._counts: dict[WorkId, int] = {}

    def claim(self, work: WorkId, most: int, now: datetime) -> int | None:
        with self._lock:
            count = self._counts.get(work, 0)
            if count >= most:
                return None
            self._counts[work] = count + 1
        return count + 1

    def give_back(self, work: WorkId, number: int) -> None:
        with self._lock:
            if self._counts.get(work) == number:
                self._counts[work] = number - 1


class MemoryKnownAnswers:
    """Answers that were paid for."""

    def __init__(self) -> None:
        self._answers: dict[str, KnownAnswer] = {}

    def get(self, key: str, now: datetime) -> KnownAnswer | None:
        answer = self._answers.get(key)
        return answer if answer is not None and answer.until > now else None

    def put(self, key: str, answer: KnownAnswer) -> None:
        self._answers[key] = answer


class MemoryChoices:
    """The shipped catalogue, and what people changed."""

    def __init__(self, shipped: Catalogue = SHIPPED) -> None:
        self._shipped = shipped
        self._switches = Switches()

    def catalogue(self) -> Catalogue:
        return self._shipped.with_switches(self._switches)

    def switches(self) -> Switches:
        return self._switches

    def switch(self, switches: Switches) -> None:
        """Keep switches that fit the catalogue. Raises InvalidValue for others."""
        self._shipped.with_switches(switches)
        self._switches = switches
