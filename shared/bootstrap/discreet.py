"""Adapters whose errors name no secret: what an error says ends up in alerts, the Book and the journal (SEC-01).

A vendor's own words are quoted in errors, and nobody promises that they never repeat the key they refuse.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from shared.domain.errors import HearthwatchError

Port = TypeVar("Port")
Redact = Callable[[str], str]


class _Discreet:
    """Stands in for an adapter and redacts what its errors say."""

    def __init__(self, port: object, redact: Redact) -> None:
        self._port = port
        self._redact = redact

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        if not callable(value):
            return value

        @wraps(value)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return value(*args, **kwargs)
            except HearthwatchError as error:
                _hush(error, self._redact)
                raise

        return call


def discreet(port: Port, redact: Redact) -> Port:
    """Give a stand-in for an adapter whose errors pass through `redact`."""
    return cast(Port, _Discreet(port, redact))


def _hush(error: HearthwatchError, redact: Redact) -> None:
    """Redact an error in place: its text, and what else it tells in words."""
    error.args = tuple(redact(part) if isinstance(part, str) else part for part in error.args)
    for name, part in vars(error).items():
        if isinstance(part, str):
            setattr(error, name, redact(part))
