"""Discord's adapter against everything that Discord, and what stands before it, may answer."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.discord import webhook
from shared.adapters.discord.layout import EMBED_LIMIT, body_of, escape, plain_body_of
from shared.adapters.discord.webhook import BAN_PAUSE, DEFAULT_PAUSE, LARGEST_BODY, LONGEST_PAUSE, DiscordWebhook
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.errors import ChannelDead, HearthwatchError, Throttled, TryAgain, Unavailable
from shared.domain.messages import render
from shared.domain.stage import Stage
from shared.domain.text import width
from tests.conftest import ReferenceData
from tests.fakes.discord import (
    BAD_FORM,
    BANNED,
    FORBIDDEN,
    GONE,
    LAST_FOR_NOW,
    MESSAGE,
    PAGE,
    PROXY_PAGE,
    RATE_LIMITED,
    TAKEN,
    TAKEN_SILENTLY,
    TOKEN,
    WEBHOOK,
    WRONG_TOKEN,
    DiscordDouble,
    throttled,
)
from tests.fakes.openapi import ApiDescription
from tests.fakes.scripted_http import Step, drip, endless, hang, hang_up, reply, reset_in_body
from tests.unit.builders import NOW, SECOND
from tests.unit.test_messages import alert, longest

EXECUTE = "/webhooks/{webhook_id}/{webhook_token}"
TOLD = alert(AlertKind.STOP_TRIGGERED, severity=Severity.CRITICAL)
NASTY = (
    "@everyone <@42> <@&7> <#9> [free](https://evil.example) https://evil.example discord.gg/abc *b* _i_ `c` ||s|| # h"
)


class Story:
    """A webhook, its clock, and the secret as it stands in the store."""

    def __init__(self, stack: ExitStack, *steps: Step) -> None:
        self.server = DiscordDouble(*steps)
        stack.enter_context(self.server)
        self.clock = SimulatedClock(NOW)
        self.stored = self.server.address
        self.read: list[bool] = []
        self.known = self.stored
        self.client = stack.enter_context(httpx.Client())
        self.channel = DiscordWebhook(
            self.client, self._secret, Stage.PAPER, self.clock, loopback=True, pause=self._pause
        )
        self.paused: list[float] = []

    def send(self, told: Alert = TOLD) -> None:
        self.channel.send(told, suppressed=0)

    def failed(self, kind: type[HearthwatchError]) -> Any:
        with pytest.raises(kind) as caught:
            self.send()
        return caught.value

    def _pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        self.clock.advance(timedelta(seconds=seconds))

    def _secret(self, anew: bool) -> str:
        """Give the address as read at the start, or as stored now."""
        self.read.append(anew)
        if anew:
            self.known = self.stored
        return self.known


@pytest.fixture
def story() -> Iterator[Callable[..., Story]]:
    with ExitStack() as stack:
        yield lambda *steps: Story(stack, *steps)


@pytest.fixture(scope="module")
def api(reference_data: ReferenceData) -> ApiDescription:
    return ApiDescription(reference_data.path("specs", "discord-openapi.json"))


# what is sent


def every_alert() -> list[Alert]:
    return [*(alert(kind, severity=severity) for kind in AlertKind for severity in Severity), *map(longest, AlertKind)]


def check_form(api: ApiDescription, body: dict[str, Any]) -> None:
    """Hold a body against the description and against the limits that it does not hold."""
    api.check_body(EXECUTE, "post", body)
    api.check_schema("IncomingWebhookRequestPartial", body)
    assert body["allowed_mentions"] == {"parse": []}
    assert body["username"] == "Hearthwatch"
    assert 0 < width(body["content"]) <= 2000
    for embed in body.get("embeds", []):
        texts = [embed["title"], embed["description"], embed["footer"]["text"]]
        texts += [text for field in embed["fields"] for text in (field["name"], field["value"])]
        assert all(text.strip() for text in texts)
        assert sum(map(width, texts)) <= EMBED_LIMIT


@pytest.mark.parametrize("lay_out", [body_of, plain_body_of])
def test_every_message_has_the_described_form(api: ApiDescription, lay_out: Callable[..., dict[str, Any]]) -> None:
    for told in every_alert():
        check_form(api, lay_out(render(told, stage=Stage.LIVE_1, suppressed=10**6)))


WILD = st.text(alphabet=st.sampled_from("@*_~`|>#[]<\\./:-+1aZ \n😀é\u202e\u200b")) | st.text()


@given(
    text=WILD.map(lambda text: text * 40), subject=WILD,
    fields=st.dictionaries(WILD, WILD.map(lambda text: text * 40), max_size=30),
)  # fmt: skip
def test_whatever_is_told_is_within_every_limit(
    api: ApiDescription, text: str, subject: str, fields: dict[str, str]
) -> None:
    message = render(alert("any", text=text, subject=subject, fields=fields), stage=Stage.PAPER, suppressed=0)
    check_form(api, body_of(message))
    check_form(api, plain_body_of(message))


def test_the_request_is_as_described(story: Callable[..., Story], api: ApiDescription) -> None:
    told = story()
    told.send()
    (request,) = told.server.arrived
    assert (request.method, request.target) == (
        "POST",
        told.server.address.removeprefix(told.server.url) + "?wait=true",
    )
    assert "wait" in api.parameters(EXECUTE, "post")
    api.check_reply(EXECUTE, "post", 200, MESSAGE)
    api.check_schema("RatelimitedResponse", RATE_LIMITED)
    (body,) = told.server.taken
    check_form(api, body)
    assert body["content"] == "\\[PAPER\\] CRITICAL: Protective level reached: TSLA"
    assert {field["name"] for field in body["embeds"][0]["fields"]} >= {"Price", "Confidence", "Cost of the decision"}


def test_nothing_in_a_text_acts() -> None:
    message = render(alert("any", text=NASTY, subject=NASTY, fields={NASTY: NASTY}), stage=Stage.PAPER, suppressed=0)
    for body in (body_of(message), plain_body_of(message)):
        sent = json.dumps(body, ensure_ascii=False)
        for harm in ("@everyone", "<@4", "<@&", "<#9", "[free](", "://", "discord.gg", "evil.example"):
            assert harm not in sent


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("*bold* _it_ ~~no~~ `x`", "\\*bold\\* \\_it\\_ \\~\\~no\\~\\~ \\`x\\`"),
        ("https://evil.example/a", "https:\\//evil\\.example/a"),
        ("147.81 after 184.82", "147.81 after 184.82"),
        ("@here", "@\u200bhere"),
        ("# head\n- item\n1. first", "\\# head\n\\- item\n1\\. first"),
        ("a\\*b", "a\\\\\\*b"),
        ("||spoiler|| > quote", "\\|\\|spoiler\\|\\| \\> quote"),
        ("at 15:30 -5 %", "at 15:30 -5 %"),
    ],
)
def test_escaping(text: str, sent: str) -> None:
    assert escape(text) == sent


# what is answered


@pytest.mark.parametrize("step", [TAKEN, TAKEN_SILENTLY, LAST_FOR_NOW])
def test_an_accepted_message_is_delivered(story: Callable[..., Story], step: Step) -> None:
    told = story(step)
    told.send()
    assert len(told.server.taken) == 1
    assert told.read == [False]


@pytest.mark.parametrize(
    ("step", "wait"),
    [
        (throttled(0.3), timedelta(seconds=0.3)),
        (throttled(1.25, header="2"), 2 * SECOND),
        (throttled(64.57, header="65", scope="global"), 65 * SECOND),
        (throttled(3, header="1", scope="shared"), 3 * SECOND),
        (throttled(0), DEFAULT_PAUSE),
        (throttled(1e12), LONGEST_PAUSE),
        (reply(429, RATE_LIMITED | {"retry_after": 1}, X_RateLimit_Reset_After="7.5"), timedelta(seconds=7.5)),
        (reply(429, RATE_LIMITED | {"retry_after": "soon"}), DEFAULT_PAUSE),
        (reply(429, RATE_LIMITED | {"retry_after": -5}), DEFAULT_PAUSE),
        (reply(429, b'{"message": "x", "global": false, "retry_after": NaN}'), DEFAULT_PAUSE),
        (reply(429, b'{"message": "x", "global": false, "retry_after": 1e999}'), LONGEST_PAUSE),
        (BANNED, BAN_PAUSE),
        (reply(429, PAGE), BAN_PAUSE),
        (reply(429, b""), BAN_PAUSE),
        (reply(429, b"error code: 1015", Retry_After="3600"), timedelta(hours=1)),
        (reply(429, b"error code: 1015", Retry_After="Wed, 04 Mar 2026 16:00:00 GMT"), BAN_PAUSE),
    ],
)
def test_a_429_is_throttled_for_the_longest_wait_it_names(
    story: Callable[..., Story], step: Step, wait: timedelta
) -> None:
    told = story(step, TAKEN)
    assert told.failed(Throttled).retry_after == wait
    told.clock.advance(wait - timedelta(milliseconds=1))
    assert len(told.server.arrived) == 1
    told.send()
    assert told.paused == [0.001]
    assert len(told.server.taken) == 1


def test_a_moment_without_room_is_waited_out(story: Callable[..., Story]) -> None:
    told = story(LAST_FOR_NOW, TAKEN)
    told.send()
    told.clock.advance(SECOND)
    told.send()
    assert told.paused == [0.5]
    assert len(told.server.taken) == 2


def test_nothing_is_asked_while_the_last_answer_left_no_room_for_long(story: Callable[..., Story]) -> None:
    told = story(reply(200, MESSAGE, X_RateLimit_Remaining="0", X_RateLimit_Reset_After="60"), TAKEN)
    told.send()
    told.clock.advance(SECOND)
    assert told.failed(Throttled).retry_after == 59 * SECOND
    assert len(told.server.arrived) == 1
    assert told.paused == []


@pytest.mark.parametrize(("step", "code"), [(GONE, "10015"), (WRONG_TOKEN, "50027"), (FORBIDDEN, "50001")])
def test_a_webhook_that_is_gone_is_dead_after_one_request(story: Callable[..., Story], step: Step, code: str) -> None:
    told = story(step, TAKEN)
    assert code in str(told.failed(ChannelDead))
    assert len(told.server.arrived) == 1


@pytest.mark.parametrize("step", [GONE, WRONG_TOKEN])
def test_a_rotated_address_is_read_anew_once(story: Callable[..., Story], step: Step) -> None:
    told = story(step, TAKEN)
    told.stored = told.server.address.replace(TOKEN, "the-new-token_of_the_webhook")
    told.send()
    assert told.read == [False, True]
    assert "the-new-token" in told.server.arrived[1].target
    told.send()
    assert told.read == [False, True, False]


def test_a_rotated_address_that_is_gone_too_is_dead_after_two_requests(story: Callable[..., Story]) -> None:
    told = story(GONE)
    told.stored = told.server.address.replace(TOKEN, "the-new-token_of_the_webhook")
    told.failed(ChannelDead)
    assert len(told.server.arrived) == 2


@pytest.mark.parametrize("step", [BAD_FORM, reply(413, b"")])
def test_a_message_of_ours_that_is_refused_goes_out_plain(
    story: Callable[..., Story], api: ApiDescription, step: Step
) -> None:
    told = story(step, TAKEN)
    told.send()
    (body,) = told.server.taken
    check_form(api, body)
    assert "embeds" not in body
    assert "147.81" in body["content"]


def test_a_message_refused_in_every_form_does_not_disable_the_channel(story: Callable[..., Story]) -> None:
    told = story(BAD_FORM)
    assert "Invalid Form Body (code 50035)" in str(told.failed(Unavailable))
    assert len(told.server.arrived) == 2


@pytest.mark.parametrize(
    "step",
    [
        PROXY_PAGE, reply(200, b""), reply(200, b"[]"), reply(200, b"[" * 60_000), reply(200, {"message": "ok"}),
        reply(200, {"id": 7, "channel_id": "1"}), reply(200, b"\xff\xfe"), reply(201, MESSAGE), reply(405, PAGE),
        reply(500, PAGE), reply(502, PAGE), reply(503, {"message": "Service Unavailable", "code": 0}), reply(408, b""),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_acceptance_is_unavailable(story: Callable[..., Story], step: Step) -> None:
    told = story(step, TAKEN)
    told.failed(Unavailable)
    assert len(told.server.arrived) == 1
    told.send()


def test_a_redirect_is_not_followed(story: Callable[..., Story]) -> None:
    elsewhere = story()
    for status in (301, 302, 307, 308):
        told = story(reply(status, b"", Location=elsewhere.server.address))
        told.failed(Unavailable)
    assert elsewhere.server.arrived == []


@pytest.mark.parametrize("step", [hang, hang_up, reset_in_body, drip, endless])
def test_a_broken_connection_is_unavailable_in_time(
    story: Callable[..., Story], step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT", httpx.Timeout(0.2))
    monkeypatch.setattr(webhook, "REPLY_SECONDS", 0.3)
    told = story(step)
    told.failed(Unavailable)
    assert len(told.server.arrived) == 1


def test_nobody_listening_is_unavailable() -> None:
    closed = DiscordDouble()
    with closed:
        address = closed.address
    with httpx.Client() as client:
        channel = DiscordWebhook(client, lambda _: address, Stage.PAPER, SimulatedClock(NOW), loopback=True)
        with pytest.raises(Unavailable):
            channel.send(TOLD, suppressed=0)


def test_a_reply_without_end_is_broken_off(story: Callable[..., Story]) -> None:
    told = story(reply(200, b" " * (LARGEST_BODY + 1)))
    assert "larger" in str(told.failed(Unavailable))


# the address


def posted_to(address: str) -> httpx.URL:
    """Send to an address over a transport that goes nowhere, and give where it would have gone."""
    asked: list[httpx.URL] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url)
        return httpx.Response(200, json=MESSAGE)

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        DiscordWebhook(client, lambda _: address, Stage.PAPER, SimulatedClock(NOW)).send(TOLD, suppressed=0)
    return asked[0]


@pytest.mark.parametrize("host", ["discord.com", "discordapp.com", "ptb.discord.com", "canary.discord.com"])
@pytest.mark.parametrize("version", ["", "v6/", "v10/"])
def test_one_version_of_the_api_is_spoken_whatever_was_copied(host: str, version: str) -> None:
    url = posted_to(f"https://{host}/api/{version}webhooks/{WEBHOOK}/{TOKEN}\n")
    assert str(url) == f"https://discord.com/api/v10/webhooks/{WEBHOOK}/{TOKEN}?wait=true"


@pytest.mark.parametrize(
    "address",
    [
        f"http://discord.com/api/webhooks/{WEBHOOK}/{TOKEN}",
        f"https://discord.com.evil.example/api/webhooks/{WEBHOOK}/{TOKEN}",
        f"https://evil.example/api/webhooks/{WEBHOOK}/{TOKEN}",
        f"https://user@evil.example#discord.com/api/webhooks/{WEBHOOK}/{TOKEN}",
        f"https://discord.com/api/webhooks/{WEBHOOK}/{TOKEN}/slack",
        f"https://discord.com/api/webhooks/{WEBHOOK}/../../{TOKEN}",
        f"http://127.0.0.1:9/api/webhooks/{WEBHOOK}/{TOKEN}",
        f"{WEBHOOK}/{TOKEN}",
        "",
    ],
)
def test_an_address_that_is_not_discords_is_never_asked_nor_named(address: str) -> None:
    with pytest.raises(ChannelDead) as caught:
        posted_to(address)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "steps",
    [(TAKEN,), (GONE,), (WRONG_TOKEN,), (BAD_FORM,), (throttled(1),), (PROXY_PAGE,), (reply(500, PAGE),), (hang_up,),
     (reply(302, b"", Location="/elsewhere"),), (reset_in_body,)],
)  # fmt: skip
def test_the_address_is_in_no_log_line_and_no_traceback(
    story: Callable[..., Story], steps: tuple[Step, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = story(*steps)
    try:
        told.send()
        said = ""
    except (TryAgain, ChannelDead) as error:
        said = "".join(traceback.format_exception(error))
    assert caplog.records, "the libraries say nothing even at DEBUG: this test shows nothing"
    written = said + "".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)
    assert TOKEN not in written
    assert WEBHOOK not in written


def test_httpx_still_logs_other_requests(caplog: pytest.LogCaptureFixture, story: Callable[..., Story]) -> None:
    caplog.set_level(logging.INFO)
    told = story(reply(200, b"{}"))
    told.client.get(f"{told.server.url}/elsewhere")
    assert any("/elsewhere" in record.getMessage() for record in caplog.records)


def test_the_time_shown_is_that_of_the_alert(story: Callable[..., Story]) -> None:
    told = story()
    told.clock.advance(timedelta(hours=2))
    told.send()
    assert datetime.fromisoformat(told.server.taken[0]["embeds"][0]["timestamp"]) == TOLD.at


# looking without posting


def test_a_webhook_is_looked_at_without_a_post(story: Callable[..., Story]) -> None:
    told = story(reply(200, {"id": WEBHOOK, "channel_id": "1", "name": "Hearthwatch\u202e"}))
    assert told.channel.self_test() == "Hearthwatch"
    assert (told.server.count("GET"), told.server.count("POST")) == (1, 0)


@pytest.mark.parametrize(("step", "kind"), [(GONE, ChannelDead), (PROXY_PAGE, TryAgain), (hang_up, TryAgain)])
def test_a_webhook_that_cannot_be_looked_at_says_so(
    story: Callable[..., Story], step: Step, kind: type[HearthwatchError]
) -> None:
    with pytest.raises(kind) as caught:
        story(step).channel.self_test()
    assert TOKEN not in str(caught.value)
