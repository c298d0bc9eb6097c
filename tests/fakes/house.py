"""The deployed system on loopback at one instant: real handlers, real adapters, each function under its own policy.

Told as a story on the tenth of June 2026: TSLA is held from 370 with a stop at 296, and falls through it at 16:03 UTC.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self

from pydantic import SecretStr

from local_stack.cloud.embedded import EmbeddedCloud
from local_stack.cloud.functions import Functions, Invocation
from local_stack.cloud.pumps import Pumps
from local_stack.cloud.template import Template
from local_stack.exchange.server import ExchangeSimulator
from shared.adapters.aws.clients import Aws
from shared.adapters.aws.journal import DynamoJournal
from shared.adapters.aws.parameters import SsmParameters
from shared.adapters.aws.table import Table
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.matching import Exchange
from shared.adapters.memory.messages import MemoryMetrics
from shared.bootstrap.cloud import Cloud
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.budget import Bounds, BudgetRules, Denied, Envelope, Reservation, ReservationId, month_of
from shared.domain.calls import Call, Purpose, Rung, WorkId
from shared.domain.charges import Booked, charge_for
from shared.domain.day_plan import exchange_date
from shared.domain.journal import first_break
from shared.domain.model_prices import HAIKU, MicroDollars
from shared.domain.providers import ANTHROPIC
from tests.fakes.discord import DiscordDouble

ROOT: Final = Path(__file__).resolve().parents[2]
EVENTS: Final = ROOT / "events"
TEMPLATE: Final = ROOT / "template.yaml"
ACCOUNT: Final = "11111111-2222-4333-8444-555555555555"
MINUTE: Final = timedelta(minutes=1)
NOON: Final = datetime(2026, 6, 10, 16, 3, tzinfo=UTC)
TSLA: Final = Symbol("TSLA")
NVDA: Final = Symbol("NVDA")
PARAMETERS: Final = {
    "MailFrom": "watch@example.com",
    "MailTo": "owner@example.com",
    "OperatorEmail": "owner@example.com",
    "Schedules": "ENABLED",
    "Watchlist": "TSLA,NVDA",
}
FUNCTIONS: Final = {
    "prepare_session": "PrepareSession",
    "reconcile_orders": "ReconcileOrders",
    "poll_prices": "PollPrices",
    "check_risk": "CheckRisk",
    "place_orders": "PlaceOrders",
    "route_alerts": "RouteAlerts",
    "archive_prices": "ArchivePrices",
    "audit_budget": "AuditBudget",
}
"""The folders and what the template calls them."""
EVERY_MINUTE: Final = ("reconcile_orders", "poll_prices", "check_risk", "place_orders", "route_alerts")
"""What the template runs each minute, in its order."""


@cache
def deployed_template() -> Template:
    """Translate the template, once for all houses of a test run."""
    return Template.read(TEMPLATE, PARAMETERS)


def specimen(function: str, situation: str) -> Any:
    """Read one of the project's events."""
    return json.loads((EVENTS / function / f"{situation}.json").read_text(encoding="utf-8"))


