"""What a schedule sends to its function: which run this is.

The tick is the scheduled time cut to the minute, never the time of arrival: the same run delivered twice, or late, is
the same tick.
"""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from shared.domain.errors import InvalidValue
from shared.domain.times import Tick

_EXPECTED: Final = "the event of a schedule, with version, scheduled_at, schedule, execution_id and attempt"
_SHOWN: Final = 60


def _text(value: object) -> object:
    """Take text only: a bare number would be read as seconds since 1970."""
    if not isinstance(value, str):
        raise ValueError("expected text")
    return value


Text = Annotated[str, Field(min_length=1, max_length=300)]


class ScheduledRunV1(BaseModel):
    """One run of a schedule; `attempt` rises when the same run is delivered again."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    version: Literal[1]
    scheduled_at: Annotated[AwareDatetime, BeforeValidator(_text)]
    schedule: Text
    execution_id: Text
    attempt: Annotated[int, BeforeValidator(_text), Field(ge=0, le=1_000)]

    @classmethod
    def read(cls, event: object) -> ScheduledRunV1:
        """Read a function's event; raises InvalidValue that says what a schedule sends and what was wrong."""
        try:
            return cls.model_validate(event)
        except ValidationError as problem:
            raise InvalidValue("event", _Shown(event), f"{_EXPECTED} ({_first(problem)})") from problem

    @property
    def tick(self) -> Tick:
        """Name the tick that this run is."""
        return Tick(scheduled=self.scheduled_at.astimezone(UTC).replace(second=0, microsecond=0))


class _Shown:
    """A value whose picture in a message is short."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        picture = repr(self._value)
        return picture if len(picture) <= _SHOWN else picture[:_SHOWN] + "..."


def _first(problem: ValidationError) -> str:
    error: Any = problem.errors()[0]
    field = ".".join(str(part) for part in error["loc"])
    return f"{field}: {error['msg']}" if field else error["msg"]
