"""Alerts: where they go, how floods merge, when losses escalate, and how an incident ends (ALR-03, ALR-04)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.alerts import (
    Alert,
    AlertKind,
    AlertRules,
    Channel,
    Delivery,
    DeliveryState,
    Incident,
    Severity,
    open_incident,
    route,
)
from shared.domain.errors import InvalidValue
from tests.unit.builders import MINUTE, NOW, SECOND

RULES = AlertRules()
DISCORD, BOTH = {Channel.DISCORD}, {Channel.DISCORD, Channel.EMAIL}
ALWAYS_BOTH = {
    "breaker",
    "channel_dead",
    "daily_summary",
    "large_position_change",
    "live_trading",
    "position_mismatch",
    "split_suspected",
    "test_message",
}
BOTH_WHEN_CRITICAL = {
    "coverage_lost",
    "exit_blocked",
    "order_abandoned",
    "order_closed_unfilled",
    "order_refused",
    "stop_triggered",
}
INFO, WARNING, CRITICAL = Severity


def alert(
    occurrence: str = "tick 1",
    *,
    kind: str = AlertKind.EXIT_BLOCKED,
    severity: Severity = WARNING,
    at: datetime = NOW,
    text: str = "Another order reserves the shares",
    subject: str = "TSLA",
) -> Alert:
    return Alert(kind=kind, severity=severity, subject=subject, at=at, text=text, occurrence=occurrence)


def recovery(occurrence: str = "tick 9", *, at: datetime = NOW + 9 * MINUTE) -> Alert:
    return replace(alert(occurrence, at=at, severity=INFO, text="The exit is free again"), recovers=True)


def incident(severity: Severity = WARNING, *, repeats: int = 0) -> Incident:
    opened = open_incident(alert(severity=severity), RULES)
    for number in range(repeats):
        opened = opened.with_repeat(alert(f"repeat {number}", severity=severity, at=NOW + SECOND))
    return opened


def after(told: Incident, channel: Channel, **outcome: object) -> Incident:
    delivery = replace(told.deliveries[channel], **outcome)  # type: ignore[arg-type]
    return told.with_delivery(channel, delivery, recovery=False)


class TestRouting:
    @pytest.mark.parametrize("severity", Severity)
    @pytest.mark.parametrize("kind", AlertKind)
    def test_kind_and_severity_decide_the_channels(self, kind: AlertKind, severity: Severity) -> None:
        both = kind.value in ALWAYS_BOTH or (severity is CRITICAL and kind.value in BOTH_WHEN_CRITICAL)
        assert route(kind, severity) == (BOTH if both else DISCORD)

    @pytest.mark.parametrize("severity", Severity)
    @pytest.mark.parametrize("kind", ["edge_down", "", "SYSTEM_ERROR", "system_error "])
    def test_an_unknown_kind_goes_to_both(self, kind: str, severity: Severity) -> None:
        assert route(kind, severity) == BOTH

    def test_an_incident_opens_on_its_channels(self) -> None:
        assert set(incident(CRITICAL).deliveries) == BOTH

    def test_the_first_alert_is_due_at_once(self) -> None:
        assert incident().deliveries[Channel.DISCORD].is_due(NOW)


class TestFloods:
    def test_five_hundred_identical_errors_are_one_message_with_499_suppressed(self) -> None:
        flooded = incident(repeats=499)
        assert (len(flooded.deliveries), flooded.suppressed) == (1, 499)

    def test_the_recovery_of_a_flood_is_one_message_that_carries_the_count(self) -> None:
        told = incident(repeats=499).with_recovery(recovery()).recovery
        assert told is not None
        assert told.text == "The exit is free again (499 suppressed)"

    def test_the_recovery_of_a_single_alert_counts_nothing(self) -> None:
        told = incident().with_recovery(recovery()).recovery
        assert told is not None
        assert told.text == "The exit is free again"

    def test_the_message_stays_the_first_one_s(self) -> None:
        repeated = incident().with_repeat(alert("tick 2", text="Yahoo still does not answer"))
        assert repeated.alert.text == "Another order reserves the shares"

    @pytest.mark.parametrize(
        ("at", "taken"),
        [
            (NOW, True),
            (NOW + 15 * MINUTE - SECOND, True),
            (NOW + 15 * MINUTE, False),
            (NOW - MINUTE, True),
        ],
        ids=["at once", "within the window", "as the window ends", "overtaken on the way"],
    )
    def test_repeats_are_merged_for_fifteen_minutes(self, at: datetime, taken: bool) -> None:
        assert incident().takes(alert("tick 2", at=at)) is taken

    def test_what_an_earlier_window_suppressed_is_carried_over(self) -> None:
        assert open_incident(alert(), RULES, carried=12).carried == 12


class TestRedelivery:
    def test_the_opening_alert_delivered_again_changes_nothing(self) -> None:
        opened = incident()
        assert opened.with_repeat(alert()) is opened

    def test_a_repeat_delivered_again_is_counted_once(self) -> None:
        once = incident().with_repeat(alert("tick 2"))
        assert once.with_repeat(alert("tick 2")) is once

    def test_a_recovery_delivered_again_changes_nothing(self) -> None:
        over = incident().with_recovery(recovery())
        assert (over.takes(recovery()), over.with_recovery(recovery())) == (True, over)

    @pytest.mark.parametrize("occurrence", ["tick 1", "repeat 0"], ids=["the opening alert", "a repeat"])
    def test_an_alert_delivered_again_after_the_recovery_opens_nothing_new(self, occurrence: str) -> None:
        over = incident(repeats=1).with_recovery(recovery())
        assert over.takes(alert(occurrence, at=NOW + SECOND))

    def test_trouble_that_comes_back_after_the_recovery_is_a_new_incident(self) -> None:
        over = incident().with_recovery(recovery())
        assert not over.takes(alert("tick 10", at=NOW + 10 * MINUTE))

    def test_a_second_recovery_is_not_taken(self) -> None:
        over = incident().with_recovery(recovery())
        assert not over.takes(recovery("tick 12"))

    def test_a_recovery_is_taken_long_after_the_window(self) -> None:
        assert incident().takes(recovery(at=NOW + timedelta(days=2)))

    @given(st.lists(st.integers(min_value=0, max_value=20), max_size=60))
    def test_the_count_is_that_of_different_repeats_however_often_they_arrive(self, arrivals: list[int]) -> None:
        told = incident()
        for number in arrivals:
            told = told.with_repeat(alert(f"tick {number + 2}"))
        assert told.suppressed == len(set(arrivals))

    @given(st.permutations([(f"tick {n}", severity) for n in range(2, 5) for severity in Severity]))
    def test_the_order_of_repeats_does_not_change_where_they_go(self, arrivals: list[tuple[str, Severity]]) -> None:
        told = incident(INFO)
        for number, (occurrence, severity) in enumerate(arrivals):
            told = told.with_repeat(alert(f"{occurrence} {number}", severity=severity))
        assert (set(told.deliveries), told.alert.severity) == (BOTH, CRITICAL)


class TestWorsening:
    def test_a_worse_repeat_adds_the_channels_it_needs(self) -> None:
        assert set(incident().with_repeat(alert("tick 2", severity=CRITICAL)).deliveries) == BOTH

    def test_a_worse_repeat_does_not_send_again_where_it_was_sent(self) -> None:
        told = after(incident(), Channel.DISCORD, state=DeliveryState.SENT)
        worse = told.with_repeat(alert("tick 2", severity=CRITICAL))
        assert worse.deliveries[Channel.DISCORD].state is DeliveryState.SENT

    def test_a_milder_repeat_lowers_nothing(self) -> None:
        assert incident(CRITICAL).with_repeat(alert("tick 2", severity=INFO)).alert.severity is CRITICAL

    def test_the_recovery_goes_where_the_incident_went(self) -> None:
        worse = incident().with_repeat(alert("tick 2", severity=CRITICAL)).with_recovery(recovery())
        assert set(worse.recovery_deliveries) == BOTH


class TestEscalation:
    def test_a_warning_told_on_discord_does_not_escalate(self) -> None:
        told = after(incident(), Channel.DISCORD, state=DeliveryState.SENT, sent_at=NOW)
        assert not told.escalation_due(NOW + timedelta(hours=5), RULES)

    def test_a_discord_that_asks_to_wait_escalates_at_once(self) -> None:
        told = after(incident(), Channel.DISCORD, not_before=NOW + MINUTE)
        assert told.escalation_due(NOW, RULES)

    def test_a_dead_discord_escalates_at_once(self) -> None:
        told = after(incident(), Channel.DISCORD, state=DeliveryState.DEAD)
        assert told.escalation_due(NOW, RULES)

    @pytest.mark.parametrize(("waited", "due"), [(10 * MINUTE - SECOND, False), (10 * MINUTE, True)])
    def test_a_critical_incident_on_discord_alone_escalates_after_ten_minutes(
        self, waited: timedelta, due: bool
    ) -> None:
        opened = open_incident(alert(kind=AlertKind.SYSTEM_ERROR, severity=CRITICAL), RULES)
        discord_only = after(opened, Channel.DISCORD, state=DeliveryState.SENT)
        assert discord_only.escalation_due(NOW + waited, RULES) is due

    @pytest.mark.parametrize(
        "settled",
        [
            replace(incident(), acknowledged=True),
            incident().with_escalation(),
            incident().with_recovery(recovery()),
            incident(CRITICAL),
        ],
        ids=["acknowledged", "escalated", "recovered", "on e-mail already"],
    )
    def test_what_a_person_has_or_will_see_does_not_escalate(self, settled: Incident) -> None:
        throttled = after(settled, Channel.DISCORD, not_before=NOW + MINUTE)
        assert not throttled.escalation_due(NOW + timedelta(hours=1), RULES)

    def test_an_escalation_goes_out_by_e_mail(self) -> None:
        assert incident().with_escalation().deliveries[Channel.EMAIL].is_due(NOW)

    def test_an_escalation_leaves_discord_as_it_is(self) -> None:
        told = after(incident(), Channel.DISCORD, state=DeliveryState.DEAD, problem="404")
        assert told.with_escalation().deliveries[Channel.DISCORD].problem == "404"


class TestDelivery:
    @pytest.mark.parametrize(
        ("delivery", "due"),
        [
            (Delivery(), True),
            (Delivery(not_before=NOW), True),
            (Delivery(not_before=NOW + SECOND), False),
            (Delivery(claimed_until=NOW + SECOND), False),
            (Delivery(claimed_until=NOW), True),
            (Delivery(not_before=NOW - MINUTE, claimed_until=NOW + SECOND), False),
            (Delivery(state=DeliveryState.SENT), False),
            (Delivery(state=DeliveryState.DEAD), False),
        ],
        ids=["new", "waited", "must wait", "claimed", "claim over", "claimed after a wait", "sent", "dead"],
    )
    def test_only_a_pending_unclaimed_message_whose_wait_is_over_is_due(self, delivery: Delivery, due: bool) -> None:
        assert delivery.is_due(NOW) is due

    def test_an_incident_is_settled_once_every_message_was_sent_or_given_up(self) -> None:
        told = after(incident(CRITICAL), Channel.DISCORD, state=DeliveryState.SENT)
        assert [told.is_settled, after(told, Channel.EMAIL, state=DeliveryState.DEAD).is_settled] == [False, True]

    def test_a_recovery_unsettles_the_incident(self) -> None:
        told = after(incident(), Channel.DISCORD, state=DeliveryState.SENT)
        assert not told.with_recovery(recovery()).is_settled

    def test_a_delivered_recovery_settles_it_again(self) -> None:
        over = after(incident(), Channel.DISCORD, state=DeliveryState.SENT).with_recovery(recovery())
        sent = Delivery(state=DeliveryState.SENT)
        assert over.with_delivery(Channel.DISCORD, sent, recovery=True).is_settled

    def test_a_critical_incident_told_on_discord_alone_is_watched_until_it_escalates(self) -> None:
        told = replace(incident(CRITICAL), deliveries={Channel.DISCORD: Delivery(state=DeliveryState.SENT)})
        assert [told.needs_watching, replace(told, acknowledged=True).needs_watching] == [True, False]


def test_an_alert_is_dated_in_utc() -> None:
    with pytest.raises(InvalidValue, match=r"alert\.at"):
        alert(at=NOW.replace(tzinfo=None))


def test_subjects_have_incidents_of_their_own() -> None:
    assert alert(subject="TSLA").incident_key != alert(subject="AAPL").incident_key


def test_raising_and_recovering_for_one_cause_are_two_alerts() -> None:
    assert alert("tick 1").id != recovery("tick 1").id
