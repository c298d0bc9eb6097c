"""How each provider of answers speaks on the wire, for the suite that every adapter of `Model` must pass.

To join: write a class with the members of `Wire` in the file of your adapter's tests or here, and add an instance to
`WIRES` in test_models.py. The suite plays the steps on raw sockets and brings everything that is the same for all:
errors of the network, silence, floods, dripping, and the count of requests that arrived.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Mapping
from importlib import import_module
from threading import Event
from time import sleep
from typing import Any, Protocol

from shared.adapters.anthropic.messages import ClaudeModel
from shared.domain.model_prices import HAIKU, ModelId
from shared.ports.clock import Clock
from shared.ports.models import Model
from tests.fakes.scripted_http import Step, reply


class Wire(Protocol):
    """One provider's adapter, and its provider's side of the wire.

    Each method below gives a step of `tests.fakes.scripted_http` (mostly `reply(status, body, Header_Name=...)`) that
    answers one request in full, in the provider's own form, charset and headers.
    """

    name: str
    """What the cases are called by."""
    asked: ModelId
    """The model the suite asks for, and that the answers say has answered."""
    content_type: str
    """What the provider's answers are announced as; the suite drips, floods and cuts bodies of this type."""

    def model(self, url: str, key: str, clock: Clock) -> Model:
        """Make the adapter, built as in production, speaking to this address with this key."""
        ...

    def complete(self, text: str, *, input_tokens: int, output_tokens: int) -> Step:
        """Answer with this text and a normal end, having counted so many tokens."""
        ...

    def truncated(self, text: str, *, input_tokens: int, output_tokens: int) -> Step:
        """Answer with this text, cut because the limit on tokens was reached."""
        ...

    def refused(self, *, input_tokens: int, output_tokens: int) -> Step:
        """Answer that the model will not: a refusal, or a block by a filter."""
        ...

    def uncounted(self, text: str) -> Step:
        """Answer with this text and a normal end, and leave out the count of tokens."""
        ...

    def answered_by(self, model: str, text: str, *, input_tokens: int, output_tokens: int) -> Step:
        """Answer normally, naming another model as the one that answered."""
        ...

    def broken_off(self, text: str) -> Step:
        """Answer with the beginning of this text, closing the body properly before the end that the form demands."""
        ...

    def failure(self, status: int, message: str, headers: Mapping[str, str]) -> Step:
        """Answer with an error of the provider's own form; names of headers have underscores for dashes."""
        ...


class ClaudeWire:
    """Claude's Messages API, streamed."""

    name = "claude"
    asked = HAIKU
    content_type = "text/event-stream; charset=utf-8"

    def model(self, url: str, key: str, clock: Clock) -> Model:
        import_module("shared.adapters.anthropic.sdk")  # takes longer than the shortest deadline that is asked for
        return ClaudeModel(lambda _: key, clock, url=url)

    def complete(self, text: str, *, input_tokens: int, output_tokens: int) -> Step:
        return self._answer(self.asked, text, "end_turn", input_tokens, {"output_tokens": output_tokens})

    def truncated(self, text: str, *, input_tokens: int, output_tokens: int) -> Step:
        return self._answer(self.asked, text, "max_tokens", input_tokens, {"output_tokens": output_tokens})

    def refused(self, *, input_tokens: int, output_tokens: int) -> Step:
        return self._answer(self.asked, "", "refusal", input_tokens, {"output_tokens": output_tokens})

    def uncounted(self, text: str) -> Step:
        return self._answer(self.asked, text, "end_turn", 10, None)

    def answered_by(self, model: str, text: str, *, input_tokens: int, output_tokens: int) -> Step:
        return self._answer(model, text, "end_turn", input_tokens, {"output_tokens": output_tokens})

    def broken_off(self, text: str) -> Step:
        return _stream(_begun(self.asked, text[: len(text) // 2], 10))

    def failure(self, status: int, message: str, headers: Mapping[str, str]) -> Step:
        kind = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}.get(status, "api_error")
        body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
        return reply(status, body, Content_Type="application/json", **headers)

    def _answer(
        self, model: str, text: str, stop_reason: str, input_tokens: int, counted: Mapping[str, int] | None
    ) -> Step:
        end: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": stop_reason, "stop_sequence": None}}
        if counted is not None:
            end["usage"] = dict(counted)
        return _stream([*_begun(model, text, input_tokens), end, {"type": "message_stop"}])


def dripping(content_type: str) -> Step:
    """Begin an answer and send a byte at a time, never long silent and never done."""

    def step(connection: socket.socket, over: Event) -> None:
        connection.sendall(_head(content_type))
        with contextlib.suppress(OSError):
            while not over.wait(0.05):
                connection.sendall(b" ")

    return step


def flooding(content_type: str) -> Step:
    """Send far more than anybody asked for."""

    def step(connection: socket.socket, _: Event) -> None:
        connection.sendall(_head(content_type))
        with contextlib.suppress(OSError):
            for _number in range(90):
                connection.sendall(b" " * 1_000_000)

    return step


def resetting(content_type: str) -> Step:
    """Begin an answer, then reset the connection."""

    def step(connection: socket.socket, _: Event) -> None:
        connection.sendall(_head(content_type) + b" " * 100)
        sleep(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return step


def _head(content_type: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nContent-Length: 90000000\r\n\r\n".encode()


def _begun(model: str, text: str, input_tokens: int) -> list[dict[str, Any]]:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": input_tokens, "output_tokens": 1},
    }
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}},
        {"type": "content_block_stop", "index": 0},
    ]


def _stream(events: list[dict[str, Any]]) -> Step:
    body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return reply(200, body.encode(), Content_Type=ClaudeWire.content_type, request_id="req_1")
