"""The item of one month's budget: its attributes, and the month that they add up to.

Everything lies flat beside each other, because an update cannot make a parent and its child at once. Ids may be any
text, so an attribute is named by the hash of its id and keeps the id in its value.

| attribute | what |
|---|---|
| `committed`, `spent` | micro-dollars of the month |
| `d20_committed`, `d20_spent`, `d20_calls` | the same of the 20th, and its calls |
| `d20_e_news` | what is committed of an envelope |
| `d20_decisions`, `d20_warned` | sets of texts, each as JSON |
| `d20_closed` | why nothing more is asked |
| `d20_grants`, `d20_granted` | how many allowances the day has, and their sum |
| `r_` hash | an open reservation: schema, text, and the token of the write that made it |
| `t_` hash | a closed id: when it was issued in microseconds, and the id as JSON |
| `g_` hash | an allowance: schema and text |
| `floor` | microseconds up to which ids are refused |
| `weight` | bytes of all `r_` and `t_` |
| `turn` | how often ids were forgotten, so that two who do it take turns |

A day takes about 250 bytes and as much as the name of each decision, an open reservation 600, a closed id 95. With
those of an hour or two remembered, that is a few KB on the first of a month and some 40 KB on the last; each KB is one
write unit of each write. `MOST_WEIGHT` keeps the whole below what the table takes for an item, so that closing and
forgetting always fit.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping
from datetime import date, datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple

from shared.adapters.aws.table import Attribute, Item, instant, micros
from shared.contracts.stored import GRANT, RESERVATION, NewerSchema, StoredForm, Unreadable
from shared.domain.budget import (
    BudgetDay,
    BudgetMonth,
    DecisionId,
    Envelope,
    Grant,
    GrantId,
    Reservation,
    ReservationId,
)
from shared.domain.errors import InvalidValue

SCHEMA: Final = RESERVATION.schema + GRANT.schema - 1
"""The schema of the attributes. It rises with that of the texts in them: a version of the program that cannot read
what is held is refused before it holds more, which it could only lose."""
MOST_WEIGHT: Final = 200 * 1024
"""Bytes of open and remembered ids above which nothing more is reserved."""
LONGEST_ID: Final = 128
"""Bytes of an id of a decision or a grant, or of a level: those are kept for the whole month."""

_DAY: Final = re.compile(r"d(\d\d)_(\w+)")
_ENVELOPE: Final = "e_"


def day_name(day: date, what: str) -> str:
    """Name an attribute of a day."""
    return f"d{day.day:02}_{what}"


def envelope_name(day: date, envelope: Envelope) -> str:
    """Name the attribute of a day's envelope."""
    return day_name(day, _ENVELOPE + envelope)


def held_name(reservation: ReservationId) -> str:
    """Name the attribute of an open reservation."""
    return _hashed("r", reservation)


def closed_name(reservation: ReservationId) -> str:
    """Name the attribute that remembers a closed id."""
    return _hashed("t", reservation)


def grant_name(grant: GrantId) -> str:
    """Name the attribute of an allowance."""
    return _hashed("g", grant)


def held_start(held: Reservation) -> str:
    """Write a reservation as its attribute begins, whoever reserved it."""
    return f"{RESERVATION.schema}|{RESERVATION.dumps(held)}|"


def closed_text(held: Reservation) -> str:
    """Write what is remembered of a closed reservation."""
    return f"{micros(held.issued_at)}|{json.dumps(held.id)}"


def grant_text(grant: Grant) -> str:
    """Write an allowance."""
    return f"{GRANT.schema}|{GRANT.dumps(grant)}"


def member(field: str, text: str) -> str:
    """Write a text that a set keeps for the month. Raises InvalidValue for a long one."""
    written = json.dumps(text)
    if len(written) > LONGEST_ID:
        raise InvalidValue(field, text, f"at most {LONGEST_ID} bytes as JSON")
    return written


def weight_of(name: str, text: Attribute) -> int:
    """Count the bytes of an attribute; both are ASCII."""
    return len(name) + len(str(text))


class Tombstone(NamedTuple):
    """What the item remembers of a closed id."""

    id: ReservationId
    issued_at: datetime


def tombstones(item: Item) -> Mapping[str, Tombstone]:
    """Read the closed ids by the names of their attributes. Raises ValueError or TypeError."""
    return {name: _tombstone(value) for name, value in item.items() if name.startswith("t_")}


