"""What the suites of the adapters share: an AWS account behind a network with faults, and a Claude of this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_stack.claude.server import ClaudeServer
from shared.adapters.aws.clients import Aws
from shared.adapters.memory.clock import SimulatedClock
from tests.fakes.aws import connect, served
from tests.fakes.aws_proxy import AwsProxy
from tests.fakes.questions import NOW


@pytest.fixture(scope="module")
def account() -> Iterator[str]:
    with served() as url:
        yield url


@pytest.fixture(scope="module")
def aws(account: str) -> Aws:
    return connect(account)


@pytest.fixture(scope="module")
def proxy(account: str) -> Iterator[AwsProxy]:
    with AwsProxy(account) as proxy:
        yield proxy


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(NOW)


@pytest.fixture
def claude(clock: SimulatedClock) -> Iterator[ClaudeServer]:
    with ClaudeServer(clock) as running:
        yield running
