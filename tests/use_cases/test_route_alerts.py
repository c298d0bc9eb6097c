"""Alerts: floods merge, losses escalate, a message counts as told only after it was accepted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.alerts import Alert, AlertKind, Channel, Delivery, DeliveryState, Incident, Severity, open_incident
from shared.domain.errors import ChannelDead, HearthwatchError, Throttled, Unavailable
from tests.fakes.desk import START, Desk
from tests.fakes.faults import Crash
from tests.fakes.venue import MINUTE

SECOND = timedelta(seconds=1)
DOWN = Unavailable("no answer")
BURIED = ChannelDead("404: the webhook is gone")
DISCORD, EMAIL = Channel.DISCORD, Channel.EMAIL


def alert(
    number: int = 0,
    *,
    severity: Severity = Severity.WARNING,
    kind: str = AlertKind.EXIT_BLOCKED,
    recovers: bool = False,
    after: timedelta = timedelta(0),
) -> Alert:
    """The number-th error of one part."""
    return Alert(
        kind=kind,
        severity=severity,
        subject="poll_prices",
        at=START + after,
        text="it works again" if recovers else "it failed",
        occurrence=f"tick-{number}",
        recovers=recovers,
    )


def empty_desk() -> Desk:
    return Desk(blank=True)


def route(desk: Desk, one: Alert) -> Incident | None:
    return desk.use.route_alerts(one)


def sent(desk: Desk, channel: Channel = DISCORD) -> list[str]:
    return [message.alert.text for message in desk.world.channels[channel].sent]


def deliver_queued(desk: Desk) -> None:
    """Do what the queue's consumer does."""
    for queued in desk.heard():
        route(desk, queued)


# floods


def test_five_hundred_identical_errors_are_one_message_and_one_recovery_that_counts_them() -> None:
    desk = empty_desk()
    for number in range(500):
        route(desk, alert(number, after=number * SECOND))
    desk.use.route_alerts.sweep()
    assert sent(desk) == ["it failed"]
    route(desk, alert(500, recovers=True, after=500 * SECOND))
    assert sent(desk) == ["it failed", "it works again (499 suppressed)"]
    assert sent(desk, EMAIL) == []


def test_the_same_alert_delivered_again_changes_nothing_also_after_recovery() -> None:
    desk = empty_desk()
    for _ in range(3):
        route(desk, alert(0))
    for _ in range(3):
        route(desk, alert(1, recovers=True))
    for _ in range(3):
        route(desk, alert(0))
    assert sent(desk) == ["it failed", "it works again"]


def test_a_repeat_after_the_window_is_told_with_the_count_of_the_window_before() -> None:
    desk = empty_desk()
    for number in range(4):
        route(desk, alert(number, after=number * MINUTE))
    desk.wait(15 * MINUTE)
    route(desk, alert(4, after=15 * MINUTE))
    messages = desk.world.channels[DISCORD].sent
    assert [message.suppressed for message in messages] == [0, 3]


def test_another_subject_is_another_incident() -> None:
    desk = empty_desk()
    route(desk, alert(0))
    route(desk, alert(0, kind=AlertKind.SYMBOL_BLIND))
    assert len(sent(desk)) == 2


def test_a_recovery_of_something_never_told_is_dropped() -> None:
    desk = empty_desk()
    assert route(desk, alert(0, recovers=True)) is None
    assert sent(desk) == []


def test_a_repeat_that_is_worse_goes_to_the_channels_of_its_severity() -> None:
    desk = empty_desk()
    route(desk, alert(0))
    route(desk, alert(1, severity=Severity.CRITICAL))
    assert (len(sent(desk)), len(sent(desk, EMAIL))) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "severity", "channels"),
    [
        (AlertKind.SYSTEM_ERROR, Severity.INFO, {DISCORD}),
        (AlertKind.SYSTEM_ERROR, Severity.WARNING, {DISCORD}),
        (AlertKind.SYSTEM_ERROR, Severity.CRITICAL, {DISCORD}),
        (AlertKind.EXIT_BLOCKED, Severity.CRITICAL, {DISCORD, EMAIL}),
        (AlertKind.BREAKER, Severity.INFO, {DISCORD, EMAIL}),
        (AlertKind.LARGE_POSITION_CHANGE, Severity.WARNING, {DISCORD, EMAIL}),
        (AlertKind.DAILY_SUMMARY, Severity.INFO, {DISCORD, EMAIL}),
        ("nobody_listed_this", Severity.INFO, {DISCORD, EMAIL}),
    ],
)
def test_kind_and_severity_choose_the_channels(kind: str, severity: Severity, channels: set[Channel]) -> None:
    desk = empty_desk()
    route(desk, alert(0, kind=kind, severity=severity))
    assert {channel for channel in Channel if sent(desk, channel)} == channels


