"""Before the open: one plan a day, each part that fails is named, and the first tick catches up (OPS-13)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from shared.bootstrap.offline import OFFLINE_ACCOUNT, OfflineSources
from shared.bootstrap.wiring import Rules, UseCases
from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.assets import Symbol
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.day_plan import DayPlan, Part
from shared.domain.errors import Throttled, TryAgain, Unavailable
from shared.domain.session import TradingDay
from shared.domain.stage import LiveConfirmation, Stage
from shared.domain.times import Tick
from shared.use_cases.poll_prices import PollResult
from tests.fakes.desk import CASH, NVDA, Desk, held
from tests.fakes.venue import AAPL, MINUTE, TSLA

DAY = timedelta(days=1)
MORNING = datetime(2026, 2, 4, 13, 30, tzinfo=UTC)
"""Half past eight in New York, on a Wednesday in winter."""
TODAY = MORNING.date()
OPEN = MORNING + timedelta(hours=1)
DOWN = Unavailable("no route")
SPLIT = CorporateAction(symbol=TSLA, ex_date=TODAY, kind=ActionKind.SPLIT, ratio=Decimal(4))
ALL_PARTS = frozenset(Part)


class Volatility:
    """Knows one symbol's volatility, and remembers what it was asked over."""

    def __init__(self) -> None:
        self.asked: list[tuple[tuple[Symbol, ...], Sequence[TradingDay]]] = []

    def sigma(self, symbol: Symbol, now: datetime) -> float | None:
        return 0.004 if symbol == TSLA else None

    def sigmas(
        self, symbols: Sequence[Symbol], sessions: Sequence[TradingDay], now: datetime
    ) -> Mapping[Symbol, float | None]:
        self.asked.append((tuple(symbols), sessions))
        return {symbol: self.sigma(symbol, now) for symbol in symbols}


class Morning:
    """A desk before the open, reconciled, whose live sources can fail."""

    def __init__(self, at: datetime = MORNING, *, reconciled: bool = True, prepares_days: bool = False) -> None:
        self.desk = Desk(held(TSLA, "10", "100"), start=at, blank=True, actions=[SPLIT])
        self.volatility = Volatility()
        world, faults = self.desk.world, self.desk.faults
        sources = OfflineSources(
            calendar=faults.around("source.calendar", world.calendar),
            actions=faults.around("source.actions", world.actions),
            history=faults.around("source.history", self.volatility),
        )
        ports = replace(self.desk.ports, sources=sources)
        self.use = UseCases(ports, OFFLINE_ACCOUNT, Rules(prepares_days=prepares_days))
        if reconciled:
            self.use.reconcile_orders()
        self.desk.heard()
        faults.calls.clear()

    def prepare(self) -> DayPlan | None:
        return self.use.prepare_session(self.desk.tick)

    def poll(self) -> PollResult:
        return self.use.poll_prices(self.desk.tick).result

    def fail(self, call: str, error: TryAgain = DOWN) -> None:
        self.desk.faults.fail(call, error)

    def heard(self) -> list[Alert]:
        return [alert for alert in self.desk.heard() if alert.kind == AlertKind.SESSION_UNPREPARED]

    def stored(self, day: date = TODAY) -> DayPlan | None:
        return self.desk.world.plans.get(day)


def prepared(morning: Morning) -> DayPlan:
    plan = morning.prepare()
    assert plan is not None
    return plan


def test_the_day_is_prepared_with_calendar_actions_volatility_and_equity() -> None:
    morning = Morning()

    plan = prepared(morning)

    assert (plan.day, plan.prepared_at, plan.problems) == (TODAY, MORNING, {})
    assert plan.is_enough_for(TODAY)
    assert plan.actions is not None
    assert plan.actions.known == (SPLIT,)
    assert plan.actions.symbols == {TSLA, AAPL, NVDA}
    assert plan.sigmas == {TSLA: 0.004, AAPL: None, NVDA: None}
    assert plan.equity == plan.week_equity == CASH + 10 * 100
    assert morning.stored() == plan
    assert morning.heard() == []
    assert morning.desk.facts("session_prepared") == 1


def test_volatility_is_taken_over_the_twenty_sessions_and_more_that_ended_before_today() -> None:
    morning = Morning()
    prepared(morning)

    [(symbols, sessions)] = morning.volatility.asked
    assert set(symbols) == {TSLA, AAPL, NVDA}
    assert len(sessions) >= 20
    assert max(day.date for day in sessions) == TODAY - DAY


