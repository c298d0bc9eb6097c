"""One simulated run: a market, a broker, many invocations of the real use cases, and a time of faults, then of calm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from hearthwatch.simulation.asking import Asking
from hearthwatch.simulation.chance import CALM, Chance, Fault, Hazards, Struck
from hearthwatch.simulation.corporate import Plan, TimelyActions, draw_plan, yesterday
from hearthwatch.simulation.invariants import Checks, Violation
from hearthwatch.simulation.lagging import LaggingBroker, LaggingOutbox
from hearthwatch.simulation.market import (
    BOUGHT,
    HELD,
    MINUTE,
    OPENING_PRICE,
    STOP_LOSS,
    STRANGE,
    SYMBOLS,
    SecondSource,
    Step,
    UnreliableFeed,
    make_bars,
)
from hearthwatch.simulation.people import Person
from hearthwatch.simulation.ports import Network
from hearthwatch.simulation.scheduler import Crash, Scheduler
from hearthwatch.simulation.versions import FORMS, Shelf, Version
from shared.adapters.memory.prices import BarFeed
from shared.bootstrap.offline import OFFLINE_ACCOUNT, OfflineWorld, offline_world
from shared.bootstrap.wiring import Rules, UseCases
from shared.contracts.stored import NewerSchema
from shared.domain.alerts import Alert
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.errors import OutcomeUnknown, Refused, TryAgain
from shared.domain.gate import FractionalSupport
from shared.domain.intents import CycleId, IntentId, IntentState, OrderType, Reason
from shared.domain.orders import OrderStatus
from shared.domain.positions import Position, lot_id
from shared.domain.quotes import FreshnessLimits, Quote, judge_quote
from shared.domain.reconciliation import BrokerFacts, quantities_of
from shared.domain.session import TradingDay
from shared.domain.times import Tick
from shared.domain.trading_state import KillSwitch, SwitchMode
from shared.ports.broker import ExchangeCalendar
from shared.use_cases.prepare_entry import ProposeEntry

CALM_MINUTES: Final = 6
"""Minutes without faults at the end, in which everything must come to rest (invariant 10)."""
STILL_MINUTES: Final = 3
"""The last of them, in which the market stands still as well."""
CASH: Final = Decimal(10_000)
_AFTER_THE_TICKS: Final = timedelta(seconds=3)
"""Decisions arrive after the scheduled events of their minute, unless those are late."""
_WITHIN_THE_MINUTE: Final = 28
"""Seconds over which they spread, and within which one comes again: both times before the next tick."""
_ALERT_RETRY: Final = timedelta(seconds=30)
_ALERT_RECEIVES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What a run is made of; the same scenario gives the same run, byte for byte.

    With `only`, faults strike at these places alone; `crash_at` kills the invocation at one port call; `hazards`
    overrides the mixture that the seed would draw. With `echo` everything is delivered twice: a tick up to so many
    seconds after its first time, a decision within its minute (later it is judged anew), and a run that names no tick
    at once.
    """

    seed: int
    minutes: int = 15
    hazards: Hazards | None = None
    only: frozenset[int] | None = None
    crash_at: tuple[int, Fault] | None = None
    echo: float | None = None


@dataclass(slots=True, kw_only=True)
class Outcome:
    """How a run ended: the first violation if any, the faults that struck, the calls made, and what was decided.

    `calls` were made in all, `calls_under_faults` of them before the calm; `seen` counts what people, broker, exchange
    and versions did beside the faults, `asked` what became of the questions to models and of their money.
    """

    scenario: Scenario
    violation: Violation | None = None
    struck: list[Struck] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    calls: int = 0
    calls_under_faults: int = 0
    decisions: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)


class ThreeDays(ExchangeCalendar):
    """A calendar with the day of the run and the two after it."""

    def __init__(self, day: TradingDay) -> None:
        self._days = (day, next_day(day), next_day(next_day(day)))

    def days(self, first: date, last: date) -> list[TradingDay]:
        """Return those of the three sessions that lie in the range."""
        return [day for day in self._days if first <= day.date <= last]


