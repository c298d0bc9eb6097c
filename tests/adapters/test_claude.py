"""Claude through its real SDK: what is sent, what recorded answers mean and cost, and what is never looked at."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from math import ceil
from pathlib import Path
from typing import Any, Final

import pytest

from local_stack.claude.mind import Answer
from local_stack.claude.server import ClaudeServer
from shared.adapters.anthropic.access import ADDRESS
from shared.adapters.anthropic.answers import Message, is_one_object, reply_of
from shared.adapters.anthropic.failures import refusal_of
from shared.adapters.anthropic.messages import ClaudeModel
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.errors import InvalidValue, MissingSecret, Unavailable
from shared.domain.journal import Plain
from shared.domain.model_prices import HAIKU, SONNET, STARTING_PRICES, ModelId, Usage
from shared.domain.questions import Billed, Effort, Ending, Reply
from tests.conftest import ReferenceData
from tests.fakes.openapi import ApiDescription
from tests.fakes.questions import NOW, SCHEMA, SYSTEM, USER, an_attempt
from tests.fakes.scripted_http import ScriptedServer, reply

ROOT: Final = Path(__file__).parents[2]
LLM: Final = ("data", "llm-responses")
SSE: Final = "text/event-stream; charset=utf-8"
LONG: Final = "You weigh what happened against what was expected. " * 60
BY_USAGE, NOTHING, UNKNOWN = Billed.BY_USAGE, Billed.NOTHING, Billed.UNKNOWN

STREAMS: Final[Mapping[str, tuple[str, Ending, Billed, int, int]]] = {
    "basic_response.txt": ("claude-3-opus-latest", Ending.UNREADABLE, BY_USAGE, 11, 6),
    "compaction_response.txt": ("claude-opus-4-7", Ending.UNREADABLE, UNKNOWN, 30, 8),
    "fallback_credit_response.txt": ("claude-sonnet-4-5", Ending.UNREADABLE, BY_USAGE, 25, 8),
    "fallback_response.txt": ("claude-opus-4-7", Ending.UNREADABLE, UNKNOWN, 25, 8),
    "incomplete_partial_json_response.txt": ("claude-3-7-sonnet", Ending.TRUNCATED, BY_USAGE, 450, 124),
    "refusal_response.txt": ("claude-opus-4-7", Ending.REFUSED, BY_USAGE, 20, 1),
    "stream-a-refusal.sse": ("claude-fable-5", Ending.REFUSED, BY_USAGE, 28, 106),
    "stream-a-toolrefusal.sse": ("claude-fable-5", Ending.REFUSED, UNKNOWN, 612, 106),
    "stream-b-fallback.sse": ("claude-opus-4-8", Ending.UNREADABLE, BY_USAGE, 31, 547),
    "tool_use_response.txt": ("claude-sonnet-4", Ending.OTHER_STOP, BY_USAGE, 377, 65),
    "anthropic_code_execution_tool_stream.json": ("claude-sonnet-4-6", Ending.UNREADABLE, UNKNOWN, 4714, 304),
    "anthropic_model_thinking_part_stream.json": ("claude-sonnet-4", Ending.UNREADABLE, BY_USAGE, 43, 282),
    "anthropic_model_web_search_tool_stream.json": ("claude-sonnet-4", Ending.UNREADABLE, UNKNOWN, 22397, 637),
    "anthropic_text_editor_code_execution_tool_stream.json": (
        "claude-sonnet-4-6",
        Ending.UNREADABLE,
        UNKNOWN,
        7621,
        384,
    ),
    "anthropic_web_search_tool_stream.json": ("claude-sonnet-4", Ending.UNREADABLE, UNKNOWN, 31772, 644),
    "request_stream_fallback_for_high_max_tokens.json": ("claude-sonnet-4-5", Ending.UNREADABLE, BY_USAGE, 20, 5),
}
"""By file: the model asked, how the answer ends, what is billed, and the tokens in and out."""


@pytest.fixture
def model(claude: ClaudeServer, clock: SimulatedClock) -> ClaudeModel:
    return ClaudeModel(lambda _: claude.key, clock, url=claude.url)


@pytest.fixture
def api(reference_data: ReferenceData) -> ApiDescription:
    return ApiDescription(reference_data.path("specs", "anthropic-openapi.json"))


def recorded(data: ReferenceData) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give every recorded exchange, with its file's name."""
    for path in sorted(data.path(*LLM, "recorded", "anthropic").glob("*.json")):
        for entry in json.loads(path.read_text()):
            yield path.name, entry["response"]


