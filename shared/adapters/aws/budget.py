"""The budget in DynamoDB: one item a month whose limits are conditions of the updates that count (BEY-01).

| what | pk | sk | beside it |
|---|---|---|---|
| month of the budget | `budget` | `2026-11` | see `budget_item` |
| claims of a piece of work | `work#` id | `work` | no body: `count`, `expires` |
| known answer | `answer#` key | `answer` | `expires` |
| switches of models | `controls` | `models` | the last writer wins |
| charge, in the journal table | `charges#` day | `call#` id | written once |

Each reservation and each settlement is one update: the table adds and compares by itself, so that parallel writers
never wait for each other. When the condition fails, the item that stood there says why, by the rule that every store
shares. An answer that was lost is no doubt while the reservation stands: it carries the token of the write that made
it. Whatever else cannot be told apart raises Unavailable, and then nothing is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple
from uuid import uuid4

from shared.adapters.aws.budget_item import (
    MOST_WEIGHT,
    SCHEMA,
    closed_name,
    closed_text,
    day_name,
    envelope_name,
    grant_name,
    grant_text,
    held_name,
    held_start,
    member,
    read_month,
    tombstones,
    weight_of,
)
from shared.adapters.aws.stored_items import StoredItems
from shared.adapters.aws.table import (
    ABSENT,
    Attribute,
    Change,
    Condition,
    Item,
    Key,
    Table,
    Updated,
    absent,
    all_of,
    at_most,
    expiry,
    key_part,
    micros,
)
from shared.contracts.stored import CHARGE, KNOWN_ANSWER, SWITCHES, NewerSchema, Unreadable
from shared.domain.budget import (
    Bounds,
    BudgetMonth,
    BudgetRules,
    Denied,
    Grant,
    GrantId,
    Reservation,
    ReservationId,
    granted,
    judge,
    month_of,
)
from shared.domain.calls import WorkId
from shared.domain.charges import Charge
from shared.domain.errors import InvalidValue, Unavailable
from shared.domain.model_prices import MicroDollars
from shared.domain.providers import SHIPPED, Catalogue, Switches
from shared.ports.budget import KnownAnswer

_TRIES: Final = 5
_AT_ONCE: Final = 80
"""Ids forgotten in one update: an expression may have 4 KB."""
_TURNS: Final = 100
"""More than it takes to forget all that fits into an item."""
_PLAIN_SCHEMA: Final = 1
_WORK_KEPT_FOR: Final = timedelta(days=60)
"""Longer than any piece of work is tried again."""
_SWITCHES: Final = Key("controls", "models")


class DynamoBudgets:
    """The ledger, one item a month."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def reserve(self, wanted: Reservation, bounds: Bounds) -> BudgetMonth | Denied:
        """Hold money if it may be held; a granted call looks at its grant first."""
        key, token = _key(wanted.day), uuid4().hex
        name, text = held_name(wanted.id), held_start(wanted) + token
        item = None if wanted.grant is None else self._table.get(key)
        for _ in range(_TRIES):
            if wanted.grant is None:
                admission = _admission(wanted, bounds)
            else:
                month = self._read(item, wanted.day)
                denied = judge(month, wanted, bounds)
                if denied is not None:
                    return denied
                admission = _granted_admission(wanted, bounds, month, item or {})
            change, when = admission.with_text(wanted, name, text)
            outcome = self._table.update(key, change, schema=SCHEMA, token=token, when=when)
            item = outcome.item
            month = self._read(item, wanted.day)
            if outcome.done or _stands(item, name, text):
                return month
            denied = judge(month, wanted, bounds)
            if denied is not None:
                return self._certain(denied, wanted, month, outcome)
            self._require_room(key, item, weight_of(name, text))
        raise self._restless(key)

    def close(self, held: Reservation, cost: MicroDollars) -> BudgetMonth:
        key, token = _key(held.day), uuid4().hex
        name, text = held_name(held.id), held_start(held) + token
        for _ in range(_TRIES):
            start = text[: text.rindex("|") + 1]
            when = Condition(f"begins_with(#{name}, :start)", {"start": start})
            change = _closing(held, cost, weight_of(name, text))
            outcome = self._table.update(key, change, schema=SCHEMA, token=token, when=when)
            month = self._read(outcome.item, held.day)
            if outcome.done or outcome.item is None or month.open.get(held.id) != held:
                return month
            text = str(outcome.item[name])
        raise self._restless(key)

    def grant(self, grant: Grant, rules: BudgetRules) -> BudgetMonth | Denied:
        key, count = _key(grant.day), day_name(grant.day, "grants")
        member("grant.id", grant.id)
        change = Change(
            {grant_name(grant.id): grant_text(grant)}, {count: 1, day_name(grant.day, "granted"): grant.amount}
        )
        when = all_of(
            absent(grant_name(grant.id)),
            at_most(count, rules.grants_a_day - 1),
            at_most("committed", rules.month - grant.amount),
        )
        for _ in range(_TRIES):
            outcome = self._table.update(key, change, schema=SCHEMA, when=when)
            month = self._read(outcome.item, grant.day)
            if outcome.done:
                return month
            found = granted(month, grant, rules)
            if isinstance(found, Denied) or grant.id in month.grants:
                return found
        raise self._restless(key)

    def close_day(self, day: date, why: str) -> None:
        if not why:
            raise InvalidValue("budget.closed", why, "a reason")
        name = day_name(day, "closed")
        self._table.update(_key(day), Change({name: why}), schema=SCHEMA, when=absent(name))

    def warned(self, day: date, level: str) -> None:
        told = frozenset({member("budget.warned", level)})
        self._table.update(_key(day), Change(adds={day_name(day, "warned"): told}), schema=SCHEMA)

    def prune(self, month: date, before: datetime) -> None:
        """Forget in steps, each of which takes its turn; the first already refuses what all of them forget."""
        key = _key(month)
        item, turns = self._table.get(key), 0
        while turns < _TURNS:
            floor = self._read(item, month).floor
            raised = before if floor is None else max(before, floor)
            old = {} if item is None else {n: t for n, t in tombstones(item).items() if t.issued_at <= raised}
            if raised == floor and not old:
                return
            names = list(old)[:_AT_ONCE]
            freed = sum(weight_of(name, item[name]) for name in names) if item is not None else 0
            turn = item.get("turn") if item is not None else None
            change = Change({"floor": micros(raised)}, {"turn": 1, "weight": -freed}, names)
            when = absent("turn") if turn is None else Condition("#turn = :turn", {"turn": turn})
            item, turns = self._table.update(key, change, schema=SCHEMA, when=when).item, turns + 1
        raise self._restless(key)

    def month(self, month: date) -> BudgetMonth:
        return self._read(self._table.get(_key(month)), month)

    def _read(self, item: Item | None, day: date) -> BudgetMonth:
        return read_month(item, month_of(day), self._table.item_name(_key(day)))

    def _certain(self, denied: Denied, wanted: Reservation, month: BudgetMonth, outcome: Updated) -> Denied:
        """Give a refusal, unless the closed id may be that of our own reservation, whose answer was lost."""
        if outcome.repeated and wanted.id in month.closed:
            name = self._table.item_name(_key(wanted.day))
            raise Unavailable(f"{name}: whether {wanted.id} was reserved by this call is unknown")
        return denied

    def _require_room(self, key: Key, item: Item | None, needed: int) -> None:
        weight = 0 if item is None else item.get("weight", 0)
        if isinstance(weight, int) and weight + needed > MOST_WEIGHT:
            raise Unavailable(
                f"{self._table.item_name(key)}: {weight} bytes of open and remembered calls, at most {MOST_WEIGHT}: "
                "nothing more is reserved until some are settled and forgotten"
            )

    def _restless(self, key: Key) -> Unavailable:
        return Unavailable(f"{self._table.item_name(key)}: changed at every one of our tries")


