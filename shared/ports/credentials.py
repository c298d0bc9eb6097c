"""The credentials the system uses, by where they are stored; never what they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol


class Credentials(Protocol):
    """What is known of the stored credentials."""

    def ages(self, now: datetime) -> Mapping[str, timedelta]:
        """Return how long ago each stored credential was stored last; one that is not stored is absent."""
        ...
