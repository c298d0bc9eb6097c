"""The deployed system of one cell: embedded cloud, exchange and channels on loopback, driven by simulated minutes.

Each function runs under its own identity, as often and at the instants at which the template's schedules and queues
have it run; nobody waits. What a fault may turn is here too: who runs how often, and who is killed where. Between the
tries of a client nothing is waited for, and a broker that says nothing is given up on after two seconds; both would
only be real time, and change no number of tries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, local
from types import TracebackType
from typing import Any, Final, Self, cast
from unittest.mock import patch

from botocore.retries.standard import ExponentialBackoff
from pydantic import SecretStr

from hearthwatch.chaos.askers import Crowd, Spending
from hearthwatch.chaos.channels import Channels
from hearthwatch.chaos.story import HOLDINGS, MINUTE, MORNING, Column, time_of
from local_stack.cloud.asynchronous import AsynchronousRuns
from local_stack.cloud.door import Misbehaviour, Plan
from local_stack.cloud.embedded import EmbeddedCloud
from local_stack.cloud.functions import Functions, Invocation
from local_stack.cloud.pumps import Pumps
from local_stack.cloud.requests import Ask
from local_stack.cloud.schedules import Fire, ScheduleClock
from local_stack.cloud.template import Template
from local_stack.exchange.server import ExchangeSimulator
from local_stack.run.claude_part import SECRET
from local_stack.run.tables import read_messages
from local_stack.run.wiring import PREFIX, read_template, use_case_of
from shared.adapters.alpaca import session as alpaca
from shared.adapters.aws.clients import Aws
from shared.adapters.aws.parameters import SsmParameters
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.matching import Exchange
from shared.adapters.memory.messages import MemoryMetrics
from shared.bootstrap.cloud import DISCORD, PAPER_KEYS, Cloud
from shared.domain.orders import Order, PlaceOrder
from shared.domain.times import iso
from shared.ports.broker import Broker, ExchangeCalendar

ACCOUNT: Final = "00000000-0000-4000-8000-000000000002"
CASH: Final = Decimal(100_000)
PATIENCE: Final = 2.0
"""Real seconds after which a broker that says nothing is given up on."""
LATE: Final = timedelta(seconds=100)
"""How late a third delivery of a scheduled event is."""
_AT_ONCE: Final = timedelta(0)


class Killed(BaseException):
    """The process is gone; nothing in it can catch this and go on."""


@dataclass(slots=True, kw_only=True)
class Delivery:
    """How schedules reach functions: `silent` ones never run; `doubled` events come twice at once, and again late."""

    silent: frozenset[str] = frozenset()
    doubled: bool = False
    strikes: int = 0


@dataclass(slots=True, kw_only=True)
class Guillotine:
    """Kills a process between the write that claims an order and the request that sends it, once for each order.

    From then on nothing that the process still tries reaches the cloud.
    """

    armed: bool = False
    spared: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)

    def falls(self, caller: str, order: str) -> None:
        """Kill the process that is about to send an order for the first time."""
        if self.armed and order not in self.spared:
            self.spared.add(order)
            self.dead.add(caller)
            raise Killed(order)

    def strikes(self, caller: str, _: Sequence[Ask]) -> Plan | None:
        """Let no request of a dead process through."""
        return Plan(kind=Misbehaviour.HANG, lasting=_AT_ONCE) if caller in self.dead else None


class Stage:
    """One cell's world; begin it, advance it tick by tick, and look at it from outside."""

    def __init__(self, column: Column, template: Template, calendar: ExchangeCalendar) -> None:
        self.column = column
        self.clock = SimulatedClock(MORNING)
        self.cloud = EmbeddedCloud(template, self.clock)
        self.exchange = ExchangeSimulator(_exchange(calendar), self.clock)
        self.delivery = Delivery()
        self.guillotine = Guillotine()
        self.problems: list[str] = []
        self.channels: Channels
        self._processes = _Processes(self)
        self._functions = Functions(self.cloud, self._processes.run_of)
        self._runs = AsynchronousRuns(self._functions)
        self._pumps: Pumps
        self._schedules: ScheduleClock
        self._late: list[tuple[datetime, Fire]] = []
        self._crowd: Crowd | None = None
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Start everything, store the secrets, and put what is held into the Book."""
        folder = self._open.enter_context(TemporaryDirectory(prefix="hearthwatch-chaos-"))
        self.channels = Channels(self.clock, self.exchange, Path(folder))
        try:
            for part in (self.exchange, self.cloud, self.channels):
                part.start()
                self._open.callback(part.stop)
            self._open.callback(self._processes.close)
            self._begin()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self._open.close()

    def prepare(self) -> None:
        """Play the morning: the broker's truth is taken over, and the session prepared."""
        self._minute(MORNING)
        self._minute(MORNING + MINUTE)

    def play(self, tick: int) -> None:
        """Let the minute before a tick happen, then the tick and what follows it within its own minute."""
        self.exchange.feed(*self.column.bars(tick))
        if self._crowd is not None:
            self._crowd.ask(time_of(tick))
        self._minute(time_of(tick))

    def calm(self) -> None:
        """End every fault."""
        self.cloud.door.behave()
        self.exchange.behave()
        self.channels.behave()
        self.delivery = Delivery()
        self.guillotine.armed = False
        if self._crowd is not None:
            self._crowd.disperse()

    @property
    def crowd(self) -> Crowd:
        """Give those who ask models; nobody does before this was asked for."""
        if self._crowd is None:
            crowd = Crowd(self.cloud, self.clock, self.environment_of("PlaceOrders"))
            self._crowd = self._open.enter_context(crowd)
            SsmParameters(self.cloud.client("ssm"), PREFIX).put(SECRET, SecretStr(crowd.claude.key))
        return self._crowd

    @property
    def spending(self) -> Spending | None:
        """Compare what models cost with the ledger; None where nobody asked one."""
        return None if self._crowd is None else self._crowd.spending(self.owner)

    def waiting_alerts(self) -> Sequence[str]:
        """Give the bodies of the alerts that wait in their queue or lie in its dead letters."""
        self._pumps.give_back()
        queues = ("AlertsQueue", "AlertsDeadLetters")
        return [message["body"] for queue in queues for message in read_messages(self.aws, self.cloud.physical(queue))]

    @cached_property
    def owner(self) -> Cloud:
        """Give ports that may do everything, for looking."""
        return Cloud(
            self.environment_of("PlaceOrders"),
            clock=self.clock,
            aws=Aws(self.cloud.owner, endpoint_url=self.cloud.url),
            metrics=MemoryMetrics(),
        )

    @property
    def aws(self) -> Aws:
        """Connect as the owner."""
        return Aws(self.cloud.owner, endpoint_url=self.cloud.url)

    def environment_of(self, function: str) -> Mapping[str, str]:
        """Give the variables of a function, with this stage's addresses among them."""
        return {
            **self.cloud.environment_of(function),
            "HEARTHWATCH_ALPACA_TRADING_URL": self.exchange.url,
            "HEARTHWATCH_ALPACA_DATA_URL": self.exchange.url,
            "HEARTHWATCH_YAHOO_URL": self.channels.url,
            "HEARTHWATCH_DISCORD_LOOPBACK": "1",
            "HEARTHWATCH_BROKER_STOPS": str(self.column.broker_stops).lower(),
        }

    def _begin(self) -> None:
        secrets = SsmParameters(self.cloud.client("ssm"), PREFIX)
        for name, value in (
            (PAPER_KEYS[0], self.exchange.key_id),
            (PAPER_KEYS[1], self.exchange.secret),
            (DISCORD, self.channels.webhook),
        ):
            secrets.put(name, SecretStr(value))
        self._pumps = Pumps(self._functions)
        self._schedules = ScheduleClock(self.cloud.schedules)
        for holding in HOLDINGS:
            self.owner.positions.put(holding.to_position())

    # the minutes

    def _minute(self, at: datetime) -> None:
        """Fire what is due at an instant, then everything that falls due before the next minute, in order."""
        self.clock.set(max(at, self.clock.now()))
        for fire in self._schedules.due(at - MINUTE, at):
            self._fire(fire)
        self._settle()
        while (due := self._next_due()) is not None and due < at + MINUTE:
            self.clock.set(max(due, self.clock.now()))
            self._settle()

    def _fire(self, fire: Fire) -> None:
        function = fire.schedule.function
        if function in self.delivery.silent:
            self.delivery.strikes += 1
            return
        if not self.delivery.doubled:
            self._note(self._runs.fire(fire))
            return
        self.delivery.strikes += 1
        self._late.append((fire.at + LATE, fire))
        with ThreadPoolExecutor(2, initializer=self._processes.enter) as pool:
            self._note(*[run.result() for run in [pool.submit(self._runs.fire, fire) for _ in range(2)]])

    def _settle(self) -> None:
        """Run what is due now: retries, late deliveries, and what waits in the queues."""
        now = self.clock.now()
        self._note(*self._runs.run_due())
        due = [fire for at, fire in self._late if at <= now]
        self._late = [(at, fire) for at, fire in self._late if at > now]
        self._note(*(self._runs.fire(fire) for fire in due), *self._pumps.drain())

    def _next_due(self) -> datetime | None:
        waiting = [self._runs.next_due(), self._pumps.next_due(), *(at for at, _ in self._late)]
        return min((at for at in waiting if at is not None), default=None)

    def _note(self, *runs: Invocation) -> None:
        """Keep what failed, for whoever looks for the cause."""
        for run in runs:
            told = run.answer.get("problems", []) if isinstance(run.answer, dict) else []
            failed = [] if run.error is None else [str(run.error)]
            self.problems += [f"{iso(self.clock.now())} {run.function}: {problem}" for problem in [*failed, *told]]


