"""The stored answer to which orders may be for a fraction of a share."""

from __future__ import annotations

from typing import Protocol

from shared.domain.fractional import FractionalProbe


class FractionalProbes(Protocol):
    """The newest probe; it says itself when it was made."""

    def get(self) -> FractionalProbe | None:
        """Return it with a consistent read; None when nobody ever probed."""
        ...

    def put(self, probe: FractionalProbe) -> None:
        """Store a probe in the place of the one before; the same again changes nothing."""
        ...
