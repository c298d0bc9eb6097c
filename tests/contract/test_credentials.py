"""What is told of stored credentials: their ages by name, and never what they are."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from shared.adapters.aws.clients import Aws
from shared.adapters.aws.credentials import SsmCredentials
from shared.adapters.aws.parameters import SsmParameters
from shared.adapters.memory.credentials import MemoryCredentials
from shared.ports.credentials import Credentials

STORED, ABSENT = "alpaca-paper-secret", "alpaca-live-secret"
VALUE = "not-a-real-secret"
FAR_AHEAD = datetime(2100, 1, 1, tzinfo=UTC)


def in_the_parameter_store(aws: Aws) -> Credentials:
    parameters = SsmParameters(aws.ssm, "/hearthwatch-credentials")
    parameters.put(STORED, SecretStr(VALUE))
    return SsmCredentials(parameters, [STORED, ABSENT])


STORES: dict[str, Callable[[Any], Credentials]] = {
    "memory": lambda _: MemoryCredentials({STORED: datetime(2026, 2, 4, tzinfo=UTC)}),
    "ssm": in_the_parameter_store,
}


@pytest.fixture(params=sorted(STORES))
def credentials(request: pytest.FixtureRequest, aws: Aws) -> Credentials:
    return STORES[request.param](aws)


def test_a_stored_credential_has_an_age_and_an_absent_one_is_absent(credentials: Credentials) -> None:
    ages = credentials.ages(FAR_AHEAD)

    assert set(ages) == {STORED}
    assert ages[STORED] > timedelta(days=365)


def test_a_credential_grows_older_with_time(credentials: Credentials) -> None:
    assert credentials.ages(FAR_AHEAD + timedelta(days=3))[STORED] == credentials.ages(FAR_AHEAD)[STORED] + timedelta(
        days=3
    )
