"""Gather what the hard gate looks at; what cannot be read is unknown, and unknown means no."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TypeVar

from shared.domain.assets import Symbol
from shared.domain.errors import Throttled, TryAgain
from shared.domain.gate import UNKNOWN_EXPOSURE, GateInput, GateVerdict, Limits, exposure_of, judge_entry
from shared.domain.intents import IntentId, Side
from shared.domain.ledger import Ledger
from shared.domain.losses import worth_of
from shared.domain.quotes import JudgedQuote
from shared.domain.reconciliation import BrokerFacts
from shared.domain.session import Session
from shared.domain.trading_state import HaltReason, TradingState, trading_state
from shared.ports.book import BrokerRecords, Controls, Positions
from shared.ports.broker import Broker
from shared.ports.clock import Clock
from shared.ports.prices import PriceStore
from shared.use_cases.check_risk import RiskRules, read_kill_switch

log = logging.getLogger(__name__)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighEntry:
    """Put an entry before the gate. The caller reads the ledger first, so that nothing counts less than it is.

    The broker is asked twice for each entry, for the account and for the asset, and neither answer is kept.
    """

    clock: Clock
    broker: Broker
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
        side: Side = Side.BUY,
        besides: IntentId | None = None,
    ) -> GateVerdict:
        """Judge `wanted` shares at up to `worst_price` dollars by every check of the gate.

        Raises Throttled when the broker wants quiet: then the entry may be weighed again later.
        """
        facts = self._fresh_facts()
        quotes = self.fresh_quotes()
        held = self._held()
        exposure = UNKNOWN_EXPOSURE if held is None else exposure_of(symbol, held, quotes)
        given = GateInput(
            now=self.clock.now(),
            kill_switch=read_kill_switch(self.controls),
            state=self._state(),
            session=session,
            quote=quotes.get(symbol),
            equity=facts.equity if facts else None,
            exposure=exposure,
            ledger=ledger,
            frozen=facts is None or symbol in facts.frozen,
            account=_unknown_if_unsaid(self.broker.account),
            asset=_unknown_if_unsaid(lambda: self.broker.asset(symbol)),
            worth=None if facts is None or held is None else worth_of(facts, held, exposure.total),
            losses=_unknown_if_unread(self.controls.losses),
        )
        return judge_entry(symbol, wanted, worst_price, given, self.limits, side=side, besides=besides)

    def fresh_quotes(self) -> Mapping[Symbol, JudgedQuote]:
        """Return the stored minute's quotes while that minute is fresh enough to open positions on."""
        minute = _unknown_if_unread(self.prices.latest)
        if minute is None or self.clock.now() - minute.at > self.rules.stale_after:
            return {}
        return minute.quotes

    def _fresh_facts(self) -> BrokerFacts | None:
        """Return what the broker said at the last pass, while that is no longer ago than entries may be based on.

        The published state says so too, but it is as old as the last risk check, which may lie on the other side of a
        night.
        """
        facts = _unknown_if_unread(self.records.last)
        if facts is None or self.clock.now() - facts.at > self.rules.unsure_after:
            return None
        return facts

    def _state(self) -> TradingState:
        """Read the published trading state; before the first, or unreadable, the broker counts as unsure."""
        return _unknown_if_unread(self.controls.trading_state) or trading_state({HaltReason.BROKER_UNSURE})

    def _held(self) -> Mapping[Symbol, Decimal] | None:
        held = _unknown_if_unread(self.positions.all)
        return None if held is None else {position.symbol: position.quantity for position in held}


def _unknown_if_unread(read: Callable[[], Value]) -> Value | None:
    try:
        return read()
    except TryAgain as error:
        log.warning("unreadable, taken as unknown", extra={"problem": str(error)})
        return None


def _unknown_if_unsaid(ask: Callable[[], Value]) -> Value | None:
    """Ask the broker; its wish for quiet is passed on, so that the entry waits instead of being refused."""
    try:
        return ask()
    except Throttled:
        raise
    except TryAgain as error:
        log.warning("not said by the broker, taken as unknown", extra={"problem": str(error)})
        return None
