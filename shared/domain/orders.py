"""Orders: what the broker knows, and what its word means for an intent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from shared.domain.assets import Symbol
from shared.domain.intents import TERMINAL, Intent, IntentState, OrderType, Side, TimeInForce
from shared.domain.money import ZERO


class OrderStatus(StrEnum):
    """The broker's order states, reduced to those that differ for us.

    PENDING is taken but not worked yet; a stop that stays so protects nothing (fault 12).
    """

    PENDING = "pending"
    NEW = "new"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"


LIVE_STATUSES: Final = frozenset({OrderStatus.PENDING, OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED})

INTENT_STATE: Final[dict[OrderStatus, IntentState]] = {
    OrderStatus.PENDING: IntentState.ACKED,
    OrderStatus.NEW: IntentState.ACKED,
    OrderStatus.PARTIALLY_FILLED: IntentState.PARTIALLY_FILLED,
    OrderStatus.FILLED: IntentState.FILLED,
    OrderStatus.CANCELED: IntentState.CANCELED,
    OrderStatus.EXPIRED: IntentState.EXPIRED,
    OrderStatus.REJECTED: IntentState.REJECTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """A request to the broker; `client_order_id` is always ours."""

    client_order_id: str
    symbol: Symbol
    side: Side
    quantity: Decimal
    order_type: OrderType
    time_in_force: TimeInForce
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as the broker reports it; prices in dollars a share, times in UTC."""

    id: str
    client_order_id: str
    symbol: Symbol
    side: Side
    quantity: Decimal
    order_type: OrderType
    time_in_force: TimeInForce
    status: OrderStatus
    submitted_at: datetime
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    filled_quantity: Decimal = ZERO
    average_fill_price: Decimal | None = None
    filled_at: datetime | None = None
    closed_at: datetime | None = None

    @property
    def is_live(self) -> bool:
        """Say whether the order can still fill."""
        return self.status in LIVE_STATUSES

    @property
    def filled_value(self) -> Decimal:
        """Give the dollars that changed hands so far."""
        return ZERO if self.average_fill_price is None else self.filled_quantity * self.average_fill_price


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPosition:
    """A position as the broker reports it; `available` is what no resting order reserves."""

    symbol: Symbol
    quantity: Decimal
    available: Decimal
    average_entry_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The broker's account figures in dollars, and what it forbids (RSK-10).

    `blocks` names everything that keeps the account from trading. `day_trades` counts those of the last five trading
    days; None where the broker reports neither them nor the flag any more.
    """

    id: str
    cash: Decimal
    equity: Decimal
    buying_power: Decimal
    blocks: tuple[str, ...] = ()
    day_trades: int | None = None
    pattern_day_trader: bool | None = None

    @property
    def blocked(self) -> bool:
        """Say whether anything keeps the account from trading."""
        return bool(self.blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """What the broker allows in a symbol now; one that is halted is not tradable."""

    symbol: Symbol
    active: bool
    tradable: bool
    fractionable: bool


class RequestAllowance(NamedTuple):
    """How many requests the broker still takes before its rate window ends."""

    remaining: int
    resets_at: datetime


def request_for(intent: Intent) -> PlaceOrder:
    """Turn an intent into the request that is sent for it, always the same for the same intent."""
    return PlaceOrder(
        client_order_id=intent.id,
        symbol=intent.symbol,
        side=intent.side,
        quantity=intent.quantity,
        order_type=intent.order_type,
        time_in_force=intent.time_in_force,
        limit_price=intent.limit_price,
        stop_price=intent.stop_price,
    )


def adopt(intent: Intent, order: Order, now: datetime) -> Intent:
    """Take over what the broker says about an intent's order; older news than we hold changes nothing."""
    if not intent.is_open or order.filled_quantity < intent.filled_quantity:
        return intent
    state = INTENT_STATE[order.status]
    confirmed = intent.confirmed or order.status is not OrderStatus.PENDING
    known = (intent.state, intent.filled_quantity, intent.broker_order_id, intent.confirmed)
    if known == (state, order.filled_quantity, order.id, confirmed):
        return intent
    if intent.state is IntentState.PARTIALLY_FILLED and state is IntentState.ACKED:
        state = IntentState.PARTIALLY_FILLED
    return intent.moved_to(
        state,
        broker_order_id=order.id,
        confirmed=confirmed,
        filled_quantity=order.filled_quantity,
        filled_value=order.filled_value,
        filled_at=order.filled_at or intent.filled_at,
        closed_at=(order.closed_at or now) if state in TERMINAL else None,
    )
