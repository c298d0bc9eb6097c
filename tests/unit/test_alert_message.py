"""The message that carries an alert."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts.alert_message import (
    LONGEST_LABEL,
    LONGEST_NAME,
    LONGEST_TEXT,
    LONGEST_VALUE,
    MOST_FIELDS,
    AlertMessageV1,
)
from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.errors import InvalidValue

SOLD = Alert(
    kind=AlertKind.STOP_TRIGGERED.value,
    severity=Severity.CRITICAL,
    subject="TSLA",
    at=datetime(2026, 6, 10, 15, 35, tzinfo=UTC),
    text="TSLA fell to 301.25, its stop is 304.00",
    occurrence="hw-3f9a",
    fields=MappingProxyType({"price": "301.25", "stop": "304.00"}),
)

NAMES = st.text(max_size=LONGEST_NAME)
ALERTS = st.builds(
    Alert,
    kind=st.sampled_from([kind.value for kind in AlertKind]) | NAMES,
    severity=st.sampled_from(Severity),
    subject=NAMES,
    at=st.datetimes(timezones=st.just(UTC)),
    text=st.text(max_size=LONGEST_TEXT),
    occurrence=NAMES,
    recovers=st.booleans(),
    fields=st.dictionaries(st.text(max_size=LONGEST_LABEL), st.text(max_size=LONGEST_VALUE), max_size=MOST_FIELDS),
)


def written(alert: Alert) -> str:
    return AlertMessageV1.from_domain(alert).model_dump_json()


def read(body: str) -> Alert:
    return AlertMessageV1.model_validate_json(body).to_domain()


@given(ALERTS)
def test_an_alert_survives_the_wire(alert: Alert) -> None:
    assert read(written(alert)) == alert
    assert read(written(alert)).id == alert.id


def test_the_severity_travels_as_a_word() -> None:
    assert json.loads(written(SOLD))["severity"] == "critical"


def test_a_read_alerts_fields_cannot_be_changed() -> None:
    assert isinstance(read(written(SOLD)).fields, MappingProxyType)


def changed(**changes: object) -> Alert:
    fields = {name: getattr(SOLD, name) for name in SOLD.__slots__}
    return Alert(**fields | changes)


def test_text_that_is_too_long_is_cut_and_the_alert_stays_the_same_alert() -> None:
    long = changed(
        text="é" * 100_000, fields={f"{n}" + "n" * 1000: "v" * 10_000 for n in range(50)}, subject="S" * LONGEST_NAME
    )

    arrived = read(written(long))

    assert arrived.id == long.id
    assert (len(arrived.text), arrived.text[-2:]) == (LONGEST_TEXT, "é…")
    assert len(arrived.fields) == MOST_FIELDS
    assert all(len(name) == LONGEST_LABEL and len(value) == LONGEST_VALUE for name, value in arrived.fields.items())


def test_half_a_character_from_outside_does_not_stop_an_alert() -> None:
    arrived = read(written(changed(text="bad \ud83d text", fields={"\udcc9": "\ud83d"}, subject="\ud83d")))

    assert (arrived.text, dict(arrived.fields), arrived.subject) == ("bad ? text", {"?": "?"}, "?")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 2),
        ("kind", None),
        ("kind", "k" * (LONGEST_NAME + 1)),
        ("severity", 2),
        ("severity", "CRITICAL"),
        ("severity", "mild"),
        ("at", "2026-06-10T15:35:00"),
        ("text", "t" * (LONGEST_TEXT + 1)),
        ("fields", {"price": 301.25}),
        ("fields", {"price": "v" * (LONGEST_VALUE + 1)}),
        ("fields", {str(number): "" for number in range(MOST_FIELDS + 1)}),
        ("unheard_of", "x"),
    ],
)
def test_a_message_that_is_not_ours_is_refused(field: str, value: object) -> None:
    body = json.loads(written(SOLD)) | {field: value}

    with pytest.raises(ValidationError, match=field):
        AlertMessageV1.model_validate_json(json.dumps(body))


@pytest.mark.parametrize("field", ["kind", "severity", "subject", "at", "text", "occurrence"])
def test_a_message_that_lacks_a_part_is_refused(field: str) -> None:
    body = json.loads(written(SOLD))
    del body[field]

    with pytest.raises(ValidationError, match=field):
        AlertMessageV1.model_validate_json(json.dumps(body))


def test_a_time_that_is_not_utc_is_refused() -> None:
    body = json.loads(written(SOLD)) | {"at": "2026-06-10T15:35:00-04:00"}

    with pytest.raises(InvalidValue, match="at"):
        read(json.dumps(body))
