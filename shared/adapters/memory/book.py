"""The Book in memory: the same conditional writes as the table, on dictionaries.

Each write checks the version under one lock, so that parallel writers see what a conditional update would give them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from threading import Lock
from typing import Final

from shared.domain.alerts import Channel, Incident
from shared.domain.assets import Symbol
from shared.domain.coverage import PublishedCoverage
from shared.domain.errors import Conflict
from shared.domain.intents import AccountId, Intent, IntentId
from shared.domain.ledger import Ledger
from shared.domain.losses import Losses
from shared.domain.positions import Position
from shared.domain.reconciliation import BrokerFacts
from shared.domain.trading_state import KillSwitch, SwitchMode, TradingState
from shared.ports.book import Readable

_RECENT: Final = 5
_opened_at = attrgetter("opened_at")


class MemoryLedgers:
    """The order ledger and the archive of closed intents."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ledgers: dict[AccountId, Ledger] = {}
        self._closed: dict[IntentId, Intent] = {}

    def load(self, account: AccountId) -> Ledger:
        return self._ledgers.get(account) or self._ledgers.setdefault(account, Ledger(account=account))

    def save(self, ledger: Ledger) -> Ledger:
        with self._lock:
            if self.load(ledger.account).version != ledger.version:
                raise Conflict(f"ledger of {ledger.account}: version {ledger.version} is no longer the newest")
            saved = replace(ledger, version=ledger.version + 1)
            self._ledgers[ledger.account] = saved
        return saved

    def archive(self, intent: Intent) -> None:
        self._closed.setdefault(intent.id, intent)

    def closed(self, intent_id: IntentId) -> Intent | None:
        return self._closed.get(intent_id)

    def every_closed(self) -> Sequence[Intent]:
        """Return the whole archive, oldest first; for reports over a finished run."""
        return list(self._closed.values())


class MemoryPositions:
    """Our positions, one per symbol."""

    def __init__(self, positions: Iterable[Position] = ()) -> None:
        self._lock = Lock()
        self._stored: dict[Symbol, Position] = {}
        for position in positions:
            self.put(position)

    def all(self) -> Sequence[Position]:
        return list(self._stored.values())

    def readable(self) -> Readable:
        return Readable(self.all())

    def put(self, position: Position) -> Position:
        with self._lock:
            self._check(position)
            saved = replace(position, version=position.version + 1)
            self._stored[position.symbol] = saved
        return saved

    def remove(self, position: Position) -> None:
        with self._lock:
            if position.symbol in self._stored:
                self._check(position)
                del self._stored[position.symbol]

    def _check(self, position: Position) -> None:
        stored = self._stored.get(position.symbol)
        if (stored.version if stored else 0) != position.version:
            raise Conflict(f"position {position.symbol}: version {position.version} is no longer the newest")


