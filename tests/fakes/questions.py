"""A question to a model, and the attempt that asks it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from shared.domain.calls import Purpose, WorkId
from shared.domain.journal import Plain
from shared.domain.model_prices import HAIKU, ModelId
from shared.domain.questions import Attempt, Question, Task

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
SYSTEM = "You weigh what happened against what was expected and say how sure you are of it."
USER = "NVDA fell 4 % after the close on twice its usual volume; nothing was announced."
SCHEMA: Mapping[str, Plain] = {
    "type": "object",
    "properties": {
        "action": {"type": "string", "enum": ["hold", "buy"]},
        "confidence": {"type": "string", "description": "from 0 to 1"},
        "reasons": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "until": {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]},
    },
    "required": ["action", "confidence"],
    "additionalProperties": False,
}


def an_attempt(
    *,
    seconds: float = 5.0,
    at: datetime = NOW,
    model: str = HAIKU,
    system: str = SYSTEM,
    user: str = USER,
    schema: Mapping[str, Plain] = SCHEMA,
    most_tokens: int = 1024,
    caches: bool = False,
) -> Attempt:
    """Make an attempt that may take so many seconds."""
    question = Question(
        work=WorkId("a decision"), purpose=Purpose.DECISION, task=Task.DECISION, system=system, user=user, schema=schema
    )
    return Attempt(
        model=ModelId(model),
        question=question,
        most_tokens=most_tokens,
        deadline=at + timedelta(seconds=seconds),
        caches=caches,
    )
