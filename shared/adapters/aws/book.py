"""The Book in DynamoDB: one item per thing that changes, each written on condition that nobody wrote first.

| what | pk | sk | beside `body` |
|---|---|---|---|
| ledger | `ledger` | account | |
| position | `positions` | symbol | |
| broker facts | `broker` | `facts` | |
| kill switch | `controls` | `kill_switch` | the last writer wins |
| losses of day and week | `controls` | `losses` | |
| trading state, coverage | `controls` | `trading_state`, `coverage` | the last writer wins |
| watchlist | `watchlist` | `symbols` | the last writer wins |
| cooldown | `cooldown#` key | `cooldown` | no body: `until`, `expires` |
| lease | `lease#` name | `lease` | no body: `owner`, `until`, `expires` |
| incident | `incident#` kind and subject | opening time and occurrence | `watched` or `expires` |
| disabled channel | `channels` | channel | no body: `until` |
| closed intent, in the journal table | `intent#` id | `closed` | written once |

`until` counts microseconds since 1970, so that conditions can compare it. `expires` is when the table may forget an
item, in seconds; the table does so days later at times, so no rule reads it.

Unsettled incidents are found through the index `watched`, which holds only them and lags behind the table for a
moment. That is safe: who stores an incident delivers it at once, a later sweep finds what the index did not show yet,
and what it still shows in an older version loses its first conditional write.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.adapters.aws.stored_items import StoredItems
from shared.adapters.aws.table import ABSENT, Condition, Item, Key, Table, expiry, instant, key_part, micros, sortable
from shared.contracts.stored import (
    BROKER_FACTS,
    COVERAGE,
    INCIDENT,
    INTENT,
    KILL_SWITCH,
    LEDGER,
    LOSSES,
    POSITION,
    TRADING_STATE,
    WATCHLIST,
    NewerSchema,
    Unreadable,
)
from shared.domain.alerts import Channel, Incident
from shared.domain.assets import Symbol
from shared.domain.coverage import PublishedCoverage
from shared.domain.intents import AccountId, Intent, IntentId
from shared.domain.ledger import Ledger
from shared.domain.losses import Losses
from shared.domain.positions import Position
from shared.domain.reconciliation import BrokerFacts
from shared.domain.trading_state import UNREADABLE_KILL_SWITCH, KillSwitch, SwitchMode, TradingState
from shared.ports.book import Readable

log = logging.getLogger(__name__)

_RECENT: Final = 10
"""Incidents of one kind and subject that are read; the port wants five."""
_SETTLED_FOR: Final = timedelta(days=30)
"""How long a settled incident is kept: longer than a queue keeps a message, so that none tells it again."""
_PLAIN_SCHEMA: Final = 1
"""The schema of items that have no body."""

_FACTS: Final = Key("broker", "facts")
_KILL_SWITCH: Final = Key("controls", "kill_switch")
_TRADING_STATE: Final = Key("controls", "trading_state")
_COVERAGE: Final = Key("controls", "coverage")
_LOSSES: Final = Key("controls", "losses")
_WATCHLIST: Final = Key("watchlist", "symbols")


class DynamoLedgers:
    """The order ledger, and in the journal's table the archive of closed intents."""

    def __init__(self, book: Table, journal: Table) -> None:
        self._ledgers = StoredItems(book, LEDGER)
        self._closed = StoredItems(journal, INTENT)

    def load(self, account: AccountId) -> Ledger:
        return self._ledgers.get(Key("ledger", account)) or Ledger(account=account)

    def save(self, ledger: Ledger) -> Ledger:
        self._ledgers.save(Key("ledger", ledger.account), ledger, version=ledger.version)
        return replace(ledger, version=ledger.version + 1)

    def archive(self, intent: Intent) -> None:
        self._closed.put(_closed(intent.id), intent, when=ABSENT)

    def closed(self, intent_id: IntentId) -> Intent | None:
        return self._closed.get(_closed(intent_id))


