"""The words of every alert, held against `tests/samples/messages`; `python -m tests.unit.test_messages` writes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.intents import Evidence, Intent, IntentState, Reason
from shared.domain.messages import FIELDS_LIMIT, NAME_LIMIT, TEMPLATES, TEXT_LIMIT, VALUE_LIMIT, render, template_of
from shared.domain.stage import Stage
from shared.domain.text import width
from shared.domain.trade_fields import UNKNOWN, TradeField, trade_fields
from tests.conftest import PROJECT, SAMPLES
from tests.unit.builders import LOT, NOW, SECOND, intent

FOLDER = SAMPLES / "messages"
TRADES = [kind for kind in AlertKind if TEMPLATES[kind].is_trade]
PROMISED = {
    "Symbol", "Order", "Price", "Age of the price", "Feed", "Opinion", "Confidence", "Gate", "Cost of the decision",
    "Order id",
}  # fmt: skip
"""What ALR-06 promises on every trade alert, beside the stage."""


def exit_of_tsla() -> Intent:
    text = "TSLA: 147.81 is at or below the stop loss 147.86 (entry 184.82)"
    evidence = Evidence(text=text, price=Decimal("147.81"), price_at=NOW - 12 * SECOND, feed="iex")
    return replace(intent("10", "147.81", reason=Reason.STOP_LOSS, origin=LOT), evidence=evidence)


def alert(kind: str, *, severity: Severity = Severity.WARNING, text: str = "", **changes: object) -> Alert:
    """An alert as the use cases raise it: one about a trade carries the trade's fields."""
    told = Alert(
        kind=kind,
        severity=severity,
        subject="TSLA",
        at=NOW,
        text=text or f"TSLA: what there is to say about {kind.replace('_', ' ')}",
        occurrence="once",
        fields=trade_fields(exit_of_tsla(), NOW) if template_of(kind).is_trade else {},
    )
    return replace(told, **changes)  # type: ignore[arg-type]


def longest(kind: str) -> Alert:
    """An alert in which everything is longer than there is room for."""
    fields = {f"{name} {number}": f"value {number} " * 200 for number in range(40) for name in ("of", "more")}
    told = alert(kind, severity=Severity.CRITICAL, text="a long line of text. " * 500, subject="subject " * 100)
    return replace(told, fields=dict.fromkeys(told.fields, "v" * 5000) | fields)


def goldens() -> Iterator[tuple[str, str]]:
    """Render one message per template, and one of every other sort there is."""
    for kind in AlertKind:
        yield f"{kind.value}.txt", render(alert(kind), stage=Stage.PAPER, suppressed=0).plain
    over = alert(
        AlertKind.SYMBOL_BLIND, severity=Severity.INFO, text="TSLA: priced again (499 suppressed)", recovers=True
    )
    yield "recovery.txt", render(over, stage=Stage.PAPER, suppressed=499).plain
    yield "repeats.txt", render(alert(AlertKind.SYSTEM_ERROR), stage=Stage.PAPER, suppressed=3).plain
    live = alert(AlertKind.STOP_TRIGGERED, severity=Severity.CRITICAL)
    yield "live.txt", render(live, stage=Stage.LIVE_1, suppressed=0).plain
    bare = alert(AlertKind.ORDER_FILLED, fields={})
    yield "trade_without_fields.txt", render(bare, stage=Stage.PAPER, suppressed=0).plain
    no_order = alert(AlertKind.EXIT_BLOCKED, fields={}, subject="check_risk")
    yield "exit_blocked_without_order.txt", render(no_order, stage=Stage.PAPER, suppressed=0).plain
    yield "unknown_kind.txt", render(alert("nobody_listed_this"), stage=Stage.PAPER, suppressed=0).plain
    for kind in (AlertKind.STOP_TRIGGERED, AlertKind.SYSTEM_ERROR):
        yield f"longest_{kind.value}.txt", render(longest(kind), stage=Stage.FULL, suppressed=10**9).plain


GOLDENS = dict(goldens())


@pytest.mark.parametrize("name", GOLDENS)
def test_a_message_reads_as_its_sample(name: str) -> None:
    assert GOLDENS[name] == (FOLDER / name).read_text(encoding="utf-8")


def test_there_is_no_sample_of_a_message_that_is_gone() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(GOLDENS)


def test_every_kind_has_words_of_its_own_and_says_what_to_do() -> None:
    assert set(TEMPLATES) == set(AlertKind)
    assert len({template.title for template in TEMPLATES.values()}) == len(AlertKind)
    assert all(template.what_to_do.endswith(".") for template in TEMPLATES.values())


def test_every_kind_is_explained_in_the_operations_page() -> None:
    page = (PROJECT / "docs" / "operations.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`([a-z_]+)`", "\n".join(re.findall(r"^\| (.*?) \|", page, re.M))))
    assert {kind.value for kind in AlertKind} - explained <= {"daily_summary"}


