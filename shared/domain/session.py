"""The exchange session: the calendar says what is planned, the broker's clock what is true (PRC-04, fault 16)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.domain.errors import InvalidValue
from shared.domain.times import require_utc

CLOCK_GOOD_FOR: Final = timedelta(minutes=2)
"""A market clock answer older than this proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class TradingDay:
    """One regular session of the exchange; `date` is the exchange's own, `opens` and `closes` are UTC."""

    date: date
    opens: datetime
    closes: datetime

    def __post_init__(self) -> None:
        require_utc("opens", self.opens)
        require_utc("closes", self.closes)
        if self.opens >= self.closes:
            raise InvalidValue("closes", self.closes, f"a time after the open {self.opens}")

    def is_open_at(self, now: datetime) -> bool:
        """Say whether the session runs at this instant; the closing instant itself is closed."""
        return self.opens <= now < self.closes


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketClock:
    """The broker's own word on whether the market is open, and when it said so."""

    at: datetime
    is_open: bool
    next_open: datetime
    next_close: datetime


class SessionState(StrEnum):
    """What we may assume about the session."""

    OPEN = "open"
    CLOSED = "closed"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The judged session: orders leave only when it is OPEN; UNSURE counts as closed and is told to a person."""

    state: SessionState
    reason: str
    day: TradingDay | None = None

    @property
    def is_open(self) -> bool:
        """Say whether orders may be sent."""
        return self.state is SessionState.OPEN


def trading_day_at(days: Sequence[TradingDay], now: datetime) -> TradingDay | None:
    """Find the session that runs at this instant, if any."""
    return next((day for day in days if day.is_open_at(now)), None)


def judge_session(now: datetime, days: Sequence[TradingDay] | None, clock: MarketClock | None) -> Session:
    """Join calendar and clock; when one is missing or they disagree the session is UNSURE.

    `days` must cover today; an empty sequence means that the calendar lists no session around now.
    """
    if days is None:
        return Session(state=SessionState.UNSURE, reason="no exchange calendar")
    planned = trading_day_at(days, now)
    if clock is None:
        return Session(state=SessionState.UNSURE, reason="no market clock", day=planned)
    if abs(now - clock.at) > CLOCK_GOOD_FOR:
        return Session(
            state=SessionState.UNSURE, reason=f"market clock answered for {clock.at}, now is {now}", day=planned
        )
    if clock.is_open == (planned is not None):
        state = SessionState.OPEN if clock.is_open else SessionState.CLOSED
        return Session(state=state, reason="calendar and clock agree", day=planned)
    says = "open" if clock.is_open else "closed"
    return Session(state=SessionState.UNSURE, reason=f"the clock says {says}, the calendar disagrees", day=planned)
