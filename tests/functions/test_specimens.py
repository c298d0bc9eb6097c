"""Every event in events/ delivered to its function: what it does, that twice is once, and five at once are one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from shared.adapters.powertools.metrics import UNITS
from tests.fakes.house import EVENTS, FUNCTIONS, NOON, STAGES, House, effects, specimen

SPECIMENS: Final = sorted((path.parent.name, path.stem) for path in EVENTS.glob("*/*.json"))
REFUSED: Final = {
    ("check_risk", "another_version"): "version",
    ("poll_prices", "placeholders_not_filled_in"): "scheduled_at",
    ("poll_prices", "tick_with_a_field_of_tomorrow"): "shard",
    **{(function, "test_of_the_console"): "key1|version" for function in FUNCTIONS},
}
"""Events that are none of ours, with what the refusal names."""
NOT_OURS: Final = {
    ("place_orders", "ring_among_messages_not_ours"): [1, 3],
    ("route_alerts", "alert_among_messages_not_ours"): [1, 3, 4],
}
"""Batches with strangers in them, and which of their records go back to the queue."""


@pytest.fixture
def house(request: pytest.FixtureRequest) -> Iterator[House]:
    function = request.getfixturevalue("function")
    prepare, begins = STAGES[function]
    with House(now=begins) as house:
        prepare(house)
        yield house


def test_every_function_has_specimens_and_every_folder_a_function() -> None:
    assert {function for function, _ in SPECIMENS} == set(FUNCTIONS)


@pytest.mark.parametrize(("function", "situation"), [s for s in SPECIMENS if s not in REFUSED])
def test_specimen_twice_or_five_times_at_once_leaves_the_effect_of_one(
    house: House, function: str, situation: str
) -> None:
    event = specimen(function, situation)
    house.run(function, event)
    once = effects(house)

    house.run(function, event)
    assert effects(house) == once
    house.run_many(function, event, 5)
    assert effects(house) == once
    assert house.metrics <= UNITS.keys()

    with House(now=STAGES[function][1]) as crowded:
        STAGES[function][0](crowded)
        crowded.run_many(function, event, 5)
        crowded.run(function, event)  # whoever lost a race leaves the rest to the next run
        assert effects(crowded) == once


@pytest.mark.parametrize(("function", "situation"), sorted(REFUSED))
def test_event_that_is_not_ours_is_refused_by_name_and_changes_nothing(
    house: House, function: str, situation: str
) -> None:
    before = effects(house)

    refused = house.run(function, specimen(function, situation))

    assert refused.error is not None
    assert any(word in str(refused.error) for word in REFUSED[function, situation].split("|"))
    assert effects(house) == before


@pytest.mark.parametrize(("function", "situation"), sorted(NOT_OURS))
def test_message_that_is_not_ours_goes_back_and_the_others_are_handled(
    house: House, function: str, situation: str
) -> None:
    event = specimen(function, situation)
    before = effects(house)

    answer = house.run(function, event).answer

    failed = [each["itemIdentifier"] for each in answer["batchItemFailures"]]
    assert failed == [event["Records"][place - 1]["messageId"] for place in NOT_OURS[function, situation]]
    assert effects(house) != before


@pytest.mark.parametrize("function", ["check_risk"])
def test_tick_between_minutes_is_the_minute_it_falls_in(house: House, function: str) -> None:
    house.run(function, specimen(function, "tick_between_minutes"))
    once = effects(house)
    house.run(function, specimen(function, "tick"))
    assert effects(house) == once
    assert len(once["open"]) == 1  # type: ignore[arg-type]
    assert house.clock.now() == NOON