class House:
    """Everything that runs, on a clock that stands still unless it is told to go on.

    Without `stops` nothing rests at the broker, so that a story is about the software stop alone.
    """

    def __init__(
        self,
        *,
        now: datetime = NOON - 2 * MINUTE,
        discord: DiscordDouble | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
        template: Template | None = None,
        stops: bool = False,
    ) -> None:
        self.clock = SimulatedClock(now)
        self.environment = environment
        self.stops = stops
        self.calendar = LibraryCalendar()
        exchange = Exchange(ACCOUNT, Decimal(100_000), self.calendar)
        for symbol in (TSLA, NVDA):
            exchange.list_symbol(symbol)
        exchange.seed_position(TSLA, Decimal("10.4"), Decimal("370"))
        self.exchange = ExchangeSimulator(exchange, self.clock)
        self.cloud = EmbeddedCloud(template or deployed_template(), self.clock)
        self.discord = discord or DiscordDouble()
        self.functions = Functions(self.cloud, self._use_case)
        self._pumps: Pumps | None = None
        self._clouds: dict[str, Cloud] = {}
        self._aws: dict[str, Aws] = {}
        self._made: list[Cloud] = []

    def __enter__(self) -> Self:
        self.exchange.start()
        self.cloud.start()
        self.discord.__enter__()
        secrets = SsmParameters(self.cloud.client("ssm"), "/hearthwatch")
        for name, value in (
            ("alpaca-paper-key-id", self.exchange.key_id),
            ("alpaca-paper-secret", self.exchange.secret),
            ("discord-webhook-url", self.discord.address),
        ):
            secrets.put(name, SecretStr(value))
        self._pumps = Pumps(self.functions)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for cloud in self._made:
            cloud.close()
        self.discord.__exit__(kind, error, trace)
        self.cloud.stop()
        self.exchange.stop()

    # running functions

    def run(self, function: str, event: Any) -> Invocation:
        """Deliver an event to a function, by the name of its folder."""
        return self.functions.invoke(FUNCTIONS[function], event)

    def run_many(self, function: str, event: Any, times: int) -> list[Invocation]:
        """Deliver an event several times at once, each to a process of its own."""
        return self.run_at_once(function, [event] * times)

    def run_at_once(self, function: str, events: Sequence[Any]) -> list[Invocation]:
        """Deliver several events at once, each to a process of its own."""
        clouds = [self.new_cloud(FUNCTIONS[function]) for _ in events]
        runners = [Functions(self.cloud, lambda _, cloud=cloud: self._of(cloud, function)) for cloud in clouds]  # type: ignore[misc]
        with ThreadPoolExecutor(len(events)) as pool:
            return list(pool.map(lambda runner, event: runner.invoke(FUNCTIONS[function], event), runners, events))

    def tick(self, function: str) -> Invocation:
        """Run a function on the schedule's event of this minute."""
        run = self.try_tick(function)
        assert run.error is None, run.error
        return run

    def try_tick(self, function: str) -> Invocation:
        """Run a function on the schedule's event of this minute, whatever becomes of it."""
        return self.run(function, self.tick_event())

    def tick_event(self) -> Any:
        """Give the schedule's event of this minute."""
        at = self.clock.now().replace(second=0, microsecond=0)
        return {**specimen("poll_prices", "tick"), "scheduled_at": at.isoformat()}

    def pump(self) -> tuple[Invocation, ...]:
        """Deliver what waits in the queues and is due."""
        assert self._pumps is not None
        return self._pumps.drain()

    def give_back(self) -> None:
        """Let the queues show again what failed, to whoever looks."""
        assert self._pumps is not None
        self._pumps.give_back()

    def go_on(self, prices: Mapping[Symbol, str] | None = None) -> list[Invocation]:
        """Let a minute of trading pass, run on its tick what runs every minute, and deliver the queues."""
        self.trade(prices or {TSLA: "295.10", NVDA: "187.10"})
        runs = [self.try_tick(function) for function in EVERY_MINUTE]
        return [*runs, *self.pump()]

    def drain(self, queue: str) -> list[str]:
        """Take every message that waits in a queue."""
        sqs, url, bodies = self.cloud.client("sqs"), self.cloud.physical(queue), []
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in found:
                bodies.append(message["Body"])
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return bodies

    def waiting(self, queue: str) -> list[str]:
        """Read what waits in a queue, and leave it there."""
        sqs, url = self.cloud.client("sqs"), self.cloud.physical(queue)
        bodies = []
        while found := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            bodies += found
        for message in bodies:
            sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
        return [message["Body"] for message in bodies]

    def archived(self) -> list[str]:
        """List the archive's objects."""
        listed = self.cloud.client("s3").list_objects_v2(Bucket=self.cloud.physical("ArchiveBucket"))
        return [each["Key"] for each in listed.get("Contents", [])]

    def incidents(self) -> list[tuple[object, ...]]:
        """List what the alert outbox holds, with how often each trouble was told and where."""
        items = self.cloud.client("dynamodb").scan(TableName=self.cloud.physical("BookTable"))["Items"]
        bodies = [json.loads(i["body"]["S"]) for i in items if i["pk"]["S"].startswith("incident#")]
        return sorted(
            (b["alert"]["kind"], b["alert"]["subject"], b["suppressed"], str(sorted(b["deliveries"]))) for b in bodies
        )

    def told(self) -> list[str]:
        """List the titles of what arrived at Discord, in order."""
        return [str(body["embeds"][0].get("title")) for body in self.discord.taken]

    @property
    def metrics(self) -> set[str]:
        """Name every metric that any function has put."""
        return {
            name for cloud in self._made if isinstance(cloud.metrics, MemoryMetrics) for name in cloud.metrics.counts
        }

    def facts(self) -> list[str]:
        """List the day's journal facts without their times, in a chain that is whole; one told twice counts once."""
        links = DynamoJournal(Table(self.cloud.client("dynamodb"), self.cloud.physical("JournalTable"))).links(
            self.clock.now().date()
        )
        assert first_break(list(links)) is None
        facts = (json.loads(link.body) for link in links)
        return sorted({f"{fact['kind']} {fact['fields'].get('id', '')}" for fact in facts})

    @cached_property
    def owner(self) -> Cloud:
        """Give the owner's view of the Book."""
        aws = Aws(self.cloud.owner, endpoint_url=self.cloud.url)
        return Cloud(self.cloud.environment_of("PlaceOrders"), clock=self.clock, aws=aws, metrics=MemoryMetrics())

    def new_cloud(self, function: str) -> Cloud:
        """Make the ports of a new process of a function."""
        environment = self.environment_of(function)
        if function not in self._aws:
            self._aws[function] = Aws(self.cloud.session_of(function), endpoint_url=self.cloud.url)
        self._made.append(Cloud(environment, clock=self.clock, aws=self._aws[function], metrics=MemoryMetrics()))
        return self._made[-1]

    def environment_of(self, function: str) -> Mapping[str, str]:
        """Give the variables of a function, with the addresses of this house among them."""
        return {
            **self.cloud.environment_of(function),
            "HEARTHWATCH_ALPACA_TRADING_URL": self.exchange.url,
            "HEARTHWATCH_ALPACA_DATA_URL": self.exchange.url,
            "HEARTHWATCH_YAHOO_URL": "http://127.0.0.1:9",
            "HEARTHWATCH_DISCORD_LOOPBACK": "1",
            "HEARTHWATCH_BROKER_STOPS": str(self.stops).lower(),
            **self.environment,
        }

    # the market

    def trade(self, prices: Mapping[Symbol, str]) -> None:
        """Let a minute pass in which each symbol trades at one price."""
        start = self.clock.now().replace(second=0, microsecond=0)
        at = start + MINUTE
        self.exchange.feed(
            *(
                Bar(symbol, start, at, price, price, price, price, Decimal(1_000_000))
                for symbol, price in ((s, Decimal(p)) for s, p in prices.items())
            )
        )
        self.clock.set(at)

    def _use_case(self, logical_id: str) -> object:
        if logical_id not in self._clouds:
            self._clouds[logical_id] = self.new_cloud(logical_id)
        folder = next(folder for folder, name in FUNCTIONS.items() if name == logical_id)
        return self._of(self._clouds[logical_id], folder)

    def _of(self, cloud: Cloud, folder: str) -> object:
        return _Late(cloud, folder)


