"""The Discord channel: one webhook, one message per alert (ALR-01, fault 35).

Version 10 of the API is spoken whatever version the address was copied with: before version 8 Discord names waits in
milliseconds. Bounds of one request: 2 s to connect, 5 s of silence, 5 s for the whole reply, 64 KB; at most two
requests per message, so a send ends well inside the router's claim. Retry policy: none here beyond two cases in which
the same message can only succeed in another form, a renewed address and a plainer text; the router does the rest. A
lost answer may mean that the message is posted twice.

The address is a credential. It never enters an exception or a log line, and httpx, which logs every address it asks,
is kept from logging these.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Any, Final, NamedTuple

import httpx

from shared.adapters.discord.layout import body_of, plain_body_of
from shared.domain.alerts import Alert, Channel
from shared.domain.errors import ChannelDead, Throttled, Unavailable
from shared.domain.messages import render
from shared.domain.stage import Stage
from shared.domain.text import clean
from shared.ports.clock import Clock

TIMEOUT: Final = httpx.Timeout(5.0, connect=2.0)
REPLY_SECONDS: Final = 5.0
LARGEST_BODY: Final = 64 * 1024
NAME_LIMIT: Final = 80
DEFAULT_PAUSE: Final = timedelta(seconds=60)
"""How long to wait after a 429 that does not say it."""
BAN_PAUSE: Final = timedelta(minutes=10)
"""How long to wait at least after a 429 that is not Discord's: its front turns an address away for a while."""
MOMENT: Final = timedelta(seconds=3)
"""What is waited out; with two requests a message a send still ends inside the router's claim of 30 s."""
LONGEST_PAUSE: Final = timedelta(days=1)
"""A wait beyond this is a broken reply."""

_ADDRESS = re.compile(
    r"https://(?:(?:ptb|canary)\.)?discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/(\d{15,25})/([\w-]{20,200})/?"
)
_LOOPBACK = re.compile(r"http://(?:127\.0\.0\.1|localhost):\d+/[\w/-]*")
_HEADERS: Final = {"User-Agent": "DiscordBot (hearthwatch, 1)", "Accept": "application/json"}
"""Discord asks every client of its API to name itself in this form."""
_REREAD: Final = frozenset({401, 404})
_GONE: Final = frozenset({401, 403, 404})
_TOO_RICH: Final = frozenset({400, 413})


class _Reply(NamedTuple):
    status: int
    headers: httpx.Headers
    content: Mapping[str, Any]


