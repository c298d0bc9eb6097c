"""What a day and a week have lost, and when they trip: at their limit, deposits apart, until they end (RSK-07)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.assets import Symbol
from shared.domain.errors import InvalidValue
from shared.domain.losses import (
    Losses,
    LossLimits,
    Period,
    Worth,
    carried_on,
    market_value,
    stopped_by,
    worth_of,
)
from shared.domain.quotes import JudgedQuote
from shared.domain.reconciliation import BrokerFacts, Difference, DifferenceKind, Transfer, remembering
from shared.domain.trading_state import HaltReason
from tests.unit.builders import AAPL, MINUTE, NOW, TODAY, TSLA, began_with, judged

LIMITS = LossLimits()
START = Decimal(100_000)
CALM = began_with(START)
FACTS = BrokerFacts(
    at=NOW - MINUTE, cash=Decimal(99_000), equity=START, quantities={TSLA: Decimal(10), AAPL: Decimal(5)}
)
DAY = timedelta(days=1)
dollars = st.decimals(-200_000, 200_000, places=2)


def worth(equity: str, *paid_in: str) -> Worth:
    """The account now, with money that was paid in a minute ago."""
    return Worth(equity=Decimal(equity), transfers=tuple(Transfer(NOW - MINUTE, Decimal(each)) for each in paid_in))


def tripped(losses: Losses, now: Worth) -> set[HaltReason]:
    return set(stopped_by(losses.judged(now, LIMITS, NOW), now, LIMITS))


class TestTripping:
    @pytest.mark.parametrize(
        ("now", "reasons"),
        [
            (worth("100000"), set()),
            (worth("97000.01"), set()),
            (worth("97000"), {HaltReason.DAILY_LOSS}),
            (worth("94000.01"), {HaltReason.DAILY_LOSS}),
            (worth("94000"), {HaltReason.DAILY_LOSS, HaltReason.WEEKLY_LOSS}),
            (worth("150000"), set()),
            (worth("102000", "5000"), {HaltReason.DAILY_LOSS}),
            (worth("105000", "5000"), set()),
            (worth("70000", "-30000"), set()),
            (worth("66000", "-30000"), {HaltReason.DAILY_LOSS}),
            (worth("100000", "5000", "-5000"), set()),
        ],
        ids=[
            "nothing lost",
            "a cent less than the day may lose",
            "exactly what the day may lose",
            "a cent less than the week may lose",
            "exactly what the week may lose",
            "a gain",
            "a deposit does not hide a loss",
            "a deposit is no gain",
            "a withdrawal is no loss",
            "a withdrawal does not hide a loss",
            "in and out again",
        ],
    )
    def test_what_was_lost_since_the_start(self, now: Worth, reasons: set[HaltReason]) -> None:
        assert tripped(CALM, now) == reasons

    def test_money_paid_in_before_the_start_is_in_it_already(self) -> None:
        before = Worth(equity=Decimal(97_500), transfers=(Transfer(CALM.day.since, Decimal(5_000)),))
        assert not CALM.day.met(before, LIMITS.daily)

    def test_a_trip_stands_however_far_the_account_recovers(self) -> None:
        low = CALM.judged(worth("97000"), LIMITS, NOW)
        assert low.judged(worth("120000"), LIMITS, NOW + MINUTE) is low

    def test_a_trip_keeps_the_time_it_happened(self) -> None:
        low = CALM.judged(worth("97000"), LIMITS, NOW)
        assert low.judged(worth("96000"), LIMITS, NOW + MINUTE).day.tripped_at == NOW

    def test_nothing_to_note_leaves_the_losses_as_they_are(self) -> None:
        assert CALM.judged(worth("99000"), LIMITS, NOW) is CALM

    @given(dollars, dollars)
    def test_no_deposit_or_withdrawal_ever_changes_what_was_lost(self, equity: Decimal, moved: Decimal) -> None:
        before = Worth(equity=equity)
        after = Worth(equity=equity + moved, transfers=(Transfer(NOW, moved),))
        assert CALM.day.lost(after) == CALM.day.lost(before)

    @given(dollars, st.decimals("0.001", "0.5"), st.decimals("0.01", "1"))
    def test_a_lower_limit_trips_wherever_the_higher_does(
        self, equity: Decimal, limit: Decimal, factor: Decimal
    ) -> None:
        now = Worth(equity=equity)
        assert CALM.day.met(now, limit * factor) or not CALM.day.met(now, limit)

    def test_the_text_says_the_numbers(self) -> None:
        low = CALM.judged(worth("93955.50", "100"), LIMITS, NOW)
        assert stopped_by(low, worth("93955.50", "100"), LIMITS) == {
            HaltReason.DAILY_LOSS: "the day began with 100000.00 dollars, 6144.50 (6.1%) lost; limit 3.0%, "
            "met at 2026-03-04T15:30:00Z",
            HaltReason.WEEKLY_LOSS: "the week began with 100000.00 dollars, 6144.50 (6.1%) lost; limit 6.0%, "
            "met at 2026-03-04T15:30:00Z",
        }

    def test_a_trip_without_a_worth_is_told_all_the_same(self) -> None:
        low = CALM.judged(worth("97000"), LIMITS, NOW)
        assert stopped_by(low, None, LIMITS) == {
            HaltReason.DAILY_LOSS: "the day began with 100000.00 dollars; limit 3.0%, met at 2026-03-04T15:30:00Z"
        }


def begun(day: date, equity: str = "90000") -> Period:
    return Period(began=day, since=NOW, equity=Decimal(equity))


class TestPeriods:
    BAD = CALM.judged(worth("90000"), LIMITS, NOW)

    def test_a_new_day_lifts_the_day_and_leaves_the_week(self) -> None:
        tomorrow = begun(TODAY + DAY)
        after = carried_on(self.BAD, tomorrow, tomorrow)
        assert (after.day, after.week) == (tomorrow, self.BAD.week)
        assert tripped(after, worth("90000")) == {HaltReason.WEEKLY_LOSS}

    def test_the_first_trading_day_of_the_next_week_lifts_the_week(self) -> None:
        monday = begun(date(2026, 3, 9))
        assert tripped(carried_on(self.BAD, monday, monday), worth("90000")) == set()

    def test_a_week_whose_monday_is_a_holiday_begins_on_its_first_trading_day(self) -> None:
        tuesday = begun(date(2026, 3, 10))
        assert carried_on(self.BAD, tuesday, tuesday).week == tuesday

    def test_the_last_week_of_a_year_is_no_new_one_on_new_year_s_day(self) -> None:
        old = replace(self.BAD, day=begun(date(2026, 12, 31)), week=begun(date(2026, 12, 28)))
        after = carried_on(old, begun(date(2027, 1, 1)), begun(date(2027, 1, 1)))
        assert after.week == old.week

    @pytest.mark.parametrize("day", [TODAY, TODAY - DAY])
    def test_the_same_day_again_or_an_earlier_one_changes_nothing(self, day: date) -> None:
        assert carried_on(self.BAD, begun(day), begun(day)) is self.BAD

    def test_the_first_of_all_begins_both(self) -> None:
        day, week = begun(TODAY), begun(TODAY, "95000")
        assert carried_on(None, day, week) == Losses(day=day, week=week)

    @pytest.mark.parametrize("equity", ["0", "-1", "NaN", "Infinity"])
    def test_a_period_cannot_begin_with_nothing(self, equity: str) -> None:
        with pytest.raises(InvalidValue, match="equity"):
            begun(TODAY, equity)

    @pytest.mark.parametrize("bad", ["0", "1", "3", "NaN"])
    @pytest.mark.parametrize("field", ["daily", "weekly"])
    def test_limits_that_limit_nothing_are_refused(self, field: str, bad: str) -> None:
        with pytest.raises(InvalidValue, match=field):
            LossLimits(**{field: Decimal(bad)})


QUOTES = {TSLA: judged("100"), AAPL: judged("40")}


def worth_at(
    quotes: Mapping[Symbol, JudgedQuote], held: Mapping[Symbol, Decimal] = FACTS.quantities, facts: BrokerFacts = FACTS
) -> Worth | None:
    return worth_of(facts, held, market_value(held, quotes))


class TestWorth:
    def test_cash_and_shares_at_judged_prices(self) -> None:
        assert worth_at(QUOTES) == Worth(equity=Decimal(100_200))

    def test_a_missing_price_leaves_the_broker_s_own_equity(self) -> None:
        for quotes in ({TSLA: judged("100")}, {TSLA: judged("100"), AAPL: judged(None)}):
            assert worth_at(quotes) == Worth(equity=START)

    @pytest.mark.parametrize(
        "held",
        [{}, {TSLA: Decimal(10)}, {TSLA: Decimal(40), AAPL: Decimal(5)}],
        ids=["a book not written yet", "a position not written yet", "a split that the broker has not booked"],
    )
    def test_a_book_that_differs_leaves_the_broker_s_own_equity(self, held: dict[Symbol, Decimal]) -> None:
        assert worth_at(QUOTES, held) == Worth(equity=START)

    def test_no_number_is_no_worth(self) -> None:
        assert worth_at({}, {}, replace(FACTS, equity=Decimal("NaN"))) is None
        assert worth_at({}, facts=replace(FACTS, equity=Decimal("NaN"))) is None

    def test_transfers_come_with_it(self) -> None:
        paid = (Transfer(NOW, Decimal(5)),)
        told = worth_at({}, {}, replace(FACTS, transfers=paid))
        assert told is not None
        assert told.transfers == paid


def cash(expected: str, found: str) -> Difference:
    return Difference(
        kind=DifferenceKind.CASH, subject="account", at=NOW, expected=Decimal(expected), found=Decimal(found)
    )


def shares(expected: str, found: str) -> Difference:
    return Difference(
        kind=DifferenceKind.QUANTITY, subject=TSLA, at=NOW, expected=Decimal(expected), found=Decimal(found)
    )


NOW_FACTS = replace(FACTS, at=NOW)


class TestTransfers:
    @pytest.mark.parametrize(
        ("differences", "moved"),
        [
            ([], None),
            ([cash("99000", "104000")], "5000"),
            ([cash("99000", "98000.50")], "-999.50"),
            ([shares("10", "12"), cash("99000", "98800")], None),
            ([shares("10", "8"), cash("99000", "99200")], None),
            ([shares("10", "12"), cash("99000", "104000")], "5000"),
            ([shares("10", "8"), cash("99000", "90000")], "-9000"),
            ([shares("10", "8")], None),
        ],
        ids=[
            "nothing",
            "a deposit",
            "a withdrawal",
            "bought by hand",
            "sold by hand",
            "a deposit beside a purchase by hand",
            "a withdrawal beside a sale by hand",
            "shares alone",
        ],
    )
    def test_cash_without_a_trade_is_a_transfer(self, differences: list[Difference], moved: str | None) -> None:
        told = remembering(NOW_FACTS, FACTS, differences).transfers
        assert told == (() if moved is None else (Transfer(NOW, Decimal(moved)),))

    def test_they_are_kept_for_two_weeks(self) -> None:
        young, old = Transfer(NOW - 14 * DAY, Decimal(1)), Transfer(NOW - 14 * DAY - MINUTE, Decimal(2))
        assert remembering(NOW_FACTS, replace(FACTS, transfers=(old, young)), []).transfers == (young,)

    def test_the_first_pass_knows_of_none(self) -> None:
        assert remembering(NOW_FACTS, None, []).transfers == ()


class TestMismatches:
    def test_differences_in_quantity_add_up_over_a_day(self) -> None:
        before = replace(FACTS, mismatches=1)
        told = remembering(NOW_FACTS, before, [shares("1", "2"), shares("1", "3"), cash("1", "2")])
        assert (told.mismatches, told.mismatched_often) == (3, True)

    def test_two_are_not_often(self) -> None:
        assert not replace(FACTS, mismatches=2).mismatched_often

    def test_a_new_day_in_new_york_begins_at_none(self) -> None:
        late = replace(FACTS, at=NOW.replace(hour=4, minute=0) + DAY, mismatches=3)
        assert remembering(replace(FACTS, at=late.at + timedelta(minutes=59)), late, []).mismatches == 3
        assert remembering(replace(FACTS, at=late.at + timedelta(minutes=60)), late, []).mismatches == 0
