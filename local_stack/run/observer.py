"""What a run looks like from outside: read after each tick, changed by nothing here.

Decided: state and coverage are written down when they change, as a replay does it. Incidents are read anew only when
alerts were delivered or one still waits, because reading them all is the dearest look.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

from pydantic import AwareDatetime, BaseModel, ConfigDict

from local_stack.cloud.functions import Invocation
from local_stack.exchange.market import NEW_YORK
from local_stack.run.snapshot import Part, ShownAlert, ShownOrder, ShownPosition, ShownSchedule, Snapshot
from local_stack.run.stored import StoredFacts
from local_stack.run.wiring import LocalCloud, WiredCloud, use_case_of
from shared.adapters.memory.matching import Exchange
from shared.domain.alerts import DeliveryState, Incident
from shared.domain.assets import Symbol
from shared.domain.budget import month_of
from shared.domain.coverage import Coverage, PublishedCoverage
from shared.domain.day_plan import exchange_date
from shared.domain.intents import Intent, IntentId
from shared.domain.model_prices import in_dollars
from shared.domain.money import ZERO
from shared.domain.orders import Account, Order
from shared.domain.positions import Position
from shared.domain.protection import under_broker_stops
from shared.domain.session import trading_day_at
from shared.domain.text import clean
from shared.domain.times import Tick, iso
from shared.domain.trading_state import HaltReason, TradingState
from shared.ports.broker import ExchangeCalendar
from shared.ports.prices import Minute
from shared.use_cases.poll_prices import session_of

TEXT_LIMIT: Final = 400
ROUTER: Final = "RouteAlerts"
_AHEAD: Final = timedelta(days=14)


class ChangeOfState(BaseModel):
    """The reasons that restrict trading, from an instant on."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    reasons: frozenset[HaltReason]


class ChangeOfCoverage(BaseModel):
    """The coverage from an instant on."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    coverage: Coverage


class Course(BaseModel):
    """What changed when, over a whole run with its stops and starts."""

    ticks: int = 0
    states: list[ChangeOfState] = []
    coverage: list[ChangeOfCoverage] = []
    errors: list[str] = []


class Figures(Protocol):
    """Where the account's figures and orders come from."""

    def account(self) -> Account | None:
        """Return the account, None before anything is known of it."""
        ...

    def orders(self) -> Sequence[ShownOrder]:
        """Return the orders, oldest first."""
        ...


class SimulatedFigures:
    """The figures of the simulated exchange itself."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def account(self) -> Account | None:
        """Return the account as the exchange has it now."""
        return self._exchange.account()

    def orders(self) -> Sequence[ShownOrder]:
        """Return every order the exchange ever took."""
        return [_order(order) for order in self._exchange.orders()]


class BookFigures:
    """The figures of a real account as far as the book knows them; orders are those seen while this runs."""

    def __init__(self, owner: LocalCloud) -> None:
        self._owner = owner
        self._seen: dict[IntentId, Intent] = {}

    def account(self) -> Account | None:
        """Return the account as of the last reconciliation."""
        facts = self._owner.records.last()
        if facts is None:
            return None
        return Account(id=self._owner.account, cash=facts.cash, equity=facts.equity, buying_power=facts.cash)

    def orders(self) -> Sequence[ShownOrder]:
        """Return the intents of the ledger, and those that have left it since."""
        ledger = self._owner.ledgers.load(self._owner.account)
        there = {**ledger.finished, **ledger.open}
        for intent in self._seen.values():
            if intent.is_open and intent.id not in there:
                there[intent.id] = self._owner.ledgers.closed(intent.id) or intent
        self._seen.update(there)
        return [_intent(intent) for intent in sorted(self._seen.values(), key=lambda intent: intent.created_at)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What stays the same over a run's snapshots."""

    parts: Sequence[Part]
    stage: str
    account: str
    speed: str
    page: str
    ticks_in_all: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Book:
    """What the book and the prices hold after a tick."""

    positions: Sequence[Position]
    state: TradingState | None
    coverage: PublishedCoverage | None
    at_broker: Mapping[Symbol, Decimal]
    minute: Minute | None
    models: str


