"""What a person does past the book, at the broker's own desk: trades, resting orders, cancels, cash in and out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Final

from hearthwatch.simulation.market import HELD, STRANGE, SYMBOLS
from shared.adapters.memory.matching import Exchange
from shared.domain.assets import Symbol
from shared.domain.errors import BrokerRefusal
from shared.domain.intents import OrderType, Side, TimeInForce, is_ours
from shared.domain.money import ONE, ZERO, round_to_cent
from shared.domain.orders import PlaceOrder
from shared.ports.clock import Clock

_FAR: Final = Decimal("0.10")
"""A resting order of a person lies this share of the price away from it."""


@dataclass(slots=True)
class Deeds:
    """What was done by hand so far.

    `orders` by their ids; when symbols were `touched` last; `cash` moved and when; which of our orders were `canceled`;
    and how often each kind of deed was `done`.
    """

    orders: dict[str, Symbol] = field(default_factory=dict)
    touched: dict[Symbol, datetime] = field(default_factory=dict)
    cash: list[tuple[datetime, Decimal]] = field(default_factory=list)
    canceled: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)


class Person:
    """Somebody with the broker's own application in hand."""

    def __init__(self, exchange: Exchange, clock: Clock, random: Random) -> None:
        self._exchange = exchange
        self._clock = clock
        self._random = random
        self.deeds = Deeds()

    def act(self) -> None:
        """Do one thing; what the broker refuses is left."""
        deed: Callable[[], None] = self._random.choice(
            (
                self._sell_some,
                self._sell_all,
                self._buy,
                self._rest,
                self._cancel_one_of_ours,
                self._move_cash,
            )
        )
        try:
            deed()
        except BrokerRefusal:
            return

    def leave(self) -> None:
        """Cancel what still rests of this person's orders, as every message about them asks."""
        for order in self._exchange.live_orders():
            if order.client_order_id in self.deeds.orders:
                self._exchange.cancel(order.id, self._clock.now())
                self._touch(order.symbol)

    def _sell_some(self) -> None:
        """Sell a share of what was held at the start."""
        self._order("sold some by hand", HELD[-1], Side.SELL, ONE)

    def _sell_all(self) -> None:
        held = [position for position in self._exchange.positions() if position.available > ZERO]
        if held:
            chosen = self._random.choice(held)
            self._order("sold all by hand", chosen.symbol, Side.SELL, chosen.available)

    def _buy(self) -> None:
        """Buy a little of anything, a symbol that nobody watches among it."""
        symbol = self._random.choice((*SYMBOLS, STRANGE))
        deed = "bought what nobody watches" if symbol == STRANGE else "bought by hand"
        self._order(deed, symbol, Side.BUY, self._random.choice((ONE, Decimal("0.75"), Decimal(2))))

    def _rest(self) -> None:
        """Leave an order that waits for a better price: it holds back shares, or the other side."""
        symbol, side = self._random.choice(SYMBOLS), self._random.choice(list(Side))
        price = self._exchange.last_price(symbol)
        if price is not None:
            away = ONE + _FAR if side is Side.SELL else ONE - _FAR
            self._order("left an order resting", symbol, side, ONE, limit=round_to_cent(price * away))

    def _cancel_one_of_ours(self) -> None:
        ours = [order for order in self._exchange.live_orders() if is_ours(order.client_order_id)]
        if ours:
            chosen = self._random.choice(ours)
            self._exchange.cancel(chosen.id, self._clock.now())
            self.deeds.canceled.append(chosen.client_order_id)
            self.deeds.done["canceled one of ours"] += 1
            self._touch(chosen.symbol)

    def _move_cash(self) -> None:
        amount = Decimal(self._random.choice((500, 250, -300)))
        self._exchange.cash += amount
        self.deeds.cash.append((self._clock.now(), amount))
        self.deeds.done["paid in" if amount > ZERO else "took out"] += 1

    def _order(self, deed: str, symbol: Symbol, side: Side, quantity: Decimal, *, limit: Decimal | None = None) -> None:
        order = self._exchange.submit(
            PlaceOrder(
                client_order_id=f"by-hand-{len(self.deeds.orders) + 1}",
                symbol=symbol,
                side=side,
                quantity=quantity,
                order_type=OrderType.MARKET if limit is None else OrderType.LIMIT,
                time_in_force=TimeInForce.DAY if limit is None else TimeInForce.GTC,
                limit_price=limit,
            ),
            self._clock.now(),
        )
        self.deeds.orders[order.client_order_id] = symbol
        self.deeds.done[deed] += 1
        self._touch(symbol)

    def _touch(self, symbol: Symbol) -> None:
        self.deeds.touched[symbol] = self._clock.now()
