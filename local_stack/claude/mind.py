"""What the played model writes, and how many tokens that takes.

Left to itself it fills the schema of the request with values that depend on the request alone, so that the same
question always has the same answer. Tokens are counted from the length of the texts and never exceed their bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from local_stack.claude.demands import text_of

CACHED_FOR: Final = timedelta(minutes=5)
CACHEABLE: Final = 512
"""Tokens that a prompt must have before any of it is written to the cache."""
FRAME: Final = 40
"""Tokens that go around a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the model writes: None as `text` fills the schema; `seconds` is how long it takes.

    `tokens` given here are counted instead of those of the texts; `model` is who it says has answered.
    """

    text: str | None = None
    thinking: str = ""
    stop_reason: str = "end_turn"
    seconds: float = 0.0
    tokens: Mapping[str, int] | None = None
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An answer to one request, cut to what the request allows."""

    model: str
    text: str
    thinking: str
    stop_reason: str
    tokens: Mapping[str, int]


Respond = Callable[[Mapping[str, Any]], Answer]


def fill_schema(body: Mapping[str, Any]) -> Answer:
    """Answer with a value that fits the schema of the request, or with a sentence when it has none."""
    wanted = (body.get("output_config") or {}).get("format")
    if not wanted:
        return Answer(text="Nothing to add.")
    seed = json.dumps([body["model"], body["messages"]], sort_keys=True)
    return Answer(text=json.dumps(_value(wanted["schema"], seed)))


class Memory:
    """The prefixes of prompts that are cached, by model, and when each was used last."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], datetime] = {}

    def knows(self, model: str, prefix: str, now: datetime) -> bool:
        """Say whether a prefix can be read from the cache, and keep it from now on."""
        key = (model, hashlib.sha256(prefix.encode()).hexdigest())
        used = self._used.get(key)
        self._used[key] = now
        return used is not None and now - used < CACHED_FOR


def write(body: Mapping[str, Any], answer: Answer, memory: Memory, now: datetime, *, bytes_per_token: int) -> Written:
    """Let the model answer a request: cut at the request's limit, counted, and with its prefix cached."""
    text = fill_schema(body).text if answer.text is None else answer.text
    whole, most = (text or "").encode(), int(body["max_tokens"])
    thought = _tokens(answer.thinking, bytes_per_token)
    room = max(0, most - thought)
    cut = _tokens(text or "", bytes_per_token) > room
    kept = whole[: room * bytes_per_token].decode("utf-8", "ignore") if cut else text or ""
    stop_reason = "max_tokens" if cut else answer.stop_reason
    output = min(most, thought + _tokens(kept, bytes_per_token))
    prompt = _prompt(body, memory, now, bytes_per_token)
    tokens = answer.tokens or {**prompt, "output": most if stop_reason == "max_tokens" else output}
    named = answer.model or str(body["model"])
    return Written(model=named, text=kept, thinking=answer.thinking, stop_reason=stop_reason, tokens=tokens)


def prompt_tokens(body: Mapping[str, Any], bytes_per_token: int) -> int:
    """Count the tokens of a prompt."""
    texts = [text_of(body.get("system", "")), *(text_of(message["content"]) for message in body["messages"])]
    schema = (body.get("output_config") or {}).get("format") or {}
    texts.append(json.dumps(schema.get("schema", ""), separators=(",", ":"), ensure_ascii=False))
    return FRAME + sum(_tokens(text, bytes_per_token) for text in texts)


def _prompt(body: Mapping[str, Any], memory: Memory, now: datetime, bytes_per_token: int) -> dict[str, int]:
    counted = {"input": prompt_tokens(body, bytes_per_token), "cache_read": 0, "cache_write": 0}
    blocks = body.get("system", "")
    prefix = text_of(blocks)
    size = _tokens(prefix, bytes_per_token)
    if isinstance(blocks, list) and any(block.get("cache_control") for block in blocks) and size >= CACHEABLE:
        kind = "cache_read" if memory.knows(str(body["model"]), prefix, now) else "cache_write"
        counted[kind] = size
        counted["input"] -= size
    return counted


def _tokens(text: str, bytes_per_token: int) -> int:
    return -(-len(text.encode()) // bytes_per_token)


def _value(schema: Mapping[str, Any], seed: str) -> Any:
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][_draw(seed) % len(schema["enum"])]
    if "anyOf" in schema:
        return _value(schema["anyOf"][0], seed)
    match schema.get("type"):
        case "object":
            return {name: _value(inner, f"{seed}.{name}") for name, inner in schema.get("properties", {}).items()}
        case "array":
            return [_value(schema["items"], f"{seed}.{place}") for place in range(1 + _draw(seed) % 2)]
        case "integer":
            return _draw(seed) % 10
        case "number":
            return _draw(seed) % 100 / 100
        case "boolean":
            return _draw(seed) % 2 == 0
        case "string":
            return _FORMATS.get(str(schema.get("format")), f"{_draw(seed) % 100 / 100}")
        case _:
            return None


_FORMATS: Final = {"date": "2026-11-20", "date-time": "2026-11-20T15:00:00Z", "time": "15:00:00Z"}


def _draw(seed: str) -> int:
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
