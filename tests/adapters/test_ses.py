"""SES's adapter: what arrives, and what each of SES's refusals means."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.aws.mail import MEND, SUBJECT_LIMIT, MailAllowance, SesMail, html_of, text_of
from shared.domain.alerts import AlertKind, Severity
from shared.domain.errors import ChannelDead, Throttled, Unavailable
from shared.domain.messages import render
from shared.domain.stage import Stage
from shared.domain.text import width
from tests.fakes.aws import connect
from tests.fakes.scripted_http import Arrived, ScriptedServer, Step, hang, hang_up, reply, reset_in_body
from tests.fakes.ses import (
    OPERATOR,
    OTHER,
    REFUSALS,
    SENDER,
    SENT,
    SPENT,
    THROTTLES,
    Mailbox,
    impatient,
    mailbox,
    refusal,
)
from tests.unit.test_messages import alert, longest

TOLD = alert(AlertKind.STOP_TRIGGERED, severity=Severity.CRITICAL)
NASTY = '<script>alert(1)</script> <a href="https://evil.example">free</a> https://evil.example www.evil.example & "x"'


@pytest.fixture(scope="module")
def box() -> Iterator[Mailbox]:
    with mailbox() as opened:
        yield opened


class Script:
    """A scripted SES and a connection to it, made once: making one takes longer than all its calls."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server
        self._client = connect(server.url).ses
        self._before = 0

    @property
    def asked(self) -> list[Arrived]:
        """List the requests since the script began."""
        return self._server.arrived[self._before :]

    def answers(self, *steps: Step) -> SesMail:
        """Begin a script and give a channel that meets it."""
        self._before = len(self._server.arrived)
        self._server.play(*steps)
        return SesMail(self._client, SENDER, [OPERATOR], Stage.PAPER)


@pytest.fixture(scope="module")
def script() -> Iterator[Script]:
    with ScriptedServer(SENT) as server:
        yield Script(server)


def failed(channel: SesMail, kind: type[Exception]) -> Any:
    with pytest.raises(kind) as caught:
        channel.send(TOLD, suppressed=0)
    return caught.value


# what arrives


def test_a_mail_reaches_every_recipient_with_stage_and_title_as_its_subject(box: Mailbox) -> None:
    before = len(box.mails)
    SesMail(box.client, SENDER, [OPERATOR, OTHER], Stage.FULL).send(TOLD, suppressed=0)
    (subject, body) = box.mails[before]
    assert subject == "[LIVE] CRITICAL: Protective level reached: TSLA"
    assert box.recipients[before] == [OPERATOR, OTHER]
    for shown in ("147.81", "10 of 10 (rule)", "$0.00 (rules only)", "12 s", "What to do"):
        assert shown in body


def test_text_and_html_say_the_same_in_one_request(script: Script) -> None:
    script.answers(SENT).send(TOLD, suppressed=3)
    (request,) = script.asked
    content = json.loads(request.body)["Content"]["Simple"]
    message = render(TOLD, stage=Stage.PAPER, suppressed=3)
    assert content["Body"]["Text"]["Data"] == message.plain
    for line in (message.headline, *message.lines, *(field.value for field in message.fields)):
        assert line in content["Body"]["Text"]["Data"]
        assert line in content["Body"]["Html"]["Data"]


def test_nothing_in_a_text_becomes_markup_or_a_link() -> None:
    nasty = alert("any", text=NASTY, subject=NASTY, fields={NASTY: NASTY})
    message = render(nasty, stage=Stage.PAPER, suppressed=0)
    page = html_of(message)
    assert set(re.findall(r"<\s*/?\s*([a-z0-9!]+)", page)) <= {
        "!doctype", "html", "body", "h3", "p", "table", "tr", "td", "small", "br",
    }  # fmt: skip
    for text in (page, text_of(message)):
        assert "://" not in text
        assert "www.evil" not in text
    assert "href=&quot;" in page


WILD = st.text(alphabet=st.sampled_from("<>&\"'/:w.\r\n\0 a😀\u202e")) | st.text()


@given(text=WILD, subject=WILD.map(lambda text: text * 20))
def test_whatever_is_told_the_subject_is_one_bounded_line(text: str, subject: str) -> None:
    sent: list[Any] = []

    class Client:
        def send_email(self, **request: Any) -> dict[str, str]:
            sent.append(request)
            return {"MessageId": "0100018e-1f"}

    channel = SesMail(Client(), SENDER, [OPERATOR], Stage.PAPER)  # type: ignore[arg-type]
    channel.send(alert("any", text=text, subject=subject), suppressed=0)
    data = sent[0]["Content"]["Simple"]["Subject"]["Data"]
    assert 0 < width(data) <= SUBJECT_LIMIT
    assert data.isprintable()


