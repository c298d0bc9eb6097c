"""The forms in which Claude speaks: a message whole or as a stream of events, errors, and the headers of both."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from local_stack.claude.mind import Written

Json = dict[str, Any]

_PIECE: Final = 400
"""Letters in one piece of a stream."""
_SIGNED: Final = "c2lnbmVk"
_REFUSAL: Final = {"type": "refusal", "category": "cyber", "explanation": "This request was refused due to policy."}


def usage(tokens: Mapping[str, int], *, batch: bool = False, output: int | None = None) -> Json:
    """Write the count of tokens as Claude does."""
    return {
        "input_tokens": tokens["input"],
        "cache_creation_input_tokens": tokens["cache_write"],
        "cache_read_input_tokens": tokens["cache_read"],
        "cache_creation": {"ephemeral_5m_input_tokens": tokens["cache_write"], "ephemeral_1h_input_tokens": 0},
        "output_tokens": tokens["output"] if output is None else output,
        "server_tool_use": None,
        "service_tier": "batch" if batch else "standard",
        "inference_geo": "global",
    }


def message(written: Written, name: str, *, batch: bool = False) -> Json:
    """Write a whole message."""
    return {
        "id": name,
        "type": "message",
        "role": "assistant",
        "model": written.model,
        "content": [{**block, **_filled(block["type"], text)} for block, text in _blocks(written)],
        "stop_reason": written.stop_reason,
        "stop_sequence": None,
        "stop_details": _REFUSAL if written.stop_reason == "refusal" else None,
        "usage": usage(written.tokens, batch=batch),
        "container": None,
    }


def stream(written: Written, name: str) -> list[bytes]:
    """Write a message as events: how it begins, what it says, and how it ends."""
    whole = message(written, name)
    start = {
        **whole,
        "content": [],
        "stop_reason": None,
        "stop_details": None,
        "usage": usage(written.tokens, output=min(1, written.tokens["output"])),
    }
    said: list[Json] = [{"type": "ping"}]
    for place, (block, text) in enumerate(_blocks(written)):
        said.append({"type": "content_block_start", "index": place, "content_block": block})
        said += [
            {"type": "content_block_delta", "index": place, "delta": _delta(block["type"], text[at : at + _PIECE])}
            for at in range(0, len(text), _PIECE)
        ]
        if block["type"] == "thinking":
            signed = {"type": "signature_delta", "signature": _SIGNED}
            said.append({"type": "content_block_delta", "index": place, "delta": signed})
        said.append({"type": "content_block_stop", "index": place})
    counted = {key: value for key, value in whole["usage"].items() if key.endswith("_tokens")}
    end = {
        "type": "message_delta",
        "delta": {name: whole[name] for name in ("stop_reason", "stop_sequence", "stop_details")},
        "usage": {**counted, "server_tool_use": None},
    }
    return [
        _event({"type": "message_start", "message": start}),
        b"".join(_event(event) for event in said),
        _event(end) + _event({"type": "message_stop"}),
    ]


def error(kind: str, words: str, request_id: str, code: str = "") -> Json:
    """Write an error."""
    inner: Json = {"type": kind, "message": words}
    if code:
        inner["details"] = {"error_code": code}
    return {"type": "error", "error": inner, "request_id": request_id}


def error_event(kind: str, words: str) -> bytes:
    """Write an error inside a stream."""
    return _event({"type": "error", "error": {"type": kind, "message": words}})


def headers(request_id: str, now: datetime, content_type: str) -> dict[str, str]:
    """Write the headers that every answer has."""
    resets = (now + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "content-type": content_type,
        "request-id": request_id,
        "anthropic-organization-id": "00000000-0000-4000-8000-000000000000",
        "anthropic-ratelimit-requests-limit": "4000",
        "anthropic-ratelimit-requests-remaining": "3999",
        "anthropic-ratelimit-requests-reset": resets,
        "anthropic-ratelimit-input-tokens-limit": "2000000",
        "anthropic-ratelimit-input-tokens-remaining": "1999000",
        "anthropic-ratelimit-input-tokens-reset": resets,
        "anthropic-ratelimit-output-tokens-limit": "400000",
        "anthropic-ratelimit-output-tokens-remaining": "399000",
        "anthropic-ratelimit-output-tokens-reset": resets,
    }


def _blocks(written: Written) -> list[tuple[Json, str]]:
    """List the blocks of an answer, each empty as it is announced, with what it will hold."""
    listed: list[tuple[Json, str]] = []
    if written.thinking:
        listed.append(({"type": "thinking", "thinking": "", "signature": ""}, written.thinking))
    if written.text:
        listed.append(({"type": "text", "text": "", "citations": None}, written.text))
    return listed


def _filled(kind: str, text: str) -> Json:
    return {"thinking": text, "signature": _SIGNED} if kind == "thinking" else {"text": text}


def _delta(kind: str, text: str) -> Json:
    return {"type": "thinking_delta", "thinking": text} if kind == "thinking" else {"type": "text_delta", "text": text}


def _event(body: Mapping[str, Any]) -> bytes:
    return f"event: {body['type']}\ndata: {json.dumps(body, separators=(',', ':'))}\n\n".encode()
