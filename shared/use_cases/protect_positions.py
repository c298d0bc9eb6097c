"""Plan the stops that rest at the broker: write into the ledger what the executor is to place and to withdraw (RSK-05).

Level-triggered: each run compares every position with what rests for it and writes one step towards what should be. The
ledger is read before the positions, so that a fill is in the position before its intent is gone from the ledger.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, NamedTuple

from shared.domain.assets import Symbol
from shared.domain.errors import Conflict, HearthwatchError
from shared.domain.gate import FractionalSupport
from shared.domain.intents import RESTING_REASONS, AccountId, Intent, IntentState, Reason, Side
from shared.domain.ledger import Ledger
from shared.domain.money import is_whole
from shared.domain.positions import Position
from shared.domain.protection import (
    ProtectionRules,
    Step,
    StopStep,
    emergency_exit,
    is_settled,
    plan_stops,
    refused_lately,
    stop_intent,
    stop_purpose,
)
from shared.domain.session import trading_day_at
from shared.ports.book import Ledgers, Positions
from shared.ports.broker import ExchangeCalendar
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue, Doorbell
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.tell import ring_quietly, stop_alert, tell_quietly

log = logging.getLogger(__name__)

_TRIES: Final = 10
_NO_STOPS: Final[Sequence[Intent]] = ()
_NOTHING: Final[frozenset[Reason]] = frozenset()


class _Planned(NamedTuple):
    """A position with the steps of its symbol; None when nothing is held there."""

    symbol: Symbol
    position: Position | None
    steps: Sequence[StopStep]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectPositions:
    """Run one round of planning; the same round again finds its steps taken and changes nothing.

    `fractional` looks up what the preflight found; it is asked only when a fraction of a share is held.
    """

    account: AccountId
    clock: Clock
    calendar: ExchangeCalendar
    ledgers: Ledgers
    positions: Positions
    alerts: AlertQueue
    doorbell: Doorbell
    record: RecordFact
    fractional: Callable[[], FractionalSupport]
    rules: ProtectionRules = field(default_factory=ProtectionRules)

    def __call__(self) -> Sequence[Intent]:
        """Plan for every symbol and return the intents that were prepared; raises Conflict on lasting contention.

        Out of the session no stop is planned: what is placed at the open is planned at the open. The sale of what the
        broker refused to protect is, and waits for it.
        """
        for _ in range(_TRIES):
            ledger = self.ledgers.load(self.account)
            stored = self.positions.readable()
            planned = self._plan(ledger, stored.positions, complete=not stored.problems)
            changed, prepared = self._applied(ledger, planned) if planned else (ledger, [])
            if changed is ledger:
                return ()
            try:
                self.ledgers.save(changed)
            except Conflict:
                continue
            ring_quietly(self.doorbell)
            for intent in prepared:
                self._record_quietly(intent)
            return prepared
        raise Conflict(f"the ledger stayed contended over {_TRIES} tries")

    def _plan(self, ledger: Ledger, held: Sequence[Position], *, complete: bool) -> list[_Planned]:
        """List the symbols with something to do; unless `complete`, a symbol without a position is left alone."""
        now = self.clock.now()
        stops, trades = _by_symbol(ledger)
        unsettled = []
        for position in held:
            resting, trade = stops.pop(position.symbol, _NO_STOPS), trades.get(position.symbol)
            if trade is not None or not is_settled(position, resting, now, self.rules):
                unsettled.append((position, resting, trade))
        planned = self._steps(ledger, unsettled, now) if unsettled else []
        for symbol, resting in stops.items() if complete else ():
            steps = plan_stops(None, resting, trades.get(symbol), _NOTHING, now, self.rules)
            if steps:
                planned.append(_Planned(symbol, None, steps))
        return planned

    def _steps(
        self, ledger: Ledger, unsettled: Sequence[tuple[Position, Sequence[Intent], Intent | None]], now: datetime
    ) -> list[_Planned]:
        rules = self._rules_for([position for position, _, _ in unsettled], ledger)
        planned = []
        for position, resting, trade in unsettled:
            refused = refused_lately(ledger, self.account, position, now, rules)
            steps = plan_stops(position, resting, trade, refused, now, rules)
            if steps:
                planned.append(_Planned(position.symbol, position, steps))
        return planned

    def _rules_for(self, held: Sequence[Position], ledger: Ledger) -> ProtectionRules:
        """Say whether fractions may rest; while that cannot be looked up, those that do rest go on."""
        if all(is_whole(position.quantity) for position in held):
            return self.rules
        try:
            fractions = self.fractional().stop is True
        except HearthwatchError as error:
            log.warning("fractional support unknown", extra={"problem": str(error)})
            fractions = any(intent.purpose.reason is Reason.BROKER_STOP_DAY for intent in ledger.open.values())
        return replace(self.rules, fraction_stops=fractions)

    def _applied(self, ledger: Ledger, planned: Sequence[_Planned]) -> tuple[Ledger, list[Intent]]:
        prepared: list[Intent] = []
        is_open = self._is_open()
        for symbol, position, steps in planned:
            for step in steps:
                if step.resting is not None:
                    ledger = ledger.with_changed(self._withdrawn(step.resting, step.why))
                intent = self._new(ledger, position, step) if is_open or step.step is Step.SELL else None
                if intent is not None:
                    ledger = ledger.with_prepared(intent)
                    prepared.append(intent)
                log.info("protection step", extra={"symbol": symbol, "step": step.step, "why": step.why})
        return ledger, prepared

    def _is_open(self) -> bool:
        now = self.clock.now()
        try:
            return trading_day_at(self.calendar.days(now.date(), now.date()), now) is not None
        except HearthwatchError as error:
            log.warning("exchange calendar unknown, no stop is planned", extra={"problem": str(error)})
            return False

    def _new(self, ledger: Ledger, position: Position | None, step: StopStep) -> Intent | None:
        """Make the intent that a step asks for: a stop to place, or the sale of what no stop protects."""
        now = self.clock.now()
        if position is None:
            return None
        if step.step is Step.PLACE and step.wanted is not None:
            purpose = stop_purpose(self.account, position, step.wanted.reason)
            return stop_intent(position, step.wanted, purpose, ledger.generation(purpose), now)
        if step.step is Step.SELL and ledger.open_for(position.symbol, Side.SELL) is None:
            sale = emergency_exit(position, step.why, self.account, ledger, now)
            return replace(sale, told=tell_quietly(self.alerts, stop_alert(sale)))
        return None

    def _withdrawn(self, stop: Intent, why: str) -> Intent:
        if stop.state is IntentState.PREPARED and not stop.sends:
            return stop.moved_to(IntentState.ABANDONED, withdrawn=why, note=why, closed_at=self.clock.now())
        return replace(stop, withdrawn=why)

    def _record_quietly(self, intent: Intent) -> None:
        """Journal the intent; its sending is journaled again with all of it, so a failure here loses nothing."""
        try:
            self.record("intent_prepared", intent.created_at, **intent.fields())
        except HearthwatchError as error:
            log.warning("intent not journaled yet", extra={"intent": intent.id, "problem": str(error)})


def _by_symbol(ledger: Ledger) -> tuple[dict[Symbol, list[Intent]], Mapping[Symbol, Intent]]:
    """Sort the open intents: resting stops by symbol, and the trade of a symbol, the exit before the entry."""
    stops: dict[Symbol, list[Intent]] = {}
    trades: dict[Symbol, Intent] = {}
    for intent in ledger.open.values():
        purpose = intent.purpose
        if purpose.reason in RESTING_REASONS:
            stops.setdefault(purpose.symbol, []).append(intent)
        elif not purpose.is_entry or purpose.symbol not in trades:
            trades[purpose.symbol] = intent
    return stops, trades