class _Processes:
    """The processes that run functions: one for each function and each thread that delivers to it."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._clouds: dict[tuple[str, int], Cloud] = {}
        self._aws: dict[str, Aws] = {}
        self._made: list[Cloud] = []
        self._lock = Lock()
        self._here = local()
        self._entered = 0

    def enter(self) -> None:
        """Give the threads that deliver side by side processes of their own."""
        with self._lock:
            self._entered += 1
            self._here.number = self._entered % 2 + 1

    def run_of(self, function: str) -> object:
        """Give what a function's handler is to run."""
        return _Process(self, function, getattr(self._here, "number", 0))

    def cloud_of(self, function: str, number: int) -> Cloud:
        """Give a process's ports; it is started when it is first needed."""
        with self._lock:
            if (function, number) not in self._clouds:
                if function not in self._aws:
                    session = self._stage.cloud.session_of(function)
                    self._aws[function] = Aws(session, endpoint_url=self._stage.cloud.url)
                cloud = _Mortal(self._stage, function, self._aws[function])
                self._clouds[function, number] = cloud
                self._made.append(cloud)
            return self._clouds[function, number]

    def use_case_of(self, function: str, number: int) -> Any:
        """Build the use case of a function's handler, as it builds it itself."""
        handler = self._stage.cloud.functions[function].handler
        return getattr(self.cloud_of(function, number).use_cases, use_case_of(handler))

    def bury(self, function: str, number: int) -> None:
        """Forget a process that was killed; the next run starts another."""
        with self._lock:
            self._clouds.pop((function, number), None)
            self._stage.guillotine.dead.discard(function)

    def close(self) -> None:
        """Close every connection."""
        for cloud in self._made:
            cloud.close()


