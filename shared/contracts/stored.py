"""Stored items: the text of everything the tables hold, and the schema number each text carries (faults 33 and 42).

A stored item has one `body`, its value as JSON, beside the attributes that conditions look at: `version` counts writes
and stays out of the body, `schema` says which form the body has. A reader knows its own schema and the one before,
which `upgrade` carries over. What is newer stops it: that code is not meant to understand, and a writer must not
overwrite, what another version of the program has decided. Nothing here reads or writes a table.

Golden texts of each form lie in tests/samples/stored. A change that breaks one needs the next schema number and an
upgrade from the one before; a name or flag is never used again with another meaning.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cached_property
from typing import Any, Final, Generic, TypeVar

from shared.contracts.forms import Form, Misfit, form_of
from shared.domain.alerts import Incident
from shared.domain.assets import Symbol
from shared.domain.budget import Grant, Reservation
from shared.domain.charges import Charge
from shared.domain.coverage import PublishedCoverage
from shared.domain.errors import InvalidValue, Stop, Unavailable
from shared.domain.intents import Intent
from shared.domain.journal import Link
from shared.domain.ledger import Ledger
from shared.domain.losses import Losses
from shared.domain.positions import Position
from shared.domain.providers import Switches
from shared.domain.questions import PendingBatch
from shared.domain.reconciliation import BrokerFacts
from shared.domain.trading_state import KillSwitch, SwitchMode, TradingState
from shared.ports.budget import KnownAnswer
from shared.ports.prices import Minute

T = TypeVar("T")
Fields = dict[str, Any]


class NewerSchema(Stop):
    """A stored item was written by a newer version of the program; this one must neither use nor overwrite it."""

    def __init__(self, item: str, found: int, known: int) -> None:
        super().__init__(
            f"{item}: its schema is {found}, this version of the program knows up to {known}: deploy the newest"
        )
        self.item = item
        self.found = found
        self.known = known


class Unreadable(Unavailable):
    """A stored item is not what its schema says; it counts as one that cannot be had, until a person mends it.

    So nothing new is risked on it, while exits that can do without it go on.
    """


class StoredForm(Generic[T]):
    """The text of one kind of item; `upgrade` turns the fields of the schema before into those of this one."""

    def __init__(
        self, name: str, kind: Any, *, schema: int = 1, upgrade: Callable[[Fields], Fields] | None = None
    ) -> None:
        self.name = name
        self.schema = schema
        self._kind = kind
        self._upgrade = upgrade

    def dumps(self, value: T) -> str:
        """Write a value; the same value gives the same text. Raises InvalidValue for one that could not be read."""
        try:
            plain = self._form.write(value)
        except Misfit as misfit:
            raise InvalidValue(self.name, type(value).__name__, str(misfit)) from misfit
        if self._is_versioned:
            del plain["version"]
        return json.dumps(plain, separators=(",", ":"))

    def loads(self, body: str, *, schema: int, version: int, item: str) -> T:
        """Read the value of a stored version; `item` names it in errors. Raises NewerSchema or Unreadable."""
        if schema > self.schema:
            raise NewerSchema(item, schema, self.schema)
        try:
            value: T = self._form.read(self._current(json.loads(body), schema, version))
        except Misfit as misfit:
            raise Unreadable(f"{item}: not a stored {self.name}: {misfit}") from misfit
        except InvalidValue as problem:
            raise Unreadable(
                f"{item}: not a stored {self.name}: {problem.field}: expected {problem.expected}"
            ) from problem
        except (ValueError, RecursionError) as problem:
            raise Unreadable(f"{item}: not a stored {self.name}: not JSON") from problem
        return value

    def _current(self, plain: Any, schema: int, version: int) -> Any:
        if schema < self.schema:
            if self._upgrade is None or schema != self.schema - 1:
                raise Misfit(f"schema {self.schema} or the one before, found {schema}: upgrade the stored items")
            plain = self._upgrade(plain)
        if self._is_versioned and isinstance(plain, dict):
            return {**plain, "version": version}
        return plain

    @cached_property
    def _form(self) -> Form:
        return form_of(self._kind)

    @cached_property
    def _is_versioned(self) -> bool:
        return is_dataclass(self._kind) and any(field.name == "version" for field in fields(self._kind))


def _switch_with_mode(plain: Any) -> Fields:
    """Give the kill switch of schema 1 its mode: what was set stopped new exposure and let exits go."""
    if not isinstance(plain, dict) or not isinstance(plain.get("engaged"), bool):
        raise Misfit("engaged: expected true or false")
    rest = {name: value for name, value in plain.items() if name != "engaged"}
    return {"mode": SwitchMode.KILL if plain["engaged"] else SwitchMode.OFF, **rest, "at": None}


def _position_with_actions(plain: Any) -> Fields:
    """Give a position of schema 1 what it never noted: which actions of its newest date it holds; all that it knew."""
    if not isinstance(plain, dict):
        raise Misfit("a position")
    return {**plain, "adjusted_for": None}


def _intent_with_rest(plain: Any) -> Fields:
    """Give an intent of schema 1, when no stop rested at the broker, the fields that only those need."""
    return {**_object(plain), "confirmed": False, "withdrawn": ""}


def _ledger_with_rests(plain: Any) -> Fields:
    """Carry the intents of a ledger of schema 1 over; what was tried had not been marked as refused then."""
    fields = _object(plain)
    carried = {
        part: {key: _intent_with_rest(intent) for key, intent in _object(fields.get(part)).items()}
        for part in ("open", "finished")
    }
    tried = {key: {**_object(one), "refused": False} for key, one in _object(fields.get("generations")).items()}
    return {**fields, **carried, "generations": tried, "entries_quiet_until": None}


def _facts_with_history(plain: Any) -> Fields:
    """Give broker facts of schema 1 what was not remembered then: transfers, how often quantities differed, doubts."""
    return {**_object(plain), "transfers": [], "mismatches": 0, "doubted": {}}


def _object(plain: Any) -> Fields:
    if not isinstance(plain, dict):
        raise Misfit("an object")
    return plain


LEDGER: Final = StoredForm[Ledger]("ledger", Ledger, schema=2, upgrade=_ledger_with_rests)
INTENT: Final = StoredForm[Intent]("intent", Intent, schema=2, upgrade=_intent_with_rest)
POSITION: Final = StoredForm[Position]("position", Position, schema=2, upgrade=_position_with_actions)
BROKER_FACTS: Final = StoredForm[BrokerFacts]("broker_facts", BrokerFacts, schema=2, upgrade=_facts_with_history)
KILL_SWITCH: Final = StoredForm[KillSwitch]("kill_switch", KillSwitch, schema=2, upgrade=_switch_with_mode)
TRADING_STATE: Final = StoredForm[TradingState]("trading_state", TradingState)
LOSSES: Final = StoredForm[Losses]("losses", Losses)
COVERAGE: Final = StoredForm[PublishedCoverage]("coverage", PublishedCoverage)
WATCHLIST: Final = StoredForm[tuple[Symbol, ...]]("watchlist", tuple[Symbol, ...])
INCIDENT: Final = StoredForm[Incident]("incident", Incident)
MINUTE: Final = StoredForm[Minute]("minute", Minute)
LINK: Final = StoredForm[Link]("link", Link)
RESERVATION: Final = StoredForm[Reservation]("reservation", Reservation)
GRANT: Final = StoredForm[Grant]("grant", Grant)
CHARGE: Final = StoredForm[Charge]("charge", Charge)
PENDING_BATCH: Final = StoredForm[PendingBatch]("pending_batch", PendingBatch)
KNOWN_ANSWER: Final = StoredForm[KnownAnswer]("known_answer", KnownAnswer)
SWITCHES: Final = StoredForm[Switches]("switches", Switches)
