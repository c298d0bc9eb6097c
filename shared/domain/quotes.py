"""Quotes and what may be done with them: the freshness contract (BEY-10; faults 13, 14 and 15).

A quote arrives as the provider sent it, with all its defects. `judge_quote` says what it is good for:
an entry needs a quote without any doubt, an exit may act on a degraded price and says so, and a symbol
without any usable price from either provider is BLIND. A price that jumped further than `WILD_MOVE` from the
last good one counts only once a second source or the next tick confirms it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple, cast

from shared.domain.assets import Symbol
from shared.domain.corporate_actions import NO_ADJUSTMENT, Adjustment
from shared.domain.errors import InvalidValue
from shared.domain.money import ZERO, require_fraction, usable_price

WILD_MOVE: Final = Decimal("0.20")
"""A jump beyond this since the last good price needs confirmation; up to it, one print is enough (RSK-01)."""
CLOCK_TOLERANCE: Final = timedelta(seconds=5)
"""A provider's clock may run this far ahead of ours before its quote counts as dated in the future."""
LOWEST_PRICE: Final = Decimal("0.000001")
HIGHEST_PRICE: Final = Decimal(10_000_000)
"""No share is priced outside of these, in dollars; a number that is comes of a broken reply."""


class Doubt(StrEnum):
    """Why a quote cannot be taken at its word."""

    MISSING = "missing"
    NOT_A_NUMBER = "not_a_number"
    NOT_POSITIVE = "not_positive"
    CROSSED = "crossed"
    WIDE_SPREAD = "wide_spread"
    STALE = "stale"
    FROM_THE_FUTURE = "from_the_future"
    UNDATED = "undated"
    UNCONFIRMED = "unconfirmed"
    DISPUTED = "disputed"
    BACKUP_PRICE = "backup_price"


_WORDS: Final = {
    Doubt.MISSING: "bid, ask or last price is not there",
    Doubt.NOT_A_NUMBER: "a price is no number, or one that no share has",
    Doubt.NOT_POSITIVE: "a price is zero or less",
    Doubt.CROSSED: "the bid is above the ask",
    Doubt.WIDE_SPREAD: "bid and ask are too far apart",
    Doubt.STALE: "too old",
    Doubt.FROM_THE_FUTURE: "dated ahead of our clock",
    Doubt.UNDATED: "without a time",
    Doubt.UNCONFIRMED: "a jump that nothing confirms yet",
    Doubt.DISPUTED: "the second source says otherwise",
    Doubt.BACKUP_PRICE: "the second source's, the first has none to use",
}


def in_words(doubts: Iterable[str]) -> str:
    """Name doubts and say what each means, for a person; one that another version knows is named alone."""
    return ", ".join(f"{doubt} ({_WORDS[Doubt(doubt)]})" if doubt in _WORDS else doubt for doubt in sorted(doubts))


class Quote(NamedTuple):
    """A quote as a provider sent it, unjudged: any price may be absent, zero or not a number.

    A named tuple, not a dataclass: one is made per symbol and tick, and nothing in it is trusted yet.
    """

    symbol: Symbol
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    quoted_at: datetime | None
    traded_at: datetime | None
    feed: str


class JudgedQuote(NamedTuple):
    """What a tick knows about a symbol: the price to act on, the doubts, and the memory the next tick needs.

    `price` is the price an exit may act on, None when BLIND; `at` is its time at the provider; `bid` and `ask`
    come with an undoubted quote only. `last_good` is the newest price that passed the contract, across sessions, and
    `last_good_at` its time, or that of its last step over a corporate action: it counts in the shares of that day;
    `suspect` is a jump that waits for confirmation, or was confirmed by doubtful quotes only; while it waits, `at` is
    its time. `blind_since` is when the symbol went blind.
    """

    symbol: Symbol
    price: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    at: datetime | None
    feed: str
    doubts: frozenset[Doubt]
    last_good: Decimal | None
    last_good_at: datetime | None
    suspect: Decimal | None
    blind_since: datetime | None

    @property
    def is_blind(self) -> bool:
        """Say whether no provider gave a usable price."""
        return self.price is None

    @property
    def opens_positions(self) -> bool:
        """Say whether an entry may be based on this quote: fresh, sane, agreed and in no doubt."""
        return self.price is not None and not self.doubts


