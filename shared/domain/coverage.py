"""Coverage: how much of the open quantity a broker stop, a software stop, or nothing protects (RSK-06)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from shared.domain.money import ZERO

_HUNDRED = Decimal(100)
_STEP = Decimal("0.01")


class Held(NamedTuple):
    """One position's quantity: how much rests under a broker stop, and whether a usable price was judged this tick."""

    quantity: Decimal
    under_broker_stop: Decimal
    price_judged: bool


class Coverage(NamedTuple):
    """Percent of the open quantity by its protection, to two decimals; nothing held counts as covered by nothing."""

    broker_pct: Decimal
    software_pct: Decimal
    none_pct: Decimal


def coverage(positions: Iterable[Held]) -> Coverage:
    """Add up protection over positions; the three shares sum to 100 while anything is held, else to zero."""
    broker = software = bare = ZERO
    for held in positions:
        resting = min(held.under_broker_stop, held.quantity)
        broker += resting
        if held.price_judged:
            software += held.quantity - resting
        else:
            bare += held.quantity - resting
    total = broker + software + bare
    if total == ZERO:
        return Coverage(ZERO, ZERO, ZERO)
    broker_pct = (broker / total * _HUNDRED).quantize(_STEP)
    none_pct = (bare / total * _HUNDRED).quantize(_STEP)
    return Coverage(broker_pct, _HUNDRED - broker_pct - none_pct, none_pct)
