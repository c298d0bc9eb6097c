"""The broker at Alpaca: one request per call and never two, whatever the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from alpaca.common.enums import Sort
from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient
from alpaca.trading.enums import QueryOrderStatus
from alpaca.trading.requests import GetOrdersRequest
from requests import Response

from shared.adapters.alpaca.outcomes import allowance_in, is_own_404, reading, writing
from shared.adapters.alpaca.session import require_disarmed
from shared.adapters.alpaca.translation import (
    to_account,
    to_asset,
    to_clock,
    to_order,
    to_position,
    to_request,
)
from shared.domain.assets import Symbol
from shared.domain.errors import BrokerRefusal, OutcomeUnknown, Refusal, Unavailable
from shared.domain.orders import Account, Asset, HeldPosition, Order, PlaceOrder, RequestAllowance
from shared.domain.session import MarketClock
from shared.ports.clock import Clock

ORDERS_PER_REQUEST: Final = 500
"""Alpaca's own limit. A list this long may be cut, so it counts as no answer."""


class AlpacaBroker:
    """The account at Alpaca, paper or live as the client was made; the clock reads how far off a rate reset is."""

    def __init__(self, client: TradingClient, clock: Clock) -> None:
        require_disarmed(client)
        self._client = client
        self._clock = clock
        self._allowance: RequestAllowance | None = None
        client._session.hooks["response"].append(self._note_allowance)

    def account(self) -> Account:
        with reading("account", self._clock):
            return to_account(_json(self._client.get_account()))

    def asset(self, symbol: Symbol) -> Asset | None:
        with reading(f"asset {symbol}", self._clock):
            try:
                found = self._client.get_asset(symbol)
            except APIError as error:
                if is_own_404(error):
                    return None
                raise
            return to_asset(_json(found))

    def allowance(self) -> RequestAllowance | None:
        return self._allowance

    def clock(self) -> MarketClock:
        with reading("market clock", self._clock):
            return to_clock(_json(self._client.get_clock()))

    def positions(self) -> Sequence[HeldPosition]:
        with reading("positions", self._clock):
            return [to_position(raw) for raw in _list(self._client.get_all_positions())]

    def live_orders(self) -> Sequence[Order]:
        wanted = GetOrdersRequest(status=QueryOrderStatus.OPEN, limit=ORDERS_PER_REQUEST, direction=Sort.ASC)
        with reading("live orders", self._clock):
            listed = _list(self._client.get_orders(wanted))
            if len(listed) >= ORDERS_PER_REQUEST:
                raise Unavailable(f"live orders: {len(listed)} listed, there may be more")
            return [order for order in map(to_order, listed) if order.is_live]

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        with reading(f"order {client_order_id}", self._clock):
            try:
                found = self._client.get_order_by_client_id(client_order_id)
            except APIError as error:
                if is_own_404(error):
                    return None
                raise
            return to_order(_json(found))

    def submit(self, request: PlaceOrder) -> Order:
        message = to_request(request)
        with writing(f"submit {request.client_order_id}", self._clock):
            order = to_order(_json(self._client.submit_order(message)))
        if order.client_order_id != request.client_order_id:
            raise OutcomeUnknown(f"submit {request.client_order_id}: the reply is about {order.client_order_id}")
        return order

    def cancel(self, order: Order) -> None:
        try:
            order_id = UUID(order.id)
        except ValueError as error:
            raise BrokerRefusal(Refusal.NOT_CANCELABLE, f"{order.id!r} is no order of Alpaca's") from error
        with writing(f"cancel {order.client_order_id}", self._clock, refused_as=Refusal.NOT_CANCELABLE):
            self._client.cancel_order_by_id(order_id)

    def _note_allowance(self, response: Response, *_: Any, **__: Any) -> None:
        """Keep what a reply says of the rate window; one that says nothing leaves what is known."""
        self._allowance = allowance_in(response.headers) or self._allowance


def _json(reply: Any) -> dict[str, Any]:
    if not isinstance(reply, dict):
        raise TypeError(f"a JSON object expected, got {type(reply).__name__}")
    return reply


def _list(reply: Any) -> list[dict[str, Any]]:
    if not isinstance(reply, list):
        raise TypeError(f"a JSON array expected, got {type(reply).__name__}")
    return [_json(item) for item in reply]
