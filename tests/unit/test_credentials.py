"""Credentials are due fourteen days before they are ninety days old (SEC-01)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from shared.domain.credentials import RotationRules, due_credentials
from shared.domain.errors import InvalidValue

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("age", "says"),
    [
        (76 * DAY - timedelta(seconds=1), None),
        (76 * DAY, "replace it, days left: 14"),
        (89 * DAY, "replace it, days left: 1"),
        (90 * DAY, "replace it now"),
        (400 * DAY, "replace it now"),
    ],
)
def test_a_credential_is_due_from_its_seventy_sixth_day(age: timedelta, says: str | None) -> None:
    due = due_credentials({"alpaca-paper-secret": age}, RotationRules())

    assert [says] * len(due) == [one.text.split(": ", 1)[1] for one in due]
    assert len(due) == (says is not None)
    assert all(one.is_overdue == (age >= 90 * DAY) for one in due)


def test_they_are_listed_by_name() -> None:
    due = due_credentials({"b": 80 * DAY, "a": 91 * DAY, "c": DAY}, RotationRules())

    assert [one.name for one in due] == ["a", "b"]


@pytest.mark.parametrize("remind_before", [90 * DAY, -DAY])
def test_a_reminder_lies_before_the_rotation(remind_before: timedelta) -> None:
    with pytest.raises(InvalidValue):
        RotationRules(remind_before=remind_before)
