"""Handlers of the small template: they do what the object they are given does."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

Work = Callable[[Any, Any], Any]


def clerk(event: Any, context: Any, *, run: Work | None = None) -> Any:
    """Let the given work answer, or tell of the environment."""
    return run(event, context) if run is not None else {"table": os.environ.get("HEARTHWATCH_BOOK_TABLE")}


def porter(event: Any, context: Any, *, run: Work | None = None) -> Any:
    """Answer with the event."""
    return event
