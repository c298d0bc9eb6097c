"""Prices of models: each date and length of the starting table, what has none, and that no call exceeds its bound."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.domain.errors import InvalidValue
from shared.domain.model_prices import (
    DEEPSEEK,
    DOLLAR,
    GEMINI,
    HAIKU,
    OPUS,
    SONNET,
    STARTING_PRICES,
    ModelId,
    PriceRow,
    PriceTable,
    Unpriced,
    Usage,
    admitted_calls,
    in_dollars,
)
from shared.domain.providers import SHIPPED

FRIDAY = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
OCTOBER_7 = datetime(2026, 10, 7, tzinfo=UTC)
SEPTEMBER_28 = datetime(2026, 9, 28, tzinfo=UTC)
MOMENT = timedelta(microseconds=1)
MILLION = 1_000_000
MODEL = ModelId("a-model")


def cost(model: ModelId, at: datetime = FRIDAY, usage: Usage | None = None) -> int:
    return STARTING_PRICES.charge(model, at, usage or Usage())


def tokens_of(kind: str, count: int, rest: Usage | None = None) -> Usage:
    """So many tokens of one kind, beside what else a call used."""
    changed: dict[str, Any] = {kind: count}
    return replace(rest or Usage(), **changed)


def worst(
    table: PriceTable, model: ModelId, prompt: int, answer: int, *, caches: bool = False, until: datetime = FRIDAY
) -> int:
    return table.worst_case(model, FRIDAY, until, input_tokens=prompt, output_tokens=answer, caches=caches)


def row(since: datetime | None = SEPTEMBER_28, **other: object) -> PriceRow:
    prices = {"input": Decimal(1), "output": Decimal(5), "cache_read": Decimal("0.1"), "cache_write": Decimal("1.25")}
    return PriceRow(model=MODEL, since=since, **{**prices, **other})  # type: ignore[arg-type]


# the starting table


@pytest.mark.parametrize(
    ("kind", "dollars"), [("input", "2"), ("output", "10"), ("cache_read", "0.10"), ("cache_write", "2.50")]
)
def test_sonnet_costs_what_the_annex_says(kind: str, dollars: str) -> None:
    assert cost(SONNET, usage=tokens_of(kind, MILLION)) == Decimal(dollars) * DOLLAR


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(input=100_000), 10_000),
        (Usage(input=100_001), 50_001),
        (Usage(cache_read=100_000), 1_000),
        (Usage(cache_read=100_001), 5_001),
        (Usage(cache_write=100_000), 12_500),
        (Usage(cache_write=100_001), 62_501),
        (Usage(input=99_999, cache_read=1, output=100_000), 60_000),
        (Usage(input=99_999, cache_read=2, output=100_000), 300_000),
    ],
)
def test_haiku_costs_five_times_as_much_for_prompts_above_a_hundred_thousand(usage: Usage, expected: int) -> None:
    assert cost(HAIKU, usage=usage) == expected


@pytest.mark.parametrize("kind", ["input", "cache_read", "cache_write"])
def test_every_kind_of_prompt_token_counts_for_the_length(kind: str) -> None:
    short, long = (cost(HAIKU, usage=tokens_of(kind, count, Usage(output=1_000))) for count in (100_000, 100_001))

    assert 4 * short < long


def test_answer_does_not_count_for_the_length_of_the_prompt() -> None:
    assert cost(HAIKU, usage=Usage(input=100_000, output=MILLION)) == 10_000 + 500_000


def test_sonnet_reads_its_cache_at_half_the_price_from_the_seventh_of_october_on() -> None:
    assert cost(SONNET, OCTOBER_7 - MOMENT, Usage(cache_read=MILLION)) == 200_000
    assert cost(SONNET, OCTOBER_7, Usage(cache_read=MILLION)) == 100_000
    assert (
        cost(SONNET, SEPTEMBER_28, Usage(input=MILLION)) == cost(SONNET, OCTOBER_7, Usage(input=MILLION)) == 2 * DOLLAR
    )


@pytest.mark.parametrize(
    ("model", "at", "why"),
    [
        (SONNET, SEPTEMBER_28 - MOMENT, "its price begins on 2026-09-28"),
        (HAIKU, OCTOBER_7 - MOMENT, "its price begins on 2026-10-07"),
        (OPUS, FRIDAY, "its price is not confirmed yet"),
        (DEEPSEEK, FRIDAY, "its price is not confirmed yet"),
        (GEMINI, FRIDAY, "its price is not confirmed yet"),
        (ModelId("gpt-9"), FRIDAY, "no price is known for it"),
    ],
)
def test_model_without_a_row_of_that_instant_is_refused_and_named(model: ModelId, at: datetime, why: str) -> None:
    with pytest.raises(Unpriced, match=f"^{model}: {why}$"):
        STARTING_PRICES.charge(model, at, Usage(input=1))
    with pytest.raises(Unpriced, match=f"^{model}: {why}$"):
        STARTING_PRICES.worst_case(model, at, at, input_tokens=1, output_tokens=1, caches=False)
    assert STARTING_PRICES.unusable([model], at) == {model: f"{model}: {why}"}


def test_models_that_serve_as_shipped_can_all_be_asked_but_the_dearest() -> None:
    assert set(STARTING_PRICES.unusable(SHIPPED.paid(), FRIDAY)) == {OPUS}
    assert STARTING_PRICES.unusable([HAIKU, SONNET], FRIDAY) == {}


def test_table_is_named_by_its_newest_date() -> None:
    assert STARTING_PRICES.version.startswith("2026-10-07 ")
    dearer = PriceTable((*STARTING_PRICES.rows[:-1], replace(STARTING_PRICES.rows[-1], input=Decimal("0.01"))))
    assert dearer.version.startswith("2026-10-07 ")
    assert dearer.version != STARTING_PRICES.version
    assert PriceTable(()).version == "empty"


# cells without a price


@pytest.mark.parametrize("price", [None, Decimal(0), Decimal(-1), Decimal("NaN"), Decimal("Infinity")])
@pytest.mark.parametrize("kind", ["input", "output"])
def test_price_that_is_no_price_refuses_the_model_and_names_the_cell(kind: str, price: Decimal | None) -> None:
    changed: dict[str, Any] = {kind: price}
    table = PriceTable((replace(row(), **changed),))
    why = f"a-model: the row from 2026-09-28 has no price for {kind}"

    with pytest.raises(Unpriced, match=why):
        worst(table, MODEL, 1, 1)
    with pytest.raises(Unpriced, match=why):
        table.charge(MODEL, FRIDAY, tokens_of(kind, 1))
    assert table.unusable([MODEL], FRIDAY) == {MODEL: why}


def test_cache_without_a_price_is_only_missed_where_it_is_used() -> None:
    table = PriceTable((row(cache_write=None, cache_read=None),))

    assert worst(table, MODEL, 10, 1) == 18
    assert table.charge(MODEL, FRIDAY, Usage(input=1)) == 1
    with pytest.raises(Unpriced, match="no price for cache write"):
        worst(table, MODEL, 10, 1, caches=True)
    with pytest.raises(Unpriced, match="no price for cache read"):
        table.charge(MODEL, FRIDAY, Usage(cache_read=1))


def test_row_holds_from_its_first_instant_until_just_before_its_last() -> None:
    table = PriceTable((row(FRIDAY, until=FRIDAY + timedelta(hours=1)),))

    assert table.charge(MODEL, FRIDAY, Usage(input=1)) == 1
    assert table.charge(MODEL, FRIDAY + timedelta(hours=1) - MOMENT, Usage(input=1)) == 1
    with pytest.raises(Unpriced, match="its price begins on 2026-11-20"):
        table.charge(MODEL, FRIDAY - MOMENT, Usage(input=1))
    with pytest.raises(Unpriced, match="its price expired on 2026-11-20"):
        table.charge(MODEL, FRIDAY + timedelta(hours=1), Usage(input=1))


def test_prompt_longer_than_every_row_is_refused() -> None:
    table = PriceTable((row(longest_prompt=100),))

    with pytest.raises(Unpriced, match="a-model: no price for a prompt of 132 tokens"):
        worst(table, MODEL, 101, 1)
    with pytest.raises(Unpriced, match="no price for a prompt of 101 tokens"):
        table.charge(MODEL, FRIDAY, Usage(input=101))
    assert table.charge(MODEL, FRIDAY, Usage(input=100)) == 100


def test_of_two_rows_for_one_instant_the_later_one_counts() -> None:
    table = PriceTable((row(OCTOBER_7, input=Decimal(3)), row()))

    assert table.charge(MODEL, FRIDAY, Usage(input=1)) == 3
    assert table.charge(MODEL, OCTOBER_7 - MOMENT, Usage(input=1)) == 1


@pytest.mark.parametrize("wrong", [{"until": SEPTEMBER_28}, {"longest_prompt": 0}, {"since": datetime(2026, 1, 1)}])  # noqa: DTZ001
def test_row_that_could_never_hold_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidValue, match="price of a-model"):
        row(**wrong)  # type: ignore[arg-type]


# sums


def test_charges_round_up_once_for_the_whole_call() -> None:
    assert cost(HAIKU, usage=Usage(input=1)) == 1
    assert cost(HAIKU, usage=Usage(input=10, output=2)) == 2
    assert cost(HAIKU, usage=Usage(input=11, output=2)) == 3
    assert cost(HAIKU) == 0


def test_batch_costs_half_and_one_country_a_tenth_more() -> None:
    usage = Usage(input=MILLION, output=MILLION)

    assert STARTING_PRICES.charge(SONNET, FRIDAY, replace(usage, batch=True)) == 6 * DOLLAR
    assert STARTING_PRICES.charge(SONNET, FRIDAY, replace(usage, in_one_country=True)) == 13_200_000
    assert STARTING_PRICES.charge(SONNET, FRIDAY, replace(usage, batch=True, in_one_country=True)) == 6_600_000


@pytest.mark.parametrize("kind", ["input", "output", "cache_read", "cache_write"])
@pytest.mark.parametrize("bad", [-1, 1.0, True, None])
def test_tokens_are_counted_in_whole_numbers(kind: str, bad: object) -> None:
    with pytest.raises(InvalidValue, match=f"usage.{kind}"):
        Usage(**{kind: bad})  # type: ignore[arg-type]


def test_calls_of_the_annex_are_held_at_its_figures() -> None:
    sonnet = worst(STARTING_PRICES, SONNET, 6_000, 4_096)
    haiku = worst(STARTING_PRICES, HAIKU, 6_000, 4_096)

    assert (sonnet, haiku) == (56_560, 2_828)
    assert (admitted_calls(sonnet, 5 * DOLLAR), admitted_calls(haiku, 5 * DOLLAR)) == (88, 1_768)
    assert in_dollars(20 * sonnet) == "1.13"


def test_decisions_of_a_month_cost_what_the_annex_says() -> None:
    usage = Usage(input=6_000, output=2_000)

    assert 420 * STARTING_PRICES.charge(SONNET, FRIDAY, usage) == 13_440_000
    assert 420 * STARTING_PRICES.charge(HAIKU, FRIDAY, usage) == 672_000
    assert in_dollars(672_000) == "0.67"


def test_call_that_caches_is_held_at_the_price_of_writing() -> None:
    assert worst(STARTING_PRICES, SONNET, 6_000, 0, caches=True) == 19_500
    assert worst(STARTING_PRICES, SONNET, 6_000, 0) == 15_600


def test_call_across_a_price_change_is_held_at_the_dearer_price_either_way() -> None:
    for before, after in ((1, 4), (4, 1)):
        table = PriceTable(
            (row(until=FRIDAY + MOMENT, input=Decimal(before)), row(FRIDAY + MOMENT, input=Decimal(after)))
        )
        assert worst(table, MODEL, 100, 0, until=FRIDAY + MOMENT) == 520
        assert worst(table, MODEL, 100, 0) == 130 * before


def test_call_that_may_end_where_no_price_is_known_is_refused() -> None:
    ends = FRIDAY + timedelta(minutes=1)
    table = PriceTable((row(until=ends), row(ends + MOMENT)))

    assert worst(table, MODEL, 1, 1, until=ends - MOMENT) > 0
    with pytest.raises(Unpriced, match="expired"):
        worst(table, MODEL, 1, 1, until=ends)
    with pytest.raises(Unpriced, match="expired"):
        worst(table, MODEL, 1, 1, until=ends + timedelta(hours=1))


def test_margin_may_lift_a_prompt_into_the_dearer_length() -> None:
    assert worst(STARTING_PRICES, HAIKU, 76_923, 0) == 10_000
    assert worst(STARTING_PRICES, HAIKU, 76_924, 0) == 50_001


def test_longer_row_counts_once_the_shorter_one_has_ended() -> None:
    table = PriceTable((row(longest_prompt=1_000, until=FRIDAY), row(input=Decimal(7), output=Decimal(9))))

    assert worst(table, MODEL, 10, 1) == 13 * 7 + 9
    earlier = table.worst_case(MODEL, FRIDAY - MOMENT, FRIDAY, input_tokens=10, output_tokens=1, caches=False)
    assert earlier == 13 * 7 + 9


def test_longest_answer_is_the_most_that_fits() -> None:
    def longest(left: int) -> int:
        return STARTING_PRICES.longest_answer(SONNET, FRIDAY, FRIDAY, input_tokens=6_000, caches=False, left=left)

    assert longest(56_560) == 4_096
    assert longest(56_559) == 4_095
    assert longest(15_600) == 0
    assert longest(15_599) < 0


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        (0, "0.00"),
        (1, "0.000001"),
        (99, "0.000099"),
        (100, "0.0001"),
        (2_100, "0.0021"),
        (100_000, "0.10"),
        (1_380_000, "1.38"),
        (1_234_567_890, "1,234.57"),
    ],
)
def test_amounts_are_written_in_dollars(amount: int, written: str) -> None:
    assert in_dollars(amount) == written


# properties

prices = st.decimals(Decimal("0.001"), Decimal(80), places=3)
hours = st.integers(-48, 48)


@st.composite
def tables(draw: st.DrawFn) -> PriceTable:
    """A table of one model in which any of rows, dates and lengths may overlap or leave gaps."""
    rows = []
    for _ in range(draw(st.integers(1, 5))):
        since = draw(hours)
        until = draw(st.none() | st.integers(since + 1, since + 60))
        price, reading = draw(prices), draw(st.decimals(Decimal("0.01"), Decimal(1), places=2))
        rows.append(
            PriceRow(
                model=MODEL,
                since=FRIDAY + timedelta(hours=since),
                until=None if until is None else FRIDAY + timedelta(hours=until),
                longest_prompt=draw(st.none() | st.sampled_from([50, 100, 200])),
                input=price,
                output=draw(prices),
                cache_read=price * reading,
                cache_write=price * draw(st.sampled_from([Decimal(1), Decimal("1.25"), Decimal(2)])),
            )
        )
    return PriceTable(tuple(rows))


@given(
    table=tables(),
    times=st.tuples(hours, hours, hours).map(sorted),
    bound=st.integers(0, 250),
    most_output=st.integers(0, 200),
    caches=st.booleans(),
    data=st.data(),
)
def test_no_call_within_its_bounds_costs_more_than_was_held(
    table: PriceTable, times: list[int], bound: int, most_output: int, caches: bool, data: st.DataObject
) -> None:
    """Reading from a cache is never dearer than reading anew, as with every provider."""
    first, at, last = (FRIDAY + timedelta(hours=hour) for hour in times)
    try:
        held = table.worst_case(MODEL, first, last, input_tokens=bound, output_tokens=most_output, caches=caches)
    except Unpriced:
        assume(False)
        raise
    most = bound * 13 // 10
    written = data.draw(st.integers(0, most)) if caches else 0
    read = data.draw(st.integers(0, most - written))
    usage = Usage(
        input=data.draw(st.integers(0, most - written - read)),
        output=data.draw(st.integers(0, most_output)),
        cache_read=read,
        cache_write=written,
        batch=data.draw(st.booleans()),
    )

    assert table.charge(MODEL, at, usage) <= held


@given(
    left=st.integers(0, 10**6),
    prompt=st.integers(0, 90_000),
    model=st.sampled_from([SONNET, HAIKU]),
    caches=st.booleans(),
)
def test_longest_answer_fits_and_is_at_most_two_tokens_short_of_the_most(
    left: int, prompt: int, model: ModelId, caches: bool
) -> None:
    def bound(tokens: int) -> int:
        return worst(STARTING_PRICES, model, prompt, tokens, caches=caches)

    tokens = STARTING_PRICES.longest_answer(model, FRIDAY, FRIDAY, input_tokens=prompt, caches=caches, left=left)

    if tokens >= 1:
        assert bound(tokens) <= left
    assert bound(max(tokens, 0) + 3) > left
