"""The plan of one trading day: what was looked up before the open, and which questions it answers (OPS-13, PRC-06).

Decided: a plan has three parts beside its calendar, and each may be missing with a reason; a part once prepared stays
as it is, so that preparing again only fills gaps and the equity stays that of the day's start. Without a calendar
there is no plan. What a plan does not cover is not guessed: `None` sends the question to its source.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from shared.domain.assets import Symbol
from shared.domain.corporate_actions import CorporateAction
from shared.domain.errors import InvalidValue
from shared.domain.session import TradingDay
from shared.domain.times import require_utc

CALENDAR_BACK: Final = timedelta(days=35)
"""How far back a plan's calendar reaches: far enough for the 20 sessions that the volatility is made of."""
CALENDAR_AHEAD: Final = timedelta(days=21)
"""How far ahead; the next open is looked for up to 14 days ahead, and a plan may serve some days longer."""
ENOUGH_BACK: Final = timedelta(days=1)
ENOUGH_AHEAD: Final = timedelta(days=14)
"""Around today a plan's calendar must at least answer these days."""
ACTIONS_BACK: Final = timedelta(days=14)
"""How far back corporate actions are looked up at least; further where a position was adjusted earlier."""
ACTIONS_AHEAD: Final = timedelta(days=7)
"""How far ahead: actions are announced early, so a plan still helps on the days after it if nothing newer is there."""
SIGMA_GOOD_FOR: Final = timedelta(days=7)
"""A volatility over 20 days moves little within a week; beyond it the plan's is unknown."""


class Part(StrEnum):
    """What a plan is made of beside the calendar."""

    ACTIONS = "corporate actions"
    VOLATILITY = "volatility"
    EQUITY = "equity"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCalendar:
    """The sessions from `first` to `last`, both included; a date in between without one is no trading day."""

    first: date
    last: date
    days: tuple[TradingDay, ...]

    def __post_init__(self) -> None:
        if any(not self.first <= day.date <= self.last for day in self.days):
            raise InvalidValue("days", [day.date for day in self.days], f"dates from {self.first} to {self.last}")

    def between(self, first: date, last: date) -> Sequence[TradingDay] | None:
        """Return the sessions of a range; None when a part of it is not covered."""
        if first < self.first or last > self.last:
            return None
        return tuple(day for day in self.days if first <= day.date <= last)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayActions:
    """The corporate actions of some symbols with after < ex-date <= upto."""

    symbols: frozenset[Symbol]
    after: date
    upto: date
    known: tuple[CorporateAction, ...] = ()

    def between(self, symbols: Collection[Symbol], after: date, upto: date) -> Sequence[CorporateAction] | None:
        """Return the actions of a range; None when a symbol or a part of the range is not covered."""
        if after < self.after or upto > self.upto or not self.symbols.issuperset(symbols):
            return None
        return tuple(a for a in self.known if a.symbol in symbols and after < a.ex_date <= upto)


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPlan:
    """What one trading day starts with; `day` is the exchange's date, equities are dollars.

    `sigmas` holds None for a symbol whose volatility is unknown. `equity` is the account's at the day's start, and
    `week_equity` the first one known in its trading week. `problems` say of each missing part why it is missing.
    """

    day: date
    prepared_at: datetime
    calendar: DayCalendar
    actions: DayActions | None = None
    sigmas: Mapping[Symbol, float | None] = field(default_factory=lambda: MappingProxyType({}))
    equity: Decimal | None = None
    week_equity: Decimal | None = None
    problems: Mapping[Part, str] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        require_utc("prepared_at", self.prepared_at)
        if any(sigma is not None and not sigma > 0 for sigma in self.sigmas.values()):
            raise InvalidValue("sigmas", dict(self.sigmas), "deviations above zero, or None where unknown")
        for part, value in ((Part.ACTIONS, self.actions), (Part.EQUITY, self.equity)):
            if (value is None) != (part in self.problems):
                raise InvalidValue("problems", dict(self.problems), f"one for {part} exactly when that is missing")

    @property
    def missing(self) -> frozenset[Part]:
        """Name the parts that could not be prepared."""
        return frozenset(self.problems)

    @property
    def is_complete(self) -> bool:
        """Say whether nothing is missing."""
        return not self.problems

    def is_enough_for(self, today: date) -> bool:
        """Say whether it is today's, and its calendar answers what is asked around today."""
        return self.day == today and self.calendar.between(today - ENOUGH_BACK, today + ENOUGH_AHEAD) is not None

    def is_better_than(self, other: DayPlan | None) -> bool:
        """Say whether it may take the place of another plan of its day: only with fewer parts missing."""
        return other is None or len(self.problems) < len(other.problems)

    def with_actions(self, actions: DayActions) -> DayPlan:
        """Fill in the corporate actions."""
        return replace(self, actions=actions, problems=self._problems_but(Part.ACTIONS))

    def with_sigmas(self, sigmas: Mapping[Symbol, float | None]) -> DayPlan:
        """Fill in the volatilities."""
        return replace(self, sigmas=sigmas, problems=self._problems_but(Part.VOLATILITY))

    def with_equity(self, equity: Decimal, before: DayPlan | None) -> DayPlan:
        """Fill in the equity, and the week's from the newest plan before."""
        week_equity = carried_week_equity(self.day, equity, before)
        return replace(self, equity=equity, week_equity=week_equity, problems=self._problems_but(Part.EQUITY))

    def without(self, part: Part, problem: str) -> DayPlan:
        """Say why a part is missing."""
        return replace(self, problems={**self.problems, part: problem})

    def sigma(self, symbol: Symbol, on: date) -> float | None:
        """Give a symbol's volatility on a day from this plan's on; None is unknown."""
        return self.sigmas.get(symbol) if timedelta(0) <= on - self.day <= SIGMA_GOOD_FOR else None

    def _problems_but(self, part: Part) -> Mapping[Part, str]:
        return {known: problem for known, problem in self.problems.items() if known is not part}


def empty_plan(day: date, now: datetime, calendar: DayCalendar) -> DayPlan:
    """Begin a plan with its calendar alone."""
    return DayPlan(day=day, prepared_at=now, calendar=calendar, problems=dict.fromkeys(Part, "not looked up yet"))


def exchange_date(now: datetime) -> date:
    """Give the date in New York."""
    return now.astimezone(ZoneInfo("America/New_York")).date()


def week_of(day: date) -> tuple[int, int]:
    """Name the trading week of a date: its ISO year and week, from Monday to Sunday."""
    year, week, _ = day.isocalendar()
    return year, week


def carried_week_equity(day: date, equity: Decimal, before: DayPlan | None) -> Decimal:
    """Give the equity at the start of a day's week: that of the newest plan before when it is of the same week.

    When that one knows none, or is of another week, the day's own counts: the first that is known.
    """
    if before is not None and week_of(before.day) == week_of(day) and before.week_equity is not None:
        return before.week_equity
    return equity
