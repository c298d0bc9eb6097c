"""The exchange's matching: one account's cash, positions and orders, moved by bars alone.

Everything that plays the broker offline runs on this one engine. It has no clock and no chance of its own: the time
comes with each call and prices come from bars, which arrive in the order of their ends. Decided here:

- An order can fill only in bars that start at or after its submission, so it never sees a price it was decided on.
- Half the spread is paid on every price that nobody set: market orders, and limit orders that cross the spread. A
  stop fills at the worse of the bar's open and its own price. Every fill lies inside its bar's range.
- A fill carries the end of its bar, the first moment at which anybody can know of it.
- A stop is not elected in a bar that leaves the last close by more than 20 %, on bars of up to five minutes within a
  session: limit-up limit-down bands, at their widest for a stock above $3, would have paused trading before. The next
  bar elects it if the price still stands there. So a single bad print sells nothing, here as on the exchange.
- At most a share of a bar's volume fills per order; whole orders fill in whole shares. Nothing fills in a bar
  without volume, nor triggers there; a bar whose volume was not recorded does not limit.
- Resting sells reserve shares, resting buys reserve cash: a limit order at its limit, others at the ask of the
  moment. A market order may therefore cost a little more than was reserved, and cash may fall below zero by that.
- Dollars are never rounded: cash is the start, less what was bought, plus what was sold and paid out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from types import MappingProxyType
from typing import Final, NamedTuple, NoReturn
from uuid import NAMESPACE_URL, uuid5

from shared.adapters.memory.prices import HALF_SPREAD
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.errors import BrokerRefusal, Refusal, Unavailable
from shared.domain.intents import OrderType, Side, TimeInForce
from shared.domain.money import (
    CENT,
    ONE,
    PRICE_TICK,
    QUANTITY_STEP,
    ZERO,
    is_whole,
    plain,
    require_not_negative,
    require_positive,
    round_fill_price,
    round_quantity_down,
    usable_price,
)
from shared.domain.orders import Account, Asset, HeldPosition, Order, OrderStatus, PlaceOrder
from shared.domain.session import MarketClock, TradingDay, trading_day_at
from shared.domain.times import require_utc
from shared.ports.broker import ExchangeCalendar

PARTICIPATION: Final = Decimal("0.10")
"""The share of a bar's volume that one order may take."""
GTC_LIFE: Final = timedelta(days=90)
"""A resting order ends after this, as at the real broker."""
ID_LIMIT: Final = 128
"""The longest client order id the exchange takes."""
WIDEST_BAND: Final = Decimal("0.20")
"""The widest price band of the limit-up limit-down plan for stocks above $3: 10 %, doubled towards the close."""
BANDED: Final = timedelta(minutes=5)
"""The bands follow the average price of five minutes; over longer bars a move of their width is a move."""
CALENDAR_REACH: Final = timedelta(days=14)
"""How far ahead the next session is looked for; no closure has lasted that long since 1914."""

USED_ID_CODE: Final = 40010001
FORBIDDEN_CODE: Final = 40310000
NOT_FOUND_CODE: Final = 40410000
UNPROCESSABLE_CODE: Final = 42210000

_OPPOSITE: Final = "opposite side market/stop order exists"
_WASH: Final = "potential wash trade detected. use complex orders"
_LARGEST: Final = 12
"""Quantities and prices have at most this many digits before the point, so that every product is exact."""


class Fill(NamedTuple):
    """One execution: `quantity` shares at `price` dollars, known `at` the end of the bar it happened in."""

    order_id: str
    symbol: Symbol
    side: Side
    quantity: Decimal
    price: Decimal
    at: datetime


class Listing(NamedTuple):
    """What the exchange allows in a symbol."""

    symbol: Symbol
    fractionable: bool = True
    tradable: bool = True


@dataclass(slots=True)
class _Resting:
    """A working order with what the matching needs beside it."""

    order: Order
    number: int
    expires_at: datetime
    reserve_price: Decimal
    value: Decimal = ZERO
    triggered: bool = False

    @property
    def remaining(self) -> Decimal:
        return self.order.quantity - self.order.filled_quantity


