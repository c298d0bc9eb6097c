"""The fractional probe in memory."""

from __future__ import annotations

from shared.domain.fractional import FractionalProbe


class MemoryFractionalProbes:
    """The newest probe."""

    def __init__(self) -> None:
        self._newest: FractionalProbe | None = None

    def get(self) -> FractionalProbe | None:
        return self._newest

    def put(self, probe: FractionalProbe) -> None:
        self._newest = probe
