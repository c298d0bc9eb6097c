"""The message that starts an event cycle."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts.cycle_request import CycleRequestV1
from shared.domain.assets import Symbol
from shared.domain.errors import InvalidValue
from shared.domain.moves import Move

PRICES = st.decimals(min_value="0.0001", max_value="1000000", places=4)
MOVE = Move(
    symbol=Symbol("TSLA"),
    at=datetime(2026, 6, 10, 15, 35, tzinfo=UTC),
    from_price=Decimal("320.00"),
    price=Decimal("301.50"),
    sigmas=4.25,
)


@given(PRICES, PRICES, st.none() | st.floats(min_value=0, max_value=1e6))
def test_a_move_survives_the_wire(from_price: Decimal, price: Decimal, sigmas: float | None) -> None:
    move = Move(symbol=MOVE.symbol, at=MOVE.at, from_price=from_price, price=price, sigmas=sigmas)
    body = CycleRequestV1.from_domain(move).model_dump_json()
    assert CycleRequestV1.model_validate_json(body).to_domain() == move


def test_prices_travel_as_text() -> None:
    body = json.loads(CycleRequestV1.from_domain(MOVE).model_dump_json())
    assert (body["from_price"], body["price"]) == ("320", "301.5")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("version", 2),
        ("trigger", "hunch"),
        ("price", 301.5),
        ("price", "NaN"),
        ("price", "0"),
        ("price", "a lot"),
        ("at", "2026-06-10T15:35:00"),
        ("unheard_of", "x"),
    ],
)
def test_a_message_that_means_nothing_is_refused(field: str, value: object) -> None:
    body = json.loads(CycleRequestV1.from_domain(MOVE).model_dump_json()) | {field: value}
    with pytest.raises(ValidationError, match=field):
        CycleRequestV1.model_validate_json(json.dumps(body))


def test_an_option_symbol_is_refused() -> None:
    message = CycleRequestV1.from_domain(MOVE).model_copy(update={"symbol": "TSLA260619C00300000"})
    with pytest.raises(InvalidValue, match="options are not traded"):
        message.to_domain()