@pytest.mark.parametrize("kind", list(AlertKind))
def test_the_longest_mails_are_small(kind: AlertKind) -> None:
    message = render(longest(kind), stage=Stage.PAPER, suppressed=10**6)
    assert len(html_of(message).encode()) < 64 * 1024


# what is answered


@pytest.mark.parametrize(("code", "words"), THROTTLES.items())
def test_a_throttle_waits_two_seconds_and_twice_as_long_after_each_further_one(
    script: Script, code: str, words: str
) -> None:
    no = refusal(code, words, status=429)
    channel = script.answers(*[no] * 7, SENT, no)
    waits = [failed(channel, Throttled).retry_after.total_seconds() for _ in range(7)]
    channel.send(TOLD, suppressed=0)
    after = failed(channel, Throttled).retry_after
    assert waits == [2, 4, 8, 16, 32, 60, 60]
    assert after == timedelta(seconds=2)
    assert len(script.asked) == 9


@pytest.mark.parametrize(("code", "words"), SPENT.items())
def test_a_spent_quota_is_a_dead_channel_that_says_so(script: Script, code: str, words: str) -> None:
    assert "daily quota is spent" in str(failed(script.answers(refusal(code, words)), ChannelDead))
    assert len(script.asked) == 1


@pytest.mark.parametrize("code", REFUSALS)
def test_a_refusal_that_would_repeat_itself_says_what_to_do(script: Script, code: str) -> None:
    said = str(failed(script.answers(refusal(code, f"Email address is not verified: {SENDER}")), ChannelDead))
    assert code in said
    assert MEND[code] in said
    assert SENDER not in said


def test_an_unverified_sender_is_a_dead_channel(box: Mailbox) -> None:
    channel = SesMail(box.client, "stranger@nowhere.example", [OPERATOR], Stage.PAPER)
    assert "verify" in str(failed(channel, ChannelDead))


@pytest.mark.parametrize(
    "step",
    [refusal("InternalFailure", status=500), refusal("ExpiredTokenException", status=403), reply(503, b"<html>"),
     reply(500, b""), reply(200, b"<html>"), reset_in_body, hang_up],
)  # fmt: skip
def test_any_other_failure_is_unavailable_after_one_request(script: Script, step: Step) -> None:
    failed(script.answers(step), Unavailable)
    assert len(script.asked) == 1


def test_an_answer_that_does_not_come_is_unavailable_after_one_request() -> None:
    with ScriptedServer(hang) as server:
        failed(SesMail(impatient(server.url), SENDER, [OPERATOR], Stage.PAPER), Unavailable)
        assert len(server.arrived) == 1


def test_nobody_listening_is_unavailable() -> None:
    failed(SesMail(impatient("http://127.0.0.1:9"), SENDER, [OPERATOR], Stage.PAPER), Unavailable)


# the self-test


def allowance(script: Script, account: dict[str, Any]) -> MailAllowance:
    return script.answers(reply(200, account, Content_Type="application/json")).self_test()


def quota(a_day: float, sent: float) -> dict[str, float]:
    return {"Max24HourSend": a_day, "MaxSendRate": 1.0, "SentLast24Hours": sent}


SANDBOX = {"ProductionAccessEnabled": False, "SendingEnabled": True, "SendQuota": quota(200.0, 12.0)}


def test_the_self_test_tells_what_ses_allows(script: Script) -> None:
    assert allowance(script, SANDBOX) == MailAllowance(sends=True, in_sandbox=True, a_day=200, a_second=1, sent=12)


@pytest.mark.parametrize(
    ("account", "problems"),
    [
        (SANDBOX, ["SES is in the sandbox: 200 mails a day, to verified addresses only"]),
        (SANDBOX | {"ProductionAccessEnabled": True}, []),
        (SANDBOX | {"ProductionAccessEnabled": True, "SendQuota": quota(-1.0, 70_000.0)}, []),
        (
            SANDBOX | {"ProductionAccessEnabled": True, "SendQuota": quota(200.0, 201.0)},
            ["only 0 of 200 mails a day are left"],
        ),
        (
            SANDBOX | {"ProductionAccessEnabled": True, "SendingEnabled": False},
            ["SES does not send for this account: see its reputation and switch sending on"],
        ),
    ],
)
def test_the_self_test_names_what_would_keep_an_alert_from_arriving(
    script: Script, account: dict[str, Any], problems: list[str]
) -> None:
    assert list(allowance(script, account).problems) == problems


def test_an_account_that_says_nothing_allows_nothing(script: Script) -> None:
    assert allowance(script, {}) == MailAllowance(sends=False, in_sandbox=True, a_day=0, a_second=0, sent=0)


@pytest.mark.parametrize("step", [refusal("AccessDeniedException", status=403), reply(500, b""), hang_up])
def test_a_self_test_without_an_answer_is_unavailable(script: Script, step: Step) -> None:
    channel = script.answers(step)
    with pytest.raises(Unavailable):
        channel.self_test()
