"""Publish how much of the open quantity is protected, and page a person when some of it is not (RSK-06)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.assets import Symbol
from shared.domain.coverage import BARE_FOR, Coverage, Held, PublishedCoverage, bare_since, coverage
from shared.domain.errors import HearthwatchError
from shared.domain.intents import AccountId
from shared.domain.money import ZERO
from shared.domain.positions import Position
from shared.domain.protection import under_broker_stops
from shared.domain.quotes import JudgedQuote
from shared.domain.times import iso
from shared.ports.book import BrokerRecords, Controls, Ledgers, Positions
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue
from shared.ports.metrics import Metrics
from shared.use_cases.tell import tell_quietly

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishCoverage:
    """Work out and publish the coverage; what cannot be read counts as unprotected.

    `longest_gap` is how far two looks may lie apart to count as one after the other.
    """

    account: AccountId
    clock: Clock
    ledgers: Ledgers
    positions: Positions
    records: BrokerRecords
    controls: Controls
    alerts: AlertQueue
    metrics: Metrics
    longest_gap: timedelta = timedelta(minutes=3)

    def __call__(
        self, held: Sequence[Position], quotes: Mapping[Symbol, JudgedQuote], *, complete: bool = True
    ) -> Coverage:
        """Publish the coverage of these positions under these quotes; nothing here holds up protection.

        Unless `complete`, some stored position could not be read: then every symbol that the broker held at the last
        pass and that is not among these counts as bare.
        """
        priced = {symbol for symbol, quote in quotes.items() if quote.price is not None}
        return self._cover(held, priced.__contains__, complete=complete)

    def after_fill(self) -> None:
        """Publish the coverage anew between two ticks; whatever had no price at the last one still has none.

        Nobody is paged here: the tick that follows looks at prices first.
        """
        try:
            stored, before = self.positions.readable(), self.controls.coverage()
        except HearthwatchError as error:
            log.warning("coverage not published", extra={"problem": str(error)})
            return
        if before is not None:
            complete = not stored.problems
            self._cover(stored.positions, lambda symbol: symbol not in before.bare, complete=complete, pages=False)

    def _cover(
        self, held: Sequence[Position], is_judged: Callable[[Symbol], bool], *, complete: bool, pages: bool = True
    ) -> Coverage:
        now = self.clock.now()
        covered = self._covered() if held else {}
        found = [Held(p.symbol, p.quantity, covered.get(p.symbol, ZERO), is_judged(p.symbol)) for p in held]
        if not complete:
            found += self._unread({position.symbol for position in held})
        result = coverage(found)
        self.metrics.put("coverage_none_pct", float(result.none_pct))
        try:
            self._publish(found, result, now, pages=pages)
        except HearthwatchError as error:
            log.warning("coverage not published", extra={"problem": str(error)})
        return result

    def _covered(self) -> Mapping[Symbol, Decimal]:
        """Add up the shares that working stops at the broker cover, by symbol."""
        try:
            return under_broker_stops(self.ledgers.load(self.account).open.values())
        except HearthwatchError as error:
            log.warning("ledger unreadable, no stop counts", extra={"problem": str(error)})
            return {}

    def _unread(self, read: set[Symbol]) -> list[Held]:
        try:
            facts = self.records.last()
        except HearthwatchError as error:
            log.warning("broker facts unreadable", extra={"problem": str(error)})
            return []
        if facts is None:
            return []
        missing = {s: q for s, q in facts.quantities.items() if s not in read and s not in facts.strangers}
        return [Held(symbol, quantity, ZERO, False) for symbol, quantity in missing.items()]

    def _publish(self, found: Sequence[Held], result: Coverage, now: datetime, *, pages: bool) -> None:
        before = self.controls.coverage()
        bare = bare_since(found, before, now, self.longest_gap)
        paged = before.paged if before is not None else frozenset()
        late = {symbol for symbol, since in bare.items() if pages and now - since > BARE_FOR}
        told = {symbol for symbol in late - paged if tell_quietly(self.alerts, _bare_alert(symbol, bare[symbol], now))}
        over = {s for s in paged - bare.keys() if tell_quietly(self.alerts, _covered_alert(s, now))}
        paged = (paged | told) - over
        known = None if before is None or now - before.at >= BARE_FOR else (before.coverage, before.bare, before.paged)
        if known != (result, bare, paged):
            self.controls.publish_coverage(PublishedCoverage(at=now, coverage=result, bare=bare, paged=paged))


def _bare_alert(symbol: Symbol, since: datetime, now: datetime) -> Alert:
    return Alert(
        kind=AlertKind.COVERAGE_LOST,
        severity=Severity.CRITICAL,
        subject=symbol,
        at=now,
        text=f"{symbol}: shares without any protection since {iso(since)}: no stop rests at the broker for them, "
        "and no price could be judged",
        occurrence=iso(since),
    )


def _covered_alert(symbol: Symbol, now: datetime) -> Alert:
    return Alert(
        kind=AlertKind.COVERAGE_LOST,
        severity=Severity.INFO,
        subject=symbol,
        at=now,
        text=f"{symbol}: protected again, or no longer held",
        occurrence=f"over|{iso(now)}",
        recovers=True,
    )
