"""The dip-buy rule: add to a position that is down moderately and rated STRONG BUY (RSK-02).

The rule only proposes; sizing, the position cap and the cooldown are held by the gate and the caller. Without a
rating it proposes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from shared.domain.money import ONE
from shared.domain.positions import Position

SHALLOWEST_DIP: Final = Decimal("-0.05")
DEEPEST_DIP: Final = Decimal("-0.10")
RATING_GOOD_FOR: Final = 5
"""Trading days after which a rating no longer counts."""


class Rating(StrEnum):
    """The five tiers of an analyst's or signal's rating."""

    STRONG_BUY = "STRONG_BUY"
    BUY = "BUY"
    NEUTRAL = "NEUTRAL"
    SELL = "SELL"
    STRONG_SELL = "STRONG_SELL"


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingOn:
    """A rating and the exchange date it was given on."""

    rating: Rating
    given_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class DipVerdict:
    """Whether to propose adding, and why."""

    buy: bool
    text: str


def judge_dip(
    position: Position, price: Decimal, rating: RatingOn | None, trading_days_since_rating: int
) -> DipVerdict:
    """Propose adding when the price lies 5 to 10 % below entry, both ends included, under a fresh STRONG BUY.

    `trading_days_since_rating` counts exchange days, 0 for a rating given today.
    """
    change = price / position.average_entry_price - ONE
    if not DEEPEST_DIP <= change <= SHALLOWEST_DIP:
        return DipVerdict(buy=False, text=f"{position.symbol}: {change:.2%} from entry is no moderate dip")
    if rating is None:
        return DipVerdict(buy=False, text=f"{position.symbol}: down {change:.2%} but not rated")
    if rating.rating is not Rating.STRONG_BUY:
        return DipVerdict(buy=False, text=f"{position.symbol}: down {change:.2%} but rated {rating.rating}")
    if not 0 <= trading_days_since_rating <= RATING_GOOD_FOR:
        return DipVerdict(
            buy=False, text=f"{position.symbol}: the rating is {trading_days_since_rating} trading days old"
        )
    return DipVerdict(buy=True, text=f"{position.symbol}: down {change:.2%} and rated STRONG BUY")
