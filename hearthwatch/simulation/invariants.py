"""The invariants, checked from outside on what the exchange, the book and the journal really hold.

The numbers are those of the project's list: 1 one live order per intent, 2 limits, 4 the kill switch, 5 every order
has its chain, 6 alerts, 7 exits, 9 and 8 repeatability (compared between runs), 10 everything comes to rest, 11 cash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from itertools import pairwise
from typing import Any, Final

from hearthwatch.simulation.corporate import Known, Plan
from hearthwatch.simulation.market import HELD, OPENING_PRICE, STOP_LOSS
from hearthwatch.simulation.people import Deeds
from shared.bootstrap.offline import OFFLINE_ACCOUNT, OfflineWorld
from shared.bootstrap.wiring import Rules
from shared.domain.alerts import Alert, AlertKind, Channel, Delivery, DeliveryState
from shared.domain.assets import Symbol
from shared.domain.coverage import Held, coverage
from shared.domain.errors import BrokerRefusal, Refusal
from shared.domain.intents import (
    IN_DOUBT,
    MAX_SENDS,
    TERMINAL,
    Intent,
    IntentId,
    IntentState,
    OrderType,
    Reason,
    Side,
    TimeInForce,
    is_ours,
)
from shared.domain.journal import first_break
from shared.domain.ledger import Ledger
from shared.domain.money import CENT, ONE, ZERO, is_whole, plain, round_to_cent
from shared.domain.orders import INTENT_STATE, Order, OrderStatus, PlaceOrder
from shared.domain.reconciliation import BrokerFacts
from shared.domain.session import trading_day_at
from shared.domain.trading_state import UNREADABLE_KILL_SWITCH, SwitchMode

SLACK: Final = Decimal("1.02")
"""Held shares are judged at prices up to a minute and a half old; the bought symbols move far less than this."""
KNOWN_FOR: Final = timedelta(minutes=12)
"""Limits are shares of the equity of the last clean reconciliation, which may be this old."""
OVERTAKEN_WITHIN: Final = timedelta(seconds=75)
"""A run that read something before this time is over: it lives for a minute, and its last request a little longer."""
SETTLED_AFTER: Final = timedelta(seconds=130)
"""Two ticks after an order came or went, the book and what rests at the broker follow."""
SEEN_WITHIN: Final = timedelta(minutes=4)
"""A price that decided an exit was the market's within this time before it."""
_DIFFERENCES: Final = frozenset({AlertKind.POSITION_MISMATCH, AlertKind.CASH_MISMATCH, AlertKind.FOREIGN_ORDER})
_ENDINGS: Final = frozenset(
    {AlertKind.ORDER_FILLED, AlertKind.ORDER_CLOSED_UNFILLED, AlertKind.ORDER_REFUSED, AlertKind.ORDER_ABANDONED}
)


def _changed_at(order: Order) -> datetime:
    return max(at for at in (order.submitted_at, order.filled_at, order.closed_at) if at is not None)


def _is_stop(order: Order) -> bool:
    return order.order_type is OrderType.STOP


