"""Corporate actions known late: looked up again before a gap decides anything, and applied once (PRC-06)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from shared.adapters.memory.corporate_actions import KnownActions
from shared.bootstrap.offline import OFFLINE_ACCOUNT
from shared.bootstrap.wiring import Rules, UseCases, rules_for
from shared.domain.alerts import AlertKind
from shared.domain.assets import Symbol
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.errors import Conflict, HearthwatchError, MissingSecret, Unavailable
from shared.domain.intents import Side
from shared.domain.positions import Position
from shared.domain.reconciliation import DifferenceKind
from shared.ports.broker import CorporateActions, ExchangeCalendar
from shared.ports.prices import VolatilityHistory
from shared.use_cases.poll_prices import PollReport
from shared.use_cases.reconcile_orders import ReconcileReport, ReconcileResult
from tests.fakes.desk import NVDA, Desk, held
from tests.fakes.venue import AAPL, MINUTE, OPEN, TSLA

MORNING = OPEN + timedelta(days=1)
DOWN = Unavailable("down")


def split(ratio: str, symbol: Symbol = TSLA) -> CorporateAction:
    return CorporateAction(symbol=symbol, ex_date=MORNING.date(), kind=ActionKind.SPLIT, ratio=Decimal(ratio))


def dividend(cash: str) -> CorporateAction:
    return CorporateAction(symbol=TSLA, ex_date=MORNING.date(), kind=ActionKind.DIVIDEND, cash_amount=Decimal(cash))


class Newsroom:
    """The sources of a day's plan, which hear of actions when they are told; `asked` lists the symbols of each look."""

    def __init__(self, calendar: ExchangeCalendar, history: VolatilityHistory) -> None:
        self.calendar = calendar
        self.history = history
        self.known: Sequence[CorporateAction] = ()
        self.asked: list[tuple[Symbol, ...]] = []
        self.down: HearthwatchError | None = None

    @property
    def actions(self) -> CorporateActions:
        return _Desk(self)


class _Desk:
    def __init__(self, room: Newsroom) -> None:
        self._room = room

    def actions(self, symbols: Sequence[Symbol], after: date, upto: date) -> Sequence[CorporateAction]:
        self._room.asked.append(tuple(symbols))
        if self._room.down is not None:
            raise self._room.down
        return KnownActions(self._room.known).actions(symbols, after, upto)


class Next:
    """A desk on the morning after it bought at 100; the day's own look-up knew of nothing, its sources know `known`."""

    def __init__(self, *positions: Position, known: Sequence[CorporateAction] = (), rules: Rules | None = None) -> None:
        self.desk = Desk(*positions, rules=rules)
        self.room = Newsroom(self.desk.world.calendar, self.desk.world.volatility)
        self.room.known = known
        self.desk.use = UseCases(replace(self.desk.ports, sources=self.room), OFFLINE_ACCOUNT, rules or Rules())
        self.desk.wait(MORNING + MINUTE - self.desk.clock.now())
        self.desk.heard()

    def sees(self, price: str, symbol: Symbol = TSLA) -> PollReport:
        """Let a minute pass in which the symbol stands at a price, judge it, and check."""
        self.desk.wait()
        self.desk.set_price(symbol, price)
        report = self.desk.poll()
        assert isinstance(report, PollReport)
        self.desk.check()
        return report

    def reconciled(self) -> ReconcileReport:
        report = self.desk.reconcile()
        assert isinstance(report, ReconcileReport)
        return report

    @property
    def position(self) -> Position:
        position = self.desk.position(TSLA)
        assert position is not None
        return position

    @property
    def sold(self) -> list[Decimal]:
        """Give the quantities of exits that are on their way."""
        return [i.quantity for i in self.desk.ledger.open.values() if i.side is Side.SELL and not i.rests]


FALLS = {
    "2:1": ("2", "50", "20", "50"),
    "4:1": ("4", "25", "40", "25"),
    "7:1": ("7", "14.2857", "70", "14.2857"),
    "10:1": ("10", "10", "100", "10"),
    "20:1": ("20", "5", "200", "5"),
    "3:2": ("1.5", "66.6667", "15", "66.6667"),
}


