"""Many workers spend a small budget while whatever can go wrong goes wrong; the provider's own bill is the judge.

Each call goes through the use case that pays, over stores that are handed in. The clock moves with the calls, over a
midnight in New York and over the end of a month. Workers die and lose answers between any two steps, settle twice at
the same time, and settle after their reservation was counted as spent; people grant allowances; the edge comes and
goes; the audit runs beside them.

Watched at every write: the ledger never holds less than the provider took, and never more than the limits. At the end
nothing is reserved, and the records add up to the counters.
"""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from random import Random
from threading import Event, Lock, Semaphore, Thread
from typing import Final, NamedTuple

from shared.adapters.memory.budget import MemoryBudgets, MemoryCharges, MemoryChoices, MemoryWorkCharges
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.journal import MemoryJournal
from shared.adapters.memory.messages import MemoryQueue
from shared.domain.alerts import Alert
from shared.domain.budget import (
    Bounds,
    BudgetMonth,
    BudgetRules,
    DecisionId,
    Denied,
    Envelope,
    Grant,
    GrantId,
    Reservation,
    ReservationId,
    month_of,
)
from shared.domain.calls import Purpose, WorkId
from shared.domain.charges import Booked, Charge, charge_for
from shared.domain.errors import Unavailable
from shared.domain.journal import Plain
from shared.domain.model_prices import HAIKU, SONNET, STARTING_PRICES, MicroDollars, ModelId, Usage, in_dollars
from shared.domain.providers import ANTHROPIC, SHIPPED
from shared.domain.questions import WORTH_ANOTHER_TRY, Attempt, Billed, Ending, Question, Reply, Task
from shared.domain.times import Tick
from shared.ports.budget import Budgets, Charges, WorkCharges
from shared.ports.models import Model
from shared.use_cases.audit_budget import AuditBudget
from shared.use_cases.grant_allowance import GrantAllowance
from shared.use_cases.pay_for_answer import Paid, PayForAnswer
from shared.use_cases.record_fact import RecordFact

SCHEMA: Final[Mapping[str, Plain]] = {
    "type": "object",
    "properties": {"action": {"enum": ["hold", "sell"], "type": "string"}},
    "required": ["action"],
    "additionalProperties": False,
}
HOLD: Final = '{"action": "hold"}'
PURPOSES: Final = (Purpose.DECISION, Purpose.NEWS, Purpose.DECISION, Purpose.CHAT, Purpose.NEWS)
CALL_TAKES: Final = timedelta(minutes=10)
"""From a call's beginning to its deadline, on the clock of the load."""
COMES_BACK: Final = 0.005
"""A worker that was denied leaves those a moment to settle who hold the money."""
DRAINED_WITHIN: Final = 120.0
_TAG: Final = re.compile(r"call \d{6}\.\d")
_NEW_YORK_MIDNIGHT: Final = 5
"""The hour at which a day of November begins in New York, in UTC."""


class Point(StrEnum):
    """Where a worker may die, or lose an answer: after each step of a paid call."""

    CLAIMED = "claimed"
    RESERVED = "reserved"
    ASKED = "asked"
    RECORDED = "recorded"
    CLOSED = "closed"


class WorkerDied(Exception):
    """The process of a worker ended here: nothing after this point happens."""


