"""Losing days replayed: entries stop at three percent of the day and six of the week, and start again by themselves.

180 TSLA at 100 and 100,000 dollars: the day begins with 118,000, of which 3,540 may go, and the week may lose 7,080.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from shared.domain.alerts import AlertKind
from shared.domain.assets import Symbol
from shared.domain.day_plan import DayCalendar, empty_plan
from shared.domain.errors import Conflict, Unavailable
from shared.domain.intents import Side
from shared.domain.losses import Losses
from shared.domain.trading_state import HaltReason
from shared.use_cases.prepare_entry import EntryOutcome
from tests.fakes.desk import NVDA, START, Desk, held
from tests.fakes.venue import AAPL, MINUTE, NIGHT, TSLA

DAY = timedelta(days=1)
DAILY, WEEKLY = {HaltReason.DAILY_LOSS}, {HaltReason.WEEKLY_LOSS}
DOWN = Unavailable("down")


def desk_with_tsla(*, planned: str | None = None, week: str | None = None, price: str = "100") -> Desk:
    """A desk whose TSLA stop lies far away; `planned` is the equity of a plan made before the open."""
    desk = Desk(held(TSLA, "180", "100", "0.60"), price=price, blank=True)
    if planned is not None:
        today = START.date()
        calendar = DayCalendar(first=today, last=today, days=tuple(desk.world.calendar.days(today, today)))
        plan = empty_plan(today, START - 2 * timedelta(hours=1), calendar).with_equity(Decimal(planned), None)
        desk.world.plans.put(replace(plan, week_equity=Decimal(week or planned)))
    minute(desk)
    desk.heard()
    return desk


def minute(desk: Desk, price: str | None = None) -> None:
    """Let a minute pass, with TSLA at another price, and run what runs every minute but the executor."""
    if price is None:
        desk.wait()
    else:
        desk.trade(TSLA, price)
    desk.reconcile()
    desk.poll()
    desk.check()


def next_day(desk: Desk, days: int = 1) -> None:
    """Go on at the same time of a later day, with prices as they were."""
    desk.clock.set(desk.clock.now().replace(hour=15, minute=30, second=0) + days * DAY)
    minute(desk)
    minute(desk)


def reasons(desk: Desk) -> set[HaltReason]:
    state = desk.world.controls.trading_state()
    assert state is not None
    return set(state.reasons)


def wanted(desk: Desk, cycle: str, symbol: Symbol = AAPL) -> EntryOutcome:
    return desk.enter(symbol, "1", cycle)


def kept(desk: Desk) -> Losses:
    losses = desk.world.controls.losses()
    assert losses is not None
    return losses


# the day


def test_an_entry_passes_a_cent_before_three_percent_and_is_refused_at_it() -> None:
    desk = desk_with_tsla()
    minute(desk, "82")
    minute(desk, "80.34")
    assert wanted(desk, "before").intent is not None

    minute(desk, "80.33")

    assert reasons(desk) == DAILY
    refused = wanted(desk, "after", NVDA)
    assert refused.intent is None
    assert "trading state: daily_loss" in refused.reasons
    assert any(reason.startswith("losses: the day began with 118000.00 dollars") for reason in refused.reasons)


def test_the_alert_and_the_journal_say_the_numbers_once() -> None:
    desk = desk_with_tsla()
    minute(desk, "82")
    minute(desk, "80")
    minute(desk, "80")

    [alert] = [alert for alert in desk.heard() if alert.kind == AlertKind.TRADING_STATE]

    words = "the day began with 118000.00 dollars, 3600.00 (3.1%) lost; limit 3.0%, met at 2026-02-04T15:33:00Z"
    assert alert.text == f"Trading state REDUCING, level NORMAL; reasons: daily_loss; daily_loss: {words}"
    [fact] = [link.body for link in desk.world.journal.links() if '"kind":"trading_state"' in link.body][-1:]
    assert words in fact


def test_a_recovery_within_the_day_lifts_nothing() -> None:
    desk = desk_with_tsla()
    minute(desk, "82")
    minute(desk, "80")
    minute(desk, "95")
    minute(desk, "105")
    assert reasons(desk) == DAILY
    assert wanted(desk, "again").intent is None


def test_the_next_trading_day_lifts_the_day_s_limit() -> None:
    desk = desk_with_tsla()
    minute(desk, "82")
    minute(desk, "80")
    next_day(desk)
    assert reasons(desk) == set()
    assert kept(desk).day.equity == Decimal(114_400)
    assert wanted(desk, "tomorrow").intent is not None


def test_exits_go_on_while_the_limit_stands() -> None:
    desk = desk_with_tsla()
    for price in ("82", "70", "60", "50", "41", "39"):
        minute(desk, price)
    assert HaltReason.DAILY_LOSS in reasons(desk)
    assert desk.ledger.open_for(TSLA, Side.SELL) is not None


def test_between_two_ticks_the_gate_itself_sees_the_loss() -> None:
    desk = desk_with_tsla()
    minute(desk, "82")
    desk.wait()
    desk.set_price(TSLA, "80")
    desk.poll()
    refused = wanted(desk, "now")
    assert reasons(desk) == set()
    assert [reason.split(":")[0] for reason in refused.reasons] == ["losses"]


# the week


def test_the_week_s_limit_survives_the_daily_lift_and_ends_with_the_week() -> None:
    desk = desk_with_tsla()
    minute(desk, "82")
    minute(desk, "70")
    minute(desk, "60.66")
    assert reasons(desk) == DAILY | WEEKLY

    next_day(desk)
    assert reasons(desk) == WEEKLY
    assert "trading state: weekly_loss" in wanted(desk, "thursday").reasons
    next_day(desk)
    assert reasons(desk) == WEEKLY

    next_day(desk, days=3)
    assert reasons(desk) == set()
    assert wanted(desk, "monday").intent is not None


def test_two_days_within_their_limits_can_meet_that_of_the_week() -> None:
    desk = desk_with_tsla()
    minute(desk, "82")
    next_day(desk)
    minute(desk, "65")
    assert reasons(desk) == set()
    minute(desk, "64")
    next_day(desk)
    minute(desk, "60.66")
    assert reasons(desk) == WEEKLY


# what a period begins with


def test_the_day_begins_with_the_equity_of_its_plan() -> None:
    desk = desk_with_tsla(planned="121000", week="130000")
    assert (kept(desk).day.equity, kept(desk).week.equity) == (Decimal(121_000), Decimal(130_000))
    assert reasons(desk) == WEEKLY


def test_the_start_stays_what_it_was_once_known() -> None:
    desk = desk_with_tsla()
    before = kept(desk)
    minute(desk, "90")
    minute(desk, "85")
    assert kept(desk) == before


def test_before_anything_is_reconciled_nothing_is_known_and_no_entry_passes() -> None:
    desk = Desk(blank=True)
    desk.poll()
    desk.check()
    assert desk.world.controls.losses() is None
    assert any(reason.startswith("losses: unknown") for reason in wanted(desk, "early").reasons)


def test_a_new_day_is_unknown_to_the_gate_until_its_first_risk_check() -> None:
    desk = desk_with_tsla()
    desk.clock.set(START + DAY)
    desk.reconcile()
    desk.poll()
    assert any(reason.startswith("losses: unknown") for reason in wanted(desk, "early").reasons)
    desk.check()
    assert wanted(desk, "later").intent is not None


# deposits


def deposit(desk: Desk, dollars: str) -> None:
    desk.world.exchange.cash += Decimal(dollars)
    minute(desk)
    minute(desk)


def test_a_deposit_does_not_hide_a_loss() -> None:
    desk = desk_with_tsla()
    minute(desk, "82")
    deposit(desk, "10000")
    assert reasons(desk) == set()
    minute(desk, "80")
    assert reasons(desk) == DAILY


def test_a_withdrawal_trips_nothing() -> None:
    desk = desk_with_tsla()
    deposit(desk, "-25000")
    assert reasons(desk) == set()
    assert wanted(desk, "poorer").intent is not None


def test_money_that_came_between_the_plan_and_the_open_does_not_hide_a_loss() -> None:
    desk = Desk(held(TSLA, "180", "100", "0.60"), blank=True)
    desk.reconcile()
    today = START.date()
    calendar = DayCalendar(first=today, last=today, days=tuple(desk.world.calendar.days(today, today)))
    desk.world.plans.put(empty_plan(today, desk.clock.now(), calendar).with_equity(Decimal(118_000), None))
    deposit(desk, "10000")
    minute(desk, "82")
    minute(desk, "80")
    assert reasons(desk) == DAILY


def test_a_purchase_by_hand_is_no_withdrawal() -> None:
    desk = desk_with_tsla()
    minute(desk, "82")
    desk.world.exchange.cash -= 8_200
    desk.world.exchange.seed_position(TSLA, Decimal(280), Decimal(94))
    minute(desk)
    minute(desk, "80")
    assert reasons(desk) == DAILY


# trouble


def test_an_unreadable_limit_refuses_entries_keeps_what_tripped_and_holds_no_exit() -> None:
    desk = desk_with_tsla()
    for price in ("82", "70", "60", "50", "41"):
        minute(desk, price)
    desk.faults.fail("controls.losses", DOWN)
    minute(desk, "39")
    assert reasons(desk) == DAILY | WEEKLY
    assert desk.ledger.open_for(TSLA, Side.SELL) is not None
    assert any(reason.startswith("losses: unknown") for reason in wanted(desk, "blind").reasons)


def test_an_unreadable_limit_alone_trips_nothing() -> None:
    desk = desk_with_tsla()
    desk.faults.fail("controls.losses", DOWN)
    minute(desk, "82")
    minute(desk, "80")
    assert reasons(desk) == set()


@pytest.mark.parametrize("error", [Conflict("somebody was faster"), DOWN])
def test_a_trip_that_could_not_be_stored_at_once_stands_all_the_same(error: Exception) -> None:
    desk = desk_with_tsla()
    minute(desk, "82")
    desk.faults.fail("controls.put_losses", error, times=1)
    minute(desk, "80")
    assert reasons(desk) == DAILY
    minute(desk)
    assert kept(desk).day.tripped_at is not None


def test_a_trip_that_another_tick_stored_first_is_not_overwritten() -> None:
    desk = desk_with_tsla()
    minute(desk, "82")
    rival = kept(desk)

    def be_faster() -> None:
        desk.world.controls.put_losses(replace(rival, week=replace(rival.week, tripped_at=START)))

    desk.faults.before("controls.put_losses", be_faster)
    minute(desk, "80")
    assert (kept(desk).week.tripped_at, reasons(desk)) == (START, DAILY | WEEKLY)


def test_a_quiet_tick_writes_no_limits() -> None:
    desk = desk_with_tsla()
    desk.faults.calls.clear()
    minute(desk, "90")
    assert "controls.put_losses" not in desk.faults.calls


# mismatches


def buy_by_hand(desk: Desk, quantity: str) -> None:
    desk.world.exchange.seed_position(TSLA, Decimal(quantity), Decimal(100))
    minute(desk)
    minute(desk)


def test_three_mismatches_in_a_day_stop_entries_until_the_next() -> None:
    desk = desk_with_tsla()
    buy_by_hand(desk, "181")
    buy_by_hand(desk, "182")
    assert reasons(desk) == set()
    buy_by_hand(desk, "183")
    assert reasons(desk) == {HaltReason.REPEATED_MISMATCH}
    assert "trading state: repeated_mismatch" in wanted(desk, "no more").reasons
    assert any("3 differences in quantity today" in alert.text for alert in desk.heard())
    next_day(desk)
    assert reasons(desk) == set()


def test_a_night_without_a_session_judges_nothing() -> None:
    desk = desk_with_tsla()
    before = kept(desk)
    desk.clock.set(NIGHT)
    desk.wait(MINUTE)
    desk.check()
    assert kept(desk) == before
