"""Where Claude is and what opens it: the address, and the key as it is when it is needed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from shared.domain.errors import InvalidValue, Refused
from shared.ports.clock import Clock

ADDRESS: Final = "https://api.anthropic.com"
REREAD_AFTER: Final = timedelta(minutes=1)
"""A refused key is read anew no more often than this: it may simply be wrong."""
_ADDRESS: Final = re.compile(r"https://[\w.-]+(:\d+)?|http://(127\.0\.0\.1|localhost):\d+", re.ASCII)
_KEY: Final = re.compile(r"[!-~]{1,500}", re.ASCII)

ReadKey = Callable[[bool], str]
"""Gives the API key; with True it reads the secret anew."""


def require_address(url: str) -> str:
    """Give an address without its last slash. Raises InvalidValue for plain http to anywhere but this machine."""
    if not _ADDRESS.fullmatch(url.removesuffix("/")):
        raise InvalidValue("claude.url", url, "an https address, or http on this machine")
    return url.removesuffix("/")


class ApiKey:
    """The key in use. One that Claude refused is read anew for the next call: the one refused is never repeated."""

    def __init__(self, read: ReadKey, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._refused: str | None = None
        self._read_anew_at: datetime | None = None
        self._lock = Lock()

    def now(self) -> str:
        """Give the key. Raises Refused for text that cannot be one, and what reading the secret raises."""
        key = self._read(False).strip()
        if key == self._refused and self._may_read_anew():
            key = self._read(True).strip()
        if not _KEY.fullmatch(key):
            raise Refused("the stored API key of Claude is not one")
        return key

    def refuse(self, key: str) -> None:
        """Remember that Claude does not take a key."""
        self._refused = key

    def _may_read_anew(self) -> bool:
        with self._lock:
            now = self._clock.now()
            if self._read_anew_at is not None and now - self._read_anew_at < REREAD_AFTER:
                return False
            self._read_anew_at = now
            return True