class DiscordWebhook:
    """Posts messages to the webhook whose address `url` gives.

    `url(True)` reads the secret anew; it is asked for after a refusal that a rotated secret would explain. Plain http
    to this machine is taken only with `loopback`, for a double of Discord.
    """

    def __init__(
        self,
        client: httpx.Client,
        url: Callable[[bool], str],
        stage: Stage,
        clock: Clock,
        *,
        loopback: bool = False,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        self._client = client
        self._read_url = url
        self._stage = stage
        self._clock = clock
        self._loopback = loopback
        self._pause = pause
        self._quiet_until: datetime | None = None
        logging.getLogger("httpx").addFilter(_without_webhooks)

    @property
    def channel(self) -> Channel:
        return Channel.DISCORD

    def send(self, alert: Alert, *, suppressed: int) -> None:
        message = render(alert, stage=self._stage, suppressed=suppressed)
        url = self._url(anew=False)
        reply = self._post(url, body_of(message))
        if reply.status in _REREAD and (renewed := self._url(anew=True)) != url:
            reply = self._post(renewed, body_of(message))
        elif reply.status in _TOO_RICH:
            reply = self._post(url, plain_body_of(message))
        self._raise_unless_taken(reply)

    def self_test(self) -> str:
        """Ask Discord what it calls the webhook, without posting; raises ChannelDead or Unavailable."""
        reply = self._exchange("GET", self._url(anew=False))
        self._raise_unless_taken(reply)
        return clean(str(reply.content.get("name") or "a webhook"), NAME_LIMIT)

    def _keep_quiet(self) -> None:
        """Ask nothing while Discord wants quiet, also when it said so with its last acceptance.

        A moment is waited out here: the router would send the alert by e-mail too, as for a channel that fails.
        """
        left = self._quiet_until - self._clock.now() if self._quiet_until is not None else timedelta(0)
        if left > MOMENT:
            raise Throttled("Discord wants quiet for a while", left)
        if left > timedelta(0):
            self._pause(left.total_seconds())
            self._quiet_until = None

    def _url(self, *, anew: bool) -> str:
        address = self._read_url(anew).strip()
        found = _ADDRESS.fullmatch(address)
        if found is not None:
            return f"https://discord.com/api/v10/webhooks/{found[1]}/{found[2]}"
        if self._loopback and _LOOPBACK.fullmatch(address):
            return address
        raise ChannelDead(
            "the stored webhook address is not one of Discord's: store one of the form "
            "https://discord.com/api/webhooks/NUMBER/TOKEN"
        )

    def _post(self, url: str, body: Mapping[str, Any]) -> _Reply:
        self._keep_quiet()
        return self._exchange("POST", url, params={"wait": "true"}, json=body)

    def _exchange(self, method: str, url: str, **what: Any) -> _Reply:
        deadline = monotonic() + REPLY_SECONDS
        content = bytearray()
        try:
            with self._client.stream(
                method, url, headers=_HEADERS, timeout=TIMEOUT, follow_redirects=False, **what
            ) as response:
                for piece in response.iter_bytes():
                    content += piece
                    if len(content) > LARGEST_BODY:
                        raise Unavailable(f"Discord's reply is larger than {LARGEST_BODY} bytes")
                    if monotonic() > deadline:
                        raise Unavailable(f"Discord's reply took longer than {REPLY_SECONDS} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # the cause is left out: its text or its request may hold the address
            raise Unavailable(f"no answer from Discord: {type(error).__name__}") from None
        reply = _Reply(response.status_code, response.headers, _object_in(bytes(content)))
        self._note_limit(reply)
        return reply

    def _note_limit(self, reply: _Reply) -> None:
        """Remember until when Discord wants quiet."""
        wait = timedelta(0)
        if reply.status == 429:
            wait = _wait_asked(reply)
        elif reply.headers.get("X-RateLimit-Remaining") == "0":
            wait = _seconds(reply.headers.get("X-RateLimit-Reset-After")) or timedelta(0)
        if wait:
            self._quiet_until = self._clock.now() + wait

    def _raise_unless_taken(self, reply: _Reply) -> None:
        status, said = reply.status, _said(reply)
        if status == 204 or (status == 200 and _is_message(reply.content)):
            return
        if status == 200:
            raise Unavailable("Discord's answer is not a message: something in between answered")
        if status == 429:
            scope = clean(reply.headers.get("X-RateLimit-Scope", "unknown"), 20)
            raise Throttled(f"Discord asked to slow down (scope {scope}){said}", _wait_asked(reply))
        if status in _GONE:
            raise ChannelDead(f"Discord answered {status}{said}: make a new webhook and store its address")
        raise Unavailable(f"Discord answered {status}{said}")


class _WithoutWebhooks(logging.Filter):
    """Drops httpx's lines about requests to webhooks."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "/webhooks/" not in record.getMessage()


_without_webhooks: Final = _WithoutWebhooks()


def _object_in(content: bytes) -> Mapping[str, Any]:
    """Read a JSON object; anything else counts as an empty one."""
    try:
        read = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def _is_message(content: Mapping[str, Any]) -> bool:
    return isinstance(content.get("id"), str) and isinstance(content.get("channel_id"), str)


def _wait_asked(reply: _Reply) -> timedelta:
    """Take the longest of the waits that a 429 names; one that Discord did not write itself is a ban."""
    named = (
        reply.content.get("retry_after"),
        reply.headers.get("Retry-After"),
        reply.headers.get("X-RateLimit-Reset-After"),
    )
    waits = [wait for value in named if (wait := _seconds(value)) is not None]
    if "retry_after" not in reply.content:
        waits.append(BAN_PAUSE)
    return min(max(waits, default=DEFAULT_PAUSE) or DEFAULT_PAUSE, LONGEST_PAUSE)


def _seconds(value: object) -> timedelta | None:
    """Read a number of seconds, rounded up to the millisecond so that a wait is never cut short."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    if math.isnan(seconds) or seconds < 0:
        return None
    return min(timedelta(milliseconds=math.ceil(min(seconds, 1e6) * 1000)), LONGEST_PAUSE)


def _said(reply: _Reply) -> str:
    """Quote Discord's own words on an error, with its code."""
    message, code = reply.content.get("message"), reply.content.get("code")
    words = clean(message, 100) if isinstance(message, str) else ""
    number = f" (code {code})" if isinstance(code, int) and code else ""
    return f": {words}{number}" if words or number else ""