class MemoryBrokerRecords:
    """What the broker said at the last reconciliation."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._facts: BrokerFacts | None = None

    def last(self) -> BrokerFacts | None:
        return self._facts

    def put(self, facts: BrokerFacts) -> BrokerFacts:
        with self._lock:
            if (self._facts.version if self._facts else 0) != facts.version:
                raise Conflict(f"broker facts: version {facts.version} is no longer the newest")
            self._facts = replace(facts, version=facts.version + 1)
            return self._facts


class MemoryControls:
    """Switches that people and the system set at run time."""

    def __init__(self) -> None:
        self._kill_switch = KillSwitch(mode=SwitchMode.OFF)
        self._state: TradingState | None = None
        self._coverage: PublishedCoverage | None = None
        self._lock = Lock()
        self._losses: Losses | None = None

    def kill_switch(self) -> KillSwitch:
        return self._kill_switch

    def set_kill_switch(self, switch: KillSwitch) -> None:
        self._kill_switch = switch

    def trading_state(self) -> TradingState | None:
        return self._state

    def publish_trading_state(self, state: TradingState) -> None:
        self._state = state

    def losses(self) -> Losses | None:
        return self._losses

    def put_losses(self, losses: Losses) -> Losses:
        with self._lock:
            if (self._losses.version if self._losses else 0) != losses.version:
                raise Conflict(f"losses: version {losses.version} is no longer the newest")
            self._losses = replace(losses, version=losses.version + 1)
            return self._losses

    def coverage(self) -> PublishedCoverage | None:
        return self._coverage

    def publish_coverage(self, coverage: PublishedCoverage) -> None:
        self._coverage = coverage


class MemoryWatchlist:
    """A fixed list of watched symbols."""

    def __init__(self, symbols: Iterable[Symbol]) -> None:
        self._symbols = tuple(symbols)

    def symbols(self) -> Sequence[Symbol]:
        return self._symbols


class MemoryCooldowns:
    """Quiet times per key."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._until: dict[str, datetime] = {}

    def start(self, key: str, now: datetime, until: datetime) -> bool:
        with self._lock:
            running = self._until.get(key)
            if running is not None and running > now:
                return False
            self._until[key] = until
        return True

    def extend(self, key: str, until: datetime) -> None:
        with self._lock:
            self._until[key] = max(until, self._until.get(key, until))


class MemoryLeases:
    """Short exclusive rights, each with an owner token."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[str, tuple[str, datetime]] = {}

    def acquire(self, name: str, owner: str, now: datetime, until: datetime) -> bool:
        with self._lock:
            held = self._held.get(name)
            if held is not None and held[0] != owner and held[1] > now:
                return False
            self._held[name] = (owner, until)
        return True

    def release(self, name: str, owner: str) -> None:
        with self._lock:
            held = self._held.get(name)
            if held is not None and held[0] == owner:
                del self._held[name]


class MemoryAlertOutbox:
    """Incidents with their deliveries."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._incidents: dict[str, Incident] = {}
        self._by_subject: dict[str, list[Incident]] = {}
        self._places: dict[str, int] = {}
        self._watched: dict[str, Incident] = {}
        self._disabled: dict[Channel, datetime] = {}

    def open_incidents(self, incident_key: str) -> Sequence[Incident]:
        return self._by_subject.get(incident_key, [])[-_RECENT:]

    def unsettled(self) -> Sequence[Incident]:
        return sorted(self._watched.values(), key=_opened_at)

    def put(self, incident: Incident) -> Incident:
        with self._lock:
            key = incident.key
            stored = self._incidents.get(key)
            if (stored.version if stored else 0) != incident.version:
                raise Conflict(f"incident {key}: version {incident.version} is no longer the newest")
            saved = self._incidents[key] = replace(incident, version=incident.version + 1)
            in_subject = self._by_subject.setdefault(incident.alert.incident_key, [])
            if stored is None:
                self._add(saved, in_subject)
            else:
                in_subject[self._places[key]] = saved
            if saved.needs_watching:
                self._watched[key] = saved
            else:
                self._watched.pop(key, None)
        return saved

    def disabled_until(self, channel: Channel) -> datetime | None:
        return self._disabled.get(channel)

    def disable(self, channel: Channel, until: datetime) -> None:
        with self._lock:
            self._disabled[channel] = max(until, self._disabled.get(channel, until))

    def every(self) -> Sequence[Incident]:
        """Return every incident, oldest first; for reports over a finished run."""
        return list(self._incidents.values())

    def _add(self, incident: Incident, in_subject: list[Incident]) -> None:
        """Put an incident behind those opened before it; one whose alert came late is not the newest."""
        late = bool(in_subject) and _opening(incident) < _opening(in_subject[-1])
        in_subject.append(incident)
        if late:
            in_subject.sort(key=_opening)
        for place in range(0 if late else len(in_subject) - 1, len(in_subject)):
            self._places[in_subject[place].key] = place


def _opening(incident: Incident) -> tuple[datetime, str]:
    return incident.opened_at, incident.alert.occurrence
