"""Alpaca's reply shapes, written from our values: money as text in the trading API, as numbers in market data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from local_stack.exchange.market import NEW_YORK, Tape
from shared.domain.bars import Bar
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.errors import BrokerRefusal, Refusal
from shared.domain.money import ONE, ZERO, plain, round_fill_price
from shared.domain.orders import Account, Asset, HeldPosition, Order, OrderStatus
from shared.domain.session import MarketClock, TradingDay
from shared.domain.times import iso

Json = dict[str, Any]

EXCHANGE: Final = "NASDAQ"
_LOTS: Final = 1
"""The size at bid and ask, which bars do not record."""
_CUSIP: Final = "000000000"
_PAID_AFTER: Final = timedelta(days=14)
"""How long after its ex-date a dividend is paid."""


def asset_id(symbol: str) -> str:
    """Give the id of a symbol's asset, the same in every run."""
    return str(uuid5(NAMESPACE_URL, f"asset:{symbol}"))


def error_reply(code: int, message: str) -> Json:
    """Write an error body."""
    return {"code": code, "message": message}


_STATUSES: Final = {OrderStatus.PENDING: "pending_new"}
"""Statuses that Alpaca calls otherwise."""


def status_of(refusal: BrokerRefusal) -> int:
    """Give the HTTP status of a refusal: the first digits of its code, but a used id is a 422."""
    if refusal.kind is Refusal.USED_ID or refusal.code is None:
        return 422
    return refusal.code // 100_000


def account_reply(account: Account, held: Decimal, created_at: datetime) -> Json:
    """Write the account; the day-trade fields are gone from the API since 2026."""
    return {
        "id": account.id,
        "account_number": "HW0000001",
        "status": "ACTIVE",
        "currency": "USD",
        "cash": plain(account.cash),
        "equity": plain(account.equity),
        "last_equity": plain(account.equity),
        "portfolio_value": plain(account.equity),
        "long_market_value": plain(held),
        "short_market_value": "0",
        "buying_power": plain(account.buying_power),
        "regt_buying_power": plain(account.buying_power),
        "non_marginable_buying_power": plain(account.buying_power),
        "options_buying_power": "0",
        "options_approved_level": 0,
        "options_trading_level": 0,
        "initial_margin": "0",
        "maintenance_margin": "0",
        "last_maintenance_margin": "0",
        "sma": "0",
        "accrued_fees": "0",
        "multiplier": "1",
        "shorting_enabled": False,
        "account_blocked": "account_blocked" in account.blocks,
        "trading_blocked": "trading_blocked" in account.blocks,
        "transfers_blocked": False,
        "trade_suspended_by_user": "trade_suspended_by_user" in account.blocks,
        "created_at": iso(created_at),
    }


def order_reply(order: Order) -> Json:
    """Write an order."""
    closed = None if order.closed_at is None else iso(order.closed_at)
    last_change = order.closed_at or order.filled_at or order.submitted_at
    return {
        "id": order.id,
        "client_order_id": order.client_order_id,
        "created_at": iso(order.submitted_at),
        "updated_at": iso(last_change),
        "submitted_at": iso(order.submitted_at),
        "filled_at": None if order.filled_at is None else iso(order.filled_at),
        "expired_at": closed if order.status is OrderStatus.EXPIRED else None,
        "canceled_at": closed if order.status is OrderStatus.CANCELED else None,
        "failed_at": closed if order.status is OrderStatus.REJECTED else None,
        "replaced_at": None,
        "replaced_by": None,
        "replaces": None,
        "asset_id": asset_id(order.symbol),
        "symbol": order.symbol,
        "asset_class": "us_equity",
        "notional": None,
        "qty": plain(order.quantity),
        "filled_qty": plain(order.filled_quantity),
        "filled_avg_price": _text(order.average_fill_price),
        "order_class": "",
        "order_type": order.order_type.value,
        "type": order.order_type.value,
        "side": order.side.value,
        "position_intent": f"{order.side.value}_to_{'open' if order.side.value == 'buy' else 'close'}",
        "time_in_force": order.time_in_force.value,
        "limit_price": _text(order.limit_price),
        "stop_price": _text(order.stop_price),
        "status": _STATUSES.get(order.status, order.status.value),
        "extended_hours": False,
        "legs": None,
        "trail_percent": None,
        "trail_price": None,
        "hwm": None,
    }


