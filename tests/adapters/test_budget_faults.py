"""The budget's item under faults: answers lost, refused and broken, two versions of the program, a full item."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from runpy import run_path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.retries.standard import ExponentialBackoff

from shared.adapters.aws import budget_item
from shared.adapters.aws.budget import (
    DynamoBudgets,
    DynamoCharges,
    DynamoChoices,
    DynamoKnownAnswers,
    DynamoWorkCharges,
)
from shared.adapters.aws.budget_item import (
    LONGEST_ID,
    MOST_WEIGHT,
    closed_name,
    closed_text,
    held_name,
    held_start,
    weight_of,
)
from shared.adapters.aws.clients import TRIES, Aws
from shared.adapters.aws.table import ITEM_LIMIT, Table
from shared.contracts.stored import GRANT, RESERVATION, NewerSchema, Unreadable
from shared.domain.budget import BudgetMonth, DecisionId, GrantId, No
from shared.domain.calls import WorkId
from shared.domain.errors import InvalidValue, Throttled, TryAgain, Unavailable
from shared.domain.model_prices import DOLLAR
from shared.domain.providers import Switches
from shared.ports.budget import KnownAnswer
from tests.fakes.aws import local_session, make_table
from tests.fakes.aws_proxy import (
    AwsProxy,
    Step,
    fail,
    hold_answer,
    lose_answer,
    lose_answer_then,
    pass_on,
    reset,
    reset_in_body,
    throttle,
)
from tests.fakes.far_tables import Tables
from tests.fakes.racing import race
from tests.unit.budgets import (
    CALL,
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

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LOST = [lose_answer, reset_in_body]
WORK = WorkId("article 7")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat without the pause that the client makes."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.001)


def weight(tables: Tables) -> int:
    """What the item says that its ids weigh, once that is what they do."""
    (item,) = tables.raw()
    texts = {name: text(value) for name, value in item.items() if name.startswith(("r_", "t_"))}
    found = sum(weight_of(name, value) for name, value in texts.items())
    assert item["weight"] == {"N": str(found)}
    return found


def text(attribute: object) -> str:
    assert isinstance(attribute, dict)
    return str(attribute["S"])


ClientOf = Callable[[float], "DynamoDBClient"]


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    return local_session()


@pytest.fixture
def client_of(session: boto3.Session, aws: Aws, proxy: AwsProxy) -> ClientOf:
    """Make a client of some patience in seconds; a fresh one, because a client that failed often repeats no more."""

    def make(patience: float) -> DynamoDBClient:
        config = aws.dynamodb.meta.config.merge(Config(read_timeout=patience))
        return session.client("dynamodb", config=config, endpoint_url=proxy.url)

    return make


@pytest.fixture
def tables(aws: Aws, proxy: AwsProxy, client_of: ClientOf) -> Iterator[Tables]:
    name = make_table(aws, f"table-{uuid4().hex}")
    proxy.play()
    yield Tables(proxy, Table(client_of(30), name), Table(aws.dynamodb, name), aws)
    aws.dynamodb.delete_table(TableName=name)


# lost answers


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("grant", [None, "grant-1"])
def test_reservation_whose_answer_is_lost_is_known_to_be_ours_and_counts_once(
    tables: Tables, lost: Step, grant: str | None
) -> None:
    DynamoBudgets(tables.near).grant(allowance(), RULES)
    read = [pass_on] if grant else []
    tables.proxy.play(*read, lost, lost)

    month = admitted(DynamoBudgets(tables.far).reserve(wanted(grant=grant), bounds()))

    assert tables.proxy.arrived[-3:] == ["UpdateItem"] * 3
    assert (month.committed, month.day(DAY).calls, list(month.open)) == (SONNET_CALL, 1, ["first"])
    assert DynamoBudgets(tables.near).month(MONTH) == month
    weight(tables)


@pytest.mark.parametrize("grant", [None, "grant-1"])
def test_reservation_is_known_to_be_ours_when_others_wrote_over_it_before_the_repeat(
    tables: Tables, grant: str | None
) -> None:
    near = DynamoBudgets(tables.near)
    near.grant(allowance(), RULES)
    read = [pass_on] if grant else []
    tables.proxy.play(*read, lose_answer_then(lambda: near.reserve(wanted("other"), bounds())))

    month = admitted(DynamoBudgets(tables.far).reserve(wanted(grant=grant), bounds()))

    assert (month.committed, set(month.open)) == (2 * SONNET_CALL, {"first", "other"})


def test_same_reservation_by_another_caller_is_not_taken_for_ours(tables: Tables) -> None:
    near = DynamoBudgets(tables.near)
    near.reserve(wanted(), bounds())
    tables.proxy.play(lose_answer)

    assert refused(DynamoBudgets(tables.far).reserve(wanted(), bounds())).why is No.USED_ID
    assert near.month(MONTH).committed == SONNET_CALL


def test_reservation_that_was_closed_before_the_repeat_is_unknown_instead_of_made_again(tables: Tables) -> None:
    near = DynamoBudgets(tables.near)
    tables.proxy.play(lose_answer_then(lambda: near.close(wanted(), SONNET_CALL)))

    with pytest.raises(Unavailable, match="whether first was reserved by this call is unknown"):
        DynamoBudgets(tables.far).reserve(wanted(), bounds())
    assert (near.month(MONTH).committed, near.month(MONTH).open) == (SONNET_CALL, {})


def test_when_every_answer_is_lost_the_reservation_stands_and_the_caller_learns_of_an_error(tables: Tables) -> None:
    tables.proxy.play(*[lose_answer] * TRIES)

    with pytest.raises(Unavailable):
        DynamoBudgets(tables.far).reserve(wanted(), bounds())

    assert list(DynamoBudgets(tables.near).month(MONTH).open) == ["first"]
    assert refused(DynamoBudgets(tables.far).reserve(wanted(), bounds())).why is No.USED_ID
    assert DynamoBudgets(tables.near).month(MONTH).committed == SONNET_CALL


def test_reservation_whose_answer_is_held_back_happens_once(tables: Tables, client_of: ClientOf) -> None:
    tables.proxy.play(*[hold_answer] * TRIES)

    with pytest.raises(Unavailable, match=r"UpdateItem: no usable answer from AWS \(ReadTimeoutError\)"):
        DynamoBudgets(Table(client_of(0.1), tables.far.name)).reserve(wanted(), bounds())

    assert DynamoBudgets(tables.near).month(MONTH).committed == SONNET_CALL


@pytest.mark.parametrize("lost", LOST)
def test_closing_whose_answer_is_lost_counts_once(tables: Tables, lost: Step) -> None:
    near = DynamoBudgets(tables.near)
    near.reserve(wanted(), bounds())
    tables.proxy.play(lost, lost)

    month = DynamoBudgets(tables.far).close(wanted(), 7)

    assert (month.spent, month.committed, month.open) == (7, 7, {})
    weight(tables)


def test_closing_counts_once_when_others_wrote_over_it_before_the_repeat(tables: Tables) -> None:
    near = DynamoBudgets(tables.near)
    near.reserve(wanted(), bounds())
    tables.proxy.play(lose_answer_then(lambda: near.reserve(wanted("other", 5), bounds())))

    month = DynamoBudgets(tables.far).close(wanted(), 7)

    assert (month.spent, month.committed, set(month.open)) == (7, 12, {"other"})


@pytest.mark.parametrize("lost", LOST)
def test_grant_whose_answer_is_lost_is_given_once(tables: Tables, lost: Step) -> None:
    tables.proxy.play(lost, lost)

    month = admitted(DynamoBudgets(tables.far).grant(allowance(), RULES))

    assert month.granted(DAY) == DOLLAR
    assert DynamoBudgets(tables.near).month(MONTH) == month


def test_forgetting_whose_answer_is_lost_keeps_the_weight_exact(tables: Tables) -> None:
    near = DynamoBudgets(tables.near)
    for number in range(5):
        near.reserve(wanted(f"{number}", at=FRIDAY + number * MOMENT), bounds())
        near.close(wanted(f"{number}", at=FRIDAY + number * MOMENT), 1)
    tables.proxy.play(pass_on, lose_answer_then(lambda: near.prune(MONTH, FRIDAY + 2 * MOMENT)))

    DynamoBudgets(tables.far).prune(MONTH, FRIDAY + MOMENT)

    assert set(near.month(MONTH).closed) == {"3", "4"}
    assert weight(tables) > 0


def test_forgetting_that_was_interrupted_is_finished_by_the_next(tables: Tables) -> None:
    near = DynamoBudgets(tables.near)
    for number in range(100):
        near.reserve(wanted(f"{number}", 1), bounds())
        near.close(wanted(f"{number}", 1), 1)
    tables.proxy.play(pass_on, pass_on, *[reset] * TRIES)

    with pytest.raises(Unavailable):
        DynamoBudgets(tables.far).prune(MONTH, FRIDAY)
    assert (near.month(MONTH).floor, len(near.month(MONTH).closed)) == (FRIDAY, 20)

    near.prune(MONTH, FRIDAY)
    assert near.month(MONTH).closed == {}
    assert weight(tables) == 0


def test_lost_claim_counts_once_and_one_with_another_on_top_at_most_twice(tables: Tables) -> None:
    near, far = DynamoWorkCharges(tables.near), DynamoWorkCharges(tables.far)
    tables.proxy.play(lose_answer)
    assert far.claim(WORK, 9, FRIDAY) == 1
    assert near.claim(WORK, 9, FRIDAY) == 2

    tables.proxy.play(lose_answer_then(lambda: near.claim(WORK, 9, FRIDAY)))
    far.claim(WORK, 9, FRIDAY)

    count = near.claim(WORK, 9, FRIDAY)
    assert count in (5, 6)


def test_lost_return_never_takes_the_claim_of_another(tables: Tables) -> None:
    near, far = DynamoWorkCharges(tables.near), DynamoWorkCharges(tables.far)
    assert far.claim(WORK, 9, FRIDAY) == 1
    tables.proxy.play(pass_on, lose_answer_then(lambda: near.claim(WORK, 9, FRIDAY)))

    far.give_back(WORK, 1)

    assert near.claim(WORK, 9, FRIDAY) == 2


@pytest.mark.parametrize("lost", LOST)
def test_charge_whose_answer_is_lost_is_the_record(tables: Tables, lost: Step) -> None:
    tables.proxy.play(lost)
    charge = charged(wanted(), 7)

    assert DynamoCharges(tables.far).put(charge) == charge
    assert DynamoCharges(tables.near).put(charged(wanted(), 8)) == charge


# refusals of the table


ACTS: dict[str, Callable[[Table], object]] = {
    "reserve": lambda table: DynamoBudgets(table).reserve(wanted(), bounds()),
    "close": lambda table: DynamoBudgets(table).close(wanted(), 7),
    "grant": lambda table: DynamoBudgets(table).grant(allowance(), RULES),
    "close day": lambda table: DynamoBudgets(table).close_day(DAY, "why"),
    "warned": lambda table: DynamoBudgets(table).warned(DAY, "$2"),
    "prune": lambda table: DynamoBudgets(table).prune(MONTH, FRIDAY),
    "month": lambda table: DynamoBudgets(table).month(MONTH),
    "charge": lambda table: DynamoCharges(table).put(charged(wanted(), 7)),
    "charges": lambda table: DynamoCharges(table).of_day(DAY),
    "claim": lambda table: DynamoWorkCharges(table).claim(WORK, 3, FRIDAY),
    "give back": lambda table: DynamoWorkCharges(table).give_back(WORK, 1),
    "answer": lambda table: DynamoKnownAnswers(table).get("key", FRIDAY),
    "catalogue": lambda table: DynamoChoices(table).catalogue(),
}


@pytest.mark.parametrize("what", sorted(ACTS))
@pytest.mark.parametrize("trouble", [throttle, fail, reset])
def test_table_that_cannot_be_had_says_so_and_nothing_is_written(tables: Tables, what: str, trouble: Step) -> None:
    tables.proxy.play(*[trouble] * TRIES)

    with pytest.raises(Throttled if trouble is throttle else Unavailable):
        ACTS[what](tables.far)
    assert tables.raw() == []


@pytest.mark.parametrize("what", sorted(set(ACTS) - {"charge", "charges", "claim", "give back", "answer", "catalogue"}))
def test_month_of_a_newer_schema_is_neither_read_nor_written(tables: Tables, what: str) -> None:
    DynamoBudgets(tables.near).reserve(wanted("other"), bounds())
    tables.rewrite(schema={"N": "9"})
    newer = tables.raw()

    with pytest.raises(NewerSchema, match="budget/2026-11: its schema is 9"):
        ACTS[what](tables.near)
    assert tables.raw() == newer


def test_reservation_of_a_newer_schema_in_the_item_is_not_read(tables: Tables) -> None:
    DynamoBudgets(tables.near).reserve(wanted(), bounds())
    (item,) = tables.raw()
    tables.rewrite(**{held_name(wanted().id): {"S": "9" + text(item[held_name(wanted().id)])[1:]}})

    with pytest.raises(NewerSchema):
        DynamoBudgets(tables.near).month(MONTH)


@pytest.mark.parametrize("form", [RESERVATION, GRANT])
def test_schema_of_the_item_rises_with_that_of_its_texts(form: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "schema", form.schema + 1)
    assert run_path(budget_item.__file__)["SCHEMA"] == budget_item.SCHEMA + 1


def test_reservation_of_another_text_and_the_same_value_is_closed_as_it_stands(tables: Tables) -> None:
    near = DynamoBudgets(tables.near)
    near.reserve(wanted(), bounds())
    (item,) = tables.raw()
    name = held_name(wanted().id)
    schema, _, rest = text(item[name]).partition("|")
    body, _, token = rest.rpartition("|")
    other = f"{schema}|{json.dumps(json.loads(body))}|{token}"
    tables.rewrite(**{name: {"S": other}, "weight": {"N": str(weight_of(name, other))}})

    assert near.close(wanted(), 7).spent == 7
    weight(tables)


@pytest.mark.parametrize("what", ["charge", "claim", "give back", "charges", "answer", "catalogue"])
def test_item_of_a_newer_schema_is_refused(tables: Tables, what: str) -> None:
    DynamoCharges(tables.near).put(charged(wanted(), 7))
    DynamoWorkCharges(tables.near).claim(WORK, 1, FRIDAY)
    DynamoKnownAnswers(tables.near).put("key", KnownAnswer("{}", FRIDAY + QUARTER))
    DynamoChoices(tables.near).switch(Switches(providers={"edge": True}))
    tables.rewrite(schema={"N": "9"}, body={"S": "{}"})

    with pytest.raises((NewerSchema, Unreadable), match="its schema is 9"):
        ACTS[what](tables.near)


@pytest.mark.parametrize(
    "broken",
    [
        {"committed": {"S": "?"}},
        {"committed": None},
        {"committed": {"N": "1"}},
        {"committed": {"BOOL": True}},
        {"spent": {"N": "1"}},
        {"d20_committed": {"N": "7"}},
        {"d20_calls": {"S": "1"}},
        {"d20_decisions": {"S": "one"}},
        {"d20_decisions": {"SS": ["one"]}},
        {"d20_closed": {"N": "1"}},
        {"d31_spent": {"N": "0"}},
        {"d20_e_lunch": {"N": "0"}},
        {"d20_granted": {"N": "0"}},
        {"d20_grants": {"N": "2"}},
        {"floor": {"S": "now"}},
        {"schema": {"S": "1"}},
        {held_name(wanted().id): None},
        {held_name(wanted().id): {"S": "1|{}|token"}},
        {held_name(wanted().id): {"S": "nothing"}},
        {closed_name(wanted().id): {"S": "1|first"}},
        {closed_name(wanted().id): {"N": "1"}},
    ],
)
def test_month_whose_parts_are_broken_or_do_not_add_up_is_not_read_and_reserves_nothing(
    tables: Tables, broken: dict[str, Mapping[str, object] | None]
) -> None:
    budgets = DynamoBudgets(tables.near)
    budgets.grant(allowance(), RULES)
    budgets.reserve(wanted(decision="one"), bounds())
    tables.rewrite(**broken)

    with pytest.raises(Unreadable, match=f"^{tables.near.name} budget/2026-11: "):
        budgets.month(MONTH)
    with pytest.raises(TryAgain):
        budgets.reserve(wanted("next"), bounds())


def test_stored_switches_that_fit_no_more_are_unreadable(tables: Tables) -> None:
    DynamoChoices(tables.near).switch(Switches(providers={"edge": True}))
    tables.rewrite(body={"S": '{"providers":{"gone":true},"rungs":{},"tasks":{}}'})

    with pytest.raises(Unreadable, match=r"controls/models: provider: 'gone' is not usable"):
        DynamoChoices(tables.near).catalogue()


def test_claims_that_cannot_be_read_are_no_claim(tables: Tables) -> None:
    DynamoWorkCharges(tables.near).claim(WORK, 3, FRIDAY)
    tables.rewrite(count={"S": "1"})

    with pytest.raises(Unreadable, match=r"work#article 7/work: count is missing"):
        DynamoWorkCharges(tables.near).give_back(WORK, 1)
    with pytest.raises(Unavailable):
        DynamoWorkCharges(tables.near).claim(WORK, 3, FRIDAY)


# size


def test_full_item_reserves_nothing_more_and_still_closes_and_forgets(tables: Tables) -> None:
    budgets = DynamoBudgets(tables.near)
    budgets.reserve(wanted(), bounds())
    nearly = MOST_WEIGHT - weight(tables) // 2
    tables.rewrite(weight={"N": str(nearly)})

    with pytest.raises(Unavailable, match=rf"{nearly} bytes of open and remembered calls, at most {MOST_WEIGHT}"):
        budgets.reserve(wanted("next", 1), bounds())

    assert budgets.close(wanted(), 7).spent == 7
    budgets.prune(MONTH, FRIDAY)
    assert budgets.month(MONTH).closed == {}
    assert isinstance(budgets.reserve(wanted("next", 1, at=FRIDAY + MOMENT), bounds()), BudgetMonth)


def test_reservation_too_big_for_any_item_is_refused_at_once(tables: Tables) -> None:
    big = replace(wanted(), call=replace(CALL, work=WorkId("x" * MOST_WEIGHT)))

    with pytest.raises(Unavailable, match="0 bytes of open and remembered calls"):
        DynamoBudgets(tables.near).reserve(big, bounds())
    assert tables.raw() == []


def test_weight_counts_what_is_open_and_remembered(tables: Tables) -> None:
    budgets = DynamoBudgets(tables.near)
    budgets.reserve(wanted(), bounds())
    open_weight = weight(tables)
    budgets.reserve(wanted("\ud800", grant=None), bounds())
    budgets.close(wanted(), 7)

    assert weight(tables) > open_weight
    assert open_weight == len(held_name(wanted().id)) + len(held_start(wanted())) + 32
    budgets.close(wanted("\ud800"), 7)
    assert weight(tables) == sum(
        weight_of(closed_name(held.id), closed_text(held)) for held in (wanted(), wanted("\ud800"))
    )


@pytest.mark.parametrize("act", ["decision", "grant", "level"])
def test_name_that_is_kept_for_a_month_must_not_be_long(tables: Tables, act: str) -> None:
    budgets = DynamoBudgets(tables.near)
    acts: dict[str, Callable[[], object]] = {
        "decision": lambda: budgets.reserve(replace(wanted(), decision=DecisionId("x" * 300)), bounds()),
        "grant": lambda: budgets.grant(replace(allowance(), id=GrantId("x" * 300)), RULES),
        "level": lambda: budgets.warned(DAY, "x" * 300),
    }

    with pytest.raises(InvalidValue, match="at most 128 bytes"):
        acts[act]()


def test_worst_month_fits_into_an_item() -> None:
    """Every day with four grants and twenty decisions of the longest names, and all the ids that it may hold."""
    day = 20 * LONGEST_ID + 4 * (34 + LONGEST_ID + 200) + 1_000

    assert MOST_WEIGHT + 31 * day < ITEM_LIMIT


# what is sent


def test_ordinary_reservation_and_its_closing_are_one_request_each_even_when_refused(tables: Tables) -> None:
    tables.proxy.play()
    far = DynamoBudgets(tables.far)

    far.reserve(wanted(decision="one"), bounds())
    far.reserve(wanted("next"), bounds(day=0))
    far.close(wanted(decision="one"), 7)
    far.close(wanted(decision="one"), 7)

    assert tables.proxy.arrived == ["UpdateItem"] * 4


def test_every_expression_is_shorter_than_the_table_takes(tables: Tables) -> None:
    near = DynamoBudgets(tables.near)
    for number in range(81):
        near.reserve(wanted(f"{number}", 1), bounds())
        near.close(wanted(f"{number}", 1), 1)
    near.grant(allowance(), RULES)
    tables.proxy.play()
    far = DynamoBudgets(tables.far)

    far.reserve(wanted("a", decision="one", at=FRIDAY + MOMENT), bounds())
    far.reserve(wanted("b", grant="grant-1", at=FRIDAY + MOMENT), bounds())
    far.prune(MONTH, FRIDAY)

    sent = [json.loads(body) for body in tables.proxy.bodies]
    lengths = [len(one.get(kind, "")) for one in sent for kind in ("UpdateExpression", "ConditionExpression")]
    assert 2_500 < max(lengths) < 4_096
    for one in sent:
        expressions = one.get("UpdateExpression", "") + one.get("ConditionExpression", "")
        for name in [*one.get("ExpressionAttributeNames", {}), *one.get("ExpressionAttributeValues", {})]:
            assert name in expressions


def test_parallel_writers_behind_the_wire_never_lose_to_each_other(tables: Tables) -> None:
    tables.proxy.play()
    far = DynamoBudgets(tables.far)

    def act(writer: int) -> None:
        for number in range(8):
            held = wanted(f"{writer}.{number}", 10)
            admitted(far.reserve(held, bounds()))
            far.close(held, 3)

    race(act, writers=4)

    assert tables.proxy.arrived == ["UpdateItem"] * 64
    assert DynamoBudgets(tables.near).month(MONTH).spent == 96
