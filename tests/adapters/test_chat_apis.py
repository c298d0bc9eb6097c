"""What DeepSeek and Gemini say beyond the contract: how they count, how they refuse, and how a key is renewed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.adapters.chat_apis.deepseek import DeepSeekChat
from shared.adapters.chat_apis.gemini import GeminiContent
from shared.adapters.chat_apis.request import LONGEST_PAUSE
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.calls import Purpose, WorkId
from shared.domain.errors import MissingSecret, Unavailable
from shared.domain.model_prices import DEEPSEEK, GEMINI, Usage
from shared.domain.questions import Attempt, Billed, Ending, Question, Reply, Task
from tests.contract.chat_wires import DeepSeekWire, GeminiWire, client
from tests.fakes.scripted_http import ScriptedServer, Step, reply

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)
TEXT = '{"action": "hold"}'
SCHEMA = {"type": "object", "properties": {"action": {"type": "string"}}}
DEEPSEEKS, GEMINIS = DeepSeekWire(), GeminiWire()
Read = Callable[[bool], str]


def attempt(model: Any, *, system: str = "Say what to do.") -> Attempt:
    question = Question(
        work=WorkId("story"),
        purpose=Purpose.DECISION,
        task=Task.DECISION,
        system=system,
        user="NVDA fell 4 %.",
        schema=SCHEMA,  # type: ignore[arg-type]
    )
    return Attempt(model=model, question=question, most_tokens=777, deadline=NOW + timedelta(seconds=5))


def deepseek(step: Step, read: Read = lambda _: "key-of-somebody") -> tuple[Reply, ScriptedServer]:
    with ScriptedServer(step) as server:
        return DeepSeekChat(client(), read, SimulatedClock(NOW), base_url=server.url).ask(attempt(DEEPSEEK)), server


def gemini(step: Step, **changed: Any) -> tuple[Reply, ScriptedServer]:
    with ScriptedServer(step) as server:
        model = GeminiContent(client(), lambda _: "key-of-somebody", SimulatedClock(NOW), base_url=server.url)
        return model.ask(attempt(GEMINI, **changed)), server


def chat(usage: object, reason: object = "stop", text: str | None = TEXT) -> Step:
    return reply(200, DEEPSEEKS.body(DEEPSEEK, text, reason, usage))


def content(usage: object, reason: object = "STOP") -> Step:
    return reply(200, GEMINIS.body(GEMINI, TEXT, reason, usage))


# counting


def test_what_deepseek_read_from_its_cache_is_counted_apart() -> None:
    found, _ = deepseek(chat(DEEPSEEKS.counts(1_000, 50, cached=896)))
    assert found.usage == Usage(input=104, output=50, cache_read=896)


def test_what_gemini_read_from_its_cache_and_what_it_thought_are_counted_apart() -> None:
    counts = {**GEMINIS.counts(1_000, 60), "cachedContentTokenCount": 700, "toolUsePromptTokenCount": 5}
    found, _ = gemini(content(counts))
    assert found.usage == Usage(input=305, output=60, cache_read=700)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt_tokens": None},
        {"prompt_tokens": 0},
        {"prompt_tokens": -1},
        {"prompt_tokens": 12.5},
        {"prompt_tokens": True},
        {"completion_tokens": "50"},
        {"prompt_cache_hit_tokens": 1_001},
        {"total_tokens": 1_051},
    ],
)
def test_counts_of_deepseek_that_cannot_be_are_none_and_the_call_costs_its_bound(change: dict[str, Any]) -> None:
    found, _ = deepseek(chat({**DEEPSEEKS.counts(1_000, 50), **change}))
    assert (found.ending, found.billed, found.usage) == (Ending.COMPLETE, Billed.UNKNOWN, None)


@pytest.mark.parametrize(
    "change",
    [
        {"promptTokenCount": 0},
        {"thoughtsTokenCount": -1},
        {"cachedContentTokenCount": 1_001},
        {"totalTokenCount": 1_051},
    ],
)
def test_counts_of_gemini_that_cannot_be_are_none_and_the_call_costs_its_bound(change: dict[str, Any]) -> None:
    found, _ = gemini(content({**GEMINIS.counts(1_000, 50), **change}))
    assert (found.billed, found.usage) == (Billed.UNKNOWN, None)


# endings


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        ("insufficient_system_resource", Ending.OVERLOADED),
        ("tool_calls", Ending.OTHER_STOP),
        (None, Ending.OTHER_STOP),
        (["stop"], Ending.OTHER_STOP),
    ],
)
def test_every_other_end_of_deepseek_is_an_abstention_that_is_paid_for(reason: object, ending: Ending) -> None:
    found, _ = deepseek(chat(DEEPSEEKS.counts(1_000, 50), reason))
    assert (found.ending, found.billed) == (ending, Billed.BY_USAGE)


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        ("RECITATION", Ending.REFUSED),
        ("PROHIBITED_CONTENT", Ending.REFUSED),
        ("MALFORMED_FUNCTION_CALL", Ending.OTHER_STOP),
        ("FINISH_REASON_UNSPECIFIED", Ending.OTHER_STOP),
    ],
)
def test_every_other_end_of_gemini_is_an_abstention_that_is_paid_for(reason: object, ending: Ending) -> None:
    found, _ = gemini(content(GEMINIS.counts(1_000, 50), reason))
    assert (found.ending, found.billed, found.detail) == (ending, Billed.BY_USAGE, reason)


def test_a_prompt_that_gemini_blocks_is_a_refusal_with_its_reason() -> None:
    body = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 90}}
    found, _ = gemini(reply(200, body))
    assert (found.ending, found.billed, found.usage) == (Ending.REFUSED, Billed.BY_USAGE, Usage(input=90))
    assert found.detail == "SAFETY"


def test_no_content_from_deepseek_is_empty() -> None:
    found, _ = deepseek(chat(DEEPSEEKS.counts(1_000, 0), text=None))
    assert found.ending is Ending.EMPTY


@pytest.mark.parametrize(
    "body", [{"choices": []}, {"choices": [{}]}, {"choices": [{"message": {"content": 5}, "finish_reason": "stop"}]}]
)
def test_an_answer_of_another_form_is_unreadable_and_what_it_counted_is_paid(body: dict[str, Any]) -> None:
    found, _ = deepseek(reply(200, {**body, "usage": DEEPSEEKS.counts(100, 5)}))
    assert (found.ending, found.billed) == (Ending.UNREADABLE, Billed.BY_USAGE)
    unread, _ = gemini(reply(200, {"candidates": 5}))
    assert (unread.ending, unread.billed) == (Ending.UNREADABLE, Billed.UNKNOWN)


def test_a_prompt_that_is_too_long_is_told_apart() -> None:
    words = "This model's maximum context length is 131072 tokens."
    assert deepseek(DEEPSEEKS.failure(400, words, {}))[0].ending is Ending.CONTEXT_EXCEEDED
    words = "The input token count (2000000) exceeds the maximum number of tokens allowed (1048576)."
    assert gemini(GEMINIS.failure(400, words, {}))[0].ending is Ending.CONTEXT_EXCEEDED
    assert deepseek(DEEPSEEKS.failure(400, "no such field", {}))[0].ending is Ending.REJECTED


@pytest.mark.parametrize(
    ("header", "pause"),
    [("7", timedelta(seconds=7)), ("99999999", LONGEST_PAUSE), ("soon", None), ("-1", None), ("\u0667", None)],
)
def test_a_pause_is_read_only_when_it_can_be_one(header: str, pause: timedelta | None) -> None:
    found, _ = deepseek(DEEPSEEKS.failure(429, "slow down", {"Retry_After": header.encode().decode("latin-1")}))
    assert (found.ending, found.retry_after) == (Ending.THROTTLED, pause)


# what is sent


def test_deepseek_is_told_the_schema_and_asked_for_one_object() -> None:
    _, server = deepseek(chat(DEEPSEEKS.counts(10, 5)))
    body = json.loads(server.arrived[0].body)

    assert server.arrived[0].target == "/chat/completions"
    assert (body["model"], body["max_tokens"], body["stream"]) == (DEEPSEEK, 777, False)
    assert body["response_format"] == {"type": "json_object"}
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert '"properties":{"action"' in body["messages"][0]["content"]
    assert body["messages"][1]["content"] == "NVDA fell 4 %."


def test_gemini_is_held_to_the_schema_and_its_key_is_not_in_the_address() -> None:
    _, server = gemini(content(GEMINIS.counts(10, 5)))
    body = json.loads(server.arrived[0].body)

    assert server.arrived[0].target == f"/v1beta/models/{GEMINI}:generateContent"
    assert body["generationConfig"] == {
        "candidateCount": 1,
        "maxOutputTokens": 777,
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }
    assert body["systemInstruction"] == {"parts": [{"text": "Say what to do."}]}
    _, bare = gemini(content(GEMINIS.counts(10, 5)), system="")
    assert b"systemInstruction" not in bare.arrived[0].body


# the key


def test_a_refused_key_is_read_anew_for_the_next_question_only() -> None:
    asked: list[bool] = []

    def read(anew: bool) -> str:
        asked.append(anew)
        return "key-of-somebody"

    with ScriptedServer(DEEPSEEKS.failure(401, "no", {}), chat(DEEPSEEKS.counts(10, 5))) as server:
        model = DeepSeekChat(client(), read, SimulatedClock(NOW), base_url=server.url)
        endings = [model.ask(attempt(DEEPSEEK)).ending for _ in range(3)]

    assert endings == [Ending.REJECTED, Ending.COMPLETE, Ending.COMPLETE]
    assert asked == [False, True, False]
    assert len(server.arrived) == 3


@pytest.mark.parametrize(
    ("problem", "ending"),
    [(Unavailable("the store is away"), Ending.UNREACHABLE), (MissingSecret(["deepseek-api-key"]), Ending.REJECTED)],
)
def test_without_a_key_nothing_is_sent_and_nothing_is_paid(problem: Exception, ending: Ending) -> None:
    def read(_: bool) -> str:
        raise problem

    found, server = deepseek(chat(DEEPSEEKS.counts(10, 5)), read)
    assert (found.ending, found.billed, server.arrived) == (ending, Billed.NOTHING, [])


@pytest.mark.parametrize("key", ["", "two words", "kéy", "key\r\nHost: elsewhere"])
def test_text_that_cannot_be_a_key_is_not_sent(key: str) -> None:
    found, server = deepseek(chat(DEEPSEEKS.counts(10, 5)), lambda _: key)
    assert (found.ending, found.billed, server.arrived) == (Ending.REJECTED, Billed.NOTHING, [])
