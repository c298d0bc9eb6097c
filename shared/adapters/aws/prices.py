"""Prices in DynamoDB: one item per minute with every symbol's quote, and one with the latest minute.

Minutes lie under `minutes`, sorted by their time, and the table forgets them after two days. The latest one is stored
a second time under `latest` without an end, because the last good prices must outlast a long weekend. It only moves
forward; a run that ended between the two writes is made up for when the tick is delivered again, or by the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from shared.adapters.aws.stored_items import StoredItems
from shared.adapters.aws.table import ABSENT, Condition, Key, Table, expiry, micros, sortable
from shared.contracts.stored import MINUTE
from shared.domain.assets import Symbol
from shared.domain.moves import Bounds
from shared.domain.quotes import JudgedQuote
from shared.domain.times import Tick
from shared.ports.prices import Minute

KEPT: Final = timedelta(days=2)
"""How long minutes are kept: the window of moves needs a quarter of an hour, the hourly archive a day."""

_LATEST: Final = Key("latest", "minute")


class DynamoPriceStore:
    """The recent minutes and the latest judged quotes."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._minutes = StoredItems(table, MINUTE)

    def put_minute(self, tick: Tick, quotes: Mapping[Symbol, JudgedQuote]) -> bool:
        minute = Minute(tick.scheduled, quotes)
        place = Key("minutes", sortable(minute.at))
        stored = self._minutes.put(place, minute, when=ABSENT, expires=expiry(minute.at + KEPT))
        newest = minute if stored else self._minutes.get(place)
        if newest is not None:
            self._move_forward(newest)
        return stored

    def latest(self) -> Minute | None:
        return self._minutes.get(_LATEST)

    def window(self, since: datetime, before: datetime) -> Sequence[Minute]:
        items = self._table.query("minutes", since=sortable(since), before=sortable(before))
        return [self._minutes.read(item) for item in items]

    def bounds(self, since: datetime, before: datetime) -> Mapping[Symbol, Bounds]:
        """Give the window's own extremes: a process that lives for one call has nothing to remember them in."""
        bounds: dict[Symbol, Bounds] = {}
        for minute in self.window(since, before):
            for symbol, quote in minute.quotes.items():
                if quote.price is not None:
                    low, high = bounds.get(symbol, (quote.price, quote.price))
                    bounds[symbol] = Bounds(min(low, quote.price), max(high, quote.price))
        return bounds

    def _move_forward(self, minute: Minute) -> None:
        at = micros(minute.at)
        self._minutes.put(_LATEST, minute, when=ABSENT | Condition("#at < :at", {"at": at}), at=at)
