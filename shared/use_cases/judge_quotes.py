"""Fetch quotes and judge them: primary first, the backup for the symbols in doubt (PRC-01, fault 13)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from shared.domain.assets import Symbol
from shared.domain.corporate_actions import CorporateAction, adjustment
from shared.domain.errors import TryAgain
from shared.domain.quotes import (
    FreshnessLimits,
    JudgedQuote,
    Quote,
    judge_quote,
    judge_sound,
    judge_unremembered,
    needs_second_source,
    rebase,
)
from shared.ports.broker import CorporateActions
from shared.ports.clock import Clock
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
    limits: FreshnessLimits

    def __call__(self, symbols: Sequence[Symbol], memory: Memory) -> dict[Symbol, JudgedQuote]:
        """Judge the symbols against what was known of them before, as `carried_over` gives it."""
        quotes = _ask(self.primary, symbols, "primary")
        now, limits = self.clock.now(), self.limits
        sound = {s: good for s in symbols if (good := judge_sound(s, quotes.get(s), memory.get(s), now, limits))}
        if len(sound) == len(symbols):
            return sound
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

    def carried_over(self, symbols: Sequence[Symbol], previous: Minute | None, today: date) -> Memory:
        """Take the last judged quotes, carried over any split or dividend that went ex since (PRC-06)."""
        if previous is None:
            return {}
        if previous.at.date() >= today:
            return previous.quotes
        known = known_actions(self.actions, symbols, previous.at.date(), today)
        memory = dict(previous.quotes)
        for symbol in {action.symbol for action in known} & memory.keys():
            step = adjustment(known, symbol, previous.at.date(), today)
            memory[symbol] = rebase(memory[symbol], step.ratio, step.cash)
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


def _ask(source: PriceSource, symbols: Sequence[Symbol], name: str) -> Mapping[Symbol, Quote]:
    try:
        return source.quotes(symbols)
    except TryAgain as error:
        log.warning("price source failed", extra={"source": name, "problem": str(error)})
        return {}
