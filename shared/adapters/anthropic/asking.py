"""What is sent to Claude for one attempt (TIR-08).

Nothing is set that its newest models refuse: no temperature, no forced tool, no words put into the answer's mouth.
Where and at which tier it runs is named, because both change the price; a schema is checked here, because one that
Claude cannot hold itself to would be refused there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shared.domain.errors import InvalidValue
from shared.domain.journal import Plain
from shared.domain.questions import Attempt

_ANNOTATIONS: Final = frozenset({"title", "description", "$schema", "default", "examples"})
_KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems"}),
    "string": frozenset({"format", "enum", "const"}),
    "integer": frozenset({"enum", "const"}),
    "number": frozenset({"enum", "const"}),
    "boolean": frozenset({"enum", "const"}),
    "null": frozenset({"enum", "const"}),
}
"""What Claude's structured output understands, by type; it answers 400 to bounds of numbers and lengths of text."""
_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)


def request_for(attempt: Attempt) -> dict[str, Any]:
    """Make the body of a request. Raises InvalidValue for a schema that no answer can be held to."""
    question = attempt.question
    require_structured(question.schema)
    body: dict[str, Any] = {
        "model": attempt.model,
        "max_tokens": attempt.most_tokens,
        "messages": [{"role": "user", "content": question.user}],
        "output_config": {
            "effort": question.effort.value,
            "format": {"type": "json_schema", "schema": dict(question.schema)},
        },
        "inference_geo": "global",
        "service_tier": "standard_only",
    }
    if question.system:
        body["system"] = [_system(question.system, caches=attempt.caches)]
    return body


def require_structured(schema: Mapping[str, Plain]) -> None:
    """Raise InvalidValue, naming the place, for a schema that Claude cannot hold an answer to."""
    if schema.get("type") != "object":
        raise InvalidValue("schema.type", schema.get("type"), "object: an answer is one JSON object")
    _require("schema", schema)


def _system(text: str, *, caches: bool) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": text}
    return block | {"cache_control": {"type": "ephemeral"}} if caches else block


def _require(place: str, part: object) -> None:
    if not isinstance(part, Mapping):
        raise InvalidValue(place, part, "a schema")
    if "anyOf" in part:
        _require_any(place, part)
        return
    kind = part.get("type")
    if not isinstance(kind, str) or kind not in _KEYWORDS:
        raise InvalidValue(f"{place}.type", kind, f"one of {', '.join(_KEYWORDS)}")
    for name in part.keys() - _KEYWORDS[kind] - _ANNOTATIONS - {"type"}:
        raise InvalidValue(f"{place}.{name}", part[name], f"nothing: Claude takes no such rule for {kind}")
    if kind == "object":
        _require_object(place, part)
    elif kind == "array":
        if part.get("minItems", 0) not in (0, 1):
            raise InvalidValue(f"{place}.minItems", part["minItems"], "0 or 1")
        _require(f"{place}.items", part.get("items"))
    elif part.get("format", "date") not in _FORMATS:
        raise InvalidValue(f"{place}.format", part["format"], f"one of {', '.join(sorted(_FORMATS))}")


def _require_any(place: str, part: Mapping[str, object]) -> None:
    choices = part["anyOf"]
    if part.keys() - _ANNOTATIONS - {"anyOf"} or not isinstance(choices, list | tuple) or not choices:
        raise InvalidValue(f"{place}.anyOf", choices, "a list of schemas and nothing beside it")
    for number, choice in enumerate(choices):
        _require(f"{place}.anyOf.{number}", choice)


def _require_object(place: str, part: Mapping[str, object]) -> None:
    if part.get("additionalProperties") is not False:
        raise InvalidValue(f"{place}.additionalProperties", part.get("additionalProperties"), "false")
    properties = part.get("properties", {})
    if not isinstance(properties, Mapping):
        raise InvalidValue(f"{place}.properties", properties, "schemas by name")
    required = part.get("required", ())
    if not isinstance(required, list | tuple) or not set(required) <= properties.keys():
        raise InvalidValue(f"{place}.required", required, f"some of {', '.join(properties) or 'nothing'}")
    for name, value in properties.items():
        _require(f"{place}.properties.{name}", value)