# losses


def test_a_throttled_channel_is_waited_for_and_email_is_told_meanwhile() -> None:
    desk = empty_desk()
    desk.faults.fail("discord.send", Throttled("429", timedelta(seconds=90)), times=1)
    route(desk, alert(0))
    assert (sent(desk), sent(desk, EMAIL)) == ([], ["it failed"])
    desk.wait(89 * SECOND)
    desk.use.route_alerts.sweep()
    assert sent(desk) == []
    desk.wait(SECOND)
    desk.use.route_alerts.sweep()
    assert sent(desk) == ["it failed"]
    desk.use.route_alerts.sweep()
    assert (len(sent(desk)), len(sent(desk, EMAIL))) == (1, 1)


@pytest.mark.parametrize("severity", list(Severity))
def test_a_dead_channel_is_told_once_and_its_message_goes_by_email(severity: Severity) -> None:
    desk = empty_desk()
    desk.faults.fail("discord.send", BURIED)
    route(desk, alert(0, severity=severity))
    deliver_queued(desk)
    desk.use.route_alerts.sweep()
    deliver_queued(desk)
    assert sent(desk) == []
    assert sent(desk, EMAIL).count("it failed") == 1
    meta = [text for text in sent(desk, EMAIL) if "takes no messages until it is mended" in text]
    assert len(meta) == 1
    assert any("it failed" in letter.item for letter in desk.world.dead_letters.kept)
    tried = desk.faults.count("discord.send")
    for _ in range(5):
        desk.wait()
        desk.use.route_alerts.sweep()
    assert desk.faults.count("discord.send") == tried


def test_a_channel_that_never_answers_is_tried_five_times_and_then_dead_lettered() -> None:
    desk = empty_desk()
    desk.faults.fail("discord.send", DOWN)
    tried = []
    route(desk, alert(0))
    for minute in range(30):
        before = desk.faults.count("discord.send")
        desk.wait()
        desk.use.route_alerts.sweep()
        if desk.faults.count("discord.send") > before:
            tried.append(minute + 1)
    assert tried == [1, 3, 5, 7]
    assert len(desk.world.dead_letters.kept) == 1
    assert "it failed" in desk.world.dead_letters.kept[0].item
    assert sent(desk, EMAIL) == ["it failed"]


def test_with_both_channels_dead_everything_is_dead_lettered() -> None:
    desk = empty_desk()
    for channel in Channel:
        desk.faults.fail(f"{channel}.send", BURIED)
    route(desk, alert(0, severity=Severity.CRITICAL))
    deliver_queued(desk)
    letters = [letter.item for letter in desk.world.dead_letters.kept]
    assert sum("it failed" in letter for letter in letters) == 2
    assert desk.world.outbox.unsettled() == []


def test_an_alert_stays_pending_until_the_channel_accepted_it() -> None:
    desk = empty_desk()
    desk.faults.fail("discord.send", DOWN, times=1)
    incident = route(desk, alert(0))
    assert incident is not None
    assert incident.deliveries[DISCORD].state is DeliveryState.PENDING
    desk.wait()
    desk.use.route_alerts.sweep()
    assert [i.deliveries[DISCORD].state for i in desk.world.outbox.every()] == [DeliveryState.SENT]


# escalation


def critical_on_discord_only(desk: Desk, *, acknowledged: bool = False) -> None:
    incident = open_incident(alert(0, severity=Severity.CRITICAL), desk.use.route_alerts.rules)
    told = Delivery(state=DeliveryState.SENT, tries=1, sent_at=START)
    desk.world.outbox.put(
        Incident(
            alert=incident.alert,
            deliveries={DISCORD: told},
            opened_at=incident.opened_at,
            window_ends=incident.window_ends,
        )
    )
    if acknowledged:
        assert desk.use.route_alerts.acknowledge(incident.alert.incident_key)


@pytest.mark.parametrize(("acknowledged", "mails"), [(False, [0, 1, 1]), (True, [0, 0, 0])])
def test_a_critical_alert_nobody_acknowledged_goes_by_email_after_ten_minutes(
    acknowledged: bool, mails: list[int]
) -> None:
    desk = empty_desk()
    critical_on_discord_only(desk, acknowledged=acknowledged)
    counts = []
    for wait in (10 * MINUTE - SECOND, SECOND, MINUTE):
        desk.wait(wait)
        desk.use.route_alerts.sweep()
        counts.append(len(sent(desk, EMAIL)))
    assert counts == mails


def test_a_recovery_ends_the_escalation() -> None:
    desk = empty_desk()
    critical_on_discord_only(desk)
    route(desk, alert(1, recovers=True))
    desk.wait(11 * MINUTE)
    desk.use.route_alerts.sweep()
    assert sent(desk, EMAIL) == []


