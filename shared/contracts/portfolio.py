"""The portfolio file: cash and positions that a replay starts with.

Decided: amounts are strings or JSON numbers and are read digit by digit, never through a float; what no rule can work
with is refused with one line that names file, field and value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from shared.domain.assets import Symbol, admit_symbol
from shared.domain.errors import InvalidValue, Stop
from shared.domain.money import ONE, ZERO
from shared.domain.positions import DEFAULT_STOP_LOSS, Position, lot_id

_NUMBER: Final = re.compile(r"[+-]?\d{1,18}(\.\d{1,18})?", re.ASCII)
_DECIMALS: Final = -9
_SHOWN: Final = 60
_PLACE: Final = "place"


class PortfolioError(Stop):
    """A portfolio file cannot be used; the message says in one line which field and why."""


def _unusable(expected: str, **context: object) -> PydanticCustomError:
    return PydanticCustomError("unusable", "{expected}", {"expected": expected, **context})


def _number(value: object) -> object:
    """Take a decimal from a string or a JSON number as it is written."""
    if isinstance(value, Decimal):
        value = format(value, "f") if value.is_finite() else str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise _unusable("a decimal number such as 10.4")
    return Decimal(value)


def _symbol(value: object) -> object:
    try:
        return admit_symbol(value if isinstance(value, str) else "")
    except InvalidValue as problem:
        raise _unusable(problem.expected) from problem


def _not_negative(value: Decimal) -> Decimal:
    if value < ZERO:
        raise _unusable("a number of zero or more")
    return value


def _positive(value: Decimal) -> Decimal:
    if value <= ZERO:
        raise _unusable("a number above zero")
    return value


def _shares(value: Decimal) -> Decimal:
    exponent = value.normalize().as_tuple().exponent
    if not isinstance(exponent, int) or exponent < _DECIMALS:
        raise _unusable("a number of shares with nine decimals at most")
    return value


def _fraction(value: Decimal) -> Decimal:
    if not ZERO < value < ONE:
        raise _unusable("a fraction between 0 and 1, such as 0.05 for 5 %")
    return value


Number = Annotated[Decimal, BeforeValidator(_number)]
Positive = Annotated[Number, AfterValidator(_positive)]
Fraction = Annotated[Number, AfterValidator(_fraction)]


class PortfolioPosition(BaseModel):
    """One position of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: Annotated[Symbol, BeforeValidator(_symbol)]
    quantity: Annotated[Positive, AfterValidator(_shares)]
    average_entry_price: Positive
    stop_loss_pct: Fraction = DEFAULT_STOP_LOSS
    trailing_stop_pct: Fraction | None = None
    take_profit_pct: Positive | None = None

    def to_domain(self, opened_at: datetime, adjusted_through: date) -> Position:
        """Turn it into a position first seen at `opened_at`, with actions up to `adjusted_through` in its figures."""
        return Position(
            symbol=self.symbol,
            lot=lot_id(self.symbol, opened_at),
            quantity=self.quantity,
            average_entry_price=self.average_entry_price,
            opened_at=opened_at,
            adjusted_through=adjusted_through,
            stop_loss_pct=self.stop_loss_pct,
            trailing_stop_pct=self.trailing_stop_pct,
            take_profit_pct=self.take_profit_pct,
        )


class Portfolio(BaseModel):
    """Cash in dollars and one position per symbol."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cash: Annotated[Number, AfterValidator(_not_negative)]
    positions: tuple[PortfolioPosition, ...]

    @field_validator("positions")
    @classmethod
    def _each_symbol_once(cls, positions: tuple[PortfolioPosition, ...]) -> tuple[PortfolioPosition, ...]:
        seen: set[Symbol] = set()
        for place, position in enumerate(positions):
            if position.symbol in seen:
                raise _unusable("a symbol that no position before has", **{_PLACE: place})
            seen.add(position.symbol)
        return positions


def load_portfolio(path: Path) -> Portfolio:
    """Read a portfolio file; raises PortfolioError naming file, field, value and what was expected."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as problem:
        raise PortfolioError(f"{path}: not UTF-8 text, expected JSON") from problem
    except OSError as problem:
        raise PortfolioError(f"{path}: cannot be read ({problem.strerror or problem})") from problem
    try:
        content = json.loads(text, parse_float=Decimal, parse_constant=Decimal, object_pairs_hook=_each_name_once)
    except json.JSONDecodeError as problem:
        where = f"line {problem.lineno}, column {problem.colno}"
        raise PortfolioError(f"{path}, {where}: not JSON ({problem.msg})") from problem
    except (_NameTwice, RecursionError, ValueError) as problem:
        raise PortfolioError(f"{path}: {problem}") from problem
    if not isinstance(content, dict):
        raise PortfolioError(f"{path}: expected an object with cash and positions")
    try:
        return Portfolio.model_validate(content)
    except ValidationError as problem:
        raise PortfolioError(f"{path}: {_line(problem.errors()[0])}") from problem


class _NameTwice(Exception):
    """An object names a field twice."""


def _each_name_once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name, value in pairs:
        if name in fields:
            raise _NameTwice(f"{_shown(name)} is there twice in one object, expected once")
        fields[name] = value
    return fields


def _line(error: ErrorDetails) -> str:
    """Write the first thing that pydantic found in our words."""
    value, location = error["input"], list(error["loc"])
    place = error.get("ctx", {}).get(_PLACE)
    if place is not None:
        location += [place, "symbol"]
        value = value[place]["symbol"]
    field = "".join(_steps(location))
    match error["type"]:
        case "missing":
            return f"{field}: missing"
        case "extra_forbidden":
            return f"{field}: not a known field"
        case "unusable":
            return f"{field}: {_shown(value)} is not usable, expected {error['msg']}"
        case "tuple_type":
            return f"{field}: {_shown(value)} is not usable, expected a list"
        case _:
            return f"{field}: {_shown(value)} is not usable, expected an object"


def _steps(location: Sequence[int | str]) -> Iterator[str]:
    for place, step in enumerate(location):
        if isinstance(step, int):
            yield f"[{step}]"
        else:
            name = step if step.isidentifier() else _shown(step)
            yield f".{name}" if place else name


def _shown(value: object) -> str:
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
