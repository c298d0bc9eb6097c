"""The present, as the machine knows it."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    """Reads the machine's clock, which the cloud and every home machine keep in step by NTP."""

    def now(self) -> datetime:
        return datetime.now(UTC)
