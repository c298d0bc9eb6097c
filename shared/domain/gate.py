"""The hard gate: what every entry must pass when its intent is made and again just before it is sent (RSK-04, ORD-08).

The gate can only shrink or refuse. Unknown means no. Exits do not come here: nothing in this module may delay one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from shared.domain.assets import Symbol
from shared.domain.errors import InvalidValue
from shared.domain.intents import IntentId, OrderType, Side, TimeInForce
from shared.domain.ledger import Ledger
from shared.domain.money import (
    ONE,
    ZERO,
    is_whole,
    require_fraction,
    round_quantity_down,
    round_up_to_cent,
)
from shared.domain.quotes import JudgedQuote
from shared.domain.session import Session
from shared.domain.trading_state import KillSwitch, TradingState


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds no entry may pass; fractions of equity, counts per symbol.

    `per_symbol` and `total` are shares of equity at market value (RSK-04); `collar` bounds an entry's price around the
    judged quote and `entries_per_hour` and `entries_per_day` stop a runaway signal (ORD-08).
    """

    per_symbol: Decimal = Decimal("0.05")
    total: Decimal = Decimal("0.20")
    collar: Decimal = Decimal("0.02")
    entries_per_hour: int = 2
    entries_per_day: int = 5

    def __post_init__(self) -> None:
        for field in ("per_symbol", "total", "collar"):
            require_fraction(field, getattr(self, field))
        if self.per_symbol > self.total:
            raise InvalidValue("per_symbol", self.per_symbol, f"at most the total limit {self.total}")
        for field in ("entries_per_hour", "entries_per_day"):
            if getattr(self, field) < 1:
                raise InvalidValue(field, getattr(self, field), "a count of at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What is held now, in dollars at the judged prices; `of_symbol` is the part in the entry's own symbol.

    None means that some held symbol has no usable price, and then the exposure is unknown.
    """

    of_symbol: Decimal | None
    total: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateInput:
    """Everything the gate looks at, gathered by the caller; None is unknown."""

    now: datetime
    kill_switch: KillSwitch
    state: TradingState
    session: Session
    quote: JudgedQuote | None
    equity: Decimal | None
    exposure: Exposure
    ledger: Ledger
    frozen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """How much of the wanted quantity may pass, and every reason why not more; no reasons means all of it.

    `runaway` says that the symbol's entries came too fast: it is to be locked until the next session (fault 46).
    """

    quantity: Decimal
    reasons: tuple[str, ...]
    runaway: bool = False

    @property
    def passes(self) -> bool:
        """Say whether anything may be sent."""
        return self.quantity > ZERO


_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


def judge_entry(
    symbol: Symbol,
    wanted: Decimal,
    worst_price: Decimal,
    given: GateInput,
    limits: Limits,
    *,
    besides: IntentId | None = None,
) -> GateVerdict:
    """Judge an entry of `wanted` shares that may cost up to `worst_price` dollars each.

    `besides` names the entry's own intent when it is already in the ledger, so that it does not count twice.
    """
    too_fast = _pace_refusals(symbol, given, limits, besides)
    refusals = [*_state_refusals(given), *_quote_refusals(worst_price, given, limits), *too_fast]
    if given.frozen:
        refusals.append(f"{symbol} is frozen for entries until a clean reconciliation")
    if given.ledger.is_in_doubt(symbol):
        refusals.append(f"an order in {symbol} is in doubt at the broker")
    if refusals:
        return GateVerdict(quantity=ZERO, reasons=tuple(refusals), runaway=bool(too_fast))
    return _fit_to_limits(symbol, wanted, worst_price, given, limits, besides)


def _state_refusals(given: GateInput) -> list[str]:
    refusals = []
    if given.kill_switch.engaged:
        refusals.append(f"kill switch: {given.kill_switch.why or 'set'}")
    if not given.state.entries_allowed:
        refusals.append("trading state: " + ", ".join(sorted(given.state.reasons)))
    if not given.session.is_open:
        refusals.append(f"session {given.session.state}: {given.session.reason}")
    return refusals


def _quote_refusals(worst_price: Decimal, given: GateInput, limits: Limits) -> list[str]:
    quote = given.quote
    if quote is None or quote.price is None:
        return ["no usable quote"]
    if quote.doubts:
        return ["quote in doubt: " + ", ".join(sorted(quote.doubts))]
    if abs(worst_price - quote.price) > limits.collar * quote.price:
        return [f"price {worst_price} is outside the {limits.collar:.0%} collar around {quote.price}"]
    return []


def _pace_refusals(symbol: Symbol, given: GateInput, limits: Limits, besides: IntentId | None) -> list[str]:
    locked_until = given.ledger.locked.get(symbol)
    if locked_until is not None and given.now < locked_until:
        return [f"{symbol} is locked until {locked_until}: its entries came too fast"]
    if given.ledger.entries_since(symbol, given.now - _HOUR, besides=besides) >= limits.entries_per_hour:
        return [f"{symbol} had {limits.entries_per_hour} entries within the hour"]
    if given.ledger.entries_since(symbol, given.now - _DAY, besides=besides) >= limits.entries_per_day:
        return [f"{symbol} had {limits.entries_per_day} entries within the day"]
    return []


def _fit_to_limits(
    symbol: Symbol,
    wanted: Decimal,
    worst_price: Decimal,
    given: GateInput,
    limits: Limits,
    besides: IntentId | None,
) -> GateVerdict:
    """Shrink to what position and portfolio limits leave, open entries included."""
    equity, of_symbol, total = given.equity, given.exposure.of_symbol, given.exposure.total
    if equity is None or not equity.is_finite() or equity <= ZERO:
        return GateVerdict(quantity=ZERO, reasons=("equity unknown",))
    if of_symbol is None or total is None or not of_symbol.is_finite() or not total.is_finite():
        return GateVerdict(quantity=ZERO, reasons=("exposure unknown: a held symbol has no usable price",))
    room = {
        f"{limits.per_symbol:.0%} of equity per symbol": limits.per_symbol * equity
        - of_symbol
        - given.ledger.committed(symbol, besides=besides),
        f"{limits.total:.0%} of equity in total": limits.total * equity
        - total
        - given.ledger.committed(besides=besides),
    }
    allowed = max(ZERO, round_quantity_down(min(room.values()) / worst_price))
    if allowed >= wanted:
        return GateVerdict(quantity=wanted, reasons=())
    tight = tuple(f"limit of {name}" for name, dollars in room.items() if dollars < wanted * worst_price)
    if is_whole(wanted):
        allowed = Decimal(int(allowed))
    return GateVerdict(quantity=allowed, reasons=tight or ("cut to the broker's nine decimals",))


@dataclass(frozen=True, slots=True, kw_only=True)
class FractionalSupport:
    """What the preflight found the account to accept for fractions of a share; unknown (None) counts as no."""

    limit: bool | None = None
    stop: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderShape:
    """The kind of order that fits a quantity; `worst_price` bounds what a share of an entry can cost."""

    order_type: OrderType
    time_in_force: TimeInForce
    limit_price: Decimal | None
    worst_price: Decimal


def shape_order(
    side: Side, quantity: Decimal, quote: JudgedQuote, support: FractionalSupport, limits: Limits
) -> OrderShape:
    """Choose the order kind the broker allows (ORD-07): exits at market; entries as limits where accepted.

    A fraction whose limit support is unknown goes as a market order, priced at the edge of the collar.
    Raises InvalidValue without a usable price.
    """
    if quote.price is None:
        raise InvalidValue("quote.price", quote.price, "a usable price")
    if side is Side.SELL:
        return OrderShape(
            order_type=OrderType.MARKET, time_in_force=TimeInForce.DAY, limit_price=None, worst_price=quote.price
        )
    if is_whole(quantity) or support.limit:
        limit = round_up_to_cent(quote.ask or quote.price)
        return OrderShape(
            order_type=OrderType.LIMIT, time_in_force=TimeInForce.DAY, limit_price=limit, worst_price=limit
        )
    worst = quote.price * (ONE + limits.collar)
    return OrderShape(order_type=OrderType.MARKET, time_in_force=TimeInForce.DAY, limit_price=None, worst_price=worst)
