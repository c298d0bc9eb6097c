"""What a load of the budget runs on: tables and Claude as servers on this machine, or both in this process."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import uuid4

from botocore.config import Config

from local_stack.claude.mind import Answer
from local_stack.claude.server import ClaudeServer
from local_stack.claude.trouble import Misbehaviour
from shared.adapters.anthropic.messages import ClaudeModel
from shared.adapters.aws.budget import DynamoBudgets, DynamoCharges, DynamoWorkCharges
from shared.adapters.aws.table import Table
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.system_clock.clock import SystemClock
from shared.domain.model_prices import ModelId
from shared.domain.questions import Attempt, Reply
from shared.ports.models import Model
from tests.end_to_end.budget_load import HOLD, Bill, Stores, price_of, tag_of, tokens_of
from tests.fakes.aws import REGION, connect, local_session, make_table, served

PATIENCE: Final = timedelta(seconds=3)
"""How long an answer is really waited for."""
LONGEST_ANSWER: Final = 0.05
PRICED_AT: Final = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
MISBEHAVIOUR: Final[Mapping[Misbehaviour, float]] = {
    Misbehaviour.TOO_MANY_REQUESTS: 0.03,
    Misbehaviour.OVERLOADED: 0.01,
    Misbehaviour.RESET: 0.01,
    Misbehaviour.TIMEOUT_AFTER_GENERATION: 0.02,
    Misbehaviour.RESET_MID_STREAM: 0.02,
    Misbehaviour.GATEWAY_TIMEOUT: 0.01,
}
"""One call in ten; half of them after the provider was paid."""


@contextmanager
def on_tables() -> Iterator[Stores]:
    """Make stores on tables that are served on this machine, through a client that waits however busy it is."""
    with served() as url:
        aws = connect(url)
        patient = Config(connect_timeout=60, read_timeout=60, max_pool_connections=100)
        client = local_session().client("dynamodb", region_name=REGION, endpoint_url=url, config=patient)
        state, journal = (Table(client, make_table(aws, f"{name}-{uuid4().hex}")) for name in ("state", "journal"))
        yield Stores(
            budgets=DynamoBudgets(state), charges=DynamoCharges(journal), work_charges=DynamoWorkCharges(state)
        )


@contextmanager
def claude(bill: Bill, seed: int, chances: Mapping[Misbehaviour, float]) -> Iterator[Model]:
    """Serve Claude, and give the adapter that asks it; what it charges goes on the bill.

    Raises AssertionError when the server's own bill is above that.
    """

    def respond(body: Mapping[str, Any]) -> Answer:
        text = body["messages"][0]["content"]
        chance = Random(f"{seed} {text}")
        usage = tokens_of(chance, len(text.encode()), int(body["max_tokens"]))
        bill.take(tag_of(text), price_of(ModelId(body["model"]), usage))
        tokens = {"input": usage.input, "output": usage.output, "cache_read": 0, "cache_write": 0}
        return Answer(text=HOLD, seconds=chance.random() * LONGEST_ANSWER, tokens=tokens)

    with ClaudeServer(SimulatedClock(PRICED_AT)) as server:
        server.answer_with(respond)
        server.misbehave(chances, seed=seed)
        yield asking(server)
        charged, ours = server.charged().total, sum(bill.by_day().values())
        if not charged <= ours <= charged + len(server.charged().lines):
            raise AssertionError(f"the server charged {charged}, and {ours} is on the bill")


def asking(server: ClaudeServer) -> Model:
    """Give the adapter that asks a server, in a hurry; what its first call would import is there already."""
    importlib.import_module("shared.adapters.anthropic.sdk")
    return _Hurried(ClaudeModel(lambda anew: server.key, SystemClock(), url=server.url))


@dataclass(frozen=True, slots=True)
class _Hurried:
    """Asks with a deadline on the wall's clock, which the clock of the load has left behind."""

    model: ClaudeModel

    def ask(self, attempt: Attempt) -> Reply:
        return self.model.ask(replace(attempt, deadline=SystemClock().now() + PATIENCE))