# the stop


@pytest.mark.parametrize("name", FALLS)
def test_a_split_that_only_its_source_knows_sells_nothing_and_scales_the_stop(name: str) -> None:
    ratio, price, quantity, entry = FALLS[name]
    day = Next(held(TSLA, "10", "100"), known=[split(ratio)])
    day.sees(price)
    assert day.sold == []
    assert (day.position.quantity, round(day.position.average_entry_price, 4)) == (Decimal(quantity), Decimal(entry))
    assert day.position.stop_price == round(Decimal(entry) * Decimal("0.95"), 2)


def test_the_jump_of_a_late_split_is_no_move_and_no_doubt() -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4")])
    report = day.sees("25")
    assert report.moves == []
    assert report.quotes[TSLA].opens_positions
    assert not set(day.desk.kinds()) & {AlertKind.PRICE_MOVE, AlertKind.PRICE_UNCONFIRMED, AlertKind.STOP_TRIGGERED}


def test_a_late_split_is_no_move_between_bars_longer_than_the_window_either() -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4")], rules=rules_for(timedelta(days=1)))
    assert day.sees("25").moves == []


def test_it_is_applied_once_however_often_the_day_is_checked() -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4")])
    for _ in range(4):
        day.sees("25")
        day.desk.check()
    assert (day.position.quantity, day.sold) == (Decimal(40), [])


def test_what_the_source_hears_between_two_ticks_counts_from_the_next() -> None:
    day = Next(held(TSLA, "10", "100"))
    day.sees("25")
    assert day.sold == []
    day.room.known = [split("4")]
    day.sees("25")
    assert (day.position.quantity, day.sold) == (Decimal(40), [])


def test_a_price_that_still_breaches_the_scaled_stop_sells_once_it_is_confirmed() -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4")])
    day.sees("15")
    assert day.sold == []
    for _ in range(3):
        day.sees("15")
        assert (day.position.quantity, day.sold) == (Decimal(40), [Decimal(40)])


def test_a_price_a_little_under_the_scaled_stop_sells_at_once() -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4")])
    day.sees("23")
    assert day.sold == [Decimal(40)]


@pytest.mark.parametrize("problem", [DOWN, MissingSecret("the key is gone")])
def test_a_look_that_fails_counts_as_no_action_and_the_confirmed_price_sells_once(problem: HearthwatchError) -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4")])
    day.room.down = problem
    day.sees("25")
    assert day.sold == []
    for _ in range(3):
        day.sees("25")
        assert day.sold == [Decimal(10)]
    assert day.position.quantity == Decimal(10)


def test_a_fall_without_any_action_sells_once_the_next_tick_confirms_it() -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4", AAPL)])
    day.sees("70")
    assert day.sold == []
    day.sees("70")
    assert day.sold == [Decimal(10)]


def test_a_fall_of_up_to_a_fifth_sells_without_a_second_look() -> None:
    day = Next(held(TSLA, "10", "100"))
    day.sees("80")
    assert (day.sold, day.room.asked) == ([Decimal(10)], [])


def test_a_wild_print_within_the_day_is_looked_up_by_nobody() -> None:
    day = Next(held(TSLA, "10", "100"))
    day.sees("100")
    day.sees("60")
    assert (day.sold, day.room.asked) == ([], [])


def test_a_crash_of_everything_is_looked_up_with_one_request_a_tick() -> None:
    day = Next(held(TSLA, "10", "100"), held(AAPL, "10", "100"), held(NVDA, "10", "100"))
    for symbol in (TSLA, AAPL, NVDA):
        day.desk.set_price(symbol, "60")
    day.sees("60")
    day.room.asked.clear()
    day.sees("60")
    assert len(day.sold) == 3
    assert sorted(map(sorted, day.room.asked)) == [sorted([AAPL, NVDA, TSLA])] * 2


