"""The embedded cloud with every function wired to it, each under its own identity and environment.

The policy of the template is therefore enforced on every call that a function makes here, as it is at AWS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final

from local_stack.cloud.asynchronous import AsynchronousRuns
from local_stack.cloud.embedded import EmbeddedCloud
from local_stack.cloud.functions import Functions, Invocation
from local_stack.cloud.pumps import Pumps
from local_stack.cloud.schedules import Fire, ScheduleClock
from local_stack.cloud.template import Template
from local_stack.run.tables import Stores
from shared.adapters.aws.clients import Aws
from shared.bootstrap.cloud import Cloud
from shared.bootstrap.deferred import deferred
from shared.bootstrap.telemetry import Telemetry
from shared.bootstrap.wiring import UseCases, rules_for
from shared.domain.assets import Symbol
from shared.ports.clock import Clock

TEMPLATE: Final = Path(__file__).parents[2] / "template.yaml"
MAIL_FROM: Final = "hearthwatch@localhost.test"
MAIL_TO: Final = "you@localhost.test"
PREFIX: Final = "/hearthwatch"
MISSED: Final = timedelta(hours=1)
"""A schedule that fired longer ago than this, while no time was played, is let go."""

TABLES: Final = ("BookTable", "PricesTable", "JournalTable")
QUEUES: Final = (
    "DoorbellQueue",
    "DoorbellDeadLetters",
    "CyclesQueue",
    "CyclesDeadLetters",
    "AlertsQueue",
    "AlertsDeadLetters",
    "FailedRuns",
)


class LocalCloud(Cloud):
    """A function's ports on this machine, whose tick may be longer than a minute."""

    def __init__(
        self, environment: Mapping[str, str], *, clock: Clock, aws: Aws, told: Telemetry, cadence: timedelta
    ) -> None:
        super().__init__(environment, clock=clock, aws=aws, told=told)
        self._cadence = cadence

    @cached_property
    def use_cases(self) -> UseCases:
        """Wire the use cases, with the rules that follow the length of a tick."""
        rules = replace(
            rules_for(self._cadence),
            asset_classes=self._account.asset_classes,
            prepares_days=True,
            budget=deferred(lambda: self.budget_settings.rules()),
            prices=deferred(lambda: self.budget_settings.prices()),
        )
        return UseCases(self, self.account, rules)


class WiredCloud:
    """The functions of the template over an embedded cloud, fired by its schedules and fed by its queues."""

    def __init__(
        self,
        cloud: EmbeddedCloud,
        *,
        told: Telemetry,
        cadence: timedelta,
        addresses: Mapping[str, str],
    ) -> None:
        """Wire a started cloud; `addresses` are environment variables that every function gets besides its own."""
        self.cloud = cloud
        self._told = told
        self._cadence = cadence
        self._addresses = addresses
        self._clouds: dict[str, LocalCloud] = {}
        self._functions = Functions(cloud, self._run_of)
        self._pumps = Pumps(self._functions)
        self._runs = AsynchronousRuns(self._functions)
        self.schedules = ScheduleClock(cloud.schedules)

    @cached_property
    def owner(self) -> LocalCloud:
        """Give ports that may do everything, for looking."""
        first = next(iter(self.cloud.functions))
        return self._wired(first, Aws(self.cloud.owner, endpoint_url=self.cloud.url))

    @property
    def aws(self) -> Aws:
        """Connect as the owner."""
        return Aws(self.cloud.owner, endpoint_url=self.cloud.url)

    @property
    def stores(self) -> Stores:
        """Name what is saved and restored."""
        return Stores(
            tables={name: self.cloud.physical(name) for name in TABLES},
            queues={name: self.cloud.physical(name) for name in QUEUES},
        )

    def store_secrets(self, secrets: Mapping[str, str]) -> None:
        """Put secrets where the functions look for them."""
        for name, value in secrets.items():
            self.aws.ssm.put_parameter(Name=f"{PREFIX}/{name}", Value=value, Type="SecureString", Overwrite=True)

    def tick(self, before: datetime, now: datetime) -> Sequence[Invocation]:
        """Fire what fell due since `before`, deliver what is queued, and go on until nothing is left to do now.

        A schedule that fell due several times fires once, for the last of them.
        """
        done = [*self._runs.run_due()]
        for fire in self._due(before, now):
            done.append(self._runs.fire(fire))
        return [*done, *self._pumps.drain()]

    def close(self) -> None:
        """Close what the functions keep open between runs."""
        for cloud in self._clouds.values():
            cloud.close()

    def give_back(self) -> None:
        """Make every message visible that a pump holds, so that it can be saved."""
        self._pumps.give_back()

    def _due(self, before: datetime, now: datetime) -> list[Fire]:
        last = {fire.schedule.logical_id: fire for fire in self.schedules.due(max(before, now - MISSED), now)}
        return [last[schedule.logical_id] for schedule in self.cloud.schedules if schedule.logical_id in last]

    def _run_of(self, function: str) -> object:
        if function not in self._clouds:
            aws = Aws(self.cloud.session_of(function), endpoint_url=self.cloud.url)
            self._clouds[function] = self._wired(function, aws)
        return getattr(self._clouds[function].use_cases, use_case_of(self.cloud.functions[function].handler))

    def _wired(self, function: str, aws: Aws) -> LocalCloud:
        environment = {**self.cloud.environment_of(function), **self._addresses}
        return LocalCloud(environment, clock=self.cloud.clock, aws=aws, told=self._told, cadence=self._cadence)


def use_case_of(handler: str) -> str:
    """Name the use case of a handler: `functions.poll_prices.handler.handler` runs `poll_prices`."""
    return handler.split(".")[1]


def read_template(symbols: Sequence[Symbol], *, model_prices: str = "") -> Template:
    """Read the template with the values that a run gives its parameters; prices of models as a JSON list of rows."""
    parameters = {
        "Schedules": "ENABLED",
        "Watchlist": ",".join(symbols),
        "MailFrom": MAIL_FROM,
        "MailTo": MAIL_TO,
        "OperatorEmail": MAIL_TO,
        "ParameterPrefix": PREFIX,
        "ModelPrices": model_prices,
    }
    return Template.read(TEMPLATE, parameters)