class _Late:
    """A use case that is built within the run that asks for it, as a function builds its own."""

    def __init__(self, cloud: Cloud, folder: str) -> None:
        self._cloud = cloud
        self._folder = folder

    def __call__(self, *given: Any) -> Any:
        return getattr(self._cloud.use_cases, self._folder)(*given)

    def __getattr__(self, name: str) -> Any:
        return getattr(getattr(self._cloud.use_cases, self._folder), name)


def before_the_fall(house: House) -> None:
    """Bring the house to 16:02 with everything calm: prepared, reconciled, polled, checked, nothing to tell."""
    house.trade({TSLA: "321.50", NVDA: "187.00"})
    house.tick("prepare_session")
    house.tick("reconcile_orders")
    house.tick("poll_prices")
    house.tick("check_risk")
    for queue in ("AlertsQueue", "DoorbellQueue", "CyclesQueue"):
        house.drain(queue)


def fallen(house: House) -> None:
    """TSLA falls through its stop in the minute before 16:03."""
    before_the_fall(house)
    house.trade({TSLA: "295.50", NVDA: "187.10"})


def priced(house: House) -> None:
    """The fall is known."""
    fallen(house)
    house.tick("poll_prices")


def prepared(house: House) -> None:
    """The exit is prepared, nothing is sent."""
    priced(house)
    house.tick("check_risk")


def filled(house: House) -> None:
    """The exit is sent and filled, and nobody has asked the broker yet."""
    prepared(house)
    house.tick("place_orders")
    house.trade({TSLA: "295.10", NVDA: "187.20"})