def test_actions_reach_back_to_the_position_that_was_adjusted_longest_ago() -> None:
    morning = Morning()
    [position] = morning.desk.world.positions.all()
    long_ago = TODAY - timedelta(days=90)
    morning.desk.world.positions.put(replace(position, adjusted_through=long_ago))

    plan = prepared(morning)

    assert plan.actions is not None
    assert plan.actions.between([TSLA], long_ago, TODAY) == (SPLIT,)


def test_a_second_run_changes_nothing() -> None:
    morning = Morning()
    first = prepared(morning)
    asked = [call for call in morning.desk.faults.calls if call.startswith("source.")]
    morning.desk.wait()

    assert prepared(morning) == first

    assert [call for call in morning.desk.faults.calls if call.startswith("source.")] == asked
    assert morning.desk.facts("session_prepared") == 1
    assert morning.desk.heard() == []


@pytest.mark.parametrize(
    ("call", "part"),
    [
        ("source.actions.actions", Part.ACTIONS),
        ("source.history.sigmas", Part.VOLATILITY),
        ("records.last", Part.EQUITY),
    ],
)
@pytest.mark.parametrize("error", [DOWN, Throttled("429", timedelta(seconds=30))])
def test_a_part_that_fails_is_a_problem_and_one_alert_and_the_rest_is_kept(
    call: str, part: Part, error: TryAgain
) -> None:
    morning = Morning()
    morning.fail(call, error)

    plan = prepared(morning)

    assert plan.missing == {part}
    assert morning.stored() == plan
    assert plan.is_enough_for(TODAY)
    assert (plan.actions is None, plan.sigmas == {}, plan.equity is None) == (
        part is Part.ACTIONS,
        part is Part.VOLATILITY,
        part is Part.EQUITY,
    )
    [alert] = morning.heard()
    assert (alert.subject, alert.severity, alert.recovers) == (part, Severity.WARNING, False)
    assert str(error) in alert.text


@pytest.mark.parametrize(
    ("call", "part"),
    [
        ("source.actions.actions", Part.ACTIONS),
        ("source.history.sigmas", Part.VOLATILITY),
        ("records.last", Part.EQUITY),
    ],
)
def test_a_later_run_fills_the_gap_alone_and_ends_the_incident(call: str, part: Part) -> None:
    morning = Morning()
    morning.fail(call)
    first = prepared(morning)
    morning.heard()
    morning.desk.faults.mend()
    morning.desk.faults.calls.clear()
    morning.desk.wait()

    second = prepared(morning)

    assert second.is_complete
    assert morning.stored() == second
    asked = {"source.calendar.days", "source.actions.actions", "source.history.sigmas", "records.last"} & set(
        morning.desk.faults.calls
    )
    assert asked == {call}
    assert [(alert.subject, alert.recovers) for alert in morning.heard()] == [(part, True)]
    if part is not Part.EQUITY:
        assert second.equity == first.equity


def test_a_part_that_fails_again_is_not_told_again() -> None:
    morning = Morning()
    morning.fail("source.history.sigmas")
    first = prepared(morning)
    morning.heard()
    morning.desk.wait()

    assert prepared(morning) == first

    assert morning.heard() == []
    assert morning.desk.facts("session_prepared") == 1


def test_the_equity_stays_that_of_the_days_start_when_another_part_is_filled_later() -> None:
    morning = Morning()
    morning.fail("source.actions.actions")
    first = prepared(morning)
    morning.desk.faults.mend()
    morning.desk.world.exchange.cash += 5_000
    morning.desk.wait(timedelta(minutes=10))
    morning.use.reconcile_orders()

    second = prepared(morning)

    assert second.is_complete
    assert second.equity == first.equity


def test_everything_failing_but_the_calendar_still_leaves_a_plan_with_the_calendar() -> None:
    morning = Morning()
    for call in ("source.actions.actions", "source.history.sigmas", "records.last"):
        morning.fail(call)

    plan = prepared(morning)

    assert plan.missing == ALL_PARTS
    assert plan.is_enough_for(TODAY)
    assert len(morning.heard()) == len(ALL_PARTS)


