"""What every alert outbox promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.adapters.aws.book import DynamoAlertOutbox
from shared.adapters.memory.book import MemoryAlertOutbox
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
)
from shared.domain.errors import Conflict
from shared.ports.book import AlertOutbox
from tests.contract.conftest import NewTable
from tests.fakes.racing import WRITERS, race, race_to_write, until_written
from tests.unit.builders import MINUTE, NOW

STORES: dict[str, Callable[[NewTable], AlertOutbox]] = {
    "memory": lambda new_table: MemoryAlertOutbox(),
    "dynamodb": lambda new_table: DynamoAlertOutbox(new_table()),
}
RULES = AlertRules()
SENT = Delivery(state=DeliveryState.SENT, tries=1, sent_at=NOW)


@pytest.fixture(params=sorted(STORES))
def outbox(request: pytest.FixtureRequest, new_table: NewTable) -> AlertOutbox:
    return STORES[request.param](new_table)


def alert(
    subject: str = "TSLA", at: datetime = NOW, severity: Severity = Severity.WARNING, occurrence: str = ""
) -> Alert:
    return Alert(
        kind=AlertKind.PRICE_DISPUTED,
        severity=severity,
        subject=subject,
        at=at,
        text=f"{subject}: the two price sources disagree – 5 % 😀",
        occurrence=occurrence or f"tick {at}",
        fields={"price": "320.1250"},
    )


def incident(
    subject: str = "TSLA", at: datetime = NOW, severity: Severity = Severity.WARNING, occurrence: str = ""
) -> Incident:
    return open_incident(alert(subject, at, severity, occurrence), RULES)


def settled(opened: Incident) -> Incident:
    return replace(opened, deliveries=dict.fromkeys(opened.deliveries, SENT))


def test_empty_outbox_knows_nothing(outbox: AlertOutbox) -> None:
    assert list(outbox.unsettled()) == []
    assert list(outbox.open_incidents(alert().incident_key)) == []


def test_incident_reads_back_as_it_was_put_one_version_later(outbox: AlertOutbox) -> None:
    opened = incident(severity=Severity.CRITICAL).with_repeat(alert(at=NOW + MINUTE)).with_escalation()
    opened = replace(opened, carried=3, acknowledged=True)
    opened = opened.with_recovery(replace(alert(at=NOW + 2 * MINUTE), recovers=True))
    waiting = Delivery(tries=2, not_before=NOW + MINUTE, claimed_until=NOW, problem="HTTP 503")
    opened = opened.with_delivery(Channel.DISCORD, waiting, recovery=True)

    saved = outbox.put(opened)

    assert saved == replace(opened, version=1)
    assert list(outbox.open_incidents(alert().incident_key)) == [saved]
    assert list(outbox.unsettled()) == [saved]


def test_put_over_a_newer_version_is_a_conflict_and_changes_nothing(outbox: AlertOutbox) -> None:
    first = outbox.put(incident())
    second = outbox.put(replace(first, acknowledged=True))

    for stale in (first, incident()):
        with pytest.raises(Conflict):
            outbox.put(replace(stale, suppressed=9))
    assert list(outbox.open_incidents(alert().incident_key)) == [second]


def test_put_of_a_version_that_was_never_stored_is_a_conflict(outbox: AlertOutbox) -> None:
    with pytest.raises(Conflict):
        outbox.put(replace(incident(), version=2))
    assert list(outbox.unsettled()) == []


def test_incidents_of_one_subject_come_oldest_first_whatever_came_first(outbox: AlertOutbox) -> None:
    for minute in (2, 0, 3, 1):
        outbox.put(incident(at=NOW + minute * MINUTE))
    outbox.put(incident("AAPL"))

    opened = [each.opened_at for each in outbox.open_incidents(alert().incident_key)]

    assert opened == [NOW + minute * MINUTE for minute in range(4)]


def test_a_late_incident_can_still_be_changed(outbox: AlertOutbox) -> None:
    newer = outbox.put(incident(at=NOW + MINUTE))
    late = outbox.put(incident(at=NOW))

    changed = [outbox.put(replace(late, suppressed=1)), outbox.put(replace(newer, suppressed=2))]

    assert list(outbox.open_incidents(alert().incident_key)) == changed


def test_times_of_any_width_keep_their_order(outbox: AlertOutbox) -> None:
    """An instant on the full second is written shorter than others."""
    for microseconds in (500_000, 0, 1):
        outbox.put(incident(at=NOW + timedelta(microseconds=microseconds)))

    opened = [each.opened_at for each in outbox.open_incidents(alert().incident_key)]
    assert opened == [NOW + timedelta(microseconds=microseconds) for microseconds in (0, 1, 500_000)]


def test_at_least_the_newest_five_are_given(outbox: AlertOutbox) -> None:
    for minute in range(12):
        outbox.put(incident(at=NOW + minute * MINUTE))

    newest = [each.opened_at for each in outbox.open_incidents(alert().incident_key)][-5:]

    assert newest == [NOW + minute * MINUTE for minute in range(7, 12)]


def test_two_incidents_of_one_moment_are_two(outbox: AlertOutbox) -> None:
    outbox.put(incident(occurrence="one"))
    outbox.put(incident(occurrence="two"))

    assert len(outbox.open_incidents(alert().incident_key)) == 2
    assert len(outbox.unsettled()) == 2


@pytest.mark.parametrize("text", ["x" * 3_000, "naïve \ud800 text", "sha256:abc"])
def test_any_text_is_a_subject_and_an_occurrence(outbox: AlertOutbox, text: str) -> None:
    saved = outbox.put(incident(text, occurrence=text))
    outbox.put(incident(text + "!", occurrence=text))
    other = outbox.put(incident(text, occurrence=text + "!"))

    assert list(outbox.open_incidents(alert(text).incident_key)) == [saved, other]


def test_unsettled_are_those_with_something_left_to_send_oldest_first(outbox: AlertOutbox) -> None:
    late = outbox.put(incident("NVDA", NOW + MINUTE))
    early = outbox.put(incident("AAPL"))
    outbox.put(settled(outbox.put(incident("TSLA"))))
    may_escalate = outbox.put(settled(incident("KO", NOW + 2 * MINUTE, Severity.CRITICAL)))

    assert list(outbox.unsettled()) == [early, late, may_escalate]


def test_settled_incident_is_watched_again_when_it_recovers(outbox: AlertOutbox) -> None:
    done = outbox.put(settled(outbox.put(incident())))
    assert list(outbox.unsettled()) == []

    recovering = outbox.put(done.with_recovery(replace(alert(at=NOW + MINUTE), recovers=True)))

    assert list(outbox.unsettled()) == [recovering]


def test_of_parallel_first_puts_one_wins(outbox: AlertOutbox) -> None:
    won = race_to_write(lambda number: outbox.put(replace(incident(), suppressed=number)))

    assert list(outbox.open_incidents(alert().incident_key)) == won


def test_parallel_writers_lose_no_repeat(outbox: AlertOutbox) -> None:
    outbox.put(incident())

    def repeat(number: int) -> None:
        def attempt() -> None:
            (stored,) = outbox.open_incidents(alert().incident_key)
            outbox.put(stored.with_repeat(alert(occurrence=str(number))))

        until_written(attempt)

    race(repeat)

    (stored,) = outbox.open_incidents(alert().incident_key)
    assert (stored.suppressed, len(stored.seen), stored.version) == (WRITERS, WRITERS, WRITERS + 1)


def test_channel_takes_messages_until_it_is_disabled(outbox: AlertOutbox) -> None:
    assert outbox.disabled_until(Channel.DISCORD) is None

    outbox.disable(Channel.DISCORD, NOW + MINUTE)

    assert outbox.disabled_until(Channel.DISCORD) == NOW + MINUTE
    assert outbox.disabled_until(Channel.EMAIL) is None


def test_of_two_times_the_later_disables(outbox: AlertOutbox) -> None:
    outbox.disable(Channel.DISCORD, NOW + MINUTE)
    outbox.disable(Channel.DISCORD, NOW)
    assert outbox.disabled_until(Channel.DISCORD) == NOW + MINUTE

    outbox.disable(Channel.DISCORD, NOW + 2 * MINUTE)
    assert outbox.disabled_until(Channel.DISCORD) == NOW + 2 * MINUTE


def test_of_parallel_times_the_latest_disables(outbox: AlertOutbox) -> None:
    race(lambda number: outbox.disable(Channel.EMAIL, NOW + number * MINUTE))

    assert outbox.disabled_until(Channel.EMAIL) == NOW + 31 * MINUTE
