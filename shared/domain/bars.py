"""Price bars: what happened to one symbol in one stretch of time, known at its end."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from shared.domain.assets import Symbol


class Bar(NamedTuple):
    """One bar; `start` and `end` are UTC, prices in dollars a share, volume in shares or None where not recorded.

    A named tuple, not a dataclass: replays make hundreds of thousands of them.
    """

    symbol: Symbol
    start: datetime
    end: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal | None
