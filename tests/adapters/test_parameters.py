"""Secrets in the parameter store: read whole or not at all, named when missing, never shown (SEC-01, fault 41)."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from botocore.config import Config
from pydantic import SecretStr

from shared.adapters.aws.clients import Aws
from shared.adapters.aws.parameters import LONGEST_VALUE, MOST_NAMES, SecretSource, SsmParameters
from shared.domain.errors import HearthwatchError, InvalidValue, MissingSecret, Throttled, Unavailable
from tests.fakes.aws import connect, local_session, served
from tests.fakes.scripted_http import ScriptedServer, Step, hang, hang_up, reply, reset_in_body

KEY, SECRET, WEBHOOK = "alpaca-paper-key-id", "alpaca-paper-secret", "discord-webhook-url"
NAMES = (KEY, SECRET, WEBHOOK)
VALUE = "PKTESTTESTTEST"


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with served() as url:
        yield connect(url)


@pytest.fixture
def parameters(aws: Aws) -> Iterator[SsmParameters]:
    yield SsmParameters(aws.ssm, "/hearthwatch")
    for each in aws.ssm.describe_parameters()["Parameters"]:
        aws.ssm.delete_parameter(Name=each["Name"])


def revealed(parameters: SsmParameters, *names: str) -> dict[str, str]:
    return {name: found.value.get_secret_value() for name, found in parameters.read(names).items()}


def test_secrets_read_back_as_they_were_put(parameters: SsmParameters) -> None:
    for name in NAMES:
        parameters.put(name, SecretStr(f"value of {name}".replace(" ", "-")))

    assert revealed(parameters, *NAMES) == {name: f"value-of-{name}" for name in NAMES}


def test_a_secret_is_stored_encrypted_below_the_prefix(aws: Aws, parameters: SsmParameters) -> None:
    parameters.put(KEY, SecretStr(VALUE))

    stored = aws.ssm.get_parameter(Name=f"/hearthwatch/{KEY}")["Parameter"]
    assert stored["Type"] == "SecureString"
    assert stored["Value"] != VALUE


def test_a_later_value_stands(parameters: SsmParameters) -> None:
    parameters.put(KEY, SecretStr(VALUE))
    parameters.put(KEY, SecretStr("PKNEWNEWNEW"))

    assert revealed(parameters, KEY) == {KEY: "PKNEWNEWNEW"}


def test_every_missing_secret_is_named_and_what_to_do_about_it(parameters: SsmParameters) -> None:
    parameters.put(KEY, SecretStr(VALUE))

    with pytest.raises(MissingSecret, match="make secrets") as caught:
        parameters.read(NAMES)

    assert caught.value.names == (f"/hearthwatch/{SECRET}", f"/hearthwatch/{WEBHOOK}")
    assert all(name in str(caught.value) for name in caught.value.names)
    assert f"/hearthwatch/{KEY}" not in str(caught.value)
    assert VALUE not in str(caught.value)


def test_a_name_asked_for_twice_is_read_once(parameters: SsmParameters) -> None:
    parameters.put(KEY, SecretStr(VALUE))

    assert revealed(parameters, KEY, KEY) == {KEY: VALUE}


def test_ages_are_told_of_what_is_there(parameters: SsmParameters) -> None:
    parameters.put(KEY, SecretStr(VALUE))
    now = parameters.read([KEY])[KEY].last_modified + timedelta(days=76)

    assert parameters.ages(NAMES, now) == {KEY: timedelta(days=76)}


@pytest.mark.parametrize(
    "value", ["", "short", "two words", "line\nbreak", "tab\there", "ünïcode-secret", "x" * (LONGEST_VALUE + 1)]
)
def test_what_no_secret_looks_like_is_refused_by_name(parameters: SsmParameters, value: str) -> None:
    with pytest.raises(InvalidValue, match=f"/hearthwatch/{KEY}") as caught:
        parameters.put(KEY, SecretStr(value))

    assert not value or value not in str(caught.value)
    assert parameters.ages([KEY], datetime.now(UTC)) == {}


def test_no_names_are_no_request() -> None:
    with ScriptedServer(reply(500, b"")) as server:
        assert parameters_at(server.url).read([]) == {}
        assert parameters_at(server.url).ages([], datetime.now(UTC)) == {}

    assert server.arrived == []


def test_ten_names_are_one_request_and_more_are_refused() -> None:
    names = [f"secret-{number}" for number in range(MOST_NAMES + 1)]
    with ScriptedServer(found(*names[:MOST_NAMES])) as server:
        assert len(parameters_at(server.url).read(names[:MOST_NAMES])) == MOST_NAMES
        with pytest.raises(InvalidValue, match="at most 10"):
            parameters_at(server.url).read(names)

    [request] = server.arrived
    assert json.loads(request.body)["WithDecryption"] is True


def test_ages_need_no_right_to_read_a_value() -> None:
    with ScriptedServer(found(KEY)) as server:
        parameters_at(server.url).ages([KEY], datetime.now(UTC))

    assert [json.loads(request.body).keys() for request in server.arrived] == [{"ParameterFilters"}]


def found(*names: str, value: str = VALUE) -> Step:
    held = [
        {"Name": f"/hearthwatch/{name}", "Type": "SecureString", "Value": value, "LastModifiedDate": 1_781_000_000.5}
        for name in names
    ]
    return reply(200, {"Parameters": held, "InvalidParameters": []})


def parameters_at(url: str) -> SsmParameters:
    bounds = Config(connect_timeout=0.3, read_timeout=0.3, retries={"total_max_attempts": 1, "mode": "standard"})
    return SsmParameters(local_session().client("ssm", endpoint_url=url, config=bounds), "/hearthwatch/")


CALLS: dict[str, Callable[[SsmParameters], object]] = {
    "read": lambda parameters: parameters.read(NAMES),
    "ages": lambda parameters: parameters.ages(NAMES, datetime.now(UTC)),
    "put": lambda parameters: parameters.put(KEY, SecretStr(VALUE)),
}
FAILURES: list[tuple[Step, type[HearthwatchError]]] = [
    (reply(400, {"__type": "AccessDeniedException", "message": f"not you: {VALUE}"}), Unavailable),
    (reply(400, {"__type": "ThrottlingException", "message": "Rate exceeded"}), Throttled),
    (reply(400, {"__type": "TooManyUpdates", "message": VALUE}), Throttled),
    (reply(400, {"__type": "InvalidKeyId", "message": VALUE}), Unavailable),
    (reply(500, {"__type": "InternalServerError", "message": ""}), Unavailable),
    (reply(503, b"<html>"), Unavailable),
    (hang, Unavailable),
    (hang_up, Unavailable),
    (reset_in_body, Unavailable),
]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(("step", "outcome"), FAILURES)
def test_a_failed_call_names_the_parameter_and_the_cause_and_no_value(
    call: Callable[[SsmParameters], object], step: Step, outcome: type[HearthwatchError]
) -> None:
    with ScriptedServer(step) as server, pytest.raises(outcome, match=f"/hearthwatch/{KEY}") as caught:
        call(parameters_at(server.url))

    assert type(caught.value) is outcome
    assert VALUE not in str(caught.value)
    assert len(server.arrived) == 1


def test_what_is_removed_is_named_and_gone(parameters: SsmParameters) -> None:
    parameters.put(KEY, SecretStr(VALUE))

    assert list(parameters.remove([KEY, "never-there"])) == [KEY]
    assert list(parameters.remove([KEY])) == list(parameters.remove([])) == []
    with pytest.raises(MissingSecret):
        parameters.read([KEY])


def test_access_denied_is_told_by_its_name() -> None:
    with ScriptedServer(FAILURES[0][0]) as server, pytest.raises(Unavailable, match="AccessDeniedException"):
        parameters_at(server.url).read(NAMES)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"null", b'{"Parameters": null}', b'{"Parameters": [{}]}'])
def test_an_answer_without_parameters_does_not_mean_that_they_are_missing(body: bytes) -> None:
    with ScriptedServer(reply(200, body)) as server, pytest.raises(Unavailable):
        parameters_at(server.url).read(NAMES)


def test_nothing_that_was_read_shows_a_value(parameters: SsmParameters) -> None:
    parameters.put(KEY, SecretStr(VALUE))
    source = SecretSource(parameters, [KEY])

    shown = f"{parameters.read([KEY])} {source.get(KEY)} {source!r} {vars(source)} {parameters!r}"

    assert VALUE not in shown


def test_a_source_reads_once_for_all_and_again_when_told_to() -> None:
    old, new = found(*NAMES, value="old-old-old"), found(*NAMES, value="new-new-new")
    with ScriptedServer(old, new) as server:
        source = SecretSource(parameters_at(server.url), NAMES)
        assert server.arrived == []
        assert [source.get(name).get_secret_value() for name in NAMES] == ["old-old-old"] * 3
        assert len(server.arrived) == 1
        assert source.fresh(KEY).get_secret_value() == "new-new-new"
        assert source.get(SECRET).get_secret_value() == "new-new-new"

    assert len(server.arrived) == 2


def test_threads_that_start_together_read_once() -> None:
    with ScriptedServer(found(*NAMES)) as server:
        source = SecretSource(parameters_at(server.url), NAMES)
        with ThreadPoolExecutor(8) as threads:
            values = {value.get_secret_value() for value in threads.map(source.get, NAMES * 8)}

    assert (values, len(server.arrived)) == ({VALUE}, 1)


def test_a_failed_second_read_leaves_the_first_values_in_use() -> None:
    with ScriptedServer(found(*NAMES), hang_up) as server:
        source = SecretSource(parameters_at(server.url), NAMES)
        source.get(KEY)
        with pytest.raises(Unavailable):
            source.fresh(KEY)

        assert source.get(KEY).get_secret_value() == VALUE


def test_a_source_that_lacks_a_secret_refuses_to_start_and_asks_again_later() -> None:
    with ScriptedServer(found(KEY), found(*NAMES)) as server:
        source = SecretSource(parameters_at(server.url), NAMES)
        with pytest.raises(MissingSecret, match=SECRET):
            source.get(KEY)

        assert source.get(KEY).get_secret_value() == VALUE


def test_every_value_is_told_before_anybody_gets_it() -> None:
    told: list[str] = []
    with ScriptedServer(found(*NAMES, value="old-old-old"), found(*NAMES, value="new-new-new")) as server:
        source = SecretSource(
            parameters_at(server.url), NAMES, tell=lambda value: told.append(value.get_secret_value())
        )
        source.get(KEY)
        source.fresh(SECRET)

    assert told == ["old-old-old"] * 3 + ["new-new-new"] * 3


def test_an_error_that_came_with_a_value_is_only_in_the_chain() -> None:
    """The cause quotes AWS; what is printed in full passes the redactor, what is printed in short has no value."""
    with ScriptedServer(FAILURES[0][0]) as server, pytest.raises(Unavailable) as caught:
        parameters_at(server.url).read(NAMES)

    assert VALUE not in "".join(traceback.format_exception_only(caught.value))
