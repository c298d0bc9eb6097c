"""What every message about a trade shows beside its text (ALR-06, BEY-05), made from the intent in one place.

What is not known is shown as unknown, never left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from shared.domain.intents import Evidence, Intent, Reason
from shared.domain.money import as_price, plain

UNKNOWN: Final = "unknown"
RULES_COST: Final = "$0.00 (rules only)"
"""What a decision costs that no model and no paid data took part in."""
RULE_CONFIDENCE: Final = "10 of 10 (rule)"
"""A rule does not doubt itself; a model's opinion brings its own confidence, on the same scale from 1 to 10."""


class TradeField(StrEnum):
    """The fields, by the names they are shown under, in the order they are shown in."""

    SYMBOL = "Symbol"
    ORDER = "Order"
    PRICE = "Price"
    AGE = "Age of the price"
    FEED = "Feed"
    OPINION = "Opinion"
    CONFIDENCE = "Confidence"
    GATE = "Gate"
    COST = "Cost of the decision"
    ORDER_ID = "Order id"


def trade_fields(intent: Intent, at: datetime) -> Mapping[str, str]:
    """Describe the trade that an alert raised at `at` is about."""
    evidence = intent.evidence
    return MappingProxyType(
        {
            TradeField.SYMBOL.value: intent.symbol,
            TradeField.ORDER.value: _order(intent),
            TradeField.PRICE.value: UNKNOWN if evidence.price is None else f"${as_price(evidence.price)}",
            TradeField.AGE.value: _age(evidence, at),
            TradeField.FEED.value: _feed(evidence),
            TradeField.OPINION.value: f"{intent.purpose.reason.words}: {evidence.text}",
            TradeField.CONFIDENCE.value: UNKNOWN if intent.purpose.reason is Reason.ENTRY else RULE_CONFIDENCE,
            TradeField.GATE.value: _gate(intent),
            TradeField.COST.value: RULES_COST,
            TradeField.ORDER_ID.value: intent.id,
        }
    )


def _order(intent: Intent) -> str:
    price = intent.limit_price if intent.limit_price is not None else intent.stop_price
    bound = "" if price is None else f" {as_price(price)}"
    return f"{intent.side} {plain(intent.quantity)}, {intent.order_type}{bound}"


def _age(evidence: Evidence, at: datetime) -> str:
    """Say how old the price was when the alert was raised, in whole seconds; a clock that runs ahead gives none."""
    if evidence.price is None or evidence.price_at is None:
        return UNKNOWN
    seconds = max(at - evidence.price_at, timedelta(0)) // timedelta(seconds=1)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(hours or minutes) + [f"{seconds} s"]
    return " ".join(parts)


def _feed(evidence: Evidence) -> str:
    return f"{evidence.feed}, in doubt: {', '.join(evidence.doubts)}" if evidence.doubts else evidence.feed


def _gate(intent: Intent) -> str:
    if intent.is_entry:
        return "; ".join(intent.evidence.gate) or UNKNOWN
    return "not asked: nothing may hold up an exit"
