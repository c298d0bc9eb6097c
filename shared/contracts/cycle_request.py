"""The message that starts one event cycle, as it travels on the cycle queue (MOV-03)."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, PlainSerializer

from shared.domain.assets import admit_symbol
from shared.domain.money import plain, require_positive
from shared.domain.moves import Move
from shared.domain.times import require_utc


def _price(value: object) -> Decimal:
    """Take a price as text only: a JSON number may have passed through a float."""
    if not isinstance(value, str | Decimal):
        raise ValueError("expected a price as text")
    try:
        return require_positive("price", Decimal(value))
    except ArithmeticError as problem:
        raise ValueError("expected a price as text") from problem


Price = Annotated[Decimal, BeforeValidator(_price), PlainSerializer(plain, return_type=str, when_used="json")]


class CycleRequestV1(BaseModel):
    """A move of one symbol; prices travel as text, `sigmas` is None when the volatility is unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    version: Literal[1] = 1
    trigger: Literal["move"] = "move"
    symbol: str
    at: AwareDatetime
    from_price: Price
    price: Price
    sigmas: float | None = None

    @classmethod
    def from_domain(cls, move: Move) -> CycleRequestV1:
        """Write a move as a message."""
        return cls(symbol=move.symbol, at=move.at, from_price=move.from_price, price=move.price, sigmas=move.sigmas)

    def to_domain(self) -> Move:
        """Read the move; raises InvalidValue for a symbol of no known form or a time that is not UTC."""
        return Move(
            symbol=admit_symbol(self.symbol),
            at=require_utc("at", self.at),
            from_price=self.from_price,
            price=self.price,
            sigmas=self.sigmas,
        )
