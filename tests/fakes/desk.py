"""A trading desk in memory for one story: every use case wired over memory ports whose calls can be made to fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from shared.adapters.memory.corporate_actions import KnownActions
from shared.bootstrap.offline import OFFLINE_ACCOUNT, offline_world
from shared.bootstrap.wiring import Rules, UseCases
from shared.domain.alerts import Alert, Channel
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.corporate_actions import CorporateAction
from shared.domain.intents import CycleId, Intent, IntentState, Reason, Side
from shared.domain.journal import first_break
from shared.domain.ledger import Ledger
from shared.domain.orders import Order, OrderStatus
from shared.domain.positions import Position, lot_id
from shared.domain.protection import ProtectionRules
from shared.domain.times import Tick
from shared.use_cases.place_orders import PlaceReport
from shared.use_cases.prepare_entry import EntryOutcome, ProposeEntry
from tests.fakes.faults import Faults
from tests.fakes.scripted_prices import ScriptedPrices
from tests.fakes.venue import AAPL, MINUTE, OPEN, TSLA, Weekdays

NVDA = Symbol("NVDA")
CASH = Decimal(100_000)
START = OPEN + timedelta(hours=1)
"""An hour into the session of a Wednesday."""
OWNER = "executor-1"


def held(symbol: Symbol, quantity: str, entry: str, stop_loss: str = "0.05", **extra: str) -> Position:
    """A position opened the day before and adjusted up to then."""
    opened = OPEN - timedelta(days=1)
    return Position(
        symbol=symbol,
        lot=lot_id(symbol, opened),
        quantity=Decimal(quantity),
        average_entry_price=Decimal(entry),
        opened_at=opened,
        adjusted_through=opened.date(),
        stop_loss_pct=Decimal(stop_loss),
        trailing_stop_pct=Decimal(extra["trailing"]) if "trailing" in extra else None,
        take_profit_pct=Decimal(extra["take_profit"]) if "take_profit" in extra else None,
    )


class Desk:
    """The desk starts reconciled and with one polled minute, unless it is told to start `blank`.

    Without `stops` nothing rests at the broker, so that a story is about the software stop alone.
    """

    def __init__(
        self,
        *positions: Position,
        watched: Sequence[Symbol] = (TSLA, AAPL, NVDA),
        start: datetime = START,
        actions: Sequence[CorporateAction] = (),
        rules: Rules | None = None,
        price: str = "100",
        blank: bool = False,
        stops: bool = False,
    ) -> None:
        self.faults = Faults()
        self.primary, self.backup = ScriptedPrices("primary"), ScriptedPrices("backup")
        self.world = offline_world(
            start=start,
            calendar=Weekdays(),
            cash=CASH,
            positions=positions,
            watched=watched,
            primary=self.primary,
            backup=self.backup,
            actions=KnownActions(actions),
        )
        self.clock = self.world.clock
        self.primary.clock = self.backup.clock = self.clock
        ports = self.world.ports()
        wrapped = {
            name: self.faults.around(name, getattr(ports, name))
            for name in ports.__dataclass_fields__
            if name not in ("clock", "channels")
        }
        channels = {channel: self.faults.around(str(channel), ports.channels[channel]) for channel in Channel}
        self.ports = replace(ports, **wrapped, channels=channels)
        if not stops:
            rules = replace(rules or Rules(), protection=ProtectionRules(at_broker=False))
        self.use = UseCases(self.ports, OFFLINE_ACCOUNT, rules or Rules())
        self.told: list[Alert] = []
        for symbol in watched:
            self.set_price(symbol, price)
        if not blank:
            self.reconcile()
            self.poll()
            self.check()
            self.faults.calls.clear()
            self.heard()

    # the market

    def set_price(self, symbol: Symbol, last: str) -> None:
        """Quote a symbol at a price from now on."""
        self.primary.set(symbol, last)

    def wait(self, by: timedelta = MINUTE) -> None:
        self.clock.advance(by)

    def trade(self, symbol: Symbol, price: str, volume: str = "1000000") -> None:
        """Let a minute pass in which a symbol trades at one price."""
        start, each = self.clock.now(), Decimal(price)
        self.wait()
        self.set_price(symbol, price)
        self.world.exchange.on_bar(Bar(symbol, start, start + MINUTE, each, each, each, each, Decimal(volume)))

    # the use cases

    @property
    def tick(self) -> Tick:
        """The tick scheduled for this minute."""
        return Tick(scheduled=self.clock.now().replace(second=0, microsecond=0))

    def poll(self) -> object:
        return self.use.poll_prices(self.tick)

    def check(self) -> object:
        return self.use.check_risk(self.tick)

    def place(self, owner: str = OWNER) -> PlaceReport:
        return self.use.place_orders(owner)

    def reconcile(self) -> object:
        return self.use.reconcile_orders()

    def minute(self) -> None:
        """Run everything once, in a new minute."""
        self.wait()
        self.reconcile()
        self.poll()
        self.check()
        self.place()

    def breach(self, symbol: Symbol, price: str) -> Intent:
        """Let a held symbol fall, and prepare its exit."""
        self.wait()
        self.set_price(symbol, price)
        self.poll()
        self.check()
        intent = self.ledger.open_for(symbol, Side.SELL)
        assert intent is not None
        return intent

    def enter(
        self,
        symbol: Symbol = TSLA,
        quantity: str = "10",
        cycle: str = "cycle-1",
        age: timedelta = timedelta(0),
    ) -> EntryOutcome:
        return self.use.prepare_entry(
            ProposeEntry(
                symbol=symbol,
                quantity=Decimal(quantity),
                reason=Reason.ENTRY,
                cycle=CycleId(cycle),
                decided_at=self.clock.now() - age,
                text="a story",
            )
        )

    def entry(self, symbol: Symbol = TSLA, quantity: str = "10", cycle: str = "cycle-1") -> Intent:
        """Prepare an entry that must pass the gate."""
        outcome = self.enter(symbol, quantity, cycle)
        assert outcome.intent is not None, outcome.reasons
        return outcome.intent

    # looking

    @property
    def ledger(self) -> Ledger:
        return self.world.ledgers.load(OFFLINE_ACCOUNT)

    def intent(self, like: Intent) -> Intent:
        """Find an intent wherever it is now."""
        ledger = self.ledger
        found = ledger.open.get(like.id) or ledger.finished.get(like.id) or self.world.ledgers.closed(like.id)
        assert found is not None
        return found

    def state(self, like: Intent) -> IntentState:
        return self.intent(like).state

    def orders(self, symbol: Symbol | None = None) -> list[Order]:
        return [order for order in self.world.exchange.orders() if symbol in (None, order.symbol)]

    def live(self) -> list[str]:
        return [order.client_order_id for order in self.world.exchange.live_orders()]

    def filled(self, symbol: Symbol, side: Side) -> Decimal:
        orders = [o for o in self.orders(symbol) if o.side is side and o.status is not OrderStatus.REJECTED]
        return sum((order.filled_quantity for order in orders), Decimal(0))

    def position(self, symbol: Symbol) -> Position | None:
        return next((p for p in self.world.positions.all() if p.symbol == symbol), None)

    def heard(self) -> list[Alert]:
        """Take the alerts queued since the last time."""
        heard = [alert for alert, _ in self.world.alerts.receive(len(self.world.alerts))]
        self.told += heard
        return heard

    def kinds(self) -> list[str]:
        """Take the kinds of the alerts queued since the last time."""
        return [alert.kind for alert in self.heard()]

    def facts(self, kind: str) -> int:
        """Count the journal's facts of one kind, in a chain that must be whole."""
        links = list(self.world.journal.links())
        assert first_break(links) is None
        return sum(f'"kind":"{kind}"' in link.body for link in links)
