"""A seeded market: bars of a few symbols with slides, gaps and wild prints, and quotes that are sometimes bad."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Final, NamedTuple

from shared.adapters.memory.prices import BarFeed
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.money import round_to_cent
from shared.domain.quotes import Quote

HELD: Final = (Symbol("ACME"), Symbol("BOLT"))
"""Symbols that are held at the start and may fall through their stops."""
BOUGHT: Final = (Symbol("CALM"), Symbol("DUNE"), Symbol("EVEN"))
"""Symbols that entries are proposed in; they barely move, so that a broken limit is not the market's doing."""
THIN: Final = BOUGHT[-1]
"""A symbol with so little volume that orders in it rest for minutes."""
SYMBOLS: Final = HELD + BOUGHT
STRANGE: Final = Symbol("FERN")
"""A symbol that nobody watches; it trades all the same."""
OPENING_PRICE: Final = Decimal(100)
STOP_LOSS: Final = Decimal("0.05")
"""How far below their entry the stops of what is held at the start lie."""
MINUTE: Final = timedelta(minutes=1)
_NO_END: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""Stands for the end of a bar that is drawn but not shown, so that the chances stay the same."""
_OLD_PRICE: Final = Decimal("0.85")
"""A stale or undated quote shows this share of the price: below the stops, yet no wild move."""


class Step(NamedTuple):
    """A split or dividend as the market sees it: from the bar of this number on, prices are divided and lowered."""

    at: int
    ratio: Decimal
    cash: Decimal


def make_bars(
    random: Random, ends: Sequence[datetime | None], steps: Mapping[Symbol, Step], *, thin: bool
) -> dict[Symbol, list[Bar]]:
    """Draw one-minute bars by their ends, none where the market rests.

    A held symbol may slide or gap through its stop, or print wildly once; with `thin` it has hardly any volume.
    """
    symbols = (*SYMBOLS, STRANGE)
    return {symbol: _series(random, symbol, ends, steps.get(symbol), thin=thin) for symbol in symbols}


def _series(
    random: Random, symbol: Symbol, ends: Sequence[datetime | None], step: Step | None, *, thin: bool
) -> list[Bar]:
    minutes = len(ends)
    falls_at = random.randrange(2, minutes) if symbol in HELD and random.random() < 0.7 else None
    wild_at = random.randrange(3, minutes) if symbol in HELD and random.random() < 0.3 else None
    depth = random.choice((0.07, 0.12, 0.30)) if falls_at is not None else 0.0
    gradual = random.random() < 0.5
    volumes = (0, 5, 20) if symbol == THIN or (thin and symbol in HELD) else (20, 500, 5000)
    level, bars = float(OPENING_PRICE), []
    for minute, end in enumerate(ends):
        if step is not None and minute == step.at:
            level = level / float(step.ratio) - float(step.cash)
        drift = random.uniform(-0.0005, 0.0005)
        if falls_at is not None and minute >= falls_at:
            if gradual and minute < falls_at + 5:
                drift -= depth / 5
            elif not gradual and minute == falls_at:
                drift -= depth
        before, level = level, level * (1 + drift)
        bar = _bar(random, symbol, end or _NO_END, before, level, volumes, wild=minute == wild_at)
        if end is not None:
            bars.append(bar)
    return bars


def _bar(
    random: Random,
    symbol: Symbol,
    end: datetime,
    before: float,
    after: float,
    volumes: Sequence[int],
    *,
    wild: bool,
) -> Bar:
    opening, close = _price(before), _price(after * (0.6 if wild else 1))
    high = max(opening, close) + _price(random.uniform(0, 0.05))
    low = min(opening, close) - _price(random.uniform(0, 0.05))
    volume = Decimal(random.choice(volumes))
    return Bar(symbol, end - MINUTE, end, opening, high, low, close, volume)


def _price(amount: float) -> Decimal:
    return round_to_cent(Decimal(repr(round(amount, 4))))


class UnreliableFeed:
    """The primary source: the true feed, whose quotes are bad by chance while the run is disturbed."""

    def __init__(self, feed: BarFeed, random: Random, rate: float) -> None:
        self._feed = feed
        self._random = random
        self.rate = rate

    def quotes(self, symbols: Sequence[Symbol]) -> Mapping[Symbol, Quote]:
        """Return the true quotes, some of them missing or spoiled."""
        answers = dict(self._feed.quotes(symbols))
        for symbol in list(answers):
            if self._random.random() < self.rate:
                spoiled = self._spoil(answers[symbol])
                if spoiled is None:
                    del answers[symbol]
                else:
                    answers[symbol] = spoiled
        return answers

    def _spoil(self, quote: Quote) -> Quote | None:
        hour = timedelta(hours=1)
        nothing = Decimal(0)
        lower = quote.last and quote.last * _OLD_PRICE
        return self._random.choice(
            (
                None,
                quote._replace(last=Decimal("NaN")),
                quote._replace(last=Decimal("Infinity")),
                quote._replace(bid=nothing, ask=nothing),
                quote._replace(last=nothing),
                quote._replace(last=-(quote.last or nothing)),
                quote._replace(bid=quote.ask, ask=quote.bid),
                quote._replace(
                    last=lower,
                    quoted_at=quote.quoted_at and quote.quoted_at - hour,
                    traded_at=quote.traded_at and quote.traded_at - hour,
                ),
                quote._replace(last=lower, quoted_at=None, traded_at=None),
            )
        )


class SecondSource:
    """The backup: the true last prices, without bid and ask."""

    def __init__(self, feed: BarFeed) -> None:
        self._feed = feed

    def quotes(self, symbols: Sequence[Symbol]) -> Mapping[Symbol, Quote]:
        """Return the last prices alone."""
        answers = self._feed.quotes(symbols)
        return {s: q._replace(bid=None, ask=None, feed="backup") for s, q in answers.items()}
