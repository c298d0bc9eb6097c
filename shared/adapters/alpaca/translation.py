"""Alpaca's JSON as our values and our requests as alpaca-py's.

Replies are read raw, not through alpaca-py's models: an enum value that is new or a field that is absent (the
day-trade fields were retired in 2026) must not break a pass. Numbers arrive as text or as JSON numbers; a float
becomes the decimal that its shortest text shows. Times are cut to microseconds and moved to UTC.

An order of a kind we never send (by hand, another program) is reduced to the nearest of ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from alpaca.trading import enums
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest, OrderRequest, StopOrderRequest

from shared.domain.assets import Symbol
from shared.domain.errors import BrokerRefusal, Refusal
from shared.domain.intents import OrderType, Side, TimeInForce
from shared.domain.money import ZERO
from shared.domain.orders import LIVE_STATUSES, Account, Asset, HeldPosition, Order, OrderStatus, PlaceOrder
from shared.domain.quotes import Quote
from shared.domain.session import MarketClock, TradingDay

NEW_YORK: Final = ZoneInfo("America/New_York")

STATUSES: Final[Mapping[str, OrderStatus]] = {
    "new": OrderStatus.NEW,
    "accepted": OrderStatus.NEW,
    "pending_new": OrderStatus.PENDING,
    "accepted_for_bidding": OrderStatus.NEW,
    "held": OrderStatus.NEW,
    "stopped": OrderStatus.NEW,
    "suspended": OrderStatus.PENDING,
    "calculated": OrderStatus.NEW,
    "done_for_day": OrderStatus.NEW,
    "pending_cancel": OrderStatus.NEW,
    "pending_replace": OrderStatus.NEW,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELED,
    "replaced": OrderStatus.CANCELED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
}
"""Whatever Alpaca does not call finished can still fill for us, a status nobody has heard of included."""

TYPES: Final[Mapping[str, OrderType]] = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stop": OrderType.STOP,
    "stop_limit": OrderType.STOP,
    "trailing_stop": OrderType.STOP,
}
ACCOUNT_BLOCKS: Final = ("account_blocked", "trading_blocked", "trade_suspended_by_user")
"""Flags of an account of which each keeps it from trading."""
_REQUESTS: Final[Mapping[OrderType, type[OrderRequest]]] = {
    OrderType.MARKET: MarketOrderRequest,
    OrderType.LIMIT: LimitOrderRequest,
    OrderType.STOP: StopOrderRequest,
}


def to_request(request: PlaceOrder) -> OrderRequest:
    """Write an order as alpaca-py sends it; refuse, before anything is sent, one that it would send inexactly.

    alpaca-py turns quantities and prices into floats. A decimal that its float does not give back exactly is refused.
    """
    fields: dict[str, Any] = {
        "symbol": request.symbol,
        "qty": exact_float("quantity", request.quantity),
        "side": enums.OrderSide(request.side.value),
        "time_in_force": enums.TimeInForce(request.time_in_force.value),
        "client_order_id": request.client_order_id,
    }
    if request.limit_price is not None:
        fields["limit_price"] = exact_float("limit_price", request.limit_price)
    if request.stop_price is not None:
        fields["stop_price"] = exact_float("stop_price", request.stop_price)
    try:
        return _REQUESTS[request.order_type](**fields)
    except ValueError as error:
        raise BrokerRefusal(Refusal.OTHER, f"not an order Alpaca takes: {error}") from error


def exact_float(field: str, value: Decimal) -> float:
    """Return the float of a decimal that survives the way there and back; refuse any other."""
    as_float = float(value)
    if not value.is_finite() or Decimal(repr(as_float)) != value:
        raise BrokerRefusal(Refusal.OTHER, f"{field} {value} does not survive as the float {as_float!r}")
    return as_float


def to_order(raw: Mapping[str, Any]) -> Order:
    """Read an order."""
    filled = _number(raw.get("filled_qty") or 0)
    quantity = filled if raw.get("qty") is None else _number(raw["qty"])
    status = STATUSES.get(raw["status"], OrderStatus.NEW)
    if status in LIVE_STATUSES and filled > ZERO:
        status = OrderStatus.FILLED if filled == quantity else OrderStatus.PARTIALLY_FILLED
    return Order(
        id=str(raw["id"]),
        client_order_id=str(raw["client_order_id"]),
        symbol=Symbol(raw.get("symbol") or ""),
        side=Side.SELL if raw.get("side") == "sell" else Side.BUY,
        quantity=quantity,
        order_type=TYPES.get(raw.get("type") or raw.get("order_type") or "", OrderType.MARKET),
        time_in_force=TimeInForce.GTC if raw.get("time_in_force") == "gtc" else TimeInForce.DAY,
        status=status,
        submitted_at=to_time(raw.get("submitted_at") or raw["created_at"]),
        limit_price=_optional(raw.get("limit_price")),
        stop_price=_optional(raw.get("stop_price")),
        filled_quantity=filled,
        average_fill_price=_optional(raw.get("filled_avg_price")) if filled > ZERO else None,
        filled_at=_optional_time(raw.get("filled_at")) if filled > ZERO else None,
        closed_at=None if status in LIVE_STATUSES else _closed_at(raw, status),
    )


def to_account(raw: Mapping[str, Any]) -> Account:
    """Read the account; one that is not ACTIVE, or blocked or suspended in any way, counts as blocked.

    The day-trade fields may be absent.
    """
    status = raw.get("status")
    blocks = [flag for flag in ACCOUNT_BLOCKS if raw.get(flag)]
    day_trades, flagged = raw.get("daytrade_count"), raw.get("pattern_day_trader")
    return Account(
        id=str(raw["id"]),
        cash=_number(raw["cash"]),
        equity=_number(raw["equity"]),
        buying_power=_number(raw["buying_power"]),
        blocks=tuple(blocks if status == "ACTIVE" else [f"status {status}", *blocks]),
        day_trades=None if day_trades is None else int(_number(day_trades)),
        pattern_day_trader=None if flagged is None else bool(flagged),
    )


def to_asset(raw: Mapping[str, Any]) -> Asset:
    """Read an asset; what is not said to be so is not so."""
    return Asset(
        symbol=Symbol(str(raw["symbol"])),
        active=raw["status"] == "active",
        tradable=raw["tradable"] is True,
        fractionable=raw.get("fractionable") is True,
    )


def to_position(raw: Mapping[str, Any]) -> HeldPosition:
    """Read a position; without `qty_available` all of it counts as available."""
    quantity = _number(raw["qty"])
    available = raw.get("qty_available")
    return HeldPosition(
        symbol=Symbol(str(raw["symbol"])),
        quantity=quantity,
        available=quantity if available is None else _number(available),
        average_entry_price=_number(raw["avg_entry_price"]),
    )


def to_clock(raw: Mapping[str, Any]) -> MarketClock:
    """Read the market clock."""
    if not isinstance(raw["is_open"], bool):
        raise ValueError(f"is_open is {raw['is_open']!r}")
    return MarketClock(
        at=to_time(raw["timestamp"]),
        is_open=raw["is_open"],
        next_open=to_time(raw["next_open"]),
        next_close=to_time(raw["next_close"]),
    )


def to_day(raw: Mapping[str, Any]) -> TradingDay:
    """Read a day of the calendar, whose hours are New York's."""
    on = date.fromisoformat(raw["date"])
    return TradingDay(date=on, opens=_new_york(on, raw["open"]), closes=_new_york(on, raw["close"]))


