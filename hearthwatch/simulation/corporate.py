"""A split or dividend in a run: when it goes ex, and whether anybody is told in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from random import Random
from typing import Final

from hearthwatch.simulation.market import BOUGHT, HELD
from shared.domain.assets import Symbol
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.session import TradingDay
from shared.ports.clock import Clock

_SPLITS: Final = (Decimal(4), Decimal(7), Decimal("0.2"))
_DIVIDENDS: Final = (Decimal("0.5"), Decimal(4))


class Known(StrEnum):
    """When the source of corporate actions has it."""

    IN_TIME = "in time"
    LATE = "late"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One corporate action of a run.

    It goes ex before the run's day opens, or with `overnight` before the next one; the source has it from `known_from`
    on, None for never.
    """

    action: CorporateAction
    overnight: bool
    known: Known
    known_from: datetime | None

    def entry(self, before: Decimal) -> Decimal:
        """Carry an entry price over the action."""
        return before / self.action.ratio - self.action.cash_amount


def draw_plan(random: Random, day: TradingDay, next_day: TradingDay, *, chance: float) -> Plan | None:
    """Draw the run's action, mostly in a held symbol; the same number of draws whatever comes of it."""
    wanted, overnight = random.random() < chance, random.random() < 0.5
    symbol, split = random.choice((*HELD, *HELD, BOUGHT[0])), random.random() < 0.6
    ratio, cash = random.choice(_SPLITS), random.choice(_DIVIDENDS)
    known, minutes = random.choice(list(Known)), random.uniform(0, 10)
    if not wanted:
        return None
    ex_day = next_day if overnight else day
    action = CorporateAction(
        symbol=symbol,
        ex_date=ex_day.date,
        kind=ActionKind.SPLIT if split else ActionKind.DIVIDEND,
        ratio=ratio if split else Decimal(1),
        cash_amount=Decimal(0) if split else cash,
    )
    since = {
        Known.IN_TIME: day.opens - timedelta(days=1),
        Known.LATE: ex_day.opens + timedelta(minutes=minutes),
        Known.NEVER: None,
    }
    return Plan(action=action, overnight=overnight, known=known, known_from=since[known])


class TimelyActions:
    """The source of corporate actions: it knows the plan from its time on."""

    def __init__(self, plan: Plan | None, clock: Clock) -> None:
        self._plan = plan
        self._clock = clock

    def actions(self, symbols: Sequence[Symbol], after: date, upto: date) -> Sequence[CorporateAction]:
        """Return what is known by now."""
        plan = self._plan
        if plan is None or plan.known_from is None or self._clock.now() < plan.known_from:
            return ()
        action = plan.action
        return [action] if action.symbol in symbols and after < action.ex_date <= upto else []


def yesterday(day: TradingDay) -> TradingDay:
    """Give the session before, as if every day were one."""
    night = timedelta(days=1)
    return TradingDay(date=day.date - night, opens=day.opens - night, closes=day.closes - night)
