"""The contract of `Model`, on every adapter of a provider that answers at once.

A provider joins by adding its `Wire` to WIRES; see model_wires.py.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from time import monotonic

import pytest

from shared.adapters.memory.clock import SimulatedClock
from shared.domain.questions import Billed, Ending, Reply
from tests.contract.chat_wires import DeepSeekWire, GeminiWire
from tests.contract.model_wires import ClaudeWire, Wire, dripping, flooding, resetting
from tests.fakes.questions import NOW, SYSTEM, USER, an_attempt
from tests.fakes.scripted_http import ScriptedServer, Step, hang, hang_up, reply

WIRES: Sequence[Wire] = [ClaudeWire(), DeepSeekWire(), GeminiWire()]

KEY = "key-of-the-contract-0123456789abcdef"
TEXT = '{"action": "hold", "confidence": "0.7"}'

Ask = Callable[..., Reply]
Badly = Callable[[str], Step]


@pytest.fixture(params=WIRES, ids=lambda wire: wire.name)
def wire(request: pytest.FixtureRequest) -> Wire:
    found: Wire = request.param
    return found


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture
def ask(wire: Wire, server: ScriptedServer) -> Ask:
    """Ask once, the provider answering with a step."""

    def asking(step: Step, seconds: float = 5.0) -> Reply:
        server.play(step)
        return wire.model(server.url, KEY, SimulatedClock(NOW)).ask(an_attempt(model=wire.asked, seconds=seconds))

    return asking


class TestAnAnswer:
    def test_a_normal_end_is_complete_with_its_text_and_its_tokens(self, ask: Ask, wire: Wire) -> None:
        found = ask(wire.complete(TEXT, input_tokens=321, output_tokens=45))
        assert (found.ending, found.billed, found.text) == (Ending.COMPLETE, Billed.BY_USAGE, TEXT)
        assert found.usage is not None
        assert (found.usage.prompt, found.usage.output) == (321, 45)
        assert found.model == wire.asked
        assert timedelta(0) < found.latency < timedelta(seconds=5)

    @pytest.mark.parametrize(
        "text",
        [
            f"Here it is: {TEXT}",
            f"```json\n{TEXT}\n```",
            f"{TEXT} {TEXT}",
            "[1, 2]",
            '"hold"',
            '{"confidence": NaN}',
            '{"confidence": 1e999}',
            '{"action": "hold", "action": "buy"}',
            '{"a": ' * 5000 + "1" + "}" * 5000,
            '{"action": "hold"',
        ],
        ids=["prose", "fence", "two", "list", "word", "nan", "huge", "twice", "deep", "cut"],
    )
    def test_text_that_is_not_one_strict_object_is_no_answer_and_is_paid_for(
        self, ask: Ask, wire: Wire, text: str
    ) -> None:
        found = ask(wire.complete(text, input_tokens=321, output_tokens=45))
        assert (found.ending, found.billed) == (Ending.UNREADABLE, Billed.BY_USAGE)
        assert found.usage is not None
        assert found.text == text

    def test_no_text_is_no_answer_and_is_paid_for(self, ask: Ask, wire: Wire) -> None:
        found = ask(wire.complete("", input_tokens=321, output_tokens=0))
        assert (found.ending, found.billed) == (Ending.EMPTY, Billed.BY_USAGE)

    def test_a_cut_answer_is_truncated_and_paid_for_even_when_it_can_be_read(self, ask: Ask, wire: Wire) -> None:
        found = ask(wire.truncated(TEXT, input_tokens=321, output_tokens=1024))
        assert (found.ending, found.billed) == (Ending.TRUNCATED, Billed.BY_USAGE)
        assert found.usage is not None
        assert found.usage.output == 1024

    def test_a_refusal_is_no_answer_and_is_paid_for(self, ask: Ask, wire: Wire) -> None:
        found = ask(wire.refused(input_tokens=321, output_tokens=3))
        assert (found.ending, found.billed) == (Ending.REFUSED, Billed.BY_USAGE)

    def test_an_answer_without_its_tokens_costs_its_bound(self, ask: Ask, wire: Wire) -> None:
        assert ask(wire.uncounted(TEXT)).billed is Billed.UNKNOWN

    def test_an_answer_of_another_model_costs_its_bound(self, ask: Ask, wire: Wire) -> None:
        found = ask(wire.answered_by("some-dearer-model", TEXT, input_tokens=321, output_tokens=45))
        assert (found.billed, found.model) == (Billed.UNKNOWN, "some-dearer-model")


class TestWhatTheProviderRefuses:
    def test_too_many_requests_cost_nothing_and_say_when_to_come_back(self, ask: Ask, wire: Wire) -> None:
        found = ask(wire.failure(429, "slow down", {"Retry_After": "7"}))
        assert (found.ending, found.billed) == (Ending.THROTTLED, Billed.NOTHING)
        assert found.retry_after == timedelta(seconds=7)

    @pytest.mark.parametrize("status", [401, 404, 413])
    def test_a_request_that_is_refused_costs_nothing(self, ask: Ask, wire: Wire, status: int) -> None:
        found = ask(wire.failure(status, "no", {}))
        assert (found.ending, found.billed) == (Ending.REJECTED, Billed.NOTHING)

    def test_no_money_at_the_provider_costs_nothing_and_is_told_apart(self, ask: Ask, wire: Wire) -> None:
        found = ask(wire.failure(402, "no money", {}))
        assert (found.ending, found.billed) == (Ending.SPEND_LIMIT, Billed.NOTHING)

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_an_error_of_the_server_costs_its_bound(self, ask: Ask, wire: Wire, status: int) -> None:
        found = ask(wire.failure(status, "broken", {}))
        assert (found.ending, found.billed) == (Ending.SERVER_ERROR, Billed.UNKNOWN)

    @pytest.mark.parametrize("status", [200, 404, 502])
    def test_a_page_from_something_in_between_costs_its_bound(self, ask: Ask, status: int) -> None:
        found = ask(reply(status, b"<html>Bad gateway</html>", Content_Type="text/html"))
        assert found.billed is Billed.UNKNOWN
        assert found.ending in (Ending.SERVER_ERROR, Ending.BROKEN_OFF)


class TestTheNetwork:
    @pytest.mark.parametrize("slowly", [lambda _: hang, dripping], ids=["silence", "drip"])
    def test_nothing_is_waited_for_past_the_deadline_and_what_was_sent_costs_its_bound(
        self, ask: Ask, wire: Wire, slowly: Badly
    ) -> None:
        began = monotonic()
        found = ask(slowly(wire.content_type), 2.0)
        assert monotonic() - began < 10
        assert (found.ending, found.billed) == (Ending.TIMED_OUT, Billed.UNKNOWN)

    @pytest.mark.parametrize("badly", [lambda _: hang_up, resetting, flooding], ids=["hung up", "reset", "flood"])
    def test_an_answer_that_breaks_off_costs_its_bound(self, ask: Ask, wire: Wire, badly: Badly) -> None:
        found = ask(badly(wire.content_type))
        assert (found.ending, found.billed) == (Ending.BROKEN_OFF, Billed.UNKNOWN)

    def test_an_answer_without_the_end_that_its_form_demands_costs_its_bound(self, ask: Ask, wire: Wire) -> None:
        found = ask(wire.broken_off(TEXT))
        assert (found.ending, found.billed) == (Ending.BROKEN_OFF, Billed.UNKNOWN)

    def test_what_never_left_costs_nothing(self, wire: Wire) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        found = wire.model(url, KEY, SimulatedClock(NOW)).ask(an_attempt(model=wire.asked))
        assert (found.ending, found.billed) == (Ending.UNREACHABLE, Billed.NOTHING)

    def test_too_little_time_sends_nothing(self, ask: Ask, wire: Wire, server: ScriptedServer) -> None:
        found = ask(wire.complete(TEXT, input_tokens=1, output_tokens=1), 0.5)
        assert (found.ending, found.billed) == (Ending.TIMED_OUT, Billed.NOTHING)
        assert server.arrived == []


class TestOneAsk:
    @pytest.mark.parametrize("status", [401, 408, 409, 429, 500, 502, 503, 504, 529])
    def test_is_one_request_whatever_the_answer(
        self, ask: Ask, wire: Wire, server: ScriptedServer, status: int
    ) -> None:
        ask(wire.failure(status, "no", {}))
        assert len(server.arrived) == 1

    @pytest.mark.parametrize(
        "badly",
        [lambda _: hang, lambda _: hang_up, resetting, dripping],
        ids=["silence", "hung up", "reset", "drip"],
    )
    def test_is_one_request_whatever_the_network_does(
        self, ask: Ask, wire: Wire, server: ScriptedServer, badly: Badly
    ) -> None:
        ask(badly(wire.content_type), 2.0)
        assert len(server.arrived) == 1

    def test_is_followed_nowhere_else(self, ask: Ask, server: ScriptedServer) -> None:
        ask(reply(307, b"", Location=f"{server.url}/elsewhere"))
        assert len(server.arrived) == 1


class TestWhatIsTold:
    @pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
    def test_nothing_that_is_told_repeats_the_key_or_the_prompt(
        self, ask: Ask, wire: Wire, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        found = ask(wire.failure(status, f"bad key {KEY} for: {USER}", {}))
        told = f"{found.detail} {found.text} {found.request_id} {caplog.text}"
        assert KEY not in told
        assert KEY[:20] not in told
        assert USER[:30] not in told

    def test_the_prompt_and_the_schema_arrive_as_they_are(self, ask: Ask, wire: Wire, server: ScriptedServer) -> None:
        ask(wire.complete(TEXT, input_tokens=1, output_tokens=1))
        sent = json.dumps(json.loads(server.arrived[0].body), ensure_ascii=False)
        assert SYSTEM in sent
        assert USER in sent
        assert "confidence" in sent
