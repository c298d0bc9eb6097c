"""Models by provider: made when asked, in the mapping while they are on, and silent about secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from shared.adapters.memory.budget import MemoryChoices
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.system_clock.pause import JitteredPause
from shared.bootstrap.models import DEEPSEEK, GEMINI, KEYS, ThoseOn, models_of
from shared.domain.calls import Purpose, WorkId
from shared.domain.errors import Unavailable
from shared.domain.journal import Plain
from shared.domain.model_prices import ModelId
from shared.domain.providers import ANTHROPIC, SHIPPED, Catalogue, Switches
from shared.domain.questions import Attempt, Billed, Ending, Question, Task
from shared.ports.models import Model
from shared.settings import SourceSettings
from tests.architecture.deployment import ROOT

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
KEY = "key-of-somebody"
BUILT: Final = """
import sys
from shared.adapters.memory.budget import MemoryChoices
from shared.bootstrap.cloud import Cloud
tables = {f"HEARTHWATCH_{name}_TABLE": name for name in ("BOOK", "PRICES", "JOURNAL")}
queues = {f"HEARTHWATCH_{name}_URL": "https://queues.example.com/one" for name in
          ("DOORBELL_QUEUE", "CYCLES_QUEUE", "ALERTS_QUEUE", "ALERTS_DEAD_LETTERS")}
cloud = Cloud({**tables, **queues})
cloud.choices = MemoryChoices()
assert list(cloud.models) == list(cloud.batches) == ["anthropic"]
assert cloud.models["anthropic"] is not None and "deepseek" not in cloud.models
cloud.use_cases.climb_ladder, cloud.use_cases.ask_in_batch, cloud.use_cases.audit_budget
print(*sys.modules)
"""
"""What a function does before its first question."""


class Sources:
    """Secrets by name, all of them one key."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get(self, name: str) -> Any:
        assert name == self.name
        return self

    fresh = get

    def get_secret_value(self) -> str:
        return KEY


class Broken(MemoryChoices):
    def catalogue(self) -> Catalogue:
        raise Unavailable("the Book is away")


def attempt(model: str) -> Attempt:
    schema: dict[str, Plain] = {"type": "object", "properties": {}, "additionalProperties": False}
    question = Question(work=WorkId("story"), purpose=Purpose.CHAT, task=Task.CHAT, system="", user="?", schema=schema)
    return Attempt(model=ModelId(model), question=question, most_tokens=512, deadline=NOW + timedelta(minutes=1))


def models(choices: MemoryChoices, redact: Callable[[str], str] = str) -> Mapping[str, Model]:
    nobody = "http://127.0.0.1:9"
    sources = SourceSettings(anthropic_url=nobody, deepseek_url=nobody, gemini_url=nobody)
    return models_of(choices, sources, Sources, SimulatedClock(NOW), redact)  # type: ignore[arg-type]


def test_building_every_model_imports_none_of_them() -> None:
    environment = {**os.environ, "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run(
        [sys.executable, "-c", BUILT], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())

    assert "shared.bootstrap.models" in loaded
    wanted = {"anthropic", "httpx", "httpx2", "shared.adapters.chat_apis", "shared.adapters.anthropic"}
    assert wanted & loaded == set()


def test_only_claude_is_on_as_shipped() -> None:
    found = models(MemoryChoices())
    assert (list(found), len(found), DEEPSEEK in found, GEMINI in found) == ([ANTHROPIC], 1, False, False)
    assert found.get(DEEPSEEK) is not None or DEEPSEEK not in found


def test_a_switch_counts_at_once_for_those_who_hold_the_models() -> None:
    choices = MemoryChoices()
    found = models(choices)
    choices.switch(Switches(providers={DEEPSEEK: True, ANTHROPIC: False}))
    assert list(found) == [DEEPSEEK]
    assert ANTHROPIC not in found


def test_one_that_was_on_a_moment_ago_can_still_be_asked() -> None:
    """Between the look and the question somebody may switch it off; the money is reserved by then."""
    choices = MemoryChoices()
    found = models(choices)
    choices.switch(Switches(providers={ANTHROPIC: False}))
    assert found[ANTHROPIC].ask is not None


def test_a_provider_that_nothing_reaches_is_never_in() -> None:
    choices = MemoryChoices()
    choices.switch(Switches(providers={"edge": True, "claude-cli": True}))
    assert list(models(choices)) == [ANTHROPIC]
    with pytest.raises(KeyError):
        models(choices)["edge"]


def test_nobody_is_on_while_the_catalogue_cannot_be_read() -> None:
    found = models(Broken())
    assert (list(found), ANTHROPIC in found) == ([], False)


@pytest.mark.parametrize("provider", sorted(KEYS))
def test_each_provider_is_made_and_asked_with_its_own_key(provider: str) -> None:
    choices = MemoryChoices()
    choices.switch(Switches(providers=dict.fromkeys(KEYS, True)))
    reply = models(choices)[provider].ask(
        attempt(next(o.model for o in SHIPPED.offers.values() if o.provider == provider))
    )
    assert (reply.ending, reply.billed) in {(Ending.UNREACHABLE, Billed.NOTHING), (Ending.REJECTED, Billed.NOTHING)}


def test_what_a_provider_says_of_a_failure_passes_the_redactor() -> None:
    reply = models(MemoryChoices(), lambda text: "redacted" if text else "")[ANTHROPIC].ask(attempt("claude-haiku-5-5"))
    assert reply.detail == "redacted"


def test_a_mapping_of_those_on_has_the_length_of_its_names() -> None:
    made = {ANTHROPIC: 1, DEEPSEEK: 2}
    assert dict(ThoseOn(MemoryChoices(), made)) == {ANTHROPIC: 1}


def test_a_pause_varies_within_its_bounds() -> None:
    waited: list[float] = []
    pause = JitteredPause(waited.append)
    for _ in range(50):
        pause(timedelta(milliseconds=250), timedelta(seconds=1))
    assert all(0.25 <= seconds <= 1 for seconds in waited)
    assert len(set(waited)) > 40
