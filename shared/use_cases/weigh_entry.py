"""Gather what the hard gate looks at; what cannot be read is unknown, and unknown means no."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from shared.domain.assets import Symbol
from shared.domain.errors import TryAgain
from shared.domain.gate import Exposure, GateInput, GateVerdict, Limits, judge_entry
from shared.domain.intents import IntentId
from shared.domain.ledger import Ledger
from shared.domain.money import ZERO
from shared.domain.quotes import JudgedQuote
from shared.domain.session import Session
from shared.domain.trading_state import HaltReason, TradingState, trading_state
from shared.ports.book import BrokerRecords, Controls, Positions
from shared.ports.clock import Clock
from shared.ports.prices import PriceStore
from shared.use_cases.check_risk import RiskRules, read_kill_switch

log = logging.getLogger(__name__)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighEntry:
    """Put an entry before the gate. The caller reads the ledger first, so that nothing counts less than it is."""

    clock: Clock
    controls: Controls
    prices: PriceStore
    positions: Positions
    records: BrokerRecords
    limits: Limits = field(default_factory=Limits)
    rules: RiskRules = field(default_factory=RiskRules)

    def __call__(
        self,
        symbol: Symbol,
        wanted: Decimal,
        worst_price: Decimal,
        ledger: Ledger,
        session: Session,
        *,
        besides: IntentId | None = None,
    ) -> GateVerdict:
        """Judge `wanted` shares at up to `worst_price` dollars against limits, state, session, quote and pace."""
        facts = _unknown_if_unread(self.records.last)
        quotes = self.fresh_quotes()
        given = GateInput(
            now=self.clock.now(),
            kill_switch=read_kill_switch(self.controls),
            state=self._state(),
            session=session,
            quote=quotes.get(symbol),
            equity=facts.equity if facts else None,
            exposure=self._exposure(symbol, quotes),
            ledger=ledger,
            frozen=facts is None or symbol in facts.frozen,
        )
        return judge_entry(symbol, wanted, worst_price, given, self.limits, besides=besides)

    def fresh_quotes(self) -> Mapping[Symbol, JudgedQuote]:
        """Return the stored minute's quotes while that minute is fresh enough to open positions on."""
        minute = _unknown_if_unread(self.prices.latest)
        if minute is None or self.clock.now() - minute.at > self.rules.stale_after:
            return {}
        return minute.quotes

    def _state(self) -> TradingState:
        """Read the published trading state; before the first, or unreadable, the broker counts as unsure."""
        return _unknown_if_unread(self.controls.trading_state) or trading_state({HaltReason.BROKER_UNSURE})

    def _exposure(self, symbol: Symbol, quotes: Mapping[Symbol, JudgedQuote]) -> Exposure:
        held = _unknown_if_unread(self.positions.all)
        if held is None:
            return Exposure(of_symbol=None, total=None)
        of_symbol = total = ZERO
        for position in held:
            price = quote.price if (quote := quotes.get(position.symbol)) else None
            if price is None:
                return Exposure(of_symbol=None, total=None)
            total += position.quantity * price
            if position.symbol == symbol:
                of_symbol += position.quantity * price
        return Exposure(of_symbol=of_symbol, total=total)


def _unknown_if_unread(read: Callable[[], Value]) -> Value | None:
    try:
        return read()
    except TryAgain as error:
        log.warning("unreadable, taken as unknown", extra={"problem": str(error)})
        return None
