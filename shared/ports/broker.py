"""The broker and the exchange behind it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Protocol

from shared.domain.assets import Symbol
from shared.domain.corporate_actions import CorporateAction
from shared.domain.orders import Account, Asset, HeldPosition, Order, PlaceOrder, RequestAllowance
from shared.domain.session import MarketClock, TradingDay


class Broker(Protocol):
    """The account at the broker: the executor port (ORD-01)."""

    def account(self) -> Account:
        """Return the account's figures."""
        ...

    def asset(self, symbol: Symbol) -> Asset | None:
        """Return what may be traded in a symbol now; None when the broker knows no such symbol."""
        ...

    def allowance(self) -> RequestAllowance | None:
        """Return what the last answer said of the requests that are left, without asking; None when none said it."""
        ...

    def clock(self) -> MarketClock:
        """Return the broker's word on whether the market is open."""
        ...

    def positions(self) -> Sequence[HeldPosition]:
        """Return everything held, in no particular order; empty means that nothing is held."""
        ...

    def live_orders(self) -> Sequence[Order]:
        """Return every order that can still fill, whoever placed it."""
        ...

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        """Return the order sent under this id, live or finished; None when the broker never took one."""
        ...

    def submit(self, request: PlaceOrder) -> Order:
        """Send an order once; an id the broker has seen is refused for ever, so a repeat never fills twice.

        Raises BrokerRefusal when the broker said no, Throttled when it certainly did not look at the request, and
        OutcomeUnknown when it may or may not have accepted: then only `order_by_client_id` tells.
        """
        ...

    def cancel(self, order: Order) -> None:
        """Ask for an order to be canceled; the order's own state tells when that happened.

        Raises BrokerRefusal(NOT_CANCELABLE) when it is finished already, and OutcomeUnknown like `submit`.
        Asking twice is safe.
        """
        ...


class ExchangeCalendar(Protocol):
    """The exchange's own calendar."""

    def days(self, first: date, last: date) -> Sequence[TradingDay]:
        """Return the sessions from `first` to `last`, both included, oldest first; holidays are absent."""
        ...


class CorporateActions(Protocol):
    """Known splits and dividends."""

    def actions(self, symbols: Sequence[Symbol], after: date, upto: date) -> Sequence[CorporateAction]:
        """Return actions with after < ex-date <= upto; an action that is not known counts as none."""
        ...
