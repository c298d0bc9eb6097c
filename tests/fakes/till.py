"""A till: everything around a paid model, in memory, with a model that answers as it is told and keeps its own bill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import Final

from shared.adapters.memory.book import MemoryLeases
from shared.adapters.memory.budget import (
    MemoryBudgets,
    MemoryCharges,
    MemoryChoices,
    MemoryKnownAnswers,
    MemoryWorkCharges,
)
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.journal import MemoryJournal
from shared.adapters.memory.messages import MemoryQueue
from shared.adapters.memory.pending_batches import MemoryPendingBatches
from shared.domain.alerts import Alert
from shared.domain.budget import BudgetMonth, BudgetRules, month_of
from shared.domain.calls import Purpose, WorkId
from shared.domain.day_plan import exchange_date
from shared.domain.journal import Plain
from shared.domain.model_prices import HAIKU, OPUS, SONNET, STARTING_PRICES, ModelId, PriceTable, Usage
from shared.domain.providers import ANTHROPIC, SHIPPED, Catalogue
from shared.domain.questions import Attempt, Billed, Ending, Question, Reply, Task
from shared.ports.models import Model
from shared.use_cases.audit_budget import AuditBudget
from shared.use_cases.climb_ladder import ClimbLadder, LadderRules
from shared.use_cases.grant_allowance import GrantAllowance
from shared.use_cases.pay_for_answer import PayForAnswer
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.release_reservation import ReleaseReservation

NOON: Final = datetime(2026, 11, 19, 17, 0, tzinfo=UTC)
"""Noon in New York."""
SCHEMA: Final[dict[str, Plain]] = {
    "type": "object",
    "properties": {"action": {"enum": ["hold", "sell"]}},
    "required": ["action"],
    "additionalProperties": False,
}
HOLD: Final = '{"action": "hold"}'
USUAL: Final = Usage(input=1_000, output=200)
_PRICES: Final = {
    HAIKU: (Decimal("0.10"), Decimal("0.50")),
    SONNET: (Decimal(2), Decimal(10)),
    OPUS: (Decimal(4), Decimal(20)),
}
"""Input and output of what the model bills, kept apart from the table that is under test; others are free."""


def question(text: str = "AAPL fell 5 % on no news", **changes: object) -> Question:
    """Make a question; its work is named by its text."""
    plain = Question(
        work=WorkId(f"work {text}"),
        purpose=Purpose.DECISION,
        task=Task.DECISION,
        system="You weigh one position.",
        user=text,
        schema=SCHEMA,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def answered(text: str = HOLD, usage: Usage = USUAL) -> Reply:
    """Make a normal answer."""
    return Reply(ending=Ending.COMPLETE, billed=Billed.BY_USAGE, text=text, usage=usage, latency=timedelta(seconds=1))


def failed(ending: Ending, billed: Billed = Billed.NOTHING, **more: object) -> Reply:
    """Make a reply without an answer."""
    return Reply(ending=ending, billed=billed, **more)  # type: ignore[arg-type]


Says = Callable[[Attempt], Reply]


@dataclass(slots=True)
class BillingModel:
    """Answers from a script, then as `usual`; `billed` is what it takes, whether or not the answer arrives."""

    usual: Says = lambda attempt: answered()
    script: list[Reply | BaseException] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    billed: int = 0

    def ask(self, attempt: Attempt) -> Reply:
        self.attempts.append(attempt)
        said = self.script.pop(0) if self.script else self.usual(attempt)
        if isinstance(said, BaseException):
            self._bill(attempt.model, USUAL)
            raise said
        if said.billed is Billed.BY_USAGE and said.usage is not None:
            self._bill(attempt.model, said.usage)
        if said.billed is Billed.UNKNOWN:
            self._bill(attempt.model, Usage(input=attempt.question.input_bound, output=attempt.most_tokens))
        return said

    def _bill(self, model: ModelId, usage: Usage) -> None:
        for_input, for_output = _PRICES.get(model, (Decimal(0), Decimal(0)))
        cost = for_input * usage.prompt + for_output * usage.output
        self.billed += int(cost.to_integral_value(rounding=ROUND_CEILING))


class Till:
    """The budget's use cases over memory."""

    def __init__(
        self,
        *,
        rules: BudgetRules | None = None,
        now: datetime = NOON,
        catalogue: Catalogue = SHIPPED,
        prices: PriceTable = STARTING_PRICES,
        models: Mapping[str, Model] | None = None,
    ) -> None:
        self.rules = rules or BudgetRules()
        self.clock = SimulatedClock(now)
        self.prices = prices
        self.claude = BillingModel()
        self.models: Mapping[str, Model] = {ANTHROPIC: self.claude, **(models or {})}
        self.budgets = MemoryBudgets()
        self.charges = MemoryCharges()
        self.work_charges = MemoryWorkCharges()
        self.known = MemoryKnownAnswers()
        self.pending = MemoryPendingBatches()
        self.choices = MemoryChoices(catalogue)
        self.leases = MemoryLeases()
        self.alerts: MemoryQueue[Alert] = MemoryQueue()
        self.journal = MemoryJournal()
        self.edge_is_down = False
        self.waits: list[tuple[timedelta, timedelta]] = []

    @property
    def deadline(self) -> datetime:
        """A minute from now."""
        return self.clock.now() + timedelta(minutes=1)

    @property
    def month(self) -> BudgetMonth:
        """The present month as it is stored."""
        return self.budgets.month(month_of(exchange_date(self.clock.now())))

    def heard(self) -> list[Alert]:
        """Take the alerts that wait."""
        return [alert for alert, _ in self.alerts.receive(len(self.alerts))]

    @property
    def record(self) -> RecordFact:
        return RecordFact(journal=self.journal)

    def pay(self) -> PayForAnswer:
        """Wire one paid attempt over what is here now."""
        return PayForAnswer(
            clock=self.clock,
            budgets=self.budgets,
            charges=self.charges,
            work_charges=self.work_charges,
            models=self.models,
            prices=self.prices,
            rules=self.rules,
            alerts=self.alerts,
            edge_down=lambda: self.edge_is_down,
        )

    def ladder(self, rules: LadderRules | None = None) -> ClimbLadder:
        return ClimbLadder(
            clock=self.clock,
            choices=self.choices,
            models=self.models,
            pay=self.pay(),
            charges=self.charges,
            known=self.known,
            leases=self.leases,
            pause=self.wait,
            record=self.record,
            rules=rules or LadderRules(),
        )

    def audit(self) -> AuditBudget:
        return AuditBudget(
            clock=self.clock,
            budgets=self.budgets,
            charges=self.charges,
            choices=self.choices,
            prices=self.prices,
            rules=self.rules,
            alerts=self.alerts,
            record=self.record,
        )

    def grant(self) -> GrantAllowance:
        return GrantAllowance(
            clock=self.clock, budgets=self.budgets, rules=self.rules, alerts=self.alerts, record=self.record
        )

    def release(self) -> ReleaseReservation:
        return ReleaseReservation(
            clock=self.clock,
            budgets=self.budgets,
            charges=self.charges,
            rules=self.rules,
            alerts=self.alerts,
            record=self.record,
        )

    def wait(self, least: timedelta, most: timedelta) -> None:
        """Let the shorter wait pass."""
        self.waits.append((least, most))
        self.clock.advance(least)
