"""The invariants, checked from outside on what the exchange, the book and the journal really hold.

The numbers are those of the project's list: 1 one live order per intent, 2 limits, 4 the kill switch, 5 every order
has its chain, 6 alerts, 7 exits, 9 and 8 repeatability (compared between runs), 10 everything comes to rest, 11 cash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from shared.adapters.memory.prices import BarFeed
from shared.bootstrap.offline import OFFLINE_ACCOUNT, OfflineWorld
from shared.bootstrap.wiring import Rules
from shared.domain.alerts import Alert, AlertKind, Channel, Delivery, DeliveryState
from shared.domain.assets import Symbol
from shared.domain.intents import (
    IN_DOUBT,
    MAX_SENDS,
    TERMINAL,
    Intent,
    IntentId,
    IntentState,
    Side,
    is_ours,
)
from shared.domain.journal import first_break
from shared.domain.ledger import Ledger
from shared.domain.money import ZERO, plain
from shared.domain.orders import INTENT_STATE, Order, PlaceOrder
from shared.domain.session import trading_day_at

SLACK: Final = Decimal("1.02")
"""Held shares are judged at prices up to a minute and a half old; the bought symbols move far less than this."""
KNOWN_FOR: Final = timedelta(minutes=12)
"""Limits are shares of the equity of the last clean reconciliation, which may be this old."""
SEEN_WITHIN: Final = timedelta(minutes=4)
"""A price that decided an exit was the market's within this time before it."""
_DIFFERENCES: Final = frozenset({AlertKind.POSITION_MISMATCH, AlertKind.CASH_MISMATCH, AlertKind.FOREIGN_ORDER})
_ENDINGS: Final = frozenset(
    {AlertKind.ORDER_FILLED, AlertKind.ORDER_CLOSED_UNFILLED, AlertKind.ORDER_REFUSED, AlertKind.ORDER_ABANDONED}
)


