"""The budget through everything that can happen to it, in any order, beside a model that only adds up.

The same orders of events also go through the table, which must answer and hold the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shared.adapters.aws.budget import DynamoBudgets
from shared.adapters.aws.clients import Aws
from shared.adapters.aws.table import Table
from shared.adapters.memory.budget import MemoryBudgets
from shared.domain.budget import (
    Bounds,
    BudgetMonth,
    BudgetRules,
    Denied,
    Envelope,
    Grant,
    GrantId,
    No,
    Reservation,
    month_of,
)
from shared.domain.day_plan import exchange_date
from shared.ports.budget import Budgets
from tests.fakes.aws import connect, make_table, served
from tests.unit.budgets import wanted

START: Final = datetime(2026, 12, 1, 4, 57, tzinfo=UTC)
"""Three minutes before the 30th of November ends in New York, and with it the month."""
DAYS: Final = tuple(exchange_date(START + timedelta(hours=hours)) for hours in (0, 12, 36))
MONTHS: Final = tuple(sorted({month_of(day) for day in DAYS}))
RULES: Final = BudgetRules(day=800, month=900, grant=100, grants_a_day=2, decisions=3)
GRANTS: Final = ("one", "two", "three", "four")
NAMES: Final = tuple("abcdefghijkl")


@dataclass
class Held:
    """What the model knows of one id: its reservation, and its cost once there is one."""

    reservation: Reservation
    cost: int | None = None

    @property
    def counts(self) -> int:
        return self.reservation.amount if self.cost is None else self.cost


class Books:
    """A model of the budget that keeps every admitted call for ever and adds them up anew each time."""

    def __init__(self) -> None:
        self.calls: dict[str, Held] = {}
        self.grants: dict[str, Grant] = {}
        self.used: set[str] = set()
        self.closed_days: dict[Any, str] = {}
        self.floors: dict[Any, datetime] = {}
        self.decisions: dict[Any, set[str]] = {}

    def committed(self, *, month: Any = None, day: Any = None, envelope: Envelope | None = None) -> int:
        return sum(
            held.counts
            for held in self.calls.values()
            if month in (None, held.reservation.month)
            and day in (None, held.reservation.day)
            and (envelope is None or (held.reservation.envelope is envelope and held.reservation.grant is None))
        )

    def admits(self, one: Reservation, bounds: Bounds) -> bool:
        floor = self.floors.get(one.month)
        if one.id in self.calls or (floor is not None and one.issued_at <= floor) or one.day in self.closed_days:
            return False
        if self.committed(month=one.month) + one.amount > bounds.month:
            return False
        after = self.committed(day=one.day) + one.amount
        if one.grant is not None:
            given = sum(grant.amount for grant in self.grants.values() if grant.day == one.day)
            grant = self.grants.get(one.grant)
            usable = grant is not None and one.grant not in self.used and grant.day == one.day
            return usable and grant is not None and one.amount <= grant.amount and after <= bounds.day + given
        known = self.decisions.get(one.day, set())
        if one.decision is not None and one.decision not in known and len(known) >= bounds.decisions:
            return False
        filled = self.committed(day=one.day, envelope=one.envelope) + one.amount
        return after <= bounds.day and filled <= bounds.envelope

    def admit(self, one: Reservation) -> None:
        self.calls[one.id] = Held(one)
        if one.grant is not None:
            self.used.add(one.grant)
        elif one.decision is not None:
            self.decisions.setdefault(one.day, set()).add(one.decision)


amounts = st.integers(1, 40) | st.integers(1, 400)
costs = st.integers(0, 500)
names = st.sampled_from(NAMES)


class Budget(RuleBasedStateMachine):
    """Two days, the end of a month between them; ids are few, so that they come again in every state."""

    def __init__(self) -> None:
        super().__init__()
        self.budgets: Budgets = MemoryBudgets()
        self.books = Books()
        self.now = START

    @rule(minutes=st.sampled_from([1, 2, 5, 60, 11 * 60]))
    def time_passes(self, minutes: int) -> None:
        self.now = min(self.now + timedelta(minutes=minutes), START + timedelta(hours=36))

    @rule(
        name=names,
        amount=amounts,
        envelope=st.sampled_from(Envelope),
        decision=st.none() | st.sampled_from(["p", "q", "r", "s"]),
        edge_down=st.booleans(),
        age=st.sampled_from([0, 0, 0, 1, 4]),
        month=st.sampled_from([400, RULES.month]),
    )
    def reserves(
        self, name: str, amount: int, envelope: Envelope, decision: str | None, edge_down: bool, age: int, month: int
    ) -> None:
        at = self.now - timedelta(minutes=age)
        one = wanted(f"{name} {at}", amount, at=at, envelope=envelope, decision=decision)
        bounds = replace(Bounds.of(RULES, envelope, edge_down=edge_down), month=month)

        found = self.budgets.reserve(one, bounds)

        assert isinstance(found, BudgetMonth) == self.books.admits(one, bounds), found
        if isinstance(found, BudgetMonth):
            self.books.admit(one)
        elif found.left:
            assert self.books.admits(replace(one, amount=found.left), bounds)
            assert not self.books.admits(replace(one, amount=found.left + 1), bounds)

    @rule(data=st.data(), amount=amounts)
    def asks_again_under_a_known_id(self, data: st.DataObject, amount: int) -> None:
        if self.books.calls:
            known = self.books.calls[data.draw(st.sampled_from(sorted(self.books.calls)))].reservation
            found = self.budgets.reserve(
                replace(known, amount=amount), Bounds.of(RULES, known.envelope, edge_down=False)
            )
            assert isinstance(found, Denied)
            assert found.why in (No.USED_ID, No.LATE_ID)

    @rule(data=st.data(), cost=costs)
    def closes(self, data: st.DataObject, cost: int) -> None:
        if self.books.calls:
            held = self.books.calls[data.draw(st.sampled_from(sorted(self.books.calls)))]
            self.budgets.close(held.reservation, cost)
            held.cost = cost if held.cost is None else held.cost

    @rule()
    def what_is_late_expires(self) -> None:
        for month in MONTHS:
            for held in self.budgets.month(month).open.values():
                if held.expires_at <= self.now:
                    self.budgets.close(held, held.amount)
                    self.books.calls[held.id].cost = held.amount

    @rule(name=st.sampled_from(GRANTS), day=st.sampled_from(DAYS), amount=st.integers(1, 300))
    def person_grants(self, name: str, day: Any, amount: int) -> None:
        grant = Grant(id=GrantId(f"{name} {day:%m}"), day=day, amount=amount)
        of_day = [one for one in self.books.grants.values() if one.day == day]
        fits = len(of_day) < RULES.grants_a_day
        fits = fits and self.books.committed(month=month_of(day)) + amount <= RULES.month
        known = self.books.grants.get(grant.id)
        fits = fits if known is None else known.day == day

        found = self.budgets.grant(grant, RULES)

        assert isinstance(found, BudgetMonth) == fits
        if fits and not known:
            self.books.grants[grant.id] = grant

    @rule(data=st.data(), amount=amounts, envelope=st.sampled_from(Envelope))
    def uses_a_grant(self, data: st.DataObject, amount: int, envelope: Envelope) -> None:
        grant = data.draw(st.sampled_from([*sorted(self.books.grants), "nobody's"]))
        one = wanted(f"{grant} {self.now} {amount}", amount, at=self.now, envelope=envelope, grant=grant)
        bounds = Bounds.of(RULES, envelope, edge_down=False)

        found = self.budgets.reserve(one, bounds)

        assert isinstance(found, BudgetMonth) == self.books.admits(one, bounds), found
        if isinstance(found, BudgetMonth):
            self.books.admit(one)

    @rule(age=st.integers(1, 6))
    def old_ids_are_forgotten(self, age: int) -> None:
        before = self.now - timedelta(minutes=age)
        for month in MONTHS:
            self.budgets.prune(month, before)
            self.books.floors[month] = max(before, self.books.floors.get(month, before))

    @rule(day=st.sampled_from(DAYS), why=st.sampled_from(["the provider's limit", "a person"]), sure=st.integers(0, 9))
    def day_is_closed(self, day: Any, why: str, sure: int) -> None:
        if sure == 0:
            self.budgets.close_day(day, why)
            self.books.closed_days.setdefault(day, why)

    @invariant()
    def counters_are_the_sum_of_what_was_admitted(self) -> None:
        for month in MONTHS:
            found = self.budgets.month(month)
            assert found.committed == self.books.committed(month=month)
            assert found.reserved == sum(held.amount for held in found.open.values())
            assert found.floor == self.books.floors.get(month)
            for day in DAYS:
                if month_of(day) == month:
                    self.day_is_that_of_the_books(found, day)

    def day_is_that_of_the_books(self, month: BudgetMonth, day: Any) -> None:
        found, calls = month.day(day), [held for held in self.books.calls.values() if held.reservation.day == day]
        assert found.committed == sum(held.counts for held in calls)
        assert found.spent == sum(held.cost for held in calls if held.cost is not None)
        assert found.calls == len(calls)
        assert found.closed == self.books.closed_days.get(day, "")
        assert found.decisions == self.books.decisions.get(day, set())
        for envelope in Envelope:
            assert found.envelopes.get(envelope, 0) == self.books.committed(day=day, envelope=envelope)

    @invariant()
    def what_is_open_is_what_nobody_closed(self) -> None:
        opened = {name for month in MONTHS for name in self.budgets.month(month).open}
        assert opened == {name for name, held in self.books.calls.items() if held.cost is None}

    @invariant()
    def limits_hold_but_for_what_calls_cost_above_their_bound(self) -> None:
        over = sum(
            max(0, held.cost - held.reservation.amount) for held in self.books.calls.values() if held.cost is not None
        )
        for month in MONTHS:
            assert self.budgets.month(month).committed <= RULES.month + over
        for day in DAYS:
            granted = sum(
                held.counts
                for held in self.books.calls.values()
                if held.reservation.day == day and held.reservation.grant
            )
            assert self.books.committed(day=day) - granted <= RULES.day + over


TestBudget = Budget.TestCase
TestBudget.settings = settings(max_examples=60, stateful_step_count=60)


# the same events in memory and in the table


reservations = st.builds(
    wanted,
    names,
    amounts,
    at=st.sampled_from([START + timedelta(minutes=minutes) for minutes in (0, 2, 4, 60)]),
    envelope=st.sampled_from(Envelope),
    decision=st.none() | st.sampled_from(["p", "q", "r"]),
    grant=st.none() | st.none() | st.sampled_from(["one", "two"]),
)
events = st.one_of(
    st.tuples(st.just("reserve"), st.tuples(reservations, st.booleans())),
    st.tuples(st.just("reserve"), st.tuples(reservations, st.booleans())),
    st.tuples(st.just("close"), st.tuples(st.integers(0, 30), costs)),
    st.tuples(st.just("grant"), st.tuples(st.sampled_from(["one", "two", "x"]), st.sampled_from(DAYS[:2]), amounts)),
    st.tuples(st.just("prune"), st.sampled_from([START + timedelta(minutes=minutes) for minutes in (0, 3, 4)])),
    st.tuples(st.just("close day"), st.sampled_from(DAYS[:2])),
    st.tuples(st.just("warned"), st.tuples(st.sampled_from(DAYS[:2]), st.sampled_from(["$2", "$3"]))),
)


def play(budgets: Budgets, wishes: list[tuple[str, Any]]) -> Iterator[object]:
    """Do one event after the other and give what each answered."""
    held: list[Reservation] = []
    for what, how in wishes:
        if what == "reserve":
            one, edge_down = how
            found = budgets.reserve(one, Bounds.of(RULES, one.envelope, edge_down=edge_down))
            held += [one] if isinstance(found, BudgetMonth) else []
            yield found
        elif what == "close" and held:
            yield budgets.close(held[how[0] % len(held)], how[1])
        elif what == "grant":
            yield budgets.grant(Grant(id=GrantId(how[0]), day=how[1], amount=how[2]), RULES)
        elif what == "prune":
            for month in MONTHS:
                budgets.prune(month, how)
        elif what == "close day":
            budgets.close_day(how, "why")
        elif what == "warned":
            budgets.warned(*how)


@contextmanager
def one_table(aws: Aws) -> Iterator[Table]:
    name = make_table(aws, f"table-{uuid4().hex}")
    yield Table(aws.dynamodb, name)
    aws.dynamodb.delete_table(TableName=name)


def test_table_answers_and_holds_what_memory_does_after_any_events() -> None:
    with served() as url:
        aws = connect(url)

        @settings(max_examples=25)
        @given(wishes=st.lists(events, min_size=8, max_size=24))
        def same(wishes: list[tuple[str, Any]]) -> None:
            memory = MemoryBudgets()
            with one_table(aws) as table:
                dynamo = DynamoBudgets(table)
                assert list(play(dynamo, wishes)) == list(play(memory, wishes))
                assert [dynamo.month(month) for month in MONTHS] == [memory.month(month) for month in MONTHS]

        same()