def read_month(item: Item | None, month: date, place: str) -> BudgetMonth:
    """Read the month of an item; an absent one is empty.

    Raises NewerSchema, and Unreadable also when the parts do not add up: then nobody knows what is left.
    """
    if item is None:
        return BudgetMonth(month=month)
    schema = item.get("schema")
    if not isinstance(schema, int):
        raise Unreadable(f"{place}: schema is missing")
    if schema > SCHEMA:
        raise NewerSchema(place, schema, SCHEMA)
    try:
        found = _month(item, month, place)
    except (KeyError, TypeError, ValueError) as problem:
        raise Unreadable(f"{place}: not a stored budget: {type(problem).__name__}") from problem
    _require_sums(item, found, place)
    return found


def _month(item: Item, month: date, place: str) -> BudgetMonth:
    held = [_read(RESERVATION, text, place, signed=True) for text in _of_kind(item, "r_")]
    grants = [_read(GRANT, text, place) for text in _of_kind(item, "g_")]
    floor = item.get("floor")
    return BudgetMonth(
        month=month,
        committed=_whole(item.get("committed", 0)),
        spent=_whole(item.get("spent", 0)),
        days=_days(item, month),
        open={one.id: one for one in held},
        closed={one.id: one.issued_at for one in tombstones(item).values()},
        grants={grant.id: grant for grant in grants},
        floor=None if floor is None else instant(_whole(floor)),
    )


def _days(item: Item, month: date) -> Mapping[date, BudgetDay]:
    parts: dict[date, dict[str, Attribute]] = defaultdict(dict)
    for name, value in item.items():
        named = _DAY.fullmatch(name)
        if named is not None and named[2] not in ("grants", "granted"):
            parts[month.replace(day=int(named[1]))][named[2]] = value
    return {day: _day(found) for day, found in sorted(parts.items())}


def _day(parts: Mapping[str, Attribute]) -> BudgetDay:
    envelopes = {name.removeprefix(_ENVELOPE): value for name, value in parts.items() if name.startswith(_ENVELOPE)}
    return BudgetDay(
        committed=_whole(parts.get("committed", 0)),
        spent=_whole(parts.get("spent", 0)),
        envelopes={Envelope(name): _whole(value) for name, value in envelopes.items()},
        decisions=frozenset(map(DecisionId, _members(parts.get("decisions")))),
        calls=_whole(parts.get("calls", 0)),
        closed=_text(parts.get("closed", "")),
        warned=_members(parts.get("warned")),
    )


def _require_sums(item: Item, month: BudgetMonth, place: str) -> None:
    granted: dict[str, int] = defaultdict(int)
    for grant in month.grants.values():
        granted[day_name(grant.day, "granted")] += grant.amount
        granted[day_name(grant.day, "grants")] += 1
    sums = {
        "committed": month.committed == sum(day.committed for day in month.days.values()),
        "spent": month.spent == sum(day.spent for day in month.days.values()),
        "reservations": month.reserved == sum(held.amount for held in month.open.values()),
        "grants": granted == {name: item[name] for name in item if name.endswith(("_granted", "_grants"))},
    }
    wrong = [name for name, fits in sums.items() if not fits]
    if wrong:
        raise Unreadable(f"{place}: not a stored budget: {', '.join(wrong)} do not add up")


def _read(form: StoredForm[Any], text: Attribute, place: str, *, signed: bool = False) -> Any:
    schema, _, body = _text(text).partition("|")
    if signed:
        body = body.rpartition("|")[0]
    return form.loads(body, schema=int(schema), version=0, item=place)


def _of_kind(item: Item, prefix: str) -> list[Attribute]:
    return [value for name, value in item.items() if name.startswith(prefix)]


def _tombstone(value: Attribute) -> Tombstone:
    issued, _, name = _text(value).partition("|")
    return Tombstone(ReservationId(_text(json.loads(name))), instant(int(issued)))


def _members(value: Attribute | None) -> frozenset[str]:
    if value is None:
        return frozenset()
    if not isinstance(value, frozenset):
        raise TypeError("a set")
    return frozenset(_text(json.loads(text)) for text in value)


def _whole(value: Attribute) -> int:
    if not isinstance(value, int):
        raise TypeError("a whole number")
    return value


def _text(value: Attribute) -> str:
    if not isinstance(value, str):
        raise TypeError("text")
    return value


def _hashed(kind: str, text: str) -> str:
    return f"{kind}_{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"
