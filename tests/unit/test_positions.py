"""Positions carry their protection with them, over fills and over corporate actions."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.corporate_actions import ActionKind, Adjustment, CorporateAction
from shared.domain.errors import InvalidValue
from shared.domain.money import round_quantity_down
from shared.domain.positions import Position, lot_id
from shared.domain.stops import RiskAction, judge_exit
from tests.unit.builders import AAPL, NOW, TODAY, TSLA, holding


def over(position: Position, ratio: str = "1", cash: str = "0") -> Position:
    return position.adjusted(Adjustment(Decimal(ratio), Decimal(cash)), TODAY)


class TestLevels:
    @pytest.mark.parametrize(
        ("entry", "stop"),
        [
            ("184.82", "147.86"),
            ("100", "80.00"),
            ("100.00625", "80.01"),
            ("100.0062", "80.00"),
            ("0.50", "0.4000"),
            ("1.25", "1.00"),
            ("0.006", "0.0048"),
            ("0.0001", "0.0001"),
        ],
        ids=["the story", "round", "half a cent up", "under half a cent", "small", "penny", "half a cent", "least"],
    )
    def test_the_stop_lies_a_fifth_under_entry_rounded_half_up(self, entry: str, stop: str) -> None:
        assert str(holding(entry=entry).stop_price) == stop

    def test_the_stop_follows_the_average_entry(self) -> None:
        assert holding(entry="180.00").stop_price == Decimal("144.00")

    def test_the_trailing_stop_is_rounded_to_a_cent(self) -> None:
        assert str(holding(trailing="0.10", high="200.05").trailing_stop_price) == "180.05"

    def test_the_take_profit_is_rounded_to_a_cent(self) -> None:
        assert str(holding(entry="100.05", take_profit="0.30").take_profit_price) == "130.07"

    def test_the_high_starts_no_lower_than_the_entry(self) -> None:
        assert holding(entry="100", trailing="0.10").seen_at(Decimal(90)).high_since_entry == Decimal(100)

    def test_the_high_rises_with_the_price(self) -> None:
        assert holding(entry="100", trailing="0.10").seen_at(Decimal(130)).high_since_entry == Decimal(130)

    def test_the_high_does_not_fall_with_the_price(self) -> None:
        assert holding(entry="100", trailing="0.10", high="130").seen_at(Decimal(120)).high_since_entry == Decimal(130)


class TestRefusals:
    @pytest.mark.parametrize("quantity", ["0", "-10", "NaN", "Infinity"])
    def test_a_position_holds_a_real_quantity(self, quantity: str) -> None:
        with pytest.raises(InvalidValue, match="quantity"):
            holding(quantity)

    @pytest.mark.parametrize("entry", ["0", "-1", "NaN", "Infinity"])
    def test_a_position_was_entered_at_a_real_price(self, entry: str) -> None:
        with pytest.raises(InvalidValue, match="average_entry_price"):
            holding(entry=entry)

    @pytest.mark.parametrize("distance", ["0", "1", "-0.2", "20", "NaN"])
    def test_a_stop_distance_is_a_fraction(self, distance: str) -> None:
        with pytest.raises(InvalidValue, match="stop_loss_pct"):
            holding(stop_loss=distance)

    @pytest.mark.parametrize("distance", ["0", "1", "-0.1", "NaN"])
    def test_a_trailing_distance_is_a_fraction(self, distance: str) -> None:
        with pytest.raises(InvalidValue, match="trailing_stop_pct"):
            holding(trailing=distance)

    @pytest.mark.parametrize("gain", ["0", "-0.1", "NaN"])
    def test_a_take_profit_lies_above_entry(self, gain: str) -> None:
        with pytest.raises(InvalidValue, match="take_profit_pct"):
            holding(take_profit=gain)

    def test_a_lot_is_opened_in_utc(self) -> None:
        with pytest.raises(InvalidValue, match="opened_at"):
            Position(
                symbol=TSLA,
                lot=lot_id(TSLA, NOW),
                quantity=Decimal(1),
                average_entry_price=Decimal(100),
                opened_at=NOW.replace(tzinfo=None),
                adjusted_through=TODAY,
            )


class TestLots:
    def test_two_runs_that_see_a_lot_name_it_alike(self) -> None:
        assert lot_id(TSLA, NOW) == "TSLA:2026-03-04T15:30:00Z"

    def test_a_later_lot_has_another_name(self) -> None:
        assert lot_id(TSLA, NOW) != lot_id(TSLA, NOW + timedelta(minutes=1))


class TestSplits:
    @pytest.mark.parametrize(
        ("ratio", "quantity", "entry", "stop"),
        [
            ("7", "70", "92.22", "73.78"),
            ("4", "40", "161.39", "129.11"),
            ("20", "200", "32.28", "25.82"),
            ("0.1", "1", "6455.70", "5164.56"),
        ],
        ids=["7:1", "4:1", "20:1", "1:10 reverse"],
    )
    def test_ten_shares_at_645_57_over_a_split(self, ratio: str, quantity: str, entry: str, stop: str) -> None:
        told = over(holding("10", "645.57"), ratio)
        rounded = told.average_entry_price.quantize(Decimal("0.01"))
        assert (str(told.quantity), str(rounded), str(told.stop_price)) == (quantity, entry, stop)

    @pytest.mark.parametrize(("ratio", "price"), [("7", "92.22"), ("4", "161.39"), ("20", "32.28"), ("0.1", "6455.7")])
    def test_the_price_after_a_split_sells_nothing(self, ratio: str, price: str) -> None:
        told = over(holding("10", "645.57", trailing="0.10", high="650"), ratio)
        assert judge_exit(told, Decimal(price)).action is RiskAction.HOLD

    def test_the_price_after_an_unapplied_split_would_have_sold(self) -> None:
        assert judge_exit(holding("10", "645.57"), Decimal("92.22")).action is RiskAction.SELL

    def test_the_high_is_split_too(self) -> None:
        assert over(holding(entry="400", trailing="0.10", high="480"), "4").high_since_entry == Decimal(120)

    def test_the_ex_date_is_remembered(self) -> None:
        assert over(holding(), "4").adjusted_through == TODAY

    def test_the_lot_keeps_its_name(self) -> None:
        assert over(holding(), "4").lot == holding().lot

    ratios = st.sampled_from(["7", "4", "20", "3", "1.5", "0.1", "0.05"])
    amounts = st.decimals(min_value="0.000000001", max_value=100_000, places=9)
    prices = st.decimals(min_value="0.01", max_value=100_000, places=4)

    @given(amounts, prices, ratios)
    def test_value_is_conserved_under_a_split_but_for_the_last_of_nine_decimals(
        self, quantity: Decimal, entry: Decimal, ratio: str
    ) -> None:
        after = over(holding(str(quantity), str(entry)), ratio)
        worth, was = after.quantity * after.average_entry_price, quantity * entry
        assert worth <= was * (1 + Decimal("1E-24"))
        assert was - worth <= Decimal("1E-9") * after.average_entry_price

    @given(amounts, ratios)
    def test_shares_keep_the_brokers_nine_decimals(self, quantity: Decimal, ratio: str) -> None:
        after = over(holding(str(quantity)), ratio)
        assert after.quantity == round_quantity_down(after.quantity) or after.quantity < Decimal("1E-9")

    @given(prices, st.sampled_from(["7", "4", "20", "3", "1.5"]), st.lists(prices, min_size=1, max_size=6))
    def test_a_trailing_stop_stands_where_it_would_without_the_split(
        self, entry: Decimal, ratio: str, seen: list[Decimal]
    ) -> None:
        whole = split = holding(entry=str(entry), trailing="0.10")
        for price in seen:
            whole = whole.seen_at(price)
        for price in seen[:-1]:
            split = split.seen_at(price)
        split = over(split, ratio).seen_at(seen[-1] / Decimal(ratio))
        assert whole.high_since_entry is not None
        assert split.high_since_entry is not None
        assert abs(split.high_since_entry * Decimal(ratio) - whole.high_since_entry) <= Decimal("1E-18")

    @given(prices, ratios)
    def test_the_stop_keeps_its_distance_over_a_split_to_a_cent(self, entry: Decimal, ratio: str) -> None:
        after = over(holding(entry=str(entry)), ratio)
        assert abs(after.stop_price - entry / Decimal(ratio) * Decimal("0.8")) <= Decimal("0.005")


def action(ex_date: date, ratio: str | None = None, cash: str | None = None) -> CorporateAction:
    if ratio is not None:
        return CorporateAction(symbol=TSLA, ex_date=ex_date, kind=ActionKind.SPLIT, ratio=Decimal(ratio))
    return CorporateAction(symbol=TSLA, ex_date=ex_date, kind=ActionKind.DIVIDEND, cash_amount=Decimal(cash or "1"))


YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
FOUR, PAID = action(TODAY, "4"), action(TODAY, cash="2")


class TestCatchingUp:
    def test_an_action_of_today_is_applied_once_however_often_it_is_shown(self) -> None:
        told = holding("10", "400").caught_up([FOUR], TODAY)
        for _ in range(3):
            told = told.caught_up([FOUR, FOUR], TODAY)
        assert (told.quantity, told.average_entry_price) == (Decimal(40), Decimal(100))

    def test_an_action_that_two_sources_name_in_the_first_look_is_applied_once(self) -> None:
        told = holding("10", "400").caught_up([FOUR, PAID, FOUR, PAID], TODAY)
        assert (told.quantity, told.average_entry_price) == (Decimal(40), Decimal("99.5"))

    def test_of_two_ratios_for_one_split_the_later_word_counts(self) -> None:
        assert holding("10", "400").caught_up([action(TODAY, "5"), FOUR], TODAY).quantity == Decimal(40)

    def test_an_action_that_became_known_after_the_days_look_is_applied(self) -> None:
        told = holding("10", "400").caught_up([], TODAY).caught_up([FOUR], TODAY)
        assert told.quantity == Decimal(40)

    def test_a_second_action_of_the_day_that_became_known_late_is_applied_beside_the_first(self) -> None:
        told = holding("10", "400").caught_up([FOUR], TODAY).caught_up([FOUR, PAID], TODAY)
        assert (told.quantity, told.average_entry_price) == (Decimal(40), Decimal(98))

    def test_an_action_that_became_known_a_day_late_is_applied_then(self) -> None:
        told = holding("10", "400").caught_up([], YESTERDAY).caught_up([action(YESTERDAY, "4")], TODAY)
        assert told.quantity == Decimal(40)

    def test_a_split_whose_ratio_was_corrected_is_not_applied_on_top(self) -> None:
        told = holding("10", "400").caught_up([FOUR], TODAY).caught_up([action(TODAY, "5")], TODAY)
        assert told.quantity == Decimal(40)

    def test_a_lot_whose_figures_are_of_today_is_left_alone(self) -> None:
        bought_today = replace(holding("10", "100"), adjusted_through=TODAY)
        assert bought_today.caught_up([FOUR], TODAY) is bought_today

    def test_an_action_of_tomorrow_waits(self) -> None:
        assert holding("10", "400").caught_up([action(TOMORROW, "4")], TODAY).quantity == Decimal(10)

    def test_a_day_without_actions_is_remembered(self) -> None:
        told = holding().caught_up([], TODAY)
        assert (told.adjusted_through, told.adjusted_for) == (TODAY, frozenset())

    def test_with_nothing_new_the_position_is_the_same(self) -> None:
        told = holding().caught_up([FOUR], TODAY)
        assert told.caught_up([FOUR], TODAY) is told

    def test_another_symbols_action_is_no_business_of_it(self) -> None:
        assert holding().caught_up([replace(FOUR, symbol=AAPL)], TODAY).quantity == Decimal(10)

    days = st.dates(min_value=TODAY - timedelta(days=6), max_value=TODAY)
    actions = st.lists(
        st.one_of(
            st.builds(action, days, st.sampled_from(["7", "4", "0.1", "1.5"])),
            st.builds(action, days, st.none(), st.sampled_from(["0.25", "1", "2.5"])),
        ),
        max_size=5,
        unique_by=lambda each: each.key,
    )

    @given(actions, st.data())
    def test_every_action_is_applied_once_whatever_became_known_when_within_a_day(
        self, known: list[CorporateAction], data: st.DataObject
    ) -> None:
        """Each is known from its own day on, or, being late, from the next; looks repeat as they like."""
        start = replace(holding("64", "500"), adjusted_through=TODAY - timedelta(days=7), adjusted_for=frozenset())
        told = start
        late = {each.key: data.draw(st.booleans(), label=each.key) for each in known}
        for back in range(6, -2, -1):
            today = TODAY - timedelta(days=back)
            for _ in range(data.draw(st.integers(1, 2))):
                seen = [a for a in known if a.ex_date + timedelta(days=late[a.key]) <= today]
                told = told.caught_up(seen, today)
        ratio = prod((each.ratio for each in known), start=Decimal(1))
        assert abs(told.quantity - 64 * ratio) <= Decimal("1E-6")


class TestDividends:
    def test_entry_and_stop_come_down_with_the_price(self) -> None:
        told = over(holding(entry="100"), cash="5")
        assert (told.average_entry_price, told.stop_price) == (Decimal(95), Decimal(76))

    def test_the_high_comes_down_with_the_price(self) -> None:
        assert over(holding(entry="100", trailing="0.10", high="120"), cash="5").high_since_entry == Decimal(115)

    def test_the_shares_stay(self) -> None:
        assert over(holding("10.4"), cash="5").quantity == Decimal("10.4")

    @pytest.mark.parametrize("cash", ["4", "5"], ids=["equal", "larger"])
    def test_a_dividend_that_eats_the_whole_entry_keeps_the_entry(self, cash: str) -> None:
        assert over(holding(entry="4"), cash=cash).average_entry_price == Decimal(4)

    def test_a_dividend_larger_than_the_high_forgets_the_high(self) -> None:
        assert over(holding(entry="4", trailing="0.10", high="5"), cash="5").high_since_entry is None
