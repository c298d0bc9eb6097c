"""Drive the use cases over recorded bars, one tick after the other, and collect what happened.

Within a tick: bars become known and move the exchange, the broker's truth is taken over, prices are polled, risk is
checked, orders are placed, alerts are delivered. In the cloud these run side by side; here they run in the order in
which their results are used, so that a replay is the same every time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from hearthwatch.replay.report import Outcome, in_order
from shared.adapters.bar_files.bar_set import BarSet
from shared.adapters.bar_files.ticks import cadence_of, morning_of, phase_of, ticks_of
from shared.adapters.memory.corporate_actions import DueActions, KnownActions
from shared.adapters.memory.prices import BarFeed, MemoryPriceStore
from shared.adapters.memory.volatility import BarVolatility
from shared.bootstrap.offline import OFFLINE_ACCOUNT, OfflineWorld, offline_world
from shared.bootstrap.wiring import UseCases, rules_for
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.coverage import Coverage
from shared.domain.intents import Intent
from shared.domain.moves import Move
from shared.domain.positions import Position
from shared.domain.times import Tick, iso
from shared.domain.trading_state import HaltReason
from shared.ports.broker import ExchangeCalendar
from shared.use_cases.record_fact import RecordFact

EXECUTOR = "replay"
PRICES_KEPT = timedelta(hours=1)
"""The longest look back is the move rule's window, and no tick of a replay comes late."""

Progress = Callable[[int, int], None]
"""Called with the ticks done and the ticks in all."""


@dataclass(slots=True, kw_only=True)
class Replay:
    """A replay's course: the world it ran in and what changed when."""

    bars: BarSet
    world: OfflineWorld
    start_cash: Decimal
    start_positions: Sequence[Position]
    ticks: int = 0
    moves: list[Move] = field(default_factory=list)
    coverage: list[tuple[datetime, Coverage]] = field(default_factory=list)
    states: list[tuple[datetime, frozenset[HaltReason]]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def intents(self) -> list[Intent]:
        """Return every intent of the replay in the order of creation."""
        ledger = self.world.ledgers.load(OFFLINE_ACCOUNT)
        every = (*self.world.ledgers.every_closed(), *ledger.finished.values(), *ledger.open.values())
        return sorted(every, key=lambda intent: (intent.created_at, intent.id))

    def outcome(self) -> Outcome:
        """Give what is reported of the replay."""
        return Outcome(
            bars=self.bars,
            ticks=self.ticks,
            moves=self.moves,
            intents=self.intents(),
            incidents=self.world.outbox.every(),
            states=self.states,
            coverage=self.coverage,
            errors=self.errors,
            exchange=self.world.exchange,
            positions=self.world.positions.all(),
            start_cash=self.start_cash,
            start_positions=self.start_positions,
        )

    def alert_texts(self) -> list[str]:
        """Return what each incident of the replay told, in order."""
        return [incident.alert.text for incident in in_order(self.world.outbox.every())]


def replay(
    bars: BarSet,
    *,
    cash: Decimal,
    positions: Callable[[datetime, date], Sequence[Position]],
    calendar: ExchangeCalendar,
    history: BarSet | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Replay a set of bars from its first session's open to its last one's close.

    `positions` makes the positions held at the start from that instant and date; they count as adjusted through it.
    `history` holds bars from before the range, of the same length, for what needs a past: the volatility.
    """
    start, first_day = bars.days[0].opens, bars.days[0].date
    cadence = cadence_of(bars.interval)
    held = positions(start, first_day)
    feed = BarFeed(bars.bars, bars.days, recorded=bars.quotes)
    world = offline_world(
        start=start,
        calendar=calendar,
        cash=cash,
        positions=held,
        watched=bars.symbols,
        primary=feed,
        actions=KnownActions(bars.actions),
        volatility=BarVolatility(_joined(history, bars), bars.interval),
        prices=MemoryPriceStore(keep=PRICES_KEPT),
    )
    _record_start(world, bars, cadence, cash, held)
    use_cases = UseCases(world.ports(), OFFLINE_ACCOUNT, rules_for(cadence))
    course = Replay(bars=bars, world=world, start_cash=cash, start_positions=held)
    ticks = list(ticks_of(bars.days, cadence, phase_of(bars.bars, cadence)))
    mornings = {day.opens: morning_of(day) for day in bars.days[1:]}
    due_actions = DueActions(bars.actions, after=first_day)
    for number, at in enumerate(ticks, start=1):
        for instant in (*mornings.get(at, ()), at):
            world.clock.set(instant)
            for action in due_actions.take(instant):
                world.exchange.apply(action, instant)
            for bar in feed.advance(instant):
                world.exchange.on_bar(bar)
            world.exchange.advance(instant)
            if instant == at:
                _tick(course, use_cases, Tick(scheduled=at))
            else:
                _before_the_open(course, use_cases)
        if progress is not None:
            progress(number, len(ticks))
    course.ticks = len(ticks)
    return course


def _joined(history: BarSet | None, bars: BarSet) -> Mapping[Symbol, Sequence[Bar]]:
    if history is None or history.interval != bars.interval:
        return bars.bars
    return {symbol: [*history.bars.get(symbol, ()), *series] for symbol, series in bars.bars.items()}


def _record_start(
    world: OfflineWorld, bars: BarSet, cadence: timedelta, cash: Decimal, held: Sequence[Position]
) -> None:
    """Journal what the replay begins with, so that the record explains itself."""
    RecordFact(journal=world.journal)(
        "replay_started",
        world.clock.now(),
        cadence_seconds=int(cadence.total_seconds()),
        symbols=bars.symbols,
        cash=cash,
        positions=[
            {
                "symbol": position.symbol,
                "lot": position.lot,
                "quantity": position.quantity,
                "average_entry_price": position.average_entry_price,
                "stop_price": position.stop_price,
            }
            for position in held
        ],
    )


def _before_the_open(course: Replay, use_cases: UseCases) -> None:
    """Take over what happened at the broker since the close, such as a split, and withdraw what must not rest."""
    if use_cases.reconcile_orders.is_due():
        use_cases.reconcile_orders()
    use_cases.place_orders(EXECUTOR)
    if len(course.world.alerts):
        course.world.alerts.drain(use_cases.route_alerts)


def _tick(course: Replay, use_cases: UseCases, tick: Tick) -> None:
    world = course.world
    if use_cases.reconcile_orders.is_due():
        use_cases.reconcile_orders()
    polled = use_cases.poll_prices(tick)
    checked = use_cases.check_risk(tick)
    placed = use_cases.place_orders(EXECUTOR)
    if len(world.cycles):
        world.cycles.drain(course.moves.append)
    if len(world.alerts):
        world.alerts.drain(use_cases.route_alerts)
    use_cases.route_alerts.sweep()
    problems = (*polled.problems, *checked.problems, *placed.problems)
    if problems:
        course.errors += [f"{iso(tick.scheduled)} {problem}" for problem in problems]
    if checked.coverage is not None and (not course.coverage or course.coverage[-1][1] != checked.coverage):
        course.coverage.append((tick.scheduled, checked.coverage))
    if checked.state is not None and (not course.states or course.states[-1][1] != checked.state.reasons):
        course.states.append((tick.scheduled, checked.state.reasons))
