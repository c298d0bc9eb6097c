"""What is held in every cell of the matrix, and the two ways in which its price falls through its stop.

A cell counts in ticks. Tick 1 is the one at which the first price below a stop can be known; the ticks before it are
calm. Prices are percent of the entry, so that all falling positions fall alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.money import round_to_cent
from shared.domain.positions import Position, lot_id

DAY: Final = date(2026, 6, 10)
MORNING: Final = datetime(2026, 6, 10, 12, 29, tzinfo=UTC)
"""A minute before the session is prepared."""
OPENS: Final = datetime(2026, 6, 10, 13, 30, tzinfo=UTC)
MINUTE: Final = timedelta(minutes=1)
FIRST_TICK: Final = -3
"""Four calm ticks come before tick 1: the broker is asked, and what is to rest there rests."""
VOLUME: Final = Decimal(1_000_000)
_WICK: Final = Decimal("0.05")
_HUNDRED: Final = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One position at the start; `falls` says whether its price goes through its stop."""

    symbol: Symbol
    quantity: Decimal
    entry: Decimal
    stop_loss_pct: Decimal
    falls: bool

    @property
    def whole(self) -> Decimal:
        """Give the whole shares of it, which a stop at the broker can protect for good."""
        return Decimal(int(self.quantity))

    def to_position(self) -> Position:
        """Make the Book's position of it, bought the evening before."""
        opened = OPENS - timedelta(hours=18)
        return Position(
            symbol=self.symbol,
            lot=lot_id(self.symbol, opened),
            quantity=self.quantity,
            average_entry_price=self.entry,
            opened_at=opened,
            adjusted_through=DAY,
            stop_loss_pct=self.stop_loss_pct,
        )


HOLDINGS: Final = (
    Holding(
        symbol=Symbol("TSLA"),
        quantity=Decimal(10),
        entry=Decimal(100),
        stop_loss_pct=Decimal("0.05"),
        falls=True,
    ),
    Holding(
        symbol=Symbol("NVDA"),
        quantity=Decimal("10.4"),
        entry=Decimal(200),
        stop_loss_pct=Decimal("0.05"),
        falls=True,
    ),
    Holding(
        symbol=Symbol("AAPL"),
        quantity=Decimal("0.9"),
        entry=Decimal(300),
        stop_loss_pct=Decimal("0.05"),
        falls=True,
    ),
    Holding(
        symbol=Symbol("KO"),
        quantity=Decimal(60),
        entry=Decimal(70),
        stop_loss_pct=Decimal("0.20"),
        falls=False,
    ),
)
"""Whole shares, which a stop at the broker protects; whole shares with a fraction; a fraction, which only software
protects; and a healthy position that must not be sold."""
FALLING: Final = tuple(holding for holding in HOLDINGS if holding.falls)
HEALTHY: Final = tuple(holding for holding in HOLDINGS if not holding.falls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One way to fall: the closes of the calm ticks and of those from tick 1 on, in percent of the entry.

    After the last close the price moves on by `drift` a tick; `jumps` says that tick 1 opens at its close, with no
    trade between it and the close before. Without `broker_stops` nothing rests at the broker, as the owner may choose.
    """

    name: str
    about: str
    calm: tuple[Decimal, ...]
    fall: tuple[Decimal, ...]
    drift: Decimal
    jumps: bool
    broker_stops: bool = True

    def bars(self, tick: int) -> Iterator[Bar]:
        """Give each holding's bar of the minute that ends at a tick."""
        end = time_of(tick)
        for holding in HOLDINGS:
            close, before = self._price(holding, tick), self._price(holding, tick - 1)
            opened = close if self.jumps and tick == 1 else before
            yield Bar(
                holding.symbol,
                end - MINUTE,
                end,
                opened,
                max(opened, close) + _WICK,
                min(opened, close) - _WICK,
                close,
                VOLUME,
            )

    def _price(self, holding: Holding, tick: int) -> Decimal:
        percent = self._percent(tick) if holding.falls else _HUNDRED + Decimal("0.1") * (tick % 3)
        return round_to_cent(holding.entry * percent / _HUNDRED)

    def _percent(self, tick: int) -> Decimal:
        if tick < 1:
            return self.calm[max(tick - FIRST_TICK, 0)]
        beyond = max(tick - len(self.fall), 0)
        return self.fall[tick - beyond - 1] + self.drift * beyond


BEY_02: Final = (
    Column(
        name="gap",
        about="gap through the stop: 95 is the stop, the price jumps from 100.2 to 93.1 between two trades",
        calm=(Decimal("100.2"), Decimal("100.1"), Decimal("100.3"), Decimal("100.2")),
        fall=(Decimal("93.1"), Decimal("93.0"), Decimal("92.8"), Decimal("92.9")),
        drift=Decimal("0.02"),
        jumps=True,
    ),
    Column(
        name="bleed",
        about="slow bleed: 95 is the stop, the price goes from 97.0 through it and on, trade by trade",
        calm=(Decimal("97.0"), Decimal("96.5"), Decimal("96.0"), Decimal("95.5")),
        fall=(Decimal("94.9"), Decimal("94.6"), Decimal("94.2")),
        drift=Decimal("-0.3"),
        jumps=False,
    ),
)
COLUMNS: Final = (
    *BEY_02,
    replace(
        BEY_02[0],
        name="gap-software",
        about="the same gap with nothing resting at the broker: the software stop is all",
        broker_stops=False,
    ),
)


def time_of(tick: int) -> datetime:
    """Give the minute of a tick."""
    return OPENS + (tick - FIRST_TICK + 1) * MINUTE


def tick_of(at: datetime) -> int:
    """Name the tick in whose minute something happened."""
    return (at - OPENS) // MINUTE - 1 + FIRST_TICK
