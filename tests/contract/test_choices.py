"""What every store of people's choices of models promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.adapters.aws.budget import DynamoChoices
from shared.adapters.memory.budget import MemoryChoices
from shared.domain.calls import Rung
from shared.domain.errors import InvalidValue
from shared.domain.model_prices import SONNET, ModelId
from shared.domain.providers import ANTHROPIC, SHIPPED, Switches
from shared.domain.questions import Task
from shared.ports.models import Choices
from tests.contract.conftest import NewTable

STORES: dict[str, Callable[[NewTable], Choices]] = {
    "memory": lambda new_table: MemoryChoices(),
    "dynamodb": lambda new_table: DynamoChoices(new_table()),
}


@pytest.fixture(params=sorted(STORES))
def choices(request: pytest.FixtureRequest, new_table: NewTable) -> Choices:
    return STORES[request.param](new_table)


def test_shipped_catalogue_counts_until_somebody_changes_it(choices: Choices) -> None:
    assert choices.switches() == Switches()
    assert choices.catalogue() == SHIPPED


def test_switches_apply_to_the_shipped_catalogue(choices: Choices) -> None:
    switches = Switches(providers={ANTHROPIC: False, "edge": True}, tasks={Task.SENTIMENT: ModelId("mistral:7b")})

    choices.switch(switches)

    assert choices.switches() == switches
    assert choices.catalogue() == SHIPPED.with_switches(switches)
    assert choices.catalogue().choice(Rung.SONNET, Task.DECISION) is None


def test_last_switches_replace_all_of_those_before(choices: Choices) -> None:
    choices.switch(Switches(providers={ANTHROPIC: False}))
    choices.switch(Switches(providers={"edge": True}))

    assert choices.switches() == Switches(providers={"edge": True})
    assert choices.catalogue().providers[ANTHROPIC].on


@pytest.mark.parametrize(
    ("switches", "field"),
    [
        (Switches(providers={"nobody": True}), "provider"),
        (Switches(rungs={Rung.HAIKU: SONNET}), "rung haiku: model"),
        (Switches(tasks={Task.CODE: ModelId("llama9")}), "model"),
    ],
)
def test_switches_that_do_not_fit_are_refused_and_the_ones_before_stay(
    choices: Choices, switches: Switches, field: str
) -> None:
    choices.switch(Switches(providers={"edge": True}))

    with pytest.raises(InvalidValue) as caught:
        choices.switch(switches)

    assert caught.value.field == field
    assert choices.switches() == Switches(providers={"edge": True})
