"""The confirmation of live trading in memory."""

from __future__ import annotations

from shared.domain.stage import LiveConfirmation


class MemoryConfirmations:
    """The newest confirmation."""

    def __init__(self) -> None:
        self._newest: LiveConfirmation | None = None

    def get(self) -> LiveConfirmation | None:
        return self._newest

    def put(self, confirmation: LiveConfirmation) -> None:
        self._newest = confirmation
