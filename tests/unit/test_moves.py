"""A move is a departure from the window's high or low by the threshold; volatility is known or unknown, never zero."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidValue
from shared.domain.moves import (
    Bounds,
    Move,
    MoveRule,
    fifteen_minute_sigma,
    find_move,
    may_have_moved,
    volatility_score,
)
from shared.domain.quotes import NO_DOUBTS, JudgedQuote
from tests.unit.builders import NOW, TODAY, TSLA

THRESHOLD = MoveRule().threshold


def move(price: str, *window: str) -> Move | None:
    return find_move(TSLA, Decimal(price), NOW, [Decimal(each) for each in window], THRESHOLD)


def left(price: str, *window: str) -> Decimal | None:
    """The price a move left, None when there was no move."""
    found = move(price, *window)
    return None if found is None else found.from_price


class TestTheThreshold:
    @pytest.mark.parametrize("price", ["105.00", "95.00"])
    def test_exactly_the_threshold_is_a_move(self, price: str) -> None:
        assert move(price, "100") is not None

    @pytest.mark.parametrize("price", ["104.99", "95.01", "100"])
    def test_just_under_the_threshold_is_no_move(self, price: str) -> None:
        assert move(price, "100") is None

    def test_an_empty_window_reports_nothing(self) -> None:
        assert move("100") is None

    def test_a_move_carries_its_signed_change(self) -> None:
        found = move("95.00", "100")
        assert found is not None
        assert found.change == Decimal("-0.05")

    @pytest.mark.parametrize("threshold", ["0", "1", "-0.05", "NaN"])
    def test_a_threshold_that_is_no_fraction_is_refused(self, threshold: str) -> None:
        with pytest.raises(InvalidValue):
            MoveRule(threshold=Decimal(threshold))

    def test_a_window_without_length_is_refused(self) -> None:
        with pytest.raises(InvalidValue):
            MoveRule(window=timedelta(0))

    def test_a_cooldown_without_length_is_refused(self) -> None:
        with pytest.raises(InvalidValue):
            MoveRule(cooldown=timedelta(minutes=-1))


class TestTheWindow:
    def test_a_fall_is_measured_from_the_high(self) -> None:
        assert left("97", "100", "103", "101") == Decimal(103)

    def test_a_rise_is_measured_from_the_low(self) -> None:
        assert left("103", "100", "98", "101") == Decimal(98)

    def test_a_swing_that_starts_in_mid_window_counts(self) -> None:
        assert left("100", "100", "102", "104", "106", "103") == Decimal(106)

    def test_a_slow_slide_whose_start_has_left_the_window_does_not_count(self) -> None:
        slide = [Decimal(100) - Decimal("0.3125") * minute for minute in range(17)]
        assert slide[16] == Decimal(95)
        assert find_move(TSLA, slide[16], NOW, slide[1:16], THRESHOLD) is None

    @pytest.mark.parametrize(
        ("price", "window", "from_price"),
        [("100", ("94", "106"), "94"), ("97", ("92", "110"), "110"), ("100", ("95", "105.5"), "95")],
        ids=["6.4 % up, 5.7 % down", "5.4 % up, 11.8 % down", "5.26 % up, 5.21 % down"],
    )
    def test_of_two_departures_the_larger_is_reported(
        self, price: str, window: tuple[str, ...], from_price: str
    ) -> None:
        assert left(price, *window) == Decimal(from_price)

    def test_of_two_equal_departures_the_rise_is_reported(self) -> None:
        assert left("99", "90", "110") == Decimal(90)

    prices = st.decimals(min_value="0.01", max_value=10_000, places=2)

    @given(prices, st.lists(prices, min_size=1, max_size=15), st.randoms(use_true_random=False))
    def test_the_order_within_the_window_changes_nothing(
        self, price: Decimal, window: list[Decimal], shuffle: random.Random
    ) -> None:
        mixed = shuffle.sample(window, len(window))
        assert find_move(TSLA, price, NOW, mixed, THRESHOLD) == find_move(TSLA, price, NOW, window, THRESHOLD)

    @given(prices, st.lists(prices, min_size=1, max_size=15))
    def test_a_move_is_reported_exactly_when_some_earlier_price_is_far_enough(
        self, price: Decimal, window: list[Decimal]
    ) -> None:
        far = any(abs(price - each) >= THRESHOLD * each for each in window)
        assert (find_move(TSLA, price, NOW, window, THRESHOLD) is not None) == far

    @given(prices, st.lists(prices, min_size=1, max_size=15), st.lists(prices, max_size=5))
    def test_a_move_is_never_missed_whatever_the_bounds_enclose_besides_the_window(
        self, price: Decimal, window: list[Decimal], besides: list[Decimal]
    ) -> None:
        bounds = Bounds(min(*window, *besides, price), max(*window, *besides, price))
        far = may_have_moved({TSLA: judged(price)}, {TSLA: bounds}, THRESHOLD)
        assert TSLA in far or find_move(TSLA, price, NOW, window, THRESHOLD) is None

    def test_a_price_near_its_bounds_needs_no_look_at_the_window(self) -> None:
        bounds = {TSLA: Bounds(Decimal(100), Decimal(101))}
        assert may_have_moved({TSLA: judged(Decimal("104.99"))}, bounds, THRESHOLD) == {}
        assert may_have_moved({TSLA: judged(Decimal("105.00"))}, bounds, THRESHOLD) == {TSLA: Decimal("105.00")}

    def test_what_is_blind_or_was_never_priced_has_not_moved(self) -> None:
        assert may_have_moved({TSLA: judged(None)}, {TSLA: Bounds(Decimal(1), Decimal(1))}, THRESHOLD) == {}
        assert may_have_moved({TSLA: judged(Decimal(100))}, {}, THRESHOLD) == {}


def judged(price: Decimal | None) -> JudgedQuote:
    return JudgedQuote(TSLA, price, None, None, NOW, "iex", NO_DOUBTS, price, NOW, None, None)


def closes(days: int, *, seed: int = 7, ending: date = TODAY) -> Mapping[date, Sequence[Decimal]]:
    """Twenty-seven closes a day that wander by about 0.2 %, for the days before `ending`."""
    chance = random.Random(seed)
    history = {}
    for back in range(days, 0, -1):
        price, day = 100.0, []
        for _ in range(27):
            price *= 1 + chance.gauss(0, 0.002)
            day.append(Decimal(str(round(price, 4))))
        history[ending - timedelta(days=back)] = day
    return history


class TestVolatility:
    def test_twenty_days_of_history_give_their_deviation(self) -> None:
        assert fifteen_minute_sigma(closes(20), TODAY) == pytest.approx(0.002, rel=0.15)

    @pytest.mark.parametrize("days", [0, 1, 19])
    def test_fewer_than_twenty_days_are_unknown(self, days: int) -> None:
        assert fifteen_minute_sigma(closes(days), TODAY) is None

    def test_today_does_not_count_as_history(self) -> None:
        assert fifteen_minute_sigma(closes(20), TODAY - timedelta(days=1)) is None

    def test_days_before_the_last_twenty_do_not_count(self) -> None:
        wild_past = {TODAY - timedelta(days=40): [Decimal(1), Decimal(100), Decimal(1)]}
        assert fifteen_minute_sigma({**wild_past, **closes(20)}, TODAY) == fifteen_minute_sigma(closes(20), TODAY)

    def test_the_night_between_two_days_is_no_return(self) -> None:
        flat = {TODAY - timedelta(days=back): [Decimal(50 + back)] * 27 for back in range(1, 21)}
        assert fifteen_minute_sigma(flat, TODAY) is None

    def test_prices_that_never_changed_are_unknown_and_not_zero(self) -> None:
        flat = {day: [Decimal(100)] * 27 for day in closes(20)}
        assert fifteen_minute_sigma(flat, TODAY) is None

    def test_days_with_a_single_close_are_unknown(self) -> None:
        assert fifteen_minute_sigma({day: [Decimal(100)] for day in closes(20)}, TODAY) is None

    def test_two_returns_are_enough(self) -> None:
        quiet = {day: [Decimal(100)] for day in closes(20)}
        first, last = min(quiet), max(quiet)
        restless = {**quiet, first: [Decimal(100), Decimal(101)], last: [Decimal(100), Decimal(99)]}
        assert fifteen_minute_sigma(restless, TODAY) == pytest.approx(0.0141, rel=0.01)

    @given(st.integers(min_value=0, max_value=2**32), st.integers(min_value=20, max_value=30))
    def test_sigma_is_above_zero_whenever_it_is_known(self, seed: int, days: int) -> None:
        sigma = fifteen_minute_sigma(closes(days, seed=seed), TODAY)
        assert sigma is not None
        assert sigma > 0

    def test_the_order_in_which_days_arrive_changes_nothing(self) -> None:
        history = closes(25)
        backwards = dict(sorted(history.items(), reverse=True))
        assert fifteen_minute_sigma(backwards, TODAY) == fifteen_minute_sigma(history, TODAY)

    @pytest.mark.parametrize("change", ["0.06", "-0.06"])
    def test_the_score_counts_sigmas_either_way(self, change: str) -> None:
        assert volatility_score(Decimal(change), 0.02) == pytest.approx(3.0)

    def test_unknown_volatility_gives_an_unknown_score(self) -> None:
        assert volatility_score(Decimal("0.06"), None) is None

    @pytest.mark.parametrize(("sigmas", "extreme"), [(3.0, False), (3.01, True), (None, None)])
    def test_a_move_is_extreme_beyond_three_sigmas(self, sigmas: float | None, extreme: bool | None) -> None:
        found = Move(symbol=TSLA, at=NOW, from_price=Decimal(100), price=Decimal(110), sigmas=sigmas)
        assert found.is_extreme is extreme