def streams(data: ReferenceData) -> dict[str, str]:
    """Give every stream there is, by its file's name; a blank line ends each event, also the last."""
    files = sorted(data.path(*LLM, "anthropic-sse").iterdir())
    found = {path.name: path.read_text() for path in files}
    found |= {name: answer["body"] for name, answer in recorded(data) if isinstance(answer["body"], str)}
    return {name: text.rstrip() + "\n\n" for name, text in found.items()}


def messages(data: ReferenceData) -> list[tuple[str, Mapping[str, Any]]]:
    """Give every whole message that was recorded."""
    found = [(name, answer["body"]) for name, answer in recorded(data) if isinstance(answer["body"], dict)]
    return [(name, body) for name, body in found if body.get("type") == "message"]


class TestWhatIsSent:
    def test_a_request_is_of_the_described_form_and_leaves_the_words_to_the_model(
        self, model: ClaudeModel, claude: ClaudeServer, api: ApiDescription
    ) -> None:
        for attempt in (an_attempt(), an_attempt(caches=True, system=LONG), an_attempt(system="")):
            assert model.ask(attempt).ending is Ending.COMPLETE
        for asked in claude.requests:
            api.check_body("/v1/messages", "post", asked.body)
            assert asked.body.keys() <= {
                "model",
                "max_tokens",
                "messages",
                "system",
                "output_config",
                "inference_geo",
                "service_tier",
                "stream",
            }
        assert "system" not in claude.requests[-1].body

    def test_the_body_names_everything_that_fixes_the_price(self, model: ClaudeModel, claude: ClaudeServer) -> None:
        model.ask(an_attempt(most_tokens=600))
        assert claude.requests[0].body == {
            "model": HAIKU,
            "max_tokens": 600,
            "messages": [{"role": "user", "content": USER}],
            "system": [{"type": "text", "text": SYSTEM}],
            "output_config": {"effort": Effort.LOW, "format": {"type": "json_schema", "schema": dict(SCHEMA)}},
            "inference_geo": "global",
            "service_tier": "standard_only",
            "stream": True,
        }

    def test_the_system_text_is_cached_for_five_minutes_only_where_the_attempt_says_so(
        self, model: ClaudeModel, claude: ClaudeServer
    ) -> None:
        model.ask(an_attempt(caches=False))
        model.ask(an_attempt(caches=True))
        assert "cache_control" not in claude.requests[0].body["system"][0]
        assert claude.requests[1].body["system"][0]["cache_control"] == {"type": "ephemeral"}

    @pytest.mark.parametrize(
        ("place", "schema"),
        [
            ("schema.type", {"type": "array", "items": {"type": "string"}}),
            ("schema.additionalProperties", {"type": "object", "properties": {}}),
            ("schema.additionalProperties", {"type": "object", "additionalProperties": True}),
            ("schema.required", {"type": "object", "additionalProperties": False, "required": ["absent"]}),
            ("schema.properties.a.additionalProperties", {"a": {"type": "object", "properties": {}}}),
            ("schema.properties.a.maximum", {"a": {"type": "number", "maximum": 1}}),
            ("schema.properties.a.maxLength", {"a": {"type": "string", "maxLength": 5}}),
            ("schema.properties.a.format", {"a": {"type": "string", "format": "ticker"}}),
            ("schema.properties.a.minItems", {"a": {"type": "array", "items": {"type": "string"}, "minItems": 3}}),
            ("schema.properties.a.items.type", {"a": {"type": "array", "items": {"type": "text"}}}),
            ("schema.properties.a.items", {"a": {"type": "array"}}),
            ("schema.properties.a.anyOf.1.type", {"a": {"anyOf": [{"type": "null"}, {"type": ["string"]}]}}),
            ("schema.properties.a.anyOf", {"a": {"anyOf": []}}),
            ("schema.properties.a.type", {"a": {"$ref": "#/$defs/a"}}),
        ],
    )
    def test_a_schema_that_no_answer_can_be_held_to_is_refused_by_its_place_before_anything_is_sent(
        self, model: ClaudeModel, claude: ClaudeServer, place: str, schema: dict[str, Plain]
    ) -> None:
        inside: dict[str, Plain] = {"type": "object", "properties": schema, "additionalProperties": False}
        whole = schema if "type" in schema else inside
        reply = model.ask(an_attempt(schema=whole))
        assert (reply.ending, reply.billed) == (Ending.REJECTED, Billed.NOTHING)
        assert reply.detail.startswith(f"not sent: {place}: ")
        assert claude.requests == ()