NO_DOUBTS: Final[frozenset[Doubt]] = frozenset()

_judged = cast(Callable[[Iterable[object]], JudgedQuote], partial(tuple.__new__, JudgedQuote))
"""Makes a JudgedQuote of its fields without the keyword machinery: half the cost, once per symbol and tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessLimits:
    """Bounds of the freshness contract.

    `stale_after` is cadence plus 30 s (PRC-02); `widest_spread` is a share of the bid, `furthest_apart` the allowed
    deviation between two providers as a share of the lower price (BEY-10), `wild_move` the jump that needs
    confirmation (RSK-01).
    """

    stale_after: timedelta = timedelta(seconds=90)
    widest_spread: Decimal = Decimal("0.01")
    furthest_apart: Decimal = Decimal("0.01")
    wild_move: Decimal = WILD_MOVE

    def __post_init__(self) -> None:
        if self.stale_after <= timedelta(0):
            raise InvalidValue("stale_after", self.stale_after, "a duration above zero")
        for field in ("widest_spread", "furthest_apart", "wild_move"):
            require_fraction(field, getattr(self, field))


def judge_sound(
    symbol: Symbol, quote: Quote | None, previous: JudgedQuote | None, now: datetime, limits: FreshnessLimits
) -> JudgedQuote | None:
    """Judge a primary quote that raises no doubt and did not jump; None for every other, which `judge_quote` judges.

    It is `doubts_of` and `is_wild` in one piece: almost every quote of every tick ends here.
    """
    if quote is None:
        return None
    _, bid, ask, last, quoted_at, traded_at, _ = quote
    if bid is None or ask is None or last is None or quoted_at is None:
        return None
    if not (last.is_finite() and bid.is_finite() and ask.is_finite()):
        return None
    at = quoted_at if traded_at is None or quoted_at > traded_at else traded_at
    if (
        LOWEST_PRICE <= last <= HIGHEST_PRICE
        and LOWEST_PRICE <= bid <= ask <= HIGHEST_PRICE
        and ask - bid <= limits.widest_spread * bid
        and now - limits.stale_after <= at <= now + CLOCK_TOLERANCE
        and (previous is None or not is_wild(last, previous.last_good, limits))
    ):
        return _judged((symbol, last, bid, ask, at, quote.feed, NO_DOUBTS, last, at, None, None))
    return None


def doubts_of(quote: Quote | None, now: datetime, limits: FreshnessLimits) -> frozenset[Doubt]:
    """List what is wrong with one provider's quote taken by itself; empty means fresh and sane."""
    if quote is None or quote.last is None:
        return frozenset({Doubt.MISSING})
    return frozenset(_each_doubt(quote, now, limits))


def _each_doubt(quote: Quote, now: datetime, limits: FreshnessLimits) -> list[Doubt]:
    doubts = []
    prices = [price for price in (quote.bid, quote.ask, quote.last) if price is not None]
    if not all(price.is_finite() for price in prices):
        doubts.append(Doubt.NOT_A_NUMBER)
    elif any(price <= ZERO for price in prices):
        doubts.append(Doubt.NOT_POSITIVE)
    elif not all(can_be_a_price(price) for price in prices):
        doubts.append(Doubt.NOT_A_NUMBER)
    elif quote.bid is not None and quote.ask is not None:
        if quote.bid > quote.ask:
            doubts.append(Doubt.CROSSED)
        elif quote.ask - quote.bid > limits.widest_spread * quote.bid:
            doubts.append(Doubt.WIDE_SPREAD)
    if quote.bid is None or quote.ask is None:
        doubts.append(Doubt.MISSING)
    newest = _newest(quote)
    if newest is None:
        doubts.append(Doubt.UNDATED)
    elif now - newest > limits.stale_after:
        doubts.append(Doubt.STALE)
    elif newest > now + CLOCK_TOLERANCE:
        doubts.append(Doubt.FROM_THE_FUTURE)
    return doubts


