"""Answers that are behind the truth, as services give them whose copies agree only after a while.

At the broker each read is answered by a copy of its own: a fill may show in the orders and not yet in the positions,
and an order just accepted may not be found by its id. What is sent is always checked against the truth. In the Book
only the index of unsettled incidents is behind; every other read is consistent, and so is every condition.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from random import Random
from typing import NamedTuple

from shared.adapters.memory.matching import Exchange
from shared.domain.alerts import Incident
from shared.domain.assets import Symbol
from shared.domain.orders import Account, Asset, HeldPosition, Order, PlaceOrder, RequestAllowance
from shared.domain.session import MarketClock
from shared.ports.book import AlertOutbox
from shared.ports.broker import Broker
from shared.ports.clock import Clock


class _Copy(NamedTuple):
    """What the broker would have answered from an instant on."""

    since: datetime
    account: Account
    positions: Sequence[HeldPosition]
    live: Sequence[Order]
    by_id: Mapping[str, Order]


_since = attrgetter("since")


class LaggingBroker:
    """The broker, whose reads are up to `longest` behind; half of them are not."""

    def __init__(self, broker: Broker, exchange: Exchange, clock: Clock, random: Random, longest: timedelta) -> None:
        self._broker = broker
        self._exchange = exchange
        self._clock = clock
        self._random = random
        self._copies: list[_Copy] = []
        self.longest = longest
        self.behind = 0

    def note(self) -> None:
        """Keep a copy of the truth if it changed; called after everything that may have changed it."""
        exchange = self._exchange
        live, positions, account = exchange.live_orders(), exchange.positions(), exchange.account()
        if self._copies:
            _, known_account, known_positions, known_live, _ = self._copies[-1]
            if (known_account, known_positions, known_live) == (account, positions, live):
                return
        by_id = {order.client_order_id: order for order in exchange.orders()}
        self._copies.append(_Copy(self._clock.now(), account, positions, live, by_id))

    def account(self) -> Account:
        """Return the account's figures of some moment ago."""
        return self._copy().account

    def asset(self, symbol: Symbol) -> Asset | None:
        """Return what may be traded in a symbol now."""
        return self._broker.asset(symbol)

    def allowance(self) -> RequestAllowance | None:
        """Return what the last answer said of the requests that are left."""
        return self._broker.allowance()

    def clock(self) -> MarketClock:
        """Return the broker's word on whether the market is open."""
        return self._broker.clock()

    def positions(self) -> Sequence[HeldPosition]:
        """Return what was held some moment ago."""
        return self._copy().positions

    def live_orders(self) -> Sequence[Order]:
        """Return the orders that could fill some moment ago."""
        return self._copy().live

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Return an order as it was some moment ago; None for one too new."""
        return self._copy().by_id.get(client_order_id)

    def submit(self, request: PlaceOrder) -> Order:
        """Send an order; it is checked against the truth."""
        order = self._broker.submit(request)
        self.note()
        return order

    def cancel(self, order: Order) -> None:
        """Cancel an order; it is checked against the truth."""
        self._broker.cancel(order)
        self.note()

    def _copy(self) -> _Copy:
        self._exchange.advance(self._clock.now())
        self.note()
        newest = self._copies[-1]
        if self._random.random() < 0.5:
            return newest
        as_of = self._clock.now() - self._random.random() * self.longest
        copy = self._copies[max(0, bisect_right(self._copies, as_of, key=_since) - 1)]
        self.behind += copy is not newest
        return copy


class LaggingOutbox:
    """The outbox, whose index of unsettled incidents may show what it held when it was asked last."""

    def __init__(self, outbox: AlertOutbox, random: Random) -> None:
        self._outbox = outbox
        self._random = random
        self._before: Sequence[Incident] = ()
        self.lags = True
        self.behind = 0
        self.open_incidents = outbox.open_incidents
        self.put = outbox.put
        self.disabled_until = outbox.disabled_until
        self.disable = outbox.disable

    def unsettled(self) -> Sequence[Incident]:
        """Return the incidents that the index shows."""
        shown, self._before = self._before, self._outbox.unsettled()
        if not self.lags or self._random.random() < 0.5:
            return self._before
        self.behind += shown != self._before
        return shown
