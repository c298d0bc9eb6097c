"""The text of stored items: exact, the same for the same value, and held by golden samples (faults 33 and 42)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts import stored
from shared.contracts.forms import form_of
from shared.contracts.stored import (
    KILL_SWITCH,
    LEDGER,
    MINUTE,
    POSITION,
    TRADING_STATE,
    WATCHLIST,
    Fields,
    NewerSchema,
    StoredForm,
    Unreadable,
)
from shared.domain.errors import InvalidValue, Stop, TryAgain
from shared.domain.trading_state import KillSwitch, Level, Mode, SwitchMode
from shared.ports.prices import Minute
from tests.conftest import SAMPLES
from tests.unit.builders import NOW, TSLA, holding, judged, ledger_with
from tests.unit.stored_values import SPECIMENS, STRATEGIES

FORMS = sorted(SPECIMENS)
ITEM = "book ledger/PA3ALPHA"


def read(form: StoredForm[Any], body: str, *, schema: int | None = None, version: int = 0) -> Any:
    return form.loads(body, schema=schema or form.schema, version=version, item=ITEM)


def version_of(value: object) -> int:
    return int(getattr(value, "version", 0))


def golden(form: StoredForm[Any], schema: int) -> str:
    return (SAMPLES / "stored" / f"{form.name}.{schema}.json").read_text(encoding="utf-8").strip()


def test_every_form_has_a_specimen() -> None:
    forms = {value.name for value in vars(stored).values() if isinstance(value, StoredForm)}

    assert forms == set(FORMS)


@pytest.mark.parametrize("name", FORMS)
def test_specimen_has_the_golden_text(name: str) -> None:
    form, value = SPECIMENS[name]

    assert form.dumps(value) == golden(form, form.schema)


@pytest.mark.parametrize("name", FORMS)
def test_golden_text_reads_as_the_specimen(name: str) -> None:
    form, value = SPECIMENS[name]

    assert read(form, golden(form, form.schema), version=version_of(value)) == value


@pytest.mark.parametrize("name", FORMS)
def test_golden_text_of_the_schema_before_reads_still(name: str) -> None:
    form, _ = SPECIMENS[name]
    before = SAMPLES / "stored" / f"{form.name}.{form.schema - 1}.json"

    assert before.exists() == (form.schema > 1)
    if form.schema > 1:
        read(form, golden(form, form.schema - 1), schema=form.schema - 1)


@pytest.mark.parametrize("name", FORMS)
@given(data=st.data())
def test_any_value_reads_back_the_same_digit_for_digit(name: str, data: st.DataObject) -> None:
    form, _ = SPECIMENS[name]
    value = data.draw(STRATEGIES[name])

    body = form.dumps(value)
    back = read(form, body, version=version_of(value))

    assert back == value
    assert form.dumps(back) == body
    assert body.isascii()


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_keeps_its_sign_its_zeros_and_its_exponent(number: Decimal) -> None:
    form = form_of(Decimal)

    assert form.read(json.loads(json.dumps(form.write(number)))).as_tuple() == number.as_tuple()


def test_times_come_back_in_the_one_utc() -> None:
    minute = read(MINUTE, golden(MINUTE, 1))

    assert minute.at.tzinfo is UTC


def test_mappings_come_back_read_only() -> None:
    ledger = read(LEDGER, golden(LEDGER, 2))

    assert isinstance(ledger.open, MappingProxyType)
    assert isinstance(ledger.entries_sent, MappingProxyType)


def test_version_is_the_items_own_and_not_in_the_body() -> None:
    assert "version" not in json.loads(LEDGER.dumps(replace(ledger_with(), version=4)))
    assert read(LEDGER, LEDGER.dumps(ledger_with()), version=9).version == 9


def test_what_is_derived_is_not_stored() -> None:
    assert "stop_price" not in json.loads(POSITION.dumps(holding()))
    assert read(POSITION, POSITION.dumps(holding())).stop_price == holding().stop_price


def test_ranks_are_stored_by_name() -> None:
    body = json.loads(golden(TRADING_STATE, 1))

    assert (body["mode"], body["level"]) == (Mode.HALTED.name, Level.HALTED.name)


@pytest.mark.parametrize("bad", [1.5, 1, "1.5", Decimal("NaN"), Decimal("-Infinity"), None, True])
def test_what_is_no_finite_decimal_is_not_written(bad: Any) -> None:
    facts = replace(SPECIMENS["broker_facts"][1], cash=bad)

    with pytest.raises(InvalidValue, match="cash: expected a finite decimal number"):
        stored.BROKER_FACTS.dumps(facts)


@pytest.mark.parametrize(
    "bad", [NOW.replace(tzinfo=None), NOW.astimezone(timezone(timedelta(hours=1))), date(2026, 3, 4), "now"]
)
def test_what_is_no_utc_time_is_not_written(bad: Any) -> None:
    with pytest.raises(InvalidValue, match="quiet_until: expected an aware UTC time"):
        LEDGER.dumps(replace(ledger_with(), quiet_until=bad))


@pytest.mark.parametrize("bad", ["1.5", '"7"', "true", "1e3", "99999999999999999999999999"])
def test_span_of_time_is_whole_microseconds(bad: str) -> None:
    body = golden(stored.CHARGE, 1).replace('"latency":1000007', f'"latency":{bad}')

    assert read(stored.CHARGE, golden(stored.CHARGE, 1)).latency == timedelta(seconds=1, microseconds=7)
    with pytest.raises(Unreadable, match=r"latency: expected (a )?whole"):
        read(stored.CHARGE, body)


@pytest.mark.parametrize("kind", [float, object, list[str], dict[str, str], str | int, tuple[str, int], complex])
def test_types_without_an_exact_text_have_no_form(kind: Any) -> None:
    with pytest.raises(InvalidValue, match=r"a type that has an exact text|one type"):
        form_of(kind)


@pytest.mark.parametrize(
    "bad", ["184.82", "null", "true", '"NaN"', '"Infinity"', '"12,5"', '" 1"', '"1_0"', '"1e5"', '""', "[]"]
)
def test_number_that_is_not_exact_text_is_refused(bad: str) -> None:
    body = POSITION.dumps(holding()).replace('"184.82"', bad)

    with pytest.raises(Unreadable, match="average_entry_price: expected"):
        read(POSITION, body)


@pytest.mark.parametrize(
    "bad", ['"2026-03-04T15:30:00"', '"2026-03-04T15:30:00+01:00"', '"yesterday"', '"20260304T153000Z"', "1772638200"]
)
def test_time_that_is_not_utc_is_refused(bad: str) -> None:
    body = MINUTE.dumps(SPECIMENS["minute"][1]).replace('"2026-03-04T15:30:00Z"', bad, 1)

    with pytest.raises(Unreadable, match="at: expected an aware UTC time as text"):
        read(MINUTE, body)


@pytest.mark.parametrize("bad", ['"AAPL"', '["TSLA","AAPL"]', '["AAPL","AAPL","TSLA"]', "null", "[1]"])
def test_set_in_another_order_or_form_is_refused(bad: str) -> None:
    body = golden(stored.BROKER_FACTS, 2).replace('["AAPL","TSLA"]', bad)

    with pytest.raises(Unreadable, match=r"frozen(\.0)?: expected"):
        read(stored.BROKER_FACTS, body)


def test_field_more_or_less_is_refused() -> None:
    for fields in ({**_switch(), "surprise": 1}, {name: _switch()[name] for name in ("mode", "why", "at")}):
        with pytest.raises(Unreadable, match=r"expected the fields \['at', 'by', 'mode', 'why'\]"):
            read(KILL_SWITCH, json.dumps(fields))


def test_value_that_the_domain_refuses_is_unreadable() -> None:
    body = POSITION.dumps(holding()).replace('"quantity":"10"', '"quantity":"-10"')

    with pytest.raises(Unreadable, match="quantity: expected a decimal number above zero") as caught:
        read(POSITION, body)
    assert "-10" not in str(caught.value)


def test_unreadable_item_is_named_with_the_place_in_it_and_counts_as_one_that_cannot_be_had() -> None:
    body = LEDGER.dumps(SPECIMENS["ledger"][1]).replace('"price":"184.8150"', '"price":184.8150')

    with pytest.raises(Unreadable, match=rf"{ITEM}: not a stored ledger: open\.hw-\w+\.evidence\.price: ") as caught:
        read(LEDGER, body)
    assert isinstance(caught.value, TryAgain)


@given(st.text())
def test_any_other_text_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable, match=ITEM):
        read(LEDGER, text)


def test_deeply_nested_text_is_unreadable() -> None:
    with pytest.raises(Unreadable, match=ITEM):
        read(LEDGER, "[" * 100_000)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


@pytest.mark.parametrize("name", FORMS)
@given(data=st.data())
def test_damaged_body_reads_or_is_unreadable_and_never_anything_else(name: str, data: st.DataObject) -> None:
    form, _ = SPECIMENS[name]
    plain = json.loads(golden(form, form.schema))
    place: Any = plain
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(JUNK)

    try:
        value = read(form, json.dumps(plain))
    except Unreadable:
        return
    assert json.loads(form.dumps(value)) == plain


# schemas


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A stored thing that got a second field with its second schema."""

    text: str
    author: str
    version: int = 0


