"""The protective rules: stop-loss, trailing stop and take-profit as pure arithmetic (RSK-01, RSK-12).

No model is asked and nothing is looked up. The price must be one that the freshness contract released; a price
that still waits for confirmation arrives here as None and holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from shared.domain.intents import Reason
from shared.domain.money import ONE, as_price
from shared.domain.positions import Position
from shared.domain.quotes import WILD_MOVE
from shared.domain.times import iso


class RiskAction(StrEnum):
    """What a protective rule asks for."""

    SELL = "SELL"
    HOLD = "HOLD"


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskVerdict:
    """A rule's answer with its reason; `level` is the price level that decided a SELL, in dollars a share."""

    action: RiskAction
    text: str
    reason: Reason | None = None
    level: Decimal | None = None


def is_due(position: Position, price: Decimal) -> bool:
    """Say whether any protective level is reached; the quick form of `judge_exit`."""
    if price <= position.stop_price:
        return True
    if position.trailing_stop_pct is None and position.take_profit_pct is None:
        return False
    return judge_exit(position, price).action is RiskAction.SELL


def decides_from_afar(position: Position, price: Decimal) -> bool:
    """Say whether a rule would sell, or the trailing stop rise, on a price further than `WILD_MOVE` from the known one.

    A fall from the high that no rule acts on is far as well, but decides nothing.
    """
    known = position.stood_at
    if price > known * (ONE + WILD_MOVE):
        return position.trailing_stop_pct is not None or is_due(position, price)
    return price < known * (ONE - WILD_MOVE) and is_due(position, price)


def judge_blind(position: Position, since: datetime, limit: timedelta) -> RiskVerdict:
    """Sell without a price, because the owner set that a symbol blind for longer than `limit` is closed (PRC-02)."""
    text = (
        f"{position.symbol}: no usable price since {iso(since)}, longer than {limit.total_seconds():.0f} s: "
        "selling blind, as the owner's setting says"
    )
    return RiskVerdict(action=RiskAction.SELL, text=text, reason=Reason.DATA_LOSS)


def judge_exit(position: Position, price: Decimal | None) -> RiskVerdict:
    """Judge one position at one price: at or below the tighter stop, or at or above the take-profit, SELL.

    Of stop and trailing stop the higher one rules. Without a usable price the answer is HOLD, and says so.
    """
    if price is None:
        return RiskVerdict(action=RiskAction.HOLD, text=f"{position.symbol}: no usable price, holding")
    stop, reason = position.stop_price, Reason.STOP_LOSS
    trailing = position.trailing_stop_price
    if trailing is not None and trailing > stop:
        stop, reason = trailing, Reason.TRAILING_STOP
    if price <= stop:
        return _sell(position, price, stop, reason, "at or below")
    target = position.take_profit_price
    if target is not None and price >= target:
        return _sell(position, price, target, Reason.TAKE_PROFIT, "at or above")
    return RiskVerdict(
        action=RiskAction.HOLD,
        text=f"{position.symbol}: {as_price(price)} is above the stop {as_price(stop)}",
        level=stop,
    )


def judge_flatten(position: Position, ordered: str) -> RiskVerdict:
    """Sell whatever the price is, because a person ordered it; `ordered` says who, when and why (BRK-04)."""
    return RiskVerdict(action=RiskAction.SELL, text=f"{position.symbol}: {ordered}", reason=Reason.FLATTEN)


def _sell(position: Position, price: Decimal, level: Decimal, reason: Reason, relation: str) -> RiskVerdict:
    text = (
        f"{position.symbol}: {as_price(price)} is {relation} the {reason.words} {as_price(level)} "
        f"(entry {as_price(position.average_entry_price)})"
    )
    return RiskVerdict(action=RiskAction.SELL, text=text, reason=reason, level=level)