class DynamoCharges:
    """The final record of each call, in the journal's table."""

    def __init__(self, journal: Table) -> None:
        self._table = journal
        self._charges = StoredItems(journal, CHARGE)

    def put(self, charge: Charge) -> Charge:
        if self._charges.put(_charge_key(charge.day, charge.id), charge, when=ABSENT):
            return charge
        standing = self.get(charge.day, charge.id)
        if standing is None:
            raise Unavailable(f"{self._table.name}: the charge of {charge.id} is there and cannot be found")
        return standing

    def get(self, day: date, reservation: ReservationId) -> Charge | None:
        return self._charges.get(_charge_key(day, reservation))

    def of_day(self, day: date) -> Sequence[Charge]:
        found = [self._charges.read(item) for item in self._table.query(_charges_of(day))]
        return sorted(found, key=lambda charge: (charge.at, charge.id))


class DynamoWorkCharges:
    """How often each piece of work was charged.

    A claim whose answer is lost while another claim goes over it may count twice, never not at all.
    """

    def __init__(self, table: Table) -> None:
        self._table = table

    def claim(self, work: WorkId, most: int, now: datetime) -> int | None:
        change = Change({"expires": expiry(now + _WORK_KEPT_FOR)}, {"count": 1})
        outcome = self._table.update(_work(work), change, schema=_PLAIN_SCHEMA, when=at_most("count", most - 1))
        count = self._count(work, outcome.item)
        return count if outcome.done else None

    def give_back(self, work: WorkId, number: int) -> None:
        item = self._table.get(_work(work))
        if item is None or self._count(work, item) != number:
            return
        same = Condition("#count = :number AND #token = :seen", {"number": number, "seen": item["token"]})
        self._table.update(_work(work), Change({"count": number - 1}), schema=_PLAIN_SCHEMA, when=same)

    def _count(self, work: WorkId, item: Item | None) -> int:
        count = item.get("count") if item is not None else 0
        if not isinstance(count, int):
            raise Unreadable(f"{self._table.item_name(_work(work))}: count is missing")
        return count


