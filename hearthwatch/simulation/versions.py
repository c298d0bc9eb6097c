"""Two versions of the program over one Book: each item is a text with a schema number, as in the tables (fault 42).

The newer version is one whose forms are a schema ahead; its upgrade changes nothing but the number, so that what both
versions write means the same. The older one is the program as it is: what the newer wrote, it must neither use nor
overwrite.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, NamedTuple, TypeVar

from shared.bootstrap.wiring import GivenPorts
from shared.contracts.stored import (
    BROKER_FACTS,
    INCIDENT,
    KILL_SWITCH,
    LEDGER,
    POSITION,
    TRADING_STATE,
    NewerSchema,
    StoredForm,
)
from shared.domain.alerts import Incident
from shared.domain.intents import AccountId
from shared.domain.ledger import Ledger
from shared.domain.positions import Position
from shared.domain.reconciliation import BrokerFacts
from shared.domain.trading_state import UNREADABLE_KILL_SWITCH, KillSwitch, TradingState
from shared.ports.book import Readable

T = TypeVar("T")

FORMS: Final[tuple[StoredForm[Any], ...]] = (LEDGER, POSITION, BROKER_FACTS, KILL_SWITCH, TRADING_STATE, INCIDENT)
"""The kinds of item that a newer version may have changed."""


class _Text(NamedTuple):
    schema: int
    body: str


class Shelf:
    """The texts of all items, beside the values that the memory adapters hold; both versions write here."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self._texts: dict[tuple[str, str], _Text] = {}
        self._read: dict[tuple[str, int, int, str], Any] = {}

    def write(self, form: StoredForm[T], key: str, value: T) -> None:
        """Store the text of a value as the given form has it; no older version ever stores over a newer one."""
        standing = self._texts.get((form.name, key))
        if standing is not None and standing.schema > form.schema:
            raise AssertionError(f"{form.name} {key}: schema {standing.schema} overwritten by {form.schema}")
        self._texts[form.name, key] = _Text(form.schema, form.dumps(value))

    def read(self, form: StoredForm[T], key: str, value: T) -> T:
        """Read the text of a value that the memory holds; what was there from the start has the older form.

        Raises NewerSchema.
        """
        text = self._texts.get((form.name, key))
        if text is None:
            return value
        version = getattr(value, "version", 0)
        known = (form.name, form.schema, version, text.body)
        if text.schema > form.schema:
            self.refused[f"older version kept from reading: {form.name}"] += 1
        if known not in self._read or text.schema > form.schema:
            self._read[known] = form.loads(text.body, schema=text.schema, version=version, item=f"{form.name} {key}")
        read: T = self._read[known]
        return read

    def forget(self, form: StoredForm[T], key: str) -> None:
        """Drop the text of an item that was removed."""
        self._texts.pop((form.name, key), None)

    def refuse_newer(self, form: StoredForm[T], key: str) -> None:
        """Raise NewerSchema when a newer version wrote the item, as a condition of the table does."""
        text = self._texts.get((form.name, key))
        if text is not None and text.schema > form.schema:
            self.refused[f"older version kept from writing: {form.name}"] += 1
            raise NewerSchema(f"{form.name} {key}", text.schema, form.schema)


