"""What a model returns for a person's free question: one text, empty when it knows no answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.domain.journal import Plain
from shared.domain.questions import Misread

LONGEST: Final = 2_000
SCHEMA: Final[Mapping[str, Plain]] = {
    "type": "object",
    "properties": {"answer": {"type": "string", "description": f"at most {LONGEST} characters; empty when unknown"}},
    "required": ["answer"],
    "additionalProperties": False,
}
"""The same contract for the model; providers know no rule for the length of a text."""


class FreeAnswerV1(BaseModel):
    """The answer as it was written; whoever shows it cleans it first."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    answer: Annotated[str, Field(max_length=LONGEST)]


def read_free_answer(text: str) -> str:
    """Read a model's text; raises Misread, naming the place, for anything but the one object that was asked for."""
    try:
        return FreeAnswerV1.model_validate_json(text).answer
    except ValidationError as problem:
        first = problem.errors(include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise Misread(f"{place}: {first['type']}") from None
