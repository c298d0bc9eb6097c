"""Price every watched symbol on a tick, keep the minute, and report moves (PRC-01, PRC-03, MOV-01 to MOV-03)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.assets import Symbol
from shared.domain.errors import HearthwatchError
from shared.domain.intents import AccountId
from shared.domain.money import as_price
from shared.domain.moves import Move, MoveRule, find_move, may_have_moved, volatility_score
from shared.domain.quotes import Doubt, JudgedQuote, in_words
from shared.domain.session import TradingDay
from shared.domain.times import Tick, iso
from shared.ports.book import Cooldowns, Ledgers, Positions, Watchlist
from shared.ports.broker import ExchangeCalendar
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue, CycleQueue
from shared.ports.metrics import Metrics
from shared.ports.prices import Minute, PriceStore, VolatilitySource
from shared.use_cases.judge_quotes import JudgeQuotes, Memory
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.tell import tell_quietly
from shared.use_cases.watched_symbols import watched_symbols

log = logging.getLogger(__name__)

CLAIM_FOR: Final = timedelta(minutes=1)
"""A run claims a move this long while it reports it; a crash in between frees it for the next tick."""

_ONE_DAY: Final = timedelta(days=1)


class PollResult(StrEnum):
    """How a tick ended."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    LATE = "late"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PollReport:
    """What one tick did; `problems` are symbols whose move could not be reported."""

    result: PollResult
    quotes: dict[Symbol, JudgedQuote] = field(default_factory=dict)
    moves: Sequence[Move] = ()
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PollRules:
    """Bounds of the poll: what a move is, when a blind symbol is told, how long a gap between ticks may be.

    With a `cadence` longer than the move window a move is judged from tick to tick.
    """

    cadence: timedelta = timedelta(minutes=1)
    move: MoveRule = field(default_factory=MoveRule)
    blind_after: timedelta = timedelta(minutes=5)
    longest_gap: timedelta = timedelta(minutes=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPrices:
    """Run one price tick; the same tick again changes nothing.

    `catch_up` prepares a day that nobody prepared before the open, when there is such a job at all.
    """

    account: AccountId
    clock: Clock
    calendar: ExchangeCalendar
    judge: JudgeQuotes
    prices: PriceStore
    volatility: VolatilitySource
    watchlist: Watchlist
    positions: Positions
    ledgers: Ledgers
    cooldowns: Cooldowns
    cycles: CycleQueue
    alerts: AlertQueue
    metrics: Metrics
    record: RecordFact
    rules: PollRules = field(default_factory=PollRules)
    catch_up: Callable[[Tick], None] | None = None

    def __call__(self, tick: Tick) -> PollReport:
        """Quote, judge, store and compare; outside the session there is nothing to poll."""
        day = session_of(self.calendar, tick)
        if day is None:
            return PollReport(result=PollResult.CLOSED)
        self.metrics.put("tick_lag", tick.lag(self.clock.now()).total_seconds())
        previous = self.prices.latest()
        if previous is not None and previous.at >= tick.scheduled:
            # prices of now stored under an earlier minute would be a lie; that minute stays empty
            overtaken = previous.at > tick.scheduled
            return PollReport(result=PollResult.LATE if overtaken else PollResult.DUPLICATE)
        self._catch_up(tick)
        symbols = watched_symbols(self.account, self.watchlist, self.positions, self.ledgers)
        memory = self.judge.carried_over(symbols, previous, day.date)
        quotes, memory = self.judge.with_memory(symbols, memory)
        if not self.prices.put_minute(tick, quotes):
            return PollReport(result=PollResult.DUPLICATE)
        self._tell_gap(tick, previous, day)
        self._tell_doubts(tick, quotes, previous, day)
        moves, problems = self._report_moves(tick, quotes, memory)
        return PollReport(result=PollResult.STORED, quotes=quotes, moves=moves, problems=problems)

    def _catch_up(self, tick: Tick) -> None:
        """Prepare the day if that was missed; prices are polled whether or not it works."""
        if self.catch_up is None:
            return
        try:
            self.catch_up(tick)
        except HearthwatchError as error:
            log.warning("day not caught up", extra={"problem": str(error)})
            text = f"The day is not prepared, and catching up failed: {error}"
            alert = _alert(AlertKind.SESSION_UNPREPARED, Severity.WARNING, "catching up", tick, text)
            tell_quietly(self.alerts, alert)

    def _report_moves(
        self, tick: Tick, quotes: dict[Symbol, JudgedQuote], memory: Memory
    ) -> tuple[list[Move], list[str]]:
        """Find moves against the window and report each once; one symbol's failure does not stop the rest."""
        rule = self.rules.move
        bar_to_bar = self.rules.cadence > rule.window
        moves = self._bar_to_bar(tick, quotes, memory) if bar_to_bar else self._against_window(tick, quotes)
        reported, problems = [], []
        for move in moves:
            try:
                if self._report(self._scored(move)):
                    reported.append(move)
            except HearthwatchError as error:
                problems.append(f"{move.symbol}: {error}")
                log.warning("move not reported", extra={"symbol": move.symbol, "problem": str(error)})
        return reported, problems

    def _against_window(self, tick: Tick, quotes: Mapping[Symbol, JudgedQuote]) -> list[Move]:
        """Compare with the window's prices, which are read only when a price lies far from their bounds."""
        at, rule = tick.scheduled, self.rules.move
        since = at - rule.window
        far = may_have_moved(quotes, self.prices.bounds(since, at), rule.threshold)
        window = self.prices.window(since, at) if far else []
        found = []
        for symbol, price in far.items():
            earlier = [p for minute in window if (q := minute.quotes.get(symbol)) and (p := q.price) is not None]
            found.append(find_move(symbol, price, at, earlier, rule.threshold))
        return [move for move in found if move is not None]

    def _bar_to_bar(self, tick: Tick, quotes: Mapping[Symbol, JudgedQuote], memory: Memory) -> list[Move]:
        """Compare with the last good price alone, where the bar is longer than the window."""
        found = []
        for symbol, quote in quotes.items():
            known = memory.get(symbol)
            if quote.price is not None and known is not None and known.last_good is not None:
                before = [known.last_good]
                found.append(find_move(symbol, quote.price, tick.scheduled, before, self.rules.move.threshold))
        return [move for move in found if move is not None]

    def _scored(self, move: Move) -> Move:
        sigma = self.volatility.sigma(move.symbol, move.at)
        return replace(move, sigmas=volatility_score(move.change, sigma))

    def _report(self, move: Move) -> bool:
        """Start the symbol's cycle unless it is quiet; claim first, so that parallel ticks give one event."""
        now, key = self.clock.now(), f"move|{move.symbol}"
        if not self.cooldowns.start(key, now, now + CLAIM_FOR):
            log.info("move suppressed", extra={"symbol": move.symbol, "change": str(move.change)})
            return False
        self.record("move_detected", now, **_fields(move))
        self.cycles.send(move)
        tell_quietly(self.alerts, _move_alert(move))
        self.cooldowns.extend(key, now + self.rules.move.cooldown)
        return True

    def _tell_gap(self, tick: Tick, previous: Minute | None, day: TradingDay) -> None:
        if previous is None or previous.at < day.opens:
            return
        gap = tick.scheduled - previous.at
        if gap > self.rules.longest_gap:
            text = f"No tick for {gap.total_seconds() / 60:.0f} minutes before {tick.id}"
            tell_quietly(self.alerts, _alert(AlertKind.TICKS_MISSED, Severity.WARNING, "ticks", tick, text))

    def _tell_doubts(
        self, tick: Tick, quotes: dict[Symbol, JudgedQuote], previous: Minute | None, day: TradingDay
    ) -> None:
        """Alert on disputed, unconfirmed and lastingly blind symbols, and once when a blind one sees again."""
        before = previous.quotes if previous else {}
        for symbol, quote in quotes.items():
            earlier = before.get(symbol)
            if not quote.doubts and (earlier is None or earlier.blind_since is None):
                continue
            was_blind = self._blind_too_long(earlier, previous.at if previous else tick.scheduled, day)
            if Doubt.UNCONFIRMED in quote.doubts:
                tell_quietly(self.alerts, _unconfirmed_alert(tick, quote))
            if Doubt.DISPUTED in quote.doubts:
                text = f"{symbol}: the two price sources disagree; entries are blocked"
                tell_quietly(self.alerts, _alert(AlertKind.PRICE_DISPUTED, Severity.WARNING, symbol, tick, text))
            if self._blind_too_long(quote, tick.scheduled, day):
                since = iso(quote.blind_since or tick.scheduled)
                why = in_words(quote.doubts)
                text = f"{symbol}: no usable price since {since}, {why}; the software stop cannot act"
                tell_quietly(self.alerts, _alert(AlertKind.SYMBOL_BLIND, Severity.CRITICAL, symbol, tick, text))
            elif was_blind:
                text = f"{symbol}: priced again at {as_price(quote.price) if quote.price else 'unknown'}"
                alert = _alert(AlertKind.SYMBOL_BLIND, Severity.INFO, symbol, tick, text)
                tell_quietly(self.alerts, replace(alert, recovers=True))

    def _blind_too_long(self, quote: JudgedQuote | None, at: datetime, day: TradingDay) -> bool:
        if quote is None or quote.blind_since is None or at < day.opens:
            return False
        return at - max(quote.blind_since, day.opens) >= self.rules.blind_after


def session_of(calendar: ExchangeCalendar, tick: Tick) -> TradingDay | None:
    """Find the session a tick belongs to; the closing minute still does, so that the last prices are judged."""
    day = tick.scheduled.date()
    days = calendar.days(day - _ONE_DAY, day)
    for session in days:
        if session.opens <= tick.scheduled <= session.closes:
            return session
    return None


def _fields(move: Move) -> dict[str, object]:
    return {
        "symbol": move.symbol,
        "tick": move.at,
        "from_price": move.from_price,
        "price": move.price,
        "change": move.change,
        "sigmas": "unknown" if move.sigmas is None else move.sigmas,
    }


def _alert(kind: AlertKind, severity: Severity, subject: str, tick: Tick, text: str) -> Alert:
    return Alert(kind=kind, severity=severity, subject=subject, at=tick.scheduled, text=text, occurrence=tick.id)


def _move_alert(move: Move) -> Alert:
    sigmas = "unknown volatility" if move.sigmas is None else f"{move.sigmas:.1f} sigma"
    percent = (move.change * 100).quantize(Decimal("0.01"))
    text = f"{move.symbol} moved {percent:+} % to {as_price(move.price)} from {as_price(move.from_price)} ({sigmas})"
    return _alert(AlertKind.PRICE_MOVE, Severity.INFO, move.symbol, Tick(scheduled=move.at), text)


def _unconfirmed_alert(tick: Tick, quote: JudgedQuote) -> Alert:
    seen = as_price(quote.suspect) if quote.suspect else "?"
    good = as_price(quote.last_good) if quote.last_good else "?"
    text = f"{quote.symbol}: {seen} after {good} waits for a second source or the next tick"
    return _alert(AlertKind.PRICE_UNCONFIRMED, Severity.WARNING, quote.symbol, tick, text)
