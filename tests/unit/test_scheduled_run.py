"""What schedules and the doorbell send."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts.doorbell_ring import DoorbellRingV1
from shared.contracts.scheduled_run import ScheduledRunV1
from shared.domain.errors import InvalidValue

EVENT = {
    "version": 1,
    "scheduled_at": "2026-06-10T15:35:00Z",
    "schedule": "arn:aws:scheduler:us-east-1:123456789012:schedule/hearthwatch/CheckRiskMinute",
    "execution_id": "d32c5ec6-2b5f-4b4b-9f0a-1a2b3c4d5e6f",
    "attempt": "1",
}


def test_a_run_is_read_with_its_attempt_as_a_number() -> None:
    run = ScheduledRunV1.read(EVENT)

    assert (run.tick.id, run.attempt) == ("2026-06-10T15:35:00Z", 1)


@pytest.mark.parametrize(
    "scheduled_at",
    ["2026-06-10T15:35:00Z", "2026-06-10T15:35:43Z", "2026-06-10T15:35:59.999999Z", "2026-06-10T11:35:20-04:00"],
)
def test_the_tick_is_the_scheduled_minute(scheduled_at: str) -> None:
    tick = ScheduledRunV1.read(EVENT | {"scheduled_at": scheduled_at}).tick

    assert tick.scheduled == datetime(2026, 6, 10, 15, 35, tzinfo=UTC)


YEARS = timedelta(days=365 * 70)


@given(st.timedeltas(timedelta(0), YEARS), st.integers(-12, 14))
def test_every_scheduled_time_has_a_tick_less_than_a_minute_before(since: timedelta, hours: int) -> None:
    scheduled = (datetime(2020, 1, 1, tzinfo=UTC) + since).astimezone(timezone(timedelta(hours=hours)))

    tick = ScheduledRunV1.read(EVENT | {"scheduled_at": scheduled.isoformat()}).tick

    assert timedelta(0) <= scheduled - tick.scheduled < timedelta(minutes=1)


def test_two_deliveries_of_a_run_are_one_tick() -> None:
    assert ScheduledRunV1.read(EVENT).tick == ScheduledRunV1.read(EVENT | {"attempt": "4"}).tick


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 2),
        ("version", "1"),
        ("scheduled_at", "<aws.scheduler.scheduled-time>"),
        ("scheduled_at", "2026-06-10T15:35:00"),
        ("scheduled_at", 1781105700),
        ("scheduled_at", None),
        ("schedule", ""),
        ("schedule", "s" * 301),
        ("execution_id", 5),
        ("attempt", "<aws.scheduler.attempt-number>"),
        ("attempt", 1),
        ("attempt", "-1"),
        ("attempt", ""),
        ("detail", {}),
    ],
)
def test_an_event_that_is_not_a_schedules_is_refused_by_field(field: str, value: object) -> None:
    with pytest.raises(InvalidValue, match=rf"event of a schedule.*\({field}: "):
        ScheduledRunV1.read(EVENT | {field: value})


@pytest.mark.parametrize("field", EVENT)
def test_an_event_that_lacks_a_part_is_refused_by_field(field: str) -> None:
    with pytest.raises(InvalidValue, match=rf"\({field}: Field required\)"):
        ScheduledRunV1.read({name: value for name, value in EVENT.items() if name != field})


@pytest.mark.parametrize("event", [{}, {"key1": "value1", "key2": "value2"}, None, [], "tick", {"Records": [{}] * 10}])
def test_a_test_event_typed_by_a_person_is_told_what_a_schedule_sends(event: object) -> None:
    with pytest.raises(InvalidValue) as caught:
        ScheduledRunV1.read(event)

    text = str(caught.value)
    assert "expected the event of a schedule, with version, scheduled_at, schedule, execution_id and attempt" in text
    assert len(text) < 300


def test_a_ring_carries_nothing_but_its_version() -> None:
    assert DoorbellRingV1().model_dump_json() == '{"version":1}'
    assert DoorbellRingV1.model_validate_json('{"version":1}') == DoorbellRingV1()


@pytest.mark.parametrize("body", ['{"version":2}', '{"version":1,"intent":"hw-1"}', "[]", "null", ""])
def test_what_is_no_ring_is_refused(body: str) -> None:
    with pytest.raises(ValidationError):
        DoorbellRingV1.model_validate_json(body)
