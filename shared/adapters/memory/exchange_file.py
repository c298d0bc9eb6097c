"""A simulated exchange's state as JSON: every decimal as text, so that nothing is rounded on the way."""

from __future__ import annotations

from typing import Final

from pydantic import TypeAdapter, ValidationError

from shared.adapters.memory.matching import ExchangeState
from shared.domain.errors import InvalidValue

_STATES: Final = TypeAdapter(ExchangeState)


def write_state(state: ExchangeState) -> str:
    """Write a state as one line of JSON."""
    return _STATES.dump_json(state).decode()


def read_state(text: str) -> ExchangeState:
    """Read a state that `write_state` wrote; raises InvalidValue for anything else."""
    try:
        return _STATES.validate_json(text)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "state"
        raise InvalidValue("exchange state", place, f"a saved state ({first['msg']})") from problem
