"""In front of the API: who may ask, how often, and what goes wrong on demand.

Every request is counted as it arrives, whatever becomes of it. A planned misbehaviour comes first, then the keys,
then the rate window, as at an exchange whose network fails before its doorman is asked.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from threading import Lock
from typing import Final, NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local_stack.exchange.replies import error_reply
from local_stack.loopback import reset, until_disconnect
from shared.ports.clock import Clock

SEEN_LIMIT: Final = 100_000
"""Requests remembered for counting; older ones are forgotten."""
WINDOW: Final = timedelta(minutes=1)
DRIP_SECONDS: Final = 0.05
_SIGNED_WITH: Final = (b"apca-api-key-id", b"apca-api-secret-key")


class Misbehaviour(StrEnum):
    """What the exchange can be told to do wrong; "accept" is the moment the engine has acted on the request."""

    HANG_BEFORE_ACCEPT = "hang_before_accept"
    HANG_AFTER_ACCEPT = "hang_after_accept"
    TOO_MANY_REQUESTS = "too_many_requests"
    KEYS_QUOTED = "keys_quoted"
    SERVER_ERROR_AFTER_ACCEPT = "server_error_after_accept"
    MALFORMED_AFTER_ACCEPT = "malformed_after_accept"
    GATEWAY_TIMEOUT_BEFORE_ACCEPT = "gateway_timeout_before_accept"
    GATEWAY_TIMEOUT_AFTER_ACCEPT = "gateway_timeout_after_accept"
    RESET_BEFORE_ACCEPT = "reset_before_accept"
    RESET_IN_BODY = "reset_in_body"
    SLOW_DRIP = "slow_drip"


class Seen(NamedTuple):
    """A request that arrived, and whose it says it is."""

    method: str
    path: str
    key_id: str = ""


@dataclass(slots=True, kw_only=True)
class Plan:
    """A misbehaviour for the next `times` requests of a method ("*" for any) under a path."""

    kind: Misbehaviour
    method: str = "*"
    path: str = "/"
    times: int = 1
    retry_after: timedelta = timedelta(seconds=30)

    def fits(self, seen: Seen) -> bool:
        """Say whether the plan is for this request."""
        return self.times > 0 and self.method in ("*", seen.method) and seen.path.startswith(self.path)


class Gate:
    """The application in front of the API."""

    def __init__(self, app: ASGIApp, clock: Clock, *, key_id: str, secret: str, rate_limit: int) -> None:
        self.seen: deque[Seen] = deque(maxlen=SEEN_LIMIT)
        self._app = app
        self._clock = clock
        self._keys = {key_id.encode(): secret.encode()}
        self._rate_limit = rate_limit
        self._plans: list[Plan] = []
        self._plans_lock = Lock()
        self._windows: dict[bool, tuple[datetime, int]] = {}

    def admit(self, key_id: str, secret: str) -> None:
        """Take another pair of keys beside those taken already."""
        self._keys[key_id.encode()] = secret.encode()

    def revoke(self, key_id: str) -> None:
        """Take a pair of keys no longer."""
        del self._keys[key_id.encode()]

    def plan(self, plan: Plan) -> None:
        """Add a misbehaviour; plans are used up in the order in which they were made."""
        with self._plans_lock:
            self._plans.append(plan)

    def behave(self) -> None:
        """Drop every plan."""
        with self._plans_lock:
            self._plans.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as planned or in order."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        signed_as = dict(scope["headers"]).get(_SIGNED_WITH[0], b"").decode("latin-1")
        seen = Seen(scope["method"], scope["path"], signed_as)
        self.seen.append(seen)
        plan = self._take(seen)
        if plan is None:
            await self._in_order(scope, receive, send)
        else:
            await self._misbehave(plan, scope, receive, send)

    def _take(self, seen: Seen) -> Plan | None:
        with self._plans_lock:
            plan = next((plan for plan in self._plans if plan.fits(seen)), None)
            if plan is not None:
                plan.times -= 1
            return plan

    async def _misbehave(self, plan: Plan, scope: Scope, receive: Receive, send: Send) -> None:
        match plan.kind:
            case Misbehaviour.HANG_BEFORE_ACCEPT:
                await until_disconnect(receive)
            case Misbehaviour.HANG_AFTER_ACCEPT:
                await self._captured(scope, receive)
                await until_disconnect(receive)
            case Misbehaviour.TOO_MANY_REQUESTS:
                wait = str(int(plan.retry_after.total_seconds()))
                await _reply(send, 429, 42910000, "too many requests.", {"Retry-After": wait})
            case Misbehaviour.KEYS_QUOTED:
                given = dict(scope["headers"])
                quoted = " ".join(given.get(name, b"").decode("latin-1") for name in _SIGNED_WITH)
                await _reply(send, 422, 42210000, f"{quoted} may not do this")
            case Misbehaviour.SERVER_ERROR_AFTER_ACCEPT:
                await self._captured(scope, receive)
                await _reply(send, 500, 50010000, "internal server error occurred")
            case Misbehaviour.MALFORMED_AFTER_ACCEPT:
                _, body = await self._captured(scope, receive)
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": body[: len(body) // 2] or b"{"})
            case Misbehaviour.GATEWAY_TIMEOUT_BEFORE_ACCEPT:
                await _reply(send, 504, 50410000, "gateway timeout")
            case Misbehaviour.GATEWAY_TIMEOUT_AFTER_ACCEPT:
                await self._captured(scope, receive)
                await _reply(send, 504, 50410000, "gateway timeout")
            case Misbehaviour.RESET_BEFORE_ACCEPT:
                reset(scope)
            case Misbehaviour.RESET_IN_BODY:
                start, body = await self._captured(scope, receive)
                await send(start)
                await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
                await asyncio.sleep(DRIP_SECONDS)
                reset(scope)
            case Misbehaviour.SLOW_DRIP:
                start, body = await self._captured(scope, receive)
                await send(start)
                for place in range(len(body)):
                    await send({"type": "http.response.body", "body": body[place : place + 1], "more_body": True})
                    await asyncio.sleep(DRIP_SECONDS)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _captured(self, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
        """Let the API answer, and keep the answer back."""
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        await self._in_order(scope, receive, keep)
        return kept[0], b"".join(message.get("body", b"") for message in kept[1:])

    async def _in_order(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope["headers"])
        if any(name not in given for name in _SIGNED_WITH):
            await _reply(send, 401, 40110000, "request is not authorized")
            return
        key_id, secret = (given[name] for name in _SIGNED_WITH)
        if self._keys.get(key_id) != secret:
            await _reply(send, 403, 40310000, "forbidden.")
            return
        rates, wait = self._counted(scope["path"])
        if wait is not None:
            await _reply(send, 429, 42910000, "too many requests.", {**rates, "Retry-After": wait})
            return

        async def send_with_rates(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.lower().encode(), value.encode()) for name, value in rates.items()]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self._app(scope, receive, send_with_rates)

    def _counted(self, path: str) -> tuple[dict[str, str], str | None]:
        """Count a request in its window; return the rate headers and, when the window is full, how long to wait.

        Windows are minutes of the exchange's clock; trading and market data are counted apart.
        """
        now = self._clock.now()
        epoch = datetime.fromtimestamp(0, UTC)
        began = epoch + (now - epoch) // WINDOW * WINDOW
        api = path.startswith(("/v2/stocks", "/v1/"))
        kept, used = self._windows.get(api, (began, 0))
        used = used + 1 if kept == began else 1
        self._windows[api] = (began, used)
        resets = began + WINDOW
        rates = {
            "X-RateLimit-Limit": str(self._rate_limit),
            "X-RateLimit-Remaining": str(max(self._rate_limit - used, 0)),
            "X-RateLimit-Reset": str(int(resets.timestamp())),
        }
        full = used > self._rate_limit
        return rates, str(max(int((resets - now).total_seconds()), 1)) if full else None


async def _reply(send: Send, status: int, code: int, message: str, headers: dict[str, str] | None = None) -> None:
    body = json.dumps(error_reply(code, message)).encode()
    fields = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    raw = [(name.lower().encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
