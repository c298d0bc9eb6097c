"""Plans of trading days that the stories in these tests are told with: a Wednesday in New York's winter."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from shared.domain.assets import Symbol
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.day_plan import DayActions, DayCalendar, DayPlan, Part
from tests.fakes.venue import AAPL, TSLA, Weekdays

TODAY = date(2026, 2, 4)
PREPARED_AT = datetime(2026, 2, 4, 13, 30, tzinfo=UTC)
SPLIT = CorporateAction(symbol=TSLA, ex_date=TODAY, kind=ActionKind.SPLIT, ratio=Decimal(1) / Decimal(3))
DIVIDEND = CorporateAction(
    symbol=AAPL, ex_date=TODAY - timedelta(days=2), kind=ActionKind.DIVIDEND, cash_amount=Decimal("0.2500")
)


def calendar_of(day: date, *, back: int = 35, ahead: int = 21) -> DayCalendar:
    """A calendar around a day, without holidays."""
    first, last = day - timedelta(days=back), day + timedelta(days=ahead)
    return DayCalendar(first=first, last=last, days=tuple(Weekdays().days(first, last)))


def plan_of(day: date, *, missing: frozenset[Part] = frozenset(), week_equity: str | None = "99000.5") -> DayPlan:
    """A plan of a day in which these parts are missing."""
    sigmas: Mapping[Symbol, float | None] = {TSLA: 0.1 + 0.2, AAPL: None}
    actions = DayActions(
        symbols=frozenset({TSLA, AAPL}),
        after=day - timedelta(days=14),
        upto=day + timedelta(days=7),
        known=(DIVIDEND, SPLIT),
    )
    return DayPlan(
        day=day,
        prepared_at=datetime.combine(day, time(13, 30), UTC),
        calendar=calendar_of(day),
        actions=None if Part.ACTIONS in missing else actions,
        sigmas={} if Part.VOLATILITY in missing else sigmas,
        equity=None if Part.EQUITY in missing else Decimal("100000.10"),
        week_equity=None if week_equity is None else Decimal(week_equity),
        problems={part: f"no {part} today" for part in sorted(missing)},
    )


PLAN = plan_of(TODAY)
