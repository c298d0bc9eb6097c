"""Splits and dividends: applied to entry, stop and price memory before any rule runs (PRC-06, RSK-01).

Decided: an action that becomes known after its day was looked up is still applied, once: a position remembers by
`key` which actions of its newest ex-date are in its figures already. A split that nobody told of is suspected when the
shares at the broker and their entry price changed by one plain ratio, the other way round (fault 14).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from shared.domain.assets import Symbol
from shared.domain.errors import InvalidValue
from shared.domain.money import ONE, ZERO, plain, require_positive

LATE_BY: Final = timedelta(days=1)
"""A look-up reaches this much further back than what is applied, for actions of that day that became known late."""
_FORWARD: Final = (
    *(Decimal(new) / old for new, old in ((3, 2), (4, 3), (5, 4))),
    *map(Decimal, (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 50, 100)),
)
_PLAIN_RATIOS: Final = (*_FORWARD, *(ONE / ratio for ratio in _FORWARD))
_RATIO_TOLERANCE: Final = Decimal("0.01")
"""Fractions paid out in cash and rounded entry prices leave a split's figures this close to its ratio."""


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

    @property
    def key(self) -> str:
        """Name the action among those of its symbol: a day has one split, and a dividend of each amount.

        So a split whose ratio is corrected later is not applied a second time on top of the first.
        """
        amount = f" {plain(self.cash_amount)}" if self.kind is ActionKind.DIVIDEND else ""
        return f"{self.ex_date} {self.kind}{amount}"


def is_split(key: str) -> bool:
    """Say whether an action's key names a split."""
    return key.endswith(f" {ActionKind.SPLIT}")


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
    return joined(a for a in actions if a.symbol == symbol and after < a.ex_date <= upto)


def joined(actions: Iterable[CorporateAction]) -> Adjustment:
    """Join actions of one symbol, in the order of their ex-dates; on one day a dividend is paid on old shares."""
    ratio, cash = ONE, ZERO
    for action in sorted(actions, key=lambda a: (a.ex_date, a.kind)):
        ratio *= action.ratio
        cash = cash / action.ratio + action.cash_amount
    return Adjustment(ratio, cash) if (ratio, cash) != (ONE, ZERO) else NO_ADJUSTMENT


def suspected_split(shares: Decimal, entry: Decimal, shares_now: Decimal, entry_now: Decimal) -> Decimal | None:
    """Name the plain ratio by which the shares rose and the entry price fell, or the other way round; None for none.

    Entries are average entry prices in dollars a share. A purchase changes the shares alone, so it is none.
    """
    if min(shares, entry, shares_now, entry_now) <= ZERO:
        return None
    grown, shrunk = shares_now / shares, entry / entry_now
    return next((r for r in _PLAIN_RATIOS if _is_near(grown, r) and _is_near(shrunk, r)), None)


def _is_near(found: Decimal, ratio: Decimal) -> bool:
    return abs(found - ratio) <= _RATIO_TOLERANCE * ratio
