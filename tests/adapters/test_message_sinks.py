"""What the local Discord takes and refuses, what the mail outbox writes, and what the page shows of both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from moto.backends import get_backend
from starlette.applications import Starlette

from local_stack.loopback import LoopbackServer
from local_stack.run.discord_sink import WEBHOOK_PATH, DiscordMessage, DiscordSink
from local_stack.run.mail_outbox import AT_HEADER, MailOutbox, as_email
from local_stack.run.page import MessagePage, page_of
from shared.adapters.memory.clock import SimulatedClock
from shared.domain.errors import Unavailable
from tests.fakes.aws import REGION, connect, served

AT = datetime(2026, 6, 10, 14, 31, tzinfo=UTC)
ACCOUNT = "123456789012"
NOTE = "Simulated time."


class Desk:
    """A sink with its page, served, and a client to talk to it."""

    def __init__(self, folder: Path, http: httpx.Client, clock: SimulatedClock, sink: DiscordSink) -> None:
        self.file = folder / "discord.jsonl"
        self.http = http
        self.clock = clock
        self.sink = sink

    def post(self, fields: object, path: str = WEBHOOK_PATH, **query: str) -> httpx.Response:
        return self.http.post(path, json=fields, params=query)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    clock = SimulatedClock(AT)
    sink = DiscordSink(clock, tmp_path / "discord.jsonl")
    page = MessagePage(clock.now, lambda: sink.messages, lambda: (), NOTE)
    server = LoopbackServer(Starlette(routes=[*sink.routes(), *page.routes()]), "messages")
    with server, httpx.Client(base_url=server.url, timeout=5) as http:
        yield Desk(tmp_path, http, clock, sink)


def embed(**fields: object) -> dict[str, object]:
    return {"embeds": [fields]}


def test_a_message_is_taken_kept_and_answered_with_rate_headers(desk: Desk) -> None:
    answer = desk.post({"content": "a stop was reached", "embeds": [{"title": "TSLA"}]}, wait="true")

    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["content"]) == ("1", "a stop was reached")
    assert int(answer.headers["X-RateLimit-Remaining"]) > 0
    assert float(answer.headers["X-RateLimit-Reset-After"]) > 0
    assert desk.sink.messages == (
        DiscordMessage(id="1", at=AT, content="a stop was reached", embeds=({"title": "TSLA"},)),
    )


def test_without_wait_a_message_is_taken_without_an_answer(desk: Desk) -> None:
    assert desk.post({"content": "hello"}).status_code == 204
    assert len(desk.sink.messages) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "x" * 2000},
        {"content": "\U0001f525" * 1000},
        {"embeds": [{"title": "t"}] * 10},
        {"embeds": [{"description": "d" * 3000}, {"description": "d" * 3000}]},
        embed(title="t" * 256, fields=[{"name": "n" * 256, "value": "v" * 1024}] * 4),
        embed(fields=[{"name": "n", "value": "v"}] * 25),
    ],
    ids=["content", "content of pairs", "ten embeds", "6,000 in all", "longest field", "25 fields"],
)
def test_a_message_at_a_limit_is_taken(desk: Desk, fields: object) -> None:
    assert desk.post(fields, wait="true").status_code == 200


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 50006),
        ({"content": "  \n"}, 50006),
        ({"content": "x" * 2001}, 50035),
        ({"content": "\U0001f525" * 1001}, 50035),
        ({"content": 7}, 50035),
        ([], 50035),
        ({"embeds": "none"}, 50035),
        ({"embeds": [{"title": "t"}] * 11}, 50035),
        ({"embeds": [{"description": "d" * 3000}, {"description": "d" * 3000, "footer": {"text": "f"}}]}, 50035),
        (embed(title="t" * 257), 50035),
        (embed(description="d" * 4097), 50035),
        (embed(footer={"text": "f" * 2049}), 50035),
        (embed(author={"name": "a" * 257}), 50035),
        (embed(fields=[{"name": "n" * 257, "value": "v"}]), 50035),
        (embed(fields=[{"name": "n", "value": "v" * 1025}]), 50035),
        (embed(fields=[{"name": "n", "value": ""}]), 50035),
        (embed(fields=[{"name": "n", "value": "v"}] * 26), 50035),
    ],
)
def test_a_message_that_discord_refuses_is_refused_with_its_code(desk: Desk, fields: object, code: int) -> None:
    answer = desk.post(fields, wait="true")

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert desk.sink.messages == ()
    assert not desk.file.exists()


def test_what_is_no_json_or_too_large_is_refused(desk: Desk) -> None:
    assert desk.http.post(WEBHOOK_PATH, content=b"{").json()["code"] == 50109
    assert desk.http.post(WEBHOOK_PATH, content=b" " * 2_000_000).status_code == 400


def test_another_webhook_is_unknown(desk: Desk) -> None:
    answer = desk.post({"content": "hello"}, path="/api/webhooks/1/other")
    assert (answer.status_code, answer.json()["code"]) == (404, 10015)


def test_messages_of_an_earlier_run_are_read_back_without_a_torn_line(desk: Desk) -> None:
    desk.post({"content": "first"})
    desk.clock.advance(timedelta(minutes=1))
    desk.post({"content": "second\nline \u2028"})
    with desk.file.open("a", encoding="utf-8") as file:
        file.write('{"id": "3", "at": "2026-')
    assert DiscordSink(desk.clock, desk.file).messages == desk.sink.messages

    desk.post({"content": "third"})

    read = DiscordSink(desk.clock, desk.file).messages
    assert [message.content for message in read] == ["first", "second\nline \u2028", "third"]
    assert read == desk.sink.messages


def test_a_taken_port_is_named() -> None:
    with LoopbackServer(Starlette(), "first") as first:
        port = int(first.url.rpartition(":")[2])
        with pytest.raises(Unavailable, match=f"the second cannot listen on port {port}"):
            LoopbackServer(Starlette(), "second", port=port).start()


# the page


class Tags(HTMLParser):
    """Collects the tags and the visible text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_page_shows_messages_newest_first_and_refreshes_itself(desk: Desk) -> None:
    for text in ("the first", "the second"):
        desk.post({"content": text})

    answer = desk.http.get("/")

    assert answer.headers["content-type"].startswith("text/html")
    assert answer.text.index("the second") < answer.text.index("the first")
    assert 'http-equiv="refresh"' in answer.text
    assert "width=device-width" in answer.text
    assert "Wed 10 Jun, 10:31 New York" in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "<script>alert(1)</script>"},
        embed(title="<img src=x onerror=alert(1)>"),
        embed(description="</p><iframe>"),
        embed(fields=[{"name": "<b>", "value": "'><script>"}], footer={"text": "<u>"}),
        embed(color="'><script>"),
    ],
)
def test_nothing_sent_becomes_markup(fields: dict[str, Any]) -> None:
    plain = page_of(AT, [message({"content": "", "embeds": fields.get("embeds", []) and [{"title": "t"}]})], [], NOTE)
    shown = page_of(AT, [message(fields)], [], NOTE)
    assert set(Tags(shown).tags) <= set(Tags(plain).tags) | {"p", "h3", "dl", "div", "dt", "dd"}
    assert not {"script", "iframe", "img", "b", "u"} & set(Tags(shown).tags)


