"""Positions carry their protection with them, over fills and over corporate actions."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.corporate_actions import Adjustment
from shared.domain.errors import InvalidValue
from shared.domain.positions import Position, lot_id
from shared.domain.stops import RiskAction, judge_exit
from tests.unit.builders import NOW, TODAY, TSLA, holding


def over(position: Position, ratio: str = "1", cash: str = "0") -> Position:
    return position.adjusted(Adjustment(Decimal(ratio), Decimal(cash)), TODAY)


class TestLevels:
    @pytest.mark.parametrize(
        ("entry", "stop"),
        [("184.82", "147.86"), ("100", "80.00"), ("100.00625", "80.01"), ("100.0062", "80.00"), ("0.50", "0.40")],
        ids=["the story", "round", "half a cent up", "under half a cent", "small"],
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
            ("0.1", "1.0", "6455.70", "5164.56"),
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
    def test_value_is_conserved_under_a_split(self, quantity: Decimal, entry: Decimal, ratio: str) -> None:
        before = holding(str(quantity), str(entry))
        after = over(before, ratio)
        worth, was = after.quantity * after.average_entry_price, quantity * entry
        assert abs(worth - was) <= was * Decimal("1E-24")

    @given(prices, ratios)
    def test_the_stop_keeps_its_distance_over_a_split_to_a_cent(self, entry: Decimal, ratio: str) -> None:
        after = over(holding(entry=str(entry)), ratio)
        assert abs(after.stop_price - entry / Decimal(ratio) * Decimal("0.8")) <= Decimal("0.005")


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
