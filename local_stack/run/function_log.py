"""What the functions of a run log and print: into a file, so that the terminal stays free for the view."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from shared.bootstrap.entrance import telemetry
from shared.bootstrap.telemetry import LOUD


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Send what functions log and print to a file, with every secret taken out, and leave the terminal to the view."""
    path.parent.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    handlers, levels = root.handlers[:], {logger: logger.level for logger in (root, *map(logging.getLogger, LOUD))}
    with path.open("a", encoding="utf-8", buffering=1) as log, redirect_stdout(log):
        telemetry().take_over()
        streams = [handler for handler in root.handlers if isinstance(handler, logging.StreamHandler)]
        for handler in streams:
            handler.setStream(log)
        try:
            yield
        finally:
            for handler in streams:
                handler.setStream(sys.__stdout__)
            root.handlers[:] = handlers
            for logger, level in levels.items():
                logger.setLevel(level)
