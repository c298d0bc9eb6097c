"""Let people change which models serve, without a deployment (TIR-02)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shared.domain.calls import Rung
from shared.domain.errors import InvalidValue
from shared.domain.model_prices import ModelId, PriceTable
from shared.domain.providers import SHIPPED, Catalogue, CostKind, Switches
from shared.ports.clock import Clock
from shared.ports.models import Choices
from shared.use_cases.record_fact import RecordFact


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchModels:
    """Write the switches, then journal them."""

    clock: Clock
    choices: Choices
    prices: PriceTable
    record: RecordFact
    shipped: Catalogue = SHIPPED

    def __call__(self, wanted: Switches, *, by: str, why: str = "", afresh: bool = False) -> Catalogue:
        """Add switches to those that stand, or put them in their place where `afresh`; return what serves from now on.

        Raises InvalidValue, and nothing changed then, for a name that is not in the catalogue, a model that does not
        fit its rung or task, and a paid one without a price today. Any other error may come after the change.
        """
        now = self.clock.now()
        switches = wanted if afresh else _added(self.choices.switches(), wanted)
        found = self.shipped.with_switches(switches)
        unusable = self.prices.unusable(list(_newly_paid(found, wanted)), now)
        for model, why_not in unusable.items():
            raise InvalidValue("model", model, f"one with a price today ({why_not})")
        self.choices.switch(switches)
        self.record(
            "models_switched",
            now,
            by=by,
            why=why,
            afresh=afresh,
            providers=dict(wanted.providers),
            rungs={rung.value: model for rung, model in wanted.rungs.items()},
            tasks={task.value: model for task, model in wanted.tasks.items()},
            paid=sorted(found.paid()),
        )
        return found


def _added(standing: Switches, wanted: Switches) -> Switches:
    return Switches(
        providers={**standing.providers, **wanted.providers},
        rungs={**standing.rungs, **wanted.rungs},
        tasks={**standing.tasks, **wanted.tasks},
    )


def _newly_paid(found: Catalogue, wanted: Switches) -> Iterator[ModelId]:
    """Name the paid models that the change itself puts to work, also while their provider is still off."""
    switched_on = {name for name, on in wanted.providers.items() if on}
    for rung, model in found.rungs.items():
        provider = found.providers[found.offers[model].provider]
        chosen = rung in wanted.rungs or (provider.name in switched_on and rung is not Rung.OPUS)
        if chosen and provider.cost is CostKind.USAGE:
            yield model
