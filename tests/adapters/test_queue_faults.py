"""SQS on bad days: what each failure is taken for, and how often a message leaves (faults 32 and 34)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.retries.standard import ThrottledRetryableChecker
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.aws import queues
from shared.adapters.aws.clients import TRIES
from shared.adapters.aws.errors import THROTTLES, talking_to
from shared.adapters.aws.queues import (
    LARGEST_MESSAGE,
    SqsAlertQueue,
    SqsCycleQueue,
    SqsDeadLetters,
    SqsDoorbell,
)
from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.assets import Symbol
from shared.domain.errors import Conflict, HearthwatchError, InvalidValue, Throttled, TryAgain, Unavailable
from shared.domain.moves import Move
from shared.use_cases.tell import ring_quietly, tell_quietly
from tests.fakes.aws import connect, local_session
from tests.fakes.scripted_http import ScriptedServer, Step, hang, hang_up, reply, reset_in_body

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

NOON = datetime(2026, 6, 10, 16, tzinfo=UTC)
PRIVATE = "sold ten of TSLA"
ALERT = Alert(
    kind=AlertKind.ORDER_FILLED.value,
    severity=Severity.INFO,
    subject="TSLA",
    at=NOON,
    text=PRIVATE,
    occurrence="order 1",
)
MOVE = Move(symbol=Symbol("TSLA"), at=NOON, from_price=Decimal(320), price=Decimal("301.25"), sigmas=None)
TAKEN = reply(200, {"MessageId": "219f8380-5770-4cc2-8c3e-5c715e145f5e", "MD5OfMessageBody": "0" * 32})


def failure(status: int, code: str) -> Step:
    return reply(status, {"__type": f"com.amazonaws.sqs#{code}", "message": f"no: {PRIVATE}"})


def sqs_at(url: str, tries: int = 1) -> SQSClient:
    bounds = Config(connect_timeout=0.3, read_timeout=0.3, retries={"total_max_attempts": tries, "mode": "standard"})
    return local_session().client("sqs", endpoint_url=url, config=bounds)


@pytest.fixture
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let botocore try again at once."""
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))


def no_run() -> str:
    return ""


SENDS: dict[str, Callable[[SQSClient, str], object]] = {
    "ring": lambda client, url: SqsDoorbell(client, url, no_run).ring(),
    "cycle": lambda client, url: SqsCycleQueue(client, url, no_run).send(MOVE),
    "alert": lambda client, url: SqsAlertQueue(client, url, no_run).send(ALERT),
    "dead letter": lambda client, url: SqsDeadLetters(client, url, no_run).keep(PRIVATE, PRIVATE),
}
FAILURES: list[tuple[Step, type[TryAgain]]] = [
    (failure(400, "RequestThrottled"), Throttled),
    (failure(400, "ThrottlingException"), Throttled),
    (failure(400, "KmsThrottled"), Throttled),
    (failure(429, "NeverHeardOf"), Throttled),
    (failure(400, "QueueDoesNotExist"), Unavailable),
    (failure(403, "AccessDeniedException"), Unavailable),
    (failure(403, "ExpiredTokenException"), Unavailable),
    (failure(500, "InternalFailure"), Unavailable),
    (reply(503, b"<html>Service Unavailable</html>"), Unavailable),
    (reply(504, b""), Unavailable),
    (reply(200, b"<html>welcome to the hotel</html>"), Unavailable),
    (reply(200, b"{}"), Unavailable),
    (reply(200, b"null"), Unavailable),
    (reply(200, b"[1]"), Unavailable),
    (reply(200, b"\xff{"), Unavailable),
    (reply(302, b"", Location="http://127.0.0.1:1/"), Unavailable),
    (hang, Unavailable),
    (hang_up, Unavailable),
    (reset_in_body, Unavailable),
]


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
@pytest.mark.parametrize(("step", "outcome"), FAILURES)
def test_a_failed_send_is_taken_for_what_it_is_and_tells_nothing_of_its_text(
    send: Callable[[SQSClient, str], object], step: Step, outcome: type[TryAgain]
) -> None:
    with ScriptedServer(step) as server, pytest.raises(outcome) as caught:
        send(sqs_at(server.url), f"{server.url}/123456789012/queue")

    assert type(caught.value) is outcome
    assert PRIVATE not in str(caught.value)
    assert len(server.arrived) == 1


@pytest.mark.parametrize("lost", [hang, hang_up, reset_in_body, reply(503, b"")])
@pytest.mark.usefixtures("without_pauses")
def test_a_send_whose_answer_was_lost_is_sent_again_unchanged(lost: Step) -> None:
    with ScriptedServer(lost, TAKEN) as server:
        SqsAlertQueue(sqs_at(server.url, tries=2), f"{server.url}/1/alerts", no_run).send(ALERT)

    first, second = server.arrived
    assert first.body == second.body
    assert PRIVATE in json.loads(second.body)["MessageBody"]


@pytest.mark.usefixtures("without_pauses")
def test_a_throttled_queue_is_asked_three_times_in_all() -> None:
    with ScriptedServer(failure(400, "RequestThrottled")) as server, pytest.raises(Throttled) as caught:
        SqsDoorbell(connect(server.url).sqs, f"{server.url}/1/doorbell", no_run).ring()

    assert len(server.arrived) == TRIES == 3
    assert caught.value.retry_after > timedelta(0)


