"""Broker-resident stops: what should rest at the broker, and the next step towards it (RSK-05, faults 11 and 12).

The broker acts on one side of a symbol at a time: a resting stop reserves its shares, and an order on the other side is
refused. So a trade in a protected symbol goes in four steps: withdraw the stop, see that it is gone, trade, protect
again. `STEPS` is the table of them, read anew at every tick; a crash anywhere leaves a row of it. The software stop
watches the position in every row.

Decided:

- The whole shares rest under one stop until canceled, the fraction under one for the day where the account takes that.
  Where neither can rest (a stop below the smallest price step, a fraction that nobody takes) the software stop is all.
- A stop rests at the tighter of stop-loss and trailing stop. One that trails is moved once it lags by `trail_step`; in
  between the software stop rules. Every other difference in price or quantity moves it at once.
- A stop that began to fill is left to fill.
- A stop that the broker rejected, or has not begun to work after `patience`, means that the broker does not protect
  these shares: they are sold at market. A rejected stop for a fraction only falls back to the software stop.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from shared.domain.assets import Symbol
from shared.domain.errors import InvalidValue
from shared.domain.intents import (
    AT_BROKER,
    RESTING_REASONS,
    AccountId,
    Evidence,
    Intent,
    IntentState,
    OrderType,
    Purpose,
    Reason,
    Side,
    TimeInForce,
)
from shared.domain.ledger import Ledger
from shared.domain.money import ZERO, as_price, plain, require_fraction
from shared.domain.positions import Position

_S = IntentState
EXIT_FIRST: Final = "an exit goes first"
_ON_ITS_WAY: Final = frozenset({_S.PREPARED, _S.SENT, _S.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionRules:
    """Bounds of the protection at the broker.

    With `at_broker` off nothing rests there and the software stop is all, for an account whose owner places stops of
    their own. `fraction_stops` says that the account takes stop orders for fractions of a share. A stop must be working
    within `patience` of its sending, two ticks (fault 12). A stop is renewed at the age of `renew_after`, before the
    broker ends it at 90 days. After a refusal the next stop is tried `again_after`, that for a fraction only the day
    after, `fraction_again_after`. `trail_step` is how far, as a share of its price, a resting stop may lag behind a
    trailing one.
    """

    at_broker: bool = True
    fraction_stops: bool = False
    patience: timedelta = timedelta(seconds=120)
    renew_after: timedelta = timedelta(days=85)
    again_after: timedelta = timedelta(minutes=5)
    fraction_again_after: timedelta = timedelta(hours=12)
    trail_step: Decimal = Decimal("0.005")

    def __post_init__(self) -> None:
        require_fraction("trail_step", self.trail_step)
        for field in ("patience", "renew_after", "again_after", "fraction_again_after"):
            if getattr(self, field) <= timedelta(0):
                raise InvalidValue(field, getattr(self, field), "a duration above zero")


class WantedStop(NamedTuple):
    """A stop that should rest: `quantity` shares, triggered at `price` dollars; `trails` when that follows the high."""

    reason: Reason
    quantity: Decimal
    price: Decimal
    trails: bool = False

    @property
    def time_in_force(self) -> TimeInForce:
        """Say how long it rests: a fraction only to the close, as the broker demands."""
        return TimeInForce.GTC if self.reason is Reason.BROKER_STOP else TimeInForce.DAY


class Standing(StrEnum):
    """How a resting stop stands to what is wanted."""

    ABSENT = "absent"
    REFUSED = "refused"
    RIGHT = "right"
    WRONG = "wrong"
    OLD = "old"
    FILLING = "filling"
    STUCK = "stuck"
    LEAVING = "leaving"


class Traffic(StrEnum):
    """Which trade is open in the symbol."""

    NONE = "none"
    ENTRY = "entry"
    EXIT = "exit"


class Step(StrEnum):
    """What is done about one stop now."""

    WAIT = "wait"
    PLACE = "place"
    WITHDRAW = "withdraw"
    SELL = "sell"


STEPS: Final[dict[tuple[Standing, Traffic], Step]] = {
    (Standing.ABSENT, Traffic.NONE): Step.PLACE,
    (Standing.ABSENT, Traffic.ENTRY): Step.WAIT,
    (Standing.ABSENT, Traffic.EXIT): Step.WAIT,
    (Standing.REFUSED, Traffic.NONE): Step.SELL,
    (Standing.REFUSED, Traffic.ENTRY): Step.SELL,
    (Standing.REFUSED, Traffic.EXIT): Step.WAIT,
    (Standing.RIGHT, Traffic.NONE): Step.WAIT,
    # the executor withdraws it, once the entry has passed the gate again
    (Standing.RIGHT, Traffic.ENTRY): Step.WAIT,
    (Standing.RIGHT, Traffic.EXIT): Step.WITHDRAW,
    (Standing.WRONG, Traffic.NONE): Step.WITHDRAW,
    (Standing.WRONG, Traffic.ENTRY): Step.WITHDRAW,
    (Standing.WRONG, Traffic.EXIT): Step.WITHDRAW,
    (Standing.OLD, Traffic.NONE): Step.WITHDRAW,
    (Standing.OLD, Traffic.ENTRY): Step.WITHDRAW,
    (Standing.OLD, Traffic.EXIT): Step.WITHDRAW,
    (Standing.FILLING, Traffic.NONE): Step.WAIT,
    (Standing.FILLING, Traffic.ENTRY): Step.WAIT,
    (Standing.FILLING, Traffic.EXIT): Step.WITHDRAW,
    (Standing.STUCK, Traffic.NONE): Step.SELL,
    (Standing.STUCK, Traffic.ENTRY): Step.SELL,
    (Standing.STUCK, Traffic.EXIT): Step.WITHDRAW,
    (Standing.LEAVING, Traffic.NONE): Step.WAIT,
    (Standing.LEAVING, Traffic.ENTRY): Step.WAIT,
    (Standing.LEAVING, Traffic.EXIT): Step.WAIT,
}
"""The one-side-at-a-time protocol: the step for each standing of a stop and each trade open beside it."""


class StopStep(NamedTuple):
    """One step towards the wanted protection: place `wanted`, or withdraw or give up on `resting`, and why."""

    step: Step
    wanted: WantedStop | None
    resting: Intent | None
    why: str


def wanted_stops(position: Position, rules: ProtectionRules) -> list[WantedStop]:
    """Say which stops should rest for a position: whole shares first, then a fraction where it can."""
    if not rules.at_broker:
        return []
    level, trailing = position.stop_price, position.trailing_stop_price
    trails = trailing is not None and trailing > level
    if trailing is not None and trails:
        level = trailing
    if level <= ZERO:
        return []
    whole = position.quantity.to_integral_value(ROUND_DOWN)
    fraction = position.quantity - whole
    stops = []
    if whole > ZERO:
        stops.append(WantedStop(Reason.BROKER_STOP, whole, level, trails))
    if fraction > ZERO and rules.fraction_stops:
        stops.append(WantedStop(Reason.BROKER_STOP_DAY, fraction, level, trails))
    return stops


def plan_stops(
    position: Position | None,
    resting: Sequence[Intent],
    trade: Intent | None,
    refused: frozenset[Reason],
    now: datetime,
    rules: ProtectionRules,
) -> list[StopStep]:
    """Give the steps for one symbol; `position` is None when nothing is held and nothing should rest.

    `refused` names the kinds of stop that the broker refused for this position a short time ago.
    """
    wanted = {stop.reason: stop for stop in wanted_stops(position, rules)} if position is not None else {}
    there = {intent.purpose.reason: intent for intent in resting}
    traffic = _traffic(trade)
    steps = []
    for reason in sorted({*wanted, *there}):
        want, stop = wanted.get(reason), there.get(reason)
        if stop is None:
            standing, why = _absence(reason in refused)
        elif position is None or stop.purpose.origin != position.lot:
            standing, why = _standing(None, stop, now, rules)
        else:
            standing, why = _standing(want, stop, now, rules)
        step = STEPS[standing, traffic]
        if step is Step.SELL and reason is not Reason.BROKER_STOP:
            step = Step.WAIT if stop is None else Step.WITHDRAW
        if step is not Step.WAIT:
            steps.append(StopStep(step, want, stop, EXIT_FIRST if traffic is Traffic.EXIT else why))
    return steps


def refused_lately(
    ledger: Ledger, account: AccountId, position: Position, now: datetime, rules: ProtectionRules
) -> frozenset[Reason]:
    """Name the kinds of stop that the broker refused too short a time ago to ask again."""
    rests = {Reason.BROKER_STOP: rules.again_after, Reason.BROKER_STOP_DAY: rules.fraction_again_after}
    tried = {reason: ledger.generations.get(stop_purpose(account, position, reason).key) for reason in rests}
    return frozenset(r for r, last in tried.items() if last is not None and last.refused and now - last.at < rests[r])


def stop_purpose(account: AccountId, position: Position, reason: Reason) -> Purpose:
    """Name what a resting stop of a position is for, or the sale in its place."""
    return Purpose(account=account, symbol=position.symbol, side=Side.SELL, reason=reason, origin=position.lot)


def stop_intent(position: Position, wanted: WantedStop, purpose: Purpose, generation: int, now: datetime) -> Intent:
    """Make the intent of a stop that rests at the broker."""
    text = (
        f"{position.symbol}: stop for {plain(wanted.quantity)} shares at {as_price(wanted.price)} "
        f"(entry {as_price(position.average_entry_price)})"
    )
    return Intent(
        purpose=purpose,
        generation=generation,
        quantity=wanted.quantity,
        order_type=OrderType.STOP,
        time_in_force=wanted.time_in_force,
        stop_price=wanted.price,
        created_at=now,
        evidence=Evidence(text=text, price=None, price_at=None, feed="none", level=wanted.price),
        worst_price=wanted.price,
        strategy=position.strategy,
    )


def emergency_exit(position: Position, why: str, account: AccountId, ledger: Ledger, now: datetime) -> Intent:
    """Make the market exit of a position that the broker does not protect (fault 12)."""
    purpose = stop_purpose(account, position, Reason.UNPROTECTED)
    text = f"{position.symbol}: the stop at {as_price(position.stop_price)} does not protect: {why}"
    evidence = Evidence(text=text, price=None, price_at=None, feed="none", level=position.stop_price)
    return market_exit(
        position, purpose, ledger.generation(purpose), evidence, worst_price=position.average_entry_price, now=now
    )


def market_exit(
    position: Position, purpose: Purpose, generation: int, evidence: Evidence, *, worst_price: Decimal, now: datetime
) -> Intent:
    """Make the market exit of a whole position, for the day."""
    return Intent(
        purpose=purpose,
        generation=generation,
        quantity=position.quantity,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        created_at=now,
        evidence=evidence,
        worst_price=worst_price,
        strategy=position.strategy,
    )


def is_stuck(stop: Intent, now: datetime, rules: ProtectionRules) -> bool:
    """Say whether the broker took a stop and has not begun to work it in time (fault 12)."""
    if stop.confirmed or stop.state is not _S.ACKED or stop.sent_at is None:
        return False
    return now - stop.sent_at > rules.patience


def under_broker_stops(intents: Iterable[Intent]) -> dict[Symbol, Decimal]:
    """Add up the shares that working stops at the broker cover, by symbol."""
    covered: dict[Symbol, Decimal] = {}
    for stop in intents:
        if stop.confirmed and stop.state in AT_BROKER and stop.purpose.reason in RESTING_REASONS:
            symbol = stop.purpose.symbol
            covered[symbol] = covered.get(symbol, ZERO) + stop.remaining
    return covered


def is_settled(position: Position, resting: Sequence[Intent], now: datetime, rules: ProtectionRules) -> bool:
    """Say whether a plain position of whole shares needs no step: the quick form of `plan_stops` without a trade."""
    if len(resting) != 1 or position.trailing_stop_pct is not None:
        return False
    stop = resting[0]
    purpose = stop.purpose
    return (
        (stop.confirmed or stop.state in _ON_ITS_WAY)
        and position.quantity == stop.quantity
        and position.stop_price == stop.worst_price
        and stop.state is not _S.PARTIALLY_FILLED
        and not stop.withdrawn
        and purpose.reason is Reason.BROKER_STOP
        and purpose.origin == position.lot
        and now - stop.created_at < rules.renew_after
        and rules.at_broker
    )


def _traffic(trade: Intent | None) -> Traffic:
    if trade is None:
        return Traffic.NONE
    return Traffic.ENTRY if trade.is_entry else Traffic.EXIT


def _absence(refused: bool) -> tuple[Standing, str]:
    if refused:
        return Standing.REFUSED, "the broker refused the stop"
    return Standing.ABSENT, "nothing rests at the broker"


def _standing(want: WantedStop | None, stop: Intent, now: datetime, rules: ProtectionRules) -> tuple[Standing, str]:
    if stop.withdrawn:
        return Standing.LEAVING, stop.withdrawn
    if stop.state is _S.PARTIALLY_FILLED:
        return Standing.FILLING, "the stop is filling"
    if want is None:
        return Standing.WRONG, "what it protected is gone"
    if is_stuck(stop, now, rules):
        return Standing.STUCK, "the broker took the stop and does not work it"
    if stop.remaining != want.quantity:
        return Standing.WRONG, f"{plain(want.quantity)} shares are held, it covers {plain(stop.remaining)}"
    if _is_off(stop.worst_price, want, rules):
        return Standing.WRONG, f"the stop is {as_price(want.price)} now, it rests at {as_price(stop.worst_price)}"
    if want.time_in_force is TimeInForce.GTC and now - stop.created_at >= rules.renew_after:
        return Standing.OLD, "renewed before the broker ends it"
    return Standing.RIGHT, ""


def _is_off(rests_at: Decimal, wanted: WantedStop, rules: ProtectionRules) -> bool:
    """Say whether a stop rests at the wrong price; one that trails may lag a little."""
    if wanted.trails and rests_at <= wanted.price:
        return wanted.price - rests_at >= rules.trail_step * rests_at
    return rests_at != wanted.price
