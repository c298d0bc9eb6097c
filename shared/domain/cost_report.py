"""What models cost, from the records of charges: sums, statements, what is left, and whether all of it agrees (BUD-08).

Amounts are whole micro-dollars. The records of charges decide; the month's counters must equal them to the
micro-dollar, whenever nothing is being settled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final, TypeVar

from shared.domain.budget import BudgetMonth, BudgetRules, Envelope, month_of
from shared.domain.calls import Rung
from shared.domain.charges import Booked, Charge, Statement, statement
from shared.domain.model_prices import (
    DOLLAR,
    MicroDollars,
    ModelId,
    PriceTable,
    Unpriced,
    Usage,
    admitted_calls,
    in_dollars,
)

PROMPT: Final = 6_000
ANSWER: Final = 4_096
"""The call that the number of admitted calls is counted in, prompt and longest answer in tokens (BEY-01)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """Some calls added up; tokens are those that the provider counted, `uncounted` the calls of which it said nothing.

    `free` are the calls for which nothing was reserved, `at_most` those that count with their whole reservation.
    """

    calls: int = 0
    cost: MicroDollars = 0
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    uncounted: int = 0
    free: int = 0
    at_most: int = 0


def spending(charges: Iterable[Charge]) -> Spending:
    """Add charges up."""
    found = list(charges)
    used = [charge.usage for charge in found if charge.usage is not None]
    return Spending(
        calls=len(found),
        cost=sum(charge.cost for charge in found),
        input=sum(usage.input for usage in used),
        output=sum(usage.output for usage in used),
        cache_read=sum(usage.cache_read for usage in used),
        cache_write=sum(usage.cache_write for usage in used),
        uncounted=len(found) - len(used),
        free=sum(charge.booked is Booked.FREE for charge in found),
        at_most=sum(charge.booked in _WHOLE for charge in found),
    )


_WHOLE: Final = (Booked.AT_MOST, Booked.ASSUMED)

BREAKDOWNS: Final[Mapping[str, Callable[[Charge], str]]] = {
    "model": lambda charge: charge.model,
    "provider": lambda charge: charge.provider,
    "purpose": lambda charge: charge.purpose.value,
    "rung": lambda charge: charge.rung.value,
    "day": lambda charge: charge.day.isoformat(),
}
"""What spending is broken down by, and how a charge is sorted (DSH-03)."""


def breakdown(charges: Iterable[Charge], by: str) -> Mapping[str, Spending]:
    """Add charges up by one of BREAKDOWNS, dearest first; days in their order."""
    groups = _grouped(charges, BREAKDOWNS[by])
    sums = {name: spending(group) for name, group in groups.items()}
    if by == "day":
        return dict(sorted(sums.items()))
    return dict(sorted(sums.items(), key=lambda item: (-item[1].cost, item[0])))


def decision_of(charge: Charge) -> str:
    """Name what a charge was made for: its decision cycle, or its work where there is no cycle."""
    return charge.cycle or charge.work


def charges_of(charges: Iterable[Charge], name: str) -> Sequence[Charge]:
    """Find the charges of a decision by its cycle or its work, oldest first."""
    return _in_order(charge for charge in charges if name in (charge.cycle, charge.work))


def statements(
    charges: Iterable[Charge], month: BudgetMonth, rules: BudgetRules
) -> Mapping[str, tuple[Statement, Sequence[Charge]]]:
    """Give each decision's statement with its charges, oldest first; together they are all charges, each once."""
    groups = _grouped(_in_order(charges), decision_of)
    return {name: (statement(group, month.spent, rules.month), group) for name, group in groups.items()}


# what is left


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """One limit: what of it is spent, reserved and left; `reserved` None where only the sum of both is kept."""

    name: str
    limit: MicroDollars
    spent: MicroDollars
    reserved: MicroDollars | None

    @property
    def left(self) -> MicroDollars:
        """Give what may still be reserved; never below zero."""
        return max(0, self.limit - self.spent - (self.reserved or 0))


def day_left(month: BudgetMonth, day: date, rules: BudgetRules) -> Left:
    """Compare a day with its limit, which grants raise for the calls that they allow."""
    found = month.day(day)
    limit = rules.day + month.granted(day)
    return Left(name="day", limit=limit, spent=found.spent, reserved=found.reserved)


