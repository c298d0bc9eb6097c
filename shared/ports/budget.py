"""The budget's stores: the month's ledger, the record of charges, how often work was charged, and known answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple, Protocol

from shared.domain.budget import (
    Bounds,
    BudgetMonth,
    BudgetRules,
    Denied,
    Grant,
    Reservation,
    ReservationId,
)
from shared.domain.calls import WorkId
from shared.domain.charges import Charge
from shared.domain.model_prices import MicroDollars
from shared.domain.questions import PendingBatch


class Budgets(Protocol):
    """The ledger: one item a month, each change one conditional write on it that happens once or not at all.

    Any failure to reach it raises TryAgain (Unavailable, Throttled): then nothing may be asked. When an answer was lost
    the write may stand; a reservation that stands unknown to its caller expires into spent.
    """

    def reserve(self, wanted: Reservation, bounds: Bounds) -> BudgetMonth | Denied:
        """Hold money if `domain.budget.judge` admits it at that instant; return the month with it, or why not.

        The same reservation again, as a repeated request, is USED_ID.
        """
        ...

    def close(self, held: Reservation, cost: MicroDollars) -> BudgetMonth:
        """Turn a reservation into its cost and return the month; one that is not open changes nothing."""
        ...

    def grant(self, grant: Grant, rules: BudgetRules) -> BudgetMonth | Denied:
        """Add a person's allowance; the same id again changes nothing."""
        ...

    def close_day(self, day: date, why: str) -> None:
        """Admit nothing more on a day; the first reason stays."""
        ...

    def warned(self, day: date, level: str) -> None:
        """Remember that somebody was told of a level on a day."""
        ...

    def prune(self, month: date, before: datetime) -> None:
        """Forget ids issued up to a time and refuse such from then on."""
        ...

    def month(self, month: date) -> BudgetMonth:
        """Read a month consistently; one without any entry is empty."""
        ...


class Charges(Protocol):
    """The final record of each call, one per reservation, never changed."""

    def put(self, charge: Charge) -> Charge:
        """Record a charge unless its id has one; return the one that stands, this or the earlier."""
        ...

    def get(self, day: date, reservation: ReservationId) -> Charge | None:
        """Return the charge of a reservation that was made for a day."""
        ...

    def of_day(self, day: date) -> Sequence[Charge]:
        """Return a day's charges, oldest first."""
        ...


class WorkCharges(Protocol):
    """How often each piece of work was charged in its life (BEY-14)."""

    def claim(self, work: WorkId, most: int, now: datetime) -> int | None:
        """Count one more charge and return its number from 1; None when it was charged `most` times already."""
        ...

    def give_back(self, work: WorkId, number: int) -> None:
        """Take the newest claim back because nothing was charged; changes nothing when another followed."""
        ...


class PendingBatches(Protocol):
    """Batches that were handed in and not settled yet."""

    def put(self, batch: PendingBatch) -> None:
        """Keep a batch under its name; the same again changes nothing."""
        ...

    def all(self) -> Sequence[PendingBatch]:
        """Return those that are under way, oldest first."""
        ...

    def remove(self, name: str) -> None:
        """Forget a batch; an absent one stays absent."""
        ...


class KnownAnswer(NamedTuple):
    """An answer that was paid for: its raw text and until when it serves."""

    text: str
    until: datetime


class KnownAnswers(Protocol):
    """Answers by the hash of their question and model (BUD-10)."""

    def get(self, key: str, now: datetime) -> KnownAnswer | None:
        """Return an answer that still serves."""
        ...

    def put(self, key: str, answer: KnownAnswer) -> None:
        """Keep an answer; the last writer wins."""
        ...