class Stretch(NamedTuple):
    """A share of the calls that begins at an instant; each call moves the clock by a step."""

    begins: datetime
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How much is asked, by how many, and how often what goes wrong; the rates are shares of the calls.

    `audited_every` is in real seconds.
    """

    calls: int
    workers: int
    rules: BudgetRules
    stretches: tuple[Stretch, ...]
    step: timedelta
    seed: int = 1
    dying: float = 0.0
    losing: float = 0.0
    late: float = 0.0
    twice: float = 0.0
    granted_every: int = 0
    audited_every: float = 0.1
    tries: int = 2
    most_tokens: int = 1_000
    least_tokens: int = 50

    def begins(self, number: int) -> datetime:
        """Say when a call begins."""
        first = 0
        for stretch in self.stretches:
            calls = round(stretch.share * self.calls)
            if number < first + calls or stretch is self.stretches[-1]:
                return stretch.begins + (number - first) * self.step
            first += calls
        raise AssertionError("a load has a stretch")

    def drawn(self, number: int) -> Drawn:
        """Draw what a call asks, the same for everybody who runs this load."""
        chance = Random(f"{self.seed} call {number}")
        question = Question(
            work=WorkId(f"work {number}"),
            purpose=PURPOSES[number % len(PURPOSES)],
            task=Task.DECISION,
            system="You weigh one position.",
            user="What moved the stock today? " * chance.randint(1, 20),
            schema=SCHEMA,
            decision=DecisionId(f"decision {number}") if number % 9 == 0 else None,
            most_tokens=self.most_tokens,
            least_tokens=self.least_tokens,
        )
        return Drawn(chance.choice((HAIKU, SONNET)), question, number)


class Drawn(NamedTuple):
    """One call of a load: its model, its question, and its number."""

    model: ModelId
    question: Question
    number: int

    def text(self, tried: int) -> str:
        """Give the text of a try, which names it."""
        return f"call {self.number:06}.{tried}: {self.question.user}"


def over_month_end(calls: int, step: timedelta) -> tuple[Stretch, ...]:
    """Let one half of the calls go over the midnight before the last of November, and one over that after it."""
    half = calls // 4 * step
    return tuple(
        Stretch(datetime(2026, month, day, _NEW_YORK_MIDNIGHT, tzinfo=UTC) - half, 0.5)
        for month, day in ((11, 30), (12, 1))
    )


class Bill:
    """What the provider took, by call, and by the day of the reservation under which each call was made."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held: dict[str, Reservation] = {}
        self._taken: defaultdict[str, MicroDollars] = defaultdict(int)
        self._days: defaultdict[date, MicroDollars] = defaultdict(int)

    def expect(self, tag: str, held: Reservation) -> None:
        """Note under which reservation a call is made, before it is made."""
        with self._lock:
            self._held[tag] = held

    def take(self, tag: str, amount: MicroDollars) -> None:
        """Take money for a call. Raises KeyError for one that nobody announced."""
        with self._lock:
            self._days[self._held[tag].day] += amount
            self._taken[tag] += amount

    def by_day(self) -> Mapping[date, MicroDollars]:
        """Say what was taken so far."""
        with self._lock:
            return dict(self._days)

    def by_call(self) -> Sequence[tuple[Reservation, MicroDollars]]:
        """Say what each paid call took, beside what was held for it."""
        with self._lock:
            return [(self._held[tag], amount) for tag, amount in self._taken.items()]

    def of(self, tag: str) -> MicroDollars:
        """Say what one call took so far."""
        with self._lock:
            return self._taken.get(tag, 0)


