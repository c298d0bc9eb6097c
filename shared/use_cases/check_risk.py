"""Check every position against its protective levels and prepare the exits that are due (RSK-01, RSK-12, I5)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.assets import Symbol
from shared.domain.corporate_actions import CorporateAction, adjustment
from shared.domain.coverage import Coverage, Held, coverage
from shared.domain.errors import Conflict, HearthwatchError, TryAgain
from shared.domain.intents import AccountId, Evidence, Intent, OrderType, Purpose, Side, TimeInForce
from shared.domain.ledger import Ledger
from shared.domain.money import ZERO, plain
from shared.domain.positions import Position
from shared.domain.quotes import JudgedQuote
from shared.domain.session import TradingDay
from shared.domain.stops import RiskVerdict, is_due, judge_exit
from shared.domain.times import LATE_AFTER, Tick, iso
from shared.domain.trade_fields import trade_fields
from shared.domain.trading_state import UNREADABLE_KILL_SWITCH, HaltReason, KillSwitch, TradingState, trading_state
from shared.ports.book import BrokerRecords, Controls, Ledgers, Positions
from shared.ports.broker import ExchangeCalendar
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue, Doorbell
from shared.ports.metrics import Metrics
from shared.ports.prices import PriceStore
from shared.use_cases.judge_quotes import JudgeQuotes
from shared.use_cases.poll_prices import session_of
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.tell import ring_quietly, tell_quietly

log = logging.getLogger(__name__)

_TRIES: Final = 10
"""Tries at a conditional write before the next tick takes over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskRules:
    """Bounds of the check: how old the newest quote may be before data counts as stale, and the last clean pass."""

    stale_after: timedelta = timedelta(seconds=90)
    unsure_after: timedelta = timedelta(minutes=11)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskReport:
    """What one check found: prepared exits, the published state and coverage, and what failed."""

    prepared: Sequence[Intent] = ()
    state: TradingState | None = None
    coverage: Coverage | None = None
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRisk:
    """Run one risk tick; the same tick again finds the same exits prepared already and changes nothing."""

    account: AccountId
    clock: Clock
    calendar: ExchangeCalendar
    judge: JudgeQuotes
    prices: PriceStore
    positions: Positions
    ledgers: Ledgers
    records: BrokerRecords
    controls: Controls
    alerts: AlertQueue
    doorbell: Doorbell
    metrics: Metrics
    record: RecordFact
    rules: RiskRules = field(default_factory=RiskRules)

    def __call__(self, tick: Tick) -> RiskReport:
        """Judge all positions; one that fails is reported and does not keep the others from being judged."""
        day = self._day(tick)
        if day is None:
            return RiskReport()
        stored = self.positions.readable()
        held = self._adjusted(stored.positions, day)
        quotes = self._quotes(tick, held, day)
        prepared, problems = [], list(stored.problems)
        for position in held:
            quote = quotes.get(position.symbol)
            price = quote.price if quote is not None else None
            if quote is None or price is None:
                continue
            try:
                if position.trailing_stop_pct is not None:
                    position = self._raised(position, price)
                if is_due(position, price):
                    prepared += self._prepare_exit(position, quote)
            except HearthwatchError as error:
                problems.append(f"{position.symbol}: {error}")
                log.warning("exit not prepared", extra={"symbol": position.symbol, "problem": str(error)})
        for problem in problems:
            tell_quietly(self.alerts, _problem_alert(tick, self.clock.now(), problem))
        state = self._publish_state(tick, quotes, day)
        return RiskReport(prepared=prepared, state=state, coverage=self._cover(held, quotes), problems=problems)

    def _day(self, tick: Tick) -> TradingDay | None:
        """Find the tick's session; without a calendar stops are judged all the same, and the exit waits for it."""
        try:
            return session_of(self.calendar, tick)
        except TryAgain as error:
            log.warning("exchange calendar unknown", extra={"problem": str(error)})
            at = tick.scheduled
            return TradingDay(date=at.date(), opens=at, closes=at + timedelta(minutes=1))

    def _adjusted(self, positions: Sequence[Position], day: TradingDay) -> list[Position]:
        """Apply splits and dividends that went ex since each position was last adjusted, once (PRC-06)."""
        behind = [position for position in positions if position.adjusted_through < day.date]
        if not behind:
            return list(positions)
        since = min(position.adjusted_through for position in behind)
        try:
            known = self.judge.actions.actions([position.symbol for position in behind], since, day.date)
        except TryAgain as error:
            # counts as no action now, and the next tick looks again
            log.warning("corporate actions unknown, taken as none", extra={"problem": str(error)})
            return list(positions)
        return [self._adjust(position, known, day) if position in behind else position for position in positions]

    def _adjust(self, position: Position, known: Sequence[CorporateAction], day: TradingDay) -> Position:
        step = adjustment(known, position.symbol, position.adjusted_through, day.date)
        adjusted = position.adjusted(step, day.date)
        try:
            return self.positions.put(adjusted)
        except TryAgain:
            return adjusted

    def _quotes(self, tick: Tick, held: Sequence[Position], day: TradingDay) -> Mapping[Symbol, JudgedQuote]:
        """Take the stored minute when it is this tick's and fresh; otherwise quote the held symbols now (fault 2)."""
        symbols = [position.symbol for position in held]
        try:
            minute = self.prices.latest()
        except HearthwatchError as error:
            log.warning("stored prices unreadable", extra={"problem": str(error)})
            return self.judge.unremembered(symbols)
        now = self.clock.now()
        if minute is not None and minute.at >= tick.scheduled and now - minute.at <= LATE_AFTER:
            return minute.quotes
        if not symbols:
            return minute.quotes if minute is not None else {}
        return self.judge(symbols, self.judge.carried_over(symbols, minute, day.date))

    def _raised(self, position: Position, price: Decimal) -> Position:
        """Keep a new high since entry; when the write loses, the next tick raises it."""
        raised = position.seen_at(price)
        if raised is position:
            return position
        try:
            return self.positions.put(raised)
        except TryAgain:
            return raised

    def _prepare_exit(self, seen: Position, quote: JudgedQuote) -> list[Intent]:
        """Store the exit intent of a due position, unless one is open.

        The ledger is read before the position: a fill is written to the position before its intent leaves the
        ledger, so a position read after the ledger is never older than it.
        """
        for _ in range(_TRIES):
            ledger = self.ledgers.load(self.account)
            position = next((p for p in self.positions.readable().positions if p.lot == seen.lot), None)
            open_exit = ledger.open_for(seen.symbol, Side.SELL)
            if open_exit is not None:
                self._tell_late(ledger, open_exit)
                return []
            if position is None:
                return []
            position = replace(seen, quantity=position.quantity)
            verdict = judge_exit(position, quote.price)
            if verdict.reason is None:
                return []
            purpose = Purpose(
                account=self.account, symbol=seen.symbol, side=Side.SELL, reason=verdict.reason, origin=seen.lot
            )
            intent = _exit_intent(position, purpose, ledger.generation(purpose), verdict, quote, self.clock.now())
            intent = replace(intent, told=tell_quietly(self.alerts, stop_alert(intent)))
            try:
                self.ledgers.save(ledger.with_prepared(intent))
            except Conflict:
                continue
            log.info("exit prepared", extra={"intent": intent.id, "symbol": intent.symbol, "why": verdict.text})
            ring_quietly(self.doorbell)
            self._record_quietly(intent)
            return [intent]
        raise Conflict(f"the ledger stayed contended over {_TRIES} tries")

    def _tell_late(self, ledger: Ledger, intent: Intent) -> None:
        """Tell of an exit whose alert could not be queued when it was prepared."""
        if not intent.told and tell_quietly(self.alerts, stop_alert(intent)):
            self.ledgers.save(ledger.with_changed(replace(intent, told=True)))

    def _record_quietly(self, intent: Intent) -> None:
        """Journal the intent; its sending is journaled again with all of it, so a failure here loses nothing."""
        try:
            self.record("intent_prepared", intent.created_at, **intent.fields())
        except HearthwatchError as error:
            log.warning("intent not journaled yet", extra={"intent": intent.id, "problem": str(error)})

    def _cover(self, held: Sequence[Position], quotes: Mapping[Symbol, JudgedQuote]) -> Coverage:
        covered = coverage(
            Held(p.quantity, ZERO, (q := quotes.get(p.symbol)) is not None and q.price is not None) for p in held
        )
        self.metrics.put("coverage_none_pct", float(covered.none_pct))
        return covered

    def _publish_state(self, tick: Tick, quotes: Mapping[Symbol, JudgedQuote], day: TradingDay) -> TradingState:
        """Derive the trading state from what this tick knows; tell and journal it when the reasons changed.

        It is published whether or not that could be told: an entry must never pass a state that is out of date.
        """
        reasons = frozenset(self._reasons(quotes, day))
        before = self.controls.trading_state()
        if before is not None and before.reasons == reasons and before.told:
            return before
        state = trading_state(reasons)
        told = (before is None and not state.reasons) or self._told_state(tick, state)
        state = replace(state, told=told)
        self.controls.publish_trading_state(state)
        return state

    def _told_state(self, tick: Tick, state: TradingState) -> bool:
        """Journal and queue a change of state; what failed is tried again at the next tick."""
        fields = {"reasons": state.reasons, "mode": state.mode.name, "level": state.level.name}
        try:
            self.record("trading_state", self.clock.now(), **fields)
        except TryAgain as error:
            log.warning("trading state not journaled yet", extra={"problem": str(error)})
            return False
        return tell_quietly(self.alerts, _state_alert(tick, state))

    def _reasons(self, quotes: Mapping[Symbol, JudgedQuote], day: TradingDay) -> list[HaltReason]:
        now = self.clock.now()
        reasons = []
        if read_kill_switch(self.controls).engaged:
            reasons.append(HaltReason.KILL_SWITCH)
        if not self._data_is_fresh(quotes, day, now):
            reasons.append(HaltReason.STALE_DATA)
        if not self._broker_is_sure(now):
            reasons.append(HaltReason.BROKER_UNSURE)
        return reasons

    def _data_is_fresh(self, quotes: Mapping[Symbol, JudgedQuote], day: TradingDay, now: datetime) -> bool:
        """Say whether any price is recent enough; the open counts as one."""
        since = now - self.rules.stale_after
        if day.opens >= since:
            return True
        return any(q.price is not None and q.at is not None and q.at >= since for q in quotes.values())

    def _broker_is_sure(self, now: datetime) -> bool:
        try:
            facts = self.records.last()
        except HearthwatchError:
            return False
        return facts is not None and facts.clean and now - facts.at <= self.rules.unsure_after


