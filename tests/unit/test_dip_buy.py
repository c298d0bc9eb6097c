"""The dip-buy rule proposes at 5 to 10 % under entry, both ends included, under a fresh STRONG BUY (RSK-02)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.dip_buy import Rating, RatingOn, judge_dip
from tests.unit.builders import TODAY, holding

BOUGHT_AT_100 = holding(entry="100")
STRONG_BUY = RatingOn(rating=Rating.STRONG_BUY, given_on=TODAY - timedelta(days=1))


def proposes(price: str, rating: RatingOn | None = STRONG_BUY, days: int = 1) -> bool:
    return judge_dip(BOUGHT_AT_100, Decimal(price), rating, days).buy


@pytest.mark.parametrize(
    ("price", "buys"),
    [
        ("95.01", False),
        ("95.0001", False),
        ("95.00", True),
        ("92.50", True),
        ("90.00", True),
        ("89.9999", False),
        ("89.99", False),
        ("100.00", False),
        ("107.50", False),
        ("50.00", False),
    ],
    ids=["-4.99 %", "-4.9999 %", "-5 %", "-7.5 %", "-10 %", "-10.0001 %", "-10.01 %", "flat", "up", "halved"],
)
def test_the_depth_of_the_dip_decides(price: str, buys: bool) -> None:
    assert proposes(price) is buys


@pytest.mark.parametrize("price", ["95.01", "95.00", "90.00", "89.99"])
def test_price_alone_is_not_enough(price: str) -> None:
    assert not proposes(price, rating=None)


@pytest.mark.parametrize("rating", [each for each in Rating if each is not Rating.STRONG_BUY])
def test_a_lesser_rating_proposes_nothing(rating: Rating) -> None:
    assert not proposes("92.50", RatingOn(rating=rating, given_on=TODAY))


@pytest.mark.parametrize(
    ("days", "buys"),
    [(0, True), (1, True), (5, True), (6, False), (250, False), (-1, False)],
    ids=["today", "yesterday", "five days", "six days", "a year", "dated tomorrow"],
)
def test_a_rating_is_good_for_five_trading_days(days: int, buys: bool) -> None:
    assert proposes("92.50", days=days) is buys


def test_the_entry_that_ends_in_odd_cents_keeps_its_bounds() -> None:
    odd = holding(entry="184.82")
    assert judge_dip(odd, Decimal("175.579"), STRONG_BUY, 0).buy


@pytest.mark.parametrize(
    ("price", "rating", "days", "text"),
    [
        ("97", STRONG_BUY, 1, "TSLA: -3.00% from entry is no moderate dip"),
        ("93", None, 1, "TSLA: down -7.00% but not rated"),
        ("93", RatingOn(rating=Rating.BUY, given_on=TODAY), 1, "TSLA: down -7.00% but rated BUY"),
        ("93", STRONG_BUY, 9, "TSLA: the rating is 9 trading days old"),
        ("93", STRONG_BUY, 1, "TSLA: down -7.00% and rated STRONG BUY"),
    ],
)
def test_the_verdict_says_why(price: str, rating: RatingOn | None, days: int, text: str) -> None:
    assert judge_dip(BOUGHT_AT_100, Decimal(price), rating, days).text == text


@given(
    st.decimals(min_value="0.01", max_value=5_000, places=4),
    st.decimals(min_value="0.01", max_value=5_000, places=4),
    st.integers(min_value=-3, max_value=30),
)
def test_a_proposal_always_lies_between_five_and_ten_percent_down(entry: Decimal, price: Decimal, days: int) -> None:
    if judge_dip(holding(entry=str(entry)), price, STRONG_BUY, days).buy:
        assert entry * Decimal("0.90") <= price <= entry * Decimal("0.95")