def price_of(model: ModelId, usage: Usage) -> MicroDollars:
    """Price as the provider does, in tenths of a micro-dollar and rounded up, apart from the table under test."""
    for_input, for_output = {HAIKU: (1, 5), SONNET: (20, 100)}[model]
    return -(-(for_input * usage.input + for_output * usage.output) // 10)


def tokens_of(chance: Random, prompt: int, most: int) -> Usage:
    """Draw how long a prompt and its answer turn out, one in eight as long as they can be."""
    if chance.random() < 1 / 8:
        return Usage(input=prompt, output=most)
    return Usage(input=chance.randint(50, prompt), output=chance.randint(1, most))


def new_york_day(at: datetime) -> date:
    """Give the day in New York of an instant in winter."""
    return (at - timedelta(hours=_NEW_YORK_MIDNIGHT)).date()


def tag_of(text: str) -> str:
    """Find the name of a call in what was sent."""
    found = _TAG.search(text)
    if found is None:
        raise KeyError(text)
    return found[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """Where the budget lies."""

    budgets: Budgets
    charges: Charges
    work_charges: WorkCharges


def in_memory() -> Stores:
    """Make stores in this process."""
    return Stores(budgets=MemoryBudgets(), charges=MemoryCharges(), work_charges=MemoryWorkCharges())


@dataclass(frozen=True, slots=True)
class ModelHere:
    """A paid model in this process: answers, fails before or after it was paid, and bills by itself."""

    bill: Bill
    failing: float
    seed: int

    def ask(self, attempt: Attempt) -> Reply:
        """Answer after a moment."""
        tag = tag_of(attempt.question.user)
        chance = Random(f"{self.seed} {tag}")
        time.sleep(chance.random() / 500)
        usage = tokens_of(chance, attempt.question.input_bound, attempt.most_tokens)
        fails = chance.random() / self.failing if self.failing else 1.0
        if fails < 0.4:
            return Reply(ending=Ending.THROTTLED, billed=Billed.NOTHING)
        if fails < 0.5:
            return Reply(ending=Ending.BROKEN_OFF, billed=Billed.UNKNOWN)
        self.bill.take(tag, price_of(attempt.model, usage))
        if fails < 1.0:
            return Reply(ending=Ending.TIMED_OUT, billed=Billed.UNKNOWN)
        return Reply(ending=Ending.COMPLETE, billed=Billed.BY_USAGE, usage=usage, text=HOLD)


@dataclass(slots=True)
class Outcome:
    """What became of a load; `problems` are promises that were broken, in words."""

    seconds: float = 0.0
    asked: int = 0
    happened: Counter[str] = field(default_factory=Counter)
    charged: Mapping[date, MicroDollars] = field(default_factory=dict)
    months: Mapping[date, BudgetMonth] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def share(self, day: date, rules: BudgetRules) -> float:
        """Say how much of a day's limit was really used."""
        return self.charged.get(day, 0) / rules.day

    def note(self, what: str, load: Load) -> str:
        """Say in a line what was tried and what came out."""
        taken = ", ".join(f"{day:%d %b} ${in_dollars(amount)}" for day, amount in sorted(self.charged.items()))
        return (
            f"{what}: {load.calls:,} calls by {load.workers} workers, {self.asked:,} asked in {self.seconds:.0f} s; "
            f"the provider took {taken}; limits ${in_dollars(load.rules.day)} a day and "
            f"${in_dollars(load.rules.month)} a month; {len(self.problems)} broken promises"
        )


@dataclass(slots=True)
class _Fate:
    """What happens to one call."""

    dies: Point | None = None
    loses: Point | None = None
    late: bool = False
    twice: bool = False


class LoadRun:
    """One load over some stores and a model, watched."""

    def __init__(self, load: Load, stores: Stores, model: Model, bill: Bill) -> None:
        self.load = load
        self.stores = stores
        self.model = model
        self.bill = bill
        self.clock = SimulatedClock(load.begins(0))
        self.outcome = Outcome()
        self._lock = Lock()
        self._next = 0
        self._over = Event()
        self.gave_up = Event()
        self.waiting = Semaphore(max(1, load.workers // 4))
        self._alerts: MemoryQueue[Alert] = MemoryQueue()

    def __call__(self) -> Outcome:
        """Run every call, let what is left expire, and check the end."""
        began = time.monotonic()
        with self._audited():
            workers = [Thread(target=self._work, name=f"worker {n}", daemon=True) for n in range(self.load.workers)]
            for worker in workers:
                worker.start()
            self._drain(workers, began)
        self._finish()
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    def happened(self, what: str) -> None:
        """Count something that was meant to happen."""
        with self._lock:
            self.outcome.happened[what] += 1

    def broken(self, problem: str) -> None:
        """Note a broken promise."""
        with self._lock:
            self.outcome.problems.append(problem)

    def watch(self, month: BudgetMonth, taken: Mapping[date, MicroDollars], after: str) -> None:
        """Compare the month as a write left it with the limits, and with what was taken before the write."""
        rules = self.load.rules
        in_month = sum(amount for day, amount in taken.items() if month_of(day) == month.month)
        if month.committed < in_month:
            self.broken(f"after {after}: {month.month:%B} holds {month.committed}, the provider took {in_month}")
        if month.committed > rules.month:
            self.broken(f"after {after}: {month.month:%B} holds {month.committed}, its limit is {rules.month}")
        for day, found in month.days.items():
            limit = rules.day + month.granted(day)
            if not taken.get(day, 0) <= found.committed <= limit:
                held = f"holds {found.committed}, the provider took {taken.get(day, 0)}, the limit is {limit}"
                self.broken(f"after {after}: {day} {held}")
            if len(found.decisions) > rules.decisions:
                self.broken(f"after {after}: {day} counts {len(found.decisions)} decisions")
            for envelope, committed in found.envelopes.items():
                if not 0 <= committed <= _most(rules, envelope):
                    self.broken(f"after {after}: {day} holds {committed} for {envelope}")

    def audit(self) -> None:
        """Audit once, as the schedule does."""
        now = self.clock.now()
        audit = AuditBudget(
            clock=self.clock,
            budgets=self.stores.budgets,
            charges=self.stores.charges,
            choices=MemoryChoices(),
            prices=STARTING_PRICES,
            rules=self.load.rules,
            alerts=self._alerts,
            record=RecordFact(journal=MemoryJournal()),
        )
        found = audit(Tick(scheduled=now.replace(second=0, microsecond=0)))
        with self._lock:
            self.outcome.happened["expired"] += found.expired
            self.outcome.problems += found.problems

    @contextmanager
    def _audited(self) -> Iterator[None]:
        """Audit again and again beside the workers."""
        stopped = Event()

        def watch() -> None:
            while not stopped.wait(self.load.audited_every):
                self.audit()

        auditor = Thread(target=self._noting(watch), name="audit", daemon=True)
        auditor.start()
        try:
            yield
        finally:
            stopped.set()
            auditor.join()

    def _work(self) -> None:
        self._noting(self._calls)()

    def _noting(self, work: Callable[[], None]) -> Callable[[], None]:
        def noted() -> None:
            try:
                work()
            except Exception as error:  # noqa: BLE001 - it would end with its thread, and nobody would know
                self.broken(f"{type(error).__name__}: {error}")

        return noted

    def _calls(self) -> None:
        while (number := self._take()) is not None:
            try:
                self._call(number)
            except WorkerDied as death:
                self.happened(f"died {death}")

    def _take(self) -> int | None:
        with self._lock:
            number = self._next
            if number >= self.load.calls:
                self._over.set()
                return None
            self._next += 1
            self.clock.set(max(self.clock.now(), self.load.begins(number)))
            return number

    def _call(self, number: int) -> None:
        """Ask as a rung does: once, and once more where another try may help."""
        fate = self._fate(Random(f"{self.load.seed} fate {number}"))
        drawn = self.load.drawn(number)
        every = self.load.granted_every
        grant = self._granted(GrantId(f"grant {number}")) if every and number % every == 0 else None
        for tried in range(1, self.load.tries + 1):
            asked = replace(drawn.question, user=drawn.text(tried), grant=grant)
            found = self._pay(asked, number, fate)(SHIPPED.offers[drawn.model], asked, self.clock.now() + CALL_TAKES)
            if isinstance(found, Denied):
                self.happened(f"denied {found.why}")
                time.sleep(COMES_BACK)
                return
            self._paid(found)
            if found.reply.ending not in WORTH_ANOTHER_TRY:
                return

    def _paid(self, paid: Paid) -> None:
        self.happened(f"ended {paid.reply.ending}")
        if paid.charge.cost > paid.charge.held:
            self.broken(f"{paid.charge.id} cost {paid.charge.cost}, {paid.charge.held} were held")

    def _fate(self, chance: Random) -> _Fate:
        load = self.load
        return _Fate(
            dies=chance.choice(list(Point)) if chance.random() < load.dying else None,
            loses=chance.choice((Point.CLAIMED, Point.RESERVED, Point.RECORDED, Point.CLOSED))
            if chance.random() < load.losing
            else None,
            late=chance.random() < load.late,
            twice=chance.random() < load.twice,
        )

    def _granted(self, grant: GrantId) -> GrantId | None:
        allow = GrantAllowance(
            clock=self.clock,
            budgets=self.stores.budgets,
            rules=self.load.rules,
            alerts=self._alerts,
            record=RecordFact(journal=MemoryJournal()),
        )
        taken = self.bill.by_day()
        found = allow(grant, "operator", "a test of the limits")
        if isinstance(found, Denied):
            return None
        self.watch(found, taken, f"{grant}")
        self.happened("granted")
        return grant

    def _pay(self, question: Question, number: int, fate: _Fate) -> PayForAnswer:
        call = _Call(self, tag_of(question.user), fate)
        return PayForAnswer(
            clock=self.clock,
            budgets=call,
            charges=_Recorded(self, call, fate),
            work_charges=_Claimed(self.stores.work_charges, call),
            models={ANTHROPIC: _Asked(self, call)},
            prices=STARTING_PRICES,
            rules=self.load.rules,
            alerts=self._alerts,
            edge_down=lambda: number // 50 % 2 == 1,
        )

    def _drain(self, workers: list[Thread], began: float) -> None:
        """Wait for the last call, then let time pass until the late ones have settled too."""
        self._over.wait()
        deadline = time.monotonic() + DRAINED_WITHIN
        while any(worker.is_alive() for worker in workers):
            if time.monotonic() > deadline:
                self.broken("workers still wait for the audit to count what they left")
                self.gave_up.set()
                return
            self._pass(timedelta(minutes=1))
            time.sleep(0.02)

    def _pass(self, by: timedelta) -> None:
        with self._lock:
            self.clock.advance(by)

    def _finish(self) -> None:
        """Let the last reservations expire, and compare everything with everything."""
        self._pass(CALL_TAKES + self.load.rules.expires_after)
        self.audit()
        self.audit()
        taken = self.bill.by_day()
        days = {new_york_day(self.load.begins(number)) for number in (0, self.load.calls - 1)} | set(taken)
        calls = self.bill.by_call()
        self.outcome.asked, self.outcome.charged = len(calls), taken
        self.outcome.months = {
            month: self.stores.budgets.month(month) for month in sorted({month_of(day) for day in days})
        }
        for month in self.outcome.months.values():
            self.watch(month, taken, "the end")
            self._check_end(month)
        self._check_calls(calls)

    def _check_end(self, month: BudgetMonth) -> None:
        if month.open or month.reserved:
            self.broken(f"{month.month:%B} still holds {month.reserved} for {len(month.open)} calls")
        for day, found in month.days.items():
            records = sum(charge.cost for charge in self.stores.charges.of_day(day))
            if not records == found.spent == found.committed:
                self.broken(f"{day}: records {records}, spent {found.spent}, committed {found.committed}")

    def _check_calls(self, calls: Sequence[tuple[Reservation, MicroDollars]]) -> None:
        for held, taken in calls:
            record = self.stores.charges.get(held.day, held.id)
            if record is None or not taken <= record.cost <= held.amount:
                self.broken(f"{held.id} took {taken}, {held.amount} were held: {record}")


class _Call:
    """The ledger as one call sees it; notes under which reservation the call is made."""

    def __init__(self, run: LoadRun, tag: str, fate: _Fate) -> None:
        self._run = run
        self._budgets = run.stores.budgets
        self._fate = fate
        self.tag = tag

    def at(self, point: Point) -> None:
        """Die here, or lose the answer to what was just written, when that is the call's fate."""
        if self._fate.dies is point:
            raise WorkerDied(point)
        if self._fate.loses is point:
            self._fate.loses = None
            self._run.happened(f"lost {point}")
            raise Unavailable("the answer was lost")

    def reserve(self, wanted: Reservation, bounds: Bounds) -> BudgetMonth | Denied:
        taken = self._run.bill.by_day()
        found = self._budgets.reserve(wanted, bounds)
        if isinstance(found, Denied):
            return found
        self._run.watch(found, taken, f"reserving for {self.tag}")
        self._run.bill.expect(self.tag, wanted)
        if wanted.day != new_york_day(wanted.issued_at):
            self._run.broken(f"{wanted.id} counts on {wanted.day}, {wanted.issued_at} is another day")
        if self._fate.twice and not isinstance(self._budgets.reserve(wanted, bounds), Denied):
            self._run.broken(f"{wanted.id} was reserved twice")
        self.at(Point.RESERVED)
        return found

    def close(self, held: Reservation, cost: MicroDollars) -> BudgetMonth:
        taken = self._run.bill.by_day()
        if cost < self._run.bill.of(self.tag):
            self._run.broken(f"{self.tag} is closed at {cost}, the provider took {self._run.bill.of(self.tag)}")
        month = self._budgets.close(held, cost)
        self._run.watch(month, taken, f"closing {self.tag}")
        self.at(Point.CLOSED)
        return month

    def grant(self, grant: Grant, rules: BudgetRules) -> BudgetMonth | Denied:
        return self._budgets.grant(grant, rules)

    def close_day(self, day: date, why: str) -> None:
        self._budgets.close_day(day, why)

    def warned(self, day: date, level: str) -> None:
        self._budgets.warned(day, level)

    def prune(self, month: date, before: datetime) -> None:
        self._budgets.prune(month, before)

    def month(self, month: date) -> BudgetMonth:
        return self._budgets.month(month)


class _Recorded:
    """The records as one call sees them; its settling may come late, or twice at the same time."""

    def __init__(self, run: LoadRun, call: _Call, fate: _Fate) -> None:
        self._run = run
        self._charges = run.stores.charges
        self._call = call
        self._fate = fate

    def put(self, charge: Charge) -> Charge:
        self._call.at(Point.ASKED)
        if self._fate.late and self._run.waiting.acquire(blocking=False):
            try:
                self._until_expired(charge)
            finally:
                self._run.waiting.release()
        other = self._other(charge) if self._fate.twice else None
        standing = self._charges.put(charge)
        if other is not None:
            other.join()
            self._run.happened("settled twice")
        self._call.at(Point.RECORDED)
        return standing

    def get(self, day: date, reservation: ReservationId) -> Charge | None:
        return self._charges.get(day, reservation)

    def of_day(self, day: date) -> list[Charge]:
        return list(self._charges.of_day(day))

    def _until_expired(self, charge: Charge) -> None:
        """Come back when the audit has counted the whole reservation as spent."""
        while self._charges.get(charge.day, charge.id) is None:
            if self._run.gave_up.wait(self._run.load.audited_every):
                return
        self._run.happened("settled late")

    def _other(self, charge: Charge) -> Thread:
        """Begin to settle the same call from elsewhere, at all that was held."""
        held = self._run.stores.budgets.month(month_of(charge.day)).open.get(charge.id)

        def settle() -> None:
            if held is not None:
                assumed = charge_for(held, charge.at, cost=held.amount, booked=Booked.ASSUMED, ending="elsewhere")
                self._run.stores.budgets.close(held, self._charges.put(assumed).cost)

        thread = Thread(target=self._run._noting(settle), daemon=True)
        thread.start()
        return thread


class _Claimed:
    """The counts of charges as one call sees them."""

    def __init__(self, counts: WorkCharges, call: _Call) -> None:
        self._counts = counts
        self._call = call

    def claim(self, work: WorkId, most: int, now: datetime) -> int | None:
        number = self._counts.claim(work, most, now)
        self._call.at(Point.CLAIMED)
        return number

    def give_back(self, work: WorkId, number: int) -> None:
        self._counts.give_back(work, number)


class _Asked:
    """The model as one call sees it."""

    def __init__(self, run: LoadRun, call: _Call) -> None:
        self._run = run
        self._call = call

    def ask(self, attempt: Attempt) -> Reply:
        return self._run.model.ask(attempt)


def _most(rules: BudgetRules, envelope: Envelope) -> MicroDollars:
    return max(rules.envelope(envelope, edge_down=down) for down in (False, True))
