"""Claude's message batches through the real SDK: handed in once, read as they ended, and what each answer costs."""

from __future__ import annotations

import json
from datetime import timedelta
from math import ceil
from typing import Any, Final

import pytest

from local_stack.claude.mind import Answer
from local_stack.claude.server import ClaudeServer
from local_stack.claude.trouble import BATCHES, IN_BATCH, Misbehaviour, Step
from shared.adapters.anthropic.batches import ClaudeBatches
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.budget import ReservationId
from shared.domain.errors import InvalidValue, MissingSecret, OutcomeUnknown, Refused, Throttled, TryAgain, Unavailable
from shared.domain.model_prices import HAIKU, SONNET, STARTING_PRICES, ModelId
from shared.domain.questions import Attempt, Billed, Ending
from tests.conftest import ReferenceData
from tests.fakes.openapi import ApiDescription
from tests.fakes.questions import NOW, USER, an_attempt
from tests.fakes.scripted_http import ScriptedServer, hang_up, reply, reset_in_body

M: Final = Misbehaviour
FIRST, SECOND, THIRD = (ReservationId(f"a1b2c3-{number}") for number in range(3))


@pytest.fixture
def batches(claude: ClaudeServer, clock: SimulatedClock) -> ClaudeBatches:
    return ClaudeBatches(lambda _: claude.key, clock, url=claude.url, pause=lambda _: None)


def some(*names: ReservationId) -> dict[ReservationId, Attempt]:
    return {name: an_attempt(user=f"{USER} {name}") for name in names}


def of(server: ScriptedServer) -> ClaudeBatches:
    return ClaudeBatches(lambda _: "a-key-of-ours", SimulatedClock(NOW), url=server.url, pause=lambda _: None)


def line(name: str, **result: Any) -> str:
    return json.dumps({"custom_id": name, "result": result})


def message(model: str = HAIKU, **usage: Any) -> dict[str, Any]:
    counted = {"input_tokens": 5, "output_tokens": 5, "service_tier": "batch", **usage}
    content = [{"type": "text", "text": "{}"}]
    return {"type": "message", "model": model, "content": content, "stop_reason": "end_turn", "usage": counted}


def asked(*names: ReservationId) -> dict[ReservationId, ModelId]:
    return dict.fromkeys(names, HAIKU)


class TestHandingIn:
    def test_a_batch_is_of_the_described_form_and_named_by_its_reservations(
        self, batches: ClaudeBatches, claude: ClaudeServer, reference_data: ReferenceData
    ) -> None:
        name = batches.submit(some(FIRST, SECOND))
        body = claude.requests[0].body
        api = ApiDescription(reference_data.path("specs", "anthropic-openapi.json"))
        api.check_body("/v1/messages/batches", "post", body)
        assert [entry["custom_id"] for entry in body["requests"]] == [FIRST, SECOND]
        assert "stream" not in body["requests"][0]["params"]
        assert name.startswith("msgbatch_")

    @pytest.mark.parametrize(
        ("kind", "error"),
        [
            (M.TOO_MANY_REQUESTS, Throttled),
            (M.TOO_MANY_WITHOUT_A_TIME, Unavailable),
            (M.OVERLOADED, Unavailable),
            (M.SPEND_LIMIT, Refused),
            (M.NO_CREDIT, Refused),
            (M.SERVER_ERROR, OutcomeUnknown),
            (M.RESET, OutcomeUnknown),
            (M.GATEWAY_TIMEOUT, OutcomeUnknown),
        ],
    )
    def test_what_goes_wrong_says_whether_the_batch_may_have_been_taken(
        self, batches: ClaudeBatches, claude: ClaudeServer, kind: Misbehaviour, error: type[Exception]
    ) -> None:
        claude.script(kind, path=BATCHES)
        with pytest.raises(error):
            batches.submit(some(FIRST))
        assert len(claude.requests) == 1
        assert bool(claude.charged().lines) <= (error is OutcomeUnknown)

    @pytest.mark.parametrize("step", [hang_up, reset_in_body, reply(200, {"type": "message_batch"}), reply(200, b"")])
    def test_an_answer_that_was_lost_or_names_nothing_may_mean_a_batch(self, step: Any) -> None:
        with ScriptedServer(step) as server:
            with pytest.raises(OutcomeUnknown):
                of(server).submit(some(FIRST))
            assert server.count("POST") == 1

    def test_what_never_left_is_no_batch(self) -> None:
        with ScriptedServer(hang_up) as server:
            closed = of(server)
        with pytest.raises(Unavailable):
            closed.submit(some(FIRST))

    @pytest.mark.parametrize("name", ["", "a" * 65, "with a space", "dot.ted", "é"])
    def test_a_name_that_claude_would_refuse_is_refused_before_anything_is_sent(
        self, batches: ClaudeBatches, claude: ClaudeServer, name: str
    ) -> None:
        with pytest.raises(InvalidValue, match="custom_id"):
            batches.submit(some(ReservationId(name)))
        with pytest.raises(InvalidValue, match="requests"):
            batches.submit({})
        assert claude.requests == ()

    def test_nothing_of_the_key_or_the_prompt_is_told(self) -> None:
        body = {"type": "error", "error": {"type": "invalid_request_error", "message": f"a-key-of-ours and {USER}"}}
        with ScriptedServer(reply(400, body)) as server, pytest.raises(Refused) as refused:
            of(server).submit(some(FIRST))
        assert "a-key-of-ours" not in str(refused.value)
        assert USER[:20] not in str(refused.value)
        assert refused.value.__cause__ is None


