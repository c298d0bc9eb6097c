"""The broker in memory: the port over the matching engine and a clock."""

from __future__ import annotations

from collections.abc import Sequence

from shared.adapters.memory.matching import Exchange
from shared.domain.assets import Symbol
from shared.domain.orders import Account, Asset, HeldPosition, Order, PlaceOrder, RequestAllowance
from shared.domain.session import MarketClock
from shared.ports.clock import Clock


class MemoryBroker:
    """Plays the broker on one `Exchange`; whoever drives the replay feeds it bars."""

    def __init__(self, exchange: Exchange, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock

    def account(self) -> Account:
        return self._now().account()

    def asset(self, symbol: Symbol) -> Asset | None:
        return self._exchange.asset(symbol)

    def allowance(self) -> RequestAllowance | None:
        return None

    def clock(self) -> MarketClock:
        return self._exchange.market_clock(self._clock.now())

    def positions(self) -> Sequence[HeldPosition]:
        return self._now().positions()

    def live_orders(self) -> Sequence[Order]:
        return self._now().live_orders()

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        return self._now().order_by_client_id(client_order_id)

    def submit(self, request: PlaceOrder) -> Order:
        return self._exchange.submit(request, self._clock.now())

    def cancel(self, order: Order) -> None:
        self._exchange.cancel(order.id, self._clock.now())

    def _now(self) -> Exchange:
        self._exchange.advance(self._clock.now())
        return self._exchange