def test_without_a_calendar_there_is_no_plan_but_an_alert_and_an_error() -> None:
    morning = Morning()
    morning.fail("source.calendar.days")

    with pytest.raises(Unavailable):
        morning.prepare()

    assert morning.stored() is None
    [alert] = morning.heard()
    assert (alert.subject, alert.severity) == ("calendar", Severity.CRITICAL)


def test_an_empty_calendar_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    morning = Morning()
    monkeypatch.setattr(type(morning.desk.world.calendar), "days", lambda *_: [])

    with pytest.raises(Unavailable, match="no session"):
        morning.prepare()
    assert morning.stored() is None


@pytest.mark.parametrize("call", ["journal.put", "plans.put", "plans.latest"])
def test_a_plan_that_cannot_be_journaled_or_stored_is_an_error_and_the_next_run_makes_it(call: str) -> None:
    morning = Morning()
    morning.fail(call)
    with pytest.raises(TryAgain):
        morning.prepare()
    assert morning.stored() is None
    morning.desk.faults.mend()

    assert prepared(morning).is_complete


def test_a_lost_answer_of_the_store_leaves_one_plan_that_the_next_run_finds() -> None:
    morning = Morning()
    morning.desk.faults.fail("plans.put", DOWN, times=1, answer_lost=True)
    with pytest.raises(Unavailable):
        morning.prepare()

    assert prepared(morning) == morning.stored()
    assert morning.desk.facts("session_prepared") == 1


def test_an_alert_queue_that_is_down_does_not_stop_the_preparation() -> None:
    morning = Morning()
    morning.fail("alerts.send")
    morning.fail("source.actions.actions")

    assert prepared(morning).missing == {Part.ACTIONS}


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 2, 7, 13, 30, tzinfo=UTC),
        datetime(2026, 2, 9, 4, 0, tzinfo=UTC),  # Sunday evening in New York, already Monday by UTC
    ],
)
def test_on_a_day_without_a_session_nothing_is_prepared(at: datetime) -> None:
    morning = Morning(at)

    assert morning.prepare() is None

    assert morning.desk.world.plans.latest() is None
    assert morning.desk.heard() == []


def test_a_job_that_arrives_on_another_day_prepares_nothing() -> None:
    morning = Morning()
    yesterday = Tick(scheduled=MORNING - DAY)

    assert morning.use.prepare_session(yesterday) is None
    assert morning.stored() is None


@pytest.mark.parametrize(("age", "known"), [(timedelta(minutes=15), True), (timedelta(minutes=16), False)])
def test_equity_is_known_only_from_a_recent_reconciliation(age: timedelta, known: bool) -> None:
    morning = Morning(MORNING - age)
    morning.desk.wait(age)

    plan = prepared(morning)

    assert (plan.equity is not None) is known
    assert (Part.EQUITY in plan.missing) is not known


def test_equity_is_unknown_before_the_first_reconciliation() -> None:
    plan = prepared(Morning(reconciled=False))

    assert "reconciled" in plan.problems[Part.EQUITY]


def test_week_equity_is_carried_from_the_first_day_of_the_week_to_the_next_monday() -> None:
    monday = MORNING - 2 * DAY
    morning = Morning(monday)
    first = prepared(morning).equity
    weeks = []
    for _ in range(7):
        morning.desk.wait(DAY)
        morning.desk.world.exchange.cash += 100
        morning.use.reconcile_orders()
        plan = morning.prepare()
        if plan is not None:
            weeks.append((plan.day.isoweekday(), plan.week_equity == first, plan.week_equity == plan.equity))

    assert weeks == [(2, True, False), (3, True, False), (4, True, False), (5, True, False), (1, False, True)]


def test_credentials_that_grow_old_are_told_once_a_day() -> None:
    morning = Morning()
    morning.desk.world.credentials.stored_at = {
        "fresh": MORNING - 75 * DAY,
        "due": MORNING - 76 * DAY,
        "overdue": MORNING - 91 * DAY,
    }

    prepared(morning)
    told = [alert for alert in morning.desk.heard() if alert.kind == AlertKind.CREDENTIAL_DUE]
    prepared(morning)

    assert [(alert.subject, alert.severity) for alert in told] == [
        ("due", Severity.WARNING), ("overdue", Severity.CRITICAL)
    ]  # fmt: skip
    assert "days left: 14" in told[0].text
    assert morning.desk.heard() == []