def month_left(month: BudgetMonth, rules: BudgetRules) -> Left:
    """Compare a month with its limit, which nothing raises."""
    return Left(name="month", limit=rules.month, spent=month.spent, reserved=month.reserved)


def envelopes_left(month: BudgetMonth, day: date, rules: BudgetRules, *, edge_down: bool) -> Sequence[Left]:
    """Compare each envelope of a day with its share; what is reserved in it counts as spent."""
    used = month.day(day).envelopes
    return [
        Left(
            name=envelope.value,
            limit=rules.envelope(envelope, edge_down=edge_down),
            spent=used.get(envelope, 0),
            reserved=None,
        )
        for envelope in Envelope
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """How many calls of one model money admits: `reservation` each, None and `why_not` when it cannot be asked.

    `whole_day` calls fit an untouched day, `rest` what is left now of the day and the month, `decisions` of these what
    is left in the envelope of decisions.
    """

    model: ModelId
    reservation: MicroDollars | None
    whole_day: int = 0
    rest: int = 0
    decisions: int = 0
    why_not: str = ""


def admitted(
    prices: PriceTable,
    models: Iterable[ModelId],
    now: datetime,
    month: BudgetMonth,
    day: date,
    rules: BudgetRules,
    *,
    edge_down: bool = False,
) -> Sequence[Admitted]:
    """Count the calls of PROMPT and ANSWER tokens, nothing cached, that the budget admits at once (BEY-01)."""
    of_day = month.day(day)
    rest = 0 if of_day.closed else max(0, min(rules.day - of_day.committed, month_left(month, rules).left))
    used = of_day.envelopes.get(Envelope.DECISIONS, 0)
    share = max(0, rules.envelope(Envelope.DECISIONS, edge_down=edge_down) - used)
    return [_admitted(prices, model, now, rules.day, rest, min(rest, share)) for model in models]


def _admitted(
    prices: PriceTable, model: ModelId, now: datetime, whole: MicroDollars, rest: MicroDollars, share: MicroDollars
) -> Admitted:
    try:
        each = prices.worst_case(model, now, now, input_tokens=PROMPT, output_tokens=ANSWER, caches=False)
    except Unpriced as problem:
        return Admitted(model=model, reservation=None, why_not=str(problem))
    return Admitted(
        model=model,
        reservation=each,
        whole_day=admitted_calls(each, whole),
        rest=admitted_calls(each, rest),
        decisions=admitted_calls(each, share),
    )


# what was saved


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What prompt caches and batches took off the bill, in micro-dollars; `by_caches` is below zero when writing to
    caches cost more than reading from them saved. `unknown` calls used either and have no price to compare with.
    """

    by_caches: MicroDollars = 0
    by_batches: MicroDollars = 0
    unknown: int = 0


def saved(charges: Iterable[Charge], prices: PriceTable) -> Saved:
    """Compare each settled call with the same tokens at plain input prices, one at a time (BUD-10)."""
    total = Saved()
    for charge in charges:
        usage = charge.usage
        if charge.booked is not Booked.SETTLED or usage is None or not _was_cheaper(usage):
            continue
        try:
            at_once = prices.charge(charge.model, charge.at, replace(usage, batch=False))
            plain = prices.charge(charge.model, charge.at, _uncached(usage))
        except Unpriced:
            total = replace(total, unknown=total.unknown + 1)
            continue
        total = replace(
            total,
            by_caches=total.by_caches + plain - at_once,
            by_batches=total.by_batches + at_once - prices.charge(charge.model, charge.at, usage),
        )
    return total


def _was_cheaper(usage: Usage) -> bool:
    return usage.batch or usage.cache_read > 0 or usage.cache_write > 0


def _uncached(usage: Usage) -> Usage:
    return replace(usage, input=usage.prompt, cache_read=0, cache_write=0, batch=False)


# what was meant to be reached


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One target of cost: what it is about, what was reached and what it must stay below, in micro-dollars (KPI-01)."""

    name: str
    reached: MicroDollars
    below: MicroDollars

    @property
    def met(self) -> bool:
        """Say whether it is kept."""
        return self.reached < self.below


CEILING: Final[MicroDollars] = 10 * DOLLAR
"""Of a day, allowances included; it is reported and enforced by the limit and the count of allowances."""
DAY_TARGET: Final[MicroDollars] = 5 * DOLLAR
MONTH_TARGET: Final[MicroDollars] = 150 * DOLLAR
TYPICAL_MONTH: Final[MicroDollars] = 30 * DOLLAR
REQUEST_TARGET: Final[MicroDollars] = 1_000
CHEAP: Final = frozenset({Rung.RULES, Rung.EDGE, Rung.HAIKU})
"""The rungs on which one request is to cost less than a tenth of a cent on average."""


def targets(month: BudgetMonth, charges: Iterable[Charge]) -> Sequence[Target]:
    """Hold a month's dearest day, the month and its cheap requests against their targets; averages round up."""
    cheap = [charge.cost for charge in charges if charge.rung in CHEAP]
    dearest = max((day.spent for day in month.days.values()), default=0)
    return [
        Target(name="dearest day, ceiling", reached=dearest, below=CEILING),
        Target(name="dearest day", reached=dearest, below=DAY_TARGET),
        Target(name="month", reached=month.spent, below=MONTH_TARGET),
        Target(name="typical month", reached=month.spent, below=TYPICAL_MONTH),
        Target(
            name="a request to the edge or Haiku",
            reached=-(-sum(cheap) // len(cheap)) if cheap else 0,
            below=REQUEST_TARGET,
        ),
    ]


# whether it agrees


def disagreements(month: BudgetMonth, charges: Iterable[Charge], rules: BudgetRules) -> Sequence[str]:
    """Name everything in which a month's counters, its reservations, its records and its limits do not agree.

    A charge whose reservation is still open was recorded and is about to be counted, so it is left out. With a grant
    used on a day, that day's envelopes hold less than its records.
    """
    counted = [charge for charge in charges if charge.id not in month.open]
    found = _unlike("month: spent and the charges on record", month.spent, _cost(counted))
    held = sum(one.amount for one in month.open.values())
    found += _unlike("month: reserved and the open reservations", month.reserved, held)
    found += _over("month", month.committed, rules.month)
    days = {*month.days, *(charge.day for charge in counted), *(one.day for one in month.open.values())}
    for day in sorted(days):
        found += disagreements_of_day(month, day, [charge for charge in counted if charge.day == day], rules)
    return found


def disagreements_of_day(month: BudgetMonth, day: date, charges: Sequence[Charge], rules: BudgetRules) -> list[str]:
    """Name the same of one day; `charges` are those of the day whose reservations are not open any more."""
    counters = month.day(day)
    held = [one for one in month.open.values() if one.day == day]
    found = _unlike(f"{day}: spent and the charges on record", counters.spent, _cost(charges))
    found += _unlike(f"{day}: reserved and the open reservations", counters.reserved, sum(one.amount for one in held))
    found += _over(str(day), counters.committed, rules.day + month.granted(day))
    if month_of(day) != month.month:
        found.append(f"{day} stands in {month.month:%Y-%m}")
    if not any(grant.used for grant in month.grants.values() if grant.day == day):
        for envelope in Envelope:
            recorded = _cost(charge for charge in charges if charge.envelope is envelope)
            waiting = sum(one.amount for one in held if one.envelope is envelope)
            name = f"{day}: envelope {envelope.value} and its records"
            found += _unlike(name, counters.envelopes.get(envelope, 0), recorded + waiting)
    return found


def _cost(charges: Iterable[Charge]) -> MicroDollars:
    return sum(charge.cost for charge in charges)


def _unlike(what: str, counter: MicroDollars, recorded: MicroDollars) -> list[str]:
    if counter == recorded:
        return []
    return [f"{what} differ by {counter - recorded:+,} micro-dollars (${exactly(counter)} and ${exactly(recorded)})"]


def _over(what: str, committed: MicroDollars, limit: MicroDollars) -> list[str]:
    if committed <= limit:
        return []
    return [f"{what}: ${in_dollars(committed)} is spent or reserved of ${in_dollars(limit)}"]


def exactly(amount: MicroDollars) -> str:
    """Write an amount in dollars with all six places."""
    sign, whole = ("-" if amount < 0 else ""), abs(amount)
    return f"{sign}{whole // 1_000_000}.{whole % 1_000_000:06d}"


# what the provider counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a provider's own report says of one model on one UTC day, tokens by kind; `cost` where it names money."""

    day: date
    model: ModelId
    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cost: MicroDollars | None = None


KINDS: Final = ("input", "output", "cache_read", "cache_write")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One model on one UTC day: what we recorded, what the provider counted, and what of that we cannot account for.

    Calls without a count to rely on were booked with their whole reservations: `covering` micro-dollars in all, which
    must cover whatever the provider counted beyond our tokens. `missing` says what they do not cover; empty is well.
    """

    day: date
    model: ModelId
    ours: Spending
    theirs: Counted
    covering: MicroDollars
    missing: str

    @property
    def differs(self) -> bool:
        """Say whether the two counts are not the same."""
        same = all(getattr(self.ours, kind) == getattr(self.theirs, kind) for kind in KINDS)
        return bool(self.missing) or not (same or self.theirs.cost is not None)


def compare(charges: Iterable[Charge], report: Sequence[Counted], prices: PriceTable) -> Sequence[Compared]:
    """Hold our records against a provider's report, for every day that the report covers and every model in either.

    A provider's day is a date in UTC; a call is theirs on the day on which it ended.
    """
    days = {one.day for one in report}
    theirs = _added(report)
    ours = _grouped((c for c in charges if _utc_day(c) in days), lambda charge: (_utc_day(charge), charge.model))
    keys = sorted({*theirs, *ours})
    return [_compared(key, ours.get(key, []), theirs.get(key), prices) for key in keys]


def _compared(
    key: tuple[date, ModelId], charges: Sequence[Charge], theirs: Counted | None, prices: PriceTable
) -> Compared:
    day, model = key
    counted = [charge for charge in charges if charge.usage is not None and charge.booked not in _WHOLE]
    ours = replace(spending(counted), calls=len(charges), cost=_cost(charges))
    theirs = theirs or Counted(day=day, model=model)
    covering = ours.cost - _cost(counted)
    if theirs.cost is not None:
        surplus = theirs.cost - ours.cost
        missing = f"${exactly(surplus)} more than recorded" if surplus > 0 else ""
    else:
        missing = _missing(ours, theirs, covering, prices)
    return Compared(day=day, model=model, ours=ours, theirs=theirs, covering=covering, missing=missing)


def _missing(ours: Spending, theirs: Counted, covering: MicroDollars, prices: PriceTable) -> str:
    surplus = {kind: max(0, getattr(theirs, kind) - getattr(ours, kind)) for kind in KINDS}
    if not any(surplus.values()):
        return ""
    words = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in surplus.items() if count)
    noon = datetime(theirs.day.year, theirs.day.month, theirs.day.day, 12, tzinfo=UTC)
    try:
        worth = prices.charge(theirs.model, noon, Usage(**surplus))
    except Unpriced as problem:
        return f"{words} tokens more than recorded ({problem})"
    if worth <= covering:
        return ""
    return f"{words} tokens more than recorded, worth ${exactly(worth - covering)}"


def _added(report: Iterable[Counted]) -> Mapping[tuple[date, ModelId], Counted]:
    """Add up the rows of one day and model, as a report split by tier, workspace or length has them."""
    found: dict[tuple[date, ModelId], Counted] = {}
    for row in report:
        known = found.get((row.day, row.model))
        if known is None:
            found[row.day, row.model] = row
            continue
        costs = [one.cost for one in (known, row) if one.cost is not None]
        found[row.day, row.model] = replace(
            known,
            **{kind: getattr(known, kind) + getattr(row, kind) for kind in KINDS},
            cost=sum(costs) if costs else None,
        )
    return found


def days_of(month: date) -> Sequence[date]:
    """List the days of a month, given any of them."""
    first = month_of(month)
    days = (first + timedelta(days=number) for number in range(31))
    return [day for day in days if month_of(day) == first]


Key = TypeVar("Key")


def _grouped(charges: Iterable[Charge], key: Callable[[Charge], Key]) -> dict[Key, list[Charge]]:
    groups: dict[Key, list[Charge]] = {}
    for charge in charges:
        groups.setdefault(key(charge), []).append(charge)
    return groups


def _in_order(charges: Iterable[Charge]) -> Sequence[Charge]:
    return sorted(charges, key=lambda charge: (charge.at, charge.id))


def _utc_day(charge: Charge) -> date:
    return charge.at.astimezone(UTC).date()
