"""The budget: what may be spent on models in a day and a month, and the one item that holds it (BUD-01 to BUD-07).

Everything is reserved at its worst before it is asked, and settled after. `committed` is spent plus reserved: the one
figure that a limit is compared with, so that admission is a single conditional update. A reservation counts on the
New York day and in the month in which it was made, whenever it is settled.

A reservation leaves the month in one way only, by `close`, and its id is never admitted again: an id that was closed
is remembered, and when its memory is pruned, `floor` refuses everything issued at or before that time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, NewType

from shared.domain.calls import Call, Purpose
from shared.domain.errors import InvalidValue
from shared.domain.model_prices import DOLLAR, MicroDollars
from shared.domain.times import require_utc

ReservationId = NewType("ReservationId", str)
DecisionId = NewType("DecisionId", str)
"""What one decision is known by in the count of the day, however many calls it makes."""
GrantId = NewType("GrantId", str)


class Envelope(StrEnum):
    """What a share of the day's money is for."""

    DECISIONS = "decisions"
    NEWS = "news"
    OTHER = "other"
    """Monitor, shadow, evals and chat."""


ENVELOPE_OF: Final[Mapping[Purpose, Envelope]] = {
    Purpose.DECISION: Envelope.DECISIONS,
    Purpose.NEWS: Envelope.NEWS,
    Purpose.MONITOR: Envelope.OTHER,
    Purpose.SHADOW: Envelope.OTHER,
    Purpose.EVALS: Envelope.OTHER,
    Purpose.CHAT: Envelope.OTHER,
}

