"""The routes: take a request, let the model answer, write the bill, speak.

One event loop serves them all. A request is on the bill from the moment the model has written, whoever still listens.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from threading import Lock
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from starlette.types import Message, Receive, Scope, Send

from local_stack.claude import speech
from local_stack.claude.demands import Refusal, bad, require_fit
from local_stack.claude.mind import Answer, Memory, Respond, Written, fill_schema, prompt_tokens, write
from local_stack.claude.tariff import Charged, Tariff
from local_stack.claude.trouble import BATCHES, CHARGED, IN_BATCH, MESSAGES, Misbehaviour, Script, Step, bent
from local_stack.loopback import reset, until_disconnect
from shared.ports.clock import Clock

SEEN_LIMIT: Final = 100_000
"""Requests remembered; older ones are forgotten, the bill never."""
DRIP_SECONDS: Final = 0.05
RETRY_AFTER: Final = 7
LARGEST: Final = 32_000_000
_CUSTOM_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
_SSE: Final = "text/event-stream; charset=utf-8"
_PAGE: Final = b"<html><head><title>504 Gateway Time-out</title></head><body>504 Gateway Time-out</body></html>"
_REFUSED: Final[Mapping[Misbehaviour, tuple[int, str, str, str]]] = {
    Misbehaviour.TOO_MANY_REQUESTS: (429, "rate_limit_error", "This request would exceed your rate limit.", ""),
    Misbehaviour.TOO_MANY_WITHOUT_A_TIME: (429, "rate_limit_error", "Too many requests at once.", ""),
    Misbehaviour.SPEND_LIMIT: (
        429,
        "rate_limit_error",
        "You have reached your monthly API usage threshold.",
        "enforced_spend_limit_reached",
    ),
    Misbehaviour.PAYMENT_REQUIRED: (402, "billing_error", "Your payment method was declined.", ""),
    Misbehaviour.NO_CREDIT: (
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade.",
        "",
    ),
    Misbehaviour.OVERLOADED: (529, "overloaded_error", "Overloaded", ""),
    Misbehaviour.SERVER_ERROR: (500, "api_error", "Internal server error", ""),
}


class Asked(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    body: Any


@dataclass(slots=True)
class _Batch:
    name: str
    created: datetime
    ends: datetime
    lines: list[dict[str, Any]] = field(default_factory=list)


class ClaudeApi:
    """The API, its bill, and what it was told to do."""

    def __init__(self, tariff: Tariff, clock: Clock, *, key: str, bytes_per_token: int, batch_takes: timedelta) -> None:
        self.requests: deque[Asked] = deque(maxlen=SEEN_LIMIT)
        self.script = Script()
        self.respond: Respond = fill_schema
        self.batch_takes = batch_takes
        self._tariff = tariff
        self._clock = clock
        self._keys = {key.encode(), f"Bearer {key}".encode()}
        self._bytes_per_token = bytes_per_token
        self._memory = Memory()
        self._bill: list[Charged] = []
        self._total = Decimal()
        self._lock = Lock()
        self._batches: dict[str, _Batch] = {}
        self._numbers = count(1)

    def bill(self) -> tuple[Decimal, list[Charged]]:
        """Give the total in micro-dollars, and every line."""
        with self._lock:
            return self._total, list(self._bill)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        raw = await _body(receive)
        path = unquote(scope["path"])
        asked = Asked(scope["method"], path, _parsed(raw))
        self.requests.append(asked)
        request_id = f"req_{next(self._numbers):024d}"
        try:
            self._admit(scope, raw)
            await self._route(asked, raw, request_id, scope, receive, send)
        except Refusal as no:
            await self._refuse(send, request_id, no.status, no.kind, no.words)

    def _admit(self, scope: Scope, raw: bytes) -> None:
        given = dict(scope["headers"])
        if given.get(b"x-api-key", given.get(b"authorization")) not in self._keys:
            raise Refusal(401, "authentication_error", "invalid x-api-key")
        if b"anthropic-version" not in given:
            raise bad("anthropic-version: header is required")
        if len(raw) > LARGEST:
            raise Refusal(413, "request_too_large", "Request exceeds the maximum size")

    async def _route(
        self, asked: Asked, raw: bytes, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        match asked.method, asked.path.strip("/").split("/")[1:]:
            case "POST", ["messages"]:
                await self._message(asked.body, raw, request_id, scope, receive, send)
            case "POST", ["messages", "count_tokens"]:
                require_fit({"max_tokens": 1, **_mapping(asked.body)}, self._models())
                counted = prompt_tokens(asked.body, self._bytes_per_token)
                await self._json(send, request_id, {"input_tokens": counted})
            case "POST", ["messages", "batches"]:
                await self._take_batch(asked.body, raw, request_id, scope, receive, send)
            case "GET", ["messages", "batches", name]:
                await self._json(send, request_id, self._described(self._batch(name)))
            case "GET", ["messages", "batches", name, "results"]:
                await self._results(send, request_id, self._batch(name))
            case "GET", ["models"]:
                await self._json(send, request_id, self._list_models())
            case _:
                raise Refusal(404, "not_found_error", "Not found")

    async def _message(
        self, body: Any, raw: bytes, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        step = self.script.step(MESSAGES, raw)
        if isinstance(step, Misbehaviour) and step not in CHARGED:
            await self._fail(step, request_id, scope, receive, send)
            return
        require_fit(body, self._models())
        answer = self._answer(body, step)
        if answer.seconds:
            await asyncio.sleep(answer.seconds)
        written = self._write(body, answer)
        self._charge(request_id, body["model"], written.tokens)
        name = f"msg_{request_id.removeprefix('req_')}"
        if step in (Misbehaviour.TIMEOUT_AFTER_GENERATION, Misbehaviour.GATEWAY_TIMEOUT):
            await self._fail(step, request_id, scope, receive, send)
        elif body.get("stream"):
            await self._speak(step, speech.stream(written, name), request_id, scope, send)
        else:
            await self._json(send, request_id, speech.message(written, name))

    def _answer(self, body: Mapping[str, Any], step: Step) -> Answer:
        if isinstance(step, Answer):
            return step
        answer = self.respond(body)
        return bent(step, answer) if step is not None else answer

    def _write(self, body: Mapping[str, Any], answer: Answer) -> Written:
        now = self._clock.now()
        return write(body, answer, self._memory, now, bytes_per_token=self._bytes_per_token)

    def _charge(self, request_id: str, model: str, tokens: Mapping[str, int], custom_id: str = "") -> None:
        now = self._clock.now()
        batch = bool(custom_id)
        cost = self._tariff.cost(model, now, tokens, batch=batch)
        line = Charged(
            request_id=request_id, at=now, model=model, tokens=tokens, cost=cost, batch=batch, custom_id=custom_id
        )
        with self._lock:
            self._bill.append(line)
            self._total += cost

    async def _fail(self, kind: Step, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with an error or not at all."""
        if kind in (Misbehaviour.HANG, Misbehaviour.TIMEOUT_AFTER_GENERATION):
            await until_disconnect(receive)
        elif kind is Misbehaviour.RESET:
            reset(scope)
        elif kind is Misbehaviour.GATEWAY_TIMEOUT:
            await self._start(send, 504, {"content-type": "text/html", "content-length": str(len(_PAGE))})
            await send({"type": "http.response.body", "body": _PAGE})
        elif isinstance(kind, Misbehaviour) and kind in _REFUSED:
            status, error, words, code = _REFUSED[kind]
            extra = {"retry-after": str(RETRY_AFTER)} if kind is Misbehaviour.TOO_MANY_REQUESTS else {}
            await self._refuse(send, request_id, status, error, words, code, extra)
        else:
            raise bad(f"{kind} happens to requests of a batch only")

    async def _speak(self, step: Step, parts: list[bytes], request_id: str, scope: Scope, send: Send) -> None:
        """Send a stream, or as much of it as is to arrive."""
        headers = speech.headers(request_id, self._clock.now(), _SSE) | {"cache-control": "no-cache"}
        await self._start(send, 200, headers)
        begun, said, end = parts
        match step:
            case Misbehaviour.RESET_MID_STREAM:
                await send(_more(begun + said[: len(said) // 2]))
                await asyncio.sleep(DRIP_SECONDS)
                reset(scope)
            case Misbehaviour.CUT_STREAM:
                await send(_last(begun + said))
            case Misbehaviour.ERROR_IN_STREAM:
                await send(_last(begun + said + speech.error_event("overloaded_error", "Overloaded")))
            case Misbehaviour.SLOW_DRIP:
                whole = begun + said + end
                for place in range(len(whole)):
                    await send(_more(whole[place : place + 1]))
                    await asyncio.sleep(DRIP_SECONDS)
                await send(_last(b""))
            case _:
                await send(_more(begun))
                await send(_last(said + end))

    async def _take_batch(
        self, body: Any, raw: bytes, request_id: str, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Take a batch whole; its answers are written, and charged, at once, and shown when it has ended."""
        step = self.script.step(BATCHES, raw)
        if isinstance(step, Misbehaviour) and step not in CHARGED:
            await self._fail(step, request_id, scope, receive, send)
            return
        now = self._clock.now()
        batch = _Batch(f"msgbatch_{request_id.removeprefix('req_')}", now, now + self.batch_takes)
        for entry in _entries(body):
            batch.lines.append({"custom_id": entry["custom_id"], "result": self._result(entry, request_id)})
        self._batches[batch.name] = batch
        if isinstance(step, Misbehaviour):
            await self._fail(step, request_id, scope, receive, send)
        else:
            await self._json(send, request_id, self._described(batch))

    def _result(self, entry: Mapping[str, Any], request_id: str) -> dict[str, Any]:
        step = self.script.step(IN_BATCH, b"")
        if step in (Misbehaviour.CANCELED, Misbehaviour.EXPIRED):
            return {"type": str(step)}
        if isinstance(step, Misbehaviour) and step in _REFUSED:
            _, kind, words, code = _REFUSED[step]
            return {"type": "errored", "error": speech.error(kind, words, request_id, code)}
        body = entry["params"]
        try:
            require_fit(body, self._models())
        except Refusal as no:
            return {"type": "errored", "error": speech.error(no.kind, no.words, request_id)}
        written = self._write(body, self._answer(body, step))
        self._charge(request_id, body["model"], written.tokens, entry["custom_id"])
        name = f"msg_{next(self._numbers):024d}"
        return {"type": "succeeded", "message": speech.message(written, name, batch=True)}

    def _batch(self, name: str) -> _Batch:
        if name not in self._batches:
            raise Refusal(404, "not_found_error", f"No batch found with ID {name}")
        return self._batches[name]

    def _described(self, batch: _Batch) -> dict[str, Any]:
        ended = self._clock.now() >= batch.ends
        kinds = [line["result"]["type"] for line in batch.lines]
        names = ("succeeded", "errored", "canceled", "expired")
        counts = {name: kinds.count(name) if ended else 0 for name in names}
        return {
            "id": batch.name,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": {"processing": 0 if ended else len(kinds), **counts},
            "created_at": _time(batch.created),
            "expires_at": _time(batch.created + timedelta(hours=24)),
            "ended_at": _time(batch.ends) if ended else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            "results_url": f"{BATCHES}/{batch.name}/results" if ended else None,
        }

    async def _results(self, send: Send, request_id: str, batch: _Batch) -> None:
        if self._clock.now() < batch.ends:
            raise Refusal(404, "not_found_error", f"{batch.name} has no available results")
        payload = b"".join(json.dumps(line).encode() + b"\n" for line in batch.lines)
        headers = speech.headers(request_id, self._clock.now(), "application/x-jsonl")
        await self._start(send, 200, headers | {"content-length": str(len(payload))})
        await send(_last(payload))

    def _models(self) -> list[str]:
        return self._tariff.models(self._clock.now())

    def _list_models(self) -> dict[str, Any]:
        listed = [
            {"id": name, "type": "model", "display_name": name, "created_at": "2026-09-01T00:00:00Z"}
            for name in self._models()
        ]
        return {
            "data": listed,
            "has_more": False,
            "first_id": listed[0]["id"] if listed else None,
            "last_id": listed[-1]["id"] if listed else None,
        }

    async def _refuse(
        self,
        send: Send,
        request_id: str,
        status: int,
        kind: str,
        words: str,
        code: str = "",
        extra: Mapping[str, str] | None = None,
    ) -> None:
        await self._json(send, request_id, speech.error(kind, words, request_id, code), status, extra)

    async def _json(
        self,
        send: Send,
        request_id: str,
        body: Mapping[str, Any],
        status: int = 200,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        payload = json.dumps(body).encode()
        headers = speech.headers(request_id, self._clock.now(), "application/json")
        await self._start(send, status, {**headers, "content-length": str(len(payload)), **(extra or {})})
        await send(_last(payload))

    async def _start(self, send: Send, status: int, headers: Mapping[str, str]) -> None:
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})


async def _body(receive: Receive) -> bytes:
    whole, more = b"", True
    while more:
        piece = await receive()
        whole += piece.get("body", b"")
        more = piece.get("more_body", False)
    return whole


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None


def _mapping(body: Any) -> Mapping[str, Any]:
    return body if isinstance(body, dict) else {}


def _entries(body: Any) -> list[dict[str, Any]]:
    """List the requests of a batch. Raises Refusal unless each has a name of its own and nothing is streamed."""
    entries = _mapping(body).get("requests")
    if not isinstance(entries, list) or not entries:
        raise bad("requests: at least one request is required")
    for place, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("params"), dict):
            raise bad(f"requests.{place}.params: Field required")
        if not _CUSTOM_ID.fullmatch(str(entry.get("custom_id", ""))):
            raise bad(f"requests.{place}.custom_id: String should match pattern '^[a-zA-Z0-9_-]{{1,64}}$'")
        if entry["params"].get("stream"):
            raise bad(f"requests.{place}.params.stream: streaming is not supported in batches")
    if len({entry["custom_id"] for entry in entries}) != len(entries):
        raise bad("requests: custom_id must be unique within a batch")
    return entries


def _more(piece: bytes) -> Message:
    return {"type": "http.response.body", "body": piece, "more_body": True}


def _last(piece: bytes) -> Message:
    return {"type": "http.response.body", "body": piece}


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
