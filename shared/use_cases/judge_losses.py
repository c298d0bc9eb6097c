"""Judge what the day and the week have lost, and remember what tripped (RSK-07)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from shared.domain.assets import Symbol
from shared.domain.errors import Conflict, HearthwatchError, TryAgain
from shared.domain.losses import Losses, LossLimits, Period, Worth, carried_on, market_value, stopped_by, worth_of
from shared.domain.money import usable_price
from shared.domain.positions import Position
from shared.domain.quotes import JudgedQuote
from shared.domain.reconciliation import BrokerFacts
from shared.domain.trading_state import HaltReason
from shared.ports.book import Controls
from shared.ports.clock import Clock
from shared.ports.day_plans import DayPlans

log = logging.getLogger(__name__)

_TRIES: Final = 10


class _Start(NamedTuple):
    """An equity in dollars, and since when transfers are not in it."""

    equity: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeLosses:
    """Begin the day and the week with the equity of the day's plan, or with the first that is known, and watch it."""

    clock: Clock
    controls: Controls
    plans: DayPlans
    limits: LossLimits = field(default_factory=LossLimits)

    def __call__(
        self, today: date, facts: BrokerFacts | None, held: Sequence[Position], quotes: Mapping[Symbol, JudgedQuote]
    ) -> Mapping[HaltReason, str] | None:
        """Return each limit that was met with its numbers; None when what is known of the period cannot be read.

        Without a worth nothing trips and what tripped stands. A trip that cannot be stored now holds for this tick, and
        the next one judges again.
        """
        worth = None
        if facts is not None:
            quantities = {position.symbol: position.quantity for position in held}
            worth = worth_of(facts, quantities, market_value(quantities, quotes))
        try:
            losses = self._judged(today, facts, worth)
        except HearthwatchError as error:
            log.warning("loss limits unreadable", extra={"problem": str(error)})
            return None
        return {} if losses is None else stopped_by(losses, worth, self.limits)

    def _judged(self, today: date, facts: BrokerFacts | None, worth: Worth | None) -> Losses | None:
        for _ in range(_TRIES):
            stored = self.controls.losses()
            losses = stored
            if stored is None or stored.day.began < today:
                losses = self._carried_on(stored, today, facts)
            if losses is not None and worth is not None:
                losses = losses.judged(worth, self.limits, self.clock.now())
            if losses is None or losses is stored or self._kept(losses):
                return losses
        raise Conflict(f"the loss limits stayed contended over {_TRIES} tries")

    def _kept(self, losses: Losses) -> bool:
        """Store what changed; False when somebody was faster, who may have tripped a limit."""
        try:
            self.controls.put_losses(losses)
        except Conflict:
            return False
        except TryAgain as error:
            log.warning("loss limits not stored", extra={"problem": str(error)})
        return True

    def _carried_on(self, known: Losses | None, today: date, facts: BrokerFacts | None) -> Losses | None:
        """Begin the day, and its week if that is new; without any equity to begin with nothing is known of either."""
        plan = self.plans.get(today)
        start = week_start = None
        if plan is not None and plan.equity is not None:
            start = _Start(plan.equity, plan.prepared_at)
            if plan.week_equity is not None:
                week_start = _Start(plan.week_equity, _monday(today))
        elif facts is not None:
            start = _Start(facts.equity, facts.at)
        if start is None or not usable_price(start.equity):
            return None
        if known is not None or week_start is None or not usable_price(week_start.equity):
            week_start = start
        return carried_on(known, _begun(today, start), _begun(today, week_start))


def _begun(today: date, start: _Start) -> Period:
    return Period(began=today, since=start.at, equity=start.equity)


def _monday(today: date) -> datetime:
    return datetime.combine(today - timedelta(days=today.weekday()), time(), UTC)