_SHARES: Final = {Envelope.DECISIONS: Decimal("0.6"), Envelope.NEWS: Decimal("0.2"), Envelope.OTHER: Decimal("0.2")}
_SHARES_EDGE_DOWN: Final = {**_SHARES, Envelope.DECISIONS: Decimal("0.4"), Envelope.NEWS: Decimal("0.4")}


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRules:
    """The limits in micro-dollars; those that the requirements name are the defaults.

    `day` and `month` are hard. `warn_at` are told once a day each. A reservation that nobody settles is spent
    `expires_after` its call's deadline. Ids are remembered for `remembered` after they were issued; an older one is
    refused. A person may grant `grants_a_day` allowances of `grant` each, which raise that day's limit alone.
    A decision counts once, at most `decisions` a day; `warn_decisions` is told.
    """

    day: MicroDollars = 5 * DOLLAR
    month: MicroDollars = 150 * DOLLAR
    warn_at: tuple[MicroDollars, ...] = (2 * DOLLAR, 3 * DOLLAR)
    decisions: int = 20
    warn_decisions: int = 10
    grant: MicroDollars = DOLLAR
    grants_a_day: int = 4
    expires_after: timedelta = timedelta(minutes=15)
    remembered: timedelta = timedelta(minutes=30)

    def __post_init__(self) -> None:
        for name in ("day", "month", "grant", "decisions", "grants_a_day"):
            value = getattr(self, name)
            if type(value) is not int or value < 0:
                raise InvalidValue(f"budget.{name}", value, "a whole number of at least zero")

    def envelope(self, envelope: Envelope, *, edge_down: bool) -> MicroDollars:
        """Give an envelope's share of the day; while the edge is down news takes from decisions (BUD-06)."""
        share = (_SHARES_EDGE_DOWN if edge_down else _SHARES)[envelope]
        return int(self.day * share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Money held for one attempt of one call, at its worst.

    `call` and `prices`, the version of the price table, are for the record of whoever closes it; `number` says which
    charge in the life of its work it is.
    `decision` is named by a call that counts as a decision, `grant` by one that a person allowed; `expires_at` is when
    it counts as spent.
    """

    id: ReservationId
    issued_at: datetime
    day: date
    amount: MicroDollars
    envelope: Envelope
    expires_at: datetime
    call: Call
    prices: str
    number: int = 1
    decision: DecisionId | None = None
    grant: GrantId | None = None

    def __post_init__(self) -> None:
        require_utc("reservation.issued_at", self.issued_at)
        require_utc("reservation.expires_at", self.expires_at)
        if type(self.amount) is not int or self.amount <= 0:
            raise InvalidValue("reservation.amount", self.amount, "a whole number of micro-dollars above zero")
        if self.expires_at <= self.issued_at:
            raise InvalidValue("reservation.expires_at", self.expires_at, f"after {self.issued_at}")

    @property
    def month(self) -> date:
        """Give the first day of the month that it counts in."""
        return month_of(self.day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a reservation must stay within, in micro-dollars; `decisions` is a count a day."""

    day: MicroDollars
    month: MicroDollars
    envelope: MicroDollars
    decisions: int

    @classmethod
    def of(cls, rules: BudgetRules, envelope: Envelope, *, edge_down: bool) -> Bounds:
        """Take the bounds of an envelope from the rules."""
        return cls(
            day=rules.day,
            month=rules.month,
            envelope=rules.envelope(envelope, edge_down=edge_down),
            decisions=rules.decisions,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A person's allowance for one call on one day; it is used once."""

    id: GrantId
    day: date
    amount: MicroDollars
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetDay:
    """One day's counters: `committed` is spent plus reserved; `closed` says why nothing more is asked on it.

    `warned` are the levels of which somebody was told.
    """

    committed: MicroDollars = 0
    spent: MicroDollars = 0
    envelopes: Mapping[Envelope, MicroDollars] = field(default_factory=dict)
    decisions: frozenset[DecisionId] = frozenset()
    calls: int = 0
    closed: str = ""
    warned: frozenset[str] = frozenset()

    @property
    def reserved(self) -> MicroDollars:
        """Give what is held and not settled yet."""
        return self.committed - self.spent


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetMonth:
    """One month: its counters, its days, what is reserved, which ids were closed, and what people granted."""

    month: date
    committed: MicroDollars = 0
    spent: MicroDollars = 0
    days: Mapping[date, BudgetDay] = field(default_factory=dict)
    open: Mapping[ReservationId, Reservation] = field(default_factory=dict)
    closed: Mapping[ReservationId, datetime] = field(default_factory=dict)
    """When each closed id was issued."""
    grants: Mapping[GrantId, Grant] = field(default_factory=dict)
    floor: datetime | None = None

    @property
    def reserved(self) -> MicroDollars:
        """Give what is held and not settled yet."""
        return self.committed - self.spent

    def day(self, day: date) -> BudgetDay:
        """Give a day's counters; zeros for one without any."""
        return self.days.get(day, _NO_DAY)

    def granted(self, day: date) -> MicroDollars:
        """Add up what people granted for a day, used or not."""
        return sum(grant.amount for grant in self.grants.values() if grant.day == day)


_NO_DAY: Final = BudgetDay()


class No(StrEnum):
    """Why a paid call is not made."""

    UNPRICED = "unpriced_model"
    USED_ID = "used_id"
    LATE_ID = "late_id"
    DAY_CLOSED = "day_closed"
    MONTH_SPENT = "month_spent"
    DAY_SPENT = "day_spent"
    ENVELOPE_SPENT = "envelope_spent"
    DECISIONS_COUNTED = "decisions_counted"
    NO_GRANT = "no_grant"
    GRANT_TOO_SMALL = "grant_too_small"
    TOO_OFTEN = "charged_too_often"
    BEING_ASKED = "being_asked"
    LEDGER_UNREADABLE = "ledger_unreadable"
    NOT_ASKED_BY_A_PERSON = "not_asked_by_a_person"
    NO_TIME = "no_time"
    SWITCHED_OFF = "switched_off"


SPENT: Final = frozenset({No.DAY_CLOSED, No.MONTH_SPENT, No.DAY_SPENT, No.ENVELOPE_SPENT})
"""Refusals for want of money."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """A reservation that was not made: why, how much was wanted, and how much would have been admitted.

    `warned` are the levels of that day of which somebody was told.
    """

    why: No
    wanted: MicroDollars
    left: MicroDollars = 0
    warned: frozenset[str] = frozenset()


def month_of(day: date) -> date:
    """Give the first day of a day's month."""
    return day.replace(day=1)


def judge(month: BudgetMonth, wanted: Reservation, bounds: Bounds) -> Denied | None:
    """Say why a reservation may not be made now, None when it may; every store of budgets decides the same.

    A granted call answers to its grant in the place of the envelope and the count, and the grants of the day raise
    that day's limit for granted calls alone; nothing raises the month's (BUD-07, RSK-11).
    """
    day = month.day(wanted.day)
    if wanted.id in month.open or wanted.id in month.closed:
        return Denied(why=No.USED_ID, wanted=wanted.amount, warned=day.warned)
    if month.floor is not None and wanted.issued_at <= month.floor:
        return Denied(why=No.LATE_ID, wanted=wanted.amount, warned=day.warned)
    if day.closed:
        return Denied(why=No.DAY_CLOSED, wanted=wanted.amount, warned=day.warned)
    left = {No.MONTH_SPENT: bounds.month - month.committed}
    if wanted.grant is None:
        left[No.DAY_SPENT] = bounds.day - day.committed
        left[No.ENVELOPE_SPENT] = bounds.envelope - day.envelopes.get(wanted.envelope, 0)
        if _is_one_too_many(day, wanted, bounds):
            return Denied(why=No.DECISIONS_COUNTED, wanted=wanted.amount, warned=day.warned)
    else:
        grant = month.grants.get(wanted.grant)
        if grant is None or grant.used or grant.day != wanted.day:
            return Denied(why=No.NO_GRANT, wanted=wanted.amount, warned=day.warned)
        left[No.GRANT_TOO_SMALL] = grant.amount
        left[No.DAY_SPENT] = bounds.day + month.granted(wanted.day) - day.committed
    why = min(left, key=lambda reason: left[reason])
    if wanted.amount > left[why]:
        return Denied(why=why, wanted=wanted.amount, left=max(0, left[why]), warned=day.warned)
    return None


def reserved(month: BudgetMonth, wanted: Reservation) -> BudgetMonth:
    """Hold the money of a reservation that was judged; nothing is checked here."""
    day = month.day(wanted.day)
    envelopes = day.envelopes
    if wanted.grant is None:
        envelopes = {**envelopes, wanted.envelope: envelopes.get(wanted.envelope, 0) + wanted.amount}
    counted = wanted.grant is None and wanted.decision is not None
    changed = replace(
        day,
        committed=day.committed + wanted.amount,
        envelopes=envelopes,
        decisions=day.decisions | {wanted.decision} if counted and wanted.decision else day.decisions,
        calls=day.calls + 1,
    )
    grants = month.grants
    if wanted.grant is not None:
        grants = {**grants, wanted.grant: replace(grants[wanted.grant], used=True)}
    return replace(
        month,
        committed=month.committed + wanted.amount,
        days={**month.days, wanted.day: changed},
        open={**month.open, wanted.id: wanted},
        grants=grants,
    )


def closed(month: BudgetMonth, held: Reservation, cost: MicroDollars) -> BudgetMonth:
    """Turn a reservation into what its call cost; one that is not open any more changes nothing.

    The amount is what the charge's record says, so that it does not matter who closes it, or how often.
    """
    if month.open.get(held.id) != held:
        return month
    day, change = month.day(held.day), cost - held.amount
    envelopes = day.envelopes
    if held.grant is None:
        envelopes = {**envelopes, held.envelope: envelopes.get(held.envelope, 0) + change}
    changed = replace(day, committed=day.committed + change, spent=day.spent + cost, envelopes=envelopes)
    return replace(
        month,
        committed=month.committed + change,
        spent=month.spent + cost,
        days={**month.days, held.day: changed},
        open={key: one for key, one in month.open.items() if key != held.id},
        closed={**month.closed, held.id: held.issued_at},
    )


def granted(month: BudgetMonth, grant: Grant, rules: BudgetRules) -> BudgetMonth | Denied:
    """Add a person's allowance: at most so many a day, never beyond the month; the same one again changes nothing.

    An id of another day is refused: its allowance serves on that day alone.
    """
    standing = month.grants.get(grant.id)
    if standing is not None:
        return month if standing.day == grant.day else Denied(why=No.NO_GRANT, wanted=grant.amount)
    of_day = [one for one in month.grants.values() if one.day == grant.day]
    if len(of_day) >= rules.grants_a_day:
        return Denied(why=No.NO_GRANT, wanted=grant.amount)
    if month.committed + grant.amount > rules.month:
        return Denied(why=No.MONTH_SPENT, wanted=grant.amount, left=max(0, rules.month - month.committed))
    return replace(month, grants={**month.grants, grant.id: grant})


def day_closed(month: BudgetMonth, day: date, why: str) -> BudgetMonth:
    """Admit nothing more on a day; the first reason stays. Raises InvalidValue without one."""
    if not why:
        raise InvalidValue("budget.closed", why, "a reason")
    found = month.day(day)
    return replace(month, days={**month.days, day: replace(found, closed=found.closed or why)})


def told(month: BudgetMonth, day: date, level: str) -> BudgetMonth:
    """Remember that somebody was told of a level on a day."""
    found = month.day(day)
    return replace(month, days={**month.days, day: replace(found, warned=found.warned | {level})})


def pruned(month: BudgetMonth, before: datetime) -> BudgetMonth:
    """Forget ids that were issued up to a time, and admit none as old from then on; what is refused stays so."""
    floor = before if month.floor is None else max(before, month.floor)
    return replace(month, floor=floor, closed={key: at for key, at in month.closed.items() if at > floor})


def spent_fraction(amount: MicroDollars, limit: MicroDollars) -> Decimal:
    """Give a share of a limit, 1 when the limit is zero."""
    return Decimal(amount) / limit if limit else Decimal(1)


def _is_one_too_many(day: BudgetDay, wanted: Reservation, bounds: Bounds) -> bool:
    new = wanted.decision is not None and wanted.decision not in day.decisions
    return new and len(day.decisions) >= bounds.decisions