def test_a_queue_that_is_down_stops_nobody_who_only_tells() -> None:
    with ScriptedServer(failure(500, "InternalFailure")) as server:
        client, url = sqs_at(server.url), f"{server.url}/1/queue"
        assert not tell_quietly(SqsAlertQueue(client, url, no_run), ALERT)
        ring_quietly(SqsDoorbell(client, url, no_run))


def test_a_message_too_large_is_refused_before_it_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "LARGEST_MESSAGE", 100)
    with ScriptedServer(TAKEN) as server, pytest.raises(InvalidValue, match="at most 100 bytes") as caught:
        SqsAlertQueue(sqs_at(server.url), f"{server.url}/1/alerts", no_run).send(ALERT)

    assert server.arrived == []
    assert PRIVATE not in str(caught.value)


@contextmanager
def sent(act: Callable[[SQSClient, str], object]) -> Iterator[dict[str, Any]]:
    with ScriptedServer(TAKEN) as server:
        act(sqs_at(server.url), f"{server.url}/1/queue")
        [request] = server.arrived
        yield json.loads(request.body)


@pytest.mark.parametrize(
    ("delay", "seconds"),
    [
        (timedelta(0), 0),
        (timedelta(seconds=-5), 0),
        (timedelta(milliseconds=1), 1),
        (timedelta(seconds=29, microseconds=1), 30),
        (timedelta(seconds=30), 30),
        (timedelta(minutes=15), 900),
        (timedelta(minutes=14, seconds=59, milliseconds=1), 900),
        (timedelta(days=1), 900),
    ],
)
def test_a_delay_is_whole_seconds_rounded_up_and_at_most_a_quarter_of_an_hour(delay: timedelta, seconds: int) -> None:
    with sent(lambda client, url: SqsDoorbell(client, url, no_run).ring(delay)) as request:
        assert request["DelaySeconds"] == seconds


@pytest.mark.parametrize("character", ["x", "\x00", "é", "\U0001f4c9", "\ud800", "\uffff"])
def test_the_largest_dead_letter_fits_its_queue(character: str) -> None:
    def keep(client: SQSClient, url: str) -> None:
        SqsDeadLetters(client, url, no_run).keep(character * 10**6, character * 10**6)

    with sent(keep) as request:
        assert len(request["MessageBody"].encode()) <= LARGEST_MESSAGE


@pytest.mark.parametrize("character", ["x", "\x00", "é", "\U0001f4c9", "\ud800", "\uffff"])
def test_the_largest_alert_fits_its_queue(character: str) -> None:
    most = Alert(
        kind="k" * 500,
        severity=Severity.CRITICAL,
        subject=character * 500,
        at=NOON,
        text=character * 10**6,
        occurrence=character * 500,
        fields={f"{number}{character * 600}": character * 10**5 for number in range(40)},
    )
    with sent(lambda client, url: SqsAlertQueue(client, url, no_run).send(most)) as request:
        assert len(request["MessageBody"].encode()) <= LARGEST_MESSAGE


@pytest.mark.parametrize("refused_by_sqs", ["\x00", "\x1f", "\ud800", "\ufffe", "\uffff"])
def test_characters_that_sqs_refuses_travel_escaped(refused_by_sqs: str) -> None:
    odd = replace(ALERT, text=refused_by_sqs)
    for act in (
        lambda client, url: SqsAlertQueue(client, url, no_run).send(odd),
        lambda client, url: SqsDeadLetters(client, url, no_run).keep(refused_by_sqs, refused_by_sqs),
    ):
        with sent(act) as request:
            assert request["MessageBody"].isascii()
            assert request["MessageBody"].isprintable()


def test_whatever_botocore_takes_for_throttling_is_throttling() -> None:
    assert set(vars(ThrottledRetryableChecker)["_THROTTLED_ERROR_CODES"]) <= THROTTLES


@pytest.mark.parametrize(
    ("code", "status", "outcome"),
    [
        ("ConditionalCheckFailedException", 400, Conflict),
        ("ProvisionedThroughputExceededException", 400, Throttled),
        ("SlowDown", 503, Throttled),
        ("InternalServerError", 500, Unavailable),
        ("AccessDeniedException", 400, Unavailable),
    ],
)
def test_an_answer_of_aws_is_one_of_our_errors(code: str, status: int, outcome: type[HearthwatchError]) -> None:
    error: Any = {"Error": {"Code": code, "Message": PRIVATE}, "ResponseMetadata": {"HTTPStatusCode": status}}
    with pytest.raises(outcome, match=f"writing a thing.*{code}") as caught, talking_to("writing a thing"):
        raise ClientError(error, "PutItem")

    assert PRIVATE not in str(caught.value)


@given(st.dictionaries(st.text(), st.none() | st.text() | st.integers() | st.dictionaries(st.text(), st.text())))
def test_an_answer_of_any_shape_is_one_of_our_errors(shape: dict[str, Any]) -> None:
    with pytest.raises(TryAgain), talking_to("writing a thing"):
        raise ClientError({"Error": {}, "ResponseMetadata": {}} | shape, "PutItem")  # type: ignore[arg-type]


def test_a_call_that_was_made_wrongly_does_not_show_its_values() -> None:
    client = sqs_at("http://127.0.0.1:1")
    with pytest.raises(Unavailable) as caught, talking_to("asking wrongly"):
        client.send_message(QueueUrl="queue", MessageBody=[PRIVATE])  # type: ignore[arg-type]

    assert PRIVATE not in str(caught.value)


def test_what_is_no_error_of_aws_passes_untouched() -> None:
    for error in (ZeroDivisionError(), InvalidValue("price", 0, "more")):
        with pytest.raises(type(error)), talking_to("counting"):
            raise error
