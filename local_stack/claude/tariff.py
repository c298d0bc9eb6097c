"""What the provider charges: the sums of its price list, worked out apart from the program's own.

Exact to the fraction of a micro-dollar, never rounded: whoever rounds each call up has booked at least this much.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from shared.domain.model_prices import PriceRow

KINDS: Final = ("input", "output", "cache_read", "cache_write")
_HALF: Final = Decimal(1) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Charged:
    """One line of the provider's bill; `cost` in micro-dollars, `tokens` by kind."""

    request_id: str
    at: datetime
    model: str
    tokens: Mapping[str, int]
    cost: Decimal
    batch: bool = False
    custom_id: str = ""


class Tariff:
    """The price list of the provider's models."""

    def __init__(self, rows: Iterable[PriceRow]) -> None:
        self._rows = tuple(rows)

    def models(self, at: datetime) -> list[str]:
        """List the models on offer at an instant."""
        return sorted({row.model for row in self._in_force(at)})

    def cost(self, model: str, at: datetime, tokens: Mapping[str, int], *, batch: bool) -> Decimal:
        """Give what tokens cost in micro-dollars: a dollar a million is a micro-dollar each."""
        prompt = sum(tokens[kind] for kind in KINDS if kind != "output")
        row = self._row(model, at, prompt)
        whole = sum((Decimal(getattr(row, kind) or 0) * tokens[kind] for kind in KINDS), Decimal())
        return whole * _HALF if batch else whole

    def _row(self, model: str, at: datetime, prompt: int) -> PriceRow:
        """Take the shortest length that the whole prompt fits, as priced last."""
        fitting = [
            row
            for row in self._in_force(at)
            if row.model == model and (row.longest_prompt is None or prompt <= row.longest_prompt)
        ]
        lengths = {row.longest_prompt for row in fitting}
        shortest = min(lengths, key=lambda length: length if length is not None else prompt + 10**9)
        newest = [row for row in fitting if row.longest_prompt == shortest]
        return max(newest, key=lambda row: str(row.since))

    def _in_force(self, at: datetime) -> list[PriceRow]:
        return [
            row
            for row in self._rows
            if row.since is not None and row.since <= at and not (row.until is not None and row.until <= at)
        ]
