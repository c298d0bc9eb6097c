"""Roundings by name, bounds of values from outside, and the one text form of a number."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidValue
from shared.domain.money import (
    QUANTITY_STEP,
    is_whole,
    plain,
    require_fraction,
    require_not_negative,
    require_positive,
    round_fill_price,
    round_quantity_down,
    round_to_cent,
    round_up_to_cent,
    usable_price,
)

ODD_NUMBERS = ("NaN", "sNaN", "Infinity", "-Infinity", "-1")
quantities = st.decimals(min_value=0, max_value=10**9, allow_nan=False, allow_infinity=False, places=12)


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [("147.856", "147.86"), ("147.855", "147.86"), ("147.854", "147.85"), ("0.005", "0.01"), ("147.8", "147.80")],
)
def test_a_cent_is_rounded_half_up(amount: str, rounded: str) -> None:
    assert str(round_to_cent(Decimal(amount))) == rounded


@pytest.mark.parametrize(("amount", "rounded"), [("10.001", "10.01"), ("10.00", "10.00"), ("10.0100001", "10.02")])
def test_a_buy_limit_is_rounded_up(amount: str, rounded: str) -> None:
    assert str(round_up_to_cent(Decimal(amount))) == rounded


def test_a_fill_price_keeps_four_decimals() -> None:
    assert str(round_fill_price(Decimal("184.81235"))) == "184.8124"


@pytest.mark.parametrize(
    ("quantity", "cut"),
    [("0.1234567899", "0.123456789"), ("10.40", "10.4"), ("100", "100"), ("0.0000000009", "0"), ("1E+3", "1000")],
)
def test_a_quantity_is_cut_to_nine_decimals(quantity: str, cut: str) -> None:
    assert str(round_quantity_down(Decimal(quantity))) == cut


@given(quantities)
def test_cutting_a_quantity_never_adds_and_loses_less_than_a_step(quantity: Decimal) -> None:
    assert Decimal(0) <= quantity - round_quantity_down(quantity) < QUANTITY_STEP


@pytest.mark.parametrize(("quantity", "whole"), [("10", True), ("10.000", True), ("1E+2", True), ("10.4", False)])
def test_whole_shares_are_told_from_fractions(quantity: str, whole: bool) -> None:
    assert is_whole(Decimal(quantity)) is whole


@pytest.mark.parametrize("price", [None, *(Decimal(text) for text in (*ODD_NUMBERS, "0", "-0"))])
def test_no_price_and_odd_prices_are_unusable(price: Decimal | None) -> None:
    assert not usable_price(price)


@pytest.mark.parametrize("price", ["0.0001", "5E-324", "184.82", "742000"])
def test_a_finite_price_above_zero_is_usable(price: str) -> None:
    assert usable_price(Decimal(price))


@pytest.mark.parametrize(
    ("require", "refused"),
    [
        *((require_positive, text) for text in (*ODD_NUMBERS, "0")),
        *((require_not_negative, text) for text in (*ODD_NUMBERS, "-0.01")),
        *((require_fraction, text) for text in (*ODD_NUMBERS, "0", "1", "5")),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_name(require: Callable[[str, Decimal], Decimal], refused: str) -> None:
    with pytest.raises(InvalidValue, match="equity"):
        require("equity", Decimal(refused))


@pytest.mark.parametrize("require", [require_positive, require_not_negative, require_fraction])
def test_a_float_is_refused(require: Callable[[str, object], object]) -> None:
    with pytest.raises(InvalidValue):
        require("price", 0.5)


def test_zero_is_not_negative() -> None:
    assert require_not_negative("stop_price", Decimal(0)) == 0


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("1E+5", "100000"),
        ("0.10", "0.1"),
        ("100", "100"),
        ("-0.00", "0"),
        ("0", "0"),
        ("1E-9", "0.000000001"),
        ("-3.50", "-3.5"),
        ("NaN", "NaN"),
    ],
)
def test_a_number_has_one_plain_text(amount: str, text: str) -> None:
    assert plain(Decimal(amount)) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12))
def test_the_plain_text_reads_back_equal_and_holds_no_exponent(amount: Decimal) -> None:
    text = plain(amount)
    assert (Decimal(text), "E" in text) == (amount, False)
