"""The risk check: a due exit is prepared whatever else is broken, once, and told."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from shared.domain.alerts import AlertKind, Severity
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.coverage import Coverage
from shared.domain.errors import Conflict, HearthwatchError, StartRefused, Throttled, Unavailable
from shared.domain.intents import IntentState, Reason, Side
from shared.domain.times import Tick
from shared.domain.trading_state import HaltReason, Mode, SwitchMode
from shared.use_cases.check_risk import RiskReport
from tests.fakes.desk import START, Desk, held
from tests.fakes.venue import AAPL, CLOSE, MINUTE, NIGHT, OPEN, TSLA

DOWN = Unavailable("down")
NEWER = StartRefused("written by a newer version: deploy the newest")
PROTECTED = held(TSLA, "10", "100")
"""Ten shares with a stop at 95."""


def check(desk: Desk, tick: Tick | None = None) -> RiskReport:
    return desk.use.check_risk(tick or desk.tick)


def fall(desk: Desk, price: str = "94") -> RiskReport:
    """Let TSLA stand at a price in the next minute, and check."""
    desk.wait()
    desk.set_price(TSLA, price)
    desk.poll()
    return check(desk)


# the rule


@pytest.mark.parametrize(("price", "exits"), [("95.01", 0), ("95", 1), ("94.99", 1), ("81", 1)])
def test_a_price_at_or_below_the_stop_prepares_one_exit_of_everything(price: str, exits: int) -> None:
    desk = Desk(PROTECTED)
    report = fall(desk, price)
    assert len(report.prepared) == exits
    for intent in report.prepared:
        assert (intent.symbol, intent.side, intent.quantity) == (TSLA, Side.SELL, Decimal(10))
        assert intent.purpose.reason is Reason.STOP_LOSS
        assert intent.state is IntentState.PREPARED
        assert desk.intent(intent) == intent
        assert desk.facts("intent_prepared") == 1
        assert desk.world.doorbell.answer()
        alert = next(a for a in desk.heard() if a.kind == AlertKind.STOP_TRIGGERED)
        assert (alert.severity, alert.subject) == (Severity.CRITICAL, intent.purpose.origin)


def test_the_requirements_own_example_holds_at_180() -> None:
    desk = Desk(held(TSLA, "10", "184.82", "0.20"), price="184")
    assert fall(desk, "180").prepared == []
    assert len(fall(desk, "147.86").prepared) == 1


def test_the_same_tick_again_prepares_nothing_more() -> None:
    desk = Desk(PROTECTED)
    first = fall(desk)
    again = check(desk)
    assert (len(first.prepared), len(again.prepared)) == (1, 0)
    assert len(desk.ledger.open) == 1


def test_an_open_exit_is_not_doubled_on_later_ticks_nor_by_another_rule() -> None:
    desk = Desk(held(TSLA, "10", "100", "0.05", trailing="0.02"))
    fall(desk, "97.9")
    assert [i.purpose.reason for i in desk.ledger.open.values()] == [Reason.TRAILING_STOP]
    for price in ("94", "93", "92"):
        assert fall(desk, price).prepared == []
    assert len(desk.ledger.open) == 1


def test_a_wild_print_waits_and_the_next_tick_sells() -> None:
    desk = Desk(PROTECTED)
    assert fall(desk, "70").prepared == []
    assert len(fall(desk, "70.5").prepared) == 1


def test_a_wild_print_that_the_backup_confirms_sells_at_once() -> None:
    desk = Desk(PROTECTED)
    desk.backup.set(TSLA, "70.1")
    assert len(fall(desk, "70").prepared) == 1


def test_a_trailing_stop_follows_the_high_and_never_falls() -> None:
    desk = Desk(held(TSLA, "10", "100", "0.20", trailing="0.05"))
    for price in ("104", "108", "110", "106", "105"):
        assert fall(desk, price).prepared == []
    position = desk.position(TSLA)
    assert position is not None
    assert position.high_since_entry == Decimal(110)
    exits = fall(desk, "104.50").prepared
    assert [(i.purpose.reason, i.evidence.level) for i in exits] == [(Reason.TRAILING_STOP, Decimal("104.50"))]


def test_a_take_profit_sells_at_its_level() -> None:
    desk = Desk(held(TSLA, "10", "100", take_profit="0.04"))
    assert fall(desk, "103.99").prepared == []
    assert [i.purpose.reason for i in fall(desk, "104").prepared] == [Reason.TAKE_PROFIT]


def test_an_unwritable_trailing_high_still_sells_on_the_price_seen() -> None:
    desk = Desk(held(TSLA, "10", "100", "0.20", trailing="0.05"))
    desk.faults.fail("positions.put", DOWN)
    assert fall(desk, "94.9").prepared != []


@pytest.mark.parametrize("at", [OPEN - MINUTE, CLOSE + MINUTE, NIGHT])
def test_outside_the_session_nothing_is_judged(at: object) -> None:
    desk = Desk(PROTECTED, blank=True, start=at)  # type: ignore[arg-type]
    desk.set_price(TSLA, "10")
    assert check(desk) == RiskReport()


# which quotes


def test_the_stored_minute_is_judged_without_asking_again() -> None:
    desk = Desk(PROTECTED)
    desk.wait()
    desk.poll()
    asked = len(desk.primary.requests)
    check(desk)
    assert len(desk.primary.requests) == asked


def test_a_tick_whose_minute_was_never_stored_fetches_the_held_symbols_itself() -> None:
    desk = Desk(PROTECTED)
    desk.wait()
    desk.set_price(TSLA, "94")
    assert len(check(desk).prepared) == 1
    assert desk.primary.requests[-1] == (TSLA,)


def test_a_late_tick_judges_a_fresh_quote_not_the_stored_one() -> None:
    desk = Desk(PROTECTED)
    desk.wait()
    desk.poll()
    tick = desk.tick
    desk.wait(timedelta(seconds=91))
    desk.set_price(TSLA, "94")
    report = check(desk, tick)
    assert [intent.evidence.price for intent in report.prepared] == [Decimal(94)]


@pytest.mark.parametrize(("second", "exits"), [("94.10", 1), ("100", 0), (None, 0)])
def test_unreadable_stored_prices_are_replaced_by_what_both_providers_agree_on(second: str | None, exits: int) -> None:
    desk = Desk(PROTECTED)
    desk.faults.fail("prices.latest", DOWN)
    desk.wait()
    desk.set_price(TSLA, "94")
    if second is not None:
        desk.backup.set(TSLA, second)
    assert len(check(desk).prepared) == exits


def test_with_the_primary_dead_the_backup_sells_and_the_alert_says_so() -> None:
    desk = Desk(PROTECTED)
    desk.primary.down = DOWN
    desk.backup.set(TSLA, "94")
    assert len(fall(desk).prepared) == 1
    alert = next(a for a in desk.heard() if a.kind == AlertKind.STOP_TRIGGERED)
    assert "backup_price" in alert.text


def test_without_any_price_nothing_is_sold() -> None:
    desk = Desk(PROTECTED)
    desk.primary.down = desk.backup.down = DOWN
    assert fall(desk).prepared == []


# what may be broken


def test_a_dead_alert_queue_does_not_stop_the_exit_which_is_told_later() -> None:
    desk = Desk(PROTECTED)
    desk.faults.fail("alerts.send", DOWN)
    intent = fall(desk).prepared[0]
    assert not desk.intent(intent).told
    desk.faults.mend()
    desk.wait()
    desk.poll()
    check(desk)
    assert desk.kinds().count(AlertKind.STOP_TRIGGERED) == 1
    assert desk.intent(intent).told
    desk.wait()
    desk.poll()
    check(desk)
    assert AlertKind.STOP_TRIGGERED not in desk.kinds()


@pytest.mark.parametrize("problem", [DOWN, NEWER])
def test_a_dead_journal_does_not_stop_the_exit(problem: HearthwatchError) -> None:
    desk = Desk(PROTECTED)
    desk.faults.fail("journal.put", problem)
    desk.faults.fail("journal.head", problem)
    assert len(fall(desk).prepared) == 1


def test_an_exit_that_only_a_person_can_mend_is_told_and_keeps_no_other_from_being_judged() -> None:
    desk = Desk(PROTECTED)
    desk.faults.fail("ledgers.save", NEWER, times=1)
    report = fall(desk)
    assert report.prepared == []
    assert list(report.problems) == ["TSLA: written by a newer version: deploy the newest"]
    assert report.state is not None
    assert AlertKind.EXIT_BLOCKED in desk.kinds()


@pytest.mark.parametrize("call", ["prices.latest", "records.last", "controls.kill_switch"])
def test_what_a_newer_version_wrote_counts_as_unreadable_and_the_exit_goes_on(call: str) -> None:
    desk = Desk(PROTECTED)
    desk.backup.set(TSLA, "94")
    desk.wait()
    desk.set_price(TSLA, "94")
    desk.poll()
    desk.faults.fail(call, NEWER)
    assert len(check(desk).prepared) == 1


def test_two_positions_are_told_apart_when_one_cannot_be_stored() -> None:
    desk = Desk(PROTECTED, held(AAPL, "5", "100"))
    desk.set_price(AAPL, "90")
    desk.faults.fail("ledgers.save", DOWN, when=lambda ledger: any(i.symbol == TSLA for i in ledger.open.values()))
    report = fall(desk)
    assert [intent.symbol for intent in report.prepared] == [AAPL]
    assert [problem.split(":")[0] for problem in report.problems] == [TSLA]
    assert AlertKind.EXIT_BLOCKED in desk.kinds()


def test_a_ledger_that_changes_meanwhile_is_read_again() -> None:
    desk = Desk(PROTECTED)
    desk.faults.fail("ledgers.save", Conflict("somebody was faster"), times=3)
    assert len(fall(desk).prepared) == 1


def test_an_exit_whose_write_lost_its_answer_is_found_prepared_at_the_next_tick() -> None:
    desk = Desk(PROTECTED)
    desk.faults.fail("ledgers.save", DOWN, times=1, answer_lost=True)
    report = fall(desk)
    assert (report.prepared, len(report.problems)) == ([], 1)
    assert fall(desk).prepared == []
    assert len(desk.ledger.open) == 1


def test_a_sold_position_prepares_nothing() -> None:
    desk = Desk(PROTECTED)
    position = desk.position(TSLA)
    assert position is not None
    desk.faults.before("ledgers.load", lambda: None)
    desk.wait()
    desk.set_price(TSLA, "94")
    desk.poll()
    desk.faults.before("ledgers.load", lambda: desk.world.positions.remove(position))
    assert check(desk).prepared == []


# corporate actions

SPLIT = CorporateAction(symbol=TSLA, ex_date=START.date(), kind=ActionKind.SPLIT, ratio=Decimal(4))
DIVIDEND = CorporateAction(symbol=TSLA, ex_date=START.date(), kind=ActionKind.DIVIDEND, cash_amount=Decimal(6))


def test_a_known_split_is_applied_before_the_stop_is_judged() -> None:
    desk = Desk(PROTECTED, actions=[SPLIT], blank=True)
    desk.set_price(TSLA, "25")
    desk.poll()
    assert check(desk).prepared == []
    position = desk.position(TSLA)
    assert position is not None
    assert (position.quantity, position.stop_price) == (Decimal(40), Decimal("23.75"))


def test_a_known_dividend_lowers_the_stop() -> None:
    desk = Desk(PROTECTED, actions=[DIVIDEND], blank=True)
    desk.set_price(TSLA, "94")
    desk.poll()
    assert check(desk).prepared == []


def test_a_failed_lookup_counts_as_no_action_and_is_asked_again_at_the_next_tick() -> None:
    desk = Desk(PROTECTED, actions=[DIVIDEND], blank=True)
    desk.set_price(TSLA, "96")
    desk.poll()
    desk.faults.fail("actions.actions", DOWN, times=1)
    check(desk)
    before = desk.position(TSLA)
    assert before is not None
    assert before.stop_price == Decimal("95.00")
    check(desk)
    after = desk.position(TSLA)
    assert after is not None
    assert after.stop_price == Decimal("89.30")


def test_an_action_is_applied_once_however_often_the_day_is_checked() -> None:
    desk = Desk(PROTECTED, actions=[SPLIT], blank=True)
    desk.set_price(TSLA, "25")
    for _ in range(3):
        desk.wait()
        desk.poll()
        check(desk)
    position = desk.position(TSLA)
    assert position is not None
    assert position.quantity == Decimal(40)


# trading state


def reasons(desk: Desk) -> set[HaltReason]:
    state = desk.world.controls.trading_state()
    assert state is not None
    return set(state.reasons)


def test_before_the_first_clean_reconciliation_the_broker_is_unsure() -> None:
    desk = Desk(blank=True)
    desk.poll()
    check(desk)
    assert reasons(desk) == {HaltReason.BROKER_UNSURE}
    desk.reconcile()
    check(desk)
    assert reasons(desk) == set()


def test_a_reconciliation_older_than_eleven_minutes_makes_the_broker_unsure() -> None:
    desk = Desk()
    for minute in range(1, 13):
        desk.wait()
        desk.poll()
        check(desk)
        assert (HaltReason.BROKER_UNSURE in reasons(desk)) is (minute > 11)


def test_an_unreadable_kill_switch_counts_as_set() -> None:
    desk = Desk()
    desk.faults.fail("controls.kill_switch", Throttled("slow down", timedelta(seconds=1)))
    state = check(desk).state
    assert state is not None
    assert (set(state.reasons), state.mode) == ({HaltReason.KILL_SWITCH}, Mode.HALTED)


def test_a_set_kill_switch_halts_entries_and_the_exit_is_prepared_all_the_same() -> None:
    desk = Desk(PROTECTED)
    desk.use.set_kill_switch(SwitchMode.KILL, by="ann", why="test")
    report = fall(desk)
    assert report.state is not None
    assert HaltReason.KILL_SWITCH in report.state.reasons
    assert len(report.prepared) == 1


def test_a_frozen_feed_makes_the_data_stale_and_a_fresh_quote_ends_it() -> None:
    desk = Desk()
    desk.primary.freeze()
    for _ in range(2):
        desk.wait()
        desk.poll()
        check(desk)
    assert HaltReason.STALE_DATA in reasons(desk)
    desk.primary.thaw()
    desk.wait()
    desk.poll()
    check(desk)
    assert HaltReason.STALE_DATA not in reasons(desk)


def test_a_change_of_state_is_told_and_journaled_once_and_so_is_its_end() -> None:
    desk = Desk()
    before = desk.facts("trading_state")
    desk.use.set_kill_switch(SwitchMode.KILL, by="ann", why="test")
    desk.heard()
    for _ in range(3):
        desk.wait()
        desk.poll()
        check(desk)
    alerts = [a for a in desk.heard() if a.kind == AlertKind.TRADING_STATE]
    assert [(a.severity, a.recovers) for a in alerts] == [(Severity.WARNING, False)]
    desk.use.set_kill_switch(SwitchMode.OFF, by="ann", why="test", typed="clear")
    for _ in range(3):
        desk.wait()
        desk.poll()
        check(desk)
    alerts = [a for a in desk.heard() if a.kind == AlertKind.TRADING_STATE]
    assert [(a.severity, a.recovers) for a in alerts] == [(Severity.INFO, True)]
    assert desk.facts("trading_state") == before + 2


def test_a_change_that_cannot_be_told_is_published_at_once_and_told_at_the_next_tick() -> None:
    desk = Desk(PROTECTED)
    desk.use.set_kill_switch(SwitchMode.KILL, by="ann", why="test")
    desk.heard()
    desk.faults.fail("alerts.send", DOWN)
    desk.wait()
    desk.set_price(TSLA, "94")
    desk.poll()
    check(desk)
    assert HaltReason.KILL_SWITCH in reasons(desk)
    assert desk.ledger.open_for(TSLA, Side.SELL) is not None
    desk.faults.mend()
    desk.wait()
    desk.poll()
    check(desk)
    assert {AlertKind.TRADING_STATE, AlertKind.STOP_TRIGGERED} <= set(desk.kinds())


# coverage


def test_coverage_is_software_while_prices_are_good_and_none_while_blind() -> None:
    desk = Desk(held(TSLA, "30", "100"), held(AAPL, "10", "100"))
    covered = fall(desk, "99").coverage
    assert covered == (Decimal(0), Decimal(100), Decimal(0))
    desk.primary.forget(AAPL)
    covered = fall(desk, "99").coverage
    assert covered == (Decimal(0), Decimal(75), Decimal(25))
    assert desk.world.metrics.latest["coverage_none_pct"] == 25.0


def test_nothing_held_is_covered_by_nothing() -> None:
    assert check(Desk()).coverage == Coverage(Decimal(0), Decimal(0), Decimal(0))


@pytest.mark.parametrize("port", ["calendar.days", "doorbell.ring", "actions.actions", "records.last"])
def test_what_an_exit_does_not_need_cannot_hold_it_back(port: str) -> None:
    desk = Desk(PROTECTED)
    desk.wait()
    desk.set_price(TSLA, "94")
    desk.poll()
    desk.faults.fail(port, DOWN)
    report = check(desk)
    assert (len(report.prepared), report.problems) == (1, [])
