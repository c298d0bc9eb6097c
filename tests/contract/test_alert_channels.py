"""The contract of an alert channel: returning means accepted, and what it raises says what the router may do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta

import httpx
import pytest

from shared.adapters.aws.mail import SesMail
from shared.adapters.discord.webhook import DiscordWebhook
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.messages import MemoryChannel
from shared.domain.alerts import Alert, AlertKind, Channel, Severity
from shared.domain.errors import ChannelDead, HearthwatchError, Throttled, Unavailable
from shared.domain.messages import render
from shared.domain.stage import Stage
from shared.ports.alert_channels import AlertChannel
from tests.fakes import discord, ses
from tests.fakes.aws import connect
from tests.fakes.discord import DiscordDouble
from tests.fakes.faults import Faults
from tests.fakes.scripted_http import ScriptedServer, Step, hang_up, reply
from tests.unit.builders import NOW

HOUR = timedelta(hours=1)
TOLD = Alert(
    kind=AlertKind.SYSTEM_ERROR, severity=Severity.WARNING, subject="poll_prices", at=NOW, text="prices did not come",
    occurrence="tick-1",
)  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A channel, what a person got over it, and its clock."""

    channel: AlertChannel
    got: Callable[[], list[str]]
    clock: SimulatedClock = field(default_factory=lambda: SimulatedClock(NOW))


@dataclass(frozen=True)
class TroubledLine(Line):
    """A channel whose first message meets a trouble; after it everything works."""

    problem: type[HearthwatchError] = HearthwatchError


def discord_line(stack: ExitStack, *steps: Step) -> Line:
    server = DiscordDouble(*steps)
    stack.enter_context(server)
    client = stack.enter_context(httpx.Client())
    clock = SimulatedClock(NOW)
    channel = DiscordWebhook(client, lambda _: server.address, Stage.PAPER, clock, loopback=True)
    return Line(channel, lambda: [str(body) for body in server.taken], clock)


def ses_line(stack: ExitStack) -> Line:
    box = stack.enter_context(ses.mailbox())
    channel = SesMail(box.client, ses.SENDER, [ses.OPERATOR], Stage.PAPER)
    return Line(channel, lambda: [f"{subject} {body}" for subject, body in box.mails])


def memory_line(stack: ExitStack) -> Line:
    clock = SimulatedClock(NOW)
    channel = MemoryChannel(Channel.DISCORD, clock)

    def got() -> list[str]:
        return [render(sent.alert, stage=Stage.PAPER, suppressed=sent.suppressed).plain for sent in channel.sent]

    return Line(channel, got, clock)


@pytest.fixture(params=[memory_line, discord_line, ses_line], ids=["memory", "discord", "ses"])
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    with ExitStack() as stack:
        yield request.param(stack)


def test_returning_means_that_a_person_has_the_message(line: Line) -> None:
    line.channel.send(TOLD, suppressed=0)
    (message,) = line.got()
    assert "prices did not come" in message
    assert "PAPER" in message


def test_a_message_sent_again_arrives_again(line: Line) -> None:
    for _ in range(2):
        line.channel.send(TOLD, suppressed=0)
    assert len(line.got()) == 2


def test_what_was_suppressed_is_said(line: Line) -> None:
    line.channel.send(TOLD, suppressed=17)
    line.channel.send(replace(TOLD, recovers=True), suppressed=0)
    raised, over = line.got()
    assert "17 suppressed" in raised
    assert "suppressed" not in over
    assert "Over:" in over


def test_a_channel_names_itself(line: Line) -> None:
    assert line.channel.channel in Channel


TROUBLES: dict[type[HearthwatchError], tuple[Step, Step]] = {
    Throttled: (discord.throttled(2.5), ses.refusal("TooManyRequestsException", status=429)),
    Unavailable: (reply(503, b"try later"), reply(503, b"try later")),
    ChannelDead: (discord.GONE, ses.refusal("SendingPausedException")),
}
"""What Discord and SES answer in each kind of trouble."""


def troubled_memory(stack: ExitStack, problem: type[HearthwatchError]) -> TroubledLine:
    line, faults = memory_line(stack), Faults()
    error = Throttled("slow down", timedelta(seconds=2)) if problem is Throttled else problem("no")
    faults.fail("channel.send", error, times=1)
    return TroubledLine(faults.around("channel", line.channel), line.got, line.clock, problem)


def troubled_discord(stack: ExitStack, problem: type[HearthwatchError]) -> TroubledLine:
    line = discord_line(stack, TROUBLES[problem][0], discord.TAKEN)
    return TroubledLine(line.channel, line.got, line.clock, problem)


def troubled_ses(stack: ExitStack, problem: type[HearthwatchError]) -> TroubledLine:
    server = stack.enter_context(ScriptedServer(TROUBLES[problem][1], ses.SENT))
    channel = SesMail(connect(server.url).ses, ses.SENDER, [ses.OPERATOR], Stage.PAPER)
    return TroubledLine(
        channel, lambda: [request.body.decode() for request in server.arrived[1:]], SimulatedClock(NOW), problem
    )


@pytest.fixture(params=[Throttled, Unavailable, ChannelDead])
def problem(request: pytest.FixtureRequest) -> type[HearthwatchError]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=[troubled_memory, troubled_discord, troubled_ses], ids=["memory", "discord", "ses"])
def troubled(request: pytest.FixtureRequest, problem: type[HearthwatchError]) -> Iterator[TroubledLine]:
    with ExitStack() as stack:
        yield request.param(stack, problem)


def test_a_message_that_was_not_accepted_raises_and_the_next_one_may_arrive(troubled: TroubledLine) -> None:
    with pytest.raises(troubled.problem) as caught:
        troubled.channel.send(TOLD, suppressed=0)
    assert troubled.got() == []
    if isinstance(caught.value, Throttled):
        assert timedelta(0) < caught.value.retry_after <= HOUR
        troubled.clock.advance(caught.value.retry_after)
    troubled.channel.send(TOLD, suppressed=0)
    assert len(troubled.got()) == 1


def test_a_closed_connection_is_unavailable_on_every_channel() -> None:
    with ExitStack() as stack:
        line = discord_line(stack, hang_up)
        with pytest.raises(Unavailable):
            line.channel.send(TOLD, suppressed=0)
        server = stack.enter_context(ScriptedServer(hang_up))
        mail = SesMail(connect(server.url).ses, ses.SENDER, [ses.OPERATOR], Stage.PAPER)
        with pytest.raises(Unavailable):
            mail.send(TOLD, suppressed=0)
        assert len(server.arrived) == 1
