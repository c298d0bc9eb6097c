"""A double of Discord's webhooks on loopback: plays a script of replies, and keeps what it accepted."""

from __future__ import annotations

import json
from typing import Any

from tests.fakes.scripted_http import ScriptedServer, Step, reply

WEBHOOK = "1047593482111361024"
TOKEN = "kept-Secret_T0ken-of_the_webhook-0123456789abcdefghijklmnopqrstuvwxyz"
PATH = f"/api/v10/webhooks/{WEBHOOK}/{TOKEN}"

MESSAGE: dict[str, Any] = {
    "id": "1192837465564738291",
    "type": 0,
    "content": "",
    "channel_id": "1047593482111361025",
    "webhook_id": WEBHOOK,
    "author": {
        "id": WEBHOOK, "username": "Hearthwatch", "avatar": None, "discriminator": "0000", "public_flags": 0,
        "flags": 0, "bot": True, "global_name": None, "primary_guild": None,
    },
    "timestamp": "2026-03-04T15:30:01.529000+00:00",
    "edited_timestamp": None,
    "flags": 0,
    "tts": False,
    "pinned": False,
    "mention_everyone": False,
    "mentions": [],
    "mention_roles": [],
    "attachments": [],
    "embeds": [],
    "components": [],
}  # fmt: skip
RATE_LIMITED: dict[str, Any] = {
    "message": "You are being rate limited.",
    "retry_after": 1.25,
    "global": False,
    "code": 0,
}
UNKNOWN_WEBHOOK: dict[str, Any] = {"message": "Unknown Webhook", "code": 10015}
PAGE = b"<!doctype html><html><head><title>Sign in to the network</title></head></html>"

TAKEN = reply(200, MESSAGE, Content_Type="application/json", X_RateLimit_Limit="5", X_RateLimit_Remaining="4")
TAKEN_SILENTLY = reply(204, b"")
LAST_FOR_NOW = reply(200, MESSAGE, X_RateLimit_Remaining="0", X_RateLimit_Reset_After="1.5")
GONE = reply(404, UNKNOWN_WEBHOOK)
WRONG_TOKEN = reply(401, {"message": "Invalid Webhook Token", "code": 50027})
FORBIDDEN = reply(403, {"message": "Missing Access", "code": 50001})
BAD_FORM = reply(400, {"message": "Invalid Form Body", "code": 50035})
PROXY_PAGE = reply(200, PAGE, Content_Type="text/html")
BANNED = reply(429, b"error code: 1015", Content_Type="text/html", Retry_After="30")

_ACCEPTS = (TAKEN, TAKEN_SILENTLY, LAST_FOR_NOW)


def throttled(seconds: float, *, header: str | None = None, scope: str = "user") -> Step:
    """Answer 429 with a wait in the body and, unless told otherwise, the same in the header."""
    body = RATE_LIMITED | {"retry_after": seconds, "global": scope == "global"}
    return reply(429, body, Retry_After=header or str(seconds), X_RateLimit_Scope=scope)


class DiscordDouble(ScriptedServer):
    """Plays the steps in order, the last one for ever; without any it takes every message."""

    def __init__(self, *steps: Step) -> None:
        super().__init__(*(steps or (TAKEN,)))

    @property
    def address(self) -> str:
        """Give the webhook's address."""
        return self.url + PATH

    @property
    def posted(self) -> list[dict[str, Any]]:
        """List every message that came, taken or not."""
        return [json.loads(request.body) for request in self.arrived if request.method == "POST"]

    @property
    def taken(self) -> list[dict[str, Any]]:
        """List the messages that were accepted."""
        last = len(self._steps) - 1
        return [
            json.loads(request.body)
            for place, request in enumerate(self.arrived)
            if request.method == "POST" and self._steps[min(place, last)] in _ACCEPTS
        ]
