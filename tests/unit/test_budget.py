"""The rules of the budget: who is admitted, in words and figures, whatever the order of events."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.budget import (
    ENVELOPE_OF,
    SPENT,
    Bounds,
    BudgetDay,
    BudgetMonth,
    BudgetRules,
    DecisionId,
    Denied,
    Envelope,
    GrantId,
    No,
    Reservation,
    ReservationId,
    closed,
    day_closed,
    granted,
    judge,
    month_of,
    pruned,
    reserved,
    spent_fraction,
    told,
)
from shared.domain.calls import Purpose
from shared.domain.errors import InvalidValue
from shared.domain.model_prices import DOLLAR
from tests.unit.budgets import (
    DAY,
    FRIDAY,
    MOMENT,
    MONTH,
    QUARTER,
    RULES,
    SONNET_CALL,
    allowance,
    bounds,
    refused,
    wanted,
)

EMPTY = BudgetMonth(month=MONTH)


def test_rules_are_those_of_the_requirements() -> None:
    assert (RULES.day, RULES.month, RULES.warn_at) == (5 * DOLLAR, 150 * DOLLAR, (2 * DOLLAR, 3 * DOLLAR))
    assert (RULES.warn_decisions, RULES.decisions) == (10, 20)
    assert (RULES.grant, RULES.grants_a_day, RULES.expires_after) == (DOLLAR, 4, QUARTER)
    assert RULES.day + RULES.grants_a_day * RULES.grant < 10 * DOLLAR
    assert RULES.remembered >= RULES.expires_after


@pytest.mark.parametrize(("edge_down", "decisions", "news", "other"), [(False, 3, 1, 1), (True, 2, 2, 1)])
def test_envelopes_divide_the_day(edge_down: bool, decisions: int, news: int, other: int) -> None:
    shares = {envelope: RULES.envelope(envelope, edge_down=edge_down) for envelope in Envelope}

    assert shares == {
        Envelope.DECISIONS: decisions * DOLLAR,
        Envelope.NEWS: news * DOLLAR,
        Envelope.OTHER: other * DOLLAR,
    }
    assert sum(shares.values()) == RULES.day


@given(day=st.integers(0, 10**9), edge_down=st.booleans())
def test_envelopes_never_add_up_to_more_than_the_day(day: int, edge_down: bool) -> None:
    rules = BudgetRules(day=day)

    assert sum(rules.envelope(envelope, edge_down=edge_down) for envelope in Envelope) <= day


def test_every_purpose_has_its_envelope() -> None:
    assert ENVELOPE_OF.keys() == set(Purpose)
    assert {purpose for purpose in Purpose if ENVELOPE_OF[purpose] is Envelope.OTHER} == {
        Purpose.MONITOR,
        Purpose.SHADOW,
        Purpose.EVALS,
        Purpose.CHAT,
    }


@pytest.mark.parametrize("field", ["day", "month", "grant", "decisions", "grants_a_day"])
@pytest.mark.parametrize("bad", [-1, 1.5, True, Decimal(1)])
def test_limit_that_is_no_whole_number_is_refused(field: str, bad: object) -> None:
    with pytest.raises(InvalidValue, match=f"budget.{field}"):
        BudgetRules(**{field: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("amount", 0),
        ("amount", -1),
        ("amount", 1.0),
        ("expires_at", FRIDAY),
        ("issued_at", FRIDAY.replace(tzinfo=None)),
        ("expires_at", (FRIDAY + QUARTER).astimezone(timezone(timedelta(hours=1)))),
    ],
)
def test_reservation_that_means_nothing_is_refused(field: str, bad: object) -> None:
    changed: dict[str, Any] = {field: bad}
    with pytest.raises(InvalidValue, match=f"reservation.{field}"):
        replace(wanted(), **changed)


def test_reservation_counts_in_the_month_of_its_day() -> None:
    assert month_of(date(2026, 12, 31)) == date(2026, 12, 1)
    assert replace(wanted(), day=date(2026, 10, 31)).month == date(2026, 10, 1)


def test_share_of_a_limit_is_whole_when_there_is_no_limit() -> None:
    assert spent_fraction(1, 4) == Decimal("0.25")
    assert spent_fraction(0, 0) == 1


def test_refusals_for_want_of_money_are_told_apart_from_the_others() -> None:
    assert {No.DAY_CLOSED, No.MONTH_SPENT, No.DAY_SPENT, No.ENVELOPE_SPENT} == SPENT


def test_the_tightest_limit_is_named_with_what_it_leaves() -> None:
    tight = Bounds(day=50, month=60, envelope=40, decisions=1)

    assert judge(EMPTY, wanted(amount=41), tight) == Denied(why=No.ENVELOPE_SPENT, wanted=41, left=40)
    assert judge(EMPTY, wanted(amount=41), replace(tight, day=30)) == Denied(why=No.DAY_SPENT, wanted=41, left=30)
    assert judge(EMPTY, wanted(amount=41), replace(tight, month=20)) == Denied(why=No.MONTH_SPENT, wanted=41, left=20)
    assert judge(EMPTY, wanted(amount=40), tight) is None


def test_amount_that_is_left_is_never_below_zero() -> None:
    overdrawn = replace(EMPTY, committed=99, days={DAY: BudgetDay(committed=99)})

    assert judge(overdrawn, wanted(amount=1), bounds(day=5)) == Denied(why=No.DAY_SPENT, wanted=1, left=0)


def test_used_id_is_named_before_every_other_reason() -> None:
    full = replace(reserved(EMPTY, wanted()), floor=FRIDAY)

    assert refused_by(day_closed(full, DAY, "why"), wanted(), bounds(day=0)) is No.USED_ID
    assert refused_by(day_closed(full, DAY, "why"), wanted("next"), bounds(day=0)) is No.LATE_ID
    late = wanted("next", at=FRIDAY + MOMENT)
    assert refused_by(day_closed(full, DAY, "why"), late, bounds(day=0)) is No.DAY_CLOSED
    assert refused_by(full, late, bounds(day=0)) is No.DAY_SPENT


def refused_by(month: BudgetMonth, held: Reservation, limits: Bounds) -> No | None:
    denied = judge(month, held, limits)
    return None if denied is None else denied.why


def test_refusal_carries_the_levels_that_were_told() -> None:
    month = told(told(EMPTY, DAY, "$2"), DAY, "day_spent")

    denied = judge(month, wanted(), bounds(day=0))

    assert denied is not None
    assert denied.warned == {"$2", "day_spent"}


def test_closing_something_that_is_not_exactly_what_is_open_changes_nothing() -> None:
    month = reserved(EMPTY, wanted())

    assert closed(month, wanted(amount=SONNET_CALL - 1), 5) is month
    assert closed(EMPTY, wanted(), 5) is EMPTY


def test_forgetting_never_lowers_the_floor_and_forgets_what_lies_below_it() -> None:
    month = closed(reserved(EMPTY, wanted()), wanted(), 5)

    later = pruned(month, FRIDAY)
    assert (later.floor, later.closed) == (FRIDAY, {})
    assert pruned(later, FRIDAY - QUARTER) == later
    late = closed(reserved(later, wanted("late")), wanted("late"), 5)
    assert pruned(late, FRIDAY - QUARTER).closed == {}


def test_grant_raises_only_its_own_day_and_only_granted_calls() -> None:
    month = granted(EMPTY, allowance(), RULES)
    assert isinstance(month, BudgetMonth)
    call, plain = wanted(amount=DOLLAR, grant="grant-1"), wanted(amount=1)

    assert judge(month, call, bounds(day=0)) is None
    assert refused_by(month, plain, bounds(day=0)) is No.DAY_SPENT
    assert refused_by(month, replace(call, day=DAY + timedelta(days=1)), bounds(day=0)) is No.NO_GRANT
    assert refused_by(month, call, bounds(day=0, month=DOLLAR - 1)) is No.MONTH_SPENT
    assert refused_by(reserved(month, call), replace(call, id=ReservationId("again")), bounds()) is No.NO_GRANT


def test_day_is_closed_for_the_first_reason_only() -> None:
    month = day_closed(day_closed(EMPTY, DAY, "first"), DAY, "second")

    assert month.day(DAY).closed == "first"
    with pytest.raises(InvalidValue):
        day_closed(EMPTY, DAY, "")


# properties

amounts = st.integers(1, 400)
names = st.sampled_from(["a", "b", "c", "d", "e"])


@st.composite
def months(draw: st.DrawFn) -> BudgetMonth:
    """A month in which everything may stand, also what its limits would not have admitted."""
    days = {
        DAY + timedelta(days=number): BudgetDay(
            committed=draw(st.integers(0, 500)),
            envelopes=draw(st.dictionaries(st.sampled_from(Envelope), st.integers(0, 500))),
            decisions=frozenset(map(DecisionId, draw(st.frozensets(names)))),
            closed=draw(st.sampled_from(["", "", "", "why"])),
        )
        for number in range(2)
    }
    month = BudgetMonth(
        month=MONTH,
        committed=draw(st.integers(0, 900)),
        days=days,
        closed={ReservationId(name): FRIDAY for name in draw(st.frozensets(names))},
        floor=draw(st.none() | st.just(FRIDAY)),
    )
    for number in draw(st.lists(st.integers(0, 4), unique=True)):
        day = DAY + timedelta(days=number % 2)
        grant = replace(allowance(f"grant-{number}", day=day, amount=draw(amounts)), used=draw(st.booleans()))
        month = replace(month, grants={**month.grants, grant.id: grant})
    return month


@given(
    month=months(),
    held=st.builds(
        wanted,
        names,
        amounts,
        at=st.sampled_from([FRIDAY, FRIDAY + MOMENT, FRIDAY + timedelta(days=1)]),
        envelope=st.sampled_from(Envelope),
        decision=st.none() | names,
        grant=st.none() | st.sampled_from(["grant-0", "grant-1", "grant-2"]),
    ),
    limits=st.builds(
        Bounds,
        day=st.integers(0, 600),
        month=st.integers(0, 1_000),
        envelope=st.integers(0, 600),
        decisions=st.integers(0, 6),
    ),
)
def test_what_is_admitted_stays_within_every_bound_and_what_is_left_would_be_admitted(
    month: BudgetMonth, held: Reservation, limits: Bounds
) -> None:
    denied = judge(month, held, limits)
    if denied is None:
        after = reserved(month, held)
        day = after.day(held.day)
        raised = month.granted(held.day) if held.grant is not None else 0
        assert after.committed <= limits.month
        assert day.committed <= limits.day + raised
        assert held.id not in month.closed
        assert held.id not in month.open
        assert month.floor is None or held.issued_at > month.floor
        assert not day.closed
        if held.grant is None:
            assert day.envelopes[held.envelope] <= limits.envelope
            assert len(day.decisions) <= max(limits.decisions, len(month.day(held.day).decisions))
        else:
            before = month.grants[held.grant]
            assert (before.used, before.day) == (False, held.day)
            assert held.amount <= before.amount
            assert after.grants[held.grant].used
    elif denied.left:
        assert denied.left < held.amount
        assert judge(month, replace(held, amount=denied.left), limits) is None
        assert judge(month, replace(held, amount=denied.left + 1), limits) is not None


@given(
    amount=amounts,
    cost=st.integers(0, 900),
    grant=st.none() | st.just("grant-1"),
    other=st.integers(0, 900),
)
def test_reservation_and_closing_leave_exactly_the_cost(amount: int, cost: int, grant: str | None, other: int) -> None:
    month = granted(EMPTY, allowance(), RULES)
    assert isinstance(month, BudgetMonth)
    held = wanted(amount=amount, grant=grant)

    done = closed(closed(reserved(month, held), held, cost), held, other)

    assert (done.committed, done.spent, done.reserved, done.open) == (cost, cost, 0, {})
    assert (done.day(DAY).committed, done.day(DAY).spent) == (cost, cost)
    assert done.day(DAY).envelopes == ({} if grant else {Envelope.DECISIONS: cost})
    assert done.closed == {held.id: FRIDAY}


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 1), st.integers(1, 80 * DOLLAR)), max_size=20))
def test_grants_stay_within_their_count_a_day_and_the_month(wishes: list[tuple[int, int, int]]) -> None:
    month = EMPTY
    for name, day, amount in wishes:
        grant = allowance(f"grant-{name}", day=DAY + timedelta(days=day), amount=amount)
        found = granted(month, grant, RULES)
        if isinstance(found, Denied):
            assert refused(found).why in (No.NO_GRANT, No.MONTH_SPENT)
            assert grant.id not in month.grants or month.grants[grant.id].day != grant.day
            continue
        assert found.grants[GrantId(f"grant-{name}")] in (grant, month.grants.get(grant.id))
        month = found

    for number in range(2):
        of_day = [grant for grant in month.grants.values() if grant.day == DAY + timedelta(days=number)]
        assert len(of_day) <= RULES.grants_a_day
    assert all(grant.amount <= RULES.month for grant in month.grants.values())
