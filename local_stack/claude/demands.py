"""What Claude's newest models demand of a request, and the words in which a request is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FIELDS: Final = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "system",
        "stream",
        "output_config",
        "inference_geo",
        "service_tier",
        "metadata",
        "stop_sequences",
        "thinking",
        "tools",
        "tool_choice",
        "temperature",
        "top_p",
        "top_k",
        "cache_control",
    }
)
MOST_TOKENS: Final = 128_000
_SAMPLING: Final = ("temperature", "top_p", "top_k")
_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")
_UNSUPPORTED: Final = {
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength"),
    "array": ("maxItems", "uniqueItems"),
    "object": ("minProperties", "maxProperties", "patternProperties"),
}


class Refusal(Exception):
    """A request that is not taken: its status, the kind of error and the words."""

    def __init__(self, status: int, kind: str, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.kind = kind
        self.words = words


def bad(words: str) -> Refusal:
    """Refuse a request as invalid."""
    return Refusal(400, "invalid_request_error", words)


def require_fit(body: Any, models: list[str]) -> None:
    """Raise Refusal for a request that the models refuse."""
    if not isinstance(body, dict):
        raise bad("request body: Input should be a valid dictionary")
    for name in ("model", "messages", "max_tokens"):
        if name not in body:
            raise bad(f"{name}: Field required")
    for name in body.keys() - FIELDS:
        raise bad(f"{name}: Extra inputs are not permitted")
    if body["model"] not in models:
        raise Refusal(404, "not_found_error", f"model: {body['model']}")
    _require_sizes(body)
    _require_freedom(body)
    _require_messages(body["messages"])
    _require_system(body.get("system", "-"))
    _require_output(body.get("output_config") or {})


def _require_sizes(body: Mapping[str, Any]) -> None:
    most = body["max_tokens"]
    if isinstance(most, bool) or not isinstance(most, int):
        raise bad("max_tokens: Input should be a valid integer")
    if not 0 <= most <= MOST_TOKENS:
        raise bad(f"max_tokens: {most} > {MOST_TOKENS}, which is the maximum allowed number of output tokens")


def _require_freedom(body: Mapping[str, Any]) -> None:
    """Refuse what takes the choice of words away from the model."""
    for name in _SAMPLING:
        if name in body:
            raise bad(f"{name}: this model does not support setting it")
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise bad("tool_choice: this model does not support forced tool use")
    if (body.get("thinking") or {}).get("type") in ("disabled", "enabled"):
        raise bad("thinking: this model decides by itself how much it thinks; use output_config.effort")
    if body.get("service_tier", "auto") not in ("auto", "standard_only"):
        raise bad("service_tier: Input should be 'auto' or 'standard_only'")
    if body.get("inference_geo", "global") not in ("global", "us"):
        raise bad("inference_geo: Input should be 'global' or 'us'")


def _require_messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise bad("messages: at least one message is required")
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in ("user", "assistant"):
            raise bad(f"messages.{place}.role: Input should be 'user' or 'assistant'")
        if not text_of(message.get("content")).strip():
            raise bad(f"messages.{place}: text content blocks must be non-empty")
    if messages[-1]["role"] == "assistant":
        raise bad("This model does not support assistant message prefill. The conversation must end with a user turn.")


def _require_system(system: Any) -> None:
    if not text_of(system).strip():
        raise bad("system: text content blocks must be non-empty")
    for block in system if isinstance(system, list) else ():
        control = block.get("cache_control") or {"type": "ephemeral"}
        if control.get("type") != "ephemeral" or control.get("ttl", "5m") != "5m":
            raise bad("system.0.cache_control: Input should be an ephemeral entry of 5m")


def _require_output(config: Mapping[str, Any]) -> None:
    for name in config.keys() - {"effort", "format"}:
        raise bad(f"output_config.{name}: Extra inputs are not permitted")
    if config.get("effort", "low") not in _EFFORTS:
        raise bad(f"output_config.effort: Input should be {', '.join(_EFFORTS)}")
    wanted = config.get("format")
    if wanted is None:
        return
    if wanted.get("type") != "json_schema" or not isinstance(wanted.get("schema"), dict):
        raise bad("output_config.format: Input should be a json_schema with its schema")
    _require_schema(wanted["schema"])


def _require_schema(schema: Any) -> None:
    """Refuse what structured output cannot hold an answer to, as deep as it goes."""
    if not isinstance(schema, dict):
        raise bad("output_config.format.schema: Schema must be an object")
    kind = schema.get("type")
    if kind == "object" and schema.get("additionalProperties") is not False:
        raise bad(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false"
        )
    named = [word for word in _UNSUPPORTED.get(str(kind), ()) if word in schema]
    if named:
        raise bad(f"output_config.format.schema: For '{kind}' type, properties {', '.join(named)} are not supported")
    if kind == "array":
        _require_schema(schema.get("items"))
    for inner in (*schema.get("properties", {}).values(), *schema.get("anyOf", ())):
        _require_schema(inner)


def text_of(content: Any) -> str:
    """Join the text of a string or of a list of blocks."""
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict))
