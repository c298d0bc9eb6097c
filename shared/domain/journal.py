"""The journal: append-only facts, hash-chained per UTC day, in one canonical text form (REC-02, I7).

A link's hash covers its day, number, the hash before it and its fact, so a changed, dropped or reordered link breaks
the chain at that place. The last link's hash is the day's root; published elsewhere, it also proves the end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Final

from shared.domain.errors import InvalidValue
from shared.domain.money import plain
from shared.domain.times import iso, require_utc

Plain = None | bool | int | str | list["Plain"] | dict[str, "Plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened: what kind, when (UTC), and the fields that explain it."""

    kind: str
    at: datetime
    fields: Mapping[str, object]

    def __post_init__(self) -> None:
        require_utc("fact.at", self.at)

    @property
    def day(self) -> date:
        """Give the UTC day whose chain the fact belongs to."""
        return self.at.date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One stored journal entry: number `sequence` of its day, counted from 1."""

    day: date
    sequence: int
    previous: str
    body: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """Where a chain fails to verify, and how."""

    day: date
    sequence: int
    what: str


SCHEMA: Final = 1


def to_plain(value: object) -> Plain:
    """Turn a value into JSON types: decimals and times as text, enums by value; floats by their shortest text."""
    if isinstance(value, Enum):
        return to_plain(value.value)
    if isinstance(value, str):
        # text from outside may hold half a surrogate pair, which no encoding can store
        return value if value.isascii() else value.encode(errors="replace").decode()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted((to_plain(item) for item in value), key=str)
    if isinstance(value, Iterable):
        return [to_plain(item) for item in value]
    raise InvalidValue("journal field", value, "text, numbers, times, or lists and maps of them")


def canonical(value: object) -> str:
    """Write a value as JSON in the one form that is hashed: sorted keys, no spaces, no escapes of letters."""
    return json.dumps(to_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def genesis(day: date) -> str:
    """Give the hash that a day's first link follows."""
    return hashlib.sha256(f"hearthwatch journal {day.isoformat()}".encode()).hexdigest()


def link_hash(day: date, sequence: int, previous: str, body: str) -> str:
    """Compute a link's hash over its place and content."""
    return hashlib.sha256(f"{day.isoformat()}|{sequence}|{previous}|{body}".encode()).hexdigest()


def next_link(head: Link | None, fact: Fact) -> Link:
    """Make the link that follows `head` in the fact's day."""
    if head is not None and head.day != fact.day:
        raise InvalidValue("head.day", head.day, f"the fact's day {fact.day}")
    sequence = head.sequence + 1 if head else 1
    previous = head.hash if head else genesis(fact.day)
    body = canonical({"schema": SCHEMA, "kind": fact.kind, "at": fact.at, "fields": fact.fields})
    return Link(
        day=fact.day,
        sequence=sequence,
        previous=previous,
        body=body,
        hash=link_hash(fact.day, sequence, previous, body),
    )


def first_break(links: Iterable[Link], roots: Mapping[date, str] | None = None) -> Break | None:
    """Verify links in stored order, days one after the other; return the first place that does not fit.

    `roots` are published day roots; a day that ends on another hash was cut or rewritten.
    """
    heads: dict[date, Link] = {}
    for link in links:
        head = heads.get(link.day)
        expected = head.sequence + 1 if head else 1
        if link.sequence != expected:
            return Break(day=link.day, sequence=expected, what=f"expected number {expected}, found {link.sequence}")
        if link.previous != (head.hash if head else genesis(link.day)):
            return Break(day=link.day, sequence=link.sequence, what="does not follow the entry before it")
        if link.hash != link_hash(link.day, link.sequence, link.previous, link.body):
            return Break(day=link.day, sequence=link.sequence, what="content and hash disagree")
        heads[link.day] = link
    for day, root in sorted((roots or {}).items()):
        last = heads.get(day)
        if last is None or last.hash != root:
            return Break(day=day, sequence=last.sequence if last else 0, what="the day does not end on its root")
    return None
