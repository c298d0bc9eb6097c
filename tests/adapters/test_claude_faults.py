"""Whatever Claude or the network does, an ask ends in time, and what it says it costs is never below the bill."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib import import_module
from math import ceil
from threading import Event
from time import monotonic
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_stack.claude.mind import Answer
from local_stack.claude.server import ClaudeServer
from local_stack.claude.trouble import CHARGED, Misbehaviour
from shared.adapters.anthropic.answers import Garbled, Message, is_one_object
from shared.adapters.anthropic.failures import refusal_of
from shared.adapters.anthropic.messages import ClaudeModel
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.model_prices import HAIKU, STARTING_PRICES
from shared.domain.questions import Attempt, Billed, Ending, Reply
from tests.fakes.questions import NOW, an_attempt
from tests.fakes.scripted_http import ScriptedServer, Step, hang, reply

M: Final = Misbehaviour
SSE: Final = "text/event-stream; charset=utf-8"
BY_USAGE, NOTHING, UNKNOWN = Billed.BY_USAGE, Billed.NOTHING, Billed.UNKNOWN

ENDINGS: Final[Mapping[Misbehaviour, tuple[Ending, Billed]]] = {
    M.TOO_MANY_REQUESTS: (Ending.THROTTLED, NOTHING),
    M.TOO_MANY_WITHOUT_A_TIME: (Ending.THROTTLED, NOTHING),
    M.SPEND_LIMIT: (Ending.SPEND_LIMIT, NOTHING),
    M.PAYMENT_REQUIRED: (Ending.SPEND_LIMIT, NOTHING),
    M.NO_CREDIT: (Ending.SPEND_LIMIT, NOTHING),
    M.OVERLOADED: (Ending.OVERLOADED, NOTHING),
    M.SERVER_ERROR: (Ending.SERVER_ERROR, UNKNOWN),
    M.GATEWAY_TIMEOUT: (Ending.SERVER_ERROR, UNKNOWN),
    M.RESET: (Ending.BROKEN_OFF, UNKNOWN),
    M.HANG: (Ending.TIMED_OUT, UNKNOWN),
    M.TIMEOUT_AFTER_GENERATION: (Ending.TIMED_OUT, UNKNOWN),
    M.SLOW_DRIP: (Ending.TIMED_OUT, UNKNOWN),
    M.RESET_MID_STREAM: (Ending.BROKEN_OFF, UNKNOWN),
    M.CUT_STREAM: (Ending.BROKEN_OFF, UNKNOWN),
    M.ERROR_IN_STREAM: (Ending.BROKEN_OFF, UNKNOWN),
    M.REFUSAL: (Ending.REFUSED, BY_USAGE),
    M.MAX_TOKENS: (Ending.TRUNCATED, BY_USAGE),
    M.CONTEXT_EXCEEDED: (Ending.CONTEXT_EXCEEDED, BY_USAGE),
    M.EMPTY: (Ending.EMPTY, BY_USAGE),
    M.PROSE: (Ending.UNREADABLE, BY_USAGE),
    M.THINKING_FIRST: (Ending.COMPLETE, BY_USAGE),
}


@pytest.fixture(autouse=True, scope="module")
def _sdk() -> None:
    """Import the SDK before the shortest deadlines here are asked for: it takes about a second."""
    import_module("shared.adapters.anthropic.sdk")


@pytest.fixture
def claude() -> Iterator[ClaudeServer]:
    with ClaudeServer(SimulatedClock(NOW)) as running:
        yield running


@pytest.fixture
def model(claude: ClaudeServer) -> ClaudeModel:
    return ClaudeModel(lambda _: claude.key, SimulatedClock(NOW), url=claude.url)


def ask_of(step: Step, attempt: Attempt | None = None, scheme: str = "http") -> Reply:
    """Ask a server that plays one step."""
    with ScriptedServer(step) as server:
        url = server.url.replace("http", scheme, 1)
        return ClaudeModel(lambda _: "a-key-of-ours", SimulatedClock(NOW), url=url).ask(attempt or an_attempt())


def stream_of(*events: object) -> Step:
    """Answer with events; bytes go out as they are."""
    parts = [event if isinstance(event, bytes) else _event(event) for event in events]
    return reply(200, b"".join(parts), Content_Type=SSE)


def _event(event: Any) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def bound_of(attempt: Attempt) -> int:
    """Give what is reserved for an attempt."""
    return STARTING_PRICES.worst_case(
        attempt.model,
        NOW,
        attempt.deadline,
        input_tokens=attempt.question.input_bound,
        output_tokens=attempt.most_tokens,
        caches=attempt.caches,
    )


def booked(attempt: Attempt, found: Reply) -> int:
    """Give what the budget takes for a reply."""
    if found.billed is Billed.BY_USAGE:
        assert found.usage is not None
        return STARTING_PRICES.charge(attempt.model, NOW, found.usage)
    return bound_of(attempt) if found.billed is Billed.UNKNOWN else 0


class TestEveryMisbehaviour:
    @pytest.mark.parametrize("kind", ENDINGS)
    def test_has_its_ending_and_is_booked_at_least_at_what_was_charged(
        self, model: ClaudeModel, claude: ClaudeServer, kind: Misbehaviour
    ) -> None:
        claude.script(kind)
        attempt = an_attempt(seconds=2.0)
        found = model.ask(attempt)
        assert (found.ending, found.billed) == ENDINGS[kind], found.detail
        bill = claude.charged()
        assert len(bill.lines) == (1 if kind in CHARGED else 0)
        assert booked(attempt, found) >= bill.total
        if found.billed is Billed.BY_USAGE:
            assert booked(attempt, found) == ceil(bill.total)
        assert len(claude.requests) == 1

    def test_is_listed_here(self) -> None:
        assert set(Misbehaviour) - {M.CANCELED, M.EXPIRED} == ENDINGS.keys()

    def test_at_random_among_sixteen_callers_leaves_the_bill_covered(
        self, model: ClaudeModel, claude: ClaudeServer
    ) -> None:
        slow = {M.HANG, M.TIMEOUT_AFTER_GENERATION, M.SLOW_DRIP}
        claude.misbehave({kind: 0.02 if kind in slow else 0.03 for kind in ENDINGS}, seed=26)
        attempts = [an_attempt(seconds=2.5, user=f"question {number}") for number in range(150)]
        with ThreadPoolExecutor(16) as pool:
            replies = list(pool.map(model.ask, attempts))
        paid = sum(booked(attempt, found) for attempt, found in zip(attempts, replies, strict=True))
        assert len({found.ending for found in replies}) > 8
        assert len(claude.requests) == len(attempts)
        assert 0 < claude.charged().total <= paid

    def test_leaves_each_of_many_callers_its_own_answer(self, model: ClaudeModel, claude: ClaudeServer) -> None:
        claude.answer_with(lambda body: Answer(text=json.dumps({"echo": body["messages"][0]["content"]}), seconds=0.05))
        asked = [f"question {number}" for number in range(64)]
        with ThreadPoolExecutor(64) as pool:
            found = list(pool.map(lambda user: model.ask(an_attempt(seconds=20, user=user)), asked))
        assert [json.loads(one.text)["echo"] for one in found] == asked


class TestLimitsOnSpending:
    def refusal(
        self, status: int, error: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> tuple[Ending, Billed]:
        body = {"type": "error", "error": error, "request_id": "req_1"}
        found = refusal_of(status, headers or {}, body, private=())
        return found.ending, found.billed

    @pytest.mark.parametrize(
        "code",
        ["enforced_spend_limit_reached", "contract_spend_limit_reached", "linked_organization_billing_unavailable"],
    )
    @pytest.mark.parametrize("status", [400, 403, 429])
    def test_are_told_by_their_code(self, status: int, code: str) -> None:
        error = {"type": "rate_limit_error", "message": "Too much.", "details": {"error_code": code}}
        assert self.refusal(status, error) == (Ending.SPEND_LIMIT, NOTHING)

    @pytest.mark.parametrize(
        "message",
        [
            "You have reached your specified API usage limits. You will regain access on 2026-12-01.",
            "Your credit balance is too low to access the Anthropic API.",
            "enforced_spend_limit_reached",
            "The organization's spend limit is reached.",
        ],
    )
    @pytest.mark.parametrize("status", [400, 429])
    def test_are_told_by_their_words_where_there_is_no_code(self, status: int, message: str) -> None:
        error = {"type": "invalid_request_error", "message": message}
        assert self.refusal(status, error) == (Ending.SPEND_LIMIT, NOTHING)

    def test_are_not_seen_in_a_limit_on_speed(self) -> None:
        error = {"type": "rate_limit_error", "message": "See your billing page for your rate limits."}
        assert self.refusal(429, error, {"retry-after": "3"}) == (Ending.THROTTLED, NOTHING)
        coded = {**error, "details": {"error_code": "rate_limited"}}
        assert self.refusal(429, coded) == (Ending.THROTTLED, NOTHING)

    def test_are_not_seen_in_a_request_that_is_merely_wrong(self) -> None:
        error = {"type": "invalid_request_error", "message": "schema.properties.credit_rating: unknown keyword spend"}
        assert self.refusal(400, error) == (Ending.REJECTED, NOTHING)

    @pytest.mark.parametrize("wait", ["soon", "-1", "nan", ""])
    def test_a_wait_that_is_none_is_left_out(self, wait: str) -> None:
        body = {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down."}}
        found = refusal_of(429, {"retry-after": wait}, body, private=())
        assert (found.ending, found.retry_after) == (Ending.THROTTLED, None)

    def test_a_wait_beyond_a_day_is_a_day(self) -> None:
        body = {"type": "error", "error": {"type": "rate_limit_error", "message": "Slow down."}}
        assert refusal_of(429, {"retry-after": "1e300"}, body, private=()).retry_after == timedelta(days=1)


class TestTheDeadline:
    def test_bounds_an_answer_kept_alive_by_pings(self) -> None:
        def pings(connection: socket.socket, over: Event) -> None:
            connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {SSE}\r\nContent-Length: 9000000\r\n\r\n".encode())
            with contextlib.suppress(OSError):
                while not over.wait(0.02):
                    connection.sendall(_event({"type": "ping"}))

        self.bounded(pings)

    def test_bounds_headers_that_come_a_letter_at_a_time(self) -> None:
        def letters(connection: socket.socket, over: Event) -> None:
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            with contextlib.suppress(OSError):
                while not over.wait(0.02):
                    connection.sendall(b"a")

        self.bounded(letters)

    def test_bounds_the_body_of_an_error(self) -> None:
        def error(connection: socket.socket, over: Event) -> None:
            connection.sendall(b"HTTP/1.1 429 Busy\r\nContent-Type: application/json\r\nContent-Length: 9000\r\n\r\n")
            with contextlib.suppress(OSError):
                while not over.wait(0.02):
                    connection.sendall(b" ")

        self.bounded(error)

    def test_bounds_a_request_that_nobody_reads(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            model = ClaudeModel(lambda _: "a-key", SimulatedClock(NOW), url=f"http://127.0.0.1:{deaf.getsockname()[1]}")
            began = monotonic()
            found = model.ask(an_attempt(seconds=2.0, user="x" * 12_000_000))
        assert monotonic() - began < 10
        assert (found.ending, found.billed) == (Ending.TIMED_OUT, Billed.UNKNOWN)

    def test_of_a_handshake_is_two_seconds_and_costs_nothing(self) -> None:
        began = monotonic()
        found = ask_of(hang, an_attempt(seconds=30), scheme="https")
        assert 1.5 < monotonic() - began < 10
        assert (found.ending, found.billed) == (Ending.UNREACHABLE, Billed.NOTHING)

    def test_of_a_name_that_is_never_found_is_two_seconds_and_costs_nothing(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        over = Event()

        def never(*_: object, **__: object) -> list[Any]:
            over.wait(20)
            return []

        monkeypatch.setattr(socket, "getaddrinfo", never)
        began = monotonic()
        found = ClaudeModel(lambda _: "a-key", SimulatedClock(NOW)).ask(an_attempt(seconds=30))
        over.set()
        assert 1.5 < monotonic() - began < 10
        assert (found.ending, found.billed) == (Ending.UNREACHABLE, Billed.NOTHING)

    def test_that_has_passed_sends_nothing(self, model: ClaudeModel, claude: ClaudeServer) -> None:
        found = model.ask(an_attempt(seconds=-3600))
        assert (found.ending, found.billed) == (Ending.TIMED_OUT, Billed.NOTHING)
        assert claude.requests == ()

    def bounded(self, step: Step) -> None:
        began = monotonic()
        found = ask_of(step, an_attempt(seconds=2.0))
        assert monotonic() - began < 10
        assert (found.ending, found.billed) == (Ending.TIMED_OUT, Billed.UNKNOWN)


START: Final = {"type": "message_start", "message": {"model": HAIKU, "usage": {"input_tokens": 9, "output_tokens": 1}}}
BLOCK: Final = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
TEXT: Final = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": '{"a": 1}'}}
END: Final = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}}
STOP: Final = {"type": "message_stop"}


WORDS: Final = ("type", "index", "delta", "message", "content_block", "usage", "text", "content", "stop_reason")
TYPES: Final = ("message_start", "content_block_start", "content_block_delta", "message_delta", "text_delta", "text")


def _nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    typed = st.fixed_dictionaries({"type": st.sampled_from(TYPES)}, optional=dict.fromkeys(WORDS[1:], inner))
    return st.lists(inner, max_size=3) | typed


class TestStreamsThatAreNone:
    @pytest.mark.parametrize(
        "events",
        [
            (),
            (START, BLOCK, TEXT, END),
            (START, BLOCK, TEXT, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
            (START, BLOCK, b"event: content_block_delta\ndata: {not json\n\n", END, STOP),
            (START, BLOCK, b"event: content_block_delta\ndata: [1]\n\n", END, STOP),
            (START, BLOCK, b"event: content_block_delta\ndata: \xff\xfe\n\n", END, STOP),
            (START, TEXT, END, STOP),
            ({"type": "message_start"}, STOP),
            (START, {"type": "content_block_start", "index": "0", "content_block": {}}, STOP),
            (START, {"type": "message_delta", "delta": None}, STOP),
            (b"event: message_start\ndata: " + b'{"a":' * 3000 + b"\n\n", STOP),
        ],
    )
    def test_are_broken_off_and_cost_the_bound(self, events: tuple[object, ...]) -> None:
        found = ask_of(stream_of(*events))
        assert (found.ending, found.billed) == (Ending.BROKEN_OFF, Billed.UNKNOWN)
        assert found.detail

    def test_may_hold_events_that_nobody_knows_yet(self) -> None:
        found = ask_of(stream_of(START, {"type": "weather"}, BLOCK, {"type": "ping"}, TEXT, END, STOP))
        assert (found.ending, found.text) == (Ending.COMPLETE, '{"a": 1}')

    def test_that_are_packed_though_nobody_asked_for_it_cost_the_bound(self) -> None:
        packed = gzip.compress(b"".join(_event(event) for event in (START, BLOCK, TEXT, END, STOP)))
        found = ask_of(reply(200, packed, Content_Type=SSE, Content_Encoding="gzip"))
        assert (found.ending, found.billed) == (Ending.BROKEN_OFF, Billed.UNKNOWN)

    def test_an_answer_in_one_piece_costs_the_bound(self) -> None:
        found = ask_of(reply(200, {"type": "message"}, Content_Type="application/json"))
        assert (found.ending, found.billed) == (Ending.SERVER_ERROR, Billed.UNKNOWN)

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=8), _nested, max_leaves=12))
    def test_any_event_is_taken_or_refused_as_garbled(self, event: object) -> None:
        message = Message()
        with contextlib.suppress(Garbled):
            message.take(event)
            Message.whole(event)

    @given(st.text(alphabet='{}[]":,0123456789.eENaIft\\u ', max_size=40))
    def test_any_text_is_judged_without_an_error_and_a_whole_one_is_an_object(self, text: str) -> None:
        if is_one_object(text):
            assert isinstance(json.loads(text), dict)
