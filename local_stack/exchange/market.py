"""What the simulated exchange's feed knows: the bars fed so far, and the quotes and snapshots made of them.

Quotes follow the same rule as in a replay: while a session runs, a symbol that traded in it has a live quote, also
through minutes without a trade; one that has not carries the time of its last bar; after the close the stamps stand
at the close. A frozen feed keeps answering with what it knew; a stale one dates everything back; a halted symbol has
neither trades nor newer quotes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from shared.adapters.memory.matching import Exchange, quote_around
from shared.adapters.memory.prices import Recording
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.corporate_actions import CorporateAction
from shared.domain.money import ZERO
from shared.domain.quotes import Quote
from shared.domain.session import TradingDay

NEW_YORK: Final = ZoneInfo("America/New_York")

_LOOK_BACK: Final = timedelta(days=14)
_end = attrgetter("end")


class Tape(NamedTuple):
    """A symbol's newest facts: the quote around its last close, and its bars of minute, day and day before."""

    bid: Decimal
    ask: Decimal
    quoted_at: datetime
    last: Decimal
    traded_at: datetime
    minute: Bar
    day: Bar
    previous_day: Bar | None


class Timeframe(NamedTuple):
    """A length of bars as the API names it; `length` None is a New York day."""

    length: timedelta | None

    def start_of(self, at: datetime) -> datetime:
        """Find the start of the bar that an instant belongs to."""
        if self.length is None:
            return datetime.combine(at.astimezone(NEW_YORK).date(), time(), NEW_YORK).astimezone(UTC)
        epoch = datetime.fromtimestamp(0, UTC)
        return epoch + (at - epoch) // self.length * self.length


DAY: Final = Timeframe(None)


class Market:
    """The feed's memory; every question carries the time it is asked at."""

    def __init__(self, exchange: Exchange) -> None:
        self.stale_by = timedelta(0)
        self._exchange = exchange
        self._bars: defaultdict[Symbol, list[Bar]] = defaultdict(list)
        self._past: defaultdict[Symbol, list[Bar]] = defaultdict(list)
        self._recorded: dict[Symbol, Recording] = {}
        self._announced: list[CorporateAction] = []
        self._frozen_at: datetime | None = None
        self._halted_at: dict[Symbol, datetime] = {}

    def record(self, bar: Bar) -> None:
        """Add a bar, in the order of ends."""
        self._bars[bar.symbol].append(bar)

    def remember(self, bar: Bar) -> None:
        """Add a bar of the past, in the order of ends; it is listed among bars, and no quote is made of it."""
        self._past[bar.symbol].append(bar)

    def record_quotes(self, symbol: Symbol, quotes: Collection[Quote]) -> None:
        """Answer with recorded bids and asks instead of made ones, each from its instant on."""
        self._recorded[symbol] = Recording(quotes)

    def announce(self, action: CorporateAction) -> None:
        """Let a corporate action be known; the same one again changes nothing."""
        if action not in self._announced:
            self._announced.append(action)

    def announced(self, symbols: Collection[Symbol]) -> Sequence[CorporateAction]:
        """Return the known corporate actions of some symbols."""
        return [action for action in self._announced if action.symbol in symbols]

    def freeze(self, now: datetime) -> None:
        """Stop the feed: it goes on answering with what it knew."""
        self._frozen_at = now

    def thaw(self) -> None:
        """Let the feed go on."""
        self._frozen_at = None

    def halt(self, symbol: Symbol, now: datetime) -> None:
        """Stop a symbol's trades and quotes."""
        self._halted_at[symbol] = now

    def resume(self, symbol: Symbol) -> None:
        """Let a halted symbol trade again."""
        self._halted_at.pop(symbol, None)

    def is_halted(self, symbol: Symbol) -> bool:
        """Say whether a symbol is halted."""
        return symbol in self._halted_at

    def tape(self, symbol: Symbol, now: datetime) -> Tape | None:
        """Return a symbol's newest facts, None before its first bar."""
        as_of = min(now, self._frozen_at or now, self._halted_at.get(symbol, now))
        known = self._known(symbol, as_of)
        if not known:
            return None
        last = known[-1]
        bid, ask = self._bid_and_ask(last, as_of)
        days = _newest_days(known)
        return Tape(
            bid=bid,
            ask=ask,
            quoted_at=self._quoted_at(last, as_of) - self.stale_by,
            last=last.close,
            traded_at=last.end - self.stale_by,
            minute=last,
            day=days[0],
            previous_day=days[1] if len(days) > 1 else None,
        )

    def bars(self, symbol: Symbol, frame: Timeframe, start: datetime, end: datetime, now: datetime) -> Sequence[Bar]:
        """Return a symbol's bars with start <= bar.start <= end, joined to the timeframe; longer ones stay as fed."""
        known = [*self._past.get(symbol, ()), *self._known(symbol, min(now, self._frozen_at or now))]
        wanted = [bar for bar in known if frame.start_of(start) <= bar.start]
        return [bar for bar in join_bars(wanted, frame) if start <= bar.start <= end]

    def _known(self, symbol: Symbol, as_of: datetime) -> Sequence[Bar]:
        bars = self._bars.get(symbol, [])
        return bars[: bisect_right(bars, as_of, key=_end)]

    def _bid_and_ask(self, last: Bar, as_of: datetime) -> tuple[Decimal, Decimal]:
        """Take the newest recorded quote of the session, or make one; an absent side is zero, as Alpaca sends it."""
        day = self._session(as_of) if last.symbol in self._recorded else None
        newest = None if day is None else self._recorded[last.symbol].newest(day, as_of)
        if newest is None:
            return quote_around(last.close, self._exchange.half_spread)
        return newest.bid or ZERO, newest.ask or ZERO

    def _quoted_at(self, last: Bar, as_of: datetime) -> datetime:
        day = self._session(as_of)
        return min(as_of, day.closes) if day is not None and last.end > day.opens else last.end

    def _session(self, now: datetime) -> TradingDay | None:
        """Find the session that runs or ran last."""
        begun = [day for day in self._exchange.days((now - _LOOK_BACK).date(), now.date()) if day.opens <= now]
        return begun[-1] if begun else None


def join_bars(bars: Sequence[Bar], frame: Timeframe) -> list[Bar]:
    """Join bars in time order to the bars of a longer timeframe; one that is longer already stays as it is."""
    joined: list[Bar] = []
    first = 0
    for place in range(1, len(bars) + 1):
        if place == len(bars) or frame.start_of(bars[place].start) != frame.start_of(bars[first].start):
            part = bars[first:place]
            whole = len(part) == 1 and frame.length is not None and part[0].end - part[0].start >= frame.length
            joined.append(part[0] if whole else _joined(part, frame))
            first = place
    return joined


def _newest_days(bars: Sequence[Bar]) -> list[Bar]:
    """Join the bars of the newest two New York dates, newest first."""
    days: list[Bar] = []
    until = len(bars)
    while until and len(days) < 2:
        midnight = DAY.start_of(bars[until - 1].start)
        since = bisect_left(bars, midnight, hi=until, key=attrgetter("start"))
        days.append(_joined(bars[since:until], DAY))
        until = since
    return days


def _joined(part: Sequence[Bar], frame: Timeframe) -> Bar:
    volumes = [bar.volume for bar in part if bar.volume is not None]
    return Bar(
        symbol=part[0].symbol,
        start=frame.start_of(part[0].start),
        end=part[-1].end,
        open=part[0].open,
        high=max(bar.high for bar in part),
        low=min(bar.low for bar in part),
        close=part[-1].close,
        volume=sum(volumes, ZERO) if volumes else None,
    )
