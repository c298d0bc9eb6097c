"""Protective rules are pure arithmetic with a reason text: stop-loss, trailing stop, take-profit (RSK-01, RSK-12)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal, InvalidOperation

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.intents import Reason
from shared.domain.money import ZERO
from shared.domain.positions import Position
from shared.domain.stops import RiskAction, decides_from_afar, is_due, judge_blind, judge_exit
from tests.unit.builders import NOW, holding

BOUGHT = holding(entry="184.82")
SELL, HOLD = RiskAction.SELL, RiskAction.HOLD


class TestStopLoss:
    def test_an_entry_at_184_82_is_stopped_at_147_86(self) -> None:
        assert BOUGHT.stop_price == Decimal("147.86")

    @pytest.mark.parametrize(
        ("price", "action"),
        [
            ("180.00", HOLD),
            ("184.82", HOLD),
            ("400.00", HOLD),
            ("147.87", HOLD),
            ("147.8601", HOLD),
            ("147.86", SELL),
            ("147.85", SELL),
            ("120.00", SELL),
            ("0.0001", SELL),
        ],
        ids=[
            "a little down",
            "at entry",
            "doubled",
            "a cent above",
            "a fraction above",
            "exactly at the stop",
            "a cent below",
            "gapped through",
            "almost worthless",
        ],
    )
    def test_price_against_stop(self, price: str, action: RiskAction) -> None:
        assert judge_exit(BOUGHT, Decimal(price)).action is action

    def test_the_stop_says_what_it_saw(self) -> None:
        text = judge_exit(BOUGHT, Decimal("147.86")).text
        assert text == "TSLA: 147.86 is at or below the stop loss 147.86 (entry 184.82)"

    def test_holding_says_why(self) -> None:
        assert judge_exit(BOUGHT, Decimal("180.00")).text == "TSLA: 180.00 is above the stop 147.86"

    def test_a_sell_names_rule_and_level(self) -> None:
        verdict = judge_exit(BOUGHT, Decimal("147.00"))
        assert (verdict.reason, verdict.level) == (Reason.STOP_LOSS, Decimal("147.86"))

    def test_a_hold_names_no_rule(self) -> None:
        assert judge_exit(BOUGHT, Decimal("180.00")).reason is None

    def test_without_a_price_the_answer_is_hold_and_says_so(self) -> None:
        verdict = judge_exit(BOUGHT, None)
        assert (verdict.action, verdict.text) == (HOLD, "TSLA: no usable price, holding")

    @pytest.mark.parametrize("odd", ["NaN", "sNaN"])
    def test_a_price_that_is_not_a_number_is_never_compared_in_silence(self, odd: str) -> None:
        with pytest.raises(InvalidOperation):
            judge_exit(BOUGHT, Decimal(odd))

    @pytest.mark.parametrize("price", ["147.86", "180.00"])
    def test_ten_thousand_repeats_are_identical(self, price: str) -> None:
        assert len({repr(judge_exit(BOUGHT, Decimal(price))) for _ in range(10_000)}) == 1


class TestTakeProfit:
    @pytest.mark.parametrize(("price", "action"), [("129.99", HOLD), ("130.00", SELL), ("160", SELL)])
    def test_the_target_itself_sells(self, price: str, action: RiskAction) -> None:
        assert judge_exit(holding(entry="100", take_profit="0.30"), Decimal(price)).action is action

    def test_a_sale_at_the_target_says_so(self) -> None:
        assert judge_exit(holding(entry="100", take_profit="0.30"), Decimal(131)).reason is Reason.TAKE_PROFIT

    def test_off_unless_set(self) -> None:
        assert judge_exit(holding(entry="100"), Decimal(1000)).action is HOLD


class TestTrailingStop:
    RISE_AND_FALL = (
        ("100", "90.00", HOLD, None),
        ("110", "99.00", HOLD, None),
        ("120", "108.00", HOLD, None),
        ("115", "108.00", HOLD, None),
        ("108.01", "108.00", HOLD, None),
        ("108", "108.00", SELL, Reason.TRAILING_STOP),
        ("79", "108.00", SELL, Reason.TRAILING_STOP),
    )
    """Price, trailing stop after it was seen, action and rule; bought at 100, 10 % behind the high."""

    def test_a_rise_and_a_fall(self) -> None:
        position, told = holding(entry="100", trailing="0.10"), []
        for price, *_ in self.RISE_AND_FALL:
            position = position.seen_at(Decimal(price))
            verdict = judge_exit(position, Decimal(price))
            told.append((price, str(position.trailing_stop_price), verdict.action, verdict.reason))
        assert tuple(told) == self.RISE_AND_FALL

    def test_before_the_first_good_price_the_stop_loss_rules(self) -> None:
        assert judge_exit(holding(entry="100", trailing="0.10"), Decimal(85)).action is HOLD

    def test_a_stop_loss_tighter_than_the_trailing_stop_rules(self) -> None:
        position = holding(entry="100", stop_loss="0.05", trailing="0.20", high="104")
        assert judge_exit(position, Decimal(95)).reason is Reason.STOP_LOSS

    def test_a_trailing_stop_tighter_than_the_stop_loss_rules(self) -> None:
        position = holding(entry="100", trailing="0.10", high="150")
        assert judge_exit(position, Decimal(130)).level == Decimal("135.00")

    def test_at_equal_levels_the_stop_loss_gives_the_reason(self) -> None:
        position = holding(entry="100", trailing="0.20", high="100")
        assert judge_exit(position, Decimal(80)).reason is Reason.STOP_LOSS

    def test_off_unless_set(self) -> None:
        assert holding(entry="100").seen_at(Decimal(500)).trailing_stop_price is None


class TestDecidingFromAfar:
    @pytest.mark.parametrize(
        ("rules", "price", "far"),
        [
            ({}, "80.01", False),
            ({}, "80", False),
            ({}, "79.99", True),
            ({}, "120.01", False),
            ({"stop_loss": "0.05"}, "95", False),
            ({"stop_loss": "0.05"}, "79.99", True),
            ({"stop_loss": "0.50"}, "60", False),
            ({"take_profit": "0.10"}, "120", False),
            ({"take_profit": "0.10"}, "120.01", True),
            ({"trailing": "0.10"}, "120", False),
            ({"trailing": "0.10"}, "120.01", True),
            ({"trailing": "0.10", "high": "150"}, "120", False),
            ({"trailing": "0.10", "high": "150"}, "119.99", True),
            ({"trailing": "0.30", "high": "150"}, "119.99", False),
            ({"trailing": "0.10", "high": "150"}, "180.01", True),
        ],
    )
    def test_only_what_acts_on_a_price_over_a_fifth_away(self, rules: dict[str, str], price: str, far: bool) -> None:
        assert decides_from_afar(holding(entry="100", **rules), Decimal(price)) is far


class TestClosingBlind:
    def test_it_says_since_when_and_by_whose_will(self) -> None:
        verdict = judge_blind(BOUGHT, NOW, timedelta(seconds=300))
        assert (verdict.action, verdict.reason, verdict.level) == (SELL, Reason.DATA_LOSS, None)
        assert verdict.text == (
            "TSLA: no usable price since 2026-03-04T15:30:00Z, longer than 300 s: "
            "selling blind, as the owner's setting says"
        )


prices = st.decimals(min_value="0.01", max_value=5_000, places=4)
fractions = st.decimals(min_value="0.01", max_value="0.90", places=2)
maybe_fractions = st.one_of(st.none(), fractions)
positions = st.builds(
    lambda entry, stop, trailing, profit, high: holding(
        entry=str(entry),
        stop_loss=str(stop),
        trailing=None if trailing is None else str(trailing),
        take_profit=None if profit is None else str(profit),
        high=None if high is None else str(high),
    ),
    prices, fractions, maybe_fractions, maybe_fractions, st.one_of(st.none(), prices),
)  # fmt: skip


@given(positions, st.lists(prices, min_size=1, max_size=20))
def test_a_trailing_stop_never_moves_down(position: Position, seen: list[Decimal]) -> None:
    levels = [position.trailing_stop_price or ZERO]
    for price in seen:
        position = position.seen_at(price)
        levels.append(position.trailing_stop_price or ZERO)
    assert levels == sorted(levels)


@given(positions, prices)
def test_the_tighter_of_stop_and_trailing_stop_rules(position: Position, price: Decimal) -> None:
    tighter = max(position.stop_price, position.trailing_stop_price or ZERO)
    stopped = judge_exit(position, price).reason in (Reason.STOP_LOSS, Reason.TRAILING_STOP)
    assert stopped == (price <= tighter)


@given(positions, prices, prices)
def test_a_lower_price_never_turns_a_stop_into_a_hold(position: Position, one: Decimal, other: Decimal) -> None:
    low, high = sorted((one, other))
    if judge_exit(position, high).reason in (Reason.STOP_LOSS, Reason.TRAILING_STOP):
        assert judge_exit(position, low).action is SELL


@given(positions, prices)
def test_the_quick_form_agrees_with_the_verdict(position: Position, price: Decimal) -> None:
    assert is_due(position, price) == (judge_exit(position, price).action is SELL)
