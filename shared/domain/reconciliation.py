"""Reconciliation: the broker is right about quantities, orders and cash; every difference is named (ORD-06, fault 45).

A pass compares what the broker says now with what it said at the pass before, carried forward by the fills of our own
orders and by corporate actions. What that does not explain is a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from shared.domain.assets import Symbol
from shared.domain.corporate_actions import NO_ADJUSTMENT, Adjustment
from shared.domain.intents import IntentId, Side, is_ours
from shared.domain.money import CENT, PRICE_TICK, ZERO, plain
from shared.domain.orders import HeldPosition, Order

QUANTITY_TOLERANCE: Final = Decimal("0.000001")
"""Differences below this are rounding of fractional quantities, not trades."""


class Filled(NamedTuple):
    """What one order of ours has filled so far: signed shares, and the signed dollars that cash changed by."""

    symbol: Symbol
    shares: Decimal
    dollars: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFacts:
    """What the broker said in one pass: cash and equity in dollars, shares by symbol, fills of orders of ours.

    `frozen` symbols take no entries until a pass without differences; `clean` says that this was one. `untold` are
    differences, of this pass or earlier, that could not be journaled and queued yet. `strangers` are orders placed by
    hand and positions we cannot protect; each is told when it first shows.
    """

    at: datetime
    cash: Decimal
    equity: Decimal
    quantities: Mapping[Symbol, Decimal]
    fills: Mapping[IntentId, Filled] = field(default_factory=lambda: MappingProxyType({}))
    frozen: frozenset[Symbol] = frozenset()
    clean: bool = True
    untold: tuple[Difference, ...] = ()
    strangers: frozenset[str] = frozenset()
    version: int = 0


class DifferenceKind(StrEnum):
    """The kinds of difference and what follows: each alerts; quantities freeze the symbol's entries until clean."""

    QUANTITY = "quantity"
    CASH = "cash"
    FOREIGN_ORDER = "foreign_order"
    LOST_ORDER = "lost_order"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One unexplained difference, with the figure we expected and the one the broker gave."""

    kind: DifferenceKind
    subject: str
    at: datetime
    expected: Decimal
    found: Decimal

    @property
    def text(self) -> str:
        """Say both numbers."""
        return f"{self.kind} of {self.subject}: expected {plain(self.expected)}, the broker says {plain(self.found)}"


def filled_by(order: Order) -> Filled:
    """Give an order's fills so far, buys as positive shares and negative dollars."""
    sign = 1 if order.side is Side.BUY else -1
    return Filled(order.symbol, sign * order.filled_quantity, -sign * order.filled_value)


def quantities_of(held: Iterable[HeldPosition]) -> Mapping[Symbol, Decimal]:
    """Reduce broker positions to shares by symbol."""
    return MappingProxyType({position.symbol: position.quantity for position in held})


def unexplained(
    before: BrokerFacts, now: BrokerFacts, adjustments: Mapping[Symbol, Adjustment] = MappingProxyType({})
) -> list[Difference]:
    """Compare two passes; fills of our orders and corporate actions in between are explained.

    Quantities are compared per symbol, cash in total. A cash difference under a cent is rounding, and so is what the
    four decimals of an average fill price cut off per share traded. A dividend may be paid on its ex-date, as a
    simulated exchange does, or weeks later, when it shows as a cash difference.
    """
    shares: dict[Symbol, Decimal] = {}
    dollars = dividends = ZERO
    rounding = CENT
    for key, filled in now.fills.items():
        earlier = before.fills.get(key, Filled(filled.symbol, ZERO, ZERO))
        shares[filled.symbol] = shares.get(filled.symbol, ZERO) + filled.shares - earlier.shares
        dollars += filled.dollars - earlier.dollars
        rounding += abs(filled.shares - earlier.shares) * PRICE_TICK
    differences = []
    for symbol in sorted({*before.quantities, *now.quantities, *shares}):
        step = adjustments.get(symbol, NO_ADJUSTMENT)
        held = before.quantities.get(symbol, ZERO)
        dividends += held * step.cash * step.ratio
        expected = step.quantity(held) + shares.get(symbol, ZERO)
        found = now.quantities.get(symbol, ZERO)
        if abs(expected - found) > QUANTITY_TOLERANCE:
            differences.append(
                Difference(kind=DifferenceKind.QUANTITY, subject=symbol, at=now.at, expected=expected, found=found)
            )
    surplus = now.cash - before.cash - dollars
    if abs(surplus) >= rounding and abs(surplus - dividends) >= rounding:
        differences.append(
            Difference(
                kind=DifferenceKind.CASH,
                subject="account",
                at=now.at,
                expected=before.cash + dollars,
                found=now.cash,
            )
        )
    return differences


def foreign_orders(live: Iterable[Order], open_ids: frozenset[IntentId], at: datetime) -> list[Difference]:
    """List live orders at the broker that no open intent explains: placed by hand, or ours but given up."""
    return [
        Difference(
            kind=DifferenceKind.LOST_ORDER if is_ours(order.client_order_id) else DifferenceKind.FOREIGN_ORDER,
            subject=f"{order.symbol} {order.client_order_id}",
            at=at,
            expected=ZERO,
            found=order.quantity,
        )
        for order in live
        if order.client_order_id not in open_ids
    ]