def to_quote(symbol: Symbol, snapshot: Mapping[str, Any], feed: str) -> Quote:
    """Read a snapshot's newest quote and trade, unjudged; what is missing or zero stays so."""
    quote = snapshot.get("latestQuote") or {}
    trade = snapshot.get("latestTrade") or {}
    return Quote(
        symbol=symbol,
        bid=_any_number(quote.get("bp")),
        ask=_any_number(quote.get("ap")),
        last=_any_number(trade.get("p")),
        quoted_at=_optional_time(quote.get("t")),
        traded_at=_optional_time(trade.get("t")),
        feed=feed,
    )


def to_time(text: str) -> datetime:
    """Read an RFC 3339 time of any offset as UTC, nanoseconds cut."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no offset")
    return at.astimezone(UTC)


def _closed_at(raw: Mapping[str, Any], status: OrderStatus) -> datetime | None:
    fields = {
        OrderStatus.FILLED: ("filled_at",),
        OrderStatus.CANCELED: ("canceled_at", "replaced_at"),
        OrderStatus.EXPIRED: ("expired_at",),
        OrderStatus.REJECTED: ("failed_at",),
    }[status]
    times = (_optional_time(raw.get(field)) for field in (*fields, "updated_at"))
    return next((at for at in times if at is not None), None)


def _number(value: object) -> Decimal:
    number = _any_number(value)
    if number is None or not number.is_finite():
        raise ValueError(f"{value!r} is no number")
    return number


def _optional(value: object) -> Decimal | None:
    return None if value is None else _number(value)


def _any_number(value: object) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"{value!r} is no number")
    return Decimal(str(value))


def _optional_time(text: str | None) -> datetime | None:
    return None if text is None else to_time(text)


def _new_york(on: date, hours: str) -> datetime:
    return datetime.combine(on, time.fromisoformat(hours), NEW_YORK).astimezone(UTC)