class DynamoKnownAnswers:
    """Answers that were paid for."""

    def __init__(self, table: Table) -> None:
        self._answers = StoredItems(table, KNOWN_ANSWER)

    def get(self, key: str, now: datetime) -> KnownAnswer | None:
        answer = self._answers.get(_answer(key))
        return answer if answer is not None and answer.until > now else None

    def put(self, key: str, answer: KnownAnswer) -> None:
        self._answers.put(_answer(key), answer, expires=expiry(answer.until))


class DynamoChoices:
    """The shipped catalogue with the stored switches."""

    def __init__(self, table: Table, shipped: Catalogue = SHIPPED) -> None:
        self._table = table
        self._stored = StoredItems(table, SWITCHES)
        self._shipped = shipped

    def catalogue(self) -> Catalogue:
        try:
            return self._shipped.with_switches(self.switches())
        except InvalidValue as problem:
            raise Unreadable(f"{self._table.item_name(_SWITCHES)}: {problem}") from problem

    def switches(self) -> Switches:
        """Return what people changed; what a newer version of the program stored cannot be read."""
        try:
            return self._stored.get(_SWITCHES) or Switches()
        except NewerSchema as problem:
            raise Unreadable(str(problem)) from problem

    def switch(self, switches: Switches) -> None:
        """Keep switches that fit the catalogue. Raises InvalidValue for others."""
        self._shipped.with_switches(switches)
        self._stored.put(_SWITCHES, switches)


