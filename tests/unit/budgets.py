"""Builders of budget values: a Friday of November 2026 in New York, and calls of the annex's size."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from shared.domain.budget import (
    Bounds,
    BudgetMonth,
    BudgetRules,
    DecisionId,
    Denied,
    Envelope,
    Grant,
    GrantId,
    Reservation,
    ReservationId,
)
from shared.domain.calls import Call, Purpose, Rung, WorkId
from shared.domain.charges import Booked, Charge, charge_for
from shared.domain.day_plan import exchange_date
from shared.domain.model_prices import DOLLAR, SONNET, MicroDollars, Usage

FRIDAY = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
DAY = date(2026, 11, 20)
MONTH = date(2026, 11, 1)
QUARTER = timedelta(minutes=15)
MOMENT = timedelta(microseconds=1)
RULES = BudgetRules()
SONNET_CALL: MicroDollars = 56_560
"""6,000 tokens in and 4,096 out, at worst."""
CALL = Call(provider="anthropic", model=SONNET, rung=Rung.SONNET, purpose=Purpose.DECISION, work=WorkId("TSLA 15:30"))


def wanted(
    name: str = "first",
    amount: MicroDollars = SONNET_CALL,
    *,
    at: datetime = FRIDAY,
    envelope: Envelope = Envelope.DECISIONS,
    decision: str | None = None,
    grant: str | None = None,
) -> Reservation:
    """A reservation of the New York day of its instant."""
    return Reservation(
        id=ReservationId(name),
        issued_at=at,
        day=exchange_date(at),
        amount=amount,
        envelope=envelope,
        expires_at=at + QUARTER,
        call=CALL,
        prices="2026-10-07T00:00:00Z",
        decision=None if decision is None else DecisionId(decision),
        grant=None if grant is None else GrantId(grant),
    )


def bounds(
    envelope: Envelope = Envelope.DECISIONS,
    *,
    day: MicroDollars = RULES.day,
    month: MicroDollars = RULES.month,
    share: MicroDollars | None = None,
    decisions: int = RULES.decisions,
    edge_down: bool = False,
) -> Bounds:
    """The bounds of the rules, but for what a test changes."""
    found = Bounds.of(RULES, envelope, edge_down=edge_down)
    return replace(
        found, day=day, month=month, decisions=decisions, envelope=found.envelope if share is None else share
    )


def allowance(name: str = "grant-1", *, day: date = DAY, amount: MicroDollars = DOLLAR) -> Grant:
    return Grant(id=GrantId(name), day=day, amount=amount)


def charged(held: Reservation, cost: MicroDollars, *, at: datetime = FRIDAY, booked: Booked = Booked.SETTLED) -> Charge:
    usage = Usage(input=6_000, output=1_000)
    return charge_for(held, at, cost=cost, booked=booked, ending="complete", usage=usage, latency=timedelta(seconds=2))


def admitted(found: BudgetMonth | Denied) -> BudgetMonth:
    """Give the month of a reservation that was admitted."""
    assert isinstance(found, BudgetMonth), found
    return found


def refused(found: BudgetMonth | Denied) -> Denied:
    """Give the refusal of a reservation that was denied."""
    assert isinstance(found, Denied), found
    return found
