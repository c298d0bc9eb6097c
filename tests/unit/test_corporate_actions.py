"""Splits and dividends join into one adjustment, in the order of their ex-dates (PRC-06, fault 14)."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.memory.corporate_actions import DueActions
from shared.domain.assets import Symbol
from shared.domain.corporate_actions import (
    NO_ADJUSTMENT,
    ActionKind,
    Adjustment,
    CorporateAction,
    adjustment,
    suspected_split,
)
from shared.domain.errors import InvalidValue
from tests.unit.builders import AAPL, TODAY, TSLA

YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)


def split(ratio: str, ex_date: date = TODAY, symbol: Symbol = TSLA) -> CorporateAction:
    return CorporateAction(symbol=symbol, ex_date=ex_date, kind=ActionKind.SPLIT, ratio=Decimal(ratio))


def dividend(cash: str, ex_date: date = TODAY, symbol: Symbol = TSLA) -> CorporateAction:
    return CorporateAction(symbol=symbol, ex_date=ex_date, kind=ActionKind.DIVIDEND, cash_amount=Decimal(cash))


def joined(*actions: CorporateAction, after: date = YESTERDAY, upto: date = TODAY) -> Adjustment:
    return adjustment(actions, TSLA, after, upto)


class TestOneAction:
    @pytest.mark.parametrize(
        ("ratio", "old", "new"),
        [("7", "645.57", "92.22"), ("4", "499.23", "124.81"), ("20", "2255.34", "112.77"), ("0.1", "1.25", "12.50")],
        ids=["AAPL 2014", "AAPL 2020", "GOOGL 2022", "1:10 reverse"],
    )
    def test_a_split_divides_the_price(self, ratio: str, old: str, new: str) -> None:
        assert joined(split(ratio)).price(Decimal(old)).quantize(Decimal("0.01")) == Decimal(new)

    @pytest.mark.parametrize(("ratio", "shares"), [("7", "70"), ("4", "40"), ("20", "200"), ("0.1", "1")])
    def test_a_split_multiplies_the_shares(self, ratio: str, shares: str) -> None:
        assert joined(split(ratio)).quantity(Decimal(10)) == Decimal(shares)

    def test_a_dividend_takes_its_cash_off_the_price(self) -> None:
        assert joined(dividend("2.50")).price(Decimal(100)) == Decimal("97.50")

    def test_a_dividend_leaves_the_shares_alone(self) -> None:
        assert joined(dividend("2.50")).quantity(Decimal(10)) == Decimal(10)


class TestWhichActionsCount:
    @pytest.mark.parametrize(
        ("ex_date", "counts"),
        [(YESTERDAY, False), (TODAY, True), (TOMORROW, False), (TODAY - timedelta(days=30), False)],
        ids=["already applied", "today", "not yet", "long ago"],
    )
    def test_only_those_after_the_last_applied_and_up_to_today(self, ex_date: date, counts: bool) -> None:
        assert (joined(split("4", ex_date)) != NO_ADJUSTMENT) is counts

    def test_another_symbol_is_left_alone(self) -> None:
        assert joined(split("4", symbol=AAPL)) is NO_ADJUSTMENT

    def test_no_action_adjusts_nothing(self) -> None:
        assert joined() is NO_ADJUSTMENT

    def test_a_week_without_runs_is_caught_up_in_one_step(self) -> None:
        missed = joined(split("2", TODAY - timedelta(days=5)), split("3"), after=TODAY - timedelta(days=7))
        assert missed.ratio == 6


class TestOrder:
    def test_a_dividend_before_a_split_is_paid_on_old_shares(self) -> None:
        told = joined(dividend("4", TODAY), split("4", TOMORROW), upto=TOMORROW)
        assert told.price(Decimal(100)) == Decimal(24)

    def test_a_dividend_after_a_split_is_paid_on_new_shares(self) -> None:
        told = joined(split("4", TODAY), dividend("4", TOMORROW), upto=TOMORROW)
        assert told.price(Decimal(100)) == Decimal(21)

    days = st.dates(min_value=TODAY - timedelta(days=60), max_value=TODAY)
    actions = st.lists(
        st.one_of(
            st.builds(split, st.sampled_from(["7", "4", "20", "0.1", "1.5"]), days),
            st.builds(dividend, st.sampled_from(["0.25", "1", "2.50"]), days),
        ),
        max_size=5,
    )

    @given(actions, st.randoms(use_true_random=False))
    def test_the_order_in_which_actions_arrive_changes_nothing(
        self, actions: list[CorporateAction], shuffle: random.Random
    ) -> None:
        start = TODAY - timedelta(days=61)
        mixed = shuffle.sample(actions, len(actions))
        told = adjustment(mixed, TSLA, start, TODAY).price(Decimal(100))
        assert abs(told - adjustment(actions, TSLA, start, TODAY).price(Decimal(100))) < Decimal("1E-15")

    @given(actions, days)
    def test_applying_in_two_steps_equals_applying_at_once(self, actions: list[CorporateAction], pause: date) -> None:
        start = TODAY - timedelta(days=61)
        first, rest = adjustment(actions, TSLA, start, pause), adjustment(actions, TSLA, pause, TODAY)
        at_once = adjustment(actions, TSLA, start, TODAY)
        stepwise = rest.price(first.price(Decimal(500)))
        assert abs(stepwise - at_once.price(Decimal(500))) < Decimal("1E-15")

    @given(actions)
    def test_shares_at_the_new_price_plus_the_cash_are_worth_what_they_were(
        self, actions: list[CorporateAction]
    ) -> None:
        told = adjustment(actions, TSLA, TODAY - timedelta(days=61), TODAY)
        old_price, old_shares = Decimal(500), Decimal(10)
        shares = told.quantity(old_shares)
        worth = shares * told.price(old_price) + shares * told.cash
        assert abs(worth - old_price * old_shares) < Decimal("1E-15")


class TestSuspectedSplits:
    @pytest.mark.parametrize(
        ("shares", "entry", "shares_now", "entry_now", "ratio"),
        [
            ("10", "100", "20", "50", "2"),
            ("10", "100", "100", "10", "10"),
            ("10", "645.57", "70", "92.2243", "7"),
            ("10", "100", "15", "66.6667", "1.5"),
            ("10.4", "100", "41.6", "25", "4"),
            ("10", "2255.34", "200", "112.767", "20"),
            ("10", "1", "1", "10", "0.1"),
            ("10", "1", "0.5", "20", "0.05"),
            ("1005", "1", "100", "10", "0.1"),
        ],
        ids=["2:1", "10:1", "7:1", "3:2", "4:1 with a fraction", "20:1", "1:10", "1:20", "cash for a fraction"],
    )
    def test_shares_and_entry_that_changed_by_one_plain_ratio(
        self, shares: str, entry: str, shares_now: str, entry_now: str, ratio: str
    ) -> None:
        told = suspected_split(Decimal(shares), Decimal(entry), Decimal(shares_now), Decimal(entry_now))
        assert told == Decimal(ratio)

    @pytest.mark.parametrize(
        ("shares_now", "entry_now"),
        [("20", "100"), ("20", "75"), ("5", "100"), ("10", "100"), ("11", "90.91"), ("20", "49"), ("21", "50")],
        ids=["bought as many", "bought cheaper", "sold half", "nothing", "no plain ratio", "entry off", "shares off"],
    )
    def test_trades_are_none(self, shares_now: str, entry_now: str) -> None:
        assert suspected_split(Decimal(10), Decimal(100), Decimal(shares_now), Decimal(entry_now)) is None

    @given(
        st.decimals("0.001", 10_000, places=3),
        st.decimals("0.01", 10_000, places=2),
        st.sampled_from(["2", "3", "4", "5", "7", "10", "20", "1.5", "0.5", "0.1", "0.05"]),
    )
    def test_every_plain_split_is_recognised_and_conserves_value(
        self, shares: Decimal, entry: Decimal, ratio: str
    ) -> None:
        step = joined(split(ratio))
        told = suspected_split(shares, entry, step.quantity(shares), step.price(entry))
        assert told is not None
        assert abs(told - Decimal(ratio)) <= Decimal("1E-20")


class TestKeys:
    def test_one_split_a_day_whatever_its_ratio(self) -> None:
        assert split("4").key == split("5").key == "2026-03-04 split"

    def test_dividends_of_other_amounts_are_other_dividends(self) -> None:
        assert (dividend("0.25").key, dividend("1").key) == ("2026-03-04 dividend 0.25", "2026-03-04 dividend 1")

    def test_the_same_amount_in_other_digits_is_the_same_dividend(self) -> None:
        assert dividend("0.250").key == dividend("0.25").key

    def test_another_day_is_another_action(self) -> None:
        assert split("4").key != split("4", TOMORROW).key


class TestRefusals:
    @pytest.mark.parametrize("ratio", ["0", "-4", "NaN", "Infinity"])
    def test_a_split_needs_a_real_ratio(self, ratio: str) -> None:
        with pytest.raises(InvalidValue, match="ratio"):
            split(ratio)

    @pytest.mark.parametrize("cash", ["0", "-1", "NaN", "Infinity"])
    def test_a_dividend_needs_real_cash(self, cash: str) -> None:
        with pytest.raises(InvalidValue, match="cash_amount"):
            dividend(cash)

    def test_a_split_pays_no_cash(self) -> None:
        with pytest.raises(InvalidValue, match="cash_amount"):
            CorporateAction(
                symbol=TSLA, ex_date=TODAY, kind=ActionKind.SPLIT, ratio=Decimal(4), cash_amount=Decimal(-50)
            )

    def test_a_dividend_splits_nothing(self) -> None:
        with pytest.raises(InvalidValue, match="ratio"):
            CorporateAction(
                symbol=TSLA, ex_date=TODAY, kind=ActionKind.DIVIDEND, ratio=Decimal(4), cash_amount=Decimal(1)
            )


def test_due_actions_are_handed_out_once_on_the_morning_of_their_date_and_oldest_first() -> None:
    yesterdays, todays, tomorrows = split("2", YESTERDAY), dividend("0.10"), split("3", TOMORROW)
    due = DueActions([tomorrows, todays, yesterdays], after=YESTERDAY)
    morning = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC)
    assert due.take(morning - timedelta(days=1)) == []
    assert due.take(morning) == [todays]
    assert due.take(morning + timedelta(hours=1)) == []
    assert due.take(morning + timedelta(days=9)) == [tomorrows]
