"""Loss limits of the trading day and week: what each began with, what it has lost, and whether it tripped (RSK-07).

A loss is what the account was worth at the period's start, plus what was paid in since, less what it is worth now:
realised and open together, deposits and withdrawals excluded. Decided:

- A period that met its limit stays tripped until the next one begins, however far the account recovers. No person is
  needed to lift it, and none can lift it earlier.
- A week begins with its first trading day. A new day ends the day's trip and leaves the week's.
- The start of a period never changes once it is known. What is unknown (no start, no worth) trips nothing here; the
  gate takes it for no.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from shared.domain.assets import Symbol
from shared.domain.day_plan import week_of
from shared.domain.money import CENT, ZERO, as_price, require_fraction, require_positive
from shared.domain.quotes import JudgedQuote
from shared.domain.reconciliation import BrokerFacts, Transfer
from shared.domain.times import iso, require_utc
from shared.domain.trading_state import HaltReason


@dataclass(frozen=True, slots=True, kw_only=True)
class LossLimits:
    """How much of its starting equity a day and a week may lose before entries stop; fractions."""

    daily: Decimal = Decimal("0.03")
    weekly: Decimal = Decimal("0.06")

    def __post_init__(self) -> None:
        for field in ("daily", "weekly"):
            require_fraction(field, getattr(self, field))


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What the account is worth now in dollars, and the money that was lately paid in or out."""

    equity: Decimal
    transfers: tuple[Transfer, ...] = ()

    def paid_in(self, after: datetime) -> Decimal:
        """Sum what was paid in after an instant, less what was paid out."""
        return sum((transfer.dollars for transfer in self.transfers if transfer.at > after), ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A trading day or week: its first trading day, and its equity in dollars as it was known at `since`.

    `tripped_at` is when it met its limit.
    """

    began: date
    since: datetime
    equity: Decimal
    tripped_at: datetime | None = None

    def __post_init__(self) -> None:
        require_utc("since", self.since)
        require_positive("equity", self.equity)

    def lost(self, worth: Worth) -> Decimal:
        """Give the dollars lost so far; a gain is negative."""
        return self.equity + worth.paid_in(self.since) - worth.equity

    def met(self, worth: Worth, limit: Decimal) -> bool:
        """Say whether the loss has reached its limit, exactly included."""
        return self.lost(worth) >= limit * self.equity

    def judged(self, worth: Worth, limit: Decimal, now: datetime) -> Period:
        """Trip when the limit is met; one that is tripped stays so."""
        return replace(self, tripped_at=now) if self.tripped_at is None and self.met(worth, limit) else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Losses:
    """The present trading day and week; `version` is the stored version read."""

    day: Period
    week: Period
    version: int = 0

    def judged(self, worth: Worth, limits: LossLimits, now: datetime) -> Losses:
        """Trip what has met its limit; the same losses when nothing changed."""
        day, week = self.day.judged(worth, limits.daily, now), self.week.judged(worth, limits.weekly, now)
        return self if day is self.day and week is self.week else replace(self, day=day, week=week)

    def limited(self, limits: LossLimits) -> Mapping[HaltReason, tuple[Period, Decimal]]:
        """Name each period with its limit by the reason it halts for."""
        return {HaltReason.DAILY_LOSS: (self.day, limits.daily), HaltReason.WEEKLY_LOSS: (self.week, limits.weekly)}


LOSS_REASONS: Final = frozenset({HaltReason.DAILY_LOSS, HaltReason.WEEKLY_LOSS})


def carried_on(known: Losses | None, day: Period, week: Period) -> Losses:
    """Begin the periods that are new: `day` and `week` are what today and its week begin with if they do begin now.

    What is known of a day from today's on, or of the same week, stands.
    """
    if known is None:
        return Losses(day=day, week=week)
    if known.day.began >= day.began:
        return known
    same_week = week_of(known.week.began) == week_of(day.began)
    return replace(known, day=day, week=known.week if same_week else week)


def stopped_by(losses: Losses, worth: Worth | None, limits: LossLimits) -> dict[HaltReason, str]:
    """Name each limit that was met, with its numbers."""
    limited = losses.limited(limits).items()
    return {reason: loss_text(reason, *rest, worth) for reason, rest in limited if rest[0].tripped_at is not None}


def loss_text(reason: HaltReason, period: Period, limit: Decimal, worth: Worth | None) -> str:
    """Say what a period began with, what it has lost, and what it may lose."""
    name = "day" if reason is HaltReason.DAILY_LOSS else "week"
    since = "" if period.tripped_at is None else f", met at {iso(period.tripped_at)}"
    start = as_price(period.equity.quantize(CENT))
    if worth is None:
        return f"the {name} began with {start} dollars; limit {limit:.1%}{since}"
    lost = period.lost(worth)
    now = f"{as_price(lost.quantize(CENT))} ({lost / period.equity:.1%}) lost"
    return f"the {name} began with {start} dollars, {now}; limit {limit:.1%}{since}"


def market_value(held: Mapping[Symbol, Decimal], quotes: Mapping[Symbol, JudgedQuote]) -> Decimal | None:
    """Add up what is held at judged prices, in dollars; one symbol without a price leaves all of it unknown."""
    total = ZERO
    for symbol, quantity in held.items():
        quote = quotes.get(symbol)
        if quote is None or quote.price is None:
            return None
        total += quantity * quote.price
    return total


def worth_of(facts: BrokerFacts, held: Mapping[Symbol, Decimal], value: Decimal | None) -> Worth | None:
    """Value the account at judged prices: the cash of the last reconciliation, and its shares.

    `held` is our own book and `value` its market value. Where it holds other quantities than the broker said, or the
    last pass doubted its answer, or a price is missing, a trade or a split is under way, and the broker's own equity
    counts. None when that is no number.
    """
    agreed = value is not None and held == facts.quantities and not facts.doubted
    judged = facts.cash + value if agreed and value is not None else facts.equity
    equity = judged if judged.is_finite() else facts.equity
    return Worth(equity=equity, transfers=facts.transfers) if equity.is_finite() else None
