"""The plan of a day: what it answers, what it leaves to its sources, and how it is filled and stored."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.day_plan import DAY_PLAN, StoredDayPlan
from shared.contracts.fractional_probe import FRACTIONAL_PROBE
from shared.contracts.live_confirmation import LIVE_CONFIRMATION
from shared.contracts.stored import StoredForm, Unreadable
from shared.domain.assets import Symbol
from shared.domain.day_plan import (
    SIGMA_GOOD_FOR,
    DayCalendar,
    DayPlan,
    Part,
    carried_week_equity,
    empty_plan,
    exchange_date,
    week_of,
)
from shared.domain.errors import InvalidValue
from shared.domain.fractional import FractionalProbe
from shared.domain.stage import LiveConfirmation, Stage
from tests.conftest import SAMPLES
from tests.fakes.venue import AAPL, TSLA
from tests.unit.day_plans import DIVIDEND, PLAN, PREPARED_AT, SPLIT, TODAY, calendar_of, plan_of

DAY = timedelta(days=1)
PROBED = FractionalProbe(market=True, limit=True, probed_at=datetime(2026, 2, 4, 15, 0, tzinfo=UTC))
CONFIRMED = LiveConfirmation(
    account="123456789", stage=Stage.LIVE_1, confirmed_at=datetime(2026, 2, 4, 13, 30, tzinfo=UTC), by="ann"
)


class TestCalendar:
    def test_a_range_inside_is_answered_with_its_sessions_alone(self) -> None:
        days = PLAN.calendar.between(TODAY - DAY, TODAY + 5 * DAY)

        assert days is not None
        assert [day.date.day for day in days] == [3, 4, 5, 6, 9]

    def test_a_weekend_inside_is_known_to_have_no_session(self) -> None:
        assert PLAN.calendar.between(date(2026, 2, 7), date(2026, 2, 8)) == ()

    @pytest.mark.parametrize(("back", "ahead"), [(36, 0), (0, 22), (36, 22)])
    def test_a_range_that_reaches_outside_is_not_answered(self, back: int, ahead: int) -> None:
        assert PLAN.calendar.between(TODAY - back * DAY, TODAY + ahead * DAY) is None

    def test_a_session_outside_its_range_is_refused(self) -> None:
        with pytest.raises(InvalidValue):
            DayCalendar(first=TODAY, last=TODAY, days=calendar_of(TODAY).days)

    @pytest.mark.parametrize(("back", "ahead", "enough"), [(1, 14, True), (0, 14, False), (1, 13, False)])
    def test_a_plan_is_enough_when_its_calendar_answers_what_is_asked_around_today(
        self, back: int, ahead: int, enough: bool
    ) -> None:
        plan = empty_plan(TODAY, PREPARED_AT, calendar_of(TODAY, back=back, ahead=ahead))

        assert plan.is_enough_for(TODAY) is enough
        assert not plan.is_enough_for(TODAY + DAY)


class TestActions:
    def test_actions_lie_after_the_first_day_and_up_to_the_last(self) -> None:
        assert PLAN.actions is not None
        assert PLAN.actions.between([TSLA, AAPL], TODAY - 3 * DAY, TODAY) == (DIVIDEND, SPLIT)
        assert PLAN.actions.between([TSLA, AAPL], TODAY - 2 * DAY, TODAY) == (SPLIT,)
        assert PLAN.actions.between([TSLA, AAPL], TODAY - 3 * DAY, TODAY - DAY) == (DIVIDEND,)
        assert PLAN.actions.between([AAPL], TODAY - 3 * DAY, TODAY) == (DIVIDEND,)

    @pytest.mark.parametrize(
        ("symbols", "after", "upto"),
        [
            ([TSLA, Symbol("KO")], TODAY - DAY, TODAY),
            ([TSLA], TODAY - 15 * DAY, TODAY),
            ([TSLA], TODAY - DAY, TODAY + 8 * DAY),
        ],
    )
    def test_an_unknown_symbol_or_a_range_that_reaches_outside_is_not_answered(
        self, symbols: list[Symbol], after: date, upto: date
    ) -> None:
        assert PLAN.actions is not None
        assert PLAN.actions.between(symbols, after, upto) is None


class TestVolatility:
    def test_an_unknown_volatility_is_none(self) -> None:
        assert PLAN.sigma(AAPL, TODAY) is None
        assert PLAN.sigma(Symbol("KO"), TODAY) is None

    @pytest.mark.parametrize(
        ("later", "known"), [(timedelta(0), True), (SIGMA_GOOD_FOR, True), (SIGMA_GOOD_FOR + DAY, False), (-DAY, False)]
    )
    def test_it_serves_for_a_week(self, later: timedelta, known: bool) -> None:
        assert (PLAN.sigma(TSLA, TODAY + later) is not None) is known

    @pytest.mark.parametrize("sigma", [0.0, -0.1, float("nan")])
    def test_a_volatility_is_above_zero_or_unknown(self, sigma: float) -> None:
        with pytest.raises(InvalidValue):
            plan_of(TODAY).with_sigmas({TSLA: sigma})


class TestFilling:
    def test_an_empty_plan_lacks_every_part(self) -> None:
        plan = empty_plan(TODAY, PREPARED_AT, calendar_of(TODAY))

        assert plan.missing == frozenset(Part)
        assert not plan.is_complete

    def test_a_part_that_is_filled_is_missing_no_longer(self) -> None:
        plan = empty_plan(TODAY, PREPARED_AT, calendar_of(TODAY))
        assert PLAN.actions is not None
        plan = plan.with_actions(PLAN.actions).with_sigmas({TSLA: 0.01})

        assert plan.missing == {Part.EQUITY}
        assert plan.with_equity(Decimal(5), None).is_complete

    def test_a_part_is_missing_exactly_when_its_problem_is_told(self) -> None:
        with pytest.raises(InvalidValue):
            DayPlan(day=TODAY, prepared_at=PREPARED_AT, calendar=PLAN.calendar, equity=Decimal(1))
        with pytest.raises(InvalidValue):
            PLAN.without(Part.EQUITY, "it is there")

    @given(missing=st.frozensets(st.sampled_from(Part)), other=st.frozensets(st.sampled_from(Part)))
    def test_a_plan_is_better_only_with_fewer_parts_missing(
        self, missing: frozenset[Part], other: frozenset[Part]
    ) -> None:
        plan, stored = plan_of(TODAY, missing=missing), plan_of(TODAY, missing=other)

        assert plan.is_better_than(stored) == (len(missing) < len(other))
        assert plan.is_better_than(None)


class TestWeekEquity:
    @pytest.mark.parametrize(
        ("before", "carried"),
        [
            (date(2026, 2, 2), "99000.5"),
            (TODAY, "99000.5"),
            (date(2026, 1, 30), "7"),
            (date(2026, 1, 28), "7"),
            (date(2025, 2, 3), "7"),
        ],
    )
    def test_it_is_carried_within_the_week_and_begins_anew_with_the_next(self, before: date, carried: str) -> None:
        assert carried_week_equity(TODAY, Decimal(7), plan_of(before)) == Decimal(carried)

    def test_the_first_known_counts_when_none_was_known_before(self) -> None:
        monday = plan_of(date(2026, 2, 2), missing=frozenset({Part.EQUITY}), week_equity=None)

        assert carried_week_equity(TODAY, Decimal(7), monday) == Decimal(7)
        assert carried_week_equity(TODAY, Decimal(7), None) == Decimal(7)

    def test_a_week_may_lie_in_two_years(self) -> None:
        assert week_of(date(2025, 12, 31)) == week_of(date(2026, 1, 2)) != week_of(date(2026, 1, 5))


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 2, 4, 4, 59, tzinfo=UTC), date(2026, 2, 3)),
        (datetime(2026, 2, 4, 5, 0, tzinfo=UTC), date(2026, 2, 4)),
        (datetime(2026, 7, 1, 3, 59, tzinfo=UTC), date(2026, 6, 30)),
        (datetime(2026, 7, 1, 4, 0, tzinfo=UTC), date(2026, 7, 1)),
    ],
)
def test_the_exchanges_date_changes_at_midnight_in_new_york_summer_and_winter(now: datetime, day: date) -> None:
    assert exchange_date(now) == day


class TestStoredForm:
    @pytest.mark.parametrize(
        ("form", "value"),
        [(DAY_PLAN, StoredDayPlan.from_domain(PLAN)), (LIVE_CONFIRMATION, CONFIRMED), (FRACTIONAL_PROBE, PROBED)],
        ids=["day_plan", "live_confirmation", "fractional_probe"],
    )
    def test_it_has_the_golden_text_and_reads_back(self, form: StoredForm[object], value: object) -> None:
        golden = (SAMPLES / "stored" / f"{form.name}.{form.schema}.json").read_text(encoding="utf-8").strip()

        assert form.dumps(value) == golden
        assert form.loads(golden, schema=form.schema, version=1, item="item") == value

    @given(sigma=st.floats(min_value=0, exclude_min=True, allow_nan=False, allow_infinity=False))
    def test_every_volatility_comes_back_bit_for_bit(self, sigma: float) -> None:
        plan = PLAN.with_sigmas({TSLA: sigma, AAPL: None})
        body = DAY_PLAN.dumps(StoredDayPlan.from_domain(plan))

        assert DAY_PLAN.loads(body, schema=1, version=1, item="item").to_domain() == plan

    def test_a_body_that_is_no_plan_is_unreadable(self) -> None:
        with pytest.raises(Unreadable):
            DAY_PLAN.loads("{}", schema=1, version=1, item="item")
