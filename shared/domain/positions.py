"""Positions: what is held, with the levels that protect it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NewType

from shared.domain.assets import Symbol
from shared.domain.corporate_actions import Adjustment, CorporateAction, is_split, joined
from shared.domain.money import (
    ONE,
    ZERO,
    require_fraction,
    require_not_negative,
    require_positive,
    round_level,
    round_quantity_down,
)
from shared.domain.times import iso, require_utc

LotId = NewType("LotId", str)
Strategy = NewType("Strategy", str)

DEFAULT_STOP_LOSS: Final = Decimal("0.20")
"""The stop-loss rule's distance from the average entry (RSK-01)."""
WATCH: Final = Strategy("watch")
"""The one strategy tag of version one."""


def lot_id(symbol: Symbol, opened_at: datetime) -> LotId:
    """Name the lot that was first seen at this instant; the same for every run that sees it."""
    return LotId(f"{symbol}:{iso(opened_at)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Shares held in one symbol, with entry and protection; prices in dollars a share, percentages as fractions.

    `stop_price` follows from entry and distance, rounded half up to a cent, below $1 to a hundredth of one.
    `high_since_entry` is the highest good price since entry and drives the trailing stop. `adjusted_through` is the
    last ex-date already applied; `adjusted_for` names the actions of that date that are in the figures, and None says
    that all are, whatever becomes known of that date later: the figures were taken from the broker on it.
    """

    symbol: Symbol
    lot: LotId
    quantity: Decimal
    average_entry_price: Decimal
    opened_at: datetime
    adjusted_through: date
    stop_loss_pct: Decimal = DEFAULT_STOP_LOSS
    trailing_stop_pct: Decimal | None = None
    take_profit_pct: Decimal | None = None
    high_since_entry: Decimal | None = None
    strategy: Strategy = WATCH
    adjusted_for: frozenset[str] | None = None
    version: int = 0
    stop_price: Decimal = field(init=False)

    def __post_init__(self) -> None:
        require_positive("quantity", self.quantity)
        require_positive("average_entry_price", self.average_entry_price)
        require_fraction("stop_loss_pct", self.stop_loss_pct)
        require_utc("opened_at", self.opened_at)
        if self.trailing_stop_pct is not None:
            require_fraction("trailing_stop_pct", self.trailing_stop_pct)
        if self.take_profit_pct is not None:
            require_positive("take_profit_pct", self.take_profit_pct)
        stop = round_level(self.average_entry_price * (ONE - self.stop_loss_pct))
        object.__setattr__(self, "stop_price", require_not_negative("stop_price", stop))

    @property
    def trailing_stop_price(self) -> Decimal | None:
        """Give the trailing stop, rounded as the stop; None while off or before the first good price."""
        if self.trailing_stop_pct is None or self.high_since_entry is None:
            return None
        return round_level(self.high_since_entry * (ONE - self.trailing_stop_pct))

    @property
    def take_profit_price(self) -> Decimal | None:
        """Give the take-profit level, rounded as the stop; None while off."""
        if self.take_profit_pct is None:
            return None
        return round_level(self.average_entry_price * (ONE + self.take_profit_pct))

    @property
    def stood_at(self) -> Decimal:
        """Give the highest price that is known of the position: its high, before the first good price its entry."""
        return self.high_since_entry or self.average_entry_price

    def seen_at(self, price: Decimal) -> Position:
        """Raise the high since entry to a good price; never lower it, so a trailing stop never moves down."""
        if self.trailing_stop_pct is None:
            return self
        high = self.high_since_entry
        if high is not None and price <= high:
            return self
        return replace(self, high_since_entry=max(price, self.average_entry_price))

    def unapplied(self, known: Iterable[CorporateAction], today: date) -> Sequence[CorporateAction]:
        """Choose the actions that went ex up to `today`, the exchange's date, and are not in the figures yet.

        One that several sources name is one action, as the last of them gives it.
        """
        due = {a.key: a for a in known if a.symbol == self.symbol and a.ex_date <= today and not self._has(a)}
        return list(due.values())

    def _has(self, action: CorporateAction) -> bool:
        if action.ex_date == self.adjusted_through:
            return self.adjusted_for is None or action.key in self.adjusted_for
        return action.ex_date < self.adjusted_through

    def was_split_on(self, day: date) -> bool:
        """Say whether a split that went ex on a day is in the figures."""
        return self.adjusted_through == day and any(is_split(key) for key in self.adjusted_for or ())

    def caught_up(self, known: Iterable[CorporateAction], today: date) -> Position:
        """Carry the position over every known action up to `today` that is not in its figures, each once."""
        due = self.unapplied(known, today)
        if self.adjusted_through > today or (self.adjusted_through == today and not due):
            return self
        of_today = frozenset(action.key for action in due if action.ex_date == today)
        if self.adjusted_through == today and self.adjusted_for is not None:
            of_today |= self.adjusted_for
        return replace(self.adjusted(joined(due), today), adjusted_for=of_today)

    def adjusted(self, adjustment: Adjustment, through: date) -> Position:
        """Carry quantity, entry, stop and high over corporate actions up to and including `through`: all of them.

        The quantity keeps the broker's nine decimals, cut, so that nothing is ever sold that is not there.
        """
        entry = adjustment.price(self.average_entry_price)
        high = None if self.high_since_entry is None else adjustment.price(self.high_since_entry)
        shares = adjustment.quantity(self.quantity)
        return replace(
            self,
            quantity=shares if adjustment.ratio == ONE else round_quantity_down(shares) or shares,
            average_entry_price=entry if entry > ZERO else self.average_entry_price,
            high_since_entry=high if high is None or high > ZERO else None,
            adjusted_through=through,
            adjusted_for=None,
        )
