"""Judge the session now, from the calendar and the broker's clock (fault 16)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.domain.errors import TryAgain
from shared.domain.session import MarketClock, Session, TradingDay, judge_session
from shared.ports.broker import Broker, ExchangeCalendar
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

_LONGEST_CLOSURE: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSessionNow:
    """Join calendar and market clock; a failed look-up leaves the session unsure, which counts as closed."""

    clock: Clock
    calendar: ExchangeCalendar
    broker: Broker

    def __call__(self) -> Session:
        """Return the judged session of this moment."""
        days, market = self._days(), self._market_clock()
        return judge_session(self.clock.now(), days, market)

    def next_open(self) -> datetime:
        """Return when the next session opens; a day from now when the calendar cannot tell."""
        now = self.clock.now()
        try:
            days = self.calendar.days(now.date(), now.date() + _LONGEST_CLOSURE)
        except TryAgain:
            days = []
        return next((day.opens for day in days if day.opens > now), now + timedelta(days=1))

    def _days(self) -> list[TradingDay] | None:
        today = self.clock.now().date()
        try:
            return list(self.calendar.days(today - timedelta(days=1), today + timedelta(days=1)))
        except TryAgain as error:
            log.warning("exchange calendar unknown", extra={"problem": str(error)})
            return None

    def _market_clock(self) -> MarketClock | None:
        try:
            return self.broker.clock()
        except TryAgain as error:
            log.warning("market clock unknown", extra={"problem": str(error)})
            return None