def test_a_lot_bought_on_the_ex_date_is_not_split() -> None:
    day = Next(known=[split("4")])
    bought = replace(held(TSLA, "10", "100"), adjusted_through=MORNING.date())
    day.desk.world.positions.put(bought)
    for _ in range(2):
        day.sees("60")
    assert (day.position.quantity, day.sold) == (Decimal(10), [Decimal(10)])


def test_a_position_that_cannot_be_written_is_judged_with_the_action_all_the_same() -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4")])
    day.desk.faults.fail("positions.put", DOWN)
    day.sees("25")
    assert day.sold == []
    day.desk.faults.mend()
    day.sees("25")
    assert (day.position.quantity, day.sold) == (Decimal(40), [])


def test_two_checks_at_once_apply_it_once() -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4")])
    day.desk.wait()
    day.desk.set_price(TSLA, "25")
    day.desk.poll()
    day.desk.faults.before("positions.put", lambda: day.desk.check())
    day.desk.check()
    day.sees("25")
    assert (day.position.quantity, day.sold) == (Decimal(40), [])


@pytest.mark.parametrize("trouble", [DOWN, Conflict("somebody was faster")])
def test_a_write_whose_answer_is_lost_applies_it_once(trouble: HearthwatchError) -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4")])
    day.desk.faults.fail("positions.put", trouble, answer_lost=True, times=2)
    for _ in range(3):
        day.sees("25")
    assert (day.position.quantity, day.sold) == (Decimal(40), [])


def test_a_special_dividend_known_late_lowers_the_stop_before_it_fires() -> None:
    day = Next(held(TSLA, "10", "100"), known=[dividend("30")])
    day.sees("70")
    assert (day.position.stop_price, day.sold) == (Decimal("66.50"), [])


def test_a_split_and_a_dividend_of_one_day_are_both_applied() -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4"), dividend("8")])
    day.sees("23")
    assert (day.position.quantity, day.position.average_entry_price, day.sold) == (Decimal(40), Decimal(23), [])


def test_an_action_of_yesterday_that_today_knows_is_applied_before_the_open() -> None:
    """No rule acted on it: a reverse split leaves the old stop far below, until the next day's look."""
    day = Next(held(TSLA, "10", "100"), known=[split("0.1")])
    day.room.down = DOWN
    day.sees("1000")
    day.sees("1000")
    assert day.position.stop_price == Decimal("95.00")
    day.desk.wait(MORNING + timedelta(days=1, minutes=1) - day.desk.clock.now())
    knows = replace(day.desk.ports, sources=day.room, actions=KnownActions([split("0.1")]))
    day.desk.use = UseCases(knows, OFFLINE_ACCOUNT, Rules())
    day.sees("1000")
    assert (day.position.quantity, day.position.stop_price) == (Decimal(1), Decimal("950.00"))


def test_a_split_that_the_plan_knows_is_no_jump_though_its_source_is_down() -> None:
    day = Next(held(TSLA, "10", "100"))
    day.room.down = DOWN
    planned = replace(day.desk.ports, sources=day.room, actions=KnownActions([split("4")]))
    day.desk.use = UseCases(planned, OFFLINE_ACCOUNT, Rules())
    report = day.sees("25")
    assert (report.moves, report.quotes[TSLA].opens_positions) == ([], True)
    assert (day.position.quantity, day.sold, day.room.asked) == (Decimal(40), [], [])


def test_shares_added_on_the_ex_date_are_not_split_by_an_action_known_later() -> None:
    day = Next(held(TSLA, "10", "100"))
    day.sees("100")
    day.desk.world.exchange.seed_position(TSLA, Decimal(18), Decimal(90))
    day.reconciled()
    day.room.known = [split("4")]
    for _ in range(2):
        day.sees("60")
    assert (day.position.quantity, day.sold) == (Decimal(18), [Decimal(18)])


# trailing stop and take-profit