class _Admission(NamedTuple):
    """What admits a reservation: the change, and what must hold for it."""

    change: Change
    conditions: Sequence[Condition]

    def with_text(self, wanted: Reservation, name: str, text: str) -> tuple[Change, Condition]:
        """Add what every reservation counts and must meet, its text among it."""
        weight = weight_of(name, text)
        counted: dict[str, Attribute] = {"weight": weight, day_name(wanted.day, "calls"): 1}
        counted |= _in_both(wanted.day, "committed", wanted.amount)
        late = Condition("#floor < :issued", {"issued": micros(wanted.issued_at)})
        when = all_of(
            *self.conditions,
            absent(name),
            absent(closed_name(wanted.id)),
            absent("floor") | late,
            absent(day_name(wanted.day, "closed")),
            at_most("weight", MOST_WEIGHT - weight),
        )
        return self.change | Change({name: text}, counted), when


def _admission(wanted: Reservation, bounds: Bounds) -> _Admission:
    """Keep a reservation within month, day, envelope and count."""
    envelope = envelope_name(wanted.day, wanted.envelope)
    adds: dict[str, Attribute] = {envelope: wanted.amount}
    conditions = [
        *_within(wanted, bounds.month, bounds.day),
        at_most(envelope, bounds.envelope - wanted.amount),
    ]
    if wanted.decision is not None:
        name, decision = day_name(wanted.day, "decisions"), member("reservation.decision", wanted.decision)
        adds[name] = frozenset({decision})
        conditions.append(_counted_or_below(name, decision, bounds.decisions))
    return _Admission(Change(adds=adds), conditions)


def _granted_admission(wanted: Reservation, bounds: Bounds, month: BudgetMonth, item: Item) -> _Admission:
    """Keep a granted reservation within its unused grant, month and raised day, all as they were read."""
    grant = month.grants[GrantId(str(wanted.grant))]
    name, total = grant_name(grant.id), day_name(wanted.day, "granted")
    granted_today = month.granted(wanted.day)
    conditions = [
        *_within(wanted, bounds.month, bounds.day + granted_today),
        Condition(f"#{name} = :unused", {"unused": item[name]}),
        Condition(f"#{total} = :granted", {"granted": granted_today}),
    ]
    return _Admission(Change({name: grant_text(replace(grant, used=True))}), conditions)


def _within(wanted: Reservation, month: MicroDollars, day: MicroDollars) -> list[Condition]:
    return [
        at_most("committed", month - wanted.amount),
        at_most(day_name(wanted.day, "committed"), day - wanted.amount),
    ]


def _counted_or_below(name: str, decision: str, most: int) -> Condition:
    """Let a decision count once, and another one only below the cap."""
    counted = Condition(f"contains(#{name}, :decision)", {"decision": decision})
    if most < 1:
        return counted
    return absent(name) | counted | Condition(f"size(#{name}) < :decisions", {"decisions": most})


def _closing(held: Reservation, cost: MicroDollars, weight: int) -> Change:
    """Turn a reservation whose attribute weighs so much into its cost, and remember its id."""
    name, text = closed_name(held.id), closed_text(held)
    adds = _in_both(held.day, "committed", cost - held.amount) | _in_both(held.day, "spent", cost)
    if held.grant is None:
        adds[envelope_name(held.day, held.envelope)] = cost - held.amount
    adds["weight"] = weight_of(name, text) - weight
    return Change({name: text}, adds, [held_name(held.id)])


def _in_both(day: date, counter: str, amount: MicroDollars) -> dict[str, Attribute]:
    return {counter: amount, day_name(day, counter): amount}


def _stands(item: Item | None, name: str, text: str) -> bool:
    return item is not None and item.get(name) == text


def _key(day: date) -> Key:
    return Key("budget", day.isoformat()[:7])


def _charges_of(day: date) -> str:
    return f"charges#{day.isoformat()}"


def _charge_key(day: date, reservation: ReservationId) -> Key:
    return Key(_charges_of(day), f"call#{key_part(reservation)}")


def _work(work: WorkId) -> Key:
    return Key(f"work#{key_part(work)}", "work")


def _answer(key: str) -> Key:
    return Key(f"answer#{key_part(key)}", "answer")
