"""Providers as data: who can answer what, at what kind of cost, and which model stands on which rung (TIR-02)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from shared.domain.calls import Rung
from shared.domain.errors import InvalidValue
from shared.domain.model_prices import DEEPSEEK, GEMINI, HAIKU, OPUS, SONNET, ModelId
from shared.domain.questions import Task


class ProviderKind(StrEnum):
    """Where a provider runs."""

    LOCAL = "local"
    CLOUD = "cloud"
    CLI = "cli"


class CostKind(StrEnum):
    """How a provider is paid; only `usage` needs the budget."""

    FREE = "free"
    FIXED = "fixed"
    USAGE = "usage"


class LatencyClass(StrEnum):
    """How soon the first token comes."""

    LOW = "low"
    """Within 100 ms."""
    SECONDS = "seconds"
    LATER = "later"


class Capability(StrEnum):
    """What a provider can do beside answering."""

    JSON_SCHEMA = "json_schema"
    EFFORT = "effort"
    PROMPT_CACHE = "prompt_cache"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One provider; `on` False means that it is neither imported nor asked."""

    name: str
    kind: ProviderKind
    cost: CostKind
    latency: LatencyClass
    capabilities: frozenset[Capability] = frozenset()
    on: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One model of a provider on a rung; it does `tasks`, and its cache takes prompts from `cacheable` tokens on.

    `cacheable` None means that nothing is ever written to a cache.
    """

    model: ModelId
    provider: str
    rung: Rung
    tasks: frozenset[Task] = frozenset(Task)
    cacheable: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """What people changed at run time: providers on or off, and the model of a rung or of a task on the edge."""

    providers: Mapping[str, bool] = field(default_factory=dict)
    rungs: Mapping[Rung, ModelId] = field(default_factory=dict)
    tasks: Mapping[Task, ModelId] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Every provider and model known, and which of them serve: by rung, and on the edge by task.

    Raises InvalidValue for a name that is not in it, a model on a rung that is not its own, or a task it cannot do.
    """

    providers: Mapping[str, Provider]
    offers: Mapping[ModelId, Offer]
    rungs: Mapping[Rung, ModelId]
    tasks: Mapping[Task, ModelId]

    def __post_init__(self) -> None:
        for offer in self.offers.values():
            if offer.provider not in self.providers:
                raise InvalidValue(f"model {offer.model}: provider", offer.provider, _one_of(self.providers))
        for rung, model in self.rungs.items():
            if self._known(model).rung is not rung:
                raise InvalidValue(f"rung {rung}: model", model, f"a model of the rung {rung}")
        for task, model in self.tasks.items():
            if task not in self._known(model).tasks:
                raise InvalidValue(f"task {task}: model", model, f"a model that does {task}")

    def choice(self, rung: Rung, task: Task) -> Offer | None:
        """Give the model that serves a task on a rung; None when there is none, or its provider is off."""
        model = self.tasks.get(task) if rung is Rung.EDGE else self.rungs.get(rung)
        offer = None if model is None else self.offers[model]
        return offer if offer is not None and self.providers[offer.provider].on and task in offer.tasks else None

    def paid(self) -> Sequence[ModelId]:
        """List the models that serve now and are paid by use: each must have a price (fault 31)."""
        chosen = [self.offers[model] for model in self.rungs.values()]
        serving = [offer for offer in chosen if self.providers[offer.provider].on]
        return [offer.model for offer in serving if self.providers[offer.provider].cost is CostKind.USAGE]

    def routable(self) -> Sequence[ModelId]:
        """List the paid models that are asked without a person's request."""
        return [model for model in self.paid() if self.offers[model].rung is not Rung.OPUS]

    def with_switches(self, switches: Switches) -> Catalogue:
        """Apply what people changed at run time. Raises InvalidValue for what does not fit."""
        for name in switches.providers:
            if name not in self.providers:
                raise InvalidValue("provider", name, _one_of(self.providers))
        providers = {
            name: replace(provider, on=switches.providers.get(name, provider.on))
            for name, provider in self.providers.items()
        }
        return replace(
            self,
            providers=providers,
            rungs={**self.rungs, **switches.rungs},
            tasks={**self.tasks, **switches.tasks},
        )

    def _known(self, model: ModelId) -> Offer:
        if model not in self.offers:
            raise InvalidValue("model", model, _one_of(self.offers))
        return self.offers[model]


def _one_of(names: Mapping[str, object] | Mapping[ModelId, object]) -> str:
    return f"one of {', '.join(sorted(names))}"


ANTHROPIC: Final = "anthropic"
EDGE: Final = "edge"


def _by_name(*providers: Provider) -> Mapping[str, Provider]:
    return {provider.name: provider for provider in providers}


def _by_model(*offers: Offer) -> Mapping[ModelId, Offer]:
    return {offer.model: offer for offer in offers}


def _on_edge(model: str, *tasks: Task) -> Offer:
    return Offer(model=ModelId(model), provider=EDGE, rung=Rung.EDGE, tasks=frozenset(tasks))


SHIPPED: Final = Catalogue(
    providers=_by_name(
        Provider(
            name=EDGE,
            kind=ProviderKind.LOCAL,
            cost=CostKind.FREE,
            latency=LatencyClass.LOW,
            capabilities=frozenset({Capability.JSON_SCHEMA}),
        ),
        Provider(
            name=ANTHROPIC,
            kind=ProviderKind.CLOUD,
            cost=CostKind.USAGE,
            latency=LatencyClass.SECONDS,
            capabilities=frozenset(Capability),
            on=True,
        ),
        Provider(name="claude-cli", kind=ProviderKind.CLI, cost=CostKind.FIXED, latency=LatencyClass.SECONDS),
        Provider(name="deepseek", kind=ProviderKind.CLOUD, cost=CostKind.USAGE, latency=LatencyClass.SECONDS),
        Provider(
            name="gemini",
            kind=ProviderKind.CLOUD,
            cost=CostKind.USAGE,
            latency=LatencyClass.SECONDS,
            capabilities=frozenset({Capability.JSON_SCHEMA}),
        ),
    ),
    offers=_by_model(
        _on_edge("llama3.2:3b", Task.NEWS),
        _on_edge("mistral:7b", Task.SENTIMENT, Task.DECISION, Task.CHAT),
        _on_edge("phi3:mini", Task.TECHNICAL),
        _on_edge("codellama:7b", Task.CODE),
        Offer(model=HAIKU, provider=ANTHROPIC, rung=Rung.HAIKU, cacheable=512),
        Offer(model=SONNET, provider=ANTHROPIC, rung=Rung.SONNET, cacheable=512),
        Offer(model=OPUS, provider=ANTHROPIC, rung=Rung.OPUS),
        Offer(model=DEEPSEEK, provider="deepseek", rung=Rung.HAIKU),
        Offer(model=GEMINI, provider="gemini", rung=Rung.HAIKU),
    ),
    rungs={Rung.HAIKU: HAIKU, Rung.SONNET: SONNET, Rung.OPUS: OPUS},
    tasks={
        Task.NEWS: ModelId("llama3.2:3b"),
        Task.SENTIMENT: ModelId("mistral:7b"),
        Task.TECHNICAL: ModelId("phi3:mini"),
        Task.CODE: ModelId("codellama:7b"),
        Task.DECISION: ModelId("mistral:7b"),
        Task.CHAT: ModelId("mistral:7b"),
    },
)
"""What the requirements name. The edge is off until there is one; a monthly subscription cannot run in Lambda."""
