"""The fractional probe in the Book: one item, the last writer wins."""

from __future__ import annotations

from typing import Final

from shared.adapters.aws.stored_items import StoredItems
from shared.adapters.aws.table import Key, Table
from shared.contracts.fractional_probe import FRACTIONAL_PROBE
from shared.domain.fractional import FractionalProbe

PROBE: Final = Key("controls", "fractional_probe")


class DynamoFractionalProbes:
    """The newest probe."""

    def __init__(self, table: Table) -> None:
        self._probes = StoredItems(table, FRACTIONAL_PROBE)

    def get(self) -> FractionalProbe | None:
        return self._probes.get(PROBE)

    def put(self, probe: FractionalProbe) -> None:
        self._probes.put(PROBE, probe)
