"""A Discord webhook on this machine: takes what Discord would take, refuses what it would refuse, and keeps it.

Limits and replies follow Discord's documentation of executing a webhook. Left out: files, components, threads, and the
rate limit itself; its headers are sent, and always leave room.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.domain.times import iso
from shared.ports.clock import Clock

WEBHOOK_PATH: Final = "/api/webhooks/1/simulated"
LARGEST_BODY: Final = 1024 * 1024
CONTENT_LIMIT: Final = 2000
EMBEDS_LIMIT: Final = 10
EMBEDS_TEXT_LIMIT: Final = 6000
FIELDS_LIMIT: Final = 25
_TEXT_LIMITS: Final = {
    ("title",): 256,
    ("description",): 4096,
    ("footer", "text"): 2048,
    ("author", "name"): 256,
}
_FIELD_LIMITS: Final = {"name": 256, "value": 1024}

UNKNOWN_WEBHOOK: Final = 10015
EMPTY_MESSAGE: Final = 50006
INVALID_FORM: Final = 50035
NOT_JSON: Final = 50109

_ROOM: Final = {
    "X-RateLimit-Limit": "5",
    "X-RateLimit-Remaining": "4",
    "X-RateLimit-Reset-After": "2.000",
    "X-RateLimit-Bucket": "00000000000000000000000000000001",
}

Fields = Mapping[str, Any]


class NotTaken(Exception):
    """A message that Discord would refuse, with its code; the text names the limit."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscordMessage:
    """A message that was taken, and the simulated time at which it came."""

    id: str
    at: datetime
    content: str
    embeds: Sequence[Fields]
    username: str = ""


class DiscordSink:
    """Keeps every message in memory and as a line of a file; the lines of an earlier run are read back."""

    def __init__(self, clock: Clock, file: Path) -> None:
        self._clock = clock
        self._file = file
        self._lock = Lock()
        _end_last_line(file)
        self._messages = list(_read(file))

    @property
    def messages(self) -> Sequence[DiscordMessage]:
        """List the messages, oldest first."""
        with self._lock:
            return tuple(self._messages)

    def routes(self) -> list[Route]:
        """Give the routes of the webhook."""
        return [Route("/api/webhooks/{id}/{token}", self._execute, methods=["POST"])]

    async def _execute(self, request: Request) -> Response:
        if request.url.path != WEBHOOK_PATH:
            return _refusal(404, UNKNOWN_WEBHOOK, "Unknown Webhook")
        try:
            fields = await _body(request)
            check_message(fields)
        except NotTaken as problem:
            return _refusal(400, problem.code, str(problem))
        message = self._keep(fields)
        if request.query_params.get("wait") != "true":
            return Response(status_code=204, headers=self._rates())
        return JSONResponse(_reply(message), headers=self._rates())

    def _keep(self, fields: Fields) -> DiscordMessage:
        with self._lock:
            message = DiscordMessage(
                id=str(len(self._messages) + 1),
                at=self._clock.now(),
                content=fields.get("content") or "",
                embeds=tuple(fields.get("embeds") or ()),
                username=fields.get("username") or "",
            )
            self._messages.append(message)
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as lines:
                lines.write(_line(message))
        return message

    def _rates(self) -> Mapping[str, str]:
        return {**_ROOM, "X-RateLimit-Reset": f"{self._clock.now().timestamp() + 2:.3f}"}


def check_message(fields: Fields) -> None:
    """Raise NotTaken for what Discord would not take."""
    content, embeds = fields.get("content") or "", fields.get("embeds") or []
    if not isinstance(content, str) or not isinstance(embeds, list) or not all(isinstance(e, dict) for e in embeds):
        raise NotTaken(INVALID_FORM, "Invalid Form Body")
    if not content.strip() and not embeds:
        raise NotTaken(EMPTY_MESSAGE, "Cannot send an empty message")
    if _length(content) > CONTENT_LIMIT:
        raise NotTaken(INVALID_FORM, f"content: Must be {CONTENT_LIMIT} or fewer in length.")
    if len(embeds) > EMBEDS_LIMIT:
        raise NotTaken(INVALID_FORM, f"embeds: Must be {EMBEDS_LIMIT} or fewer in length.")
    texts = [text for embed in embeds for text in _embed_texts(embed)]
    if sum(map(_length, texts)) > EMBEDS_TEXT_LIMIT:
        raise NotTaken(INVALID_FORM, f"embeds: Embed size exceeds maximum size of {EMBEDS_TEXT_LIMIT}")


def _embed_texts(embed: Fields) -> Iterator[str]:
    """Yield every text that counts towards the limit of all embeds; raise NotTaken for one over its own."""
    for path, limit in _TEXT_LIMITS.items():
        yield _limited(".".join(path), _at(embed, path), limit)
    fields = embed.get("fields") or []
    if not isinstance(fields, list) or len(fields) > FIELDS_LIMIT:
        raise NotTaken(INVALID_FORM, f"embeds.fields: Must be {FIELDS_LIMIT} or fewer in length.")
    for field in fields:
        for name, limit in _FIELD_LIMITS.items():
            text = _limited(f"fields.{name}", _at(field, (name,)), limit)
            if not text.strip():
                raise NotTaken(INVALID_FORM, f"embeds.fields.{name}: This field is required")
            yield text


def _at(fields: Any, path: Sequence[str]) -> str:
    for step in path:
        fields = fields.get(step) if isinstance(fields, dict) else None
    return "" if fields is None else str(fields)


def _limited(name: str, text: str, limit: int) -> str:
    if _length(text) > limit:
        raise NotTaken(INVALID_FORM, f"embeds.{name}: Must be {limit} or fewer in length.")
    return text


def _length(text: str) -> int:
    """Count as JavaScript does, where a character beyond the first 65,536 is two."""
    return len(text.encode("utf-16-le")) // 2


async def _body(request: Request) -> Fields:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_BODY:
            raise NotTaken(INVALID_FORM, "Request entity too large")
    try:
        fields = json.loads(body)
    except ValueError as problem:
        raise NotTaken(NOT_JSON, "The request body contains invalid JSON.") from problem
    if not isinstance(fields, dict):
        raise NotTaken(INVALID_FORM, "Invalid Form Body")
    return fields


def _reply(message: DiscordMessage) -> Fields:
    return {
        "id": message.id,
        "type": 0,
        "content": message.content,
        "embeds": list(message.embeds),
        "channel_id": "1",
        "webhook_id": "1",
        "timestamp": message.at.isoformat(),
    }


def _refusal(status: int, code: int, message: str) -> Response:
    return JSONResponse({"message": message, "code": code}, status_code=status)


def _line(message: DiscordMessage) -> str:
    fields = {
        "id": message.id,
        "at": iso(message.at),
        "content": message.content,
        "embeds": list(message.embeds),
        "username": message.username,
    }
    return json.dumps(fields, ensure_ascii=False) + "\n"


def _end_last_line(file: Path) -> None:
    """End a line that was cut off, so that the next one stands for itself."""
    if file.exists() and not file.read_bytes().endswith(b"\n"):
        with file.open("a", encoding="utf-8") as lines:
            lines.write("\n")


def _read(file: Path) -> Iterator[DiscordMessage]:
    """Read what an earlier run kept; a line that was cut off is left out."""
    if not file.exists():
        return
    for line in file.read_text(encoding="utf-8").split("\n"):
        try:
            fields = json.loads(line)
            at = datetime.fromisoformat(fields["at"]).astimezone(UTC)
            yield DiscordMessage(**{**fields, "at": at, "embeds": tuple(fields["embeds"])})
        except (ValueError, TypeError, KeyError):
            continue
