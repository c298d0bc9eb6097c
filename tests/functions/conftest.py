"""What the bad days share: no waiting between the tries of a client, and short patience where nobody answers."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from botocore.retries.standard import ExponentialBackoff

from shared.adapters.alpaca import session


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.001)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up on Alpaca sooner, but not so soon that a slow machine seems silent."""
    monkeypatch.setattr(session, "TRADING_READ_SECONDS", 1.5)
    monkeypatch.setattr(session, "DATA_READ_SECONDS", 1.5)


@pytest.fixture
def quiet() -> Iterator[None]:
    """Leave out the log: under faults there is a traceback for each, and writing them takes longer than the runs."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(before)
