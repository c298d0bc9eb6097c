"""The portfolio file: exact amounts in, one line out for anything that no rule can work with."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.portfolio import Portfolio, PortfolioError, load_portfolio

TSLA = {"symbol": "TSLA", "quantity": "10.4", "average_entry_price": "320.00", "stop_loss_pct": "0.05"}
OPENED = datetime(2026, 6, 10, 13, 30, tzinfo=UTC)


def written(folder: Path, text: str) -> Path:
    path = folder / "portfolio.json"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return path


def problem_with(folder: Path, text: str) -> str:
    path = written(folder, text)
    with pytest.raises(PortfolioError) as caught:
        load_portfolio(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message.removeprefix(str(path))


def with_position(**fields: Any) -> str:
    position = {name: value for name, value in (TSLA | fields).items() if value != "absent"}
    return json.dumps({"cash": "100000", "positions": [position]})


def test_amounts_are_read_exactly(tmp_path: Path) -> None:
    text = '{"cash": 100000.10, "positions": [{"symbol": "TSLA", "quantity": 10.4, "average_entry_price": "320.00"}]}'
    portfolio = load_portfolio(written(tmp_path, text))
    (position,) = portfolio.positions

    assert str(portfolio.cash) == "100000.10"
    assert (str(position.quantity), str(position.average_entry_price)) == ("10.4", "320.00")
    assert (position.stop_loss_pct, position.trailing_stop_pct, position.take_profit_pct) == (
        Decimal("0.20"),
        None,
        None,
    )


def test_position_keeps_its_levels(tmp_path: Path) -> None:
    text = with_position(trailing_stop_pct="0.1", take_profit_pct="0.5")
    (position,) = load_portfolio(written(tmp_path, text)).positions
    held = position.to_domain(OPENED, date(2026, 6, 9))

    assert (held.stop_price, held.take_profit_price, held.trailing_stop_pct) == (
        Decimal("304.00"),
        Decimal("480.00"),
        Decimal("0.1"),
    )
    assert (held.lot, held.opened_at, held.adjusted_through) == ("TSLA:2026-06-10T13:30:00Z", OPENED, date(2026, 6, 9))


def test_portfolio_may_hold_nothing(tmp_path: Path) -> None:
    assert load_portfolio(written(tmp_path, '{"cash": 0, "positions": []}')) == Portfolio(cash=Decimal(0), positions=())


ABOVE = "expected a number above zero"
NUMBER = "expected a decimal number such as 10.4"
FRACTION = "expected a fraction between 0 and 1, such as 0.05 for 5 %"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"quantity": "0"}, f"quantity: '0' is not usable, {ABOVE}"),
        ({"quantity": "-10.4"}, f"quantity: '-10.4' is not usable, {ABOVE}"),
        ({"quantity": "NaN"}, f"quantity: 'NaN' is not usable, {NUMBER}"),
        ({"quantity": "ten"}, f"quantity: 'ten' is not usable, {NUMBER}"),
        ({"quantity": "1_0"}, f"quantity: '1_0' is not usable, {NUMBER}"),
        ({"quantity": True}, f"quantity: True is not usable, {NUMBER}"),
        ({"quantity": None}, f"quantity: None is not usable, {NUMBER}"),
        ({"quantity": ["1"]}, f"quantity: ['1'] is not usable, {NUMBER}"),
        ({"quantity": float("nan")}, f"quantity: NaN is not usable, {NUMBER}"),
        ({"quantity": float("inf")}, f"quantity: Infinity is not usable, {NUMBER}"),
        (
            {"quantity": 0.1 + 0.2},
            "quantity: 0.30000000000000004 is not usable, expected a number of shares with nine decimals at most",
        ),
        ({"quantity": "absent"}, "quantity: missing"),
        ({"average_entry_price": "0.00"}, f"average_entry_price: '0.00' is not usable, {ABOVE}"),
        ({"average_entry_price": "1" * 80}, f"average_entry_price: '{'1' * 59}... is not usable, {NUMBER}"),
        ({"stop_loss_pct": "5"}, f"stop_loss_pct: '5' is not usable, {FRACTION}"),
        ({"stop_loss_pct": 1}, f"stop_loss_pct: 1 is not usable, {FRACTION}"),
        ({"stop_loss_pct": "0"}, f"stop_loss_pct: '0' is not usable, {FRACTION}"),
        ({"trailing_stop_pct": "-0.1"}, f"trailing_stop_pct: '-0.1' is not usable, {FRACTION}"),
        ({"take_profit_pct": "0"}, f"take_profit_pct: '0' is not usable, {ABOVE}"),
        ({"colour": "red"}, "colour: not a known field"),
        ({"symbol": "tsla"}, "symbol: 'tsla' is not usable, expected a stock symbol such as TSLA or BRK.B"),
        ({"symbol": 7}, "symbol: 7 is not usable, expected a stock symbol such as TSLA or BRK.B"),
        (
            {"symbol": "BTC-USD"},
            "symbol: 'BTC-USD' is not usable, expected an enabled asset class: crypto is switched off",
        ),
        (
            {"symbol": "TSLA260117C00300000"},
            "symbol: 'TSLA260117C00300000' is not usable, expected a stock: options are not traded",
        ),
    ],
)
def test_unusable_field_of_a_position_is_named(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    assert problem_with(tmp_path, with_position(**fields)) == f": positions[0].{message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ", line 1, column 1: not JSON (Expecting value)"),
        ('{"cash": 1,\n "positions": [}', ", line 2, column 16: not JSON (Expecting value)"),
        ("[]", ": expected an object with cash and positions"),
        ('{"positions": []}', ": cash: missing"),
        ('{"cash": 1}', ": positions: missing"),
        ('{"cash": "-0.01", "positions": []}', ": cash: '-0.01' is not usable, expected a number of zero or more"),
        ('{"cash": 1e400, "positions": []}', f": cash: 1E+400 is not usable, {NUMBER}"),
        ('{"cash": 1, "positions": {}}', ": positions: {} is not usable, expected a list"),
        ('{"cash": 1, "positions": ["TSLA"]}', ": positions[0]: 'TSLA' is not usable, expected an object"),
        ('{"cash": 1, "positions": [], "owner": "me"}', ": owner: not a known field"),
        ('{"cash": 1, "positions": [], "a\\nb": "me"}', ": 'a\\nb': not a known field"),
        ('{"cash": 1, "cash": 2, "positions": []}', ": 'cash' is there twice in one object, expected once"),
        (
            json.dumps({"cash": 1, "positions": [TSLA, TSLA | {"symbol": "KO"}, TSLA]}),
            ": positions[2].symbol: 'TSLA' is not usable, expected a symbol that no position before has",
        ),
    ],
)
def test_unusable_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    assert problem_with(tmp_path, text) == message


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PortfolioError, match=r"portfolio\.json: cannot be read \(No such file or directory\)"):
        load_portfolio(tmp_path / "portfolio.json")


def test_text_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "portfolio.json"
    path.write_bytes(b'{"cash": "\xff"}')

    with pytest.raises(PortfolioError, match="not UTF-8 text"):
        load_portfolio(path)


def test_endless_nesting_is_refused(tmp_path: Path) -> None:
    assert "recursion" in problem_with(tmp_path, "[" * 100_000)


@given(quantity=st.decimals("0.000000001", "1000000", places=9), price=st.decimals("0.01", "100000", places=4))
def test_any_amount_survives_the_file(
    tmp_path_factory: pytest.TempPathFactory, quantity: Decimal, price: Decimal
) -> None:
    written_position = f'{{"symbol": "KO", "quantity": {quantity:f}, "average_entry_price": "{price:f}"}}'
    text = f'{{"cash": 1, "positions": [{written_position}]}}'
    (position,) = load_portfolio(written(tmp_path_factory.mktemp("portfolio"), text)).positions

    assert (position.quantity, position.average_entry_price) == (quantity, price)
