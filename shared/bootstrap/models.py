"""Models by their providers: each made at the first call, and asked only while its provider is on (TIR-02).

Decided: which providers are on is asked anew for every question, because people switch them without a deployment. A
catalogue that cannot be read has none on: then nothing paid is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final, TypeVar

from shared.adapters.aws.parameters import SecretSource
from shared.bootstrap.deferred import deferred
from shared.domain.errors import TryAgain
from shared.domain.providers import ANTHROPIC
from shared.domain.questions import Attempt, Reply
from shared.ports.clock import Clock
from shared.ports.models import Batches, Choices, Model
from shared.settings import SourceSettings

log = logging.getLogger(__name__)

DEEPSEEK: Final = "deepseek"
GEMINI: Final = "gemini"
KEYS: Final[Mapping[str, str]] = {
    ANTHROPIC: "anthropic-api-key",
    DEEPSEEK: "deepseek-api-key",
    GEMINI: "gemini-api-key",
}
"""The secret that opens each provider; without it the provider is not reached and nothing is paid."""

Asked = TypeVar("Asked")
Secrets = Callable[[str], SecretSource]
"""Gives the source of one secret."""


class ThoseOn(Mapping[str, Asked]):
    """Adapters by provider, of those alone that are on right now.

    Who was found to be on can be asked, whatever is switched in the meantime.
    """

    def __init__(self, choices: Choices, made: Mapping[str, Asked]) -> None:
        self._choices = choices
        self._made = made

    def __getitem__(self, name: str) -> Asked:
        """Give an adapter by its provider's name."""
        return self._made[name]

    def __contains__(self, name: object) -> bool:
        """Say whether a provider can be asked and is on."""
        return name in self._on()

    def __iter__(self) -> Iterator[str]:
        """Name the providers that are on."""
        return iter(self._on())

    def __len__(self) -> int:
        """Count the providers that are on."""
        return len(self._on())

    def _on(self) -> list[str]:
        try:
            providers = self._choices.catalogue().providers
        except TryAgain as problem:
            log.warning("which models are on cannot be read", extra={"problem": str(problem)})
            return []
        return [name for name in self._made if name in providers and providers[name].on]


def models_of(
    choices: Choices, sources: SourceSettings, secrets: Secrets, clock: Clock, redact: Callable[[str], str]
) -> Mapping[str, Model]:
    """Give every model behind an API; none is imported before it is asked."""

    def claude() -> Model:
        from shared.adapters.anthropic.access import ADDRESS
        from shared.adapters.anthropic.messages import ClaudeModel

        return ClaudeModel(_reader(secrets, ANTHROPIC), clock, url=sources.anthropic_url or ADDRESS)

    def deepseek() -> Model:
        import httpx

        from shared.adapters.chat_apis.deepseek import BASE_URL, DeepSeekChat

        client = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), trust_env=False)
        return DeepSeekChat(client, _reader(secrets, DEEPSEEK), clock, base_url=sources.deepseek_url or BASE_URL)

    def gemini() -> Model:
        import httpx

        from shared.adapters.chat_apis.gemini import BASE_URL, GeminiContent

        client = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), trust_env=False)
        return GeminiContent(client, _reader(secrets, GEMINI), clock, base_url=sources.gemini_url or BASE_URL)

    makers: Mapping[str, Callable[[], Model]] = {ANTHROPIC: claude, DEEPSEEK: deepseek, GEMINI: gemini}
    return ThoseOn(choices, {name: _Hushed(deferred(make), redact) for name, make in makers.items()})


def batches_of(
    choices: Choices, sources: SourceSettings, secrets: Secrets, clock: Clock, discreet: Callable[[Batches], Batches]
) -> Mapping[str, Batches]:
    """Give every provider that takes batches."""

    def claude() -> Batches:
        from shared.adapters.anthropic.access import ADDRESS
        from shared.adapters.anthropic.batches import ClaudeBatches

        return ClaudeBatches(_reader(secrets, ANTHROPIC), clock, url=sources.anthropic_url or ADDRESS)

    return ThoseOn(choices, {ANTHROPIC: discreet(deferred(claude))})


class _Hushed:
    """Stands in for a model and keeps secrets out of what its provider said about a failure."""

    def __init__(self, model: Model, redact: Callable[[str], str]) -> None:
        self._model = model
        self._redact = redact

    def ask(self, attempt: Attempt) -> Reply:
        reply = self._model.ask(attempt)
        return replace(reply, detail=self._redact(reply.detail))


def _reader(secrets: Secrets, provider: str) -> Callable[[bool], str]:
    name = KEYS[provider]
    source = secrets(name)

    def read(anew: bool) -> str:
        return (source.fresh(name) if anew else source.get(name)).get_secret_value()

    return read