def _newest(quote: Quote) -> datetime | None:
    times = [at for at in (quote.quoted_at, quote.traded_at) if at is not None]
    return max(times) if times else None


def _last_is_usable(quote: Quote | None, doubts: frozenset[Doubt]) -> bool:
    """Say whether the last trade alone may decide an exit: a real price, freshly dated."""
    if quote is None or quote.last is None or not can_be_a_price(quote.last):
        return False
    return not doubts & {Doubt.STALE, Doubt.FROM_THE_FUTURE, Doubt.UNDATED}


def can_be_a_price(number: Decimal) -> bool:
    """Say whether some share could cost this many dollars: NaN, infinities, zero and absurd numbers are no prices."""
    return number.is_finite() and LOWEST_PRICE <= number <= HIGHEST_PRICE


def is_wild(price: Decimal, last_good: Decimal | None, limits: FreshnessLimits) -> bool:
    """Say whether a price jumped further from the last good one than a single print may prove."""
    return last_good is not None and abs(price - last_good) > limits.wild_move * last_good


def needs_second_source(
    quote: Quote | None, previous: JudgedQuote | None, now: datetime, limits: FreshnessLimits
) -> bool:
    """Say whether the backup provider must be asked: the quote is invalid, stale, or jumped beyond the wild move."""
    doubts = doubts_of(quote, now, limits)
    if doubts - {Doubt.WIDE_SPREAD}:
        return True
    last_good = previous.last_good if previous else None
    return quote is not None and quote.last is not None and is_wild(quote.last, last_good, limits)


def judge_quote(
    symbol: Symbol,
    quote: Quote | None,
    second: Quote | None,
    previous: JudgedQuote | None,
    now: datetime,
    limits: FreshnessLimits,
) -> JudgedQuote:
    """Judge one symbol from its primary quote, the backup's (if asked) and what the tick before knew.

    Exits follow the primary while it is valid and the backup when it is not; a crossed or zero quote with a
    fresh, real last trade still serves an exit when the backup is silent (faults 13 and 15).
    """
    sound = judge_sound(symbol, quote, previous, now, limits) if second is None else None
    return sound or _judge_in_doubt(symbol, quote, doubts_of(quote, now, limits), second, previous, now, limits)


def judge_unremembered(
    symbol: Symbol, quote: Quote | None, second: Quote | None, now: datetime, limits: FreshnessLimits
) -> JudgedQuote:
    """Judge without the memory of a last good price: only what both providers agree on counts.

    A jump cannot be told from a fall then, so one provider's word alone leaves the symbol blind for this tick.
    """
    judged = judge_quote(symbol, quote, second, None, now, limits)
    valid = not doubts_of(quote, now, limits) - {Doubt.WIDE_SPREAD}
    if valid and _last_is_usable(second, doubts_of(second, now, limits)) and Doubt.DISPUTED not in judged.doubts:
        return judged
    return _blind(symbol, judged.doubts | {Doubt.UNCONFIRMED}, None, now)


