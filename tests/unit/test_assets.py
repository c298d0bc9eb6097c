"""US stocks are on, crypto waits for its flag, options never pass (PRC-05)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.assets import AssetClass, Symbol, admit_symbol, asset_class
from shared.domain.errors import InvalidValue

STOCKS = ("F", "TSLA", "GOOGL", "BRK.B", "BF.B")
CRYPTO = ("BTC/USD", "ETH/USDT", "BTC-USD", "BTCUSD", "DOGEUSD", "ETHUSDT")
OPTIONS = ("TSLA260320C00250000", "F260320P00010000", "GOOGL270115C00200000")
NEITHER = (
    "",
    " ",
    "tsla",
    "TSLA ",
    " TSLA",
    "TSLA\n",
    "TSLA;DROP",
    "BRK/B",
    "\u0422SLA",
    "TSLA\u200b",
    "TOOLONG",
    "123",
)
"""Among them TSLA with a Cyrillic first letter and TSLA with a zero-width space."""


@pytest.mark.parametrize(
    ("symbol", "kind"),
    [
        *((symbol, AssetClass.US_EQUITY) for symbol in STOCKS),
        *((symbol, AssetClass.CRYPTO) for symbol in CRYPTO),
        *((symbol, AssetClass.US_OPTION) for symbol in OPTIONS),
    ],
)
def test_the_form_of_a_symbol_tells_its_class(symbol: str, kind: AssetClass) -> None:
    assert asset_class(symbol) is kind


@pytest.mark.parametrize("text", NEITHER)
def test_a_text_of_no_known_form_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="symbol"):
        asset_class(text)


@pytest.mark.parametrize("symbol", STOCKS)
def test_a_stock_is_admitted_by_default(symbol: str) -> None:
    assert admit_symbol(symbol) == Symbol(symbol)


@pytest.mark.parametrize("symbol", CRYPTO)
def test_crypto_is_refused_until_its_flag_is_set(symbol: str) -> None:
    with pytest.raises(InvalidValue, match="switched off"):
        admit_symbol(symbol)


@pytest.mark.parametrize("symbol", CRYPTO)
def test_crypto_is_admitted_once_its_flag_is_set(symbol: str) -> None:
    assert admit_symbol(symbol, {AssetClass.US_EQUITY, AssetClass.CRYPTO}) == Symbol(symbol)


@pytest.mark.parametrize("symbol", OPTIONS)
def test_an_option_is_refused_even_with_every_class_allowed(symbol: str) -> None:
    with pytest.raises(InvalidValue, match="options are not traded"):
        admit_symbol(symbol, AssetClass)


def test_a_stock_is_refused_when_stocks_are_off() -> None:
    with pytest.raises(InvalidValue, match="switched off"):
        admit_symbol("TSLA", {AssetClass.CRYPTO})


@given(st.text())
def test_whatever_is_admitted_is_plain_capitals(text: str) -> None:
    try:
        admitted = admit_symbol(text, AssetClass)
    except InvalidValue:
        return
    assert set(admitted) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./-")
