"""Time that goes on from an instant by what passed on this machine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.adapters.system_clock.steady import SteadyClock
from shared.domain.errors import InvalidValue

NOON = datetime(2026, 6, 10, 16, 0, tzinfo=UTC)


def test_it_goes_on_from_its_instant_and_begins_anew_at_another() -> None:
    passed = [100.0]
    clock = SteadyClock(NOON, seconds=lambda: passed[0])
    passed[0] += 1.5
    assert clock.now() == NOON + timedelta(seconds=1.5)

    clock.set(NOON + timedelta(minutes=5))
    passed[0] += 2
    assert clock.now() == NOON + timedelta(minutes=5, seconds=2)


def test_an_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(InvalidValue):
        SteadyClock(NOON.replace(tzinfo=None))