@dataclass(slots=True)
class _Holding:
    quantity: Decimal
    average_entry_price: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeState:
    """Everything that an exchange remembers, apart from how it was set up; each part in the exchange's own order."""

    account_id: str
    cash: Decimal
    listings: tuple[Listing, ...]
    halted: tuple[Symbol, ...]
    last: tuple[Bar, ...]
    holdings: dict[Symbol, _Holding]
    orders: tuple[Order, ...]
    working: tuple[_Resting, ...]
    fills: tuple[Fill, ...]
    applied: tuple[CorporateAction, ...]


class Exchange:
    """One account at an exchange; not safe for use by several threads at once."""

    def __init__(
        self,
        account_id: str,
        cash: Decimal,
        calendar: ExchangeCalendar,
        *,
        half_spread: Decimal = HALF_SPREAD,
        participation: Decimal = PARTICIPATION,
        fractional_orders: frozenset[OrderType] = frozenset(OrderType),
        stops_taken_as: OrderStatus = OrderStatus.NEW,
    ) -> None:
        self.account_id = account_id
        self.cash = cash
        self.half_spread = require_not_negative("half_spread", half_spread)
        self.participation = require_positive("participation", participation)
        self.stops_taken_as = stops_taken_as
        """How a stop order stands once it is accepted: a misbehaving broker leaves it PENDING, or makes it REJECTED."""
        self.fills: list[Fill] = []
        self._calendar = calendar
        self._fractional_orders = fractional_orders
        self._listings: dict[Symbol, Listing] = {}
        self._halted: set[Symbol] = set()
        self._last: dict[Symbol, Bar] = {}
        self._holdings: dict[Symbol, _Holding] = {}
        self._orders: dict[str, Order] = {}
        self._ids: dict[str, str] = {}
        self._working: dict[Symbol, dict[str, _Resting]] = {}
        self._earliest_end: datetime | None = None
        self._days: dict[date, TradingDay | None] = {}
        self._applied: set[CorporateAction] = set()

    def state(self) -> ExchangeState:
        """Copy what the exchange remembers."""
        return ExchangeState(
            account_id=self.account_id,
            cash=self.cash,
            listings=tuple(self._listings.values()),
            halted=tuple(sorted(self._halted)),
            last=tuple(self._last.values()),
            holdings={symbol: replace(holding) for symbol, holding in self._holdings.items()},
            orders=tuple(self._orders.values()),
            working=tuple(replace(resting) for resting in self._all_working()),
            fills=tuple(self.fills),
            applied=tuple(sorted(self._applied, key=lambda action: (action.ex_date, action.symbol, action.kind))),
        )

    def restore(self, state: ExchangeState) -> None:
        """Go on from a state in place of one's own."""
        self.account_id, self.cash, self.fills = state.account_id, state.cash, list(state.fills)
        self._listings = {listing.symbol: listing for listing in state.listings}
        self._halted = set(state.halted)
        self._last = {bar.symbol: bar for bar in state.last}
        self._holdings = {symbol: replace(holding) for symbol, holding in state.holdings.items()}
        self._orders = {order.id: order for order in state.orders}
        self._ids = {order.client_order_id: order.id for order in state.orders}
        self._working = {}
        self._earliest_end = None
        for resting in state.working:
            self._work(replace(resting))
        self._applied = set(state.applied)

    def list_symbol(self, symbol: Symbol, *, fractionable: bool = True, tradable: bool = True) -> None:
        """Admit a symbol to trading; one that a bar named is admitted by itself, with fractions."""
        self._listings[symbol] = Listing(symbol, fractionable, tradable)

    def seed_position(self, symbol: Symbol, quantity: Decimal, average_entry_price: Decimal) -> None:
        """Start with a position that was bought earlier; cash stays as it is."""
        require_positive("quantity", quantity)
        require_positive("average_entry_price", average_entry_price)
        self._listings.setdefault(symbol, Listing(symbol))
        self._holdings[symbol] = _Holding(quantity, average_entry_price)

    def halt(self, symbol: Symbol) -> None:
        """Stop trading in a symbol: orders are taken and rest."""
        self._halted.add(symbol)

    def resume(self, symbol: Symbol) -> None:
        """Let a halted symbol trade again."""
        self._halted.discard(symbol)

    def on_bar(self, bar: Bar) -> None:
        """Take the next bar at its end: remember the price, and match what works in its symbol."""
        before = self._last.get(bar.symbol)
        self._last[bar.symbol] = bar
        working = self._working.get(bar.symbol)
        if working is not None and not all(_is_above(bar, resting) for resting in working.values()):
            self._match(bar, before)

    def works(self, symbol: Symbol) -> bool:
        """Say whether any order of a symbol can still fill."""
        return symbol in self._working

    def advance(self, now: datetime) -> None:
        """Let time pass: DAY orders end at their session's close, resting orders after 90 days."""
        if self._earliest_end is None or now < self._earliest_end:
            return
        for resting in self._all_working():
            if resting.expires_at <= now:
                self._close(resting, OrderStatus.EXPIRED, resting.expires_at)
        self._earliest_end = min((resting.expires_at for resting in self._all_working()), default=None)

    def apply(self, action: CorporateAction, now: datetime) -> None:
        """Apply a split or dividend on its ex-date, before that day's first bar; once, however often it is called.

        A split multiplies the quantity (cut to nine decimals), divides entry and last price, and cancels the
        symbol's orders. A dividend pays cash for what is held.
        """
        if action in self._applied:
            return
        self._applied.add(action)
        holding = self._holdings.get(action.symbol)
        if action.kind is ActionKind.DIVIDEND:
            if holding is not None:
                self.cash += holding.quantity * action.cash_amount
            return
        for resting in tuple(self._working.get(action.symbol, {}).values()):
            self._close(resting, OrderStatus.CANCELED, now)
        if holding is not None:
            holding.quantity = round_quantity_down(holding.quantity * action.ratio)
            holding.average_entry_price /= action.ratio
        last = self._last.get(action.symbol)
        if last is not None:
            self._last[action.symbol] = last._replace(close=last.close / action.ratio)

    def submit(self, request: PlaceOrder, now: datetime) -> Order:
        """Take an order or refuse it with the broker's code; a used id is refused for ever."""
        require_utc("now", now)
        self.advance(now)
        self._check_form(request)
        self._check_symbol(request)
        if request.client_order_id in self._ids:
            _refuse(Refusal.USED_ID, USED_ID_CODE, "client_order_id must be unique")
        day = trading_day_at(self._calendar.days(now.date(), now.date()), now)
        rests_closed = request.time_in_force is TimeInForce.GTC and request.order_type is not OrderType.MARKET
        if day is None and not rests_closed:
            what = f"{request.order_type} {request.time_in_force}"
            _refuse(Refusal.SESSION_CLOSED, FORBIDDEN_CODE, f"market is closed: {what} orders are not accepted")
        reserve_price = self._check_funds(request)
        expires_at = day.closes if day is not None and request.time_in_force is TimeInForce.DAY else now + GTC_LIFE
        order = Order(
            id=str(uuid5(NAMESPACE_URL, f"order:{self.account_id}:{len(self._orders)}")),
            client_order_id=request.client_order_id,
            symbol=request.symbol,
            side=request.side,
            quantity=request.quantity,
            order_type=request.order_type,
            time_in_force=request.time_in_force,
            status=self.stops_taken_as if request.order_type is OrderType.STOP else OrderStatus.NEW,
            submitted_at=now,
            limit_price=request.limit_price,
            stop_price=request.stop_price,
        )
        resting = _Resting(order, len(self._orders), expires_at, reserve_price)
        self._orders[order.id] = order
        self._ids[order.client_order_id] = order.id
        self._work(resting)
        if order.status is OrderStatus.REJECTED:
            self._close(resting, OrderStatus.REJECTED, now)
        return order

    def cancel(self, order_id: str, now: datetime) -> Order:
        """Cancel a working order at once; refuse for one that is finished or was never taken."""
        require_utc("now", now)
        self.advance(now)
        order = self._orders.get(order_id)
        if order is None:
            _refuse(Refusal.NOT_CANCELABLE, NOT_FOUND_CODE, f"order not found for {order_id}")
        resting = self._working.get(order.symbol, {}).get(order_id)
        if resting is None:
            _refuse(Refusal.NOT_CANCELABLE, UNPROCESSABLE_CODE, f'order is already in "{order.status}" state')
        self._close(resting, OrderStatus.CANCELED, now)
        return resting.order

    def order(self, order_id: str) -> Order | None:
        """Return an order by the exchange's id."""
        return self._orders.get(order_id)

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Return an order by the id it was sent under."""
        order_id = self._ids.get(client_order_id)
        return None if order_id is None else self._orders[order_id]

    def orders(self) -> Sequence[Order]:
        """Return every order ever taken, in the order of submission."""
        return list(self._orders.values())

    def live_orders(self) -> Sequence[Order]:
        """Return the orders that can still fill, in the order of submission."""
        return [resting.order for resting in sorted(self._all_working(), key=lambda resting: resting.number)]

    def positions(self) -> Sequence[HeldPosition]:
        """Return what is held, with the part that no resting sell reserves."""
        return [
            HeldPosition(
                symbol=symbol,
                quantity=holding.quantity,
                available=holding.quantity - self._reserved_shares(symbol),
                average_entry_price=holding.average_entry_price,
            )
            for symbol, holding in self._holdings.items()
        ]

    def account(self) -> Account:
        """Return the account's figures; equity counts positions at their last close, or entry before the first."""
        held = sum((h.quantity * self._worth(symbol, h) for symbol, h in self._holdings.items()), ZERO)
        return Account(
            id=self.account_id, cash=self.cash, equity=self.cash + held, buying_power=max(self._buying_power(), ZERO)
        )

    def asset(self, symbol: Symbol) -> Asset | None:
        """Return what may be traded in a symbol now; None for one that was never admitted."""
        listing = self._listing(symbol)
        if listing is None:
            return None
        tradable = listing.tradable and symbol not in self._halted
        return Asset(symbol=symbol, active=True, tradable=tradable, fractionable=listing.fractionable)

    def last_price(self, symbol: Symbol) -> Decimal | None:
        """Return the last close known, None before the first bar."""
        last = self._last.get(symbol)
        return None if last is None else last.close

    @property
    def listings(self) -> Mapping[Symbol, Listing]:
        """Return every symbol admitted, by a listing or by a bar."""
        named_by_bars = {symbol: Listing(symbol) for symbol in self._last}
        return MappingProxyType({**named_by_bars, **self._listings})

    def days(self, first: date, last: date) -> Sequence[TradingDay]:
        """Return the exchange's sessions from `first` to `last`."""
        return self._calendar.days(first, last)

    def market_clock(self, now: datetime) -> MarketClock:
        """Say whether the market is open and when that changes next."""
        ahead = self._calendar.days(now.date(), (now + CALENDAR_REACH).date())
        opens = next((day.opens for day in ahead if day.opens > now), None)
        closes = next((day.closes for day in ahead if day.closes > now), None)
        if opens is None or closes is None:
            raise Unavailable(f"the exchange calendar lists no session after {now}")
        return MarketClock(at=now, is_open=trading_day_at(ahead, now) is not None, next_open=opens, next_close=closes)

    def _check_form(self, request: PlaceOrder) -> None:
        if not 0 < len(request.client_order_id) <= ID_LIMIT:
            _malformed(f"client_order_id must be 1 to {ID_LIMIT} characters")
        quantity = request.quantity
        if not quantity.is_finite() or quantity <= ZERO:
            _malformed("qty must be > 0")
        if quantity.adjusted() >= _LARGEST:
            _malformed("qty is too large")
        if quantity != quantity.quantize(QUANTITY_STEP):
            _malformed("qty must have at most 9 decimal places")
        _check_price("limit_price", request.limit_price, needed=request.order_type is OrderType.LIMIT)
        _check_price("stop_price", request.stop_price, needed=request.order_type is OrderType.STOP)

    def _check_symbol(self, request: PlaceOrder) -> None:
        listing = self._listing(request.symbol)
        if listing is None:
            _refuse(Refusal.UNKNOWN_SYMBOL, UNPROCESSABLE_CODE, f'asset "{request.symbol}" not found')
        if not listing.tradable:
            _refuse(Refusal.UNKNOWN_SYMBOL, UNPROCESSABLE_CODE, f'asset "{request.symbol}" is not tradable')
        if is_whole(request.quantity):
            return
        if not listing.fractionable:
            _malformed(f'asset "{request.symbol}" is not fractionable')
        if request.time_in_force is not TimeInForce.DAY:
            _malformed("fractional orders must be DAY orders")
        if request.order_type not in self._fractional_orders:
            _malformed(f"fractional orders must not be {request.order_type} orders")

    def _listing(self, symbol: Symbol) -> Listing | None:
        listing = self._listings.get(symbol)
        return Listing(symbol) if listing is None and symbol in self._last else listing

    def _check_funds(self, request: PlaceOrder) -> Decimal:
        """Refuse what the account cannot cover; return the price a share of a buy is reserved at."""
        for resting in self._working.get(request.symbol, {}).values():
            if resting.order.side is not request.side:
                message = _WASH if resting.order.order_type is OrderType.LIMIT else _OPPOSITE
                _refuse(Refusal.OPPOSITE_SIDE_RESTING, FORBIDDEN_CODE, message)
        if request.side is Side.SELL:
            holding = self._holdings.get(request.symbol)
            available = ZERO if holding is None else holding.quantity - self._reserved_shares(request.symbol)
            if request.quantity > available:
                wanted = f"requested: {plain(request.quantity)}, available: {plain(available)}"
                _refuse(Refusal.SHARES_RESERVED, FORBIDDEN_CODE, f"insufficient qty available for order ({wanted})")
            return ZERO
        price = self._reserve_price(request)
        if request.quantity * price > self._buying_power():
            _refuse(Refusal.BUYING_POWER, FORBIDDEN_CODE, "insufficient buying power")
        return price

    def _reserve_price(self, request: PlaceOrder) -> Decimal:
        if request.limit_price is not None:
            return request.limit_price
        last = self.last_price(request.symbol)
        if last is None:
            _malformed(f'asset "{request.symbol}" has no quote')
        ask = quote_around(last, self.half_spread)[1]
        return ask if request.stop_price is None else max(ask, request.stop_price)

    def _reserved_shares(self, symbol: Symbol) -> Decimal:
        working = self._working.get(symbol, {}).values()
        return sum((resting.remaining for resting in working if resting.order.side is Side.SELL), ZERO)

    def _buying_power(self) -> Decimal:
        buys = (resting for resting in self._all_working() if resting.order.side is Side.BUY)
        return self.cash - sum((resting.remaining * resting.reserve_price for resting in buys), ZERO)

    def _worth(self, symbol: Symbol, holding: _Holding) -> Decimal:
        last = self._last.get(symbol)
        return holding.average_entry_price if last is None else last.close

    def _all_working(self) -> list[_Resting]:
        return [resting for in_symbol in self._working.values() for resting in in_symbol.values()]

    def _match(self, bar: Bar, before: Bar | None) -> None:
        self.advance(bar.start)
        if bar.symbol in self._halted or bar.volume == ZERO or not self._in_session(bar):
            return
        for resting in tuple(self._working.get(bar.symbol, {}).values()):
            if bar.start < resting.order.submitted_at or resting.order.status is OrderStatus.PENDING:
                continue
            if resting.order.stop_price is not None and not resting.triggered and self._is_paused(bar, before):
                continue
            price = price_in(bar, resting.order, self.half_spread, triggered=resting.triggered)
            if price is not None:
                resting.triggered = True
                self._fill(resting, bar, price)

    def _in_session(self, bar: Bar) -> bool:
        day = self._day(bar.start.date())
        return day is not None and bar.start < day.closes and bar.end > day.opens

    def _is_paused(self, bar: Bar, before: Bar | None) -> bool:
        """Say whether price bands would have paused trading in this bar; the opening of a session has none."""
        if before is None or bar.end - bar.start > BANDED:
            return False
        reach = WIDEST_BAND * before.close
        if before.close - reach <= bar.low and bar.high <= before.close + reach:
            return False
        day = self._day(bar.start.date())
        return day is not None and before.end > day.opens

    def _day(self, on: date) -> TradingDay | None:
        if on not in self._days:
            self._days[on] = next(iter(self._calendar.days(on, on)), None)
        return self._days[on]

    def _fill(self, resting: _Resting, bar: Bar, price: Decimal) -> None:
        order = resting.order
        quantity = min(resting.remaining, self._most(bar, order))
        if quantity <= ZERO:
            return
        at = min(bar.end, resting.expires_at)
        filled = order.filled_quantity + quantity
        resting.value += quantity * price
        resting.order = self._orders[order.id] = replace(
            order,
            status=OrderStatus.FILLED if filled == order.quantity else OrderStatus.PARTIALLY_FILLED,
            filled_quantity=filled,
            average_fill_price=resting.value / filled,
            filled_at=at,
            closed_at=at if filled == order.quantity else None,
        )
        self.fills.append(Fill(order.id, order.symbol, order.side, quantity, price, at))
        if order.side is Side.BUY:
            self._bought(order.symbol, quantity, price)
        else:
            self._sold(order.symbol, quantity, price)
        if filled == order.quantity:
            self._forget(resting)

    def _most(self, bar: Bar, order: Order) -> Decimal:
        if bar.volume is None:
            return order.quantity
        share = bar.volume * self.participation
        return share.to_integral_value(ROUND_DOWN) if is_whole(order.quantity) else round_quantity_down(share)

    def _bought(self, symbol: Symbol, quantity: Decimal, price: Decimal) -> None:
        self.cash -= quantity * price
        holding = self._holdings.setdefault(symbol, _Holding(ZERO, ZERO))
        cost = holding.quantity * holding.average_entry_price + quantity * price
        holding.quantity += quantity
        holding.average_entry_price = cost / holding.quantity

    def _sold(self, symbol: Symbol, quantity: Decimal, price: Decimal) -> None:
        self.cash += quantity * price
        holding = self._holdings[symbol]
        holding.quantity -= quantity
        if holding.quantity == ZERO:
            del self._holdings[symbol]

    def _close(self, resting: _Resting, status: OrderStatus, at: datetime) -> None:
        resting.order = self._orders[resting.order.id] = replace(resting.order, status=status, closed_at=at)
        self._forget(resting)

    def _work(self, resting: _Resting) -> None:
        self._working.setdefault(resting.order.symbol, {})[resting.order.id] = resting
        if self._earliest_end is None or resting.expires_at < self._earliest_end:
            self._earliest_end = resting.expires_at

    def _forget(self, resting: _Resting) -> None:
        in_symbol = self._working[resting.order.symbol]
        del in_symbol[resting.order.id]
        if not in_symbol:
            del self._working[resting.order.symbol]