def test_an_unknown_incident_cannot_be_acknowledged() -> None:
    assert not empty_desk().use.route_alerts.acknowledge("nothing|nowhere")


# crashes and racing routers


def test_a_crash_at_any_step_tells_at_least_once_and_at_most_twice() -> None:
    whole = empty_desk()
    route(whole, alert(0, severity=Severity.CRITICAL))
    for point in range(len(whole.faults.calls)):
        desk = empty_desk()
        desk.faults.crash_before = point
        with pytest.raises(Crash):
            route(desk, alert(0, severity=Severity.CRITICAL))
        desk.faults.mend()
        route(desk, alert(0, severity=Severity.CRITICAL))
        desk.wait(MINUTE)
        desk.use.route_alerts.sweep()
        for channel in Channel:
            assert 1 <= len(sent(desk, channel)) <= 2, point
        assert desk.world.outbox.unsettled() == []


def test_nothing_is_marked_sent_before_the_channel_has_it() -> None:
    desk = empty_desk()
    desk.faults.fail("discord.send", Crash())
    with pytest.raises(Crash):
        route(desk, alert(0))
    stored = desk.world.outbox.every()
    assert [i.deliveries[DISCORD].state for i in stored] == [DeliveryState.PENDING]


def test_two_routers_with_one_alert_tell_it_once() -> None:
    for call in ("outbox.open_incidents", "outbox.put", "discord.send"):
        desk = empty_desk()
        desk.faults.before(call, lambda desk=desk: route(desk, alert(0)))  # type: ignore[misc]
        try:
            route(desk, alert(0))
        except HearthwatchError:
            route(desk, alert(0))
        assert sent(desk) == ["it failed"], call


def test_a_broken_incident_does_not_keep_a_sweep_from_the_others() -> None:
    desk = empty_desk()
    desk.faults.fail("discord.send", DOWN, times=2)
    route(desk, alert(0))
    route(desk, alert(0, kind=AlertKind.SYMBOL_BLIND))
    desk.wait()
    desk.faults.fail("outbox.put", DOWN, times=1)
    try:
        desk.use.route_alerts.sweep()
    except Unavailable:
        desk.use.route_alerts.sweep()
    assert len(sent(desk)) == 2


# a channel that must be mended


def test_a_dead_channel_is_left_alone_for_an_hour() -> None:
    desk = empty_desk()
    desk.faults.fail("discord.send", BURIED)
    tries: list[int] = []
    for hour in (0, 0, 1):
        desk.wait(timedelta(hours=hour))
        route(desk, alert(len(tries), kind=list(AlertKind)[len(tries)]))
        tries.append(desk.faults.count("discord.send"))
    assert tries == [1, 1, 2]


def test_what_a_dead_channel_missed_is_dead_lettered_and_mailed() -> None:
    desk = empty_desk()
    desk.faults.fail("discord.send", BURIED)
    for kind in (AlertKind.EXIT_BLOCKED, AlertKind.PRICE_MOVE):
        route(desk, alert(kind=kind))
    assert len(desk.world.dead_letters.kept) == 2
    assert len(sent(desk, EMAIL)) == 2


def test_an_incident_that_cannot_be_delivered_keeps_no_other_from_its_turn() -> None:
    desk = empty_desk()
    desk.faults.fail("discord.send", DOWN, times=2)
    for one in (alert(1), replace(alert(2), subject="another part")):
        route(desk, one)
    assert sent(desk) == []
    desk.wait()
    desk.faults.fail("outbox.put", DOWN, when=lambda incident: incident.alert.subject == "poll_prices")
    with pytest.raises(Unavailable, match=r"poll_prices.*no answer"):
        desk.use.route_alerts.sweep()
    assert len(sent(desk)) == 1
    desk.faults.mend()
    desk.use.route_alerts.sweep()
    assert len(sent(desk)) == 2


def test_the_end_of_a_trouble_is_not_told_before_the_trouble() -> None:
    """Another router is still sending the first message when the recovery comes."""
    desk = empty_desk()
    desk.faults.before("discord.send", lambda: route(desk, alert(1, recovers=True)))
    route(desk, alert(0))
    assert sent(desk) == ["it failed", "it works again"]


def test_a_recovery_waits_for_its_trouble_where_the_channel_waits() -> None:
    desk = empty_desk()
    desk.faults.fail("discord.send", DOWN, times=1)
    route(desk, alert(0))
    route(desk, alert(1, recovers=True))
    assert sent(desk) == []
    desk.wait()
    desk.use.route_alerts.sweep()
    assert sent(desk) == ["it failed", "it works again"]