class Violation(Exception):
    """A broken invariant: its number (0: an error escaped, or a promise outside the list) and what was seen."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(f"invariant {number}: {what}" if number else what)
        self.number = number


class Checks:
    """Watches one run."""

    def __init__(
        self, world: OfflineWorld, cash: Decimal, deeds: Deeds, plan: Plan | None, current: Callable[[], str]
    ) -> None:
        self.world = world
        self.rules = Rules()
        self.start_cash = cash
        self.deeds = deeds
        self.plan = plan
        self._current = current
        self.late_answers = False
        self._read_switch: dict[str, bool] = {}
        self.killed = self.frozen = self.flattened = self._bad_stops = False
        self.dead_alerts: list[Alert] = []
        self._raised: list[Alert] = []
        self._recorded: set[str] = set()
        self._journal_read: Counter[date] = Counter()
        self._prices: dict[Symbol, list[tuple[datetime, Decimal]]] = {}
        self._failure: Violation | None = None
        self._terminal: dict[IntentId, IntentState] = {}
        self._equities: list[tuple[datetime, Decimal]] = []
        self._under_way: Counter[IntentId] = Counter()
        self._weighed: set[IntentId] = set()
        self._bought_for: dict[str, IntentId] = {}
        self._executor: tuple[str, datetime] | None = None
        self._paid_out = ZERO
        self._held_at_action = False
        self._books: dict[Symbol, list[tuple[datetime, Decimal]]] = {}
        self._frozen: dict[Symbol, datetime] = {}
        self._first_pass: datetime | None = None
        self._seen_by_hand: set[str] = set()
        for position in world.positions.all():
            self._books[position.symbol] = [(world.clock.now(), position.quantity)]

    def fail(self, violation: Violation) -> None:
        """Remember a violation seen inside an invocation; the run stops at its next check."""
        self._failure = self._failure or violation

    # events

    def on_switch(self, mode: SwitchMode) -> None:
        """Note what was stopped from now on."""
        self.killed = mode is not SwitchMode.OFF
        self.frozen = mode is SwitchMode.FREEZE
        self.flattened = self.flattened or mode is SwitchMode.FLATTEN

    def on_bad_stops(self) -> None:
        """Note that the broker treats stop orders badly from now on."""
        self._bad_stops = True

    def on_action(self, paid_out: Decimal, *, held: bool) -> None:
        """Note that a split or dividend took effect at the exchange, what it paid, and whether its symbol was held."""
        self._paid_out += paid_out
        # a book that begins after a dividend takes the account's cash as it is
        self._held_at_action = held and (not paid_out or self._first_pass is not None)

    def on_alert(self, alert: Alert) -> None:
        """Note an alert that the queue took; a difference that nothing done past the book explains is a false one."""
        self._raised.append(alert)
        if alert.kind in _DIFFERENCES and not self._has_cause(alert):
            self.fail(Violation(11, f"nobody traded by hand, yet: {alert.text}"))

    def _has_cause(self, alert: Alert) -> bool:
        surprise = self.plan is not None and self.plan.known is not Known.IN_TIME
        if alert.kind == AlertKind.FOREIGN_ORDER:
            return alert.subject.split()[-1] in self.deeds.orders
        if alert.kind == AlertKind.CASH_MISMATCH:
            paid_late = self.late_answers and self._paid_out
            return bool(self.deeds.cash or self.deeds.orders or surprise or paid_late)
        by_hand = alert.subject in self.deeds.orders.values()
        return by_hand or (surprise and self.plan is not None and alert.subject == self.plan.action.symbol)

    def on_refusal(self, where: str, arguments: tuple[Any, ...], refusal: BrokerRefusal) -> None:
        """Look at what the broker refused: we never ask for more than is there, unless somebody just took it."""
        if where != "broker.submit" or refusal.kind is not Refusal.SHARES_RESERVED:
            return
        symbol = arguments[0].symbol
        touched = self.deeds.touched.get(symbol)
        if touched is None or touched < self.world.clock.now() - OVERTAKEN_WITHIN:
            self.fail(Violation(7, f"{symbol}: more was to be sold than is there: {refusal.message}"))

    def on_market(self) -> None:
        """Note the true prices of this minute."""
        now = self.world.clock.now()
        self._equities.append((now, self.world.exchange.account().equity))
        for symbol in self.world.exchange.listings:
            price = self.world.exchange.last_price(symbol)
            if price is not None:
                self._prices.setdefault(symbol, []).append((now, price))

    def on_call(self, where: str, arguments: tuple[Any, ...]) -> None:
        """Look at a request to the broker as it leaves; it may land twelve seconds later."""
        if where == "controls.kill_switch":
            self._read_switch[self._current()] = False
        if where != "broker.submit":
            return
        request: PlaceOrder = arguments[0]
        self._not_frozen_out(request)
        self._under_way[IntentId(request.client_order_id)] += 1
        if request.side is Side.BUY and self.killed:
            self.fail(Violation(4, f"{request.symbol} {request.side} was sent after the kill switch"))
        quiet_until = self.world.ledgers.load(OFFLINE_ACCOUNT).quiet_until
        if quiet_until is not None and self.world.clock.now() < quiet_until:
            self.fail(Violation(0, f"{request.symbol} {request.side} was sent while the broker asked us to wait"))

    def _not_frozen_out(self, request: PlaceOrder) -> None:
        """Look for a sell under a freeze; only a run that could not read the switch may send it (fault 44)."""
        if self.frozen and self._read_switch.get(self._current(), True):
            self.fail(Violation(4, f"{request.symbol} {request.side} was sent while everything is frozen"))

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
        elif port == "controls" and method == "kill_switch":
            self._read_switch[self._current()] = result is not UNREADABLE_KILL_SWITCH
        elif port == "leases":
            self._one_executor(method, arguments, result)
        elif port == "positions" and method in ("put", "remove"):
            quantity = arguments[0].quantity if method == "put" else ZERO
            self._books.setdefault(arguments[0].symbol, []).append((self.world.clock.now(), quantity))
        elif port == "records" and method == "put":
            self._on_facts(result)

    def _on_submit(self, request: PlaceOrder, order: Order) -> None:
        self._one_live_order(order)
        self._has_chain(request)
        if request.side is Side.BUY:
            self._inside_limits(request)
            self._inside_pace(request)
            self._not_frozen(request)
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
        """Look for two trades at once in a symbol, two stops of a kind, or a trade beside a stop (RSK-05)."""
        live = [o for o in self.world.exchange.live_orders() if is_ours(o.client_order_id) and o.symbol == order.symbol]
        slots = Counter((o.side, o.order_type is OrderType.STOP, is_whole(o.quantity)) for o in live if _is_stop(o))
        trades = [o for o in live if not _is_stop(o)]
        if len(trades) > 1 or any(count > 1 for count in slots.values()):
            self.fail(Violation(1, f"two live {order.side} orders in {order.symbol}"))
        if trades and slots:
            self.fail(Violation(7, f"{order.symbol} is traded while its stop rests at the broker"))

    def _has_chain(self, request: PlaceOrder) -> None:
        """Look for the order as a SENT intent in the ledger, and an entry's send in the journal before it leaves."""
        intent = self.world.ledgers.load(OFFLINE_ACCOUNT).open.get(IntentId(request.client_order_id))
        if intent is None or intent.state is IntentState.PREPARED:
            self.fail(Violation(5, f"{request.symbol} {request.side} was sent without a record of it in the ledger"))
        if request.side is Side.BUY and request.client_order_id not in self._sends():
            self.fail(Violation(5, f"{request.symbol} {request.side} was sent without a record of it in the journal"))

    def _inside_limits(self, request: PlaceOrder) -> None:
        exchange = self.world.exchange
        value = self._held_value()
        for order in exchange.live_orders():
            if order.side is Side.BUY and is_ours(order.client_order_id):
                price = order.limit_price or self._lowest(order.symbol)
                value[order.symbol] = value.get(order.symbol, ZERO) + (order.quantity - order.filled_quantity) * price
        self._compare_with_limits({request.symbol: value[request.symbol]}, sum(value.values(), ZERO))

    def _held_value(self) -> dict[Symbol, Decimal]:
        """Value what is held; shares bought by hand count once every run that began before has ended."""
        value = {}
        for held in self.world.exchange.positions():
            quantity = held.quantity
            if held.symbol in self.deeds.orders.values() or self._has_action(held.symbol):
                quantity = min(quantity, self._lowest_in_book(held.symbol))
            value[held.symbol] = quantity * self._lowest(held.symbol)
        return value

    def _has_action(self, symbol: Symbol) -> bool:
        return self.plan is not None and self.plan.action.symbol == symbol

    def _lowest_in_book(self, symbol: Symbol) -> Decimal:
        since = self.world.clock.now() - OVERTAKEN_WITHIN
        noted = self._books.get(symbol, [])
        recent = [quantity for at, quantity in noted if at >= since]
        before = [quantity for at, quantity in noted if at < since]
        return min([*recent, before[-1] if before else ZERO])

    def _not_frozen(self, request: PlaceOrder) -> None:
        """Look for an entry in a symbol whose quantity is unexplained since before the run began (fault 45)."""
        since = self._frozen.get(request.symbol)
        if since is not None and since < self.world.clock.now() - OVERTAKEN_WITHIN:
            self.fail(Violation(5, f"{request.symbol} was bought while its quantity is unexplained"))

    def _on_facts(self, facts: BrokerFacts) -> None:
        """Note what a pass took for the broker's word; an order by hand that rested all through it must be in it."""
        now = self.world.clock.now()
        self._first_pass = self._first_pass or now
        self._frozen = {symbol: self._frozen.get(symbol, now) for symbol in facts.frozen}
        for order in self.world.exchange.live_orders():
            if not is_ours(order.client_order_id) and order.submitted_at < facts.at - OVERTAKEN_WITHIN:
                self._seen_by_hand.add(order.client_order_id)
                if not any(order.client_order_id in stranger for stranger in facts.strangers):
                    self.fail(Violation(5, f"{order.client_order_id} rests at the broker and no pass sees it"))

    def _known_equities(self) -> Iterator[Decimal]:
        """Give what the account was worth while it was last known, beginning with what stood then, as over a night."""
        since = self.world.clock.now() - KNOWN_FOR
        for (_, figure), (until, _) in pairwise(self._equities):
            if until >= since:
                yield figure
        yield self._equities[-1][1]

    def _compare_with_limits(self, joining: Mapping[Symbol, Decimal], total: Decimal) -> None:
        limits = self.rules.limits
        equity = max(self._known_equities())
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
        value = self._held_value()
        for intent in entries:
            order = self.world.exchange.order_by_client_id(intent.id)
            rest = intent.quantity - (order.filled_quantity if order else ZERO)
            value[intent.symbol] = value.get(intent.symbol, ZERO) + rest * intent.worst_price
        joining = [intent.symbol for intent in entries if intent.id in joined]
        self._compare_with_limits({symbol: value[symbol] for symbol in joining}, sum(value.values(), ZERO))

    def _inside_pace(self, request: PlaceOrder) -> None:
        """Count our entries in a symbol within the hour (fault 46)."""
        since = self.world.clock.now() - timedelta(hours=1)
        ours = [o for o in self.world.exchange.orders() if is_ours(o.client_order_id) and o.submitted_at >= since]
        entries = [o for o in ours if o.symbol == request.symbol and o.side is Side.BUY]
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
        if intent is None or intent.rests:
            return
        if intent.purpose.reason is Reason.FLATTEN:
            if not self.flattened:
                self.fail(Violation(7, f"{intent.symbol} was sold though nobody ordered it"))
            return
        if intent.purpose.reason is Reason.UNPROTECTED:
            if not self._bad_stops:
                self.fail(Violation(7, f"{intent.symbol} was sold as unprotected though the broker took every stop"))
            return
        seen = [p for at, p in self._prices.get(intent.symbol, []) if at >= intent.created_at - SEEN_WITHIN]
        level = intent.evidence.level
        if level is None or not any(price <= level for price in seen):
            self.fail(Violation(7, f"{intent.symbol} was sold at {intent.evidence.price} though never at {level}"))
        elif self.plan is not None and self.plan.known is Known.IN_TIME:
            self._followed_the_action(self.plan, intent, level)

    def _followed_the_action(self, plan: Plan, intent: Intent, level: Decimal) -> None:
        """Compare the level of a sell after an action with the stop it must have by then, cent for cent (PRC-06)."""
        ex = plan.action.ex_date
        if intent.symbol != plan.action.symbol or intent.created_at.date() < ex or intent.symbol not in HELD:
            return
        if any(fill.symbol == intent.symbol and fill.side is Side.BUY for fill in self.world.exchange.fills):
            return
        stop = round_to_cent(plan.entry(OPENING_PRICE) * (ONE - STOP_LOSS))
        if level != stop:
            what = f"{intent.symbol} was sold at the level {plain(level)}, after the {plan.action.kind} it is"
            self.fail(Violation(7, f"{what} {plain(stop)}"))

    def _sends(self) -> set[str]:
        for link in self.world.journal.links():
            if link.sequence <= self._journal_read[link.day]:
                continue
            self._journal_read[link.day] = link.sequence
            if '"kind":"order_sending"' in link.body:
                self._recorded.add(link.body.split('"id":"', 1)[1].split('"', 1)[0])
        return self._recorded

    # every minute and at the end

    def every_minute(self) -> None:
        """Raise the first violation so far; check what must hold at any time."""
        if self._failure is not None:
            raise self._failure
        fills = sum(
            (f.quantity * f.price * (1 if f.side is Side.SELL else -1) for f in self.world.exchange.fills), ZERO
        )
        explained = self.start_cash + fills + self._paid_out + sum((amount for _, amount in self.deeds.cash), ZERO)
        if self.world.exchange.cash != explained:
            raise Violation(11, f"cash is {self.world.exchange.cash}, what happened explains {explained}")
        for held in self.world.exchange.positions():
            if not ZERO <= held.available <= held.quantity:
                raise Violation(7, f"{held.symbol}: {held.available} of {held.quantity} shares are free to be sold")

    def at_rest(self, *, entries_stopped: bool, undisturbed: bool) -> None:
        """Check what must hold once the faults have stopped and a few quiet runs have passed.

        `undisturbed` says that no call failed at all, so that every promise on time must have been kept.
        """
        self.every_minute()
        if undisturbed:
            self._refused_stops_were_followed()
        self._nothing_pending(entries_stopped=entries_stopped)
        self._nothing_unprotected()
        self._stops_rest()
        self._flattened()
        self._coverage_is_true()
        self._agrees_with_broker()
        self._deeds_were_told()
        self._action_was_taken()
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
            follows = intent.rests and intent.state is IntentState.PREPARED and intent.symbol in self._moving
            if not waits_for_open and not rests and not follows:
                raise Violation(
                    10 if not intent.is_entry or not entries_stopped else 4, f"{intent.id} is still {intent.state}"
                )
        since = self.world.clock.now() - SETTLED_AFTER
        finished = self.world.ledgers.load(OFFLINE_ACCOUNT).finished.values()
        if any(intent.closed_at is None or intent.closed_at < since for intent in finished):
            raise Violation(10, "finished intents were never archived")

    @property
    def _today(self) -> Any:
        return self.world.clock.now().date()

    def _nothing_unprotected(self) -> None:
        """Look for a position that stood below its stop for three quiet minutes without being sold (invariant 7)."""
        ledger = self.world.ledgers.load(OFFLINE_ACCOUNT)
        known_since = self.world.clock.now() - SEEN_WITHIN
        for position in self.world.positions.all():
            if self._books[position.symbol][-1][0] >= known_since:
                continue  # prices go stale before a pass that found it so late is followed by two ticks
            recent = [price for _, price in self._prices.get(position.symbol, [])[-3:]]
            below = all(price <= position.stop_price for price in recent)
            if below and ledger.open_for(position.symbol, Side.SELL) is None and not self._closed_now():
                raise Violation(7, f"{position.symbol} stands below its stop and nothing sells it")

    def _stops_rest(self) -> None:
        """Compare the stops that rest at the broker with what is held, share for share and cent for cent (RSK-05)."""
        ledger, exchange = self.world.ledgers.load(OFFLINE_ACCOUNT), self.world.exchange
        held = {position.symbol: position for position in self.world.positions.all()}
        live = [o for o in exchange.live_orders() if is_ours(o.client_order_id) and _is_stop(o)]
        for order in live:
            if order.symbol not in held:
                raise Violation(7, f"a stop rests in {order.symbol}, of which nothing is held")
        for position in held.values():
            whole = position.quantity.to_integral_value(ROUND_DOWN)
            if not whole or ledger.trade_in(position.symbol) is not None or position.symbol in self._moving:
                continue
            resting = [o for o in live if o.symbol == position.symbol and o.time_in_force is TimeInForce.GTC]
            found = [(o.quantity - o.filled_quantity, o.stop_price, o.status is OrderStatus.PENDING) for o in resting]
            if not found and self._closed_now():
                continue  # a stop is placed in the session only
            if found != [(whole, position.stop_price, False)]:
                what = f"{plain(whole)} shares at {position.stop_price}"
                raise Violation(7, f"{position.symbol}: a stop for {what} should rest, there are {found}")

    def _refused_stops_were_followed(self) -> None:
        """Look for the sale of what the broker refused to protect, unless it is gone by itself (fault 12)."""
        held = {position.symbol for position in self.world.positions.all()}
        ledger = self.world.ledgers.load(OFFLINE_ACCOUNT)
        every = (*self.world.ledgers.every_closed(), *ledger.finished.values(), *ledger.open.values())
        for order in self.world.exchange.orders():
            if order.status is not OrderStatus.REJECTED or not is_whole(order.quantity) or order.symbol not in held:
                continue
            sales = (i for i in every if i.symbol == order.symbol and i.side is Side.SELL and not i.rests)
            if order.symbol not in self._moving and not any(i.created_at >= order.submitted_at for i in sales):
                raise Violation(7, f"{order.symbol}: the broker refused its stop and nothing sold it")

    def _flattened(self) -> None:
        """Look for a position that nothing sells although a person ordered everything sold (BRK-04)."""
        if not self.world.controls.kill_switch().flattens or self._closed_now():
            return
        ledger = self.world.ledgers.load(OFFLINE_ACCOUNT)
        for position in self.world.positions.all():
            if ledger.open_for(position.symbol, Side.SELL) is None and position.symbol not in self._moving:
                raise Violation(7, f"{position.symbol} was to be sold, and nothing sells it")

    def _coverage_is_true(self) -> None:
        """Compare the coverage last published with what rests at the broker; prices go stale at the end (RSK-06)."""
        if self._closed_now() or self._moving:
            return
        live = [o for o in self.world.exchange.live_orders() if is_ours(o.client_order_id) and _is_stop(o)]
        working = [o for o in live if o.status is not OrderStatus.PENDING]
        resting: dict[Symbol, Decimal] = {}
        for order in working:
            resting[order.symbol] = resting.get(order.symbol, ZERO) + order.quantity - order.filled_quantity
        held = self.world.exchange.positions()
        true = coverage(Held(h.symbol, h.quantity, resting.get(h.symbol, ZERO), True) for h in held)
        published = self.world.controls.coverage()
        if published is None or published.coverage.broker_pct != true.broker_pct:
            raise Violation(7, f"{true.broker_pct} % rest under stops, published is {published}")

    @property
    def _moving(self) -> set[Symbol]:
        """Name the symbols in which an order came or went a moment ago: passes and ticks have yet to follow."""
        since = self.world.clock.now() - SETTLED_AFTER
        return {order.symbol for order in self.world.exchange.orders() if _changed_at(order) >= since}

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
            if order.symbol not in self._moving:
                self._same(intent, order)
        ours = {p.symbol: p.quantity for p in self.world.positions.all()}
        theirs = {p.symbol: p.quantity for p in exchange.positions()}
        if ours != theirs:
            raise Violation(10, f"our positions {ours} are not the broker's {theirs}")
        facts = self.world.records.last()
        if facts is None or facts.untold or facts.quantities != theirs or abs(facts.cash - exchange.cash) >= CENT:
            raise Violation(10, f"the last pass took {facts} for what the broker says")

    def _same(self, intent: Intent, order: Order) -> None:
        ended = intent.state in TERMINAL or not order.is_live
        same = intent.state is INTENT_STATE[order.status] and intent.filled_quantity == order.filled_quantity
        if ended and not same:
            raise Violation(5, f"{intent.id} is {intent.state}, the broker says {order.status}")

    def _chain_is_whole(self) -> None:
        broken = first_break(self.world.journal.links())
        if broken is not None:
            raise Violation(5, f"journal broken at {broken.day} {broken.sequence}: {broken.what}")

    def _deeds_were_told(self) -> None:
        """Look for the alert of whatever somebody did past the book, unless its effects have cancelled out (fault 45).

        The first pass ever takes the cash as it is.
        """
        told = {(alert.kind, alert.subject) for alert in self._raised}
        by_hand = [fill for fill in self.world.exchange.fills if fill.order_id in self._ids_by_hand]
        for symbol in {fill.symbol for fill in by_hand}:
            net = sum((f.quantity * (1 if f.side is Side.BUY else -1) for f in by_hand if f.symbol == symbol), ZERO)
            if net and not self._has_action(symbol) and (AlertKind.POSITION_MISMATCH, symbol) not in told:
                raise Violation(6, f"somebody traded {plain(net)} of {symbol} by hand and nobody was told")
        began = self._first_pass
        dollars = sum((f.quantity * f.price * (1 if f.side is Side.SELL else -1) for f in by_hand), ZERO)
        dollars += sum((amount for _, amount in self.deeds.cash), ZERO)
        early = began is None or any(at <= began for at, _ in self.deeds.cash) or any(f.at <= began for f in by_hand)
        if abs(dollars) > ONE and not early and (AlertKind.CASH_MISMATCH, "account") not in told:
            raise Violation(6, f"somebody moved {plain(dollars)} dollars by hand and nobody was told")
        for order_id in self._seen_by_hand:
            if (AlertKind.FOREIGN_ORDER, f"{self.deeds.orders[order_id]} {order_id}") not in told:
                raise Violation(6, f"{order_id} rested at the broker and nobody was told")

    @property
    def _ids_by_hand(self) -> set[str]:
        return {order.id for order in self.world.exchange.orders() if not is_ours(order.client_order_id)}

    def _action_was_taken(self) -> None:
        """Compare what the book makes of a split or dividend with what it did (PRC-06)."""
        plan = self.plan
        if plan is None or plan.action.ex_date > self._today:
            return
        symbol = plan.action.symbol
        by_hand = symbol in self.deeds.orders.values()
        if plan.known is Known.NEVER and self._held_at_action and not by_hand:
            kind = AlertKind.CASH_MISMATCH if self._paid_out else AlertKind.POSITION_MISMATCH
            subject = "account" if self._paid_out else symbol
            if not any(alert.kind == kind and alert.subject == subject for alert in self._raised):
                raise Violation(6, f"{symbol} had a {plan.action.kind} that nobody knew of, and nobody was told")
        bought = any(fill.symbol == symbol and fill.side is Side.BUY for fill in self.world.exchange.fills)
        ours = next((p for p in self.world.positions.all() if p.symbol == symbol), None)
        if plan.known is Known.IN_TIME and ours is not None and symbol in HELD and not bought:
            expected = plan.entry(OPENING_PRICE)
            if ours.average_entry_price != expected:
                raise Violation(
                    11, f"{symbol}: the entry is {ours.average_entry_price} after the action, not {expected}"
                )

    def _ends_were_told(self) -> None:
        """Look for the alert and the journal entry of every finished intent, and for the alert of every exit."""
        alerts = {(alert.kind, alert.occurrence) for alert in self._raised}
        ended = {occurrence for kind, occurrence in alerts if kind in _ENDINGS}
        closed = "".join(link.body for link in self.world.journal.links() if '"kind":"intent_closed"' in link.body)
        for intent in self.world.ledgers.every_closed():
            if intent.rests:
                self._stop_was_told(intent, alerts)
            elif intent.id not in ended:
                raise Violation(6, f"how {intent.id} ended was not told")
            if intent.id not in closed:
                raise Violation(5, f"how {intent.id} ended was not journaled")
            if intent.told and (AlertKind.STOP_TRIGGERED, intent.id) not in alerts:
                raise Violation(6, f"{intent.id} is marked told, but nobody was told of it")

    def _stop_was_told(self, stop: Intent, alerts: AbstractSet[tuple[str, str]]) -> None:
        """Look for the alerts of a stop that filled, was refused, or was canceled by somebody else."""
        wanted: tuple[AlertKind, ...] = ()
        if stop.filled_quantity:
            wanted = (AlertKind.STOP_TRIGGERED, AlertKind.ORDER_FILLED)
        elif stop.state is IntentState.REJECTED:
            wanted = (AlertKind.ORDER_REFUSED,)
        elif stop.id in self.deeds.canceled and not stop.withdrawn and not self._has_action(stop.symbol):
            wanted = (AlertKind.STOP_NOT_RESTING,)
        for kind in wanted:
            if (kind, stop.id) not in alerts:
                raise Violation(6, f"the stop {stop.id} is {stop.state} and {kind} was not told")

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
