"""What every ledger of the budget promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from shared.adapters.aws.budget import DynamoBudgets, DynamoCharges
from shared.adapters.memory.budget import MemoryBudgets, MemoryCharges
from shared.domain.budget import (
    Bounds,
    BudgetMonth,
    DecisionId,
    Denied,
    Envelope,
    GrantId,
    No,
    Reservation,
    ReservationId,
)
from shared.domain.errors import InvalidValue
from shared.domain.model_prices import DOLLAR
from shared.ports.budget import Budgets, Charges
from tests.contract.conftest import NewTable
from tests.fakes.racing import race
from tests.unit.budgets import (
    DAY,
    FRIDAY,
    MOMENT,
    MONTH,
    QUARTER,
    RULES,
    SONNET_CALL,
    admitted,
    allowance,
    bounds,
    charged,
    refused,
    wanted,
)

STORES: dict[str, Callable[[NewTable], Budgets]] = {
    "memory": lambda new_table: MemoryBudgets(),
    "dynamodb": lambda new_table: DynamoBudgets(new_table()),
}
RECORDS: dict[str, Callable[[NewTable], Charges]] = {
    "memory": lambda new_table: MemoryCharges(),
    "dynamodb": lambda new_table: DynamoCharges(new_table()),
}
LAST_SECOND = datetime(2026, 11, 21, 4, 59, 59, tzinfo=UTC)
"""23:59:59 on the 20th in New York."""
END_OF_MONTH = datetime(2026, 12, 1, 4, 59, 59, tzinfo=UTC)
"""23:59:59 on the 30th of November in New York."""


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def budgets(store: str, new_table: NewTable) -> Budgets:
    return STORES[store](new_table)


def shape(found: BudgetMonth | Denied) -> str:
    return "admitted" if isinstance(found, BudgetMonth) else found.why


# one reservation and its end


def test_month_without_anything_is_empty(budgets: Budgets) -> None:
    assert budgets.month(MONTH) == BudgetMonth(month=MONTH)


def test_reservation_counts_in_month_day_and_envelope_and_reads_back(budgets: Budgets) -> None:
    decision = DecisionId("TSLA | 15:30 \ud800")
    first = wanted("\ud800 “first” |\\", decision=decision)

    month = admitted(budgets.reserve(first, bounds()))

    day = month.day(DAY)
    assert (month.committed, month.spent, month.reserved) == (SONNET_CALL, 0, SONNET_CALL)
    assert (day.committed, day.spent, day.calls) == (SONNET_CALL, 0, 1)
    assert (day.envelopes, day.decisions) == ({Envelope.DECISIONS: SONNET_CALL}, frozenset({decision}))
    assert month.open == {first.id: first}
    assert budgets.month(MONTH) == month


def test_closing_turns_the_reservation_into_its_cost(budgets: Budgets) -> None:
    first = wanted()
    budgets.reserve(first, bounds())

    month = budgets.close(first, 13_440)

    day = month.day(DAY)
    assert (month.committed, month.spent, month.open) == (13_440, 13_440, {})
    assert (day.committed, day.spent, day.calls, day.envelopes) == (13_440, 13_440, 1, {Envelope.DECISIONS: 13_440})
    assert month.closed == {first.id: first.issued_at}
    assert budgets.month(MONTH) == month


def test_call_that_cost_nothing_gives_all_of_it_back(budgets: Budgets) -> None:
    budgets.reserve(wanted(), bounds())

    month = budgets.close(wanted(), 0)

    assert (month.committed, month.spent, month.day(DAY).calls) == (0, 0, 1)


def test_cost_above_what_was_held_counts_in_full(budgets: Budgets) -> None:
    budgets.reserve(wanted(), bounds())

    month = budgets.close(wanted(), 3 * DOLLAR + 1)

    assert (month.committed, month.day(DAY).committed, month.spent) == (3_000_001, 3_000_001, 3_000_001)
    assert refused(budgets.reserve(wanted("next", 1), bounds())) == Denied(why=No.ENVELOPE_SPENT, wanted=1)


def test_closing_again_at_another_cost_changes_nothing(budgets: Budgets) -> None:
    budgets.reserve(wanted(), bounds())
    month = budgets.close(wanted(), 13_440)

    assert budgets.close(wanted(), SONNET_CALL) == month
    assert budgets.month(MONTH) == month


def test_closing_what_was_never_reserved_changes_nothing(budgets: Budgets) -> None:
    assert budgets.close(wanted(), 5).spent == 0

    budgets.reserve(wanted(), bounds())
    month = budgets.close(wanted(amount=1), 5)

    assert (month.spent, list(month.open)) == (0, [wanted().id])


# ids


def test_open_id_is_not_admitted_again(budgets: Budgets) -> None:
    budgets.reserve(wanted(), bounds())

    assert refused(budgets.reserve(wanted(), bounds())).why is No.USED_ID
    assert refused(budgets.reserve(wanted(amount=1, at=FRIDAY + MOMENT), bounds())).why is No.USED_ID
    assert budgets.month(MONTH).committed == SONNET_CALL


def test_closed_id_is_not_admitted_again(budgets: Budgets) -> None:
    budgets.reserve(wanted(), bounds())
    budgets.close(wanted(), 7)

    assert refused(budgets.reserve(wanted(), bounds())).why is No.USED_ID
    assert budgets.month(MONTH).committed == 7


def test_forgotten_id_is_too_late(budgets: Budgets) -> None:
    later = wanted("later", at=FRIDAY + MOMENT)
    for each in (wanted(), later):
        budgets.reserve(each, bounds())
        budgets.close(each, 7)

    budgets.prune(MONTH, FRIDAY)

    month = budgets.month(MONTH)
    assert (month.closed, month.floor) == ({later.id: later.issued_at}, FRIDAY)
    assert refused(budgets.reserve(wanted(), bounds())).why is No.LATE_ID
    assert refused(budgets.reserve(later, bounds())).why is No.USED_ID
    assert refused(budgets.reserve(wanted("other"), bounds())).why is No.LATE_ID
    assert shape(budgets.reserve(wanted("other", at=FRIDAY + MOMENT), bounds())) == "admitted"


def test_open_reservation_survives_forgetting_and_closes_once(budgets: Budgets) -> None:
    budgets.reserve(wanted(), bounds())
    budgets.prune(MONTH, FRIDAY + QUARTER)
    assert refused(budgets.reserve(wanted(), bounds())).why is No.USED_ID

    month = budgets.close(wanted(), 7)

    assert month.spent == 7
    budgets.prune(MONTH, FRIDAY + QUARTER)
    assert budgets.close(wanted(), 9).spent == 7
    assert refused(budgets.reserve(wanted(), bounds())).why is No.LATE_ID


def test_forgetting_up_to_an_earlier_time_admits_nothing_again(budgets: Budgets) -> None:
    budgets.prune(MONTH, FRIDAY)
    budgets.prune(MONTH, FRIDAY - QUARTER)

    assert budgets.month(MONTH) == BudgetMonth(month=MONTH, floor=FRIDAY)
    assert refused(budgets.reserve(wanted(), bounds())).why is No.LATE_ID


def test_many_ids_are_forgotten_together(budgets: Budgets) -> None:
    for number in range(170):
        each = wanted(f"call {number}", 1, at=FRIDAY + number * MOMENT)
        budgets.reserve(each, bounds())
        budgets.close(each, 1)

    budgets.prune(MONTH, FRIDAY + 168 * MOMENT)

    month = budgets.month(MONTH)
    assert (list(month.closed), month.spent) == (["call 169"], 170)


# days and months


def test_reservation_of_the_last_second_counts_on_its_own_day_whenever_it_is_closed(budgets: Budgets) -> None:
    late, early = wanted("late", at=LAST_SECOND), wanted("early", at=LAST_SECOND + timedelta(seconds=1))
    assert (late.day, early.day) == (DAY, DAY + timedelta(days=1))
    budgets.reserve(late, bounds())
    budgets.reserve(early, bounds())

    month = budgets.close(late, 11)

    assert (month.day(late.day).spent, month.day(early.day).spent) == (11, 0)
    assert (month.day(late.day).committed, month.day(early.day).committed) == (11, SONNET_CALL)
    assert month.committed == 11 + SONNET_CALL


def test_months_are_apart_and_a_reservation_stays_in_its_own(budgets: Budgets) -> None:
    last, first = wanted("last", at=END_OF_MONTH), wanted("last", at=END_OF_MONTH + timedelta(seconds=1))
    assert (last.month, first.month) == (MONTH, date(2026, 12, 1))
    budgets.reserve(last, bounds(month=SONNET_CALL))
    december = admitted(budgets.reserve(first, bounds(month=SONNET_CALL)))

    november = budgets.close(last, 12)

    assert (november.spent, november.committed) == (12, 12)
    assert budgets.month(december.month) == december


def test_closed_day_admits_nothing_and_the_next_day_does(budgets: Budgets) -> None:
    budgets.reserve(wanted(), bounds())
    budgets.close_day(DAY, "the provider's own limit")
    budgets.close_day(DAY, "another reason")

    assert refused(budgets.reserve(wanted("next"), bounds())).why is No.DAY_CLOSED
    assert budgets.month(MONTH).day(DAY).closed == "the provider's own limit"
    assert budgets.close(wanted(), 3).day(DAY).spent == 3
    assert shape(budgets.reserve(wanted("next", at=FRIDAY + timedelta(days=1)), bounds())) == "admitted"


def test_day_is_not_closed_without_a_reason(budgets: Budgets) -> None:
    with pytest.raises(InvalidValue, match=r"budget.closed: '' is not usable, expected a reason"):
        budgets.close_day(DAY, "")


def test_levels_that_were_told_are_remembered_by_day_and_stand_on_refusals(budgets: Budgets) -> None:
    for level in ("$2", "$3", "$2", "10 “decisions”"):
        budgets.warned(DAY, level)

    month = budgets.month(MONTH)
    assert month.day(DAY).warned == {"$2", "$3", "10 “decisions”"}
    assert month.day(DAY + timedelta(days=1)).warned == frozenset()
    assert refused(budgets.reserve(wanted(), bounds(day=0))).warned == {"$2", "$3", "10 “decisions”"}


# limits


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        (bounds(day=99), No.DAY_SPENT),
        (bounds(month=99), No.MONTH_SPENT),
        (bounds(share=99), No.ENVELOPE_SPENT),
    ],
)
def test_limit_admits_what_reaches_it_and_refuses_one_more_with_what_is_left(
    budgets: Budgets, limits: Bounds, why: No
) -> None:
    assert refused(budgets.reserve(wanted("big", 100), limits)) == Denied(why=why, wanted=100, left=99)
    assert shape(budgets.reserve(wanted("most", 60), limits)) == "admitted"
    assert refused(budgets.reserve(wanted("big", 40), limits)) == Denied(why=why, wanted=40, left=39)
    assert shape(budgets.reserve(wanted("rest", 39), limits)) == "admitted"
    assert refused(budgets.reserve(wanted("one", 1), limits)) == Denied(why=why, wanted=1, left=0)
    assert budgets.month(MONTH).committed == 99


def test_limit_of_zero_admits_nothing_even_first(budgets: Budgets) -> None:
    for limits in (bounds(day=0), bounds(month=0), bounds(share=0)):
        assert isinstance(budgets.reserve(wanted("one", 1), limits), Denied)
    assert budgets.month(MONTH) == BudgetMonth(month=MONTH)


def test_refused_id_may_be_admitted_with_less(budgets: Budgets) -> None:
    assert isinstance(budgets.reserve(wanted(amount=100), bounds(day=99)), Denied)
    assert shape(budgets.reserve(wanted(amount=99), bounds(day=99))) == "admitted"


def test_envelopes_are_filled_apart_and_the_edge_moves_money_between_them(budgets: Budgets) -> None:
    def reserve(name: str, amount: int, envelope: Envelope, *, edge_down: bool) -> str:
        return shape(budgets.reserve(wanted(name, amount, envelope=envelope), bounds(envelope, edge_down=edge_down)))

    assert reserve("a", 2 * DOLLAR, Envelope.DECISIONS, edge_down=True) == "admitted"
    assert reserve("b", 1, Envelope.DECISIONS, edge_down=True) == No.ENVELOPE_SPENT
    assert reserve("c", 2 * DOLLAR, Envelope.NEWS, edge_down=True) == "admitted"
    assert reserve("d", 1, Envelope.NEWS, edge_down=True) == No.ENVELOPE_SPENT
    assert reserve("e", DOLLAR, Envelope.DECISIONS, edge_down=False) == "admitted"
    assert reserve("f", 1, Envelope.NEWS, edge_down=False) == No.ENVELOPE_SPENT
    assert reserve("g", 1, Envelope.OTHER, edge_down=False) == No.DAY_SPENT
    assert budgets.month(MONTH).day(DAY).committed == RULES.day


# decisions


def test_decision_counts_once_however_many_calls_it_makes(budgets: Budgets) -> None:
    for number in range(3):
        assert shape(budgets.reserve(wanted(f"a{number}", decision="one"), bounds(decisions=2))) == "admitted"
    assert shape(budgets.reserve(wanted("b", decision="two"), bounds(decisions=2))) == "admitted"

    assert refused(budgets.reserve(wanted("c", decision="three"), bounds(decisions=2))).why is No.DECISIONS_COUNTED
    assert shape(budgets.reserve(wanted("a3", decision="one"), bounds(decisions=2))) == "admitted"
    assert shape(budgets.reserve(wanted("d"), bounds(decisions=2))) == "admitted"
    assert budgets.month(MONTH).day(DAY).decisions == {"one", "two"}


def test_twenty_first_decision_of_a_day_is_one_too_many_and_the_next_day_begins_at_none(budgets: Budgets) -> None:
    for number in range(20):
        assert shape(budgets.reserve(wanted(f"{number}", 1, decision=f"{number}"), bounds())) == "admitted"

    assert refused(budgets.reserve(wanted("20", 1, decision="20"), bounds())).why is No.DECISIONS_COUNTED
    tomorrow = wanted("20", 1, decision="20", at=FRIDAY + timedelta(days=1))
    assert shape(budgets.reserve(tomorrow, bounds())) == "admitted"


def test_no_decision_counts_when_none_is_allowed(budgets: Budgets) -> None:
    assert refused(budgets.reserve(wanted(decision="one"), bounds(decisions=0))).why is No.DECISIONS_COUNTED


def test_decision_stays_counted_when_its_call_cost_nothing(budgets: Budgets) -> None:
    budgets.reserve(wanted(decision="one"), bounds(decisions=1))
    budgets.close(wanted(decision="one"), 0)

    assert refused(budgets.reserve(wanted("b", decision="two"), bounds(decisions=1))).why is No.DECISIONS_COUNTED


# grants


def test_grant_is_used_once_beyond_day_envelope_and_count(budgets: Budgets) -> None:
    granted = wanted("granted", DOLLAR, grant="grant-1", decision="one")
    tight = bounds(day=0, share=0, decisions=0)
    given = admitted(budgets.grant(allowance(), RULES))
    assert given.grants == {GrantId("grant-1"): allowance()}

    month = admitted(budgets.reserve(granted, tight))

    assert month.grants == {GrantId("grant-1"): replace(allowance(), used=True)}
    day = month.day(DAY)
    assert (day.committed, day.envelopes, day.decisions, day.calls) == (DOLLAR, {}, frozenset(), 1)
    assert refused(budgets.reserve(granted, tight)).why is No.USED_ID
    assert refused(budgets.reserve(replace(granted, id=ReservationId("second")), tight)).why is No.NO_GRANT
    closed = budgets.close(granted, 600_000)
    assert (closed.spent, closed.day(DAY).envelopes) == (600_000, {})
    assert refused(budgets.reserve(replace(granted, id=ReservationId("third")), tight)).why is No.NO_GRANT


def test_same_grant_again_changes_nothing_before_and_after_its_use(budgets: Budgets) -> None:
    first = budgets.grant(allowance(), RULES)
    assert budgets.grant(allowance(), RULES) == first

    used = budgets.reserve(wanted("granted", grant="grant-1"), bounds(day=0))
    assert budgets.grant(allowance(), RULES) == used
    assert refused(budgets.reserve(wanted("again", grant="grant-1"), bounds(day=0))).why is No.NO_GRANT


def test_grant_of_yesterday_is_not_given_again_today(budgets: Budgets) -> None:
    admitted(budgets.grant(allowance(), RULES))
    before = budgets.month(MONTH)
    denied = budgets.grant(allowance(day=DAY + timedelta(days=1)), RULES)
    assert isinstance(denied, Denied)
    assert denied.why is No.NO_GRANT
    assert budgets.month(MONTH) == before


def test_fifth_grant_of_a_day_is_refused_and_another_day_has_its_own(budgets: Budgets) -> None:
    for number in range(4):
        assert shape(budgets.grant(allowance(f"grant-{number}"), RULES)) == "admitted"

    assert refused(budgets.grant(allowance("grant-4"), RULES)) == Denied(why=No.NO_GRANT, wanted=DOLLAR)
    assert shape(budgets.grant(allowance("grant-4", day=DAY + timedelta(days=1)), RULES)) == "admitted"
    month = budgets.month(MONTH)
    assert (month.granted(DAY), month.granted(DAY + timedelta(days=1))) == (4 * DOLLAR, DOLLAR)


def test_no_grant_is_given_when_none_a_day_is_allowed(budgets: Budgets) -> None:
    assert refused(budgets.grant(allowance(), replace(RULES, grants_a_day=0))).why is No.NO_GRANT


def test_grant_never_goes_beyond_the_month(budgets: Budgets) -> None:
    rules = replace(RULES, month=2 * DOLLAR)
    budgets.reserve(wanted(amount=DOLLAR + 1), bounds())

    assert refused(budgets.grant(allowance(), rules)) == Denied(why=No.MONTH_SPENT, wanted=DOLLAR, left=DOLLAR - 1)
    assert shape(budgets.grant(allowance(amount=DOLLAR - 1), rules)) == "admitted"
    found = budgets.reserve(wanted("granted", 2, grant="grant-1"), bounds(month=DOLLAR + 2))
    assert refused(found) == Denied(why=No.MONTH_SPENT, wanted=2, left=1)


def test_granted_call_fits_its_grant_and_the_raised_day_and_other_calls_gain_nothing(budgets: Budgets) -> None:
    budgets.reserve(wanted(amount=100), bounds(day=100))
    budgets.grant(allowance(amount=50), RULES)
    budgets.grant(allowance("grant-2", amount=30), RULES)

    assert refused(budgets.reserve(wanted("plain", 1), bounds(day=100))).why is No.DAY_SPENT
    found = budgets.reserve(wanted("granted", 51, grant="grant-1"), bounds(day=100))
    assert refused(found) == Denied(why=No.GRANT_TOO_SMALL, wanted=51, left=50)
    assert shape(budgets.reserve(wanted("granted", 50, grant="grant-1"), bounds(day=100))) == "admitted"
    found = budgets.reserve(wanted("late", 30, grant="grant-2"), bounds(day=99))
    assert refused(found) == Denied(why=No.DAY_SPENT, wanted=30, left=29)
    assert shape(budgets.reserve(wanted("late", 30, grant="grant-2"), bounds(day=100))) == "admitted"


def test_grant_of_another_day_or_name_is_none(budgets: Budgets) -> None:
    budgets.grant(allowance(day=DAY + timedelta(days=1)), RULES)

    assert refused(budgets.reserve(wanted("a", grant="grant-1"), bounds())).why is No.NO_GRANT
    assert refused(budgets.reserve(wanted("b", grant="grant-2"), bounds())).why is No.NO_GRANT
    assert (
        refused(budgets.reserve(wanted("c", grant="grant-3", at=FRIDAY.replace(month=12)), bounds())).why is No.NO_GRANT
    )


def test_granted_call_is_not_asked_on_a_closed_day(budgets: Budgets) -> None:
    budgets.grant(allowance(), RULES)
    budgets.close_day(DAY, "the provider's own limit")

    assert refused(budgets.reserve(wanted(grant="grant-1"), bounds())).why is No.DAY_CLOSED


# many at once


def test_of_parallel_reservations_exactly_those_that_fit_are_admitted(budgets: Budgets) -> None:
    limit = 7 * SONNET_CALL + 1

    found = race(lambda number: budgets.reserve(wanted(f"call {number}"), bounds(day=limit)))

    month = budgets.month(MONTH)
    assert Counter(map(shape, found)) == {"admitted": 7, No.DAY_SPENT: 25}
    assert month.committed == month.day(DAY).committed == 7 * SONNET_CALL
    assert set(month.open) == {f"call {number}" for number, one in enumerate(found) if shape(one) == "admitted"}


def test_parallel_reservations_that_all_fit_are_all_admitted_and_seen_once_in_order(budgets: Budgets) -> None:
    found = race(lambda number: admitted(budgets.reserve(wanted(f"call {number}", 10), bounds())), writers=64)

    assert sorted(month.committed for month in found) == [10 * (number + 1) for number in range(64)]
    assert len(budgets.month(MONTH).open) == 64


def test_same_reservation_raced_is_admitted_once(budgets: Budgets) -> None:
    found = race(lambda _: budgets.reserve(wanted(), bounds()))

    assert Counter(map(shape, found)) == {"admitted": 1, No.USED_ID: 31}
    assert budgets.month(MONTH).committed == SONNET_CALL


def test_raced_closing_counts_once(budgets: Budgets) -> None:
    budgets.reserve(wanted(), bounds())

    found = race(lambda _: budgets.close(wanted(), 13_440))

    assert {month.spent for month in found} == {13_440}
    assert budgets.month(MONTH).committed == 13_440


def test_raced_decisions_stay_within_their_count(budgets: Budgets) -> None:
    found = race(lambda number: budgets.reserve(wanted(f"{number}", 1, decision=f"{number // 2}"), bounds(decisions=5)))

    assert len(budgets.month(MONTH).day(DAY).decisions) == 5
    assert sum(1 for one in found if shape(one) == "admitted") == 10


def test_raced_grant_is_used_once(budgets: Budgets) -> None:
    budgets.grant(allowance(), RULES)

    found = race(lambda number: budgets.reserve(wanted(f"{number}", grant="grant-1"), bounds(day=0)), writers=16)

    assert Counter(map(shape, found)) == {"admitted": 1, No.NO_GRANT: 15}


def test_raced_grants_stay_within_their_count(budgets: Budgets) -> None:
    found = race(lambda number: budgets.grant(allowance(f"grant-{number}"), RULES), writers=16)

    assert Counter(map(shape, found)) == {"admitted": 4, No.NO_GRANT: 12}
    assert budgets.month(MONTH).granted(DAY) == 4 * DOLLAR


def test_raced_forgetting_forgets_everything_up_to_the_latest_time_and_nothing_else(budgets: Budgets) -> None:
    for number in range(24):
        each = wanted(f"call {number}", 1, at=FRIDAY + number * MOMENT)
        budgets.reserve(each, bounds())
        budgets.close(each, 1)

    race(lambda number: budgets.prune(MONTH, FRIDAY + number * MOMENT), writers=16)

    month = budgets.month(MONTH)
    assert (month.floor, len(month.closed)) == (FRIDAY + 15 * MOMENT, 8)


def test_reserving_closing_and_forgetting_at_once_lose_and_double_nothing(budgets: Budgets) -> None:
    """Each writer settles its own calls twice, the second time at another cost; some forget on the way."""

    def work(number: int) -> int:
        spent, random = 0, Random(number)
        for turn in range(4):
            held = wanted(f"call {number}.{turn}", 1_000, at=FRIDAY + (4 * number + turn) * MOMENT)
            if isinstance(budgets.reserve(held, bounds(day=25_000)), Denied):
                continue
            cost = random.randrange(2_000)
            budgets.close(held, cost)
            budgets.close(held, cost + 1)
            spent += cost
            if number % 8 == 0:
                budgets.prune(MONTH, FRIDAY - QUARTER + turn * MOMENT)
        return spent

    spent = sum(race(work))

    month = budgets.month(MONTH)
    assert (month.spent, month.committed, month.open) == (spent, spent, {})
    assert month.day(DAY).spent == spent


# records and counters (BUD-08)


def test_records_add_up_to_the_counters_after_many_random_calls(store: str, new_table: NewTable) -> None:
    budgets, charges = STORES[store](new_table), RECORDS[store](new_table)
    random, calls = Random(8), 10_000 if store == "memory" else 150
    limits = bounds(day=40_000 * calls, month=60_000 * calls, share=60_000 * calls)
    admitted_calls: list[Reservation] = []
    for number in range(calls):
        at = FRIDAY + timedelta(seconds=random.randrange(3 * 86_400))
        held = wanted(f"call {number}", random.randrange(1, 60_000), at=at, envelope=random.choice(list(Envelope)))
        if isinstance(budgets.reserve(held, limits), Denied):
            continue
        admitted_calls.append(held)
        for _ in range(random.choice([1, 1, 2])):
            charge = charges.put(charged(held, random.randrange(held.amount + 50), at=at))
            budgets.close(held, charge.cost)

    month = budgets.month(MONTH)
    records = {day: charges.of_day(day) for day in month.days}
    assert len(admitted_calls) > calls // 2
    assert sum(len(found) for found in records.values()) == len(admitted_calls)
    assert {day: sum(charge.cost for charge in found) for day, found in records.items()} == {
        day: found.spent for day, found in month.days.items()
    }
    assert month.spent == month.committed == sum(day.spent for day in month.days.values())
