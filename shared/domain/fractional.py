"""What the paper account was found to accept for fractions of a share (ORD-07, OPS-03).

The answer is the preflight's. It stands for the live account too, which trades under the broker's same rules: a probe
never touches real money. None is unknown, and unknown means market orders for the day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.domain.gate import FractionalSupport
from shared.domain.times import require_utc


@dataclass(frozen=True, slots=True, kw_only=True)
class FractionalProbe:
    """Which kinds of order take a fraction, and when that was found."""

    market: bool | None = None
    limit: bool | None = None
    stop: bool | None = None
    probed_at: datetime

    def __post_init__(self) -> None:
        require_utc("probed_at", self.probed_at)

    @property
    def support(self) -> FractionalSupport:
        """Give what the shape of an order follows."""
        return FractionalSupport(limit=self.limit, stop=self.stop)

    @property
    def text(self) -> str:
        """Say the three answers."""
        answers = {None: "unknown", True: "yes", False: "no"}
        kinds = {"market": self.market, "limit": self.limit, "stop": self.stop}
        return ", ".join(f"{kind} {answers[answer]}" for kind, answer in kinds.items())