def test_a_reverse_split_known_late_reaches_no_take_profit() -> None:
    day = Next(held(TSLA, "10", "100", take_profit="0.5"), known=[split("0.1")])
    for _ in range(3):
        day.sees("1000")
    assert (day.position.quantity, day.position.take_profit_price, day.sold) == (Decimal(1), Decimal(1500), [])


def test_a_reverse_split_known_late_carries_the_high_and_raises_it_no_further() -> None:
    day = Next(held(TSLA, "10", "100", trailing="0.1"), known=[split("0.1")])
    for price in ("1000", "1010", "1000"):
        day.sees(price)
    assert (day.position.high_since_entry, day.sold) == (Decimal(1010), [])


def test_while_nobody_answers_the_high_does_not_rise_to_a_far_price() -> None:
    day = Next(held(TSLA, "10", "100", trailing="0.1"), known=[split("0.1")])
    day.room.down = DOWN
    for _ in range(3):
        day.sees("1000")
    assert (day.position.high_since_entry, day.sold) == (Decimal(100), [])
    day.room.down = None
    day.sees("1000")
    assert (day.position.quantity, day.position.high_since_entry, day.sold) == (Decimal(1), Decimal(1000), [])


def test_a_confirmed_rise_without_an_action_does_raise_the_high() -> None:
    day = Next(held(TSLA, "10", "100", trailing="0.1"))
    for _ in range(2):
        day.sees("130")
    assert day.position.trailing_stop_price == Decimal("117.00")


def test_a_split_known_late_leaves_the_trailing_stop_at_its_distance() -> None:
    day = Next(held(TSLA, "10", "100", trailing="0.1"), known=[split("4")])
    day.sees("25")
    assert (day.position.trailing_stop_price, day.sold) == (Decimal("22.50"), [])


# reconciliation


def booked(day: Next, action: CorporateAction) -> None:
    """The broker books an action."""
    day.desk.wait()
    day.desk.world.exchange.apply(action, day.desk.clock.now())


def checks(day: Next) -> None:
    day.sees("25")


def books(day: Next) -> None:
    booked(day, split("4"))


def reconciles(day: Next) -> None:
    day.reconciled()


ORDERS: dict[str, Sequence[Callable[[Next], None]]] = {
    "the check first": (checks, books, reconciles),
    "the broker first": (books, reconciles, checks),
    "a pass before": (reconciles, books, reconciles, checks),
    "the check between passes": (reconciles, checks, books, reconciles),
}


@pytest.mark.parametrize("name", ORDERS)
def test_shares_that_a_late_split_explains_are_no_difference_whoever_sees_it_first(name: str) -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4")])
    for step in ORDERS[name]:
        step(day)
    for _ in range(2):
        day.sees("25")
        report = day.reconciled()
        assert report.differences == []
    assert (day.position.quantity, day.position.stop_price, day.sold) == (Decimal(40), Decimal("23.75"), [])
    kinds = {alert.kind for alert in day.desk.told} | set(day.desk.kinds())
    assert not kinds & {AlertKind.POSITION_MISMATCH, AlertKind.SPLIT_SUSPECTED, AlertKind.LARGE_POSITION_CHANGE}


@pytest.mark.parametrize(
    ("ratio", "words", "quantity", "price"),
    [("2", "2:1", "20", "50"), ("4", "4:1", "40", "25"), ("10", "10:1", "100", "10"), ("7", "7:1", "70", "14.2857"),
     ("20", "20:1", "200", "5"), ("1.5", "3:2", "15", "66.6667"), ("0.1", "1:10", "1", "1000")],
)  # fmt: skip
def test_a_split_nobody_told_of_freezes_entries_and_is_named(ratio: str, words: str, quantity: str, price: str) -> None:
    day = Next(held(TSLA, "10", "100", trailing="0.1"))
    booked(day, split(ratio))
    report = day.reconciled()
    assert [d.kind for d in report.differences] == [DifferenceKind.QUANTITY]
    alert = next(a for a in day.desk.heard() if a.kind == AlertKind.SPLIT_SUSPECTED)
    assert f"a split of {words} is suspected" in alert.text
    assert (alert.subject, day.position.quantity) == (TSLA, Decimal(quantity))
    assert round(day.position.stood_at, 4) == Decimal(price)
    day.sees(price)
    day.sees(price)
    assert day.sold == []
    outcome = day.desk.enter(TSLA, "1")
    assert outcome.intent is None
    assert any("frozen" in reason for reason in outcome.reasons)


