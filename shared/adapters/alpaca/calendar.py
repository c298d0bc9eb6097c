"""The exchange's calendar from Alpaca; an answer is kept as long as the process lives."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

from alpaca.trading.client import TradingClient
from alpaca.trading.requests import GetCalendarRequest

from shared.adapters.alpaca.outcomes import reading
from shared.adapters.alpaca.session import require_disarmed
from shared.adapters.alpaca.translation import to_day
from shared.domain.session import TradingDay
from shared.ports.clock import Clock

KEPT_RANGES: Final = 16
"""A process asks for few different ranges; the oldest makes room."""


class AlpacaCalendar:
    """Alpaca's calendar; that a session was called off at short notice shows in the broker's clock, not here."""

    def __init__(self, client: TradingClient, clock: Clock) -> None:
        require_disarmed(client)
        self._client = client
        self._clock = clock
        self._kept: dict[tuple[date, date], tuple[TradingDay, ...]] = {}

    def days(self, first: date, last: date) -> Sequence[TradingDay]:
        for (start, end), days in self._kept.items():
            if start <= first and last <= end:
                return tuple(day for day in days if first <= day.date <= last)
        days = self._ask(first, last)
        while len(self._kept) >= KEPT_RANGES:
            del self._kept[next(iter(self._kept))]
        self._kept[first, last] = days
        return days

    def _ask(self, first: date, last: date) -> tuple[TradingDay, ...]:
        with reading("calendar", self._clock):
            listed = self._client.get_calendar(GetCalendarRequest(start=first, end=last))
            if not isinstance(listed, list):
                raise TypeError(f"a JSON array expected, got {type(listed).__name__}")
            days = sorted(to_day(dict(raw)) for raw in listed)
            return tuple(day for day in days if first <= day.date <= last)
