"""Splits and dividends: applied to entry, stop and price memory before any rule runs (PRC-06, RSK-01)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from shared.domain.assets import Symbol
from shared.domain.errors import InvalidValue
from shared.domain.money import ONE, ZERO, require_positive


class ActionKind(StrEnum):
    """The corporate actions that change a price without anybody losing money."""

    SPLIT = "split"
    DIVIDEND = "dividend"


@dataclass(frozen=True, slots=True, kw_only=True)
class CorporateAction:
    """A split (`ratio` new shares for one old) or a cash dividend (`cash_amount` dollars a share) on its ex-date."""

    symbol: Symbol
    ex_date: date
    kind: ActionKind
    ratio: Decimal = ONE
    cash_amount: Decimal = ZERO

    def __post_init__(self) -> None:
        require_positive("ratio", self.ratio)
        if self.kind is ActionKind.DIVIDEND:
            require_positive("cash_amount", self.cash_amount)
            if self.ratio != ONE:
                raise InvalidValue("ratio", self.ratio, "1 for a dividend")
        elif self.cash_amount != ZERO:
            raise InvalidValue("cash_amount", self.cash_amount, "0 for a split")


class Adjustment(NamedTuple):
    """The joint effect of several actions: new price = old price / ratio - cash, new quantity = old * ratio."""

    ratio: Decimal
    cash: Decimal

    def price(self, old: Decimal) -> Decimal:
        """Carry a price over the actions."""
        return old / self.ratio - self.cash

    def quantity(self, old: Decimal) -> Decimal:
        """Carry a number of shares over the actions."""
        return old * self.ratio


NO_ADJUSTMENT = Adjustment(ONE, ZERO)


def adjustment(actions: Iterable[CorporateAction], symbol: Symbol, after: date, upto: date) -> Adjustment:
    """Join a symbol's actions with an ex-date later than `after` and not later than `upto`."""
    ratio, cash = ONE, ZERO
    due = (a for a in actions if a.symbol == symbol and after < a.ex_date <= upto)
    for action in sorted(due, key=lambda a: (a.ex_date, a.kind)):
        ratio *= action.ratio
        cash = cash / action.ratio + action.cash_amount
    return Adjustment(ratio, cash) if (ratio, cash) != (ONE, ZERO) else NO_ADJUSTMENT