def test_a_suspected_split_that_is_announced_afterwards_is_not_applied_again() -> None:
    day = Next(held(TSLA, "10", "100"))
    booked(day, split("4"))
    day.reconciled()
    day.room.known = [split("4")]
    for _ in range(3):
        day.sees("15")
        day.reconciled()
    assert day.position.quantity == Decimal(40)


def test_a_split_that_the_broker_books_hours_after_its_day_began_is_no_difference_before_nor_then() -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4")])
    knows = replace(day.desk.ports, sources=day.room, actions=KnownActions([split("4")]))
    day.desk.use = UseCases(knows, OFFLINE_ACCOUNT, Rules())
    for _ in range(3):
        assert day.reconciled().differences == []
        day.sees("25")
        assert (day.position.quantity, day.position.stop_price) == (Decimal(10), Decimal("23.75"))
    booked(day, split("4"))
    for _ in range(2):
        assert day.reconciled().differences == []
        day.sees("25")
    assert (day.position.quantity, day.position.stop_price, day.sold) == (Decimal(40), Decimal("23.75"), [])
    assert not set(day.desk.kinds()) & {AlertKind.POSITION_MISMATCH, AlertKind.LARGE_POSITION_CHANGE}


def test_a_split_booked_after_a_pass_that_died_is_applied_once_though_the_plan_and_its_source_both_name_it() -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4")])
    knows = replace(day.desk.ports, sources=day.room, actions=KnownActions([split("4")]))
    day.desk.use = UseCases(knows, OFFLINE_ACCOUNT, Rules())
    day.desk.faults.fail("positions.put", DOWN)
    with pytest.raises(Unavailable):
        day.desk.reconcile()
    day.desk.faults.mend()
    booked(day, split("4"))
    assert day.reconciled().differences == []
    assert (day.position.quantity, day.position.average_entry_price) == (Decimal(40), Decimal(25))


def test_shares_bought_by_hand_are_no_split() -> None:
    day = Next(held(TSLA, "10", "100"))
    day.desk.wait()
    day.desk.world.exchange.seed_position(TSLA, Decimal(40), Decimal(100))
    assert [d.kind for d in day.reconciled().differences] == [DifferenceKind.QUANTITY]
    assert AlertKind.SPLIT_SUSPECTED not in day.desk.kinds()


def test_with_the_source_down_a_late_split_is_a_difference_and_sells_nothing() -> None:
    day = Next(held(TSLA, "10", "100"), known=[split("4")])
    day.room.down = DOWN
    booked(day, split("4"))
    assert [d.kind for d in day.reconciled().differences] == [DifferenceKind.QUANTITY]
    for _ in range(3):
        day.sees("25")
    assert (day.position.stop_price, day.sold) == (Decimal("23.75"), [])


def test_the_very_first_pass_carries_the_book_over_a_known_split() -> None:
    split = CorporateAction(
        symbol=TSLA, ex_date=(OPEN + timedelta(days=1)).date(), kind=ActionKind.SPLIT, ratio=Decimal(7)
    )
    desk = Desk(held(TSLA, "10.4", "100"), blank=True, actions=[split], start=OPEN + timedelta(days=1))
    desk.world.exchange.apply(split, desk.clock.now())
    report = desk.reconcile()

    assert isinstance(report, ReconcileReport)
    assert (report.result, report.differences) == (ReconcileResult.CLEAN, [])
    position = desk.position(TSLA)
    assert position is not None
    assert (position.quantity, position.stop_price) == (Decimal("72.8"), Decimal("13.57"))
