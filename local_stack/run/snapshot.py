"""What a run looks like at one moment: values only, ready to be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shared.domain.coverage import Coverage
from shared.domain.money import ZERO, as_price, plain
from shared.domain.trading_state import TradingState


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the system, and whether it is the real one."""

    name: str
    what: str
    is_real: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPosition:
    """A position with its price and protection; without a usable price nothing protects it."""

    symbol: str
    quantity: Decimal
    entry: Decimal
    last: Decimal | None
    stop: Decimal
    at_broker: Decimal = ZERO

    @property
    def covered_by(self) -> str:
        """Say what would sell it at its stop: the broker for what rests there, the software for the rest."""
        rest = "nothing" if self.last is None else "software"
        if not self.at_broker:
            return rest
        return "broker" if self.at_broker >= self.quantity else f"broker, {rest}"

    @property
    def is_bare(self) -> bool:
        """Say whether some of it has no protection at all."""
        return self.last is None and self.at_broker < self.quantity

    @property
    def distance_pct(self) -> Decimal | None:
        """Give how far the price may still fall to the stop, in percent of the price."""
        return None if self.last is None else (self.last - self.stop) / self.last * 100

    @property
    def gain(self) -> Decimal | None:
        """Give the open profit or loss in dollars."""
        return None if self.last is None else (self.last - self.entry) * self.quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAlert:
    """An alert as it was told; `channels` are those that accepted it."""

    key: str
    at: datetime
    severity: str
    channels: Sequence[str]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownOrder:
    """An order at the broker."""

    id: str
    at: datetime
    symbol: str
    side: str
    quantity: Decimal
    filled: Decimal
    price: Decimal | None
    state: str
    stop: Decimal | None = None

    @property
    def wanted(self) -> str:
        """Say what was ordered, with the price that a stop rests at."""
        resting = "" if self.stop is None else f" stop {as_price(self.stop)}"
        return f"{self.side} {plain(self.quantity)}{resting}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSchedule:
    """When a function runs next."""

    name: str
    next_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A run at one moment; lists are oldest first."""

    parts: Sequence[Part]
    stage: str
    account: str
    speed: str
    now: datetime
    session: str
    ticks: int
    ticks_in_all: int | None
    positions: Sequence[ShownPosition] = ()
    coverage: Coverage | None = None
    state: TradingState | None = None
    cash: Decimal = ZERO
    equity: Decimal = ZERO
    alerts: Sequence[ShownAlert] = ()
    orders: Sequence[ShownOrder] = ()
    schedules: Sequence[ShownSchedule] = ()
    errors: Sequence[str] = ()
    page: str = ""
    models: str = ""
    """What models cost today, and the limit."""
