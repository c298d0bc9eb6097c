"""Schedules fire in order of time and of the template, with the event the scheduler sends."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from local_stack.cloud.deployed import DeployedSchedule
from local_stack.cloud.schedules import ScheduleClock

INPUT = (
    '{"version": 1, "scheduled_at": "<aws.scheduler.scheduled-time>", "schedule": "<aws.scheduler.schedule-arn>",'
    ' "execution_id": "<aws.scheduler.execution-id>", "attempt": "<aws.scheduler.attempt-number>"}'
)


def schedule(name: str, expression: str, *, enabled: bool = True) -> DeployedSchedule:
    return DeployedSchedule(
        logical_id=name,
        name=name,
        arn=f"arn:aws:scheduler:us-east-1:1:schedule/default/{name}",
        expression=expression,
        zone="UTC",
        input=INPUT,
        enabled=enabled,
        function=name,
        role_arn="arn:aws:iam::1:role/scheduler",
        retries=3,
        dead_letters=None,
    )


CLOCK = ScheduleClock(
    [
        schedule("second", "rate(2 minutes)"),
        schedule("first", "rate(1 minute)"),
        schedule("never", "rate(1 minute)", enabled=False),
    ]
)


def at(minute: int, second: int = 0) -> datetime:
    return datetime(2026, 3, 2, 14, minute, second, tzinfo=UTC)


def test_what_is_due_comes_by_time_and_then_in_the_order_given() -> None:
    found = [(fire.schedule.name, fire.at.minute) for fire in CLOCK.due(at(30), at(32))]
    assert found == [("first", 31), ("second", 32), ("first", 32)]


def test_the_first_instant_is_left_out_and_the_last_belongs() -> None:
    assert CLOCK.due(at(31), at(31, 59)) == ()
    assert len(CLOCK.due(at(31, 59), at(32))) == 2


def test_consecutive_spans_fire_everything_once() -> None:
    whole = CLOCK.due(at(0), at(30))
    parts = [
        fire for minute in range(30) for half in (0, 30) for fire in CLOCK.due(at(minute, half), _later(minute, half))
    ]
    assert tuple(parts) == whole


def _later(minute: int, half: int) -> datetime:
    return at(minute, 30) if half == 0 else at(minute + 1)


def test_the_event_is_the_input_with_its_placeholders_filled() -> None:
    (fire,) = CLOCK.due(at(30), at(31))
    assert fire.event() == {
        "version": 1,
        "scheduled_at": "2026-03-02T14:31:00Z",
        "schedule": "arn:aws:scheduler:us-east-1:1:schedule/default/first",
        "execution_id": fire.execution_id,
        "attempt": "1",
    }


def test_two_fires_of_a_minute_have_the_same_time_and_ids_of_their_own() -> None:
    first, second = CLOCK.due(at(31), at(32))
    assert first.event()["scheduled_at"] == second.event()["scheduled_at"]
    assert first.execution_id != second.execution_id


def test_a_fire_keeps_its_id_when_it_is_asked_again() -> None:
    assert json.dumps(CLOCK.due(at(30), at(31))[0].event()) == json.dumps(CLOCK.due(at(30), at(31))[0].event())


def test_the_next_fires_are_known() -> None:
    assert CLOCK.next_after(at(30)) == at(31)
    assert [(fire.schedule.name, fire.at) for fire in CLOCK.upcoming(at(30))] == [("first", at(31)), ("second", at(32))]


def test_without_schedules_nothing_is_ever_due() -> None:
    silent = ScheduleClock([schedule("never", "rate(1 minute)", enabled=False)])
    assert silent.next_after(at(30)) is None
    assert silent.due(at(0), at(59)) == ()