def test_discords_bold_is_bold_and_its_escaped_marks_are_themselves() -> None:
    shown = page_of(AT, [message({"content": r"**PAPER** 5 \* 3 \> 2"})], [], NOTE)
    assert "<strong>PAPER</strong> 5 * 3 &gt; 2" in shown


def message(fields: dict[str, Any]) -> DiscordMessage:
    return DiscordMessage(id="1", at=AT, content=fields.get("content", ""), embeds=fields.get("embeds", ()))


# the mail outbox


def email(subject: str) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "hearthwatch@localhost.test", "me@localhost.test", subject
    made.set_content("Ein Stop wurde erreicht: TSLA für $304.00")
    return made


def test_each_mail_is_written_once_and_read_back_by_the_next_run(tmp_path: Path) -> None:
    sent = [email("one")]
    outbox = MailOutbox(tmp_path, lambda: sent)
    assert [mail.subject for mail in outbox.collect(AT)] == ["one"]
    sent.append(email("two"))
    assert [mail.subject for mail in outbox.collect(AT)] == ["two"]
    assert list(outbox.collect(AT)) == []

    later = MailOutbox(tmp_path, lambda: [email("three")])
    later.collect(AT)

    assert [(mail.name, mail.subject) for mail in later.mails] == [
        ("0001.eml", "one"),
        ("0002.eml", "two"),
        ("0003.eml", "three"),
    ]
    written = message_from_bytes((tmp_path / "0001.eml").read_bytes(), policy=policy.default)
    assert written[AT_HEADER] == AT.isoformat()
    assert later.mails[0].text == "Ein Stop wurde erreicht: TSLA für $304.00\n"


def test_what_the_embedded_ses_was_asked_to_send_is_found(tmp_path: Path) -> None:
    with served() as url:
        ses = connect(url).ses
        ses.create_email_identity(EmailIdentity="hearthwatch@localhost.test")
        sent = get_backend("ses")[ACCOUNT][REGION].sent_messages
        before = len(sent)
        ses.send_email(
            FromEmailAddress="hearthwatch@localhost.test",
            Destination={"ToAddresses": ["me@localhost.test"]},
            Content={"Simple": {"Subject": {"Data": "CRITICAL"}, "Body": {"Text": {"Data": "A stop was reached\n"}}}},
        )
        ses.send_email(
            FromEmailAddress="hearthwatch@localhost.test",
            Destination={"ToAddresses": ["me@localhost.test"]},
            Content={"Raw": {"Data": email("raw").as_bytes()}},
        )
        mails = MailOutbox(tmp_path, lambda: [as_email(message) for message in sent[before:]]).collect(AT)

    assert [(mail.subject, mail.to) for mail in mails] == [
        ("CRITICAL", "me@localhost.test"),
        ("raw", "me@localhost.test"),
    ]
    assert mails[0].text == "A stop was reached\n"
