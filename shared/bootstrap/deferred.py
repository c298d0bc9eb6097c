"""Adapters that are made when they are first used, so that a function loads only what this run needs."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, Generic, TypeVar, cast

Port = TypeVar("Port")


class _Deferred(Generic[Port]):
    """Stands in for an adapter and makes it at the first use of anything it has."""

    def __init__(self, make: Callable[[], Port]) -> None:
        self._make = make
        self._lock = Lock()
        self._made: Port | None = None

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)


def deferred(make: Callable[[], Port]) -> Port:
    """Give a stand-in for what `make` makes; a failure to make it rises at the use and is tried again at the next."""
    return cast(Port, _Deferred(make))