def _is_above(bar: Bar, resting: _Resting) -> bool:
    """Say whether a bar stays above a stop that is not triggered: the quick look at what rests most of the time."""
    order = resting.order
    stop = order.stop_price
    return stop is not None and bar.low > stop and order.side is Side.SELL and not resting.triggered


def quote_around(close: Decimal, half_spread: Decimal) -> tuple[Decimal, Decimal]:
    """Make a bid and an ask from a close, half the spread to each side."""
    return close * (ONE - half_spread), close * (ONE + half_spread)


def price_in(bar: Bar, order: Order, half_spread: Decimal, *, triggered: bool = False) -> Decimal | None:
    """Decide the price at which an order fills in a bar, None when the bar does not reach it.

    `triggered` says that a stop was reached in an earlier bar: it is a market order since.
    """
    buys = order.side is Side.BUY
    worsened = bar.open * (ONE + half_spread if buys else ONE - half_spread)
    if order.limit_price is not None:
        reached = bar.low <= order.limit_price if buys else bar.high >= order.limit_price
        price = min(order.limit_price, worsened) if buys else max(order.limit_price, worsened)
    elif order.stop_price is not None and not triggered:
        reached = bar.high >= order.stop_price if buys else bar.low <= order.stop_price
        price = max(order.stop_price, bar.open) if buys else min(order.stop_price, bar.open)
    else:
        reached, price = True, worsened
    return _into(bar, round_fill_price(_into(bar, price))) if reached else None


def _into(bar: Bar, price: Decimal) -> Decimal:
    return max(bar.low, min(bar.high, price))


def _check_price(name: str, price: Decimal | None, *, needed: bool) -> None:
    if price is None:
        if needed:
            _malformed(f"{name} is required")
        return
    if not needed:
        _malformed(f"{name} is not allowed for this order type")
    if not usable_price(price) or price.adjusted() >= _LARGEST:
        _malformed(f"{name} must be > 0")
    step = CENT if price >= ONE else PRICE_TICK
    if price != price.quantize(step):
        _malformed(f"invalid {name} {plain(price)}. sub-penny increment does not fulfill minimum pricing criteria")


def _malformed(message: str) -> NoReturn:
    _refuse(Refusal.OTHER, UNPROCESSABLE_CODE, message)


def _refuse(kind: Refusal, code: int, message: str) -> NoReturn:
    raise BrokerRefusal(kind, message, code=code)
