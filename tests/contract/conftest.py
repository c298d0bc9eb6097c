"""What the suites of the stores share: one served AWS account per test worker, and fresh tables for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from botocore.config import Config

from shared.adapters.aws.clients import Aws
from shared.adapters.aws.table import Table
from tests.fakes.aws import connect, local_session, make_table, served

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

NewTable = Callable[[], Table]


@pytest.fixture(scope="session")
def aws() -> Iterator[Aws]:
    with served() as url:
        yield connect(url)


@pytest.fixture(scope="session")
def patient(aws: Aws) -> DynamoDBClient:
    """A client that waits however busy the machine is: a repeated write is another story, told elsewhere."""
    client = aws.dynamodb
    config = client.meta.config.merge(Config(connect_timeout=60, read_timeout=60))
    return local_session().client("dynamodb", config=config, endpoint_url=client.meta.endpoint_url)


@pytest.fixture
def new_table(aws: Aws, patient: DynamoDBClient) -> Iterator[NewTable]:
    names: list[str] = []

    def make() -> Table:
        names.append(make_table(aws, f"table-{uuid4().hex}"))
        return Table(patient, names[-1])

    yield make
    for name in names:
        aws.dynamodb.delete_table(TableName=name)