def next_day(day: TradingDay) -> TradingDay:
    """Give the session after, as if every day were one."""
    night = timedelta(days=1)
    return TradingDay(date=day.date + night, opens=day.opens + night, closes=day.closes + night)


def run(scenario: Scenario) -> Outcome:
    """Play one scenario to its end or to the first broken invariant."""
    return _Run(scenario).play()


class _Run:
    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.random = _random("world", scenario.seed)
        self.deliveries = _random("deliveries", scenario.seed)
        self.echoes = _random("echoes", scenario.seed)
        self.events = _random("events", scenario.seed)
        questions = _random("questions", scenario.seed)
        drawn = Hazards.drawn(self.random, self.events, questions)
        self.hazards = scenario.hazards or drawn
        self.total = scenario.minutes + CALM_MINUTES
        self.day, self.start = _session(self.random, self.total)
        self.plan = draw_plan(self.events, self.day, next_day(self.day), chance=self.hazards.action)
        if self.plan is not None and self.plan.overnight:
            self.start = self.day.closes - scenario.minutes // 2 * MINUTE
        leaps = self.events.random() < 0.5 or (self.plan is not None and self.plan.overnight)
        self.minutes = _minutes(self.start, self.total, self.day, leaps=leaps)
        self.faulty_until = self.minutes[scenario.minutes]
        self.feed = BarFeed(self._bars(), [self.day, next_day(self.day)])
        self.primary = UnreliableFeed(self.feed, _random("quotes", scenario.seed), self.hazards.bad_quote)
        self.world = self._world()
        self.scheduler = Scheduler(self.world.clock)
        chances = _random("chance", scenario.seed)
        self.chance = Chance(chances, self.hazards, scenario.only, scenario.crash_at)
        self.person = Person(self.world.exchange, self.world.clock, _random("by hand", scenario.seed))
        self.checks = Checks(self.world, CASH, self.person.deeds, self.plan, self.scheduler.current)
        self.network = Network(
            self.scheduler,
            self.chance,
            _random("network", scenario.seed),
            self.hazards.switch,
            self.hazards.slow,
            called=self.checks.on_call,
            arrived=self.checks.on_arrival,
            refused=self.checks.on_refusal,
            watch=self._watch,
        )
        self.kill_at = self._moment_of_kill()
        self.claims: set[tuple[IntentId, int]] = set()
        self.calls_under_faults = 0
        self.applied = False
        self.broker: LaggingBroker | None = None
        self.outbox: LaggingOutbox | None = None
        self.shelf: Shelf | None = None
        self.switched: Counter[str] = Counter()
        self.versions = _random("versions", scenario.seed)
        self.deployed = self._deploy()
        self.invocations = 0
        self.asking = Asking(
            self.world,
            self.scheduler,
            self.network,
            questions,
            self.hazards,
            self.minutes,
            invoke=lambda name, call: self._invoke(name, call, after_each=self.asking.hear),
            fail=self.checks.fail,
        )
        self.scheduler.after_each = self._after_each
        if self.plan is not None and not self.plan.overnight:
            self._since_yesterday(self.plan)
        elif self.hazards.lag:
            # the first pass of an account has no pass before to tell a late answer from a trade by hand
            self._remember_facts(self.start - MINUTE)

    def play(self) -> Outcome:
        outcome = Outcome(scenario=self.scenario)
        try:
            for minute in range(self.total):
                self._minute(minute)
            entries_stopped = self.world.controls.kill_switch().engaged
            self.checks.at_rest(entries_stopped=entries_stopped, undisturbed=not self.chance.struck)
            self.asking.at_rest()
        except Violation as violation:
            outcome.violation = violation
        finally:
            self.scheduler.after_each = lambda: None
            self.scheduler.close()
        outcome.struck = self.chance.struck
        outcome.log = self.network.log
        outcome.calls = self.chance.calls
        outcome.calls_under_faults = self.calls_under_faults
        outcome.decisions = self.checks.decisions()
        outcome.seen = self._seen()
        outcome.asked = self.asking.seen
        return outcome

    def _seen(self) -> Counter[str]:
        """Count what happened beside the faults of single calls."""
        seen = self.person.deeds.done + self.switched
        if self.shelf is not None:
            seen += self.shelf.refused
        if self.broker is not None and self.outbox is not None:
            seen["read behind the truth"] += self.broker.behind
            seen["index behind the table"] += self.outbox.behind
        if self.plan is not None and self.applied:
            seen[f"{self.plan.action.kind} known {self.plan.known}"] += 1
            seen["over night" if self.plan.overnight else "since yesterday"] += 1
        for order in self.world.exchange.orders():
            kind = "stop" if order.order_type is OrderType.STOP else "order"
            seen[f"{kind} {order.status}"] += 1
            if order.filled_quantity and order.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED):
                seen[f"{kind} {order.status} after a part"] += 1
        return seen

    def _minute(self, minute: int) -> None:
        """Move the market, plan this minute's invocations, and let time pass to the next minute."""
        now = self.minutes[minute]
        self.scheduler.run_until(now)
        if now >= self.faulty_until and self.chance.active:
            self._calm_down()
        if self.plan is not None and self.plan.overnight and now.date() == self.plan.action.ex_date:
            self._apply(self.plan)
        if minute < self.total - STILL_MINUTES:
            for bar in self.feed.advance(now):
                self.world.exchange.on_bar(bar)
            self.checks.on_market()
        self.world.exchange.advance(now)
        self._note()
        self._plan(Tick(scheduled=now), minute)
        self.scheduler.run_until(now + MINUTE - timedelta(microseconds=1))
        self.checks.every_minute()

    def _calm_down(self) -> None:
        self.chance.active = False
        self.calls_under_faults = self.chance.calls
        self.network.calm = True
        self.asking.calm_down()
        self.hazards = CALM
        self.primary.rate = 0.0
        self.person.leave()
        self.world.exchange.stops_taken_as = OrderStatus.NEW
        if self.controls.kill_switch().freezes:
            self._switch(SwitchMode.KILL)
        if self.broker is not None:
            self.broker.longest = timedelta(0)
        if self.outbox is not None:
            self.outbox.lags = False

    def _plan(self, tick: Tick, minute: int) -> None:
        self._deliver("poll", tick, lambda: self.use_cases.poll_prices(tick), echo=self.scenario.echo or 0)
        self._deliver("risk", tick, lambda: self.use_cases.check_risk(tick), echo=self.scenario.echo or 0)
        self._deliver("reconcile", tick, lambda: self.use_cases.reconcile_orders())
        self._deliver("sweep", tick, lambda: self.use_cases.route_alerts.sweep())
        self._deliver("place", tick, self._place)
        if self.chance.active and minute >= 2 and self.random.random() < 0.5:
            self._propose(tick)
        if self.hazards.kill and self.kill_at is None and minute == self.scenario.minutes // 2:
            self.scheduler.at(tick.scheduled + self._within(60), self._kill)
        self._misbehave()
        self.asking.plan(tick, minute, calm=not self.chance.active)
        if self.chance.active and self.events.random() < self.hazards.by_hand:
            self.scheduler.at(tick.scheduled + timedelta(seconds=self.events.uniform(0, 60)), self._act_by_hand)

    def _deliver(self, name: str, tick: Tick, call: Callable[[], object], *, echo: float = 0) -> None:
        for delay in self._echoed(self._delays(), echo):
            self.scheduler.at(tick.scheduled + delay, lambda: self._invoke(f"{name} {tick.scheduled:%H:%M}", call))

    def _echoed(self, delays: list[timedelta], within: float) -> list[timedelta]:
        if self.scenario.echo is None:
            return delays
        return delays + [delay + timedelta(seconds=self.echoes.uniform(0, within)) for delay in delays]

    def _delays(self) -> list[timedelta]:
        """Draw when a scheduled event arrives: usually once and soon, sometimes late, twice or not at all.

        The draws are always as many, so that a hazard added to a world changes nothing else in it.
        """
        draw, hazards = self.deliveries, self.hazards
        lost, twice = draw.random() < hazards.dropped, draw.random() < hazards.duplicate
        longest = [150 if draw.random() < hazards.late else 2 for _ in range(2)]
        delays = [timedelta(seconds=draw.uniform(0, seconds)) for seconds in longest]
        return [] if lost else delays if twice else delays[:1]

    def _within(self, seconds: float) -> timedelta:
        return timedelta(seconds=self.random.uniform(0, seconds))

    def _invoke(
        self,
        name: str,
        call: Callable[[], object],
        failed: Callable[[], None] | None = None,
        after_each: Callable[[], None] | None = None,
    ) -> None:
        self.invocations += 1
        self.scheduler.start(f"{name} #{self.invocations}", lambda: self._guarded(call, failed), after_each)

    def _guarded(self, call: Callable[[], object], failed: Callable[[], None] | None) -> None:
        """Run a use case as an entry point would: its own errors and a crash end the invocation, nothing else may."""
        try:
            call()
        except (Crash, TryAgain, OutcomeUnknown, Refused, NewerSchema):
            if failed is not None:
                failed()
        except Violation as violation:
            self.checks.fail(violation)
        except Exception as error:  # noqa: BLE001 - whatever escapes a use case is what this looks for
            self.checks.fail(Violation(0, f"{type(error).__name__} escaped: {error}"))

    def _place(self) -> object:
        return self.use_cases.place_orders(f"executor {self.invocations}")

    @property
    def use_cases(self) -> UseCases:
        """Give the version of the program that the next invocation runs: the older one only until the calm."""
        older = len(self.deployed) > 1 and self.versions.random() < self.hazards.older
        return self.deployed[1 if older else 0]

    def _deploy(self) -> list[UseCases]:
        """Put the program over the world's ports: one version of it, or a newer and an older one."""
        ports = self.world.ports()
        if self.hazards.lag:
            random, longest = _random("lag", self.scenario.seed), timedelta(seconds=self.hazards.lag)
            self.checks.late_answers = True
            self.broker = LaggingBroker(ports.broker, self.world.exchange, self.world.clock, random, longest)
            self.outbox = LaggingOutbox(ports.outbox, random)
            ports = replace(ports, broker=self.broker, outbox=self.outbox)
        seen = [ports]
        if self.hazards.older:
            self.shelf = Shelf()
            changed = self.versions.sample(FORMS, self.versions.randint(1, len(FORMS)))
            seen = [Version(self.shelf, changed).over(ports), Version(self.shelf).over(ports)]
        self.controls = seen[0].controls
        support = FractionalSupport(stop=self.versions.random() < 0.5)
        return [
            UseCases(self.network.around(each), OFFLINE_ACCOUNT, Rules(), fractional=lambda: support) for each in seen
        ]

    def _after_each(self) -> None:
        self._note()
        self._pump()

    def _note(self) -> None:
        if self.broker is not None:
            self.broker.note()

    def _pump(self) -> None:
        """Deliver what the queues hold: alerts to the router, rings to the executor."""
        while len(self.world.alerts):
            for alert, receives in self.world.alerts.receive():
                self.checks.on_alert(alert)
                self._plan_alert(alert, receives)
        for due in self.world.doorbell.take():
            self.scheduler.at(due, lambda: self._invoke("place on ring", self._place))

    def _plan_alert(self, alert: Alert, receives: int) -> None:
        delay = self._within(5) if receives == 0 else _ALERT_RETRY

        def failed() -> None:
            if receives + 1 >= _ALERT_RECEIVES:
                self.checks.dead_alerts.append(alert)
            else:
                self._plan_alert(alert, receives + 1)

        self.scheduler.at(
            self.world.clock.now() + delay,
            lambda: self._invoke("route", lambda: self.use_cases.route_alerts(alert), failed),
        )

    def _propose(self, tick: Tick) -> None:
        """Propose entries in several symbols at once, each wanting more than its share of the limits now and then.

        One of them is held and may fall through its stop. A decision delivered twice may come back minutes later.
        """
        symbols = (*BOUGHT, HELD[-1])
        for symbol in self.random.sample(symbols, self.random.randint(1, len(symbols))):
            quantity = self.random.choice((Decimal("4"), Decimal("0.5"), Decimal("12.25"), Decimal("30")))
            proposal = ProposeEntry(
                symbol=symbol,
                quantity=quantity,
                reason=Reason.ENTRY,
                cycle=CycleId(f"{symbol} {tick.id}"),
                decided_at=tick.scheduled,
                text="proposed by the simulation",
            )
            first = tick.scheduled + _AFTER_THE_TICKS + self._within(_WITHIN_THE_MINUTE)
            again = timedelta(seconds=self.deliveries.uniform(0, self.deliveries.choice((30, 300))))
            delays = [timedelta(0), *([again] if self.deliveries.random() < self.hazards.duplicate else [])]
            for delay in self._echoed(delays, min(self.scenario.echo or 0, _WITHIN_THE_MINUTE)):
                self._plan_entry(proposal, first + delay)

    def _plan_entry(self, proposal: ProposeEntry, when: datetime) -> None:
        self.scheduler.at(when, lambda: self._invoke("entry", lambda: self.use_cases.prepare_entry(proposal)))

    def _moment_of_kill(self) -> int | None:
        """Choose when the switch is set: somewhere in the run (None), or right after the n-th claim of an entry."""
        return self.random.choice((None, 1, 2, 3)) if self.hazards.kill else None

    def _watch(self, port: str, method: str, arguments: tuple[Any, ...], result: Any) -> None:
        """Look at a call that took effect, and set the switch at the most dangerous moment: just before a send."""
        self.checks.watch(port, method, arguments, result)
        if self.kill_at is None or (port, method) != ("ledgers", "save"):
            return
        self.claims |= {(i.id, i.sends) for i in result.open.values() if i.is_entry and i.state is IntentState.SENT}
        if len(self.claims) >= self.kill_at and self.chance.active:
            self.kill_at = None
            self.hazards = replace(self.hazards, kill=0)
            self._kill()

    def _misbehave(self) -> None:
        """Let the broker treat new stop orders badly for a while, or well again (fault 12)."""
        drawn, way = self.events.random(), self.events.choice((OrderStatus.REJECTED, OrderStatus.PENDING))
        if self.chance.active and drawn < self.hazards.bad_stops / 4:
            self.world.exchange.stops_taken_as = way
            self.checks.on_bad_stops()
            self.switched[f"stops taken as {way}"] += 1
        elif drawn > 0.7:
            self.world.exchange.stops_taken_as = OrderStatus.NEW

    def _act_by_hand(self) -> None:
        self.person.act()
        self._note()

    def _kill(self) -> None:
        mode = self.events.choice((SwitchMode.KILL, SwitchMode.KILL, SwitchMode.FREEZE, SwitchMode.FLATTEN))
        self._switch(mode)

    def _switch(self, mode: SwitchMode) -> None:
        self.controls.set_kill_switch(KillSwitch(mode=mode, by="simulation", why="at a random step"))
        self.checks.on_switch(mode)
        self.switched[f"switch {mode}"] += 1

    def _bars(self) -> dict[Symbol, list[Bar]]:
        """Draw the market of the run; it rests outside the session, and an action lowers its prices."""
        ends = [end if self._trades(end) else None for end in (*self.minutes, self.minutes[-1] + MINUTE)]
        steps = {}
        if self.plan is not None:
            action = self.plan.action
            ex = next((n for n, end in enumerate(self.minutes) if end.date() >= action.ex_date), len(ends))
            steps[action.symbol] = Step(ex, action.ratio, action.cash_amount)
        return make_bars(self.random, ends, steps, thin=self.events.random() < self.hazards.thin)

    def _trades(self, end: datetime) -> bool:
        return any(day.opens <= end <= day.closes for day in (self.day, next_day(self.day)))

    def _since_yesterday(self, plan: Plan) -> None:
        """Remember the evening before an action: its prices and what the broker said, all in the old shares."""
        at = yesterday(self.day).closes - MINUTE
        quotes = {
            symbol: judge_quote(
                symbol,
                Quote(symbol, OPENING_PRICE, OPENING_PRICE, OPENING_PRICE, at, at, "bars"),
                None,
                None,
                at,
                FreshnessLimits(),
            )
            for symbol in SYMBOLS
        }
        self.world.prices.put_minute(Tick(scheduled=at), quotes)
        self._remember_facts(at)
        self._apply(plan)

    def _remember_facts(self, at: datetime) -> None:
        """Let a pass before the run have taken what the broker says now."""
        account = self.world.exchange.account()
        held = quantities_of(self.world.exchange.positions())
        self.world.records.put(BrokerFacts(at=at, cash=account.cash, equity=account.equity, quantities=held))

    def _apply(self, plan: Plan) -> None:
        """Let the exchange carry holdings and orders over the action, as it does before the open."""
        exchange = self.world.exchange
        before, held = exchange.cash, any(p.symbol == plan.action.symbol for p in exchange.positions())
        if not self.applied:
            exchange.apply(plan.action, self.world.clock.now())
            self.checks.on_action(exchange.cash - before, held=held)
            self.applied = True
        self._note()

    def _world(self) -> OfflineWorld:
        ex_today = self.plan is not None and not self.plan.overnight
        day = yesterday(self.day) if ex_today else self.day
        held = [
            Position(
                symbol=symbol,
                lot=lot_id(symbol, self.start),
                quantity=quantity,
                average_entry_price=OPENING_PRICE,
                opened_at=self.start,
                adjusted_through=day.date,
                stop_loss_pct=STOP_LOSS,
            )
            for symbol, quantity in zip(HELD, (Decimal("10.4"), Decimal("3")), strict=True)
        ]
        world = offline_world(
            start=self.start,
            calendar=ThreeDays(self.day),
            cash=CASH,
            positions=held,
            watched=SYMBOLS,
            primary=self.primary,
            backup=SecondSource(self.feed),
        )
        world.exchange.list_symbol(STRANGE)
        return replace(world, actions=TimelyActions(self.plan, world.clock))


def _random(*parts: object) -> Random:
    """Make a stream of chance of its own, so that more draws in one part of the world change no other."""
    return Random(" ".join(map(str, parts)))  # noqa: S311 - repeatable, not secret


def _session(random: Random, minutes: int) -> tuple[TradingDay, datetime]:
    """Choose where in the session the run lies: anywhere inside, at the open, or over the close."""
    opens, closes = datetime(2026, 6, 10, 13, 30, tzinfo=UTC), datetime(2026, 6, 10, 20, 0, tzinfo=UTC)
    day = TradingDay(date=opens.date(), opens=opens, closes=closes)
    place = random.random()
    if place < 0.1:
        return day, opens
    if place < 0.2:
        return day, closes - timedelta(minutes=minutes // 2)
    return day, opens + timedelta(minutes=random.randrange(30, 200))


def _minutes(start: datetime, total: int, day: TradingDay, *, leaps: bool) -> list[datetime]:
    """List the minutes of a run; one that goes on past the close may leap to just before the next open."""
    plain = [start + n * MINUTE for n in range(total)]
    today = [minute for minute in plain if minute <= day.closes + MINUTE or not leaps]
    morning = next_day(day).opens - MINUTE
    return today + [morning + n * MINUTE for n in range(total - len(today))]
