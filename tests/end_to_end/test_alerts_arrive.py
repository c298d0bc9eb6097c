"""Alerts on their way from the router over HTTP to a person, in good weather and in each kind of bad."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from shared.adapters.aws.mail import SesMail
from shared.adapters.discord import webhook
from shared.adapters.discord.webhook import DiscordWebhook
from shared.adapters.memory.book import MemoryAlertOutbox
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.messages import MemoryDeadLetters, MemoryQueue
from shared.domain.alerts import Alert, AlertKind, Channel, Severity
from shared.domain.stage import Stage
from shared.use_cases.route_alerts import RouteAlerts
from tests.fakes.aws import connect
from tests.fakes.discord import BAD_FORM, GONE, TAKEN, WRONG_TOKEN, DiscordDouble, throttled
from tests.fakes.scripted_http import ScriptedServer, Step, hang
from tests.fakes.ses import OPERATOR, SENDER, Mailbox, mailbox, refusal
from tests.unit.builders import MINUTE, NOW, SECOND

HOUR = timedelta(hours=1)
SPENT = refusal("LimitExceededException", "Daily message quota exceeded.")


def error(number: int = 0, *, severity: Severity = Severity.WARNING, subject: str = "poll_prices") -> Alert:
    return Alert(
        kind=AlertKind.SYSTEM_ERROR, severity=severity, subject=subject, at=NOW + number * SECOND,
        text="prices did not come", occurrence=f"tick-{number}",
    )  # fmt: skip


def blocked(number: int, at: timedelta = timedelta(0)) -> Alert:
    """A critical alert about money, one of many: it goes to both channels."""
    return replace(
        error(severity=Severity.CRITICAL), kind=AlertKind.EXIT_BLOCKED, subject=f"position {number}", at=NOW + at
    )


class Post:
    """The router between its queue and two channels."""

    def __init__(self, stack: ExitStack, box: Mailbox, steps: tuple[Step, ...], ses: tuple[Step, ...]) -> None:
        self.discord = DiscordDouble(*steps)
        stack.enter_context(self.discord)
        self.box = box
        self.before = len(box.mails)
        self.ses = stack.enter_context(ScriptedServer(*ses)) if ses else None
        self.clock = SimulatedClock(NOW)
        self.queue: MemoryQueue[Alert] = MemoryQueue()
        self.dead_letters = MemoryDeadLetters()
        client = connect(self.ses.url).ses if self.ses else box.client
        web = stack.enter_context(httpx.Client())
        self.outbox = MemoryAlertOutbox()
        self.router = RouteAlerts(
            clock=self.clock,
            outbox=self.outbox,
            channels={
                Channel.DISCORD: DiscordWebhook(
                    web, lambda _: self.discord.address, Stage.PAPER, self.clock, loopback=True
                ),
                Channel.EMAIL: SesMail(client, SENDER, [OPERATOR], Stage.PAPER),
            },
            alerts=self.queue,
            dead_letters=self.dead_letters,
        )

    def tell(self, *alerts: Alert) -> None:
        """Route alerts, and whatever the router itself has to tell."""
        for alert in alerts:
            self.queue.send(alert)
        while self.queue:
            self.queue.drain(self.router)

    def pass_minutes(self, minutes: int) -> None:
        """Let time go by, with the sweep that runs every minute."""
        for _ in range(minutes):
            self.clock.advance(MINUTE)
            self.router.sweep()
            self.tell()

    @property
    def posted(self) -> list[str]:
        """List what Discord took, as a person reads it."""
        return [f"{body['content']} {body.get('embeds')}" for body in self.discord.taken]

    @property
    def mailed(self) -> list[str]:
        return [f"{subject} {body}" for subject, body in self.box.mails[self.before :]]


Posting = Callable[..., Post]


@pytest.fixture(scope="module")
def box() -> Iterator[Mailbox]:
    with mailbox() as opened:
        yield opened


@pytest.fixture
def post(box: Mailbox) -> Iterator[Posting]:
    with ExitStack() as stack:
        yield lambda *steps, ses=(): Post(stack, box, steps, ses)


def test_five_hundred_identical_errors_are_one_message_and_one_recovery_that_counts_them(post: Posting) -> None:
    line = post()
    line.tell(*(error(number) for number in range(500)))
    line.clock.advance(500 * SECOND)
    line.tell(replace(error(500), text="prices came", severity=Severity.INFO, recovers=True))
    raised, over = line.posted
    assert "prices did not come" in raised
    assert "499" not in raised
    assert "Over: A step failed" in over
    assert "499 suppressed" in over
    assert line.mailed == []


def test_a_webhook_that_is_gone_is_told_once_and_its_messages_arrive_by_mail(post: Posting) -> None:
    for step in (GONE, WRONG_TOKEN):
        line = post(step)
        line.tell(error(0), error(0, subject="check_risk"))
        line.pass_minutes(30)
        metas = [mail for mail in line.mailed if "Alert channel must be mended" in mail]
        assert len([mail for mail in line.mailed if "prices did not come" in mail]) == 2
        assert len(metas) == 1
        assert "make a new webhook" in metas[0]
        assert len(line.discord.arrived) == 1
        assert line.outbox.disabled_until(Channel.DISCORD) == NOW + HOUR


def test_a_webhook_that_was_mended_is_used_again_after_the_hour(post: Posting) -> None:
    line = post(GONE, TAKEN)
    line.tell(error(0))
    line.clock.advance(HOUR)
    line.tell(replace(error(1), at=line.clock.now()))
    assert len(line.posted) == 1


def test_a_throttled_message_goes_by_mail_at_once_and_to_discord_after_the_wait(post: Posting) -> None:
    line = post(throttled(90), TAKEN)
    line.tell(error(0))
    assert (len(line.posted), len(line.mailed)) == (0, 1)
    line.pass_minutes(1)
    assert len(line.discord.arrived) == 1
    line.pass_minutes(1)
    assert (len(line.posted), len(line.mailed)) == (1, 1)


def test_a_hanging_discord_does_not_keep_the_mail(post: Posting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT", httpx.Timeout(0.1))
    line = post(hang)
    line.tell(blocked(0))
    assert len(line.mailed) == 1
    line.pass_minutes(10)
    assert len(line.mailed) == 1
    assert len(line.discord.arrived) == line.router.rules.max_tries
    assert len(line.dead_letters.kept) == 1


def test_a_message_that_discord_finds_bad_is_given_up_and_the_channel_goes_on(post: Posting) -> None:
    line = post(BAD_FORM, BAD_FORM, TAKEN)
    line.tell(error(0), error(0, subject="check_risk"))
    assert len(line.posted) == 1
    assert line.outbox.disabled_until(Channel.DISCORD) is None
    assert len(line.mailed) == 1


def test_with_both_channels_dead_everything_is_a_dead_letter(post: Posting) -> None:
    line = post(GONE, ses=(refusal("SendingPausedException"),))
    line.tell(blocked(0))
    line.pass_minutes(10)
    letters = [letter.item for letter in line.dead_letters.kept]
    assert len([item for item in letters if "prices did not come" in item]) == 2
    assert len([item for item in letters if "takes no messages" in item]) == 4
    assert line.outbox.unsettled() == []
    assert (len(line.discord.arrived), len(line.ses.arrived)) == (1, 1)  # type: ignore[union-attr]


def test_a_spent_mail_quota_is_told_once_and_asked_for_once(post: Posting) -> None:
    line = post(ses=(SPENT,))
    for number in range(60):
        line.tell(blocked(number, number * SECOND))
        line.clock.advance(SECOND)
    line.pass_minutes(50)
    assert len([text for text in line.posted if "prices did not come" in text]) == 60
    told = [text for text in line.posted if "daily quota is spent" in text]
    assert len(told) == 1
    assert len(line.ses.arrived) == 1  # type: ignore[union-attr]
    assert len([letter for letter in line.dead_letters.kept if letter.item.startswith("email: exit_blocked")]) == 60


def test_after_the_hour_a_spent_quota_is_asked_about_once_more(post: Posting) -> None:
    line = post(ses=(SPENT,))
    for number in range(3):
        line.tell(blocked(number, timedelta(minutes=40 * number)))
        line.clock.advance(timedelta(minutes=40))
    assert len(line.ses.arrived) == 2  # type: ignore[union-attr]