class TestRecordedAnswers:
    @pytest.mark.filterwarnings("ignore:The model:DeprecationWarning")
    @pytest.mark.parametrize("name", STREAMS)
    def test_a_recorded_stream_ends_and_costs_what_it_must(
        self, reference_data: ReferenceData, clock: SimulatedClock, name: str
    ) -> None:
        found = streams(reference_data)
        if name not in found:
            assert reference_data.is_sample
            return
        asked, ending, billed, tokens_in, tokens_out = STREAMS[name]
        with ScriptedServer(reply(200, found[name].encode(), Content_Type=SSE, request_id="req_7")) as server:
            got = ClaudeModel(lambda _: "a-key", clock, url=server.url).ask(an_attempt(model=asked))
        assert (got.ending, got.billed) == (ending, billed), got.detail
        assert got.usage is not None
        assert (got.usage.prompt, got.usage.output) == (tokens_in, tokens_out)
        assert got.request_id == "req_7"
        assert got.model.startswith(asked)

    def test_every_stream_there_is_has_its_expected_ending(self, reference_data: ReferenceData) -> None:
        found = streams(reference_data).keys()
        assert len(found) >= 6
        assert found <= STREAMS.keys() if reference_data.is_sample else found == STREAMS.keys()

    def test_a_stream_whose_last_event_was_not_ended_is_broken_off(
        self, reference_data: ReferenceData, clock: SimulatedClock
    ) -> None:
        cut = streams(reference_data)["basic_response.txt"].rstrip()
        with ScriptedServer(reply(200, cut.encode(), Content_Type=SSE)) as server:
            got = ClaudeModel(lambda _: "a-key", clock, url=server.url).ask(an_attempt())
        assert (got.ending, got.billed) == (Ending.BROKEN_OFF, Billed.UNKNOWN)

    def test_a_recorded_message_is_never_counted_below_its_record(self, reference_data: ReferenceData) -> None:
        found = messages(reference_data)
        assert len(found) >= 5
        for name, body in found:
            got, counts = reply_of(Message.whole(body), ModelId(body["model"])), body["usage"]
            assert got.usage is not None, name
            record = Usage(
                input=counts["input_tokens"],
                output=counts["output_tokens"],
                cache_read=counts["cache_read_input_tokens"],
                cache_write=counts["cache_creation_input_tokens"],
            )
            if got.billed is Billed.BY_USAGE:
                assert got.usage == record, name
            else:
                assert got.usage.prompt >= record.prompt, name
                assert got.usage.output >= record.output, name

    def test_only_what_tokens_do_not_pay_for_is_taken_at_its_bound(self, reference_data: ReferenceData) -> None:
        bound = {
            name
            for name, body in messages(reference_data)
            if reply_of(Message.whole(body), ModelId(body["model"])).billed is Billed.UNKNOWN
        }
        plain = ("cache_real_api", "tool_with_thinking", "features", "model_instructions")
        assert bound
        assert all(any(word in name for word in ("advisor", "web_", "code_exec", "mcp")) for name in bound), bound
        assert not any(word in name for name in bound for word in plain)

    def test_cached_tokens_are_charged_at_their_own_prices(self, reference_data: ReferenceData) -> None:
        found = [body for name, body in messages(reference_data) if name == "anthropic_cache_real_api.json"]
        usages = [reply_of(Message.whole(body), ModelId(body["model"])).usage for body in found]
        charged = [STARTING_PRICES.charge(SONNET, NOW, usage) for usage in usages if usage is not None]
        exact = [
            3 * Decimal(2) + 1111 * Decimal("0.1") + 406 * Decimal(10),
            3 * Decimal(2) + 1111 * Decimal("0.1") + 418 * Decimal("2.5") + 33 * Decimal(10),
        ]
        assert charged == [ceil(cost) for cost in exact] == [4178, 1493]

    def test_a_recorded_error_costs_nothing(self, reference_data: ReferenceData) -> None:
        errors = [answer for _, answer in recorded(reference_data) if answer["status"] >= 400]
        assert len(errors) >= 2
        for answer in errors:
            got = refusal_of(answer["status"], answer["headers"], answer["body"], private=())
            assert (got.ending, got.billed) == (Ending.REJECTED, Billed.NOTHING)
            assert answer["body"]["error"]["message"][:60] in got.detail


