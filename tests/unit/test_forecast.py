"""The forecast's arithmetic, on the month that the annex of the requirements works out."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from hearthwatch.cost.offline import reference
from hearthwatch.cost.plan import ARTICLES_A_DAY, REFERENCE, Choices, decisions, paid_calls
from shared.domain.forecast import (
    RATES,
    Forecast,
    Item,
    Line,
    added,
    at_least_cents,
    aws_lines,
    cents,
    model_line,
    power_line,
)
from shared.domain.model_prices import DEEPSEEK, GEMINI, HAIKU, OPUS, SONNET, STARTING_PRICES, ModelId, Unpriced

D = Decimal


def group_of(name: str) -> str:
    return cents(Forecast(lines=tuple(aws_lines(REFERENCE))).of_group(name))


@pytest.mark.parametrize(("model", "dollars"), [(HAIKU, "0.67"), (SONNET, "13.44"), (OPUS, "26.88")])
def test_420_decisions_cost_what_the_annex_says(model: ModelId, dollars: str) -> None:
    line = model_line(decisions(20, model), STARTING_PRICES)

    assert line.count == 420
    assert cents(line.cost) == dollars
    assert line.after_free == line.cost


@pytest.mark.parametrize(("batch", "dollars"), [(False, "39.00"), (True, "19.50")])
def test_all_news_on_haiku_costs_what_the_annex_says(batch: bool, dollars: str) -> None:
    chosen = Choices(decisions=0, articles=ARTICLES_A_DAY, batch=batch)
    news = [model_line(paid, STARTING_PRICES) for paid in paid_calls(chosen) if paid.calls]

    assert [line.count for line in news] == [300_000]
    assert [cents(line.cost) for line in news] == [dollars]


@pytest.mark.parametrize(("group", "dollars"), [("Lambda", "0.54"), ("DynamoDB", "0.71"), ("CloudWatch", "0.25")])
def test_what_aws_bills_costs_what_the_annex_says(group: str, dollars: str) -> None:
    assert group_of(group) == dollars


def test_the_counts_are_those_of_the_annex() -> None:
    assert REFERENCE[Item.LAMBDA_RUNS] == 111_000
    assert REFERENCE[Item.LAMBDA_ARM] == 39_000
    assert REFERENCE[Item.DYNAMO_WRITES] == 1_040_000
    assert REFERENCE[Item.DYNAMO_READS] == 470_000
    assert REFERENCE[Item.SQS] == 479_000


def test_storage_and_mail_cost_two_cents_each_and_queues_nothing_after_the_free_tier() -> None:
    assert (group_of("S3"), group_of("SES")) == ("0.02", "0.02")
    assert [line.after_free for line in aws_lines(REFERENCE) if line.what == Item.SQS] == [0]


def test_the_edge_uses_about_five_dollars_of_electricity() -> None:
    line = power_line(Choices().watts, Choices().tariff)

    assert line.count == D("29.2")
    assert round(line.cost) == 5


def test_the_whole_month_is_about_twenty_dollars() -> None:
    assert cents(reference().total) == "20.17"
    assert round(reference().total) == 20
    assert cents(reference().total - reference().of_group("models") - reference().of_group("power")) == "1.73"


def test_a_line_is_count_times_price_and_the_free_part_comes_off_the_count() -> None:
    line = Line(group="SQS", what="requests", count=D(1_500_000), price=D("0.40"), per=1_000_000, free=D(1_000_000))

    assert (line.cost, line.after_free) == (D("0.60"), D("0.20"))
    assert replace(line, count=D(10)).after_free == 0


def test_counts_are_added_by_item() -> None:
    assert added({Item.SQS: D(1)}, {Item.SQS: D(2), Item.MAIL: D(3)}) == {Item.SQS: 3, Item.MAIL: 3}


def test_a_total_above_the_cap_and_every_warning_are_failures() -> None:
    forecast = Forecast(lines=(Line(group="x", what="x", count=D(1), price=D("30.01")),), warnings=("a NAT gateway",))

    assert forecast.failures(D("30.01")) == ["a NAT gateway"]
    assert forecast.failures(D(30)) == ["a NAT gateway", "$30.01 a month is more than the cap of $30.00"]


def test_the_cap_is_held_against_list_prices() -> None:
    forecast = Forecast(lines=tuple(aws_lines({Item.ALARMS: D(10)})))

    assert (forecast.total, forecast.total_after_free) == (D(1), D(0))
    assert forecast.failures(D("0.99"))


@pytest.mark.parametrize("model", [DEEPSEEK, GEMINI, ModelId("nobody")])
def test_a_model_without_a_price_has_no_forecast(model: ModelId) -> None:
    with pytest.raises(Unpriced):
        model_line(decisions(20, model), STARTING_PRICES)


def test_every_item_has_a_price() -> None:
    assert RATES.keys() == set(Item)
    assert all(rate.price > 0 for rate in RATES.values())


@pytest.mark.parametrize(
    ("amount", "text"), [("3.000", "3"), ("0.4000", "0.40"), ("0.0000133334", "0.0000133334"), ("1200", "1,200")]
)
def test_a_price_is_written_with_the_digits_it_has(amount: str, text: str) -> None:
    assert at_least_cents(D(amount)) == text