class TestReading:
    def test_nothing_is_read_while_it_is_under_way(self, batches: ClaudeBatches, clock: SimulatedClock) -> None:
        name = batches.submit(some(FIRST))
        assert batches.results(name, asked(FIRST)) is None
        clock.advance(timedelta(minutes=2))
        assert batches.results(name, asked(FIRST)) is not None

    def test_every_answer_is_booked_at_half_the_price_as_it_was_charged(
        self, batches: ClaudeBatches, claude: ClaudeServer, clock: SimulatedClock
    ) -> None:
        name = batches.submit(some(FIRST, SECOND, THIRD))
        clock.advance(timedelta(minutes=2))
        found = batches.results(name, asked(FIRST, SECOND, THIRD)) or {}
        assert found.keys() == {FIRST, SECOND, THIRD}
        charged = {ReservationId(entry.custom_id): entry.cost for entry in claude.charged().lines}
        for reservation, got in found.items():
            assert (got.ending, got.billed) == (Ending.COMPLETE, Billed.BY_USAGE)
            assert got.usage is not None
            assert got.usage.batch
            assert STARTING_PRICES.charge(HAIKU, NOW, got.usage) == ceil(charged[reservation])

    @pytest.mark.parametrize(
        ("step", "ending"),
        [
            (M.CANCELED, Ending.BROKEN_OFF),
            (M.EXPIRED, Ending.TIMED_OUT),
            (M.OVERLOADED, Ending.OVERLOADED),
            (M.NO_CREDIT, Ending.SPEND_LIMIT),
            (M.PAYMENT_REQUIRED, Ending.SPEND_LIMIT),
            (M.SERVER_ERROR, Ending.SERVER_ERROR),
        ],
    )
    def test_what_was_not_answered_costs_nothing(
        self, batches: ClaudeBatches, claude: ClaudeServer, clock: SimulatedClock, step: Misbehaviour, ending: Ending
    ) -> None:
        claude.script(step, path=IN_BATCH)
        name = batches.submit(some(FIRST, SECOND))
        clock.advance(timedelta(minutes=2))
        found = batches.results(name, asked(FIRST, SECOND)) or {}
        assert (found[FIRST].ending, found[FIRST].billed) == (ending, Billed.NOTHING)
        assert found[SECOND].ending is Ending.COMPLETE
        assert [entry.custom_id for entry in claude.charged().lines] == [SECOND]

    @pytest.mark.parametrize(
        ("step", "ending"),
        [
            (M.REFUSAL, Ending.REFUSED),
            (M.MAX_TOKENS, Ending.TRUNCATED),
            (M.PROSE, Ending.UNREADABLE),
            (Answer(text="{}", thinking="Hm."), Ending.COMPLETE),
        ],
    )
    def test_an_abstention_is_paid_for(
        self, batches: ClaudeBatches, claude: ClaudeServer, clock: SimulatedClock, step: Step, ending: Ending
    ) -> None:
        claude.script(step, path=IN_BATCH)
        name = batches.submit(some(FIRST))
        clock.advance(timedelta(minutes=2))
        found = (batches.results(name, asked(FIRST)) or {})[FIRST]
        assert (found.ending, found.billed) == (ending, Billed.BY_USAGE)

    @pytest.mark.parametrize(
        "lines",
        [
            "",
            "{not json",
            line("another", type="succeeded", message=message()),
            line(FIRST, type="succeeded"),
            line(FIRST, type="succeeded", message={"content": None}),
            line(FIRST, type="weather"),
            line(FIRST, type="succeeded", message=message(SONNET)),
            line(FIRST, type="succeeded", message=message(output_tokens=None)),
            f"{line(FIRST, type='expired')}\n{line(FIRST, type='succeeded', message=message())}",
        ],
    )
    def test_what_was_asked_and_has_no_clear_answer_costs_its_bound(self, lines: str) -> None:
        ended = reply(200, {"processing_status": "ended"})
        with ScriptedServer(ended, reply(200, lines.encode())) as server:
            found = of(server).results("msgbatch_1", asked(FIRST)) or {}
        assert found.keys() == {FIRST}
        assert found[FIRST].billed is Billed.UNKNOWN

    def test_the_key_is_sent_nowhere_that_a_batch_names(self) -> None:
        with ScriptedServer(hang_up) as elsewhere, ScriptedServer() as server:
            server.play(
                reply(200, {"processing_status": "ended", "results_url": f"{elsewhere.url}/results"}),
                reply(200, line(FIRST, type="expired").encode()),
            )
            assert of(server).results("msgbatch_1", asked(FIRST)) is not None
            assert elsewhere.arrived == []

    @pytest.mark.parametrize("step", [hang_up, reset_in_body, reply(500, b"<html>"), reply(529, {"error": {}})])
    def test_reading_is_tried_twice_and_no_more(self, step: Any) -> None:
        with ScriptedServer(step) as server:
            with pytest.raises(TryAgain):
                of(server).results("msgbatch_1", asked(FIRST))
            assert server.count("GET") == 2
            server.play(step, reply(200, {"processing_status": "in_progress"}))
            assert of(server).results("msgbatch_1", asked(FIRST)) is None

    def test_a_refusal_to_show_results_says_nothing_about_them(
        self, batches: ClaudeBatches, claude: ClaudeServer
    ) -> None:
        with pytest.raises(TryAgain, match="not_found_error"):
            batches.results("msgbatch_unknown", asked(FIRST))
        refused = reply(401, {"type": "error", "error": {"type": "authentication_error"}})
        with ScriptedServer(refused) as server, pytest.raises(TryAgain, match="authentication_error"):
            of(server).results("msgbatch_1", asked(FIRST))
        with pytest.raises(InvalidValue, match="batch"):
            batches.results("../models", asked(FIRST))

    def test_without_a_key_nothing_is_sent(self, claude: ClaudeServer, clock: SimulatedClock) -> None:
        def missing(_: bool) -> str:
            raise MissingSecret(["anthropic-api-key"])

        batches = ClaudeBatches(missing, clock, url=claude.url, pause=lambda _: None)
        with pytest.raises(Refused, match="anthropic-api-key"):
            batches.submit(some(FIRST))
        with pytest.raises(TryAgain, match="anthropic-api-key"):
            batches.results("msgbatch_1", asked(FIRST))
        assert claude.requests == ()