def test_a_confirmation_of_live_trading_that_ends_soon_is_told() -> None:
    morning = Morning()
    morning.desk.world.confirmations.put(
        LiveConfirmation(account="123", stage=Stage.LIVE_1, confirmed_at=MORNING - 25 * DAY, by="ann")
    )

    prepared(morning)

    [alert] = morning.desk.heard()
    assert (alert.kind, alert.severity) == (AlertKind.LIVE_TRADING, Severity.CRITICAL)
    assert '"live-1 on account 123"' in alert.text


@pytest.mark.parametrize("call", ["credentials.ages", "confirmations.get"])
def test_a_failed_look_up_of_what_is_due_is_told_and_leaves_the_plan(call: str) -> None:
    morning = Morning()
    morning.fail(call)

    assert prepared(morning).is_complete
    assert [alert.subject for alert in morning.heard()] == ["reminders"]


class TestCatchingUp:
    def test_the_first_tick_prepares_a_day_that_nobody_prepared_and_tells_it_once(self) -> None:
        morning = Morning(OPEN, prepares_days=True)

        assert morning.poll() is PollResult.STORED

        plan = morning.stored()
        assert plan is not None
        assert plan.is_complete
        assert [alert.subject for alert in morning.heard()] == ["job before the open"]
        for _ in range(20):
            morning.desk.wait()
            morning.poll()
        assert morning.heard() == []
        assert morning.desk.facts("session_prepared") == 1

    def test_a_prepared_day_is_left_alone(self) -> None:
        morning = Morning(prepares_days=True)
        prepared(morning)
        morning.desk.wait(timedelta(hours=1))
        morning.desk.faults.calls.clear()

        morning.poll()

        assert morning.heard() == []
        assert not {"source.actions.actions", "source.history.sigmas"} & set(morning.desk.faults.calls)

    def test_a_part_that_was_missing_is_tried_again_every_quarter_of_an_hour(self) -> None:
        morning = Morning(OPEN, prepares_days=True)
        morning.fail("source.history.sigmas")
        for _ in range(31):
            morning.poll()
            morning.desk.wait()
        assert morning.desk.faults.count("source.history.sigmas") == 3
        assert morning.desk.faults.count("source.calendar.days") == 1
        morning.desk.faults.mend()
        morning.heard()

        for _ in range(15):
            morning.poll()
            morning.desk.wait()

        plan = morning.stored()
        assert plan is not None
        assert plan.is_complete
        assert [(alert.subject, alert.recovers) for alert in morning.heard()] == [(Part.VOLATILITY, True)]

    @pytest.mark.parametrize("call", ["plans.get", "plans.latest", "plans.put", "journal.put", "cooldowns.start"])
    def test_its_failure_is_told_and_never_stops_the_poll(self, call: str) -> None:
        morning = Morning(OPEN, prepares_days=True)
        morning.fail(call)

        assert morning.poll() is PollResult.STORED
        assert "catching up" in [alert.subject for alert in morning.heard()]

    def test_outside_the_session_nothing_is_caught_up(self) -> None:
        morning = Morning(prepares_days=True)

        assert morning.poll() is PollResult.CLOSED
        assert morning.stored() is None

    def test_two_first_ticks_at_once_prepare_once(self) -> None:
        morning = Morning(OPEN, prepares_days=True)
        second: list[PollResult] = []
        morning.desk.faults.before("source.history.sigmas", lambda: second.append(morning.poll()))

        first = morning.poll()

        assert {first, *second} == {PollResult.STORED, PollResult.DUPLICATE}
        assert morning.desk.facts("session_prepared") == 1
        assert [alert.subject for alert in morning.heard()] == ["job before the open"]

    def test_without_the_job_before_the_open_no_tick_catches_up(self) -> None:
        morning = Morning(OPEN)
        morning.poll()

        assert morning.stored() is None
        assert not [call for call in morning.desk.faults.calls if call.startswith("plans.")]

    def test_a_source_that_stays_down_costs_no_tick_within_the_quarter_of_an_hour(self) -> None:
        morning = Morning(OPEN, prepares_days=True)
        morning.fail("source.calendar.days")
        for _ in range(15):
            assert morning.poll() is PollResult.STORED
            morning.desk.wait(MINUTE)

        assert morning.desk.faults.count("source.calendar.days") == 1
        assert morning.stored() is None