def _judge_in_doubt(
    symbol: Symbol,
    quote: Quote | None,
    doubts: frozenset[Doubt],
    second: Quote | None,
    previous: JudgedQuote | None,
    now: datetime,
    limits: FreshnessLimits,
) -> JudgedQuote:
    second_usable = _last_is_usable(second, doubts_of(second, now, limits))
    chosen = quote if not doubts - {Doubt.WIDE_SPREAD} else None
    if chosen is None and second_usable:
        chosen, doubts = second, doubts | {Doubt.BACKUP_PRICE}
    elif chosen is None and _last_is_usable(quote, doubts):
        chosen = quote
    if chosen is None or chosen.last is None:
        return _blind(symbol, doubts, previous, now)
    price = chosen.last
    agreed = second_usable and chosen is quote and second is not None and second.last is not None
    if agreed and second is not None and second.last is not None and _are_apart(price, second.last, limits):
        agreed, doubts = False, doubts | {Doubt.DISPUTED}
    last_good = previous.last_good if previous else None
    wild = is_wild(price, last_good, limits)
    if wild and not agreed and not _confirms(chosen, price, previous, limits):
        return _unconfirmed(symbol, chosen, doubts | {Doubt.UNCONFIRMED}, previous, now)
    at = _newest(chosen)
    sound = not doubts
    passed = Doubt.DISPUTED not in doubts and (chosen is second or doubts <= {Doubt.WIDE_SPREAD})
    good, good_at = (price, at) if passed else (last_good, previous.last_good_at if previous else None)
    return JudgedQuote(
        symbol, price, chosen.bid if sound else None, chosen.ask if sound else None, at, chosen.feed, doubts,
        good, good_at, price if wild and not passed else None, None,
    )  # fmt: skip


def _are_apart(one: Decimal, other: Decimal, limits: FreshnessLimits) -> bool:
    return abs(one - other) > limits.furthest_apart * min(one, other)


def _confirms(quote: Quote, price: Decimal, previous: JudgedQuote | None, limits: FreshnessLimits) -> bool:
    """Say whether this quote repeats the suspected jump to the same side, by a newer trade or a newer bid and ask.

    The same trade seen on two ticks is still one print. A jump once confirmed stays so until the price is back.
    """
    if previous is None or previous.suspect is None or previous.last_good is None:
        return False
    good = previous.last_good
    if (price > good) != (previous.suspect > good):
        return False
    if previous.price is not None or previous.at is None:
        return True
    if quote.traded_at is not None and quote.traded_at > previous.at:
        return True
    if quote.quoted_at is None or quote.quoted_at <= previous.at:
        return False
    return all(
        side is not None and usable_price(side) and is_wild(side, good, limits) and (side > good) == (price > good)
        for side in (quote.bid, quote.ask)
    )


def _unconfirmed(
    symbol: Symbol, chosen: Quote, doubts: frozenset[Doubt], previous: JudgedQuote | None, now: datetime
) -> JudgedQuote:
    """Keep the last good price as it was and remember the jump, so that the next tick can confirm it."""
    return JudgedQuote(
        symbol, None, None, None, _newest(chosen), chosen.feed, doubts,
        previous.last_good if previous else None,
        previous.last_good_at if previous else None,
        chosen.last,
        (previous.blind_since if previous else None) or now,
    )  # fmt: skip


def _blind(symbol: Symbol, doubts: frozenset[Doubt], previous: JudgedQuote | None, now: datetime) -> JudgedQuote:
    return JudgedQuote(
        symbol, None, None, None,
        previous.at if previous and previous.suspect is not None else None,
        "none", doubts,
        previous.last_good if previous else None,
        previous.last_good_at if previous else None,
        previous.suspect if previous else None,
        (previous.blind_since if previous else None) or now,
    )  # fmt: skip


def rebase(judged: JudgedQuote, step: Adjustment, at: datetime) -> JudgedQuote:
    """Carry the price memory over corporate actions at an instant: divide by the ratio, take off the cash.

    A memory that would fall to zero or below is dropped.
    """
    if step == NO_ADJUSTMENT:
        return judged
    last_good = judged.last_good
    suspect = judged.suspect
    if last_good is not None:
        last_good = step.price(last_good)
    if suspect is not None:
        suspect = step.price(suspect)
    return judged._replace(
        last_good=last_good if last_good is not None and last_good > ZERO else None,
        last_good_at=at,
        suspect=suspect if suspect is not None and suspect > ZERO else None,
    )
