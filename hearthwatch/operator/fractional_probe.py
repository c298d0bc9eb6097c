"""Find out which orders the paper account takes for a fraction of a share (ORD-07, OPS-03).

Decided: only the paper account is ever probed, only while the market is open, and only with a symbol that is neither
held nor ordered, so that no probe stands in the way of an exit. A limit order far below the market and a stop order
far above it can hardly fill, and each is canceled at once. A market order cannot be taken back, so that answer is
Alpaca's own word on the symbol. What is refused for any other reason stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final

from hearthwatch.operator.checks import Seen, failed, ok, warning
from shared.domain.assets import Symbol
from shared.domain.errors import BrokerRefusal, HearthwatchError, OutcomeUnknown
from shared.domain.fractional import FractionalProbe
from shared.domain.intents import OrderType, Side, TimeInForce
from shared.domain.money import CENT, ONE, is_whole, round_to_cent, usable_price
from shared.domain.orders import Order, OrderStatus, PlaceOrder
from shared.domain.quotes import JudgedQuote
from shared.ports.broker import Broker
from shared.ports.clock import Clock
from shared.ports.fractional_probes import FractionalProbes

AWAY: Final = Decimal("0.20")
"""How far from the market a probe is priced."""
WORTH: Final = Decimal(5)
"""Dollars an order is worth at least; Alpaca takes none below one."""
LOOKS: Final = 10
LOOK_AGAIN: Final = 0.3
"""How often, and after how many seconds each, a canceled order is looked at."""
_ABOUT_FRACTIONS: Final = re.compile("fraction", re.IGNORECASE)
_BY_HAND: Final = "cancel it at Alpaca, on the paper account"


class LeftBehind(HearthwatchError):
    """A probe may still stand at the broker, or has filled; a person must look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeFractions:
    """The probe; `broker` is the paper account, `fractionable` Alpaca's word on a symbol."""

    broker: Broker
    fractionable: Callable[[Symbol], bool | None]
    probes: FractionalProbes
    clock: Clock
    pause: Callable[[float], None]

    def __call__(self, quotes: Sequence[JudgedQuote]) -> Seen:
        """Probe with the first of the quoted symbols that is free, and store the answer."""
        known = self.probes.get()
        if not self.broker.clock().is_open:
            return _not_probed("market closed", known)
        quote = self._free(quotes)
        if quote is None or quote.price is None:
            return _not_probed("every watched symbol is held, ordered or without a sure price", known)
        before = known or FractionalProbe(probed_at=self.clock.now())
        try:
            probe = FractionalProbe(
                market=_newer(self.fractionable(quote.symbol), before.market),
                limit=_newer(self._takes(OrderType.LIMIT, quote.symbol, quote.price * (ONE - AWAY)), before.limit),
                stop=_newer(self._takes(OrderType.STOP, quote.symbol, quote.price * (ONE + AWAY)), before.stop),
                probed_at=self.clock.now(),
            )
        except LeftBehind as problem:
            return failed(str(problem), _BY_HAND)
        self.probes.put(probe)
        text = f"{probe.text}, found with {quote.symbol}"
        if probe.limit is None:
            return warning(text, "nothing: unknown means market orders for the day; preflight asks again next time")
        return ok(text)

    def _free(self, quotes: Sequence[JudgedQuote]) -> JudgedQuote | None:
        taken = {held.symbol for held in self.broker.positions()} | {
            order.symbol for order in self.broker.live_orders()
        }
        free = (quote for quote in quotes if quote.symbol not in taken and not quote.doubts)
        return next((quote for quote in free if usable_price(quote.price)), None)

    def _takes(self, kind: OrderType, symbol: Symbol, price: Decimal) -> bool | None:
        """Say whether an order is taken; one whose fate is not known raises LeftBehind."""
        request = _order(
            kind, symbol, round_to_cent(price), f"preflight-{kind.value}-{self.clock.now():%Y%m%dT%H%M%S.%f}"
        )
        try:
            order = self.broker.submit(request)
        except BrokerRefusal as refusal:
            return False if _ABOUT_FRACTIONS.search(refusal.message) else None
        except OutcomeUnknown as problem:
            found = self._look(request.client_order_id, problem)
            if found is None:
                return None
            order = found
        ended = self._taken_back(order)
        if ended.filled_quantity:
            raise LeftBehind(f"the probe bought {ended.filled_quantity} {symbol} on the paper account: sell it there")
        return ended.status is not OrderStatus.REJECTED

    def _taken_back(self, order: Order) -> Order:
        """Cancel an order and look until it has ended."""
        try:
            self.broker.cancel(order)
        except BrokerRefusal:
            pass  # it has ended already; how is read below
        except HearthwatchError as problem:
            raise LeftBehind(f"{_named(order)} may still rest: {problem}") from problem
        for _ in range(LOOKS):
            found = self._look(order.client_order_id, None)
            if found is not None and not found.is_live:
                return found
            self.pause(LOOK_AGAIN)
        raise LeftBehind(f"{_named(order)} is not canceled yet")

    def _look(self, client_order_id: str, problem: HearthwatchError | None) -> Order | None:
        try:
            return self.broker.order_by_client_id(client_order_id)
        except HearthwatchError as unread:
            raise LeftBehind(f"{client_order_id} may rest at the broker: {problem or unread}") from unread


def _order(kind: OrderType, symbol: Symbol, price: Decimal, name: str) -> PlaceOrder:
    return PlaceOrder(
        client_order_id=name,
        symbol=symbol,
        side=Side.BUY,
        quantity=_quantity(price),
        order_type=kind,
        time_in_force=TimeInForce.DAY,
        limit_price=price if kind is OrderType.LIMIT else None,
        stop_price=price if kind is OrderType.STOP else None,
    )


def _quantity(price: Decimal) -> Decimal:
    """Give a fraction of a share that is worth enough."""
    quantity = (WORTH / price).quantize(CENT, rounding=ROUND_CEILING)
    return quantity + CENT if is_whole(quantity) else quantity


def _newer(found: bool | None, before: bool | None) -> bool | None:
    """Take what was found; a probe that found nothing out leaves the answer before."""
    return before if found is None else found


def _not_probed(why: str, known: FractionalProbe | None) -> Seen:
    if known is None:
        todo = "run `make preflight` while the market is open; until then fractions go as market orders for the day"
        return warning(f"not probed: {why}; nothing is known", todo)
    return ok(f"not probed: {why}; on {known.probed_at:%Y-%m-%d} it was: {known.text}")


def _named(order: Order) -> str:
    return f"the probe {order.client_order_id} of {order.quantity} {order.symbol}"
