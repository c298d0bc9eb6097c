"""A handler loads what every run of it needs, and nothing that only some runs need."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

from tests.architecture.deployment import ROOT
from tests.fakes.house import FUNCTIONS

LATER: Final = {
    "alpaca": "takes more than the rest together",
    "aws_lambda_powertools.utilities.batch": "brings models of every service's events",
    "aws_lambda_powertools.utilities.parser": "brings models of every service's events",
    "exchange_calendars": "is not even in a layer",
    "httpx": "serves Discord and the second price source",
    "numpy": "comes with pandas",
    "pandas": "comes with alpaca",
    "requests": "comes with alpaca",
}


def loaded_by(*modules: str) -> set[str]:
    """List what a fresh interpreter has loaded after importing some modules."""
    program = f"import {', '.join(modules)}, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_loads_nothing_that_can_wait(function: str) -> None:
    loaded = loaded_by(f"functions.{function}.handler")
    assert "boto3" in loaded
    assert sorted(loaded & LATER.keys()) == []


def test_a_connection_to_trade_loads_no_market_data() -> None:
    loaded = loaded_by("shared.adapters.alpaca.broker", "shared.adapters.alpaca.session", "alpaca.trading.client")
    assert not {name for name in loaded if name.startswith("alpaca.data.historical")}
