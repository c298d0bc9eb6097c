"""Coverage: how much of the open quantity a broker stop, a software stop, or nothing protects (RSK-06)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from shared.domain.assets import Symbol
from shared.domain.money import ZERO
from shared.domain.times import require_utc

_HUNDRED = Decimal(100)
_STEP = Decimal("0.01")
BARE_FOR: Final = timedelta(seconds=60)
"""Quantity that nothing protects for longer than this pages a person."""
_NO_SYMBOLS: Final[Mapping[Symbol, datetime]] = MappingProxyType({})


class Held(NamedTuple):
    """One symbol's quantity: how much rests under a broker stop, and whether a usable price was judged this tick."""

    symbol: Symbol
    quantity: Decimal
    under_broker_stop: Decimal
    price_judged: bool


class Coverage(NamedTuple):
    """Percent of the open quantity by its protection, to two decimals; nothing held counts as covered by nothing."""

    broker_pct: Decimal
    software_pct: Decimal
    none_pct: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedCoverage:
    """The coverage at an instant. `bare` says since when shares of a symbol have had no protection at all.

    `paged` names the symbols that a person was told of.
    """

    at: datetime
    coverage: Coverage
    bare: Mapping[Symbol, datetime] = field(default_factory=lambda: _NO_SYMBOLS)
    paged: frozenset[Symbol] = frozenset()

    def __post_init__(self) -> None:
        require_utc("at", self.at)


def coverage(positions: Iterable[Held]) -> Coverage:
    """Add up protection over positions; the three shares sum to 100 while anything is held, else to zero."""
    broker = software = bare = ZERO
    for _, quantity, under_broker_stop, price_judged in positions:
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


def bare_since(
    positions: Iterable[Held], before: PublishedCoverage | None, now: datetime, longest_gap: timedelta
) -> Mapping[Symbol, datetime]:
    """Say since when each symbol with unprotected shares has had them.

    After a gap in the record, such as a night, the time begins anew: nothing was looked at in between.
    """
    known = before.bare if before is not None and now - before.at <= longest_gap else _NO_SYMBOLS
    bare = (held.symbol for held in positions if not held.price_judged and held.under_broker_stop < held.quantity)
    return MappingProxyType({symbol: known.get(symbol, now) for symbol in bare})


def _percent(part: Decimal, total: Decimal) -> Decimal:
    return (part / total * _HUNDRED).quantize(_STEP) if part else ZERO
