"""The confirmation of live trading in the Book: one item, the last writer wins."""

from __future__ import annotations

from typing import Final

from shared.adapters.aws.stored_items import StoredItems
from shared.adapters.aws.table import Key, Table
from shared.contracts.live_confirmation import LIVE_CONFIRMATION
from shared.domain.stage import LiveConfirmation

_CONFIRMATION: Final = Key("controls", "live_confirmation")


class DynamoConfirmations:
    """The newest confirmation."""

    def __init__(self, table: Table) -> None:
        self._confirmations = StoredItems(table, LIVE_CONFIRMATION)

    def get(self) -> LiveConfirmation | None:
        return self._confirmations.get(_CONFIRMATION)

    def put(self, confirmation: LiveConfirmation) -> None:
        self._confirmations.put(_CONFIRMATION, confirmation)
