"""The invariants, checked from outside on what the exchange, the book and the journal really hold.

The numbers are those of the project's list: 1 one live order per intent, 2 limits, 4 the kill switch, 5 every order
has its chain, 6 alerts, 7 exits, 9 and 8 repeatability (compared between runs), 10 everything comes to rest, 11 cash.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from shared.adapters.memory.prices import BarFeed
from shared.bootstrap.offline import OFFLINE_ACCOUNT, OfflineWorld
from shared.bootstrap.wiring import Rules
from shared.domain.alerts import Alert, DeliveryState
from shared.domain.assets import Symbol
from shared.domain.intents import TERMINAL, Intent, IntentId, IntentState, Side, is_ours
from shared.domain.journal import first_break
from shared.domain.money import ZERO, plain
from shared.domain.orders import INTENT_STATE, Order, PlaceOrder
from shared.domain.session import trading_day_at

SLACK: Final = Decimal("1.02")
"""Held shares are judged at prices up to a minute and a half old; the bought symbols move far less than this."""
KNOWN_FOR: Final = timedelta(minutes=12)
"""Limits are shares of the equity of the last clean reconciliation, which may be this old."""
SEEN_WITHIN: Final = timedelta(minutes=4)
"""A price that decided an exit was the market's within this time before it."""


