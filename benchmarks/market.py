"""An invented market to measure on: seeded minute bars of any number of symbols, and what is held in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Final

from shared.adapters.bar_files.bar_set import BarSet
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.money import round_to_cent
from shared.domain.positions import Position, lot_id
from shared.domain.session import TradingDay

CALENDAR: Final = LibraryCalendar()
MINUTE: Final = timedelta(minutes=1)
OPENING_PRICE: Final = 100.0
WIGGLE: Final = 0.0005
"""The standard deviation of one minute's return, that of a large US stock."""
SLIDE: Final = 0.12
"""How far a symbol falls whose stop is meant to fire."""
FIRST_DAY: Final = date(2024, 1, 2)

Positions = Callable[[datetime, date], Sequence[Position]]


def sessions(count: int) -> Sequence[TradingDay]:
    """Give the first sessions from FIRST_DAY on that last a full day, so that each has 390 minutes."""
    days = CALENDAR.days(FIRST_DAY, FIRST_DAY + timedelta(days=2 * count + 10))
    return [day for day in days if day.closes - day.opens == 390 * MINUTE][:count]


def minute_bars(symbols: int, days: Sequence[TradingDay], *, sliding: int = 0, seed: int = 7) -> BarSet:
    """Draw every minute of the sessions for so many symbols; every tenth of the first `sliding` slides half-way."""
    names = [Symbol(_name(number)) for number in range(symbols)]
    slides = frozenset(names[:sliding:10])
    bars = {name: _series(name, days, Random(f"{seed} {name}"), slides=name in slides) for name in names}
    return BarSet(bars=bars, interval=MINUTE, days=tuple(days), quotes={})


def held_in(symbols: Sequence[Symbol]) -> Positions:
    """Hold ten shares of each symbol, bought at the opening price and stopped a tenth below it."""

    def positions(at: datetime, day: date) -> list[Position]:
        return [_position(symbol, at, day) for symbol in symbols]

    return positions


def _position(symbol: Symbol, at: datetime, day: date) -> Position:
    return Position(
        symbol=symbol,
        lot=lot_id(symbol, at),
        quantity=Decimal(10),
        average_entry_price=Decimal("100.00"),
        opened_at=at,
        adjusted_through=day,
        stop_loss_pct=Decimal("0.10"),
    )


def _name(number: int) -> str:
    """Name a symbol as the exchange might: AAA, AAB and so on."""
    first, rest = divmod(number, 26 * 26)
    return "".join(chr(ord("A") + place) for place in (first, *divmod(rest, 26)))


def _series(symbol: Symbol, days: Sequence[TradingDay], random: Random, *, slides: bool) -> list[Bar]:
    starts = [day.opens + n * MINUTE for day in days for n in range((day.closes - day.opens) // MINUTE)]
    falls_from = len(starts) // 2
    level, bars = OPENING_PRICE, []
    for number, start in enumerate(starts):
        drift = -SLIDE / 10 if slides and falls_from <= number < falls_from + 10 else 0.0
        home = (OPENING_PRICE - level) / OPENING_PRICE / 1000
        after = level * (1 + random.gauss(drift + (0.0 if slides else home), WIGGLE))
        bars.append(_bar(symbol, start, level, after, random))
        level = after
    return bars


def _bar(symbol: Symbol, start: datetime, before: float, after: float, random: Random) -> Bar:
    opening, close = _price(before), _price(after)
    high = max(opening, close) + _price(random.uniform(0, 0.05))
    low = min(opening, close) - _price(random.uniform(0, 0.05))
    return Bar(symbol, start, start + MINUTE, opening, high, low, close, Decimal(random.randrange(1_000, 50_000)))


def _price(amount: float) -> Decimal:
    return round_to_cent(Decimal(repr(round(amount, 4))))
