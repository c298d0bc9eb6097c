"""Who asks models while a cell is played: they share tables, queues and connections with what protects.

Each asks in a thread of its own under an identity of its own, and asks again at the next tick once it was answered. The
Claude that they ask is played on this machine and keeps its own bill. An answer is waited for in real time, for a few
seconds, whatever the cell's clock does meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from types import TracebackType
from typing import Final, NamedTuple, Self

from hearthwatch.chaos.story import DAY
from local_stack.claude.server import ClaudeServer
from local_stack.cloud.embedded import EmbeddedCloud
from local_stack.cloud.identities import Identities
from local_stack.cloud.policies import Effect, Statement
from local_stack.run.claude_part import ADDRESS, played_claude, prices_from
from shared.adapters.aws.clients import Aws
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.messages import MemoryMetrics
from shared.adapters.system_clock.steady import SteadyClock
from shared.bootstrap.cloud import Cloud
from shared.contracts.free_answer import SCHEMA, read_free_answer
from shared.domain.budget import Bounds, BudgetRules, Envelope, Reservation, ReservationId, month_of
from shared.domain.calls import Call, Purpose, Rung, WorkId
from shared.domain.errors import HearthwatchError
from shared.domain.model_prices import HAIKU, MicroDollars
from shared.domain.providers import ANTHROPIC
from shared.domain.questions import Answer, Question, Task
from shared.ports.models import Pause
from shared.settings import BudgetSettings

NAME: Final = "askers"
"""What they are called at the door of the cloud."""
PATIENCE: Final = timedelta(seconds=4)
BUDGET_DAY: Final = "0.02"
"""Dollars, so that a few calls at once reach the limit."""
_KEY: Final = "LOCALASKERS"
_EVERYTHING: Final = (Statement(effect=Effect.ALLOW, actions=("*",), resources=("*",)),)


class Spending(NamedTuple):
    """What Claude charged, what the ledger holds for it, and the most that it may; micro-dollars."""

    charged: Decimal
    booked: MicroDollars
    limit: MicroDollars


class Crowd:
    """Those who ask in one cell; they begin with the first tick after they were gathered."""

    def __init__(self, cloud: EmbeddedCloud, clock: SimulatedClock, environment: Mapping[str, str]) -> None:
        """Take the cell's cloud and clock, and the variables that its functions have."""
        self.prices = prices_from(DAY)
        """What those who are gathered find in force."""
        self.claude: ClaudeServer = played_claude(clock, self.prices)
        self._cloud = cloud
        self._environment = environment
        self._askers: list[_Asker] = []
        self._under_way: dict[_Asker, Future[str]] = {}
        self._done: list[str] = []
        self._spent_before: MicroDollars = 0
        self._numbers = count(1)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Start Claude, and let whoever asks in."""
        self._open.enter_context(self.claude)
        self._cloud.door.admit(_KEY, NAME, _EVERYTHING)
        session = Identities(self._cloud.url, self._cloud.owner.region_name).session(_KEY)
        self._aws = Aws(session, endpoint_url=self._cloud.url)
        for client in (self._aws.dynamodb, self._aws.sqs, self._aws.ssm):
            self._open.callback(client.close)  # made here: a session makes its clients for one thread at a time
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for whoever is still asking, and stop Claude."""
        self.disperse()
        self._open.close()

    def gather(self, asking: int) -> None:
        """Let so many more ask from the next tick on."""
        self._threads = self._open.enter_context(ThreadPoolExecutor(asking, thread_name_prefix=NAME))
        given = {
            **self._environment,
            ADDRESS: self.claude.url,
            "HEARTHWATCH_BUDGET_DAY": BUDGET_DAY,
            "HEARTHWATCH_MODEL_PRICES": self.prices,
        }
        self._rules = BudgetSettings.read(given).rules()
        self._askers = [_Asker(given, self._aws) for _ in range(asking)]

    def ask(self, now: datetime) -> None:
        """Let everybody ask who waits for no answer."""
        self._collect(wait=False)
        for asker in self._askers:
            if asker not in self._under_way:
                self._under_way[asker] = self._threads.submit(asker.ask, next(self._numbers), now)

    def outcomes(self) -> Sequence[str]:
        """Wait for every answer under way, and give the reasons of all: of each ask, its rungs' in order."""
        self._collect(wait=True)
        return tuple(self._done)

    def disperse(self) -> None:
        """Let nobody ask any more, and wait for the answers under way."""
        self._askers = []
        self._collect(wait=True)
        self.claude.behave()

    def spend_the_month(self, owner: Cloud, now: datetime) -> None:
        """Let the month's money be reserved by somebody else, on the day before."""
        yesterday, amount = DAY - timedelta(days=1), BudgetRules().month
        held = Reservation(
            id=ReservationId("everything"),
            issued_at=now,
            day=yesterday,
            amount=amount,
            envelope=Envelope.OTHER,
            expires_at=now + timedelta(days=1),
            call=Call(
                provider=ANTHROPIC, model=HAIKU, rung=Rung.HAIKU, purpose=Purpose.EVALS, work=WorkId("everything")
            ),
            prices="",
        )
        owner.budgets.reserve(held, Bounds(day=amount, month=amount, envelope=amount, decisions=1))
        self._spent_before = amount

    def spending(self, owner: Cloud) -> Spending:
        """Compare Claude's bill with the ledger."""
        committed = owner.budgets.month(month_of(DAY)).committed - self._spent_before
        limit = min(
            self._rules.envelope(Envelope.OTHER, edge_down=False), max(0, self._rules.month - self._spent_before)
        )
        return Spending(self.claude.charged().total, committed, limit)

    def _collect(self, *, wait: bool) -> None:
        for asker, answer in list(self._under_way.items()):
            if wait or answer.done():
                self._done.append(answer.result())
                del self._under_way[asker]


class _Asker:
    """Somebody with a connection of the crowd's and a clock that passes while an answer is waited for."""

    def __init__(self, environment: Mapping[str, str], aws: Aws) -> None:
        self._clock = SteadyClock(datetime.fromisoformat("2026-01-01T00:00:00Z"))
        self._cloud = _Hurried(environment, clock=self._clock, aws=aws, metrics=MemoryMetrics())

    def ask(self, number: int, now: datetime) -> str:
        """Ask something that nobody has asked before, and say what became of it."""
        self._clock.set(now)
        question = Question(
            work=WorkId(f"chaos-{number}"),
            purpose=Purpose.CHAT,
            task=Task.CHAT,
            system="You answer one question.",
            user=f"What is {number} and {number}?",
            schema=SCHEMA,
            most_tokens=1_000,
        )
        try:
            answer = self._cloud.use_cases.climb_ladder(
                question, now + PATIENCE, f"{NAME} {number}", read=read_free_answer
            )
        except HearthwatchError as problem:
            return f"{type(problem).__name__}: {problem}"
        return _told(answer)


class _Hurried(Cloud):
    """The ports of one asker, who takes no rest between two tries."""

    @property
    def pause(self) -> Pause:
        """Do not wait."""
        return lambda least, most: None


def _told(answer: Answer) -> str:
    return "; ".join(f"{step.rung} {step.outcome}: {step.reason}" for step in answer.steps)