@dataclass(slots=True, kw_only=True)
class Observer:
    """Looks at one run and keeps its course."""

    wired: WiredCloud
    facts: StoredFacts
    figures: Figures
    calendar: ExchangeCalendar
    frame: Frame
    course: Course = field(default_factory=Course)
    _book: _Book | None = None
    _incidents: Sequence[Incident] | None = None

    def note(self, at: datetime, done: Sequence[Invocation]) -> None:
        """Write down what a tick changed, and what went wrong in it."""
        self.course.ticks += 1
        self.course.errors += [f"{iso(at)} {problem}" for run in done for problem in problems_of(run)]
        self._book = book = self._read_book()
        if session_of(self.calendar, Tick(scheduled=at)) is not None:
            self._note_state(at, book)
            self._note_coverage(at, book)
        waiting = self._incidents is None or any(incident.needs_watching for incident in self._incidents)
        if waiting or any(run.function == ROUTER and is_batch(run) for run in done):
            self._incidents = self.facts.incidents()

    def snapshot(self, now: datetime, next_at: datetime | None) -> Snapshot:
        """Show the run as it was after the last tick; `next_at` is when the next one will be."""
        book, account = self._book or self._read_book(), self.figures.account()
        held = sorted(book.positions, key=lambda position: position.symbol)
        return Snapshot(
            parts=self.frame.parts,
            stage=self.frame.stage,
            account=self.frame.account,
            speed=self.frame.speed,
            now=now,
            session=session_words(self.calendar, now),
            ticks=self.course.ticks,
            ticks_in_all=self.frame.ticks_in_all,
            positions=[_position(p, book.minute, book.at_broker.get(p.symbol, ZERO)) for p in held],
            coverage=self.course.coverage[-1].coverage if self.course.coverage else None,
            state=book.state,
            cash=ZERO if account is None else account.cash,
            equity=ZERO if account is None else account.equity,
            alerts=sorted(map(_alert, self._incidents or ()), key=lambda alert: alert.at),
            orders=self.figures.orders(),
            schedules=self._schedules(now, next_at),
            errors=[clean(error, TEXT_LIMIT) for error in self.course.errors],
            page=self.frame.page,
            models=book.models,
        )

    def _read_book(self) -> _Book:
        owner = self.wired.owner
        return _Book(
            positions=owner.positions.all(),
            state=owner.controls.trading_state(),
            coverage=owner.controls.coverage(),
            at_broker=under_broker_stops(owner.ledgers.load(owner.account).open.values()),
            minute=owner.prices.latest(),
            models=self._models(owner),
        )

    def _models(self, owner: LocalCloud) -> str:
        """Say what today's calls cost or may cost, and the limit."""
        today, limit = exchange_date(owner.clock.now()), owner.budget_settings.rules().day
        counted = owner.budgets.month(month_of(today)).day(today)
        return f"${in_dollars(counted.committed)} of ${in_dollars(limit)} today"

    def _note_state(self, at: datetime, book: _Book) -> None:
        state, known = book.state, self.course.states
        if state is not None and (not known or known[-1].reasons != state.reasons):
            known.append(ChangeOfState(at=at, reasons=state.reasons))

    def _note_coverage(self, at: datetime, book: _Book) -> None:
        published, known = book.coverage, self.course.coverage
        if published is not None and (not known or known[-1].coverage != published.coverage):
            known.append(ChangeOfCoverage(at=at, coverage=published.coverage))

    def _schedules(self, now: datetime, next_at: datetime | None) -> list[ShownSchedule]:
        """Name the next firing of each function; nothing fires between two ticks."""
        return [
            ShownSchedule(
                name=use_case_of(self.wired.cloud.functions[fire.schedule.function].handler),
                next_at=max(fire.at, next_at or fire.at),
            )
            for fire in self.wired.schedules.upcoming(now)
        ]


def problems_of(run: Invocation) -> list[str]:
    """Name what went wrong in a run: that it failed, and what it could not do."""
    told = run.answer.get("problems", []) if isinstance(run.answer, dict) else []
    failed = [f"{run.function} failed: {run.error}"] if run.error is not None else []
    return [*failed, *(f"{run.function}: {problem}" for problem in told)]


def is_batch(run: Invocation) -> bool:
    """Say whether a run was fed by a queue; what failed counts as one."""
    return not isinstance(run.answer, dict) or "batchItemFailures" in run.answer


def session_words(calendar: ExchangeCalendar, now: datetime) -> str:
    """Say whether the market is open and when that changes, in New York's time."""
    days = calendar.days(now.date(), (now + _AHEAD).date())
    running = trading_day_at(days, now)
    if running is not None:
        return f"open until {running.closes.astimezone(NEW_YORK):%H:%M}"
    opens = next((day.opens for day in days if day.opens > now), None)
    return "closed" if opens is None else f"closed, opens {opens.astimezone(NEW_YORK):%a %H:%M}"


def _price(position: Position, minute: Minute | None) -> Decimal | None:
    quote = None if minute is None else minute.quotes.get(position.symbol)
    return None if quote is None else quote.price


def _position(position: Position, minute: Minute | None, at_broker: Decimal) -> ShownPosition:
    stops = [stop for stop in (position.stop_price, position.trailing_stop_price) if stop is not None]
    return ShownPosition(
        symbol=position.symbol,
        quantity=position.quantity,
        entry=position.average_entry_price,
        last=_price(position, minute),
        stop=max(stops),
        at_broker=at_broker,
    )


def _alert(incident: Incident) -> ShownAlert:
    """Show an incident by its newest message."""
    told, deliveries = incident.alert, incident.deliveries
    if incident.recovery is not None:
        told, deliveries = incident.recovery, incident.recovery_deliveries
    channels = sorted(channel for channel, delivery in deliveries.items() if delivery.state is DeliveryState.SENT)
    count = f" ({incident.suppressed} more)" if incident.suppressed and incident.recovery is None else ""
    return ShownAlert(
        key=incident.key,
        at=told.at,
        severity=told.severity.name.lower(),
        channels=tuple(channels),
        text=f"{clean(told.text, TEXT_LIMIT)}{count}",
    )


def _order(order: Order) -> ShownOrder:
    return ShownOrder(
        id=order.client_order_id,
        at=order.submitted_at,
        symbol=order.symbol,
        side=order.side.value,
        quantity=order.quantity,
        filled=order.filled_quantity,
        price=order.average_fill_price,
        state=order.status.value,
        stop=order.stop_price,
    )


def _intent(intent: Intent) -> ShownOrder:
    filled = intent.filled_quantity
    return ShownOrder(
        id=intent.id,
        at=intent.created_at,
        symbol=intent.symbol,
        side=intent.side.value,
        quantity=intent.quantity,
        filled=filled,
        price=intent.filled_value / filled if filled else None,
        state=intent.state.value,
        stop=intent.stop_price,
    )
