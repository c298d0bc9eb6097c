"""A call to a model: who is asked, for what, and on whose account."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from shared.domain.intents import CycleId
from shared.domain.model_prices import ModelId

WorkId = NewType("WorkId", str)
"""What a call works on: a decision, an article, an eval case. It is charged only so often in its life (BEY-14)."""


class Rung(StrEnum):
    """The rungs of the ladder, cheapest first (TIR-01)."""

    RULES = "rules"
    EDGE = "edge"
    HAIKU = "haiku"
    SONNET = "sonnet"
    OPUS = "opus"


class Purpose(StrEnum):
    """What a model is asked for."""

    DECISION = "decision"
    NEWS = "news"
    MONITOR = "monitor"
    SHADOW = "shadow"
    EVALS = "evals"
    CHAT = "chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a call is known by before it is made."""

    provider: str
    model: ModelId
    rung: Rung
    purpose: Purpose
    work: WorkId
    cycle: CycleId | None = None