class Violation(Exception):
    """A broken invariant: its number (0: an error escaped) and what was seen."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"invariant {number}: {what}" if number else what)
        self.number = number


class Checks:
    """Watches one run."""

    def __init__(self, world: OfflineWorld, feed: BarFeed, cash: Decimal) -> None:
        self.world = world
        self.feed = feed
        self.rules = Rules()
        self.start_cash = cash
        self.killed_at: datetime | None = None
        self.dead_alerts: list[Alert] = []
        self._raised: list[Alert] = []
        self._recorded: set[str] = set()
        self._journal_read = 0
        self._prices: dict[Symbol, list[tuple[datetime, Decimal]]] = {}
        self._failure: Violation | None = None
        self._terminal: dict[IntentId, IntentState] = {}
        self._equities: list[tuple[datetime, Decimal]] = []
        self._issued: dict[str, datetime] = {}

    def fail(self, violation: Violation) -> None:
        """Remember a violation seen inside an invocation; the run stops at its next check."""
        self._failure = self._failure or violation

    # events

    def on_kill(self) -> None:
        """Note when the kill switch was set."""
        self.killed_at = self.world.clock.now()

    def on_alert(self, alert: Alert) -> None:
        """Note an alert that the queue took."""
        self._raised.append(alert)

    def on_market(self) -> None:
        """Note the true prices of this minute."""
        now = self.world.clock.now()
        self._equities.append((now, self.world.exchange.account().equity))
        for symbol in self.world.watchlist.symbols():
            price = self.world.exchange.last_price(symbol)
            if price is not None:
                self._prices.setdefault(symbol, []).append((now, price))

    def on_call(self, where: str, arguments: tuple[Any, ...]) -> None:
        """Note when a request to the broker leaves; it may land twelve seconds later."""
        if where == "broker.submit":
            self._issued[arguments[0].client_order_id] = self.world.clock.now()

    def watch(self, port: str, method: str, arguments: tuple[Any, ...], result: Any) -> None:
        """Look at one port call right after it took effect."""
        if port == "broker" and method == "submit":
            self._on_submit(arguments[0], result)
        elif port == "ledgers" and method == "save":
            self._on_ledger(result.finished.values())

    def _on_submit(self, request: PlaceOrder, order: Order) -> None:
        self._one_live_order(order)
        self._has_chain(request)
        if request.side is Side.BUY:
            self._inside_limits(request)
            self._not_after_kill(request)
        else:
            self._was_due(request)

    def _on_ledger(self, finished: Any) -> None:
        for intent in finished:
            before = self._terminal.setdefault(intent.id, intent.state)
            if before is not intent.state:
                self.fail(Violation(5, f"{intent.id} was {before} and is {intent.state}"))

    # one by one

    def _one_live_order(self, order: Order) -> None:
        live = [o for o in self.world.exchange.live_orders() if is_ours(o.client_order_id)]
        per_slot = Counter((o.symbol, o.side) for o in live)
        if per_slot[(order.symbol, order.side)] > 1:
            self.fail(Violation(1, f"two live {order.side} orders in {order.symbol}"))

    def _has_chain(self, request: PlaceOrder) -> None:
        """Look for the order as a SENT intent in the ledger, and an entry's send in the journal before it leaves."""
        intent = self.world.ledgers.load(OFFLINE_ACCOUNT).open.get(IntentId(request.client_order_id))
        if intent is None or intent.state is IntentState.PREPARED:
            self.fail(Violation(5, f"{request.symbol} {request.side} was sent without a record of it in the ledger"))
        if request.side is Side.BUY and request.client_order_id not in self._sends():
            self.fail(Violation(5, f"{request.symbol} {request.side} was sent without a record of it in the journal"))

    def _inside_limits(self, request: PlaceOrder) -> None:
        exchange, limits = self.world.exchange, self.rules.limits
        equity = max(figure for at, figure in self._equities if at >= self.world.clock.now() - KNOWN_FOR)
        value: dict[Symbol, Decimal] = {}
        for held in exchange.positions():
            value[held.symbol] = held.quantity * self._lowest(held.symbol)
        for order in exchange.live_orders():
            if order.side is Side.BUY:
                price = order.limit_price or self._lowest(order.symbol)
                value[order.symbol] = value.get(order.symbol, ZERO) + (order.quantity - order.filled_quantity) * price
        if value[request.symbol] > limits.per_symbol * equity * SLACK:
            self.fail(Violation(2, f"{request.symbol} would be {plain(value[request.symbol])} of {plain(equity)}"))
        if sum(value.values()) > limits.total * equity * SLACK:
            self.fail(Violation(2, f"positions would be {plain(sum(value.values(), ZERO))} of {plain(equity)}"))

    def _lowest(self, symbol: Symbol) -> Decimal:
        """Give the lowest price the gate may have seen: a price that rose since breaks no limit."""
        since = self.world.clock.now() - SEEN_WITHIN
        return min((price for at, price in self._prices.get(symbol, []) if at >= since), default=ZERO)

    def _not_after_kill(self, request: PlaceOrder) -> None:
        """Compare when the request left, up to twelve seconds ago, with when the switch was set."""
        issued = self._issued.get(request.client_order_id)
        if self.killed_at is not None and issued is not None and issued > self.killed_at:
            self.fail(Violation(4, f"{request.symbol} {request.side} was sent after the kill switch"))

    def _was_due(self, request: PlaceOrder) -> None:
        """Find a price at or beyond the level among those the market really had when the sell was decided."""
        intent = self.world.ledgers.load(OFFLINE_ACCOUNT).open.get(IntentId(request.client_order_id))
        if intent is None:
            return
        seen = [p for at, p in self._prices.get(intent.symbol, []) if at >= intent.created_at - SEEN_WITHIN]
        level = intent.evidence.level
        if level is None or not any(price <= level for price in seen):
            self.fail(Violation(7, f"{intent.symbol} was sold at {intent.evidence.price} though never at {level}"))

    def _sends(self) -> set[str]:
        links = list(self.world.journal.links())
        for link in links[self._journal_read :]:
            if '"kind":"order_sending"' in link.body:
                self._recorded.add(link.body.split('"id":"', 1)[1].split('"', 1)[0])
        self._journal_read = len(links)
        return self._recorded

    # every minute and at the end

    def every_minute(self) -> None:
        """Raise the first violation so far; check what must hold at any time."""
        if self._failure is not None:
            raise self._failure
        fills = sum(
            (f.quantity * f.price * (1 if f.side is Side.SELL else -1) for f in self.world.exchange.fills), ZERO
        )
        if self.world.exchange.cash != self.start_cash + fills:
            raise Violation(11, f"cash is {self.world.exchange.cash}, fills explain {self.start_cash + fills}")

    def at_rest(self, *, entries_stopped: bool) -> None:
        """Check what must hold once the faults have stopped and a few quiet runs have passed."""
        self.every_minute()
        self._nothing_pending(entries_stopped=entries_stopped)
        self._nothing_unprotected()
        self._agrees_with_broker()
        self._chain_is_whole()
        self._alerts_arrived()

    def _nothing_pending(self, *, entries_stopped: bool) -> None:
        is_open = trading_day_at(self.world.calendar.days(self._today, self._today), self.world.clock.now()) is not None
        for intent in self.world.ledgers.load(OFFLINE_ACCOUNT).open.values():
            waits_for_open = not is_open and intent.state is IntentState.PREPARED and not intent.is_entry
            rests = intent.state in (IntentState.ACKED, IntentState.PARTIALLY_FILLED) and not (
                intent.is_entry and entries_stopped
            )
            if not waits_for_open and not rests:
                raise Violation(
                    10 if not intent.is_entry or not entries_stopped else 4, f"{intent.id} is still {intent.state}"
                )
        if self.world.ledgers.load(OFFLINE_ACCOUNT).finished:
            raise Violation(10, "finished intents were never archived")

    @property
    def _today(self) -> Any:
        return self.world.clock.now().date()

    def _nothing_unprotected(self) -> None:
        """Look for a position that stood below its stop for three quiet minutes without being sold (invariant 7)."""
        ledger = self.world.ledgers.load(OFFLINE_ACCOUNT)
        for position in self.world.positions.all():
            recent = [price for _, price in self._prices.get(position.symbol, [])[-3:]]
            below = all(price <= position.stop_price for price in recent)
            if below and ledger.open_for(position.symbol, Side.SELL) is None and not self._closed_now():
                raise Violation(7, f"{position.symbol} stands below its stop and nothing sells it")

    def _closed_now(self) -> bool:
        return self.world.clock.now() >= self.world.calendar.days(self._today, self._today)[0].closes

    def _agrees_with_broker(self) -> None:
        exchange = self.world.exchange
        ledger = self.world.ledgers.load(OFFLINE_ACCOUNT)
        for order in exchange.orders():
            key = IntentId(order.client_order_id)
            intent = ledger.open.get(key) or self.world.ledgers.closed(key)
            if intent is None:
                raise Violation(5, f"the broker has {key}, the book does not")
            if key not in self._sends():
                raise Violation(5, f"{key} was never journaled as sent")
            self._same(intent, order)
        ours = {p.symbol: p.quantity for p in self.world.positions.all()}
        theirs = {p.symbol: p.quantity for p in exchange.positions()}
        if ours != theirs:
            raise Violation(10, f"our positions {ours} are not the broker's {theirs}")

    def _same(self, intent: Intent, order: Order) -> None:
        ended = intent.state in TERMINAL or not order.is_live
        same = intent.state is INTENT_STATE[order.status] and intent.filled_quantity == order.filled_quantity
        if ended and not same:
            raise Violation(5, f"{intent.id} is {intent.state}, the broker says {order.status}")

    def _chain_is_whole(self) -> None:
        broken = first_break(self.world.journal.links())
        if broken is not None:
            raise Violation(5, f"journal broken at {broken.day} {broken.sequence}: {broken.what}")

    def _alerts_arrived(self) -> None:
        """Every alert is told, counted in an incident, or dead-lettered; none is marked sent that was not accepted."""
        dead = {alert.id for alert in self.dead_alerts}
        for incident in self.world.outbox.every():
            for channel, delivery in incident.deliveries.items():
                accepted = any(
                    m.alert.incident_key == incident.alert.incident_key
                    and m.alert.occurrence == incident.alert.occurrence
                    for m in self.world.channels[channel].sent
                )
                if delivery.state is DeliveryState.SENT and not accepted:
                    raise Violation(6, f"{incident.key} is marked sent to {channel}, which never took it")
                if delivery.state is DeliveryState.PENDING:
                    raise Violation(10, f"{incident.key} is still pending for {channel}")
        for alert in self._raised:
            if alert.id in dead or alert.recovers:
                continue
            incidents = self.world.outbox.open_incidents(alert.incident_key)
            if not any(alert.id == i.alert.id or alert.id in i.seen for i in incidents):
                raise Violation(6, f"{alert.id} is neither told nor counted nor dead-lettered")

    def decisions(self) -> list[str]:
        """List what was decided, in an order and form that is the same for the same decisions."""
        ledger = self.world.ledgers.load(OFFLINE_ACCOUNT)
        every = (*self.world.ledgers.every_closed(), *ledger.finished.values(), *ledger.open.values())
        return sorted(f"{i.id} {i.symbol} {i.side} {plain(i.quantity)} {i.state}" for i in every)