@pytest.mark.parametrize("kind", TRADES)
@pytest.mark.parametrize(
    ("stage", "word"), [(Stage.PAPER, "[PAPER]"), (Stage.LIVE_1, "[LIVE]"), (Stage.FULL, "[LIVE]")]
)
def test_a_trade_alert_shows_everything_it_was_decided_on(kind: AlertKind, stage: Stage, word: str) -> None:
    message = render(alert(kind), stage=stage, suppressed=0)
    assert PROMISED == {field.value for field in TradeField} == {shown.name for shown in message.fields}
    assert UNKNOWN not in {shown.value for shown in message.fields}
    assert message.headline.startswith(word)
    assert "TSLA" in message.headline


@pytest.mark.parametrize("missing", list(TradeField))
def test_a_field_that_is_missing_is_shown_as_unknown_and_the_message_still_tells(missing: TradeField) -> None:
    whole = alert(AlertKind.ORDER_FILLED)
    fields = {name: value for name, value in whole.fields.items() if name != missing.value}
    message = render(replace(whole, fields=fields), stage=Stage.PAPER, suppressed=0)
    assert {shown.name for shown in message.fields if shown.value == UNKNOWN} == {missing.value}


def test_fields_have_their_order_however_they_come() -> None:
    whole = alert(AlertKind.ORDER_FILLED)
    turned = replace(whole, fields=MappingProxyType(dict(reversed(list(whole.fields.items())))))
    assert render(turned, stage=Stage.PAPER, suppressed=0) == render(whole, stage=Stage.PAPER, suppressed=0)


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        (timedelta(seconds=59, milliseconds=999), "59 s"),
        (timedelta(seconds=61), "1 min 1 s"),
        (timedelta(hours=3, seconds=5), "3 h 0 min 5 s"),
        (timedelta(days=2), "48 h 0 min 0 s"),
        (timedelta(seconds=-4), "0 s"),
        (None, UNKNOWN),
    ],
)
def test_the_age_of_a_price_is_counted_to_the_alert(age: timedelta | None, shown: str) -> None:
    one = exit_of_tsla()
    dated = replace(one, evidence=replace(one.evidence, price_at=None if age is None else NOW - age))
    assert trade_fields(dated, NOW)["Age of the price"] == shown


def test_a_degraded_price_says_why() -> None:
    one = exit_of_tsla()
    doubted = replace(one, evidence=replace(one.evidence, feed="yahoo", doubts=("backup_price", "missing"), price=None))
    fields = trade_fields(doubted, NOW)
    assert (fields["Feed"], fields["Price"], fields["Age of the price"]) == (
        "yahoo, in doubt: backup_price, missing", UNKNOWN, UNKNOWN,
    )  # fmt: skip


def test_an_entry_shows_the_gates_verdicts_and_an_opinion_without_confidence_says_so() -> None:
    one = intent(reason=Reason.ENTRY)
    gated = replace(one, evidence=replace(one.evidence, gate=("limit of 5% of equity per symbol", "passed again")))
    assert trade_fields(gated, NOW)["Gate"] == "limit of 5% of equity per symbol; passed again"
    assert trade_fields(one, NOW)["Gate"] == UNKNOWN
    assert trade_fields(one, NOW)["Confidence"] == UNKNOWN
    assert trade_fields(intent(reason=Reason.DIP_BUY), NOW)["Confidence"] == "10 of 10 (rule)"


def test_a_field_says_what_was_sent_whatever_became_of_it() -> None:
    filled = replace(exit_of_tsla(), state=IntentState.FILLED, filled_quantity=Decimal(10))
    assert trade_fields(filled, NOW)["Order"] == "sell 10, market"
    assert trade_fields(filled, NOW)["Order id"] == filled.id


ANY = st.text(max_size=60)


@given(
    kind=ANY | st.sampled_from(list(AlertKind)), subject=ANY, text=st.text(max_size=3000),
    fields=st.dictionaries(ANY, st.text(max_size=600), max_size=30), recovers=st.booleans(),
    suppressed=st.integers(min_value=0, max_value=10**9),
)  # fmt: skip
def test_whatever_comes_every_part_is_bounded_and_none_is_empty(
    kind: str, subject: str, text: str, fields: dict[str, str], recovers: bool, suppressed: int
) -> None:
    told = alert(kind, subject=subject, text=text or " ", fields=fields, recovers=recovers)
    message = render(told, stage=Stage.PAPER, suppressed=suppressed)
    assert 0 < width(message.headline) <= 256
    assert "\n" not in message.headline
    assert width(message.text) <= TEXT_LIMIT
    assert all(line.strip() for line in message.lines)
    assert len(message.fields) <= FIELDS_LIMIT
    assert all(0 < width(name) <= NAME_LIMIT and 0 < width(value) <= VALUE_LIMIT for name, value in message.fields)
    assert str(suppressed) in message.plain or not suppressed


def main(folder: Path = FOLDER) -> None:
    """Write the samples."""
    folder.mkdir(exist_ok=True)
    for name, text in GOLDENS.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
