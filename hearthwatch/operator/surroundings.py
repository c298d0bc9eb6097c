"""What a command stands in: who asks, which AWS, what time, and where the words go."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import sleep
from typing import Final

from hearthwatch.operator.aws import OperatorAws
from hearthwatch.operator.stack import DeployedStack
from hearthwatch.operator.terminal import Console, Terminal
from shared.adapters.memory.messages import MemoryMetrics
from shared.adapters.system_clock.clock import SystemClock
from shared.bootstrap.cloud import Cloud
from shared.bootstrap.redaction import RedactingFormatter
from shared.bootstrap.telemetry import Telemetry
from shared.ports.clock import Clock
from shared.settings import ParameterSettings, SourceSettings

ONE_MACHINE: Final = (
    "HEARTHWATCH_ALPACA_TRADING_URL",
    "HEARTHWATCH_ALPACA_DATA_URL",
    "HEARTHWATCH_YAHOO_URL",
    "HEARTHWATCH_DISCORD_LOOPBACK",
    "HEARTHWATCH_ANTHROPIC_URL",
    "HEARTHWATCH_DEEPSEEK_URL",
    "HEARTHWATCH_GEMINI_URL",
)
"""Stand-ins on this machine for the real addresses; no stack has them."""
DEFAULT_PREFIX: Final = ParameterSettings().parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Everything a command needs from outside; `pause` waits for a number of seconds."""

    environment: Mapping[str, str]
    clock: Clock
    aws: OperatorAws
    terminal: Terminal
    told: Telemetry
    pause: Callable[[float], None] = sleep

    @classmethod
    def here(cls) -> Surroundings:
        """Take this process's own."""
        told = Telemetry("ERROR")
        for handler in logging.getLogger().handlers:
            handler.setFormatter(RedactingFormatter(handler.formatter or logging.Formatter(), told.redactor))
        return cls(
            environment=os.environ,
            clock=SystemClock(),
            aws=OperatorAws(),
            terminal=Console(told.redactor),
            told=told,
        )

    @contextmanager
    def cloud_of(self, stack: DeployedStack) -> Iterator[Cloud]:
        """Give a stack's ports under the operator's own identity, and close their connections."""
        cloud = Cloud(
            {**stack.environment, **self._stand_ins},
            clock=self.clock,
            aws=self.aws,
            metrics=MemoryMetrics(),
            told=self.told,
        )
        try:
            yield cloud
        finally:
            cloud.close()

    @property
    def sources(self) -> SourceSettings:
        """Say where providers are reached."""
        return SourceSettings.read(self._stand_ins)

    @property
    def _stand_ins(self) -> dict[str, str]:
        return {name: self.environment[name] for name in ONE_MACHINE if self.environment.get(name)}
