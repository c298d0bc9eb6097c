"""The routes of the simulated exchange: parse, ask the engine or the feed, reply.

Left out, and refused where asked for: notional, bracket and extended-hours orders, options and crypto. Handlers run in
the server's one event loop and take the lock that the driver feeds bars under.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from threading import Lock
from typing import Any, Final, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_stack.exchange import replies
from local_stack.exchange.market import DAY, NEW_YORK, Market, Tape, Timeframe
from shared.adapters.memory.matching import NOT_FOUND_CODE, UNPROCESSABLE_CODE, Exchange
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.errors import BrokerRefusal, Refusal
from shared.domain.intents import OrderType, Side, TimeInForce
from shared.domain.orders import Asset, Order, PlaceOrder
from shared.ports.clock import Clock

BAD_REQUEST_CODE: Final = 40010000
ORDERS_LIMIT: Final = 500
BARS_LIMIT: Final = 10_000
ACTIONS_LIMIT: Final = 1_000
CALENDAR_AHEAD: Final = timedelta(days=30)
_SETTLES_WITHIN: Final = timedelta(days=14)
_UNITS: Final = {"Min": timedelta(minutes=1), "T": timedelta(minutes=1), "Hour": timedelta(hours=1)}
_TIMEFRAME: Final = re.compile(r"(?P<count>[1-5]?[1-9]|[1-5]0)(?P<unit>Min|T|Hour)")

_Kind = TypeVar("_Kind", bound=StrEnum)
_Endpoint = Callable[[Request], Awaitable[Response]]


class BadRequest(Exception):
    """A request that cannot be read; its text names the parameter."""


class ExchangeApi:
    """The API over one engine and one feed."""

    def __init__(self, exchange: Exchange, market: Market, clock: Clock, lock: Lock) -> None:
        self._exchange = exchange
        self._market = market
        self._clock = clock
        self._lock = lock
        self._opened_at = clock.now()
        self._unnamed = 0

    def app(self) -> Starlette:
        """Build the application."""
        get: list[tuple[str, Callable[[Request], Any]]] = [
            ("/v2/account", self._account),
            ("/v2/clock", self._clock_now),
            ("/v2/calendar", self._calendar),
            ("/v2/assets", self._assets),
            ("/v2/assets/{name}", self._asset),
            ("/v2/orders", self._orders),
            ("/v2/orders:by_client_order_id", self._order_by_client_id),
            ("/v2/orders/{order_id}", self._order),
            ("/v2/positions", self._positions),
            ("/v2/positions/{name}", self._position),
            ("/v2/stocks/snapshots", self._snapshots),
            ("/v2/stocks/quotes/latest", self._latest_quotes),
            ("/v2/stocks/trades/latest", self._latest_trades),
            ("/v2/stocks/bars/latest", self._latest_bars),
            ("/v2/stocks/bars", self._bars),
            ("/v2/stocks/{symbol}/bars", self._bars_of_one),
            ("/v1/corporate-actions", self._corporate_actions),
        ]
        routes = [Route(path, self._locked(answer), methods=["GET"]) for path, answer in get]
        routes += [
            Route("/v2/orders", self._submit, methods=["POST"]),
            Route("/v2/orders", self._locked(self._cancel_all, status=207), methods=["DELETE"]),
            Route("/v2/orders/{order_id}", self._cancel, methods=["DELETE"]),
        ]
        return Starlette(
            routes=routes,
            exception_handlers={BrokerRefusal: _refused, BadRequest: _bad_request, HTTPException: _http_error},
        )

    def _locked(self, answer: Callable[[Request], Any], status: int = 200) -> _Endpoint:
        async def endpoint(request: Request) -> Response:
            with self._lock:
                self._exchange.advance(self._clock.now())
                return JSONResponse(answer(request), status_code=status)

        return endpoint

    async def _submit(self, request: Request) -> Response:
        body = await request.body()
        with self._lock:
            order = self._exchange.submit(self._order_wanted(body), self._clock.now())
            return JSONResponse(replies.order_reply(order))

    async def _cancel(self, request: Request) -> Response:
        with self._lock:
            self._exchange.cancel(request.path_params["order_id"], self._clock.now())
            return Response(status_code=204)

    def _account(self, _: Request) -> Any:
        account = self._exchange.account()
        return replies.account_reply(account, account.equity - account.cash, self._opened_at)

    def _clock_now(self, _: Request) -> Any:
        return replies.clock_reply(self._exchange.market_clock(self._clock.now()))

    def _calendar(self, request: Request) -> Any:
        today = self._clock.now().date()
        first = _date(request, "start", today)
        last = _date(request, "end", max(first, today) + CALENDAR_AHEAD)
        ahead = self._exchange.days(first, last + _SETTLES_WITHIN)
        listed = [day for day in ahead if day.date <= last]
        return replies.calendar_reply(ahead[: len(listed) + 1])

    def _assets(self, _: Request) -> Any:
        return [replies.asset_reply(self._asset_of(symbol)) for symbol in self._exchange.listings]

    def _asset(self, request: Request) -> Any:
        return replies.asset_reply(self._asset_of(self._named(request.path_params["name"])))

    def _orders(self, request: Request) -> Any:
        query = request.query_params
        status = query.get("status", "open")
        if status not in ("open", "closed", "all"):
            raise BadRequest(f"invalid status: {status}")
        found: Iterable[Order] = self._exchange.orders()
        if status != "all":
            found = (order for order in found if order.is_live == (status == "open"))
        if query.get("symbols"):
            symbols = query["symbols"].split(",")
            found = (order for order in found if order.symbol in symbols)
        after, until = _time(request, "after", None), _time(request, "until", None)
        listed = [
            order
            for order in found
            if (after is None or order.submitted_at > after) and (until is None or order.submitted_at < until)
        ]
        if query.get("direction", "desc") == "desc":
            listed.reverse()
        limit = min(_int(request, "limit", 50), ORDERS_LIMIT)
        return [replies.order_reply(order) for order in listed[:limit]]

    def _order(self, request: Request) -> Any:
        order_id = request.path_params["order_id"]
        return self._found(self._exchange.order(order_id), order_id)

    def _order_by_client_id(self, request: Request) -> Any:
        client_order_id = request.query_params.get("client_order_id", "")
        return self._found(self._exchange.order_by_client_id(client_order_id), client_order_id)

    def _cancel_all(self, _: Request) -> Any:
        now = self._clock.now()
        canceled = [self._exchange.cancel(order.id, now) for order in self._exchange.live_orders()]
        return [{"id": order.id, "status": 200} for order in canceled]

    def _positions(self, _: Request) -> Any:
        held = self._exchange.positions()
        return [replies.position_reply(position, self._tape(position.symbol)) for position in held]

    def _position(self, request: Request) -> Any:
        symbol = self._named(request.path_params["name"])
        for position in self._exchange.positions():
            if position.symbol == symbol:
                return replies.position_reply(position, self._tape(symbol))
        raise _not_found("position does not exist")

    def _snapshots(self, request: Request) -> Any:
        return {symbol: replies.snapshot_reply(tape) for symbol, tape in self._tapes(request)}

    def _latest_quotes(self, request: Request) -> Any:
        return {"quotes": {symbol: replies.quote_reply(tape) for symbol, tape in self._tapes(request)}}

    def _latest_trades(self, request: Request) -> Any:
        return {"trades": {symbol: replies.trade_reply(tape) for symbol, tape in self._tapes(request)}}

    def _latest_bars(self, request: Request) -> Any:
        return {"bars": {symbol: replies.bar_reply(tape.minute) for symbol, tape in self._tapes(request)}}

    def _bars(self, request: Request) -> Any:
        listed, token = self._page(request, _symbols(request))
        by_symbol: dict[str, list[Any]] = {}
        for bar in listed:
            by_symbol.setdefault(bar.symbol, []).append(replies.bar_reply(bar))
        return {"bars": by_symbol, "next_page_token": token}

    def _bars_of_one(self, request: Request) -> Any:
        symbol = Symbol(request.path_params["symbol"])
        listed, token = self._page(request, [symbol])
        return {"symbol": symbol, "bars": [replies.bar_reply(bar) for bar in listed], "next_page_token": token}

    def _corporate_actions(self, request: Request) -> Any:
        """List actions by the day they are processed, as the real one does."""
        today = self._clock.now().astimezone(NEW_YORK).date()
        first, last = _date(request, "start", today), _date(request, "end", today)
        if first > last:
            raise BadRequest("end must not be before start")
        newest_first = request.query_params.get("sort", "asc") == "desc"
        found = sorted(
            (
                action
                for action in self._market.announced(_symbols(request))
                if first <= replies.processed_on(action) <= last
            ),
            key=replies.processed_on,
            reverse=newest_first,
        )
        limit, sent = (
            min(_int(request, "limit", 100), ACTIONS_LIMIT),
            _sent_before(request.query_params.get("page_token")),
        )
        by_kind: dict[str, list[Any]] = {}
        for action in found[sent : sent + limit]:
            kind, terms = replies.corporate_action_reply(action)
            by_kind.setdefault(kind, []).append(terms)
        return {"corporate_actions": by_kind, "next_page_token": _next_token(sent + limit, len(found))}

    def _page(self, request: Request, symbols: Sequence[Symbol]) -> tuple[Sequence[Bar], str | None]:
        """Cut one page out of all bars asked for; the token holds how many were sent before."""
        now = self._clock.now()
        frame = _timeframe(request.query_params.get("timeframe", ""))
        today = datetime.combine(now.astimezone(NEW_YORK).date(), time(), NEW_YORK).astimezone(UTC)
        start, end = _time(request, "start", today) or today, _time(request, "end", now) or now
        newest_first = request.query_params.get("sort", "asc") == "desc"
        bars = [
            bar
            for symbol in sorted(symbols)
            for bar in sorted(
                self._market.bars(symbol, frame, start, end, now), key=lambda bar: bar.start, reverse=newest_first
            )
        ]
        limit = min(_int(request, "limit", 1000), BARS_LIMIT)
        sent = _sent_before(request.query_params.get("page_token"))
        return bars[sent : sent + limit], _next_token(sent + limit, len(bars))

    def _order_wanted(self, body: bytes) -> PlaceOrder:
        try:
            fields = json.loads(body, parse_float=Decimal)
        except ValueError as error:
            raise BadRequest("request body format is invalid") from error
        if not isinstance(fields, dict):
            raise BadRequest("request body format is invalid")
        if fields.get("notional") is not None:
            raise _unprocessable("notional orders are not taken here")
        if fields.get("order_class") not in (None, "", "simple") or fields.get("extended_hours"):
            raise _unprocessable("only simple orders of the regular session are taken here")
        self._unnamed += 1
        quantity = _decimal(fields, "qty")
        if quantity is None:
            raise _unprocessable("qty is required")
        return PlaceOrder(
            client_order_id=str(fields.get("client_order_id") or replies.asset_id(f"unnamed order {self._unnamed}")),
            symbol=Symbol(str(fields.get("symbol", ""))),
            side=_member(Side, fields, "side"),
            quantity=quantity,
            order_type=_member(OrderType, fields, "type"),
            time_in_force=_member(TimeInForce, fields, "time_in_force"),
            limit_price=_decimal(fields, "limit_price"),
            stop_price=_decimal(fields, "stop_price"),
        )

    def _found(self, order: Order | None, name: str) -> Any:
        if order is None:
            raise _not_found(f"order not found for {name}")
        return replies.order_reply(order)

    def _asset_of(self, symbol: Symbol) -> Asset:
        asset = self._exchange.asset(symbol)
        if asset is None:
            raise _not_found(f"asset not found for {symbol}")
        return asset

    def _named(self, name: str) -> Symbol:
        for symbol in self._exchange.listings:
            if name in (symbol, replies.asset_id(symbol)):
                return symbol
        raise _not_found(f"asset not found for {name}")

    def _tape(self, symbol: Symbol) -> Tape | None:
        return self._market.tape(symbol, self._clock.now())

    def _tapes(self, request: Request) -> list[tuple[Symbol, Tape]]:
        asked = ((symbol, self._tape(symbol)) for symbol in _symbols(request))
        return [(symbol, tape) for symbol, tape in asked if tape is not None]


def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, BrokerRefusal):
        raise error
    body = replies.error_reply(error.code or UNPROCESSABLE_CODE, error.message)
    return JSONResponse(body, status_code=replies.status_of(error))


def _bad_request(_: Request, error: Exception) -> Response:
    return JSONResponse(replies.error_reply(BAD_REQUEST_CODE, str(error)), status_code=400)


def _http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    body = replies.error_reply(error.status_code * 100_000 + 10_000, str(error.detail))
    return JSONResponse(body, status_code=error.status_code)


def _not_found(message: str) -> BrokerRefusal:
    return BrokerRefusal(Refusal.OTHER, message, code=NOT_FOUND_CODE)


def _unprocessable(message: str) -> BrokerRefusal:
    return BrokerRefusal(Refusal.OTHER, message, code=UNPROCESSABLE_CODE)


def _symbols(request: Request) -> list[Symbol]:
    names = [name.strip() for name in request.query_params.get("symbols", "").split(",")]
    if not all(names):
        raise BadRequest("symbols is required")
    return [Symbol(name) for name in dict.fromkeys(names)]


def _timeframe(text: str) -> Timeframe:
    if text in ("1Day", "1D"):
        return DAY
    parts = _TIMEFRAME.fullmatch(text)
    if parts is None:
        raise BadRequest(f"invalid timeframe: {text}")
    return Timeframe(int(parts["count"]) * _UNITS[parts["unit"]])


def _member(kind: type[_Kind], fields: dict[str, Any], name: str) -> _Kind:
    try:
        return kind(str(fields.get(name)))
    except ValueError as error:
        raise _unprocessable(f"invalid {name}: {fields.get(name)!r}") from error


def _decimal(fields: dict[str, Any], name: str) -> Decimal | None:
    value = fields.get(name)
    if value is None:
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation as error:
        raise _unprocessable(f"invalid {name}: {value!r}") from error


def _int(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name)
    if not text:
        return default
    if not text.isdecimal() or not int(text[:9]):
        raise BadRequest(f"invalid {name}: {text}")
    return int(text[:9])


def _date(request: Request, name: str, default: date) -> date:
    text = request.query_params.get(name)
    try:
        return date.fromisoformat(text[:10]) if text else default
    except ValueError as error:
        raise BadRequest(f"invalid {name}: {text}") from error


def _time(request: Request, name: str, default: datetime | None) -> datetime | None:
    text = request.query_params.get(name)
    if not text:
        return default
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadRequest(f"invalid {name}: {text}") from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def _next_token(sent: int, listed: int) -> str | None:
    return base64.b64encode(f"{sent}".encode()).decode() if listed > sent else None


def _sent_before(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.b64decode(token, validate=True))
    except (binascii.Error, ValueError) as error:
        raise BadRequest("invalid page_token") from error
