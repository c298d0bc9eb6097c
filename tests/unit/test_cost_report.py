"""What was spent, what is left, what was saved, and whether counters, records and the provider agree."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random

import pytest

from shared.adapters.memory.budget import MemoryBudgets, MemoryCharges
from shared.domain.budget import Bounds, BudgetDay, BudgetMonth, Denied, Envelope
from shared.domain.calls import Purpose, Rung, WorkId
from shared.domain.charges import Booked, Charge
from shared.domain.cost_report import (
    BREAKDOWNS,
    Counted,
    admitted,
    breakdown,
    charges_of,
    compare,
    day_left,
    days_of,
    decision_of,
    disagreements,
    envelopes_left,
    exactly,
    month_left,
    saved,
    spending,
    statements,
    targets,
)
from shared.domain.intents import CycleId
from shared.domain.model_prices import DOLLAR, HAIKU, OPUS, SONNET, STARTING_PRICES, ModelId, PriceTable, Usage
from tests.unit.budgets import CALL, DAY, FRIDAY, MONTH, QUARTER, RULES, SONNET_CALL, allowance, charged, wanted

COST = 22_000
"""6,000 tokens in and 1,000 out on Sonnet."""


def charge(name: str = "first", **changed: object) -> Charge:
    made = charged(wanted(name), COST)
    return replace(made, **changed)  # type: ignore[arg-type]


def book(budgets: MemoryBudgets, charges: MemoryCharges, name: str, *, cost: int = COST) -> Charge:
    held = wanted(name)
    assert isinstance(budgets.reserve(held, Bounds.of(RULES, held.envelope, edge_down=False)), BudgetMonth)
    made = charges.put(charged(held, cost))
    budgets.close(held, made.cost)
    return made


def settled(*names: str) -> tuple[BudgetMonth, list[Charge]]:
    budgets, charges = MemoryBudgets(), MemoryCharges()
    for name in names:
        book(budgets, charges, name)
    return budgets.month(MONTH), list(charges.of_day(DAY))


# sums


def test_calls_are_added_up_with_their_tokens() -> None:
    known = charge(usage=Usage(input=10, output=20, cache_read=30, cache_write=40))
    unknown = charge("second", usage=None, booked=Booked.AT_MOST, cost=SONNET_CALL)
    free = charge("third", booked=Booked.FREE, cost=0)
    total = spending([known, unknown, free])

    assert (total.calls, total.cost) == (3, COST + SONNET_CALL)
    assert (total.input, total.output) == (6_010, 1_020)
    assert (total.cache_read, total.cache_write) == (30, 40)
    assert (total.uncounted, total.free, total.at_most) == (1, 1, 1)


@pytest.mark.parametrize("by", BREAKDOWNS)
def test_the_parts_of_a_breakdown_are_the_whole_to_the_microdollar(by: str) -> None:
    chance = Random(7)
    models = [HAIKU, SONNET, ModelId("claude-old-1")]
    charges = [
        charge(
            str(number),
            cost=chance.randrange(100_000),
            model=chance.choice(models),
            purpose=chance.choice(list(Purpose)),
            rung=chance.choice(list(Rung)),
            day=DAY - timedelta(days=chance.randrange(5)),
        )
        for number in range(200)
    ]
    parts = breakdown(charges, by)

    assert sum(part.cost for part in parts.values()) == spending(charges).cost
    assert sum(part.calls for part in parts.values()) == 200
    order = list(parts) if by == "day" else [-part.cost for part in parts.values()]
    assert order == sorted(order)


def test_statements_hold_every_charge_once_and_sum_to_the_ledger() -> None:
    month, charges = settled("a", "b", "c")
    cycle = CycleId("cycle-1")
    charges = [replace(charges[0], cycle=cycle), replace(charges[1], cycle=cycle), charges[2]]
    found = statements(charges, month, RULES)

    assert list(found) == ["cycle-1", CALL.work]
    assert sum(stated.cost for stated, _ in found.values()) == month.spent == 3 * COST
    assert sorted(one.id for _, calls in found.values() for one in calls) == ["a", "b", "c"]
    assert found["cycle-1"][0].text == "this decision cost $0.0440; month $0.0660 of $150.00"


def test_a_decision_is_found_by_its_cycle_and_by_its_work() -> None:
    of_cycle = charge("a", cycle=CycleId("cycle-1"), work=WorkId("w-1"))
    later = charge("b", cycle=CycleId("cycle-1"), at=FRIDAY + QUARTER)

    assert decision_of(of_cycle) == "cycle-1"
    assert [one.id for one in charges_of([later, of_cycle], "cycle-1")] == ["a", "b"]
    assert [one.id for one in charges_of([later, of_cycle], "w-1")] == ["a"]
    assert charges_of([later], "nothing") == []


# what is left


def test_a_limit_shows_what_is_spent_reserved_and_left() -> None:
    budgets, charges = MemoryBudgets(), MemoryCharges()
    book(budgets, charges, "a")
    budgets.reserve(wanted("b"), Bounds.of(RULES, Envelope.DECISIONS, edge_down=False))
    month = budgets.month(MONTH)
    day = day_left(month, DAY, RULES)

    assert (day.spent, day.reserved, day.limit) == (COST, SONNET_CALL, 5 * DOLLAR)
    assert day.left == 5 * DOLLAR - COST - SONNET_CALL
    assert month_left(month, RULES).left == 150 * DOLLAR - COST - SONNET_CALL
    envelopes = {left.name: left for left in envelopes_left(month, DAY, RULES, edge_down=False)}
    assert envelopes["decisions"].left == 3 * DOLLAR - COST - SONNET_CALL
    assert envelopes["news"].left == DOLLAR


def test_a_grant_raises_the_days_limit_and_not_the_months() -> None:
    budgets = MemoryBudgets()
    budgets.grant(allowance(), RULES)
    month = budgets.month(MONTH)

    assert day_left(month, DAY, RULES).limit == 6 * DOLLAR
    assert month_left(month, RULES).limit == 150 * DOLLAR


def test_the_budget_admits_88_sonnet_and_1768_haiku_calls_a_day() -> None:
    empty = BudgetMonth(month=MONTH)
    found = {one.model: one for one in admitted(STARTING_PRICES, [HAIKU, SONNET], FRIDAY, empty, DAY, RULES)}

    assert (found[SONNET].reservation, found[SONNET].whole_day, found[SONNET].decisions) == (56_560, 88, 53)
    assert (found[HAIKU].reservation, found[HAIKU].whole_day, found[HAIKU].decisions) == (2_828, 1_768, 1_060)
    assert found[SONNET].rest == 88


def test_what_was_reserved_admits_fewer_calls_for_the_rest_of_the_day() -> None:
    month, _ = settled(*"abcdefghij")
    found = admitted(STARTING_PRICES, [SONNET], FRIDAY, month, DAY, RULES)[0]

    assert found.whole_day == 88
    assert found.rest == (5 * DOLLAR - 10 * COST) // 56_560 == 84
    nearly = replace(month, committed=RULES.month - 60_000)
    assert admitted(STARTING_PRICES, [SONNET], FRIDAY, nearly, DAY, RULES)[0].rest == 1


def test_a_closed_day_admits_nothing() -> None:
    budgets = MemoryBudgets()
    budgets.close_day(DAY, "spend limit")
    found = admitted(STARTING_PRICES, [SONNET], FRIDAY, budgets.month(MONTH), DAY, RULES)[0]

    assert (found.rest, found.decisions, found.whole_day) == (0, 0, 88)


def test_a_model_without_a_price_is_named_with_the_reason() -> None:
    found = admitted(STARTING_PRICES, [OPUS], FRIDAY, BudgetMonth(month=MONTH), DAY, RULES)[0]

    assert found.reservation is None
    assert "not confirmed" in found.why_not


# what was saved


def test_a_batch_saves_what_it_costs() -> None:
    usage = Usage(input=6_000, output=1_000, batch=True)

    assert saved([charge(usage=usage, cost=11_000)], STARTING_PRICES).by_batches == 11_000


def test_reading_from_a_cache_saves_and_writing_to_it_costs() -> None:
    reading = charge(usage=Usage(input=1_000, cache_read=5_000, output=100))
    writing = charge(usage=Usage(input=1_000, cache_write=5_000, output=100))

    assert saved([reading], STARTING_PRICES).by_caches == 5_000 * 2 - 500
    assert saved([writing], STARTING_PRICES).by_caches == 5_000 * 2 - 12_500
    assert saved([reading, writing], STARTING_PRICES).by_caches == 9_500 - 2_500


def test_a_cached_batch_is_split_between_both() -> None:
    usage = Usage(input=1_000, cache_read=5_000, output=100, batch=True)
    found = saved([charge(usage=usage)], STARTING_PRICES)

    assert found.by_caches == 9_500
    assert found.by_batches == (2_000 + 500 + 1_000) // 2


def test_a_call_of_a_model_that_lost_its_price_is_counted_and_not_compared() -> None:
    old = charge(model=ModelId("claude-old-1"), usage=Usage(input=10, cache_read=5, output=1))
    found = saved([old, charge("second")], PriceTable(()))

    assert (found.unknown, found.by_caches, found.by_batches) == (1, 0, 0)


# targets


def test_targets_are_held_against_the_dearest_day_the_month_and_the_average_cheap_request() -> None:
    days = {DAY: BudgetDay(spent=4_999_999), DAY - timedelta(days=1): BudgetDay(spent=5)}
    month = BudgetMonth(month=MONTH, spent=30 * DOLLAR, days=days)
    cheap = [charge(str(cost), rung=rung, cost=cost) for rung, cost in ((Rung.EDGE, 0), (Rung.HAIKU, 1_999))]
    found = {one.name: one for one in targets(month, [*cheap, charge()])}

    assert [(one.reached, one.met) for one in found.values()] == [
        (4_999_999, True),
        (4_999_999, True),
        (30 * DOLLAR, True),
        (30 * DOLLAR, False),
        (1_000, False),
    ]
    assert {one.below for one in found.values()} == {10 * DOLLAR, 5 * DOLLAR, 150 * DOLLAR, 30 * DOLLAR, 1_000}


def test_an_empty_month_keeps_every_target() -> None:
    assert all(one.met and one.reached == 0 for one in targets(BudgetMonth(month=MONTH), []))


# whether it agrees


def test_counters_and_records_of_10000_random_calls_agree() -> None:
    chance = Random(5)
    budgets, charges = MemoryBudgets(), MemoryCharges()
    rules = replace(RULES, day=RULES.month)
    at, open_ = datetime(2026, 11, 1, 6, tzinfo=UTC), []
    for number in range(10_000):
        at += timedelta(seconds=chance.randrange(500))
        envelope = chance.choice(list(Envelope))
        held = wanted(str(number), chance.randrange(1, 20_000), at=at, envelope=envelope)
        if not isinstance(budgets.reserve(held, Bounds.of(rules, envelope, edge_down=False)), Denied):
            open_.append(held)
        while open_ and chance.random() < 0.7:
            one = open_.pop(chance.randrange(len(open_)))
            made = charges.put(charged(one, chance.randrange(one.amount + 1), at=at))
            if chance.random() < 0.01:
                continue  # recorded, and its caller went away
            budgets.close(one, made.cost)
        if number % 500 == 0:
            budgets.prune(MONTH, at - QUARTER)
            records = [one for day in days_of(MONTH) for one in charges.of_day(day)]
            assert disagreements(budgets.month(MONTH), records, rules) == []
    records = [one for day in days_of(MONTH) for one in charges.of_day(day)]
    month = budgets.month(MONTH)

    assert disagreements(month, records, rules) == []
    assert spending(one for one in records if one.id not in month.open).cost == month.spent
    assert len(records) > 9_900


def test_one_micro_dollar_too_much_is_named_in_the_month_the_day_and_the_envelope() -> None:
    month, charges = settled("a", "b")
    charges[0] = replace(charges[0], cost=COST - 1)

    assert disagreements(month, charges, RULES) == [
        "month: spent and the charges on record differ by +1 micro-dollars ($0.044000 and $0.043999)",
        "2026-11-20: spent and the charges on record differ by +1 micro-dollars ($0.044000 and $0.043999)",
        "2026-11-20: envelope decisions and its records differ by +1 micro-dollars ($0.044000 and $0.043999)",
    ]


def test_a_charge_that_no_counter_holds_is_named() -> None:
    month, charges = settled("a")

    assert disagreements(month, [*charges, charge("b")], RULES)
    assert disagreements(month, [], RULES)


def test_reservations_that_are_not_those_of_the_counters_are_named() -> None:
    month, charges = settled("a")
    found = disagreements(replace(month, open={wanted("x").id: wanted("x")}), charges, RULES)

    assert "month: reserved and the open reservations" in found[0]


def test_more_than_a_limit_is_named_and_a_grant_raises_it() -> None:
    month, charges = settled(*"abc")
    low = replace(RULES, day=2 * COST)

    assert [line for line in disagreements(month, charges, low) if "of $0.0440" in line]
    granted = replace(month, grants={allowance().id: allowance()})
    assert disagreements(granted, charges, low) == []
    assert disagreements(month, charges, replace(RULES, month=COST)) == [
        "month: $0.0660 is spent or reserved of $0.0220"
    ]


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "0.000000"), (1, "0.000001"), (-1_500_000, "-1.500000"), (150 * DOLLAR, "150.000000")]
)
def test_an_amount_is_written_exactly(amount: int, text: str) -> None:
    assert exactly(amount) == text


@pytest.mark.parametrize(("day", "last"), [(date(2026, 2, 11), 28), (date(2028, 2, 1), 29), (date(2026, 12, 31), 31)])
def test_a_month_has_its_days(day: date, last: int) -> None:
    assert [one.day for one in days_of(day)] == list(range(1, last + 1))


# what the provider counted

THEIRS = Counted(day=DAY, model=SONNET, input=6_000, output=1_000)


def test_the_same_counts_differ_in_nothing() -> None:
    found = compare([charge()], [THEIRS], STARTING_PRICES)

    assert [(one.differs, one.missing) for one in found] == [(False, "")]


def test_a_call_that_we_have_no_record_of_is_missing_with_its_worth() -> None:
    found = compare([], [THEIRS], STARTING_PRICES)

    assert found[0].missing == "6,000 input, 1,000 output tokens more than recorded, worth $0.022000"
    assert found[0].differs


def test_one_token_more_is_missing() -> None:
    found = compare([charge()], [replace(THEIRS, cache_write=1)], STARTING_PRICES)

    assert found[0].missing == "1 cache write tokens more than recorded, worth $0.000003"


def test_calls_booked_at_their_reservation_cover_what_they_may_have_used() -> None:
    lost = charge("lost", usage=None, booked=Booked.AT_MOST, cost=SONNET_CALL)
    covered = compare([lost], [THEIRS], STARTING_PRICES)[0]
    not_covered = compare([lost], [replace(THEIRS, output=6_000)], STARTING_PRICES)[0]

    assert (covered.missing, covered.differs, covered.covering) == ("", True, SONNET_CALL)
    assert not_covered.missing.endswith(f"worth $0.{72_000 - SONNET_CALL:06d}")


def test_a_broken_stream_covers_with_its_reservation_and_not_with_its_half_count_too() -> None:
    broken = charge("x", usage=Usage(input=6_000, output=3), booked=Booked.AT_MOST, cost=SONNET_CALL)

    assert compare([broken], [THEIRS], STARTING_PRICES)[0].missing == ""
    assert compare([broken], [replace(THEIRS, output=4_097 + 400)], STARTING_PRICES)[0].missing


def test_less_than_we_booked_differs_and_misses_nothing() -> None:
    found = compare([charge(), charge("b")], [THEIRS], STARTING_PRICES)[0]

    assert (found.differs, found.missing) == (True, "")


def test_a_model_of_which_no_price_is_known_cannot_be_covered() -> None:
    old = Counted(day=DAY, model=ModelId("claude-old-1"), output=1)
    lost = charge("lost", model=old.model, usage=None, booked=Booked.AT_MOST, cost=SONNET_CALL)

    assert "no price is known" in compare([lost], [old], STARTING_PRICES)[0].missing


def test_money_is_compared_where_the_report_names_money() -> None:
    exact = Counted(day=DAY, model=SONNET, cost=COST)

    assert compare([charge()], [exact], STARTING_PRICES)[0].missing == ""
    more = compare([charge()], [replace(exact, cost=COST + 1)], STARTING_PRICES)[0]
    assert more.missing == "$0.000001 more than recorded"


def test_rows_of_one_day_and_model_are_added_up() -> None:
    halves = [replace(THEIRS, input=2_000, output=500), replace(THEIRS, input=4_000, output=500)]

    assert compare([charge()], halves, STARTING_PRICES)[0].missing == ""


def test_a_call_late_in_new_york_is_the_providers_next_day() -> None:
    late = datetime(2026, 11, 21, 1, 30, tzinfo=UTC)
    made = charge(at=late)
    assert made.day == DAY

    found = compare([made], [replace(THEIRS, day=date(2026, 11, 21))], STARTING_PRICES)
    assert [(one.day.day, one.missing) for one in found] == [(21, "")]


def test_days_that_the_report_does_not_cover_are_left_out() -> None:
    earlier = charge("a", at=FRIDAY - timedelta(days=3))

    assert len(compare([earlier, charge()], [THEIRS], STARTING_PRICES)) == 1