class _Process:
    """A use case that is built within the run that asks for it; a kill ends the run as Lambda would report it."""

    def __init__(self, processes: _Processes, function: str, number: int) -> None:
        self._of = processes, function, number

    def __call__(self, *given: Any) -> Any:
        processes, function, number = self._of
        try:
            return processes.use_case_of(function, number)(*given)
        except Killed as killed:
            processes.bury(function, number)
            raise RuntimeError(f"{function} was killed before it sent {killed}") from None

    def __getattr__(self, name: str) -> Any:
        processes, function, number = self._of
        return getattr(processes.use_case_of(function, number), name)


class _Mortal(Cloud):
    """A function's ports, whose process can be killed at the moment of sending."""

    def __init__(self, stage: Stage, function: str, aws: Aws) -> None:
        super().__init__(stage.environment_of(function), clock=stage.clock, aws=aws, metrics=MemoryMetrics())
        self._function = function
        self._guillotine = stage.guillotine

    @cached_property
    def broker(self) -> Broker:
        """Trade at the exchange, if the process lives that long."""
        return cast(Broker, _Executioner(super().broker, self._function, self._guillotine))


class _Executioner:
    """A broker that may kill whoever submits to it."""

    def __init__(self, broker: Broker, function: str, guillotine: Guillotine) -> None:
        self._broker = broker
        self._function = function
        self._guillotine = guillotine

    def submit(self, request: PlaceOrder) -> Order:
        self._guillotine.falls(self._function, request.client_order_id)
        return self._broker.submit(request)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)


def template() -> Template:
    """Read the template as it is deployed for what the cells hold."""
    return read_template([holding.symbol for holding in HOLDINGS])


@contextmanager
def without_waiting() -> Iterator[None]:
    """Leave real time out for a while: no pause between tries, and a short one before silence counts as such."""
    with (
        patch.object(ExponentialBackoff, "delay_amount", lambda *_: 0.0),
        patch.object(alpaca, "TRADING_READ_SECONDS", PATIENCE),
        patch.object(alpaca, "DATA_READ_SECONDS", PATIENCE),
    ):
        yield


def _exchange(calendar: ExchangeCalendar) -> Exchange:
    exchange = Exchange(ACCOUNT, CASH, calendar)
    for holding in HOLDINGS:
        exchange.list_symbol(holding.symbol)
        exchange.seed_position(holding.symbol, holding.quantity, holding.entry)
    return exchange