class Violation(Exception):
    """A broken invariant: its number (0: an error escaped, or a promise outside the list) and what was seen."""

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
        self.killed = False
        self.traded_by_hand: Symbol | None = None
        self.dead_alerts: list[Alert] = []
        self._raised: list[Alert] = []
        self._recorded: set[str] = set()
        self._journal_read = 0
        self._prices: dict[Symbol, list[tuple[datetime, Decimal]]] = {}
        self._failure: Violation | None = None
        self._terminal: dict[IntentId, IntentState] = {}
        self._equities: list[tuple[datetime, Decimal]] = []
        self._under_way: Counter[IntentId] = Counter()
        self._weighed: set[IntentId] = set()
        self._bought_for: dict[str, IntentId] = {}
        self._executor: tuple[str, datetime] | None = None

    def fail(self, violation: Violation) -> None:
        """Remember a violation seen inside an invocation; the run stops at its next check."""
        self._failure = self._failure or violation

    # events

    def on_kill(self) -> None:
        """Note when the kill switch was set."""
        self.killed = True

    def on_trade_by_hand(self, request: PlaceOrder) -> None:
        """Note a trade that no intent explains; without one, every difference reported is a false alarm."""
        self.traded_by_hand = request.symbol

    def on_alert(self, alert: Alert) -> None:
        """Note an alert that the queue took."""
        self._raised.append(alert)
        if alert.kind in _DIFFERENCES and self.traded_by_hand is None:
            self.fail(Violation(11, f"nobody traded by hand, yet: {alert.text}"))

    def on_market(self) -> None:
        """Note the true prices of this minute."""
        now = self.world.clock.now()
        self._equities.append((now, self.world.exchange.account().equity))
        for symbol in self.world.watchlist.symbols():
            price = self.world.exchange.last_price(symbol)
            if price is not None:
                self._prices.setdefault(symbol, []).append((now, price))

    def on_call(self, where: str, arguments: tuple[Any, ...]) -> None:
        """Look at a request to the broker as it leaves; it may land twelve seconds later."""
        if where != "broker.submit":
            return
        request: PlaceOrder = arguments[0]
        self._under_way[IntentId(request.client_order_id)] += 1
        if request.side is Side.BUY and self.killed:
            self.fail(Violation(4, f"{request.symbol} {request.side} was sent after the kill switch"))
        quiet_until = self.world.ledgers.load(OFFLINE_ACCOUNT).quiet_until
        if quiet_until is not None and self.world.clock.now() < quiet_until:
            self.fail(Violation(0, f"{request.symbol} {request.side} was sent while the broker asked us to wait"))

    def on_arrival(self, where: str, arguments: tuple[Any, ...]) -> None:
        """Note that a request reached the broker, or never will."""
        if where == "broker.submit":
            self._under_way[IntentId(arguments[0].client_order_id)] -= 1

    def watch(self, port: str, method: str, arguments: tuple[Any, ...], result: Any) -> None:
        """Look at one port call right after it took effect."""
        if port == "broker" and method == "submit":
            self._on_submit(arguments[0], result)
        elif port == "ledgers" and method == "save":
            self._on_ledger(result)
        elif port == "leases":
            self._one_executor(method, arguments, result)

    def _on_submit(self, request: PlaceOrder, order: Order) -> None:
        self._one_live_order(order)
        self._has_chain(request)
        if request.side is Side.BUY:
            self._inside_limits(request)
            self._inside_pace(request)
            self._first_for_its_decision(request)
        else:
            self._was_due(request)

    def _on_ledger(self, ledger: Ledger) -> None:
        for intent in ledger.finished.values():
            before = self._terminal.setdefault(intent.id, intent.state)
            if before is not intent.state:
                self.fail(Violation(5, f"{intent.id} was {before} and is {intent.state}"))
        self._prepared_inside_limits(ledger)
        for intent in (*ledger.open.values(), *ledger.finished.values()):
            if intent.sends > MAX_SENDS:
                self.fail(Violation(1, f"{intent.id} was sent {intent.sends} times"))
            if self._under_way[intent.id] and intent.state not in IN_DOUBT:
                self.fail(Violation(5, f"{intent.id} became {intent.state} while its request was under way"))

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
        exchange = self.world.exchange
        value: dict[Symbol, Decimal] = {}
        for held in exchange.positions():
            value[held.symbol] = held.quantity * self._lowest(held.symbol)
        for order in exchange.live_orders():
            if order.side is Side.BUY:
                price = order.limit_price or self._lowest(order.symbol)
                value[order.symbol] = value.get(order.symbol, ZERO) + (order.quantity - order.filled_quantity) * price
        self._compare_with_limits({request.symbol: value[request.symbol]}, sum(value.values(), ZERO))

    def _compare_with_limits(self, joining: Mapping[Symbol, Decimal], total: Decimal) -> None:
        limits = self.rules.limits
        equity = max(figure for at, figure in self._equities if at >= self.world.clock.now() - KNOWN_FOR)
        for symbol, value in joining.items():
            if value > limits.per_symbol * equity * SLACK:
                self.fail(Violation(2, f"{symbol} would be {plain(value)} of {plain(equity)}"))
        if total > limits.total * equity * SLACK:
            self.fail(Violation(2, f"positions would be {plain(total)} of {plain(equity)}"))

    def _lowest(self, symbol: Symbol) -> Decimal:
        """Give the lowest price the gate may have seen: a price that rose since breaks no limit."""
        since = self.world.clock.now() - SEEN_WITHIN
        return min((price for at, price in self._prices.get(symbol, []) if at >= since), default=ZERO)

    def _prepared_inside_limits(self, ledger: Ledger) -> None:
        """Add up what is held and what open entries may still cost, whenever an entry joins them."""
        entries = [intent for intent in ledger.open.values() if intent.is_entry]
        joined = {intent.id for intent in entries if intent.state is IntentState.PREPARED} - self._weighed
        self._weighed |= joined
        if not joined:
            return
        value = {held.symbol: held.quantity * self._lowest(held.symbol) for held in self.world.exchange.positions()}
        for intent in entries:
            order = self.world.exchange.order_by_client_id(intent.id)
            rest = intent.quantity - (order.filled_quantity if order else ZERO)
            value[intent.symbol] = value.get(intent.symbol, ZERO) + rest * intent.worst_price
        joining = [intent.symbol for intent in entries if intent.id in joined]
        self._compare_with_limits({symbol: value[symbol] for symbol in joining}, sum(value.values(), ZERO))

    def _inside_pace(self, request: PlaceOrder) -> None:
        """Count a symbol's entries; a run is shorter than the hour they are counted in (fault 46)."""
        entries = [o for o in self.world.exchange.orders() if o.symbol == request.symbol and o.side is Side.BUY]
        if len(entries) > self.rules.limits.entries_per_hour:
            self.fail(Violation(2, f"{request.symbol} had {len(entries)} entries within the hour"))

    def _first_for_its_decision(self, request: PlaceOrder) -> None:
        key = IntentId(request.client_order_id)
        intent = self.world.ledgers.load(OFFLINE_ACCOUNT).open.get(key)
        if intent is not None and self._bought_for.setdefault(intent.purpose.key, key) != key:
            self.fail(Violation(1, f"one decision bought twice in {request.symbol}"))

    def _one_executor(self, method: str, arguments: tuple[Any, ...], result: Any) -> None:
        """Look for two runs that hold the executor's lease at once (fault 4)."""
        owner, now = arguments[1], self.world.clock.now()
        if method == "release":
            if self._executor is not None and self._executor[0] == owner:
                self._executor = None
        elif result:
            if self._executor is not None and self._executor[0] != owner and now < self._executor[1]:
                self.fail(Violation(1, f"{owner} and {self._executor[0]} hold the lease at once"))
            self._executor = owner, arguments[3]

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
        self._trade_by_hand_was_told()
        self._chain_is_whole()
        self._ends_were_told()
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
            if not is_ours(order.client_order_id):
                continue
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

    def _trade_by_hand_was_told(self) -> None:
        """Look for the alert of a position that somebody else changed, if that order filled (fault 45)."""
        symbol = self.traded_by_hand
        filled = any(o.filled_quantity for o in self.world.exchange.orders() if not is_ours(o.client_order_id))
        if filled and not any(a.kind == AlertKind.POSITION_MISMATCH and a.subject == symbol for a in self._raised):
            raise Violation(6, f"somebody sold {symbol} by hand and nobody was told")

    def _ends_were_told(self) -> None:
        """Look for the alert and the journal entry of every finished intent, and for the alert of every exit."""
        alerts = {(alert.kind, alert.occurrence) for alert in self._raised}
        ended = {occurrence for kind, occurrence in alerts if kind in _ENDINGS}
        closed = "".join(link.body for link in self.world.journal.links() if '"kind":"intent_closed"' in link.body)
        for intent in self.world.ledgers.every_closed():
            if intent.id not in ended:
                raise Violation(6, f"how {intent.id} ended was not told")
            if intent.id not in closed:
                raise Violation(5, f"how {intent.id} ended was not journaled")
            if intent.told and (AlertKind.STOP_TRIGGERED, intent.id) not in alerts:
                raise Violation(6, f"{intent.id} is marked told, but nobody was told of it")

    def _alerts_arrived(self) -> None:
        """Every alert is told, counted in an incident, or dead-lettered; none is marked sent that was not accepted."""
        dead = {alert.id for alert in self.dead_alerts}
        for incident in self.world.outbox.every():
            self._delivered(incident.alert, incident.deliveries)
            if incident.recovery is not None:
                if incident.recovery.at < incident.alert.at:
                    raise Violation(6, f"{incident.key} was ended by {incident.recovery.id}, which is older")
                self._delivered(incident.recovery, incident.recovery_deliveries)
        known = {key for i in self.world.outbox.every() for key in (i.alert.id, *i.seen)}
        for alert in self._raised:
            if alert.id in dead or alert.recovers:
                continue
            if alert.id not in known:
                raise Violation(6, f"{alert.id} is neither told nor counted nor dead-lettered")

    def _delivered(self, alert: Alert, deliveries: Mapping[Channel, Delivery]) -> None:
        for channel, delivery in deliveries.items():
            accepted = any(message.alert.id == alert.id for message in self.world.channels[channel].sent)
            if delivery.state is DeliveryState.SENT and not accepted:
                raise Violation(6, f"{alert.id} is marked sent to {channel}, which never took it")
            if delivery.state is DeliveryState.PENDING:
                raise Violation(10, f"{alert.id} is still pending for {channel}")
            if delivery.state is DeliveryState.DEAD and not any(
                alert.id in d.item for d in self.world.dead_letters.kept
            ):
                raise Violation(6, f"{alert.id} was given up for {channel} without a dead letter")

    def decisions(self) -> list[str]:
        """List what was decided, in an order and form that is the same for the same decisions."""
        ledger = self.world.ledgers.load(OFFLINE_ACCOUNT)
        every = (*self.world.ledgers.every_closed(), *ledger.finished.values(), *ledger.open.values())
        return sorted(f"{i.id} {i.symbol} {i.side} {plain(i.quantity)} {i.state}" for i in every)
