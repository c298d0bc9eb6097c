"""One protected symbol through everything that can happen to it, in any order, and what must hold after each step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.bootstrap.wiring import Rules
from shared.domain.alerts import AlertKind
from shared.domain.bars import Bar
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.errors import BrokerRefusal, HearthwatchError, Throttled, Unavailable
from shared.domain.gate import FractionalSupport
from shared.domain.intents import IntentId, OrderType, Side, TimeInForce, is_ours
from shared.domain.money import is_whole
from shared.domain.orders import Order, OrderStatus, PlaceOrder
from shared.domain.session import TradingDay, trading_day_at
from tests.fakes.desk import Desk, held
from tests.fakes.faults import Crash
from tests.fakes.venue import MINUTE, OPEN, TSLA, Weekdays

SPLIT_ON = (OPEN + timedelta(days=1)).date()
RATIO = Decimal(4)
PORTS = (
    "ledgers.load",
    "ledgers.save",
    "positions.put",
    "positions.readable",
    "records.put",
    "journal.put",
    "alerts.send",
    "controls.kill_switch",
    "broker.submit",
    "broker.cancel",
    "broker.positions",
    "broker.order_by_client_id",
    "broker.live_orders",
    "leases.acquire",
)
_QUIET_MINUTES = 12
"""An entry that rests keeps the stop away for five minutes; a refused stop is followed by a sale, which takes some."""


class Protection(RuleBasedStateMachine):
    """Ten and a bit TSLA bought at 100, stop at 95; a split of 4:1 goes ex overnight and is known."""

    def __init__(self, *, fractions: bool = False) -> None:
        super().__init__()
        split = CorporateAction(symbol=TSLA, ex_date=SPLIT_ON, kind=ActionKind.SPLIT, ratio=RATIO)
        rules = Rules(fractional=FractionalSupport(stop=fractions))
        self.desk = Desk(held(TSLA, "10.4", "100"), stops=True, actions=[split], rules=rules)
        self.split = split
        self.price = Decimal(100)
        self.cycle = 0
        self.canceled: set[str] = set()
        self.runs = 0
        self.submit = self.desk.world.exchange.submit
        self.desk.world.exchange.submit = self.look_at  # type: ignore[method-assign]
        self.run_all()
        self.run_all()

    # what people, market and broker do

    @rule(change=st.sampled_from(["-6", "-1", "0", "0.5", "4"]), volume=st.sampled_from([0, 30, 1_000_000]))
    def trade(self, change: str, volume: int) -> None:
        """Let a minute pass, at a price up to 6 % lower, with some volume or next to none."""
        self.price = (self.price * (1 + Decimal(change) / 100)).quantize(Decimal("0.01"))
        start, each = self.desk.clock.now(), self.price
        self.desk.wait()
        self.desk.set_price(TSLA, str(each))
        if trading_day_at(Weekdays().days(start.date(), start.date()), start) is not None:
            bar = Bar(TSLA, start, start + MINUTE, each, each, each, each, Decimal(volume))
            self.desk.world.exchange.on_bar(bar)

    @rule(quantity=st.sampled_from(["1", "0.5", "3"]))
    def propose(self, quantity: str) -> None:
        self.cycle += 1
        self.attempt(lambda: self.desk.enter(TSLA, quantity, cycle=f"cycle-{self.cycle}"))

    @rule(quantity=st.sampled_from(["1", "0.5", "3"]))
    def buy(self, quantity: str) -> None:
        """Propose an entry when everything is known, and send it."""
        self.trade("0", 1_000_000)
        self.run_all()
        self.propose(quantity)
        self.run("place")

    @precondition(lambda self: self.ours())
    @rule(which=st.integers(0, 3))
    def cancel_by_hand(self, which: int) -> None:
        ours = self.ours()
        chosen = ours[which % len(ours)]
        self.desk.world.exchange.cancel(chosen.id, self.desk.clock.now())
        self.canceled.add(chosen.client_order_id)

    @rule(quantity=st.sampled_from(["1", "0.2", "10"]))
    def sell_by_hand(self, quantity: str) -> None:
        self.cycle += 1
        request = PlaceOrder(
            client_order_id=f"by hand {self.cycle}",
            symbol=TSLA,
            side=Side.SELL,
            quantity=Decimal(quantity),
            order_type=OrderType.MARKET,
            time_in_force=TimeInForce.DAY,
        )
        with suppress(BrokerRefusal):
            self.desk.world.exchange.submit(request, self.desk.clock.now())

    @rule(quantity=st.sampled_from(["0.3", "1"]), price=st.sampled_from(["80", "100", "125"]))
    def receive(self, quantity: str, price: str) -> None:
        """Let shares come in from another account, which changes the average entry too."""
        exchange = self.desk.world.exchange
        more, each = Decimal(quantity), Decimal(price)
        for position in exchange.positions():
            cost = position.quantity * position.average_entry_price + more * each
            exchange.seed_position(TSLA, position.quantity + more, cost / (position.quantity + more))

    @rule(mood=st.sampled_from([OrderStatus.NEW, OrderStatus.REJECTED, OrderStatus.PENDING]))
    def take_stops_as(self, mood: OrderStatus) -> None:
        self.desk.world.exchange.stops_taken_as = mood

    @rule()
    def breach(self) -> None:
        """Let the price gap through any stop without a trade, and run everything."""
        self.trade("-12", 0)
        self.run_all()

    @rule()
    def close(self) -> None:
        """Let the session end, unless it has."""
        day = self.today()
        if self.desk.clock.now() < day.closes:
            self.desk.clock.set(day.closes + MINUTE)
            self.desk.world.exchange.advance(self.desk.clock.now())

    @rule()
    def next_open(self) -> None:
        """Let the next session begin; on the second day the split is in the price."""
        self.close()
        on, now = self.today().date, self.desk.clock.now()
        day = next(day for day in Weekdays().days(on, on + timedelta(days=5)) if day.opens > now)
        self.desk.clock.set(day.opens)
        if day.date == SPLIT_ON:
            self.desk.world.exchange.apply(self.split, day.opens)
            self.price = (self.price / RATIO).quantize(Decimal("0.01"))
        self.desk.set_price(TSLA, str(self.price))

    # what the program does

    @rule(part=st.sampled_from(["poll", "check", "place", "reconcile"]))
    def run_one(self, part: str) -> None:
        self.run(part)

    @rule()
    def run_all(self) -> None:
        for part in ("reconcile", "poll", "check", "place"):
            self.run(part)

    @precondition(lambda self: self.has_minutes_left())
    @rule(mood=st.sampled_from([OrderStatus.REJECTED, OrderStatus.PENDING]))
    def five_minutes_without_stops(self, mood: OrderStatus) -> None:
        """Take what rests away by hand, while the broker works no new stop."""
        self.take_stops_as(mood)
        for order in self.ours():
            if order.order_type is OrderType.STOP:
                self.desk.world.exchange.cancel(order.id, self.desk.clock.now())
                self.canceled.add(order.client_order_id)
        self.five_quiet_minutes()

    @precondition(lambda self: self.has_minutes_left())
    @rule()
    def five_quiet_minutes(self) -> None:
        """However the broker treats stops: nothing is left bare for so long that is not being traded or sold."""
        self.cancel_what_people_left()
        for _ in range(5):
            self.trade("0", 1_000_000)
            self.run_all()
        position = self.desk.position(TSLA)
        if position is not None and position.quantity >= 1 and self.desk.ledger.trade_in(TSLA) is None:
            working = [order for order in self.ours() if order.status is OrderStatus.NEW]
            assert any(order.time_in_force is TimeInForce.GTC for order in working), (position, self.ours())

    @rule(part=st.sampled_from(["check", "place", "reconcile"]), after=st.integers(0, 25))
    def crash(self, part: str, after: int) -> None:
        """Let a run die at one of its port calls."""
        faults = self.desk.faults
        faults.crash_before = len(faults.calls) + after
        self.run(part)
        faults.crash_before = None

    @rule(part=st.sampled_from(["check", "place", "reconcile"]), port=st.sampled_from(PORTS), slow=st.booleans())
    def trouble(self, part: str, port: str, slow: bool) -> None:
        """Let one port fail during a run; the broker may ask for quiet instead."""
        error = Throttled(port, 5 * timedelta(seconds=1)) if slow and port == "broker.submit" else Unavailable(port)
        self.desk.faults.fail(port, error, times=1)
        self.run(part)
        self.desk.faults.mend()

    def run(self, part: str) -> None:
        self.runs += 1
        calls: dict[str, Callable[[], object]] = {
            "poll": self.desk.poll,
            "check": self.desk.check,
            "place": lambda: self.desk.place(f"executor {self.runs}"),
            "reconcile": self.desk.reconcile,
        }
        self.attempt(calls[part])

    def attempt(self, call: Callable[[], object]) -> None:
        """Run as an entry point does: the errors of its own kind end the run, and so does a crash."""
        with suppress(HearthwatchError, Crash):
            call()

    # what must hold

    def look_at(self, request: PlaceOrder, now: datetime) -> Order:
        """Look at what the broker works right after it took an order."""
        order = self.submit(request, now)
        self.one_side_and_one_thing_at_a_time()
        return order

    @invariant()
    def one_side_and_one_thing_at_a_time(self) -> None:
        ours = self.ours()
        assert len({order.side for order in ours}) <= 1, ours
        stops = Counter(is_whole(order.quantity) for order in ours if order.order_type is OrderType.STOP)
        assert all(count == 1 for count in stops.values()), ours
        trades = [order for order in ours if order.order_type is not OrderType.STOP]
        assert len(trades) <= 1, ours
        assert not (trades and stops), ours

    @invariant()
    def never_more_is_for_sale_than_is_held(self) -> None:
        for position in self.desk.world.exchange.positions():
            assert 0 <= position.available <= position.quantity

    @invariant()
    def every_order_was_recorded_before_it_left(self) -> None:
        ledger = self.desk.ledger
        for order in self.desk.orders():
            if is_ours(order.client_order_id):
                key = IntentId(order.client_order_id)
                known = ledger.open.get(key) or ledger.finished.get(key) or self.desk.world.ledgers.closed(key)
                assert known is not None, order
                assert known.sends >= 1, known

    def teardown(self) -> None:
        """Let a dozen quiet minutes of trading pass: what is held ends protected or sold, and people know."""
        self.desk.faults.mend()
        self.desk.world.exchange.stops_taken_as = OrderStatus.NEW
        self.cancel_what_people_left()
        if not self.has_minutes_left():
            self.next_open()
        for _ in range(_QUIET_MINUTES):
            self.trade("0", 1_000_000)
            self.run_all()
        self.is_protected_or_sold()
        self.agrees_with_the_broker()
        self.was_told()

    def is_protected_or_sold(self) -> None:
        position, ours = self.desk.position(TSLA), self.ours()
        if position is None:
            assert all(order.side is Side.BUY for order in ours), ours
            return
        assert self.price > position.stop_price, "it stands below its stop and was not sold"
        whole = position.quantity.to_integral_value(ROUND_DOWN)
        resting = [(o.quantity - o.filled_quantity, o.stop_price) for o in ours if o.time_in_force is TimeInForce.GTC]
        assert resting == ([(whole, position.stop_price)] if whole else []), (ours, position)

    def agrees_with_the_broker(self) -> None:
        position = self.desk.position(TSLA)
        theirs = {held.symbol: held.quantity for held in self.desk.world.exchange.positions()}
        assert ({} if position is None else {TSLA: position.quantity}) == theirs
        assert [i for i in self.desk.ledger.open.values() if not i.rests and not i.is_entry] == []
        assert dict(self.desk.ledger.finished) == {}

    def was_told(self) -> None:
        self.desk.heard()
        told = {(alert.kind, alert.occurrence) for alert in self.desk.told}
        for intent in self.desk.world.ledgers.every_closed():
            if intent.rests and intent.filled_quantity:
                assert (AlertKind.STOP_TRIGGERED, intent.id) in told, intent
            if intent.rests and intent.id in self.canceled and not intent.withdrawn and not intent.filled_quantity:
                assert (AlertKind.STOP_NOT_RESTING, intent.id) in told, intent
            if not intent.rests and intent.sends:
                assert any(occurrence == intent.id for _, occurrence in told), intent

    # looking

    def ours(self) -> list[Order]:
        return [order for order in self.desk.world.exchange.live_orders() if is_ours(order.client_order_id)]

    def cancel_what_people_left(self) -> None:
        for order in self.desk.world.exchange.live_orders():
            if not is_ours(order.client_order_id):
                self.desk.world.exchange.cancel(order.id, self.desk.clock.now())

    def has_minutes_left(self) -> bool:
        return self.today().opens <= self.desk.clock.now() < self.today().closes - _QUIET_MINUTES * MINUTE

    def today(self) -> TradingDay:
        on = self.desk.clock.now().date()
        return Weekdays().days(on, on)[0]


class ProtectionWithFractions(Protection):
    """The same where the account takes stops for fractions of a share."""

    def __init__(self) -> None:
        super().__init__(fractions=True)


BOUNDS = settings(max_examples=60, stateful_step_count=25)
TestWholeShares = Protection.TestCase
TestWholeShares.settings = BOUNDS
TestFractions = ProtectionWithFractions.TestCase
TestFractions.settings = BOUNDS
