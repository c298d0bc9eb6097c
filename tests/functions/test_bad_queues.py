"""Messages that cannot be handled: they go back, they hold nobody up, and none is lost (faults 34 and 42)."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from shared.contracts.alert_message import AlertMessageV1
from shared.contracts.doorbell_ring import DoorbellRingV1
from shared.domain.alerts import Alert, AlertKind, Severity
from tests.fakes.house import NOON, House, prepared

HIDDEN = timedelta(minutes=6)
RECEIVES = 5
ALERT = Alert(
    kind=AlertKind.TICKS_MISSED,
    severity=Severity.WARNING,
    subject="ticks",
    at=NOON,
    text="No tick for 5 minutes",
    occurrence="one",
)
WRITTEN = AlertMessageV1.from_domain(ALERT).model_dump(mode="json")
STRANGE = {
    "no JSON": "buy TSLA now",
    "somebody else's": json.dumps({"Type": "Notification", "Message": "hello"}),
    "of a newer version": json.dumps({**WRITTEN, "version": 2, "shard": "eu"}),
    "with a field of tomorrow": json.dumps({**WRITTEN, "shard": "eu"}),
}
pytestmark = pytest.mark.usefixtures("quiet")


def send(house: House, queue: str, body: str) -> None:
    house.cloud.client("sqs").send_message(QueueUrl=house.cloud.physical(queue), MessageBody=body)


def test_poison_lands_whole_in_the_dead_letters_after_five_tries_and_holds_no_alert_back() -> None:
    """Fault 34: what is not ours, or of a version to come, goes back to the queue each time; nothing is dropped."""
    with House() as house:
        for body in STRANGE.values():
            send(house, "AlertsQueue", body)
        house.owner.alerts.send(ALERT)

        (first,) = house.pump()

        assert first.error is None
        assert len(first.answer["batchItemFailures"]) == len(STRANGE)
        assert house.told() == ["Price ticks missed: ticks"]
        for _ in range(RECEIVES - 1):
            assert house.waiting("AlertsDeadLetters") == []
            house.clock.set(house.clock.now() + HIDDEN)
            (again,) = house.pump()
            assert again.error is not None, "a batch of which nothing could be handled fails as a whole"
        house.clock.set(house.clock.now() + HIDDEN)
        assert house.pump() == ()
        assert sorted(house.waiting("AlertsDeadLetters")) == sorted(STRANGE.values())
        assert house.told() == ["Price ticks missed: ticks"]


def test_message_of_a_newer_version_is_handled_once_the_newer_code_is_there() -> None:
    """Fault 42: the older code hands it back as it was, and does not count it as done."""
    with House() as house:
        newer = json.dumps({**WRITTEN, "version": 2})
        send(house, "AlertsQueue", newer)

        (refused,) = house.pump()

        assert "version" in str(refused.error)
        house.clock.set(house.clock.now() + HIDDEN)
        house.give_back()
        assert house.drain("AlertsQueue") == [newer]
        assert house.told() == []


def test_ring_that_is_not_ours_does_not_keep_the_executor_from_ours() -> None:
    """Fault 34: the exit goes out with the good ring; the other goes aside after five tries."""
    with House() as house:
        prepared(house)
        house.drain("DoorbellQueue")
        house.drain("AlertsQueue")
        send(house, "DoorbellQueue", '{"version":7}')
        send(house, "DoorbellQueue", DoorbellRingV1().model_dump_json())

        (rung,) = house.pump()

        assert len(rung.answer["batchItemFailures"]) == 1
        assert house.exchange.count("POST", "/v2/orders") == 1
        for _ in range(RECEIVES):
            house.clock.set(house.clock.now() + HIDDEN)
            house.pump()
        assert house.waiting("DoorbellDeadLetters") == ['{"version":7}']
        assert house.exchange.count("POST", "/v2/orders") == 1
