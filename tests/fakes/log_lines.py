"""What the functions of this process write to their log, as Lambda would keep it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shared.bootstrap.entrance import telemetry
from shared.bootstrap.telemetry import SERVICE


class LogLines:
    """The text that was written, and its lines as JSON."""

    def __init__(self, written: io.StringIO) -> None:
        self._written = written

    @property
    def text(self) -> str:
        return self._written.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Read every line; one that is not JSON fails the test."""
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, function: str) -> list[dict[str, Any]]:
        """Give the lines of a function, by its name in the template."""
        return [line for line in self.lines if function in line.get("function", "")]


@contextmanager
def log_lines() -> Iterator[LogLines]:
    """Let this process log as one that runs functions does, into memory."""
    told, root, own = telemetry(), logging.getLogger(), logging.getLogger(SERVICE)
    handlers, level, propagates = root.handlers[:], root.level, own.propagate
    written = io.StringIO()
    before = told._handler.setStream(written)
    told.take_over()
    try:
        yield LogLines(written)
    finally:
        told._handler.setStream(before or told._handler.stream)
        root.handlers[:], own.propagate = handlers, propagates
        root.setLevel(level)
