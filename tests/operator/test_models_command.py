"""Which models serve, shown and switched as the operator types it against a deployed stack."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_stack.cloud.door import Misbehaviour
from shared.adapters.aws.journal import DynamoJournal
from shared.adapters.aws.table import Table
from shared.domain.calls import Rung
from shared.domain.model_prices import DEEPSEEK, HAIKU, OPUS, SONNET, ModelId
from shared.domain.providers import ANTHROPIC, SHIPPED, Switches
from shared.domain.questions import Task
from tests.operator.deployment import GIVEN, NOON, Deployment

PRICED = json.dumps(
    [
        *json.loads(GIVEN["ModelPrices"]),
        {"model": DEEPSEEK, "since": "2026-02-01", "until": "2026-12-01", "input": "0.14", "output": "0.28"},
        {"model": OPUS, "since": "2026-02-01", "longest_prompt": "100000", "input": "4", "output": "20"},
        {"model": OPUS, "since": "2026-02-01", "input": "8.50", "output": "40"},
    ]
)


def facts(deployed: Deployment) -> list[dict[str, Any]]:
    """Read the journal's facts about switches, by their fields."""
    table = Table(deployed.cloud.client("dynamodb"), deployed.cloud.physical("JournalTable"))
    links = DynamoJournal(table).links(NOON.date())
    read = [json.loads(link.body) for link in links]
    return [fact["fields"] for fact in read if fact["kind"] == "models_switched"]


def test_what_serves_is_shown_with_its_price_or_why_it_is_refused() -> None:
    with Deployment() as deployed:
        done = deployed.run("models")

        assert (done.code, done.problem) == (0, "")
        assert "  anthropic   on   cloud  usage  seconds\n" in done.out
        assert "  deepseek    off  cloud  usage  seconds\n" in done.out
        assert "  claude-cli  off  cli    fixed  seconds  (nothing reaches it yet)\n" in done.out
        price = "$1.00 in, $5.00 out, $0.10 cached, $1.25 to cache a million"
        assert f"  haiku       {HAIKU} (anthropic): {price}\n" in done.out
        assert f"  opus        {OPUS} (anthropic): refused, its price is not confirmed yet" in done.out
        assert "(only when a person asks for it)\n" in done.out
        assert "  news        llama3.2:3b (edge, off): nothing by use\n" in done.out
        assert "Switched by people: nothing\n" in done.out
        assert deployed.items("BookTable") == deployed.items("JournalTable") == []


def test_prices_are_shown_by_length_and_with_their_end() -> None:
    with Deployment(ModelPrices=PRICED) as deployed:
        done = deployed.run("models", "--on", "deepseek", "--rung", f"haiku={DEEPSEEK}")

        assert "$4.00 in, $20.00 out a million up to 100,000 tokens; $8.50 in, $40.00 out a million" in done.out
        assert f"{DEEPSEEK} (deepseek): $0.14 in, $0.28 out a million until 2026-12-01\n" in done.out


def test_a_switch_serves_from_the_next_question_on_and_is_journaled() -> None:
    with Deployment(ModelPrices=PRICED) as deployed:
        before = deployed.ports
        words = ("--on", "deepseek", "--rung", f"haiku={DEEPSEEK}", "--task", "news=llama3.2:3b", "--why", "cheaper")
        done = deployed.run("models", *words)

        assert (done.code, done.problem) == (0, "")
        assert f"Switched by people: deepseek on, haiku={DEEPSEEK}, news=llama3.2:3b\n" in done.out
        offer = before.choices.catalogue().choice(Rung.HAIKU, Task.DECISION)
        assert offer is not None
        assert offer.model == DEEPSEEK
        assert list(before.models) == [ANTHROPIC, "deepseek"]
        (fact,) = facts(deployed)
        assert fact == {
            "by": "moto",
            "why": "cheaper",
            "afresh": False,
            "providers": {"deepseek": True},
            "rungs": {"haiku": DEEPSEEK},
            "tasks": {"news": "llama3.2:3b"},
            "paid": sorted([DEEPSEEK, SONNET, OPUS]),
        }


