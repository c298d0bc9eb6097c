"""Fetch quotes and judge them: primary first, the backup for the symbols in doubt (PRC-01, fault 13).

Decided: a price that jumped is judged only after the symbol's corporate actions were looked up once more, at their
source: the day's plan may be older than the news (PRC-06). A price of a day counts in the shares of that day.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from shared.domain.assets import Symbol
from shared.domain.corporate_actions import NO_ADJUSTMENT, CorporateAction, adjustment
from shared.domain.day_plan import exchange_date
from shared.domain.errors import HearthwatchError, TryAgain
from shared.domain.money import usable_price
from shared.domain.quotes import (
    FreshnessLimits,
    JudgedQuote,
    Quote,
    is_wild,
    judge_quote,
    judge_sound,
    judge_unremembered,
    needs_second_source,
    rebase,
)
from shared.ports.broker import CorporateActions
from shared.ports.clock import Clock
from shared.ports.day_plans import DaySources
from shared.ports.prices import Minute, PriceSource

log = logging.getLogger(__name__)

Memory = Mapping[Symbol, JudgedQuote]
"""What the tick before knew of each symbol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeQuotes:
    """Quote many symbols in one request and judge each; a silent provider leaves symbols blind, never an error."""

    clock: Clock
    primary: PriceSource
    backup: PriceSource
    actions: CorporateActions
    sources: DaySources
    limits: FreshnessLimits

    def __call__(self, symbols: Sequence[Symbol], memory: Memory) -> dict[Symbol, JudgedQuote]:
        """Judge the symbols against what was known of them before, as `carried_over` gives it."""
        quotes, _ = self.with_memory(symbols, memory)
        return quotes

    def with_memory(self, symbols: Sequence[Symbol], memory: Memory) -> tuple[dict[Symbol, JudgedQuote], Memory]:
        """Judge the symbols, and give the memory they were judged against: a late corporate action changes it."""
        quotes = _ask(self.primary, symbols, "primary")
        now = self.clock.now()
        sound = self._sound(symbols, quotes, memory, now)
        if len(sound) == len(symbols):
            return sound, memory
        late = self._carried_again([s for s in symbols if s not in sound], quotes, memory, now)
        if late:
            memory, now = {**memory, **late}, self.clock.now()
            sound = self._sound(symbols, quotes, memory, now)
        return self._in_doubt(symbols, quotes, sound, memory, now), memory

    def _sound(
        self, symbols: Sequence[Symbol], quotes: Mapping[Symbol, Quote], memory: Memory, now: datetime
    ) -> dict[Symbol, JudgedQuote]:
        limits = self.limits
        return {s: good for s in symbols if (good := judge_sound(s, quotes.get(s), memory.get(s), now, limits))}

    def _in_doubt(
        self,
        symbols: Sequence[Symbol],
        quotes: Mapping[Symbol, Quote],
        sound: dict[Symbol, JudgedQuote],
        memory: Memory,
        now: datetime,
    ) -> dict[Symbol, JudgedQuote]:
        limits = self.limits
        doubtful = [
            s for s in symbols if s not in sound and needs_second_source(quotes.get(s), memory.get(s), now, limits)
        ]
        second = _ask(self.backup, doubtful, "backup") if doubtful else {}
        later = self.clock.now() if doubtful else now
        if later > now:
            sound = {}  # asking took time: all are judged as of now
        return {
            s: sound.get(s) or judge_quote(s, quotes.get(s), second.get(s), memory.get(s), later, limits)
            for s in symbols
        }

    def unremembered(self, symbols: Sequence[Symbol]) -> dict[Symbol, JudgedQuote]:
        """Judge the symbols while the stored prices cannot be read: both providers are asked, and must agree."""
        quotes, second = _ask(self.primary, symbols, "primary"), _ask(self.backup, symbols, "backup")
        now = self.clock.now()
        return {s: judge_unremembered(s, quotes.get(s), second.get(s), now, self.limits) for s in symbols}

    def _carried_again(
        self, symbols: Sequence[Symbol], quotes: Mapping[Symbol, Quote], memory: Memory, now: datetime
    ) -> Memory:
        """Carry the memory of symbols that jumped over actions that became known since it was carried over (PRC-06).

        A jump that waits for confirmation is forgotten then: nobody knows in which shares it was seen.
        """
        today = exchange_date(now)
        since = {
            symbol: day
            for symbol in symbols
            if (known := memory.get(symbol)) is not None
            and known.last_good_at is not None
            and _jumped(quotes.get(symbol), known, self.limits)
            and (day := exchange_date(known.last_good_at)) < today
        }
        if not since:
            return {}
        actions = look_again(self.sources, sorted(since), min(since.values()), today)
        steps = {symbol: adjustment(actions, symbol, day, today) for symbol, day in since.items()}
        return {
            symbol: rebase(memory[symbol], step, now)._replace(suspect=None)
            for symbol, step in steps.items()
            if step != NO_ADJUSTMENT
        }

    def carried_over(self, symbols: Sequence[Symbol], previous: Minute | None, today: date) -> Memory:
        """Take the last judged quotes, carried over any split or dividend that went ex since (PRC-06)."""
        if previous is None:
            return {}
        since = exchange_date(previous.at)
        if since >= today:
            return previous.quotes
        known = known_actions(self.actions, symbols, since, today)
        memory = dict(previous.quotes)
        for symbol in {action.symbol for action in known} & memory.keys():
            memory[symbol] = rebase(memory[symbol], adjustment(known, symbol, since, today), self.clock.now())
        return memory


def known_actions(
    source: CorporateActions, symbols: Sequence[Symbol], after: date, today: date
) -> Sequence[CorporateAction]:
    """Look up actions that went ex after a date; a failed lookup counts as no action (RSK-01)."""
    try:
        return source.actions(symbols, after, today)
    except TryAgain as error:
        log.warning("corporate actions unknown, taken as none", extra={"problem": str(error)})
        return ()


def look_again(sources: DaySources, symbols: Sequence[Symbol], after: date, today: date) -> Sequence[CorporateAction]:
    """Look up actions at their source, whatever the day's plan says; a failed lookup counts as no action (RSK-01)."""
    try:
        return sources.actions.actions(symbols, after, today)
    except HearthwatchError as error:
        log.warning("corporate actions not looked up again, taken as none", extra={"problem": str(error)})
        return ()


def _jumped(quote: Quote | None, known: JudgedQuote, limits: FreshnessLimits) -> bool:
    price = quote.last if quote is not None else None
    return price is not None and usable_price(price) and is_wild(price, known.last_good, limits)


def _ask(source: PriceSource, symbols: Sequence[Symbol], name: str) -> Mapping[Symbol, Quote]:
    try:
        return source.quotes(symbols)
    except TryAgain as error:
        log.warning("price source failed", extra={"source": name, "problem": str(error)})
        return {}