def position_reply(position: HeldPosition, tape: Tape | None) -> Json:
    """Write a position, valued at the last price or at its entry before there is one."""
    entry = position.average_entry_price
    price = entry if tape is None else tape.last
    before = price if tape is None or tape.previous_day is None else tape.previous_day.close
    cost, value = position.quantity * entry, position.quantity * price
    figures = {
        "avg_entry_price": plain(entry),
        "market_value": plain(value),
        "cost_basis": plain(cost),
        "unrealized_pl": plain(value - cost),
        "unrealized_plpc": plain(_part(price, entry)),
        "unrealized_intraday_pl": plain(position.quantity * (price - before)),
        "unrealized_intraday_plpc": plain(_part(price, before)),
        "current_price": plain(price),
        "lastday_price": plain(before),
        "change_today": plain(_part(price, before)),
    }
    return {
        "asset_id": asset_id(position.symbol),
        "symbol": position.symbol,
        "exchange": EXCHANGE,
        "asset_class": "us_equity",
        "asset_marginable": False,
        "side": "long",
        "qty": plain(position.quantity),
        "qty_available": plain(position.available),
        **figures,
    }


def asset_reply(asset: Asset) -> Json:
    """Write an asset."""
    return {
        "id": asset_id(asset.symbol),
        "class": "us_equity",
        "exchange": EXCHANGE,
        "symbol": asset.symbol,
        "name": f"{asset.symbol} Common Stock",
        "status": "active" if asset.active else "inactive",
        "tradable": asset.tradable,
        "marginable": False,
        "shortable": False,
        "easy_to_borrow": False,
        "fractionable": asset.fractionable,
        "attributes": [],
    }


def clock_reply(clock: MarketClock) -> Json:
    """Write the market clock, in New York's offset as the real one does."""
    return {
        "timestamp": clock.at.astimezone(NEW_YORK).isoformat(),
        "is_open": clock.is_open,
        "next_open": clock.next_open.astimezone(NEW_YORK).isoformat(),
        "next_close": clock.next_close.astimezone(NEW_YORK).isoformat(),
    }


def calendar_reply(days: Sequence[TradingDay]) -> list[Json]:
    """Write the calendar of all days but the last, which only settles the one before it."""
    return [
        {
            "date": day.date.isoformat(),
            "open": day.opens.astimezone(NEW_YORK).strftime("%H:%M"),
            "close": day.closes.astimezone(NEW_YORK).strftime("%H:%M"),
            "session_open": "0400",
            "session_close": "2000",
            "settlement_date": following.date.isoformat(),
        }
        for day, following in pairwise(days)
    ]


def snapshot_reply(tape: Tape) -> Json:
    """Write a snapshot."""
    reply = {
        "latestTrade": trade_reply(tape),
        "latestQuote": quote_reply(tape),
        "minuteBar": bar_reply(tape.minute),
        "dailyBar": bar_reply(tape.day),
    }
    if tape.previous_day is not None:
        reply["prevDailyBar"] = bar_reply(tape.previous_day)
    return reply


def trade_reply(tape: Tape) -> Json:
    """Write the latest trade."""
    at = iso(tape.traded_at)
    return {"t": at, "x": "V", "p": float(tape.last), "s": 100, "c": ["@"], "i": 1, "z": "C"}


def quote_reply(tape: Tape) -> Json:
    """Write the latest quote."""
    bid, ask = {"bx": "V", "bp": float(tape.bid), "bs": _LOTS}, {"ax": "V", "ap": float(tape.ask), "as": _LOTS}
    return {"t": iso(tape.quoted_at), **bid, **ask, "c": ["R"], "z": "C"}


def bar_reply(bar: Bar) -> Json:
    """Write a bar; the trade count is not known, and the average price is that of high, low and close."""
    return {
        "t": iso(bar.start),
        "o": float(bar.open),
        "h": float(bar.high),
        "l": float(bar.low),
        "c": float(bar.close),
        "v": int(bar.volume or ZERO),
        "n": 0,
        "vw": float(round_fill_price((bar.high + bar.low + bar.close) / 3)),
    }


def processed_on(action: CorporateAction) -> date:
    """Give the day an action is processed: a split on its ex-date, a dividend when it is paid."""
    return action.ex_date + (_PAID_AFTER if action.kind is ActionKind.DIVIDEND else timedelta(0))


def corporate_action_reply(action: CorporateAction) -> tuple[str, Json]:
    """Write a corporate action, and name the list that it belongs to."""
    terms = {
        "id": asset_id(f"{action.symbol} {action.kind} {action.ex_date}"),
        "symbol": action.symbol,
        "ex_date": action.ex_date.isoformat(),
        "process_date": processed_on(action).isoformat(),
    }
    if action.kind is ActionKind.DIVIDEND:
        rate = float(action.cash_amount)
        return "cash_dividends", {**terms, "cusip": _CUSIP, "rate": rate, "special": False, "foreign": False}
    ratio = Fraction(action.ratio).limit_denominator(10_000)
    rates = {"new_rate": ratio.numerator, "old_rate": ratio.denominator}
    if action.ratio > ONE:
        return "forward_splits", {**terms, **rates, "cusip": _CUSIP}
    return "reverse_splits", {**terms, **rates, "old_cusip": _CUSIP, "new_cusip": _CUSIP}


def _text(price: Decimal | None) -> str | None:
    return None if price is None else plain(price)


def _part(price: Decimal, before: Decimal) -> Decimal:
    return price / before - ONE