def with_author(fields: Fields) -> Fields:
    return {**fields, "author": "unknown"}


NOTE = StoredForm[Note]("note", Note, schema=2, upgrade=with_author)


def test_schema_before_is_carried_over() -> None:
    note = read(NOTE, '{"text":"sold"}', schema=1, version=3)

    assert note == Note(text="sold", author="unknown", version=3)
    assert NOTE.dumps(note) == '{"text":"sold","author":"unknown"}'


def test_newer_schema_stops_and_names_item_and_both_numbers() -> None:
    with pytest.raises(
        NewerSchema, match=f"^{ITEM}: its schema is 3, this version of the program knows up to 2: deploy the newest$"
    ) as caught:
        read(NOTE, "whatever it is", schema=3)

    assert isinstance(caught.value, Stop)
    assert (caught.value.item, caught.value.found, caught.value.known) == (ITEM, 3, 2)


def test_schema_two_before_is_unreadable_until_it_is_upgraded() -> None:
    with pytest.raises(Unreadable, match="found 0: upgrade the stored items"):
        NOTE.loads('{"text":"sold"}', schema=0, version=1, item=ITEM)


def test_first_schema_has_none_before_it() -> None:
    with pytest.raises(Unreadable, match="found 0"):
        WATCHLIST.loads("[]", schema=0, version=1, item=ITEM)


