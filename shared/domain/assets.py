"""Symbols and asset classes: US stocks are on, crypto is behind a flag, options are refused (PRC-05)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NewType

from shared.domain.errors import InvalidValue

Symbol = NewType("Symbol", str)


class AssetClass(StrEnum):
    """The asset classes a symbol can belong to."""

    US_EQUITY = "us_equity"
    CRYPTO = "crypto"
    US_OPTION = "us_option"


DEFAULT_ASSET_CLASSES: Final = frozenset({AssetClass.US_EQUITY})

_OPTION = re.compile(r"[A-Z]{1,6}\d{6}[CP]\d{8}")
_CRYPTO = re.compile(r"[A-Z0-9]{2,6}[/-](USD|USDT|USDC|PERP)|[A-Z0-9]{3,6}(USD|USDT|USDC)")
_EQUITY = re.compile(r"[A-Z]{1,5}(\.[A-Z]{1,2})?")


def asset_class(symbol: str) -> AssetClass:
    """Tell the asset class from a symbol's form: OCC option, crypto pair or US stock.

    Raises InvalidValue when it has none of these forms.
    """
    if _OPTION.fullmatch(symbol):
        return AssetClass.US_OPTION
    if _EQUITY.fullmatch(symbol):
        return AssetClass.US_EQUITY
    if _CRYPTO.fullmatch(symbol):
        return AssetClass.CRYPTO
    raise InvalidValue("symbol", symbol, "a stock symbol such as TSLA or BRK.B")


def admit_symbol(text: str, allowed: Iterable[AssetClass] = DEFAULT_ASSET_CLASSES) -> Symbol:
    """Return the symbol when its asset class is switched on; raise InvalidValue otherwise."""
    kind = asset_class(text)
    if kind is AssetClass.US_OPTION:
        raise InvalidValue("symbol", text, "a stock: options are not traded")
    if kind not in frozenset(allowed):
        raise InvalidValue("symbol", text, f"an enabled asset class: {kind} is switched off")
    return Symbol(text)