def read_kill_switch(controls: Controls) -> KillSwitch:
    """Read the kill switch; one that cannot be read counts as set (fault 44)."""
    try:
        return controls.kill_switch()
    except HearthwatchError as error:
        log.warning("kill switch unreadable, taken as set", extra={"problem": str(error)})
        return UNREADABLE_KILL_SWITCH


def stop_alert(intent: Intent) -> Alert:
    """Tell of an exit that is prepared; the same exit always gives the same alert."""
    doubts = intent.evidence.doubts
    note = f"; the price is degraded: {', '.join(doubts)}" if doubts else ""
    return Alert(
        kind=AlertKind.STOP_TRIGGERED,
        severity=Severity.CRITICAL,
        subject=intent.purpose.origin,
        at=intent.created_at,
        text=f"{intent.evidence.text}: selling {plain(intent.quantity)}{note}",
        occurrence=intent.id,
        fields=trade_fields(intent, intent.created_at),
    )


def _exit_intent(
    position: Position, purpose: Purpose, generation: int, verdict: RiskVerdict, quote: JudgedQuote, now: datetime
) -> Intent:
    evidence = Evidence(
        text=verdict.text,
        price=quote.price,
        price_at=quote.at,
        feed=quote.feed,
        doubts=tuple(sorted(quote.doubts)),
        level=verdict.level,
    )
    return Intent(
        purpose=purpose,
        generation=generation,
        quantity=position.quantity,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        created_at=now,
        evidence=evidence,
        worst_price=quote.price or position.average_entry_price,
        strategy=position.strategy,
    )


def _problem_alert(tick: Tick, now: datetime, problem: str) -> Alert:
    return Alert(
        kind=AlertKind.EXIT_BLOCKED,
        severity=Severity.CRITICAL,
        subject="check_risk",
        at=now,
        text=f"Exit not prepared, trying again at the next tick: {problem}",
        occurrence=f"{tick.id}|{problem}",
    )


def _state_alert(tick: Tick, state: TradingState) -> Alert:
    reasons = ", ".join(sorted(state.reasons)) or "none"
    return Alert(
        kind=AlertKind.TRADING_STATE,
        severity=Severity.WARNING if state.reasons else Severity.INFO,
        subject="account",
        at=tick.scheduled,
        text=f"Trading state {state.mode.name}, level {state.level.name}; reasons: {reasons}",
        occurrence=f"{iso(tick.scheduled)}|{reasons}",
        recovers=not state.reasons,
    )
