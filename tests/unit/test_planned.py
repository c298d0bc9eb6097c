"""Answers from the day's plan, and from outside only where the plan has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest

from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.day_plans import MemoryDayPlans
from shared.bootstrap.planned import PlannedActions, PlannedCalendar, PlannedVolatility
from shared.domain.assets import Symbol
from shared.domain.corporate_actions import CorporateAction
from shared.domain.day_plan import DayPlan, Part
from shared.domain.errors import Unavailable
from shared.domain.session import TradingDay
from tests.fakes.faults import Faults
from tests.fakes.venue import AAPL, TSLA, Weekdays
from tests.unit.day_plans import DIVIDEND, PLAN, PREPARED_AT, SPLIT, TODAY, plan_of

DAY = timedelta(days=1)
KO = Symbol("KO")
LATER_SPLIT = replace(SPLIT, ex_date=TODAY + DAY)
FRIDAY = date(2026, 2, 6)


@dataclass
class Live:
    """The sources themselves: each answer is counted, and they can be down."""

    calls: int = 0
    down: bool = False
    known: list[CorporateAction] = field(default_factory=lambda: [DIVIDEND, SPLIT, LATER_SPLIT])

    def days(self, first: date, last: date) -> Sequence[TradingDay]:
        self._answer()
        return Weekdays().days(first, last)

    def actions(self, symbols: Sequence[Symbol], after: date, upto: date) -> Sequence[CorporateAction]:
        self._answer()
        return [a for a in self.known if a.symbol in symbols and after < a.ex_date <= upto]

    def _answer(self) -> None:
        self.calls += 1
        if self.down:
            raise Unavailable("no route")


class House:
    """The planned sources at an instant, over stored plans."""

    def __init__(self, *plans: DayPlan, at: datetime = PREPARED_AT) -> None:
        self.faults = Faults()
        self.stored = MemoryDayPlans()
        for plan in plans:
            assert self.stored.put(plan)
        self.clock = SimulatedClock(at)
        self.live = Live()
        watched = self.faults.around("plans", self.stored)
        self.calendar = PlannedCalendar(watched, self.live, self.clock)
        self.actions = PlannedActions(watched, self.live, self.clock)
        self.volatility = PlannedVolatility(watched, self.clock)

    @property
    def reads(self) -> int:
        return len(self.faults.calls)


class TestCalendar:
    def test_todays_plan_answers_everything_asked_around_today_and_is_read_once(self) -> None:
        house = House(PLAN)
        for first, last in ((TODAY - DAY, TODAY), (TODAY, TODAY + 14 * DAY), (TODAY - DAY, TODAY + DAY)):
            assert list(house.calendar.days(first, last)) == list(Weekdays().days(first, last))

        assert (house.live.calls, house.reads) == (0, 1)

    def test_without_a_plan_the_source_is_asked(self) -> None:
        house = House()

        assert house.calendar.days(TODAY, TODAY) == Weekdays().days(TODAY, TODAY)
        assert house.live.calls == 1

    def test_a_range_the_plan_does_not_cover_is_asked_outside(self) -> None:
        house = House(PLAN)

        assert len(house.calendar.days(TODAY, TODAY + 30 * DAY)) == len(Weekdays().days(TODAY, TODAY + 30 * DAY))
        assert house.live.calls == 1

    def test_an_earlier_plan_answers_while_todays_is_not_there_and_is_looked_for_again(self) -> None:
        house = House(PLAN, at=PREPARED_AT + DAY)

        assert house.calendar.days(TODAY, TODAY + DAY)
        assert house.calendar.days(TODAY, TODAY + DAY)
        assert (house.live.calls, house.reads) == (0, 2)
        assert house.stored.put(plan_of(TODAY + DAY))
        for _ in range(3):
            house.calendar.days(TODAY, TODAY + DAY)

        assert (house.live.calls, house.reads) == (0, 3)

    def test_over_a_weekend_the_plan_of_friday_is_the_newest_there_can_be(self) -> None:
        house = House(plan_of(FRIDAY), at=datetime(2026, 2, 8, 12, tzinfo=UTC))
        for _ in range(3):
            assert house.calendar.days(date(2026, 2, 7), date(2026, 2, 8)) == ()

        assert (house.live.calls, house.reads) == (0, 1)

    def test_a_plan_that_lacks_a_part_is_read_anew(self) -> None:
        house = House(plan_of(TODAY, missing=frozenset({Part.EQUITY})))
        for _ in range(3):
            house.calendar.days(TODAY, TODAY)

        assert house.reads == 3

    def test_an_unreadable_store_leaves_the_source(self) -> None:
        house = House(PLAN)
        house.faults.fail("plans.latest", Unavailable("no route"))

        assert house.calendar.days(TODAY, TODAY)
        assert house.live.calls == 1

    def test_the_plan_kept_serves_on_while_the_store_is_unreadable(self) -> None:
        house = House(PLAN)
        house.calendar.days(TODAY, TODAY)
        house.clock.advance(DAY)
        house.faults.fail("plans.latest", Unavailable("no route"))

        assert house.calendar.days(TODAY, TODAY + DAY)
        assert house.live.calls == 0

    def test_a_source_that_is_down_raises_where_the_plan_has_no_answer(self) -> None:
        house = House()
        house.live.down = True

        with pytest.raises(Unavailable):
            house.calendar.days(TODAY, TODAY)


class TestActions:
    def test_todays_plan_answers_for_today(self) -> None:
        house = House(PLAN)

        assert list(house.actions.actions([TSLA, AAPL], TODAY - 3 * DAY, TODAY)) == [DIVIDEND, SPLIT]
        assert house.live.calls == 0

    def test_a_symbol_the_plan_does_not_know_is_asked_outside(self) -> None:
        house = House(PLAN)
        house.live.known.append(replace(SPLIT, symbol=KO))

        assert [a.symbol for a in house.actions.actions([TSLA, KO], TODAY - DAY, TODAY)] == [TSLA, KO]
        assert house.live.calls == 1

    def test_on_a_later_trading_day_the_source_is_asked_for_what_was_announced_since(self) -> None:
        house = House(PLAN, at=PREPARED_AT + DAY)

        assert LATER_SPLIT in house.actions.actions([TSLA], TODAY, TODAY + DAY)
        assert house.live.calls == 1

    def test_and_when_it_does_not_answer_the_earlier_plan_does(self) -> None:
        house = House(PLAN, at=PREPARED_AT + DAY)
        house.live.down = True

        assert list(house.actions.actions([TSLA], TODAY - DAY, TODAY + DAY)) == [SPLIT]

    def test_in_the_evening_when_utc_is_a_day_ahead_the_plan_still_answers(self) -> None:
        house = House(PLAN, at=datetime(2026, 2, 5, 2, tzinfo=UTC))

        assert list(house.actions.actions([TSLA], TODAY - DAY, TODAY + DAY)) == [SPLIT]
        assert house.live.calls == 0

    def test_over_a_weekend_nothing_goes_ex_and_nobody_is_asked(self) -> None:
        house = House(plan_of(FRIDAY), at=datetime(2026, 2, 8, 12, tzinfo=UTC))

        house.actions.actions([TSLA], FRIDAY, date(2026, 2, 8))

        assert house.live.calls == 0

    def test_a_plan_without_actions_leaves_the_source(self) -> None:
        house = House(plan_of(TODAY, missing=frozenset({Part.ACTIONS})))

        assert list(house.actions.actions([TSLA], TODAY - DAY, TODAY)) == [SPLIT]
        assert house.live.calls == 1

    def test_a_source_that_is_down_raises_where_the_plan_has_no_answer(self) -> None:
        house = House()
        house.live.down = True

        with pytest.raises(Unavailable):
            house.actions.actions([TSLA], TODAY - DAY, TODAY)


class TestVolatility:
    def test_the_plan_answers_and_an_unknown_symbol_is_unknown(self) -> None:
        house = House(PLAN)

        assert house.volatility.sigma(TSLA, PREPARED_AT) == PLAN.sigmas[TSLA]
        assert house.volatility.sigma(AAPL, PREPARED_AT) is None
        assert house.volatility.sigma(KO, PREPARED_AT) is None

    def test_without_a_plan_or_with_an_old_one_it_is_unknown(self) -> None:
        assert House().volatility.sigma(TSLA, PREPARED_AT) is None
        assert House(PLAN).volatility.sigma(TSLA, PREPARED_AT + 8 * DAY) is None

    def test_an_unreadable_store_makes_it_unknown(self) -> None:
        house = House(PLAN)
        house.faults.fail("plans.latest", Unavailable("no route"))

        assert house.volatility.sigma(TSLA, PREPARED_AT) is None