class DynamoPositions:
    """Our positions, one per symbol."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._positions = StoredItems(table, POSITION)

    def all(self) -> Sequence[Position]:
        return [self._positions.read(item) for item in self._table.query("positions")]

    def readable(self) -> Readable:
        found: list[Position] = []
        problems: list[str] = []
        for item in self._table.query("positions"):
            try:
                found.append(self._positions.read(item))
            except (NewerSchema, Unreadable) as problem:
                problems.append(str(problem))
        return Readable(found, problems)

    def put(self, position: Position) -> Position:
        self._positions.save(Key("positions", position.symbol), position, version=position.version)
        return replace(position, version=position.version + 1)

    def remove(self, position: Position) -> None:
        self._positions.remove(Key("positions", position.symbol), version=position.version)


class DynamoBrokerRecords:
    """What the broker said at the last reconciliation."""

    def __init__(self, table: Table) -> None:
        self._facts = StoredItems(table, BROKER_FACTS)

    def last(self) -> BrokerFacts | None:
        return self._facts.get(_FACTS)

    def put(self, facts: BrokerFacts) -> BrokerFacts:
        self._facts.save(_FACTS, facts, version=facts.version)
        return replace(facts, version=facts.version + 1)


class DynamoControls:
    """Switches that people and the system set at run time."""

    def __init__(self, table: Table) -> None:
        self._switches = StoredItems(table, KILL_SWITCH)
        self._states = StoredItems(table, TRADING_STATE)
        self._coverages = StoredItems(table, COVERAGE)
        self._losses = StoredItems(table, LOSSES)

    def kill_switch(self) -> KillSwitch:
        """Read the kill switch; one that a newer version of the program wrote counts as set (fault 44)."""
        try:
            return self._switches.get(_KILL_SWITCH) or KillSwitch(mode=SwitchMode.OFF)
        except NewerSchema as problem:
            log.exception("kill switch unreadable, taken as set", extra={"item": problem.item})
            return UNREADABLE_KILL_SWITCH

    def set_kill_switch(self, switch: KillSwitch) -> None:
        self._switches.put(_KILL_SWITCH, switch)

    def trading_state(self) -> TradingState | None:
        return self._states.get(_TRADING_STATE)

    def publish_trading_state(self, state: TradingState) -> None:
        self._states.put(_TRADING_STATE, state)

    def losses(self) -> Losses | None:
        return self._losses.get(_LOSSES)

    def put_losses(self, losses: Losses) -> Losses:
        self._losses.save(_LOSSES, losses, version=losses.version)
        return replace(losses, version=losses.version + 1)

    def coverage(self) -> PublishedCoverage | None:
        return self._coverages.get(_COVERAGE)

    def publish_coverage(self, coverage: PublishedCoverage) -> None:
        self._coverages.put(_COVERAGE, coverage)


class DynamoWatchlist:
    """The stored list of watched symbols, or the configured one until there is one."""

    def __init__(self, table: Table, configured: Sequence[Symbol]) -> None:
        self._lists = StoredItems(table, WATCHLIST)
        self._configured = tuple(configured)

    def symbols(self) -> Sequence[Symbol]:
        stored = self._lists.get(_WATCHLIST)
        return self._configured if stored is None else stored

    def put(self, symbols: Sequence[Symbol]) -> None:
        """Store a list in the place of the configured one; the last writer wins."""
        self._lists.put(_WATCHLIST, tuple(symbols))


class DynamoCooldowns:
    """Quiet times per key."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def start(self, key: str, now: datetime, until: datetime) -> bool:
        return self._until(key, until, ABSENT | Condition("#until <= :now", {"now": micros(now)}))

    def extend(self, key: str, until: datetime) -> None:
        self._until(key, until, _earlier(until))

    def _until(self, key: str, until: datetime, when: Condition) -> bool:
        place = Key(f"cooldown#{key_part(key)}", "cooldown")
        item = {"until": micros(until), "expires": expiry(until)}
        return self._table.put(place, item, schema=_PLAIN_SCHEMA, when=when)


class DynamoLeases:
    """Short exclusive rights, each with an owner token."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def acquire(self, name: str, owner: str, now: datetime, until: datetime) -> bool:
        over = Condition("#until <= :now", {"now": micros(now)})
        item: Item = {"owner": owner, "until": micros(until), "expires": expiry(until)}
        return self._table.put(_lease(name), item, schema=_PLAIN_SCHEMA, when=ABSENT | over | _owned(owner))

    def release(self, name: str, owner: str) -> None:
        self._table.delete(_lease(name), schema=_PLAIN_SCHEMA, when=_owned(owner))


class DynamoAlertOutbox:
    """Incidents with their deliveries."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._incidents = StoredItems(table, INCIDENT)

    def open_incidents(self, incident_key: str) -> Sequence[Incident]:
        newest = self._table.query(_subject(incident_key), newest_first=True, limit=_RECENT)
        return [self._incidents.read(item) for item in reversed(newest)]

    def unsettled(self) -> Sequence[Incident]:
        found: list[Incident] = []
        for item in self._table.query_index("watched", "yes"):
            try:
                found.append(self._incidents.read(item))
            except (NewerSchema, Unreadable) as problem:
                log.error("incident left out", extra={"problem": str(problem)})
        return found

    def put(self, incident: Incident) -> Incident:
        place = Key(
            _subject(incident.alert.incident_key),
            f"{sortable(incident.opened_at)}|{key_part(incident.alert.occurrence)}",
        )
        if incident.needs_watching:
            self._incidents.save(place, incident, version=incident.version, watched="yes")
        else:
            expires = expiry(incident.window_ends + _SETTLED_FOR)
            self._incidents.save(place, incident, version=incident.version, expires=expires)
        return replace(incident, version=incident.version + 1)

    def disabled_until(self, channel: Channel) -> datetime | None:
        place = Key("channels", channel)
        item = self._table.get(place)
        if item is None:
            return None
        until = item.get("until")
        if not isinstance(until, int):
            raise Unreadable(f"{self._table.item_name(place)}: until is missing")
        return instant(until)

    def disable(self, channel: Channel, until: datetime) -> None:
        item = {"until": micros(until)}
        self._table.put(Key("channels", channel), item, schema=_PLAIN_SCHEMA, when=_earlier(until))


def _closed(intent_id: IntentId) -> Key:
    return Key(f"intent#{intent_id}", "closed")


def _lease(name: str) -> Key:
    return Key(f"lease#{key_part(name)}", "lease")


def _subject(incident_key: str) -> str:
    return f"incident#{key_part(incident_key)}"


def _owned(owner: str) -> Condition:
    return Condition("#owner = :owner", {"owner": owner})


def _earlier(until: datetime) -> Condition:
    """Let a time be written only over an earlier one."""
    return ABSENT | Condition("#until < :until", {"until": micros(until)})
