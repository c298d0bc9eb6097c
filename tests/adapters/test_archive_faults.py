"""The archive's bucket on bad days: a failure is never taken for an absent hour or a finished archive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from botocore.config import Config

from shared.adapters.aws.archive import S3PriceArchive
from shared.domain.errors import Throttled, TryAgain, Unavailable
from tests.fakes.aws import local_session
from tests.fakes.scripted_http import ScriptedServer, Step, hang, hang_up, reply, reset_in_body

HOUR = datetime(2026, 6, 10, 14, tzinfo=UTC)

CALLS: dict[str, Callable[[S3PriceArchive], object]] = {
    "has": lambda archive: archive.has(HOUR),
    "put": lambda archive: archive.put(HOUR, []),
    "get": lambda archive: archive.get(HOUR),
}


def archive_at(url: str, tries: int = 1) -> S3PriceArchive:
    bounds = Config(connect_timeout=0.3, read_timeout=0.3, retries={"total_max_attempts": tries, "mode": "standard"})
    return S3PriceArchive(local_session().client("s3", endpoint_url=url, config=bounds), "archive")


def failure(status: int, code: str) -> Step:
    return reply(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    "step",
    [failure(403, "AccessDenied"), failure(500, "InternalError"), reply(502, b"<html>bad gateway"), hang, hang_up],
)  # fmt: skip
def test_a_failed_call_is_unavailable_and_names_the_hour(call: Callable[[S3PriceArchive], object], step: Step) -> None:
    with ScriptedServer(step) as server, pytest.raises(Unavailable, match="prices/2026/06/10/14") as caught:
        call(archive_at(server.url))

    assert type(caught.value) is Unavailable
    assert len(server.arrived) == 1


@pytest.mark.parametrize("call", [CALLS["put"], CALLS["get"]], ids=["put", "get"])
def test_half_an_answer_is_none(call: Callable[[S3PriceArchive], object]) -> None:
    with ScriptedServer(reset_in_body) as server, pytest.raises(Unavailable):
        call(archive_at(server.url))


@pytest.mark.parametrize("call", [CALLS["put"], CALLS["get"]], ids=["put", "get"])
def test_a_busy_bucket_is_throttled(call: Callable[[S3PriceArchive], object]) -> None:
    with ScriptedServer(failure(503, "SlowDown")) as server, pytest.raises(Throttled):
        call(archive_at(server.url))


def test_a_bucket_that_is_gone_is_no_absent_hour() -> None:
    with ScriptedServer(failure(404, "NoSuchBucket")) as server, pytest.raises(TryAgain, match="NoSuchBucket"):
        archive_at(server.url).get(HOUR)


def test_an_hour_whose_answer_was_lost_is_put_again_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    with ScriptedServer(hang_up, reply(200, b"")) as server:
        archive_at(server.url, tries=2).put(HOUR, [])

    first, second = server.arrived
    assert (first.method, first.target, first.body) == (second.method, second.target, second.body)