def test_a_ledger_from_before_broker_stops_has_none_and_keeps_all_else() -> None:
    ledger = read(LEDGER, golden(LEDGER, 1), schema=1)
    intents = [*ledger.open.values(), *ledger.finished.values()]

    assert len(intents) == 3
    assert not any(one.confirmed or one.withdrawn or one.rests for one in intents)
    assert [tried.refused for tried in ledger.generations.values()] == [False]
    assert intents[0] == read(stored.INTENT, golden(stored.INTENT, 1), schema=1)


def test_broker_facts_from_before_know_of_no_transfer_no_mismatch_and_no_doubt() -> None:
    before, now = read(stored.BROKER_FACTS, golden(stored.BROKER_FACTS, 1), schema=1), SPECIMENS["broker_facts"][1]

    assert before == replace(now, transfers=(), mismatches=0, doubted={}, version=0)


@pytest.mark.parametrize("body", ["[]", "{}", "null", "1"])
def test_damaged_broker_facts_from_before_are_unreadable(body: str) -> None:
    with pytest.raises(Unreadable):
        read(stored.BROKER_FACTS, body, schema=1)


@pytest.mark.parametrize("body", ["[]", "{}", '{"open":[],"finished":{},"generations":{}}', "null"])
def test_a_damaged_ledger_from_before_broker_stops_is_unreadable(body: str) -> None:
    with pytest.raises(Unreadable):
        read(LEDGER, body, schema=1)


@pytest.mark.parametrize(("engaged", "mode"), [(True, SwitchMode.KILL), (False, SwitchMode.OFF)])
def test_kill_switch_without_a_mode_stopped_entries_or_nothing(engaged: bool, mode: SwitchMode) -> None:
    body = json.dumps({"engaged": engaged, "by": "ada", "why": "x"})
    assert read(KILL_SWITCH, body, schema=1) == KillSwitch(mode=mode, by="ada", why="x")


def test_program_that_knows_no_modes_refuses_a_kill_switch_that_has_one() -> None:
    older = StoredForm[KillSwitch]("kill_switch", KillSwitch, schema=KILL_SWITCH.schema - 1)
    with pytest.raises(NewerSchema):
        read(older, KILL_SWITCH.dumps(KillSwitch(mode=SwitchMode.FREEZE)), schema=KILL_SWITCH.schema)


@pytest.mark.parametrize("body", ["[]", "{}", '{"engaged":"yes","by":"","why":""}', '{"engaged":true,"by":""}'])
def test_damaged_kill_switch_without_a_mode_is_unreadable(body: str) -> None:
    with pytest.raises(Unreadable):
        read(KILL_SWITCH, body, schema=1)


def test_minute_of_another_type_is_not_written() -> None:
    with pytest.raises(InvalidValue, match=r"quotes\.TSLA: expected a JudgedQuote"):
        MINUTE.dumps(Minute(NOW, {TSLA: tuple(judged())}))  # type: ignore[dict-item]


def _switch() -> Fields:
    return {"mode": "kill", "by": "ada", "why": "", "at": None}
