"""A deployed stack on loopback as its operator meets it: AWS, the exchange, Discord, and somebody who types."""

from __future__ import annotations

import argparse
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple, Self

from pydantic import SecretStr

from hearthwatch.operator.aws import OperatorAws
from hearthwatch.operator.commands import add_operator_commands
from hearthwatch.operator.stack import SCHEDULES
from hearthwatch.operator.surroundings import Surroundings
from hearthwatch.operator.terminal import Console
from local_stack.cloud.embedded import EmbeddedCloud
from local_stack.cloud.template import Template
from local_stack.exchange.server import ExchangeSimulator
from shared.adapters.aws.parameters import SsmParameters
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.matching import Exchange
from shared.bootstrap.cloud import Cloud
from shared.bootstrap.telemetry import Telemetry
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.errors import Stop
from shared.domain.intents import OrderType
from shared.domain.model_prices import HAIKU, SONNET
from tests.fakes.discord import DiscordDouble
from tests.fakes.house import ACCOUNT, TEMPLATE
from tests.fakes.yahoo import YahooDouble

NOON: Final = datetime(2026, 6, 10, 16, 3, tzinfo=UTC)
EVENING: Final = datetime(2026, 6, 10, 22, 0, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
TSLA, NVDA = Symbol("TSLA"), Symbol("NVDA")
PRICES: Final = {TSLA: "321.50", NVDA: "187.00"}
LIVE_KEY_ID, LIVE_SECRET = "AKSIMULATOR", "simulated-live"
NUMBER: Final = "HW0000001"
"""The account's number at the simulated exchange."""
GIVEN: Final = {
    "MailFrom": "watch@example.com",
    "MailTo": "owner@example.com",
    "OperatorEmail": "owner@example.com",
    "Watchlist": "TSLA,NVDA",
    "ModelPrices": json.dumps(
        [
            {
                "model": model,
                "since": "2026-01-01",
                "input": "1",
                "output": "5",
                "cache_read": "0.1",
                "cache_write": "1.25",
            }
            for model in (HAIKU, SONNET)
        ]
    ),
}
"""What the stories are told under; they happen before the shipped prices begin."""
EVERYTHING: Final = frozenset(OrderType)


@cache
def template_with(parameters: frozenset[tuple[str, str]]) -> Template:
    """Translate the template, once for all tests with the same parameters."""
    return Template.read(TEMPLATE, {**GIVEN, **dict(parameters)})


class Done(NamedTuple):
    """How a command ended, and everything it printed."""

    code: int
    out: str
    problem: str


class _Keyboard(Console):
    """A terminal at which somebody types; answers to hidden questions come from the same lines."""

    def __init__(self, told: Telemetry, typed: Sequence[str], out: io.StringIO, *, interactive: bool) -> None:
        super().__init__(told.redactor, given=io.StringIO("".join(f"{line}\n" for line in typed)), out=out)
        self._somebody = interactive

    @property
    def interactive(self) -> bool:
        return self._somebody

    def ask_secret(self, question: str) -> SecretStr:
        return SecretStr(self.ask(question))


class Clocked(OperatorAws):
    """AWS whose clock is the simulated one."""

    clock: SimulatedClock

    def server_time(self) -> datetime:
        return self.clock.now()


class Deployment:
    """One stack and the world around it, at one instant."""

    def __init__(
        self,
        *,
        now: datetime = NOON,
        held: Mapping[Symbol, str] | None = None,
        fractional: frozenset[OrderType] = EVERYTHING,
        discord: DiscordDouble | None = None,
        **parameters: str,
    ) -> None:
        self.clock = SimulatedClock(now - MINUTE)
        exchange = Exchange(ACCOUNT, Decimal(100_000), LibraryCalendar(), fractional_orders=fractional)
        for symbol in PRICES:
            exchange.list_symbol(symbol)
        for symbol, quantity in (held or {}).items():
            exchange.seed_position(symbol, Decimal(quantity), Decimal("300"))
        self.exchange = ExchangeSimulator(exchange, self.clock)
        self.cloud = EmbeddedCloud(template_with(frozenset(parameters.items())), self.clock)
        self.discord = discord or DiscordDouble()
        self.yahoo = YahooDouble()
        self.environment: dict[str, str] = {}
        self.paused: list[float] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        for part in (self.exchange, self.cloud, self.discord, self.yahoo):
            self._open.enter_context(part)
        self.aws = Clocked(self.cloud.owner, endpoint_url=self.cloud.url)
        self.aws.clock = self.clock
        self.environment = {
            "HEARTHWATCH_ALPACA_TRADING_URL": self.exchange.url,
            "HEARTHWATCH_ALPACA_DATA_URL": self.exchange.url,
            "HEARTHWATCH_YAHOO_URL": self.yahoo.url,
            "HEARTHWATCH_DISCORD_LOOPBACK": "1",
        }
        self._make_what_moto_is_not_given()
        self._trade()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    # the operator

    def run(self, *words: str, typed: Sequence[str] = (), interactive: bool = False, **changed: Any) -> Done:
        """Run a command of the operator's, with what is typed or piped in."""
        out = io.StringIO()
        told = Telemetry("ERROR", io.StringIO())
        here = Surroundings(
            environment=self.environment,
            clock=self.clock,
            aws=self.aws,
            terminal=_Keyboard(told, typed, out, interactive=interactive),
            told=told,
            pause=self.paused.append,
        )
        parser = argparse.ArgumentParser()
        add_operator_commands(parser.add_subparsers(), lambda: replace(here, **changed))
        options = parser.parse_args(list(words))
        try:
            code = options.run(options)
        except Stop as problem:
            return Done(2, out.getvalue(), str(problem))
        return Done(code, out.getvalue(), "")

    def stored(self) -> dict[str, str]:
        """Read every secret that is stored."""
        ssm = self.cloud.client("ssm")
        found = ssm.get_parameters_by_path(Path="/hearthwatch", WithDecryption=True)["Parameters"]
        return {each["Name"].rpartition("/")[2]: each["Value"] for each in found}

    def store(self, **secrets: str) -> None:
        """Store secrets without asking anybody; names take underscores for dashes."""
        parameters = SsmParameters(self.cloud.client("ssm"), "/hearthwatch")
        for name, value in secrets.items():
            parameters.put(name.replace("_", "-"), SecretStr(value))

    def store_paper(self) -> None:
        """Store what paper trading needs."""
        self.store(
            alpaca_paper_key_id=self.exchange.key_id,
            alpaca_paper_secret=self.exchange.secret,
            discord_webhook_url=self.discord.address,
        )

    def ready(self) -> Self:
        """Bring everything to where preflight has nothing to say."""
        self.store_paper()
        topic = self.cloud.physical("OperatorTopic")
        self.cloud.client("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint="owner@example.com")
        for symbol, price in PRICES.items():
            self.yahoo.trades(symbol, price, self.clock.now())
        return self

    @property
    def ports(self) -> Cloud:
        """Give the owner's view of the Book."""
        return Cloud({**self.cloud.environment_of("PlaceOrders"), **self.environment}, clock=self.clock, aws=self.aws)

    def schedules(self) -> dict[str, str]:
        """Give the state of every schedule that is there."""
        listed = self.cloud.client("scheduler").list_schedules()["Schedules"]
        return {each["Name"]: each["State"] for each in listed}

    def items(self, table: str) -> list[dict[str, Any]]:
        """List a table's items."""
        found: list[dict[str, Any]] = self.cloud.client("dynamodb").scan(TableName=self.cloud.physical(table))["Items"]
        return sorted(found, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))

    def _make_what_moto_is_not_given(self) -> None:
        """Make the functions and schedules, which this machine plays by its own hand, known to AWS's own lists."""
        lambdas, scheduler, iam = (self.cloud.client(name) for name in ("lambda", "scheduler", "iam"))
        role = iam.create_role(RoleName="any", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        for function in self.cloud.functions.values():
            lambdas.create_function(
                FunctionName=function.name,
                Runtime="python3.13",
                Role=role,
                Handler=function.handler,
                Code={"ZipFile": _nothing_zipped()},
            )
        for schedule in self.cloud.schedules:
            assert SCHEDULES[schedule.logical_id] == schedule.function
            scheduler.create_schedule(
                Name=schedule.name,
                ScheduleExpression=schedule.expression,
                ScheduleExpressionTimezone=schedule.zone,
                FlexibleTimeWindow={"Mode": "OFF"},
                State="ENABLED" if schedule.enabled else "DISABLED",
                Target={
                    "Arn": self.cloud.stack.arn(schedule.function),
                    "RoleArn": schedule.role_arn,
                    "Input": schedule.input,
                    "DeadLetterConfig": {"Arn": schedule.dead_letters},
                },
            )

    def _trade(self) -> None:
        """Let the minute pass in which every symbol trades."""
        start = self.clock.now()
        end = start + MINUTE
        self.exchange.feed(
            *(
                Bar(symbol, start, end, price, price, price, price, Decimal(1_000_000))
                for symbol, price in ((symbol, Decimal(text)) for symbol, text in PRICES.items())
            )
        )
        self.clock.set(end)


@cache
def _nothing_zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("handler.py", "")
    return packed.getvalue()


def results(done: Done) -> dict[str, str]:
    """Read the table that preflight prints: how each check went."""
    return dict(_rows(done.out))


def _rows(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        result, name = line[:8].strip(), line[9:33].strip()
        if result in ("ok", "warning", "failed") and name:
            yield name, result
