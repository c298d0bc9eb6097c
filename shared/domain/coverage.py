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
    for quantity, under_broker_stop, price_judged in positions:
        resting = under_broker_stop if under_broker_stop < quantity else quantity
        broker += resting
        if price_judged:
            software += quantity - resting
        else:
            bare += quantity - resting
    total = broker + software + bare
    if total == ZERO:
        return Coverage(ZERO, ZERO, ZERO)
    broker_pct, none_pct = _percent(broker, total), _percent(bare, total)
    return Coverage(broker_pct, _HUNDRED - broker_pct - none_pct, none_pct)


def _percent(part: Decimal, total: Decimal) -> Decimal:
    return (part / total * _HUNDRED).quantize(_STEP) if part else ZERO
