"""The limits and prices that an owner sets, and what is refused of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from shared.contracts.model_prices import MOST_ROWS, priced, read_price_rows
from shared.domain.budget import BudgetRules
from shared.domain.errors import InvalidValue
from shared.domain.model_prices import (
    DEEPSEEK,
    DOLLAR,
    HAIKU,
    OPUS,
    SONNET,
    STARTING_PRICES,
    ModelId,
    PriceTable,
    Unpriced,
    Usage,
)
from shared.settings import BudgetSettings, SettingsError

NOVEMBER = datetime(2026, 11, 20, 15, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 8, tzinfo=UTC)
OPUS_ROW = {"model": OPUS, "since": "2026-11-01", "input": "4", "output": "20", "cache_read": "0.20"}
MILLION = 1_000_000


def settings(**given: str) -> BudgetSettings:
    return BudgetSettings.read({f"HEARTHWATCH_{name.upper()}": text for name, text in given.items()})


def table(*rows: dict[str, Any]) -> PriceTable:
    return settings(model_prices=json.dumps(rows)).prices()


def test_the_limits_are_the_requirements_own_unless_set() -> None:
    assert settings().rules() == BudgetRules()
    assert settings().prices() == STARTING_PRICES


@pytest.mark.parametrize(
    ("day", "month", "micro"),
    [
        ("4.50", "120", (4_500_000, 120_000_000)),
        ("0.01", "0.07", (10_000, 70_000)),
        ("10", "300.00", (10**7, 3 * 10**8)),
    ],
)
def test_dollars_become_micro_dollars_to_the_cent(day: str, month: str, micro: tuple[int, int]) -> None:
    rules = settings(budget_day=day, budget_month=month).rules()
    assert (rules.day, rules.month) == micro


@pytest.mark.parametrize(
    "text", ["10.01", "11", "-1", "1e0", "4.505", ".5", "5.", "NaN", "Infinity", "1_0", "$5", "\u0665"]
)
def test_an_amount_that_is_none_stops_the_start_and_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="HEARTHWATCH_BUDGET_DAY is not usable"):
        settings(budget_day=text)


def test_a_month_with_a_digit_too_many_is_refused() -> None:
    with pytest.raises(SettingsError, match="HEARTHWATCH_BUDGET_MONTH is not usable"):
        settings(budget_month="1500")


@pytest.mark.parametrize(
    ("day", "grants"), [("0", 0), ("0.01", 4), ("5", 4), ("5.99", 4), ("6", 3), ("8.99", 1), ("9", 0), ("10", 0)]
)
def test_people_allow_no_more_than_a_day_below_ten_dollars_holds(day: str, grants: int) -> None:
    rules = settings(budget_day=day).rules()
    assert rules.grants_a_day == grants
    assert rules.day + grants * rules.grant < 10 * DOLLAR or grants == 0


def test_a_row_confirms_what_was_shipped_without_a_date() -> None:
    with pytest.raises(Unpriced, match="not confirmed"):
        STARTING_PRICES.charge(OPUS, NOVEMBER, Usage(input=1))
    assert table(OPUS_ROW).charge(OPUS, NOVEMBER, Usage(input=MILLION)) == 4 * DOLLAR
    with pytest.raises(Unpriced, match="begins on 2026-11-01"):
        table(OPUS_ROW).charge(OPUS, OCTOBER, Usage(input=1))


def test_a_row_of_a_date_leaves_no_cheaper_length_of_the_past_standing() -> None:
    flat = {"model": HAIKU, "since": "2026-11-20", "input": "1", "output": "5"}
    found = table(flat)

    assert found.charge(HAIKU, NOVEMBER, Usage(input=1_000)) == 1_000
    assert found.charge(HAIKU, OCTOBER, Usage(input=1_000)) == 100
    with pytest.raises(Unpriced, match="no price for cache read"):
        found.charge(HAIKU, NOVEMBER, Usage(cache_read=1))


def test_a_row_older_than_the_shipped_one_takes_its_place() -> None:
    found = table({"model": SONNET, "since": "2026-10-01", "input": "3", "output": "15"})

    assert found.charge(SONNET, NOVEMBER, Usage(input=1_000)) == 3_000
    assert found.charge(SONNET, datetime(2026, 9, 30, tzinfo=UTC), Usage(input=1_000)) == 2_000


def test_the_later_of_two_rows_of_one_date_counts() -> None:
    found = table({**OPUS_ROW, "input": "9"}, OPUS_ROW)
    assert found.charge(OPUS, NOVEMBER, Usage(input=MILLION)) == 4 * DOLLAR


def test_rows_of_several_lengths_and_dates_stand_as_they_are_given() -> None:
    short = {**OPUS_ROW, "longest_prompt": "1000"}
    dear = {**OPUS_ROW, "input": "8"}
    later = {**OPUS_ROW, "since": "2026-12-01", "until": "2027-01-01", "input": "5"}
    found = table(short, dear, later)
    december = datetime(2026, 12, 1, tzinfo=UTC)

    assert found.charge(OPUS, NOVEMBER, Usage(input=1_000)) == 4_000
    assert found.charge(OPUS, NOVEMBER, Usage(input=1_001)) == 8_008
    assert found.charge(OPUS, december, Usage(input=1_000)) == 5_000
    with pytest.raises(Unpriced, match="expired on 2027-01-01"):
        found.charge(OPUS, datetime(2027, 1, 1, tzinfo=UTC), Usage(input=1))


def test_a_new_model_gets_a_price_and_the_others_keep_theirs() -> None:
    rows = read_price_rows(json.dumps([{"model": "new-1:8b", "since": "2026-01-01", "input": "0.1", "output": "1"}]))
    found = priced(STARTING_PRICES, rows)

    assert found.charge(ModelId("new-1:8b"), NOVEMBER, Usage(output=10)) == 10
    assert [row for row in found.rows if row.model != "new-1:8b"] == list(STARTING_PRICES.rows)
    assert found.unusable([DEEPSEEK], NOVEMBER) == {DEEPSEEK: f"{DEEPSEEK}: its price is not confirmed yet"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nonsense", "a JSON list of rows"),
        ("{}", "a JSON list of at most"),
        (json.dumps([OPUS_ROW] * (MOST_ROWS + 1)), "at most 50 rows"),
        ("[1]", "row 1: '1'"),
        (json.dumps([OPUS_ROW, {**OPUS_ROW, "prompt": "1"}]), "row 2: 'prompt' is not usable, expected fields among"),
        (json.dumps([OPUS_ROW, {**OPUS_ROW, "output": None}]), "row 2: output"),
        (json.dumps([{k: v for k, v in OPUS_ROW.items() if k != "since"}]), "row 1: since"),
        (json.dumps([{**OPUS_ROW, "input": 4}]), "row 1: input: '4' is not usable"),
        (json.dumps([{**OPUS_ROW, "input": "0.00"}]), "row 1: input: '0.00' is not usable, expected more than zero"),
        (json.dumps([{**OPUS_ROW, "input": "-1"}]), "row 1: input"),
        (json.dumps([{**OPUS_ROW, "input": "1e-3"}]), "row 1: input"),
        (json.dumps([{**OPUS_ROW, "longest_prompt": "0"}]), "row 1: longest_prompt"),
        (json.dumps([{**OPUS_ROW, "since": "2026-13-01"}]), "row 1: since: '2026-13-01'"),
        (json.dumps([{**OPUS_ROW, "since": "November"}]), "row 1: since"),
        (json.dumps([{**OPUS_ROW, "until": "2026-11-01"}]), "row 1: price of claude-opus-5-5: until"),
        (json.dumps([{**OPUS_ROW, "model": "a b"}]), "row 1: model"),
        ('[{"model": "a", "model": "b"}]', "each field once"),
        ("[" * 100_000, "a JSON list of rows"),
    ],
)
def test_rows_that_cannot_be_read_are_named_by_row_and_field(text: str, said: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        read_price_rows(text)
    assert said in str(refused.value)
    with pytest.raises(SettingsError, match="HEARTHWATCH_MODEL_PRICES is not usable"):
        settings(model_prices=text)


def test_a_price_is_read_digit_by_digit() -> None:
    (row,) = read_price_rows(json.dumps([{**OPUS_ROW, "input": "0.100000"}]))
    assert row.input == Decimal("0.1")
    assert row.since == datetime(2026, 11, 1, tzinfo=UTC)
