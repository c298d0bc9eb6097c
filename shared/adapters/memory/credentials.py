"""Credentials in memory: names and dates alone, for offline runs have nothing to keep secret."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType


class MemoryCredentials:
    """Credentials that were stored at given times."""

    def __init__(self, stored_at: Mapping[str, datetime] = MappingProxyType({})) -> None:
        self.stored_at = dict(stored_at)

    def ages(self, now: datetime) -> Mapping[str, timedelta]:
        return {name: now - at for name, at in self.stored_at.items()}
