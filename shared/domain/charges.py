"""Charges: what each model call finally cost, written once, and what follows from them (BUD-08, BEY-05).

The record decides: whoever closes a reservation first writes its charge, and everybody else takes over that amount.
So the sum of the records equals the counters to the micro-dollar, and settling twice or late changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from shared.domain.budget import Envelope, Reservation, ReservationId
from shared.domain.calls import Purpose, Rung, WorkId
from shared.domain.errors import InvalidValue
from shared.domain.intents import CycleId
from shared.domain.model_prices import MicroDollars, ModelId, Usage, in_dollars
from shared.domain.times import require_utc


class Booked(StrEnum):
    """How a reservation ended."""

    SETTLED = "settled"
    """From the tokens that the provider reported, or at nothing when it certainly took nothing."""
    AT_MOST = "at_most"
    """At the whole reservation, because nobody knows what the provider took."""
    ASSUMED = "assumed"
    """At the whole reservation, because nobody settled it in time."""
    RELEASED = "released"
    """At nothing, by a person's word."""
    FREE = "free"
    """Nothing was reserved: the call cost nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """One model call's final record; amounts in micro-dollars, `latency` from the request to its last byte.

    `id` is its reservation's. `held` was reserved; `usage` is None when the provider said nothing. `ending` is how the
    answer ended, in our words. `prices` names the version of the price table.
    """

    id: ReservationId
    at: datetime
    day: date
    provider: str
    model: ModelId
    rung: Rung
    purpose: Purpose
    envelope: Envelope
    work: WorkId
    cycle: CycleId | None
    held: MicroDollars
    cost: MicroDollars
    booked: Booked
    usage: Usage | None
    latency: timedelta | None
    ending: str
    prices: str
    request_id: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        require_utc("charge.at", self.at)
        if type(self.cost) is not int or self.cost < 0:
            raise InvalidValue("charge.cost", self.cost, "a whole number of micro-dollars of at least zero")


def charge_for(
    held: Reservation,
    at: datetime,
    *,
    cost: MicroDollars,
    booked: Booked,
    ending: str,
    usage: Usage | None = None,
    latency: timedelta | None = None,
    request_id: str = "",
    note: str = "",
) -> Charge:
    """Make the record that closes a reservation."""
    return Charge(
        id=held.id,
        at=at,
        day=held.day,
        provider=held.call.provider,
        model=held.call.model,
        rung=held.call.rung,
        purpose=held.call.purpose,
        envelope=held.envelope,
        work=held.call.work,
        cycle=held.call.cycle,
        held=held.amount,
        cost=cost,
        booked=booked,
        usage=usage,
        latency=latency,
        ending=ending,
        prices=held.prices,
        request_id=request_id,
        note=note,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one decision cost: its calls, and the month it was made in; micro-dollars."""

    cost: MicroDollars
    calls: int
    month_spent: MicroDollars
    month_limit: MicroDollars

    @property
    def text(self) -> str:
        """Say it as it stands on an alert."""
        month = f"month ${in_dollars(self.month_spent)} of ${in_dollars(self.month_limit)}"
        return f"this decision cost ${in_dollars(self.cost)}; {month}"


def statement(charges: Iterable[Charge], month_spent: MicroDollars, month_limit: MicroDollars) -> Statement:
    """Add up the charges of one decision."""
    found = list(charges)
    return Statement(
        cost=sum(charge.cost for charge in found),
        calls=len(found),
        month_spent=month_spent,
        month_limit=month_limit,
    )
