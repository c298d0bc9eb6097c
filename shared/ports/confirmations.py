"""The stored confirmation of live trading, apart from every other setting (ORD-02)."""

from __future__ import annotations

from typing import Protocol

from shared.domain.stage import LiveConfirmation


class Confirmations(Protocol):
    """The one confirmation that counts: the newest; it names its account and stage itself."""

    def get(self) -> LiveConfirmation | None:
        """Return it with a consistent read, expired or not; None when nobody ever confirmed."""
        ...

    def put(self, confirmation: LiveConfirmation) -> None:
        """Store a confirmation in the place of the one before; the same again changes nothing."""
        ...