class Version:
    """One version of the program: the forms it knows."""

    def __init__(self, shelf: Shelf, changed: Sequence[StoredForm[Any]] = ()) -> None:
        self._shelf = shelf
        self._forms = {form.name: _ahead(form) if form in changed else form for form in FORMS}

    def over(self, ports: GivenPorts) -> GivenPorts:
        """Give the ports as this version sees them."""
        return replace(
            ports,
            ledgers=_Ledgers(self, ports.ledgers),
            positions=_Positions(self, ports.positions),
            records=_Records(self, ports.records),
            controls=_Controls(self, ports.controls),
            outbox=_Outbox(self, ports.outbox),
        )

    def read(self, form: StoredForm[T], key: str, value: T) -> T:
        """Read an item; raises NewerSchema."""
        return self._shelf.read(self._form(form), key, value)

    def write(self, form: StoredForm[T], key: str, value: T, save: Callable[[T], T | None]) -> T:
        """Write a value through its memory adapter, and its text; raises NewerSchema and what the adapter raises."""
        known = self._form(form)
        self._shelf.refuse_newer(known, key)
        saved = save(value)
        stored = value if saved is None else saved
        self._shelf.write(known, key, stored)
        return stored

    def remove(self, form: StoredForm[T], key: str, value: T, remove: Callable[[T], None]) -> None:
        """Remove an item, and its text; raises NewerSchema and what the adapter raises."""
        self._shelf.refuse_newer(self._form(form), key)
        remove(value)
        self._shelf.forget(form, key)

    def _form(self, form: StoredForm[T]) -> StoredForm[T]:
        return self._forms[form.name]


class _Through:
    """Passes on whatever has no text of its own."""

    def __init__(self, version: Version, adapter: Any) -> None:
        self._version = version
        self._adapter = adapter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._adapter)})


class _Ledgers(_Through):
    def load(self, account: AccountId) -> Ledger:
        stored: Ledger = self._adapter.load(account)
        return self._version.read(LEDGER, account, stored)

    def save(self, ledger: Ledger) -> Ledger:
        return self._version.write(LEDGER, ledger.account, ledger, self._adapter.save)


class _Positions(_Through):
    def all(self) -> Sequence[Position]:
        return [self._version.read(POSITION, value.symbol, value) for value in self._adapter.all()]

    def readable(self) -> Readable:
        found, problems = [], []
        for value in self._adapter.all():
            try:
                found.append(self._version.read(POSITION, value.symbol, value))
            except NewerSchema as problem:
                problems.append(str(problem))
        return Readable(found, problems)

    def put(self, position: Position) -> Position:
        return self._version.write(POSITION, position.symbol, position, self._adapter.put)

    def remove(self, position: Position) -> None:
        self._version.remove(POSITION, position.symbol, position, self._adapter.remove)


class _Records(_Through):
    def last(self) -> BrokerFacts | None:
        facts = self._adapter.last()
        return None if facts is None else self._version.read(BROKER_FACTS, "", facts)

    def put(self, facts: BrokerFacts) -> BrokerFacts:
        return self._version.write(BROKER_FACTS, "", facts, self._adapter.put)


class _Controls(_Through):
    def kill_switch(self) -> KillSwitch:
        stored: KillSwitch = self._adapter.kill_switch()
        try:
            return self._version.read(KILL_SWITCH, "", stored)
        except NewerSchema:
            return UNREADABLE_KILL_SWITCH

    def set_kill_switch(self, switch: KillSwitch) -> None:
        self._version.write(KILL_SWITCH, "", switch, self._adapter.set_kill_switch)

    def trading_state(self) -> TradingState | None:
        state = self._adapter.trading_state()
        return None if state is None else self._version.read(TRADING_STATE, "", state)

    def publish_trading_state(self, state: TradingState) -> None:
        self._version.write(TRADING_STATE, "", state, self._adapter.publish_trading_state)


class _Outbox(_Through):
    def open_incidents(self, incident_key: str) -> Sequence[Incident]:
        return [self._version.read(INCIDENT, value.key, value) for value in self._adapter.open_incidents(incident_key)]

    def unsettled(self) -> Sequence[Incident]:
        found = []
        for value in self._adapter.unsettled():
            with suppress(NewerSchema):
                found.append(self._version.read(INCIDENT, value.key, value))
        return found

    def put(self, incident: Incident) -> Incident:
        return self._version.write(INCIDENT, incident.key, incident, self._adapter.put)


def _ahead(form: StoredForm[T]) -> StoredForm[T]:
    return StoredForm[T](form.name, form._kind, schema=form.schema + 1, upgrade=lambda fields: fields)
