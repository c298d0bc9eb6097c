"""Prices in memory: quotes made of bars, and the store of recent minutes.

Decided: a bar is known at its end. While the session runs, a symbol that has traded in it has a live quote, also
through minutes without a trade; one that has not answers with the stamps of its last bar and is judged stale. After
the close the stamps stand at the close.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from operator import attrgetter
from threading import Lock
from types import MappingProxyType
from typing import Final, cast

from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.errors import InvalidValue
from shared.domain.money import ONE, require_fraction
from shared.domain.moves import Bounds
from shared.domain.quotes import JudgedQuote, Quote
from shared.domain.session import TradingDay
from shared.domain.times import Tick, require_utc
from shared.ports.prices import Minute

HALF_SPREAD: Final = Decimal("0.00025")
"""Half the spread as a share of the price where no quotes were recorded: 2.5 basis points."""
FEED: Final = "bars"

_KEPT: Final = timedelta(days=2)
_BOUNDS_SERVE: Final = timedelta(minutes=30)
"""Bounds only widen, so they are made anew after this."""
_at = attrgetter("at")
_quote = cast(Callable[[Iterable[object]], Quote], partial(tuple.__new__, Quote))
"""Makes a Quote of its fields without the keyword machinery: half the cost, once per symbol and tick."""


class BarFeed:
    """A price source that replays bars, with `days` the sessions they belong to.

    Recorded quotes replace the made bid and ask from the instant they are dated until the next one of their session;
    the last price is always a bar's close.
    """

    def __init__(
        self,
        bars: Mapping[Symbol, Sequence[Bar]],
        days: Sequence[TradingDay],
        *,
        half_spread: Decimal = HALF_SPREAD,
        recorded: Mapping[Symbol, Sequence[Quote]] | None = None,
    ) -> None:
        require_fraction("half_spread", half_spread)
        self._bid_factor, self._ask_factor = ONE - half_spread, ONE + half_spread
        self._batches = _batches(bars)
        self._ends = sorted(self._batches)
        self._next = 0
        self._days = sorted(days)
        self._now: datetime | None = None
        self._known: dict[Symbol, Bar] = {}
        self._recorded = {symbol: Recording(quotes) for symbol, quotes in (recorded or {}).items()}

    def advance(self, now: datetime) -> Sequence[Bar]:
        """Move to `now` and return the bars that became known since, oldest first and by symbol within an instant."""
        if self._now is not None and now < self._now:
            raise InvalidValue("now", now, f"a time not before {self._now}")
        self._now = require_utc("now", now)
        known: list[Bar] = []
        while self._next < len(self._ends) and self._ends[self._next] <= now:
            batch = self._batches[self._ends[self._next]]
            self._known.update(batch)
            known.extend(batch.values())
            self._next += 1
        return known

    def quotes(self, symbols: Sequence[Symbol]) -> Mapping[Symbol, Quote]:
        now = self._now
        day = self._session()
        if now is None or day is None:
            return {}
        opens, live = day.opens, min(now, day.closes)
        known, recorded = self._known, self._recorded
        bid_factor, ask_factor = self._bid_factor, self._ask_factor
        answers: dict[Symbol, Quote] = {}
        for symbol in symbols:
            bar = known.get(symbol)
            if bar is None:
                continue
            end, close = bar.end, bar.close
            quoted_at = live if end > opens else end
            quote = _quote((symbol, close * bid_factor, close * ask_factor, close, quoted_at, end, FEED))
            if symbol in recorded:
                quote = recorded[symbol].over(quote, day, now)
            answers[symbol] = quote
        return answers

    def _session(self) -> TradingDay | None:
        """Find the session that runs or ran last."""
        if self._now is None:
            return None
        begun = bisect_right(self._days, self._now, key=attrgetter("opens"))
        return self._days[begun - 1] if begun else None


def _batches(bars: Mapping[Symbol, Sequence[Bar]]) -> dict[datetime, dict[Symbol, Bar]]:
    """Group bars by the instant they become known, each group in the order of symbols."""
    batches: defaultdict[datetime, dict[Symbol, Bar]] = defaultdict(dict)
    for symbol in sorted(bars):
        for bar in bars[symbol]:
            batches[bar.end][symbol] = bar
    return dict(batches)


class Recording:
    """The recorded quotes of one symbol, read forward."""

    def __init__(self, quotes: Collection[Quote]) -> None:
        dated = [(quote.quoted_at, quote) for quote in quotes if quote.quoted_at is not None]
        dated.sort(key=lambda pair: pair[0])
        self._times = [at for at, _ in dated]
        self._quotes = [quote for _, quote in dated]

    def over(self, made: Quote, day: TradingDay, now: datetime) -> Quote:
        """Lay the newest quote recorded in the session over the made one."""
        newest = self.newest(day, now)
        return made if newest is None else made._replace(bid=newest.bid, ask=newest.ask)

    def newest(self, day: TradingDay, now: datetime) -> Quote | None:
        """Return the newest quote that was recorded in the session by now."""
        place = bisect_right(self._times, now) - 1
        return None if place < 0 or self._times[place] <= day.opens else self._quotes[place]


class MemoryPriceStore:
    """The recent minutes; those further than `keep` behind the newest are forgotten, and taken for stored."""

    def __init__(self, keep: timedelta = _KEPT) -> None:
        self._keep = keep
        self._lock = Lock()
        self._minutes: list[Minute] = []
        self._bounds: dict[Symbol, Bounds] = {}
        self._bounded_since: datetime | None = None

    def put_minute(self, tick: Tick, quotes: Mapping[Symbol, JudgedQuote]) -> bool:
        minute = Minute(tick.scheduled, MappingProxyType(dict(quotes)))
        with self._lock:
            stored = self._insert(minute)
            if stored:
                self._widen(minute)
        return stored

    def latest(self) -> Minute | None:
        return self._minutes[-1] if self._minutes else None

    def window(self, since: datetime, before: datetime) -> Sequence[Minute]:
        minutes = self._minutes
        return minutes[bisect_left(minutes, since, key=_at) : bisect_left(minutes, before, key=_at)]

    def bounds(self, since: datetime, before: datetime) -> Mapping[Symbol, Bounds]:
        """Bound every minute from `since` on; the same bounds serve later windows too, until they are made anew."""
        with self._lock:
            reach = self._bounded_since
            if reach is None or not reach <= since < reach + _BOUNDS_SERVE:
                self._bounded_since, self._bounds = since, {}
                for minute in self._minutes[bisect_left(self._minutes, since, key=_at) :]:
                    self._widen(minute)
            return self._bounds

    def _insert(self, minute: Minute) -> bool:
        minutes, at = self._minutes, minute.at
        if not minutes or at > minutes[-1].at:
            minutes.append(minute)
            if minutes[0].at < at - self._keep:
                del minutes[: bisect_left(minutes, at - self._keep, key=_at)]
            return True
        if at < minutes[-1].at - self._keep:
            return False
        place = bisect_left(minutes, at, key=_at)
        if minutes[place].at == at:
            return False
        minutes.insert(place, minute)
        return True

    def _widen(self, minute: Minute) -> None:
        bounds = self._bounds
        for symbol, quote in minute.quotes.items():
            price = quote.price
            if price is None:
                continue
            known = bounds.get(symbol)
            if known is None:
                bounds[symbol] = Bounds(price, price)
            elif price < known.low:
                bounds[symbol] = Bounds(price, known.high)
            elif price > known.high:
                bounds[symbol] = Bounds(known.low, price)


class NoPrices:
    """A price source that knows no symbol: replays have no second provider."""

    def quotes(self, symbols: Sequence[Symbol]) -> Mapping[Symbol, Quote]:
        return {}
