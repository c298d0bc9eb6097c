"""What the suites of the stores share: one served AWS account per test worker, and fresh tables for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from shared.adapters.aws.clients import Aws
from shared.adapters.aws.table import Table
from tests.fakes.aws import connect, make_table, served

NewTable = Callable[[], Table]


@pytest.fixture(scope="session")
def aws() -> Iterator[Aws]:
    with served() as url:
        yield connect(url)


@pytest.fixture
def new_table(aws: Aws) -> Iterator[NewTable]:
    names: list[str] = []

    def make() -> Table:
        names.append(make_table(aws, f"table-{uuid4().hex}"))
        return Table(aws.dynamodb, names[-1])

    yield make
    for name in names:
        aws.dynamodb.delete_table(TableName=name)
