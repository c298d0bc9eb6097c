"""Check every position against its protective levels and prepare the exits that are due (RSK-01, RSK-12, I5)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.assets import Symbol
from shared.domain.corporate_actions import LATE_BY
from shared.domain.coverage import Coverage
from shared.domain.day_plan import exchange_date
from shared.domain.errors import Conflict, HearthwatchError, InvalidValue, TryAgain
from shared.domain.intents import AccountId, Evidence, Intent, Purpose, Side
from shared.domain.ledger import Ledger
from shared.domain.losses import LOSS_REASONS
from shared.domain.positions import Position
from shared.domain.protection import market_exit
from shared.domain.quotes import JudgedQuote, judge_quote
from shared.domain.reconciliation import BrokerFacts
from shared.domain.session import TradingDay
from shared.domain.stops import RiskVerdict, is_due, judge_blind, judge_exit, judge_flatten
from shared.domain.times import LATE_AFTER, Tick, iso
from shared.domain.trading_state import UNREADABLE_KILL_SWITCH, HaltReason, KillSwitch, TradingState, trading_state
from shared.ports.book import BrokerRecords, Controls, Ledgers, Positions
from shared.ports.broker import ExchangeCalendar
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue, Doorbell
from shared.ports.prices import PriceStore
from shared.use_cases.judge_losses import JudgeLosses
from shared.use_cases.judge_quotes import JudgeQuotes
from shared.use_cases.poll_prices import session_of
from shared.use_cases.protect_positions import ProtectPositions
from shared.use_cases.publish_coverage import PublishCoverage
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.second_look import SecondLook
from shared.use_cases.tell import ring_quietly, stop_alert, tell_quietly

log = logging.getLogger(__name__)

_TRIES: Final = 10
"""Tries at a conditional write before the next tick takes over."""
SHORTEST_BLIND_CLOSE: Final = timedelta(seconds=30)
"""No setting may sell blind sooner: polling once a minute could not tell a pause from a loss (PRC-02)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskRules:
    """Bounds of the check: how old the newest quote may be before data counts as stale, and the last clean pass.

    `close_blind_after` is how long a held symbol may go without a usable price before it is sold blind; None, the
    default, never sells without a price (PRC-02).
    """

    stale_after: timedelta = timedelta(seconds=90)
    unsure_after: timedelta = timedelta(minutes=11)
    close_blind_after: timedelta | None = None

    def __post_init__(self) -> None:
        if self.close_blind_after is not None and self.close_blind_after < SHORTEST_BLIND_CLOSE:
            raise InvalidValue("close_blind_after", self.close_blind_after, f"at least {SHORTEST_BLIND_CLOSE}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskReport:
    """What one check found: exits and stops prepared, the published state and coverage, and what failed."""

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
    record: RecordFact
    protect: ProtectPositions
    cover: PublishCoverage
    losses: JudgeLosses
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
        look = SecondLook(self.judge.sources, held, quotes, day.date, self._kept)
        for position in held:
            quote = quotes.get(position.symbol)
            price = quote.price if quote is not None else None
            try:
                if quote is None or price is None:
                    prepared += self._close_blind(position, quote, day)
                    continue
                if position.trailing_stop_pct is None and not is_due(position, price):
                    continue
                position = look.caught_up(position)
                if is_due(position, price):
                    prepared += self._prepare_exit(position, quote, partial(judge_exit, price=price))
            except HearthwatchError as error:
                problems.append(_not_prepared(position, error))
        prepared += self._flatten(held, quotes, problems)
        for problem in problems:
            tell_quietly(self.alerts, _problem_alert(tick, self.clock.now(), problem))
        prepared += self._protect_quietly()
        state = self._publish_state(tick, held, quotes, day)
        covered = self.cover(held, quotes, complete=not stored.problems)
        return RiskReport(prepared=prepared, state=state, coverage=covered, problems=problems)

    def _day(self, tick: Tick) -> TradingDay | None:
        """Find the tick's session; without a calendar stops are judged all the same, and the exit waits for it."""
        try:
            return session_of(self.calendar, tick)
        except TryAgain as error:
            log.warning("exchange calendar unknown", extra={"problem": str(error)})
            at = tick.scheduled
            return TradingDay(date=exchange_date(at), opens=at, closes=at + timedelta(minutes=1))

    def _adjusted(self, positions: Sequence[Position], day: TradingDay) -> list[Position]:
        """Apply splits and dividends that went ex since each position was last adjusted, once (PRC-06)."""
        behind = [position for position in positions if position.adjusted_through < day.date]
        if not behind:
            return list(positions)
        since = min(position.adjusted_through for position in behind) - LATE_BY
        try:
            known = self.judge.actions.actions([position.symbol for position in behind], since, day.date)
        except HearthwatchError as error:
            # counts as no action now, and the next tick looks again
            log.warning("corporate actions unknown, taken as none", extra={"problem": str(error)})
            return list(positions)
        return [
            self._kept(position.caught_up(known, day.date)) if position.adjusted_through < day.date else position
            for position in positions
        ]

    def _kept(self, position: Position) -> Position:
        """Store a changed position; when the write loses, this tick judges the change and the next one makes it."""
        try:
            return self.positions.put(position)
        except TryAgain:
            return position

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

    def _close_blind(self, position: Position, quote: JudgedQuote | None, day: TradingDay) -> list[Intent]:
        """Sell a position whose symbol has no usable price for too long in this session, where the owner set so."""
        limit = self.rules.close_blind_after
        if limit is None or quote is None or quote.blind_since is None:
            return []
        since = max(quote.blind_since, day.opens)
        if self.clock.now() - since <= limit:
            return []
        return self._prepare_exit(position, quote, partial(judge_blind, since=since, limit=limit))

    def _flatten(
        self, held: Sequence[Position], quotes: Mapping[Symbol, JudgedQuote], problems: list[str]
    ) -> list[Intent]:
        """Sell every position while a person orders it, also without a price.

        The switch is read after the stops were judged: they wait for nobody's order.
        """
        switch = read_kill_switch(self.controls)
        prepared: list[Intent] = []
        for position in held if switch.flattens else ():
            quote = quotes.get(position.symbol)
            known = quote or judge_quote(position.symbol, None, None, None, self.clock.now(), self.judge.limits)
            try:
                prepared += self._prepare_exit(position, known, partial(judge_flatten, ordered=switch.words))
            except HearthwatchError as error:
                problems.append(_not_prepared(position, error))
        return prepared

    def _prepare_exit(
        self, seen: Position, quote: JudgedQuote, judge: Callable[[Position], RiskVerdict]
    ) -> list[Intent]:
        """Store the exit intent of a position that is to be sold, unless one is open.

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
            verdict = judge(position)
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

    def _protect_quietly(self) -> Sequence[Intent]:
        """Plan the stops that rest at the broker; when that fails the software stop goes on until the next tick."""
        try:
            return self.protect()
        except HearthwatchError as error:
            log.warning("stops not planned, the next tick will", extra={"problem": str(error)})
            return ()

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

    def _publish_state(
        self, tick: Tick, held: Sequence[Position], quotes: Mapping[Symbol, JudgedQuote], day: TradingDay
    ) -> TradingState:
        """Derive the trading state from what this tick knows; tell and journal it when the reasons changed.

        It is published whether or not that could be told: an entry must never pass a state that is out of date.
        """
        before = self.controls.trading_state()
        found = self._reasons(before, held, quotes, day)
        reasons = frozenset(found)
        if before is not None and before.reasons == reasons and before.told:
            return before
        state = trading_state(reasons)
        told = (before is None and not state.reasons) or self._told_state(tick, state, found)
        state = replace(state, told=told)
        self.controls.publish_trading_state(state)
        return state

    def _told_state(self, tick: Tick, state: TradingState, found: Mapping[HaltReason, str]) -> bool:
        """Journal and queue a change of state; what failed is tried again at the next tick."""
        why = [f"{reason}: {found[reason]}" for reason in sorted(found) if found[reason]]
        fields = {"reasons": state.reasons, "mode": state.mode.name, "level": state.level.name, "why": why}
        try:
            self.record("trading_state", self.clock.now(), **fields)
        except TryAgain as error:
            log.warning("trading state not journaled yet", extra={"problem": str(error)})
            return False
        return tell_quietly(self.alerts, _state_alert(tick, state, why))

    def _reasons(
        self,
        before: TradingState | None,
        held: Sequence[Position],
        quotes: Mapping[Symbol, JudgedQuote],
        day: TradingDay,
    ) -> dict[HaltReason, str]:
        """Name what restricts trading now, each with its numbers where it has any."""
        now, facts = self.clock.now(), self._facts()
        reasons: dict[HaltReason, str] = {}
        if read_kill_switch(self.controls).engaged:
            reasons[HaltReason.KILL_SWITCH] = ""
        if not self._data_is_fresh(quotes, day, now):
            reasons[HaltReason.STALE_DATA] = ""
        if facts is None or not facts.clean or now - facts.at > self.rules.unsure_after:
            reasons[HaltReason.BROKER_UNSURE] = ""
        if facts is not None and facts.mismatched_often:
            reasons[HaltReason.REPEATED_MISMATCH] = f"{facts.mismatches} differences in quantity today"
        lost = self.losses(day.date, facts, held, quotes)
        if lost is None:
            # what cannot be read is neither tripped nor lifted; the gate refuses entries meanwhile
            lost = dict.fromkeys(LOSS_REASONS & before.reasons if before is not None else (), "")
        return {**reasons, **lost}

    def _data_is_fresh(self, quotes: Mapping[Symbol, JudgedQuote], day: TradingDay, now: datetime) -> bool:
        """Say whether any price is recent enough; the open counts as one."""
        since = now - self.rules.stale_after
        if day.opens >= since:
            return True
        return any(q.price is not None and q.at is not None and q.at >= since for q in quotes.values())

    def _facts(self) -> BrokerFacts | None:
        try:
            return self.records.last()
        except HearthwatchError as error:
            log.warning("broker facts unreadable", extra={"problem": str(error)})
            return None


def read_kill_switch(controls: Controls) -> KillSwitch:
    """Read the kill switch; one that cannot be read counts as set (fault 44)."""
    try:
        return controls.kill_switch()
    except HearthwatchError as error:
        log.warning("kill switch unreadable, taken as set", extra={"problem": str(error)})
        return UNREADABLE_KILL_SWITCH


def _not_prepared(position: Position, error: HearthwatchError) -> str:
    log.warning("exit not prepared", extra={"symbol": position.symbol, "problem": str(error)})
    return f"{position.symbol}: {error}"


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
    worst_price = quote.price or quote.last_good or position.average_entry_price
    return market_exit(position, purpose, generation, evidence, worst_price=worst_price, now=now)


def _problem_alert(tick: Tick, now: datetime, problem: str) -> Alert:
    return Alert(
        kind=AlertKind.EXIT_BLOCKED,
        severity=Severity.CRITICAL,
        subject="check_risk",
        at=now,
        text=f"Exit not prepared, trying again at the next tick: {problem}",
        occurrence=f"{tick.id}|{problem}",
    )


def _state_alert(tick: Tick, state: TradingState, why: Sequence[str]) -> Alert:
    reasons = ", ".join(sorted(state.reasons)) or "none"
    return Alert(
        kind=AlertKind.TRADING_STATE,
        severity=Severity.WARNING if state.reasons else Severity.INFO,
        subject="account",
        at=tick.scheduled,
        text="; ".join([f"Trading state {state.mode.name}, level {state.level.name}", f"reasons: {reasons}", *why]),
        occurrence=f"{iso(tick.scheduled)}|{reasons}",
        recovers=not state.reasons,
    )