def an_hour_later(house: House) -> None:
    """The hour with the fall is over."""
    priced(house)
    house.clock.set(NOON.replace(hour=17, minute=5))


def reserved(house: House, name: str, amount: MicroDollars, *, lasts: timedelta = 15 * MINUTE) -> Reservation:
    """Reserve money for a call of this name as the owner, at this moment."""
    now = house.clock.now()
    rules = BudgetRules()
    wanted = Reservation(
        id=ReservationId(name),
        issued_at=now,
        day=exchange_date(now),
        amount=amount,
        envelope=Envelope.DECISIONS,
        expires_at=now + lasts,
        call=Call(provider=ANTHROPIC, model=HAIKU, rung=Rung.HAIKU, purpose=Purpose.DECISION, work=WorkId(name)),
        prices="2026-06-01T00:00:00Z",
    )
    admitted = house.owner.budgets.reserve(wanted, Bounds.of(rules, wanted.envelope, edge_down=False))
    assert not isinstance(admitted, Denied)
    return wanted


def charged(house: House, held: Reservation, cost: MicroDollars) -> None:
    """Write down what a call cost, as whoever settles it does first."""
    now = house.clock.now()
    house.owner.charges.put(charge_for(held, now, cost=cost, booked=Booked.SETTLED, ending="complete"))


def an_hour_of_calls(house: House) -> None:
    """One call is settled, one caller died before its record and one after it, and one call is under way."""
    settled, dropped = reserved(house, "settled", 57_000), reserved(house, "dropped", 40_000)
    half_settled = reserved(house, "half settled", 30_000)
    charged(house, settled, 12_345)
    house.owner.budgets.close(settled, 12_345)
    charged(house, half_settled, 6_789)
    house.clock.set(NOON.replace(minute=20))
    reserved(house, "under way", 20_000)
    assert dropped.expires_at < house.clock.now()


def in_the_morning(house: House) -> None:
    """The market has not opened; the broker was asked, as it is all day and night."""
    house.tick("reconcile_orders")


STAGES: Final[Mapping[str, tuple[Callable[[House], None], datetime]]] = {
    "prepare_session": (in_the_morning, NOON.replace(hour=12, minute=30)),
    "poll_prices": (fallen, NOON - 2 * MINUTE),
    "check_risk": (priced, NOON - 2 * MINUTE),
    "place_orders": (prepared, NOON - 2 * MINUTE),
    "reconcile_orders": (filled, NOON - 2 * MINUTE),
    "route_alerts": (before_the_fall, NOON - 2 * MINUTE),
    "archive_prices": (an_hour_later, NOON - 2 * MINUTE),
    "audit_budget": (an_hour_of_calls, NOON - 2 * MINUTE),
}
"""How the house stands when a function's specimens arrive, and when its story begins."""


def effects(house: House) -> dict[str, object]:
    """Everything that the functions have changed and anybody could notice."""
    owner = house.owner
    ledger = owner.ledgers.load(owner.account)
    facts = owner.records.last()
    plan = owner.plans.latest()
    month = owner.budgets.month(month_of(NOON.date()))
    return {
        "orders": [(o.client_order_id, o.status, o.filled_quantity) for o in house.exchange.exchange.orders()],
        "open": {i.id: (i.state, i.sends) for i in ledger.open.values()},
        "finished": {i.id: i.state for i in ledger.finished.values()},
        "positions": [(p.symbol, p.quantity) for p in owner.positions.all()],
        "cash": None if facts is None else facts.cash,
        "minutes": [m.at for m in owner.prices.window(NOON - timedelta(hours=1), NOON + timedelta(hours=1))],
        "plan": None if plan is None else (plan.day, sorted(plan.problems)),
        "archive": house.archived(),
        "budget": (month.committed, month.spent, sorted(month.open)),
        "charges": [(c.id, c.cost, c.booked) for c in sorted(owner.charges.of_day(NOON.date()), key=lambda c: c.id)],
        "incidents": house.incidents(),
        "journal": house.facts(),
        "discord": house.told(),
        "mail": len(house.cloud.sent_mail()),
        "cycles": len(set(house.waiting("CyclesQueue"))),
        "alerts": len(set(house.waiting("AlertsQueue"))),
    }
