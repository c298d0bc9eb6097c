"""The order ledger: every open intent of the account in one value, changed by one conditional write.

Holding all open intents together makes three promises provable with a single compare-and-set: one open trade per
symbol and side and one resting stop of each kind, open entries inside the limits whoever adds them at the same moment,
and generations that never go back. A closed intent waits among the finished until it was told, journaled and archived;
after that the ledger keeps only how often its purpose was tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from shared.domain.assets import Symbol
from shared.domain.errors import InvalidValue
from shared.domain.intents import AccountId, Intent, IntentId, IntentState, Purpose, Side
from shared.domain.money import ZERO


class Tried(NamedTuple):
    """How often a purpose was tried to the end, when last, and whether the broker refused it then."""

    times: int
    at: datetime
    refused: bool = False


class SentEntry(NamedTuple):
    """An entry order that left, and when; sent again under its id it is still one entry."""

    id: IntentId
    at: datetime


_NO_INTENTS: Final[Mapping[IntentId, Intent]] = MappingProxyType({})
_NO_COUNTS: Final[Mapping[str, Tried]] = MappingProxyType({})
_NO_ENTRIES: Final[Mapping[Symbol, tuple[SentEntry, ...]]] = MappingProxyType({})
_NO_LOCKS: Final[Mapping[Symbol, datetime]] = MappingProxyType({})
ENTRY_MEMORY: Final = timedelta(days=1)
"""How long sent entries are remembered for the runaway guard (fault 46)."""
TRIES_MEMORY: Final = timedelta(days=7)
"""How long a finished purpose is remembered after its lot is gone; longer than any event can be delivered late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All open intents of one account.

    `finished` intents are closed but not yet archived; `generations` counts finished tries per purpose key;
    `entries_sent` lists which entry orders left when, per symbol; `locked` symbols take no entries until then, because
    they had too many (fault 46). After a 429 nothing leaves until `quiet_until`, and no entry until
    `entries_quiet_until`, which is as long as the broker asked for; `version` is the stored version read.
    """

    account: AccountId
    open: Mapping[IntentId, Intent] = field(default_factory=lambda: _NO_INTENTS)
    finished: Mapping[IntentId, Intent] = field(default_factory=lambda: _NO_INTENTS)
    generations: Mapping[str, Tried] = field(default_factory=lambda: _NO_COUNTS)
    entries_sent: Mapping[Symbol, tuple[SentEntry, ...]] = field(default_factory=lambda: _NO_ENTRIES)
    locked: Mapping[Symbol, datetime] = field(default_factory=lambda: _NO_LOCKS)
    quiet_until: datetime | None = None
    entries_quiet_until: datetime | None = None
    version: int = 0

    def open_for(self, symbol: Symbol, side: Side) -> Intent | None:
        """Find the one open trade of a symbol and side; a resting stop is none."""
        return next((i for i in self.open.values() if i.symbol == symbol and i.side is side and not i.rests), None)

    def trade_in(self, symbol: Symbol) -> Intent | None:
        """Find an open trade of a symbol on either side, the exit before the entry."""
        return self.open_for(symbol, Side.SELL) or self.open_for(symbol, Side.BUY)

    def stops_of(self, symbol: Symbol) -> list[Intent]:
        """List the open resting stops of a symbol: at most one of each kind."""
        return [intent for intent in self.open.values() if intent.symbol == symbol and intent.rests]

    def _in_slot(self, purpose: Purpose) -> Intent | None:
        if not purpose.rests:
            return self.open_for(purpose.symbol, purpose.side)
        return next((i for i in self.stops_of(purpose.symbol) if i.purpose.reason is purpose.reason), None)

    def in_state(self, *states: IntentState) -> list[Intent]:
        """List open intents in these states: exits, then resting stops, then entries, oldest first (ORD-08)."""
        chosen = [intent for intent in self.open.values() if intent.state in states]
        return sorted(chosen, key=lambda intent: (intent.is_entry, intent.rests, intent.created_at, intent.id))

    def generation(self, purpose: Purpose) -> int:
        """Give the generation the next intent of this purpose carries."""
        tried = self.generations.get(purpose.key)
        return tried.times if tried else 0

    def committed(self, symbol: Symbol | None = None, *, besides: IntentId | None = None) -> Decimal:
        """Sum what open entries may still cost, in dollars, for one symbol or for all."""
        return sum(
            (
                intent.committed
                for intent in self.open.values()
                if (symbol is None or intent.symbol == symbol) and intent.id != besides
            ),
            ZERO,
        )

    def entries_since(self, symbol: Symbol, since: datetime, *, besides: IntentId | None = None) -> int:
        """Count the entry orders sent for a symbol since an instant."""
        return sum(1 for sent in self.entries_sent.get(symbol, ()) if sent.at >= since and sent.id != besides)

    def with_prepared(self, intent: Intent) -> Ledger:
        """Add a new intent; raise InvalidValue when its slot is taken or its generation is not the next one."""
        taken = self._in_slot(intent.purpose)
        if taken is not None:
            raise InvalidValue("intent", intent.id, f"no open {intent.side} intent in {intent.symbol}: {taken.id} is")
        if intent.generation != self.generation(intent.purpose):
            raise InvalidValue("generation", intent.generation, f"{self.generation(intent.purpose)}")
        if intent.state is not IntentState.PREPARED or intent.purpose.account != self.account:
            raise InvalidValue("intent", intent.state, f"a PREPARED intent of account {self.account}")
        return replace(self, open=MappingProxyType({**self.open, intent.id: intent}))

    def with_changed(self, intent: Intent) -> Ledger:
        """Put an open intent in its new state; a terminal one moves to the finished and its purpose's count rises."""
        before = self.open.get(intent.id)
        if before is None:
            raise InvalidValue("intent", intent.id, "an open intent")
        before.moved_to(intent.state)
        if intent.is_open:
            return replace(self, open=MappingProxyType({**self.open, intent.id: intent}))
        rest = {key: value for key, value in self.open.items() if key != intent.id}
        refused = intent.state is IntentState.REJECTED
        tried = Tried(intent.generation + 1, intent.closed_at or intent.created_at, refused)
        counts = {**self.generations, intent.purpose.key: tried}
        return replace(
            self,
            open=MappingProxyType(rest),
            finished=MappingProxyType({**self.finished, intent.id: intent}),
            generations=MappingProxyType(counts),
        )

    def without_finished(self, archived: Iterable[IntentId]) -> Ledger:
        """Drop finished intents that the archive holds."""
        gone = set(archived)
        rest = {key: intent for key, intent in self.finished.items() if key not in gone}
        return replace(self, finished=MappingProxyType(rest))

    def is_in_doubt(self, symbol: Symbol) -> bool:
        """Say whether an order in the symbol may or may not be at the broker (ORD-05)."""
        return any(i.symbol == symbol and i.state is IntentState.UNKNOWN for i in self.open.values())

    def with_entry_sent(self, intent: Intent, at: datetime) -> Ledger:
        """Remember that an entry order left, and forget those older than a day."""
        since = at - ENTRY_MEMORY
        kept = {
            symbol: recent
            for symbol, entries in self.entries_sent.items()
            if (recent := tuple(sent for sent in entries if sent.at >= since and sent.id != intent.id))
        }
        kept[intent.symbol] = (*kept.get(intent.symbol, ()), SentEntry(intent.id, at))
        return replace(self, entries_sent=MappingProxyType(kept))

    def with_lock(self, symbol: Symbol, now: datetime, until: datetime) -> Ledger:
        """Lock a symbol against entries, and forget locks that are over."""
        kept = {name: end for name, end in self.locked.items() if end > now}
        return replace(self, locked=MappingProxyType({**kept, symbol: until}))

    def quieted(self, until: datetime | None, entries_until: datetime | None = None) -> Ledger:
        """Hold back all sending until the broker takes requests again."""
        return replace(self, quiet_until=until, entries_quiet_until=entries_until or until)

    def pruned(self, live_origins: Iterable[str], now: datetime) -> Ledger:
        """Forget purposes that can never be tried again: their lot is gone and their last try is a week old."""
        keep = set(live_origins)
        counts = {
            key: tried
            for key, tried in self.generations.items()
            if now - tried.at < TRIES_MEMORY or key.split("|", 4)[4] in keep
        }
        if len(counts) == len(self.generations):
            return self
        return replace(self, generations=MappingProxyType(counts))
