"""The played Claude: it speaks as described, refuses what the real one refuses, and charges by its price list."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import ceil
from time import monotonic
from typing import Any, Final

import httpx
import pytest
from anthropic import Anthropic
from hypothesis import given
from hypothesis import strategies as st

from local_stack.claude.mind import Answer, prompt_tokens
from local_stack.claude.server import ClaudeServer
from local_stack.claude.tariff import KINDS, Tariff
from local_stack.claude.trouble import CHARGED, Misbehaviour, Script
from shared.adapters.anthropic.asking import request_for
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.errors import Unavailable
from shared.domain.model_prices import HAIKU, OPUS, SONNET, STARTING_PRICES, Usage
from tests.conftest import ReferenceData
from tests.fakes.openapi import ApiDescription
from tests.fakes.questions import NOW, SCHEMA, an_attempt

M: Final = Misbehaviour
LONG: Final = "You weigh what happened against what was expected. " * 60


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(NOW)


@pytest.fixture
def claude(clock: SimulatedClock) -> Iterator[ClaudeServer]:
    with ClaudeServer(clock) as running:
        yield running


@pytest.fixture
def client(claude: ClaudeServer) -> Iterator[httpx.Client]:
    headers = {"x-api-key": claude.key, "anthropic-version": "2023-06-01"}
    with httpx.Client(base_url=claude.url, headers=headers, trust_env=False, timeout=10) as made:
        yield made


@pytest.fixture
def api(reference_data: ReferenceData) -> ApiDescription:
    return ApiDescription(reference_data.path("specs", "anthropic-openapi.json"))


def body(**changes: Any) -> dict[str, Any]:
    return {**request_for(an_attempt()), **changes}


def ask(client: httpx.Client, **changes: Any) -> httpx.Response:
    return client.post("/v1/messages", json=body(**changes))


class TestWhatItSays:
    def test_a_message_is_of_the_described_form_and_fits_the_schema(
        self, client: httpx.Client, api: ApiDescription
    ) -> None:
        found = ask(client)
        api.check_reply("/v1/messages", "post", 200, found.json())
        value = json.loads(found.json()["content"][0]["text"])
        assert value.keys() == dict(SCHEMA)["properties"].keys()  # type: ignore[union-attr]
        assert value["action"] in ("hold", "buy")
        assert found.headers["request-id"].startswith("req_")
        assert found.headers["anthropic-ratelimit-requests-remaining"]

    def test_the_same_question_has_the_same_answer(self, client: httpx.Client) -> None:
        other = [{"role": "user", "content": "Something else."}]
        texts = [ask(client, **change).json()["content"] for change in ({}, {}, {"messages": other})]
        assert texts[0] == texts[1] != texts[2]

    def test_a_stream_adds_up_to_the_message_in_its_events_and_in_the_sdk(
        self, claude: ClaudeServer, client: httpx.Client
    ) -> None:
        claude.answer_with(lambda _: Answer(text='{"action": "hold"}' + " " * 900, thinking="This, then that."))
        whole = ask(client).json()
        streamed = ask(client, stream=True)
        assert streamed.headers["content-type"].startswith("text/event-stream")
        names = [line.removeprefix("event: ") for line in streamed.text.splitlines() if line.startswith("event: ")]
        assert names[:3] == ["message_start", "ping", "content_block_start"]
        assert names[-2:] == ["message_delta", "message_stop"]
        asked = {name: body()[name] for name in ("model", "max_tokens", "messages", "output_config")}
        with (
            Anthropic(api_key=claude.key, base_url=claude.url, max_retries=0) as sdk,
            sdk.messages.stream(**asked) as stream,
        ):
            final = stream.get_final_message()
        assert [block.type for block in final.content] == ["thinking", "text"]
        assert final.content[1].text == whole["content"][1]["text"]  # type: ignore[union-attr]
        assert final.usage.output_tokens == whole["usage"]["output_tokens"]

    def test_models_and_counts_are_of_the_described_form(self, client: httpx.Client, api: ApiDescription) -> None:
        listed = client.get("/v1/models").json()
        assert [entry["id"] for entry in listed["data"]] == [HAIKU, SONNET]
        counted = client.post("/v1/messages/count_tokens", json={"model": HAIKU, "messages": body()["messages"]})
        api.check_reply("/v1/messages/count_tokens", "post", 200, counted.json())
        assert 40 < counted.json()["input_tokens"] < 120

    def test_batches_are_of_the_described_form(
        self, client: httpx.Client, api: ApiDescription, clock: SimulatedClock
    ) -> None:
        taken = client.post("/v1/messages/batches", json={"requests": [{"custom_id": "a", "params": body()}]})
        api.check_reply("/v1/messages/batches", "post", 200, taken.json())
        name = taken.json()["id"]
        assert client.get(f"/v1/messages/batches/{name}/results").status_code == 404
        clock.advance(timedelta(minutes=1))
        ended = client.get(f"/v1/messages/batches/{name}").json()
        api.check_reply("/v1/messages/batches/{message_batch_id}", "get", 200, ended)
        assert (ended["processing_status"], ended["request_counts"]["succeeded"]) == ("ended", 1)
        lines = client.get(f"/v1/messages/batches/{name}/results").text.splitlines()
        api.check_schema("MessageBatchIndividualResponse", json.loads(lines[0]))

    def test_an_error_is_of_the_described_form(
        self, client: httpx.Client, claude: ClaudeServer, api: ApiDescription
    ) -> None:
        for kind in (M.TOO_MANY_REQUESTS, M.PAYMENT_REQUIRED, M.NO_CREDIT, M.OVERLOADED, M.SERVER_ERROR):
            claude.script(kind)
            found = ask(client)
            api.check_schema("ErrorResponse", found.json())
            assert ("retry-after" in found.headers) == (kind is M.TOO_MANY_REQUESTS)


class TestWhatItRefuses:
    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"temperature": 0}, "temperature"),
            ({"top_p": 0.5}, "top_p"),
            ({"top_k": 5}, "top_k"),
            ({"tool_choice": {"type": "tool", "name": "answer"}}, "tool_choice"),
            ({"thinking": {"type": "disabled"}}, "thinking"),
            ({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "{"}]}, "prefill"),
            ({"messages": []}, "messages"),
            ({"messages": [{"role": "user", "content": ""}]}, "non-empty"),
            ({"system": [{"type": "text", "text": ""}]}, "system"),
            ({"max_tokens": "many"}, "max_tokens"),
            ({"max_tokens": 1_000_000}, "max_tokens"),
            ({"prompt": "Hi"}, "prompt: Extra inputs"),
            ({"service_tier": "fastest"}, "service_tier"),
            ({"inference_geo": "moon"}, "inference_geo"),
            ({"output_config": {"effort": "enormous"}}, "effort"),
            (
                {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}}}},
                "additionalProperties",
            ),
        ],
    )
    def test_a_request_that_the_models_do_not_take_is_refused_and_free(
        self, client: httpx.Client, claude: ClaudeServer, changes: dict[str, Any], words: str
    ) -> None:
        found = ask(client, **changes)
        assert found.status_code == 400
        assert words in found.json()["error"]["message"]
        assert claude.charged().lines == []

    def test_bounds_inside_a_schema_are_refused(self, client: httpx.Client) -> None:
        inner = {"share": {"type": "number", "maximum": 1}}
        schema = {"type": "object", "properties": inner, "additionalProperties": False}
        found = ask(client, output_config={"format": {"type": "json_schema", "schema": schema}})
        assert "maximum" in found.json()["error"]["message"]

    @pytest.mark.parametrize("key", [None, "another", "Bearer another"])
    def test_nobody_is_served_without_the_key(self, claude: ClaudeServer, key: str | None) -> None:
        headers = {"anthropic-version": "2023-06-01"} | ({"x-api-key": key} if key else {})
        found = httpx.post(f"{claude.url}/v1/messages", json=body(), headers=headers, trust_env=False)
        assert (found.status_code, found.json()["error"]["type"]) == (401, "authentication_error")

    def test_a_request_without_a_version_a_known_path_or_a_known_model_is_refused(
        self, client: httpx.Client, claude: ClaudeServer
    ) -> None:
        bare = httpx.post(f"{claude.url}/v1/messages", headers={"x-api-key": claude.key}, json=body(), trust_env=False)
        assert bare.status_code == 400
        assert client.get("/v1/weather").status_code == 404
        assert ask(client, model=OPUS).status_code == 404


class TestWhatItCharges:
    @given(
        st.fixed_dictionaries({kind: st.integers(0, 150_000) for kind in KINDS}),
        st.sampled_from([HAIKU, SONNET]),
        st.integers(0, 120 * 24).map(lambda hours: datetime(2026, 9, 1, tzinfo=UTC) + timedelta(hours=hours)),
        st.booleans(),
    )
    def test_two_computations_agree_for_any_tokens_date_and_length(
        self, tokens: Mapping[str, int], model: Any, at: datetime, batch: bool
    ) -> None:
        tariff = Tariff(STARTING_PRICES.rows)
        if model not in tariff.models(at):
            assert model in STARTING_PRICES.unusable([model], at)
            return
        usage = Usage(
            input=tokens["input"],
            output=tokens["output"],
            cache_read=tokens["cache_read"],
            cache_write=tokens["cache_write"],
            batch=batch,
        )
        assert STARTING_PRICES.charge(model, at, usage) == ceil(tariff.cost(model, at, tokens, batch=batch))

    def test_the_bill_has_a_line_for_each_answer_and_adds_up(self, client: httpx.Client, claude: ClaudeServer) -> None:
        tokens = {"input": 1000, "output": 100, "cache_read": 10, "cache_write": 7}
        claude.script(Answer(text="{}", tokens=tokens), Answer(text="{}", tokens={**tokens, "input": 200_000}))
        ask(client)
        ask(client)
        lines = [entry.cost for entry in claude.charged().lines]
        assert lines == [Decimal("150.975"), Decimal("100254.875")]
        assert claude.charged().total == sum(lines)

    def test_what_was_written_is_charged_though_the_caller_hung_up(
        self, client: httpx.Client, claude: ClaudeServer
    ) -> None:
        for kind in (M.TIMEOUT_AFTER_GENERATION, M.HANG):
            claude.script(kind)
            with pytest.raises(httpx.ReadTimeout):
                client.post("/v1/messages", json=body(), timeout=0.3)
        claude.script(Answer(text="{}", seconds=0.4))
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/messages", json=body(), timeout=0.1)
        until = monotonic() + 5
        while len(claude.charged().lines) < 2 and monotonic() < until:
            ask(client, messages=[])
        assert len(claude.charged().lines) == 2

    def test_a_long_prefix_is_written_once_and_read_for_five_minutes_after_its_last_use(
        self, client: httpx.Client, claude: ClaudeServer, clock: SimulatedClock
    ) -> None:
        cached = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
        found = []
        for wait in (0, 4, 4, 5):
            clock.advance(timedelta(minutes=wait))
            usage = ask(client, system=cached).json()["usage"]
            found.append((usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]))
        size = -(-len(LONG) // 4)
        assert found == [(size, 0), (0, size), (0, size), (size, 0)]
        short = [{**cached[0], "text": "Be brief."}]
        assert ask(client, system=short).json()["usage"]["cache_creation_input_tokens"] == 0

    def test_an_answer_longer_than_allowed_is_cut_and_charged_at_what_was_allowed(
        self, client: httpx.Client, claude: ClaudeServer
    ) -> None:
        claude.script(Answer(text="word " * 1000))
        found = ask(client, max_tokens=50).json()
        assert (found["stop_reason"], found["usage"]["output_tokens"]) == ("max_tokens", 50)
        assert len(found["content"][0]["text"]) == 200

    @given(st.text(max_size=300), st.text(min_size=1, max_size=300).filter(str.strip), st.booleans())
    def test_a_prompt_never_has_more_tokens_than_the_bound_that_is_reserved(
        self, system: str, user: str, caches: bool
    ) -> None:
        attempt = an_attempt(system=system, user=user, caches=caches)
        assert prompt_tokens(request_for(attempt), 1) <= attempt.question.input_bound


class TestWhatItIsTold:
    def test_a_script_is_played_in_order_and_then_all_is_well(self, client: httpx.Client, claude: ClaudeServer) -> None:
        claude.script(M.OVERLOADED, None, M.NO_CREDIT)
        assert [ask(client).status_code for _ in range(4)] == [529, 200, 400, 200]
        claude.script(M.OVERLOADED)
        claude.misbehave({M.SERVER_ERROR: 1.0}, seed=1)
        assert ask(client).status_code == 529
        assert ask(client).status_code == 500
        claude.behave()
        assert ask(client).status_code == 200

    def test_chance_depends_on_the_seed_and_the_request_and_not_on_the_order(self) -> None:
        requests = [f"request {number}".encode() for number in range(400)]

        def drawn(order: list[bytes], seed: int) -> dict[bytes, object]:
            script = Script()
            script.by_chance({M.OVERLOADED: 0.2, M.HANG: 0.1}, seed)
            return {raw: script.step("/v1/messages", raw) for raw in order}

        forward, backward = drawn(requests, 7), drawn(requests[::-1], 7)
        assert forward == backward != drawn(requests, 8)
        counted = Counter(forward.values())
        assert 50 < counted[M.OVERLOADED] < 110
        assert 20 < counted[M.HANG] < 60

    def test_sixty_four_callers_are_served_side_by_side(self, claude: ClaudeServer, client: httpx.Client) -> None:
        claude.answer_with(lambda _: Answer(seconds=0.3))
        began = monotonic()
        with ThreadPoolExecutor(64) as pool:
            found = list(pool.map(lambda _: ask(client).status_code, range(64)))
        assert found == [200] * 64
        assert monotonic() - began < 5
        assert len(claude.charged().lines) == len(claude.requests) == 64

    def test_every_misbehaviour_that_comes_after_the_answer_is_charged(self) -> None:
        assert {M.TIMEOUT_AFTER_GENERATION, M.RESET_MID_STREAM, M.GATEWAY_TIMEOUT, M.REFUSAL} <= CHARGED
        assert not CHARGED & {M.TOO_MANY_REQUESTS, M.SPEND_LIMIT, M.OVERLOADED, M.HANG, M.RESET, M.CANCELED}

    def test_a_taken_port_is_said(self, claude: ClaudeServer, clock: SimulatedClock) -> None:
        with pytest.raises(Unavailable, match="cannot listen"):
            ClaudeServer(clock, port=int(claude.url.rpartition(":")[2])).start()
