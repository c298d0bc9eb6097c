"""Reconciliation: the broker is right about quantities, orders and cash; every difference is named (ORD-06, fault 45).

A pass compares what the broker says now with what it said at the pass before, carried forward by the fills of our own
orders and by corporate actions. What that does not explain is a difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from shared.domain.assets import Symbol
from shared.domain.corporate_actions import NO_ADJUSTMENT, Adjustment
from shared.domain.day_plan import exchange_date
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


class Transfer(NamedTuple):
    """Dollars that were paid in or out (negative) without a trade, and the pass that found them."""

    at: datetime
    dollars: Decimal


class Doubted(NamedTuple):
    """A difference that may be a late answer: when its subject was first doubted, since when with these numbers.

    `passes` counts those that doubted it, so that a night without any makes no late answer look old.
    """

    first: datetime
    since: datetime
    expected: Decimal
    found: Decimal
    passes: int = 1


MISMATCHES_A_DAY: Final = 3
"""So many differences in quantity on one day of New York stop entries for the rest of it (fault 45)."""
TRANSFERS_KEPT: Final = timedelta(days=14)
"""How long transfers are remembered: longer than the trading week whose loss they stay out of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerFacts:
    """What the broker said in one pass: cash and equity in dollars, shares by symbol, fills of orders of ours.

    `frozen` symbols take no entries until a pass without differences; `clean` says that this was one. `untold` are
    differences, of this pass or earlier, that could not be journaled and queued yet. `strangers` are orders placed by
    hand and positions we cannot protect; each is told when it first shows. `transfers` are those of the last two weeks,
    and `mismatches` counts the differences in quantity on this pass's day in New York. `doubted` names the subjects of
    differences that an answer of the broker still behind the others would explain; a later pass decides on them.
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
    transfers: tuple[Transfer, ...] = ()
    mismatches: int = 0
    doubted: Mapping[str, Doubted] = field(default_factory=lambda: MappingProxyType({}))
    version: int = 0

    @property
    def mismatched_often(self) -> bool:
        """Say whether book and broker differed too often today for entries to go on (fault 45)."""
        return self.mismatches >= MISMATCHES_A_DAY


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
    before: BrokerFacts,
    now: BrokerFacts,
    adjustments: Mapping[Symbol, Adjustment] = MappingProxyType({}),
    early: Collection[IntentId] = frozenset(),
) -> list[Difference]:
    """Compare two passes; fills of our orders and corporate actions in between are explained.

    The orders named by `early` filled before the actions, so their shares are carried over them too.

    Quantities are compared per symbol, cash in total. A cash difference under a cent is rounding, and so is what the
    four decimals of an average fill price cut off per share traded. A dividend may be paid on its ex-date, as a
    simulated exchange does, or weeks later, when it shows as a cash difference; whether it was paid on shares of an
    order that filled over several days is not known, so both are taken.
    """
    held = dict(before.quantities)
    shares: dict[Symbol, Decimal] = {}
    dollars = least = most = ZERO
    rounding = CENT
    for key, filled in now.fills.items():
        earlier = before.fills.get(key, Filled(filled.symbol, ZERO, ZERO))
        joined = held if key in early else shares
        joined[filled.symbol] = joined.get(filled.symbol, ZERO) + filled.shares - earlier.shares
        dollars += filled.dollars - earlier.dollars
        rounding += abs(filled.shares - earlier.shares) * PRICE_TICK
    differences = []
    for symbol in sorted({*held, *now.quantities, *shares}):
        step = adjustments.get(symbol, NO_ADJUSTMENT)
        carried = held.get(symbol, ZERO)
        entitled = (carried, carried + shares.get(symbol, ZERO) / step.ratio)
        least += min(entitled) * step.cash * step.ratio
        most += max(entitled) * step.cash * step.ratio
        expected = step.quantity(carried) + shares.get(symbol, ZERO)
        found = now.quantities.get(symbol, ZERO)
        if abs(expected - found) > QUANTITY_TOLERANCE:
            differences.append(
                Difference(kind=DifferenceKind.QUANTITY, subject=symbol, at=now.at, expected=expected, found=found)
            )
    surplus = now.cash - before.cash - dollars
    if abs(surplus) >= rounding and not least - rounding < surplus < most + rounding:
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


def remembering(facts: BrokerFacts, before: BrokerFacts | None, differences: Iterable[Difference]) -> BrokerFacts:
    """Add to a pass's facts what outlives the pass: the money that came or went, and how often quantities differed."""
    found = list(differences)
    mismatches = sum(difference.kind is DifferenceKind.QUANTITY for difference in found)
    moved = _paid_in(found)
    transfers = (Transfer(facts.at, moved),) if moved else ()
    if before is not None:
        transfers = (*(t for t in before.transfers if facts.at - t.at <= TRANSFERS_KEPT), *transfers)
        if exchange_date(before.at) == exchange_date(facts.at):
            mismatches += before.mismatches
    return replace(facts, transfers=transfers, mismatches=mismatches)


def _paid_in(differences: Iterable[Difference]) -> Decimal:
    """Give the cash that came without a trade; what a purchase or sale by hand explains by its direction is none."""
    money = shares = ZERO
    for difference in differences:
        if difference.kind is DifferenceKind.CASH:
            money += difference.found - difference.expected
        elif difference.kind is DifferenceKind.QUANTITY:
            shares += difference.found - difference.expected
    return ZERO if shares * money < ZERO else money


def doubts(before: BrokerFacts, differences: Iterable[Difference]) -> Mapping[str, Doubted]:
    """Note each difference of a pass as doubted: since before, where it is as it was then.

    Cash moves with every fill of ours, so there it is the gap that has to be the same; but a sum between what was
    expected then and is now may be an answer from between the passes, late by as much as the one before.
    """
    noted = {}
    for difference in differences:
        numbers = (difference.expected, difference.found)
        known = before.doubted.get(difference.subject, Doubted(difference.at, difference.at, *numbers, passes=0))
        if difference.kind is DifferenceKind.CASH:
            low, high = sorted((known.expected, difference.expected))
            may_be_late = low <= difference.found <= high
            same = known.found - known.expected == difference.found - difference.expected and not may_be_late
        else:
            same = (known.expected, known.found) == numbers
        since = known.since if same else difference.at
        noted[difference.subject] = Doubted(known.first, since, *numbers, passes=known.passes + 1)
    return MappingProxyType(noted)


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