def test_switches_add_up_until_they_are_reset() -> None:
    with Deployment(ModelPrices=PRICED) as deployed:
        deployed.run("models", "--off", ANTHROPIC)
        both = deployed.run("models", "--on", "deepseek")
        stands = deployed.ports.choices.switches()
        done = deployed.run("models", "--reset")

        assert stands == Switches(providers={ANTHROPIC: False, "deepseek": True})
        assert f"{HAIKU} (anthropic, off)" in both.out
        assert "Switched by people: nothing\n" in done.out
        assert deployed.ports.choices.catalogue() == SHIPPED
        assert [fact["afresh"] for fact in facts(deployed)] == [False, False, True]


def test_a_reset_with_a_change_leaves_that_change_alone() -> None:
    with Deployment(ModelPrices=PRICED) as deployed:
        deployed.run("models", "--off", ANTHROPIC)
        deployed.run("models", "--reset", "--on", "deepseek")

        assert deployed.ports.choices.switches() == Switches(providers={"deepseek": True})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--on", "openai"], "provider: 'openai' is not usable, expected one of anthropic"),
        (["--rung", "haiku=gpt"], "model: 'gpt' is not usable, expected one of"),
        (["--rung", f"haiku={SONNET}"], "a model of the rung haiku"),
        (["--rung", f"haiku={DEEPSEEK}"], f"{DEEPSEEK}: its price is not confirmed yet"),
        (["--rung", f"opus={OPUS}"], f"{OPUS}: its price is not confirmed yet"),
        (["--task", "code=llama3.2:3b"], "a model that does code"),
        (["--rung", "haiku"], "--rung 'haiku': expected RUNG=MODEL, with one of rules, edge, haiku"),
        (["--rung", "best=x"], "--rung 'best=x': expected RUNG=MODEL"),
        (["--task", "poems=mistral:7b"], "--task 'poems=mistral:7b': expected TASK=MODEL"),
        (["--on", "gemini", "--off", "gemini"], "gemini cannot be on and off at once"),
    ],
)
def test_what_is_unknown_or_has_no_price_is_refused_and_changes_nothing(words: list[str], said: str) -> None:
    with Deployment() as deployed:
        done = deployed.run("models", *words)

        assert done.code == 2
        assert said in done.problem
        assert deployed.items("BookTable") == deployed.items("JournalTable") == []


def test_a_provider_whose_models_lost_their_price_is_not_switched_on_again() -> None:
    with Deployment() as deployed:
        deployed.run("models", "--off", ANTHROPIC)
        kept = deployed.run("models", "--on", ANTHROPIC)
    with Deployment(ModelPrices="") as deployed:
        deployed.run("models", "--off", ANTHROPIC)
        refused = deployed.run("models", "--on", ANTHROPIC)

    assert kept.code == 0
    assert refused.code == 2
    assert "nothing was changed" in refused.problem
    assert f"{HAIKU}: its price begins on 2026-10-07" in refused.problem


def test_switches_that_cannot_be_read_can_be_reset() -> None:
    with Deployment(ModelPrices=PRICED) as deployed:
        deployed.run("models", "--rung", f"haiku={DEEPSEEK}", "--on", "deepseek")
        (item,) = deployed.items("BookTable")
        item["body"]["S"] = item["body"]["S"].replace(DEEPSEEK, "gone-from-the-catalogue")
        deployed.cloud.client("dynamodb").put_item(TableName=deployed.cloud.physical("BookTable"), Item=item)
        unreadable = deployed.run("models")
        asked = list(deployed.ports.models)
        done = deployed.run("models", "--reset")

        assert unreadable.code == 2
        assert "gone-from-the-catalogue" in unreadable.problem
        assert asked == []
        assert (done.code, deployed.ports.choices.catalogue()) == (0, SHIPPED)


def test_a_table_that_refuses_is_one_line() -> None:
    with Deployment() as deployed:
        deployed.cloud.misbehave(Misbehaviour.DENY, "dynamodb:PutItem", caller="owner", times=9)
        done = deployed.run("models", "--off", ANTHROPIC)

        assert done.code == 2
        assert "AccessDenied" in done.problem
        assert "\n" not in done.problem
        assert deployed.ports.choices.catalogue().rungs[Rung.HAIKU] == ModelId(HAIKU)
