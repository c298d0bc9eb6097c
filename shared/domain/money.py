"""Exact decimals for money, prices and quantities, and their named roundings."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Final

from shared.domain.errors import InvalidValue

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
CENT: Final = Decimal("0.01")
PRICE_TICK: Final = Decimal("0.0001")
"""Fills are reported to four decimals: price improvement happens below the cent, and below $1 so are order prices."""
QUANTITY_STEP: Final = Decimal("0.000000001")
"""Fractional shares carry nine decimals at the broker."""


def round_to_cent(amount: Decimal) -> Decimal:
    """Round half up to a cent."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def round_level(price: Decimal) -> Decimal:
    """Round a stop or target half up to a cent (RSK-01), and below $1 to the four decimals that the exchange takes.

    To the cent, the stop of a share bought at half a cent would be zero, and never reached.
    """
    return price.quantize(CENT if price >= ONE else PRICE_TICK, rounding=ROUND_HALF_UP)


def round_up_to_cent(amount: Decimal) -> Decimal:
    """Round up to a cent, so that a marketable buy limit stays marketable."""
    return amount.quantize(CENT, rounding=ROUND_CEILING)


def round_fill_price(price: Decimal) -> Decimal:
    """Round half up to the four decimals in which fills are reported."""
    return price.quantize(PRICE_TICK, rounding=ROUND_HALF_UP)


def round_quantity_down(quantity: Decimal) -> Decimal:
    """Cut a quantity to the broker's nine decimals; never up, so that a limit holds."""
    return quantity.quantize(QUANTITY_STEP, rounding=ROUND_DOWN).normalize() + ZERO


def is_whole(quantity: Decimal) -> bool:
    """Say whether a quantity is a whole number of shares."""
    return quantity == quantity.to_integral_value()


def usable_price(price: Decimal | None) -> bool:
    """Say whether a price is a finite number above zero; NaN, infinities and zero are not."""
    return price is not None and price.is_finite() and price > ZERO


def require_positive(field: str, value: Decimal) -> Decimal:
    """Return a finite value above zero, or raise InvalidValue naming the field."""
    if not isinstance(value, Decimal) or not value.is_finite() or value <= ZERO:
        raise InvalidValue(field, value, "a decimal number above zero")
    return value


def require_not_negative(field: str, value: Decimal) -> Decimal:
    """Return a finite value of at least zero, or raise InvalidValue naming the field."""
    if not isinstance(value, Decimal) or not value.is_finite() or value < ZERO:
        raise InvalidValue(field, value, "a decimal number of at least zero")
    return value


def require_fraction(field: str, value: Decimal) -> Decimal:
    """Return a fraction strictly between zero and one, or raise InvalidValue naming the field."""
    if not isinstance(value, Decimal) or not value.is_finite() or not ZERO < value < ONE:
        raise InvalidValue(field, value, "a fraction between 0 and 1, such as 0.05 for 5 %")
    return value


def plain(amount: Decimal) -> str:
    """Write a decimal without exponent or trailing zeros; the one text form of a number in records."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def as_price(price: Decimal) -> str:
    """Write a price for people: every digit it has, and at least the cents."""
    whole, _, decimals = plain(price).partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"