class TestWhatIsCounted:
    def count(self, last: Mapping[str, Any] | None, first: Mapping[str, Any] | None = None) -> Reply:
        message = Message(model=HAIKU, stop_reason="end_turn", blocks={0: ("text", "{}")})
        message.counted_first, message.counted_last = first, last
        return reply_of(message, HAIKU)

    def test_the_larger_count_of_each_kind_holds(self) -> None:
        got = self.count(
            {"input_tokens": 5, "output_tokens": 90, "cache_read_input_tokens": 7},
            {"input_tokens": 50, "output_tokens": 1, "cache_creation_input_tokens": 600},
        )
        assert got.usage == Usage(input=50, output=90, cache_read=7, cache_write=600)
        assert got.billed is Billed.BY_USAGE

    @pytest.mark.parametrize(
        "last",
        [
            None,
            {},
            {"output_tokens": 5},
            {"input_tokens": 5},
            {"input_tokens": -1, "output_tokens": 5},
            {"input_tokens": "5", "output_tokens": 5},
            {"input_tokens": 5.0, "output_tokens": 5},
            {"input_tokens": True, "output_tokens": 5},
            {"input_tokens": 10**12, "output_tokens": 5},
            {"input_tokens": 5, "output_tokens": 5, "cache_read_input_tokens": "many"},
            {"input_tokens": 5, "output_tokens": 5, "iterations": "none"},
        ],
    )
    def test_a_count_that_is_missing_or_none_costs_the_bound(self, last: Mapping[str, Any] | None) -> None:
        got = self.count(last)
        assert (got.ending, got.billed, got.usage) == (Ending.COMPLETE, Billed.UNKNOWN, None)

    @pytest.mark.parametrize(
        "odd",
        [
            {"server_tool_use": {"web_search_requests": 1}},
            {"service_tier": "priority"},
            {"speed": "fast"},
            {"cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 9}},
            {"iterations": [{"type": "message", "input_tokens": 1, "output_tokens": 1, "model": "another"}]},
            {"iterations": [{"type": "compaction", "input_tokens": 1, "output_tokens": 1}]},
        ],
    )
    def test_what_tokens_alone_do_not_pay_for_costs_the_bound(self, odd: Mapping[str, Any]) -> None:
        got = self.count({"input_tokens": 5, "output_tokens": 5, **odd})
        assert got.billed is Billed.UNKNOWN
        assert got.usage is not None
        assert got.detail

    def test_what_was_written_to_the_cache_counts_by_its_parts_where_they_are_more(self) -> None:
        parts = {"ephemeral_5m_input_tokens": 600, "ephemeral_1h_input_tokens": 0}
        counted = {"input_tokens": 5, "output_tokens": 5, "cache_creation_input_tokens": 500, "cache_creation": parts}
        assert self.count(counted).usage == Usage(input=5, output=5, cache_write=600)

    def test_what_ran_inside_a_request_is_counted_together(self) -> None:
        inner = [{"type": "message", "input_tokens": 40, "output_tokens": 30}] * 2
        got = self.count({"input_tokens": 40, "output_tokens": 30, "iterations": inner})
        assert got.usage == Usage(input=80, output=60)

    @pytest.mark.parametrize(("geo", "dearer"), [("us", True), ("eu", True), ("global", False), (None, False)])
    def test_inference_kept_in_one_country_is_priced_as_that(self, geo: str | None, dearer: bool) -> None:
        got = self.count({"input_tokens": 5, "output_tokens": 5}, {"inference_geo": geo})
        assert got.usage == Usage(input=5, output=5, in_one_country=dearer)

    @pytest.mark.parametrize(
        ("answered", "billed"),
        [
            (HAIKU, BY_USAGE),
            (f"{HAIKU}-20261007", BY_USAGE),
            (SONNET, UNKNOWN),
            (f"{HAIKU}-pro", UNKNOWN),
            (f"{HAIKU}-2026100", UNKNOWN),
            ("claude-haiku-5x5", UNKNOWN),
            ("", UNKNOWN),
        ],
    )
    def test_only_the_model_that_was_asked_or_its_dated_form_is_paid_by_tokens(
        self, answered: str, billed: Billed
    ) -> None:
        body = {"input_tokens": 5, "output_tokens": 5}
        message = Message(model=answered, stop_reason="end_turn", blocks={0: ("text", "{}")}, counted_last=body)
        assert reply_of(message, HAIKU).billed is billed


class TestTheText:
    def test_blocks_of_text_are_joined_and_thinking_is_left_out(self, model: ClaudeModel, claude: ClaudeServer) -> None:
        claude.script(Answer(text='{"action": "hold", "confidence": "0.5"}', thinking="First this, then that."))
        got = model.ask(an_attempt())
        assert (got.ending, got.text) == (Ending.COMPLETE, '{"action": "hold", "confidence": "0.5"}')
        parts = {0: ("thinking", ""), 2: ("text", " 1}"), 1: ("text", '{"a":')}
        counted = {"input_tokens": 1, "output_tokens": 1}
        joined = reply_of(Message(model=HAIKU, stop_reason="end_turn", blocks=parts, counted_last=counted), HAIKU)
        assert (joined.ending, joined.text) == (Ending.COMPLETE, '{"a": 1}')

    @pytest.mark.parametrize(
        ("text", "whole"),
        [
            ('{"a": 1}', True),
            (' \n{"a": {"b": [1, 2.5, null, "x"]}}\n', True),
            ("{}", True),
            ('{"a": ' * 31 + "1" + "}" * 31, True),
            ('{"a": ' * 33 + "1" + "}" * 33, False),
            ('{"a": -Infinity}', False),
            ('{"a": "\\ud800"}', False),
            ('{"a": 1,}', False),
            ("\ufeff{}", False),
            ('{"a": ' + "9" * 5000 + "}", False),
        ],
    )
    def test_one_strict_object_counts_and_nothing_else(self, text: str, whole: bool) -> None:
        assert is_one_object(text) is whole

    def test_half_a_character_is_no_answer_and_its_text_can_be_kept(self) -> None:
        counted = {"input_tokens": 1, "output_tokens": 1}
        blocks = {0: ("text", '{"a": "\ud800"}')}
        got = reply_of(Message(model=HAIKU, stop_reason="end_turn", blocks=blocks, counted_last=counted), HAIKU)
        assert got.ending is Ending.UNREADABLE
        assert got.text.encode() == b'{"a": "?"}'

    @pytest.mark.parametrize("reason", ["tool_use", "pause_turn", "stop_sequence", "compaction", "a new one", None, 7])
    def test_an_end_that_is_not_one_is_an_abstention_paid_by_tokens(self, reason: object) -> None:
        counted = {"input_tokens": 1, "output_tokens": 1}
        blocks = {0: ("text", "{}")}
        got = reply_of(Message(model=HAIKU, stop_reason=reason, blocks=blocks, counted_last=counted), HAIKU)
        assert (got.ending, got.billed) == (Ending.OTHER_STOP, Billed.BY_USAGE)


class TestTheKey:
    def test_a_key_that_was_refused_is_read_anew_for_the_next_call_once_a_minute(
        self, claude: ClaudeServer, clock: SimulatedClock
    ) -> None:
        stored, read = {"key": "an-older-key"}, []

        def read_key(anew: bool) -> str:
            read.append(anew)
            return stored["key"] if anew else stored.setdefault("kept", "an-older-key")

        model = ClaudeModel(read_key, clock, url=claude.url)
        assert [model.ask(an_attempt()).ending for _ in range(3)] == [Ending.REJECTED] * 3
        assert read == [False, False, True, False]
        stored["key"] = claude.key
        clock.advance(timedelta(minutes=2))
        assert model.ask(an_attempt(at=clock.now())).ending is Ending.COMPLETE

    @pytest.mark.parametrize(
        ("problem", "ending"),
        [(Unavailable("no store"), Ending.UNREACHABLE), (MissingSecret(["claude"]), Ending.REJECTED)],
    )
    def test_without_a_key_nothing_is_sent_and_nothing_costs(
        self, claude: ClaudeServer, clock: SimulatedClock, problem: Exception, ending: Ending
    ) -> None:
        def read_key(_: bool) -> str:
            raise problem

        got = ClaudeModel(read_key, clock, url=claude.url).ask(an_attempt())
        assert (got.ending, got.billed) == (ending, Billed.NOTHING)
        assert claude.requests == ()

    @pytest.mark.parametrize("key", ["", "two\nlines", "schlüssel", "with a space"])
    def test_text_that_cannot_be_a_key_is_neither_sent_nor_told(
        self, claude: ClaudeServer, clock: SimulatedClock, key: str
    ) -> None:
        got = ClaudeModel(lambda _: key, clock, url=claude.url).ask(an_attempt())
        assert (got.ending, got.billed) == (Ending.REJECTED, Billed.NOTHING)
        assert claude.requests == ()
        assert not key or key not in got.detail

    def test_nothing_of_the_environment_is_used(
        self, claude: ClaudeServer, clock: SimulatedClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE", "ANTHROPIC_WEBHOOK_SIGNING_KEY"):
            monkeypatch.setenv(name, "another")
        monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
        monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        got = ClaudeModel(lambda _: claude.key, clock, url=claude.url).ask(an_attempt())
        assert got.ending is Ending.COMPLETE

    @pytest.mark.parametrize("url", ["http://api.anthropic.com", "https://user@x", "ftp://x", "http://10.0.0.1:80", ""])
    def test_an_address_that_would_carry_the_key_in_the_clear_is_refused(self, clock: SimulatedClock, url: str) -> None:
        with pytest.raises(InvalidValue, match=r"claude\.url"):
            ClaudeModel(lambda _: "a-key", clock, url=url)
        ClaudeModel(lambda _: "a-key", clock, url=f"{ADDRESS}/")


class TestTheSdk:
    def loaded(self, *lines: str) -> set[str]:
        program = "\n".join([*lines, "import sys", "print(*sys.modules)"])
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    def test_it_is_not_imported_before_a_call_is_sent(self) -> None:
        loaded = self.loaded(
            "from shared.adapters.anthropic.batches import ClaudeBatches",
            "from shared.adapters.anthropic.messages import ClaudeModel",
            "from shared.adapters.system_clock.clock import SystemClock",
            "from tests.fakes.questions import NOW, an_attempt",
            "model = ClaudeModel(lambda _: 'a-key', SystemClock())",
            "batches = ClaudeBatches(lambda _: 'a-key', SystemClock())",
            "assert model.ask(an_attempt(at=SystemClock().now(), seconds=0.5)).detail",
        )
        assert "shared.adapters.anthropic.messages" in loaded
        assert not {name for name in loaded if name.split(".")[0] in ("anthropic", "httpx2", "httpcore2", "pydantic")}
