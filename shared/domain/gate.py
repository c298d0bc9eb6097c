"""The hard gate: what every entry must pass when its intent is made and again just before it is sent.

It is a list of checks (RSK-04, RSK-07, RSK-10, ORD-08). Each is a pure function of the proposed entry, of what is known
and of the limits, and says nothing, or that at most so many shares may pass, and why. Whatever a check returns, the
entry never grows: the smallest word counts. Unknown means no. Exits do not come here: nothing in this module may delay
one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from shared.domain.assets import Symbol
from shared.domain.day_plan import exchange_date
from shared.domain.errors import InvalidValue
from shared.domain.intents import AT_BROKER, IntentId, OrderType, Side, TimeInForce
from shared.domain.ledger import Ledger
from shared.domain.losses import Losses, LossLimits, Worth, loss_text, market_value
from shared.domain.money import (
    ONE,
    ZERO,
    is_whole,
    require_fraction,
    round_quantity_down,
    round_to_cent,
    round_up_to_cent,
    usable_price,
)
from shared.domain.orders import Account, Asset
from shared.domain.quotes import JudgedQuote, in_words
from shared.domain.session import Session
from shared.domain.times import iso
from shared.domain.trading_state import KillSwitch, TradingState

DAY_TRADES: Final = 3
"""A margin account below `DAY_TRADER_EQUITY` with this many day trades in five days may make no more of them: a stop on
the day of the entry could be refused (FINRA rule 4210)."""
DAY_TRADER_EQUITY: Final = Decimal(25_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds no entry may pass; fractions of equity, counts per symbol.

    `per_symbol` and `total` are shares of equity at market value (RSK-04); `collar` bounds an entry's price around the
    judged quote and `entries_per_hour` and `entries_per_day` stop a runaway signal (ORD-08); `losses` are those of the
    day and the week (RSK-07).
    """

    per_symbol: Decimal = Decimal("0.05")
    total: Decimal = Decimal("0.20")
    collar: Decimal = Decimal("0.02")
    entries_per_hour: int = 2
    entries_per_day: int = 5
    losses: LossLimits = field(default_factory=LossLimits)

    def __post_init__(self) -> None:
        for field_ in ("per_symbol", "total", "collar"):
            require_fraction(field_, getattr(self, field_))
        if self.per_symbol > self.total:
            raise InvalidValue("per_symbol", self.per_symbol, f"at most the total limit {self.total}")
        for field_ in ("entries_per_hour", "entries_per_day"):
            if getattr(self, field_) < 1:
                raise InvalidValue(field_, getattr(self, field_), "a count of at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What is held now, in dollars at the judged prices; `of_symbol` is the part in the entry's own symbol.

    None means that some held symbol has no usable price, and then the exposure is unknown.
    """

    of_symbol: Decimal | None
    total: Decimal | None


UNKNOWN_EXPOSURE: Final = Exposure(of_symbol=None, total=None)


def exposure_of(symbol: Symbol, held: Mapping[Symbol, Decimal], quotes: Mapping[Symbol, JudgedQuote]) -> Exposure:
    """Take the market value of what is held, and the symbol's own part of it."""
    total = market_value(held, quotes)
    if total is None:
        return UNKNOWN_EXPOSURE
    own = quotes.get(symbol)
    of_symbol = held[symbol] * own.price if symbol in held and own is not None and own.price is not None else ZERO
    return Exposure(of_symbol=of_symbol, total=total)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateInput:
    """Everything the gate looks at, gathered by the caller; None is unknown.

    `account` and `asset` are the broker's word of this moment; `worth` is the account at judged prices, and `losses`
    is what the day and the week began with.
    """

    now: datetime
    kill_switch: KillSwitch
    state: TradingState
    session: Session
    quote: JudgedQuote | None
    equity: Decimal | None
    exposure: Exposure
    ledger: Ledger
    frozen: bool
    account: Account | None
    asset: Asset | None
    worth: Worth | None
    losses: Losses | None


class OpenEntries(NamedTuple):
    """Dollars that other open entries may still cost: in the symbol, in all, and what the broker does not know of."""

    in_symbol: Decimal
    in_total: Decimal
    unsent: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedEntry:
    """A buy of `quantity` shares that may cost up to `worst_price` dollars each, beside the `others` that are open.

    `besides` names its own intent when that is in the ledger already, so that it does not count twice.
    """

    symbol: Symbol
    side: Side
    quantity: Decimal
    worst_price: Decimal
    others: OpenEntries
    besides: IntentId | None = None


class Objection(NamedTuple):
    """Why a check lets not all of an entry pass, and how many shares it lets pass: none, unless it says so."""

    why: str
    most: Decimal = ZERO


Check = Callable[[ProposedEntry, GateInput, Limits], Objection | None]


class Finding(NamedTuple):
    """An objection with the name of the check that raised it."""

    check: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """How much of the wanted quantity may pass, and everything found against more; no findings means all of it."""

    quantity: Decimal
    findings: tuple[Finding, ...] = ()

    @property
    def passes(self) -> bool:
        """Say whether anything may be sent."""
        return self.quantity > ZERO

    @property
    def reasons(self) -> tuple[str, ...]:
        """Give the findings as lines, each led by the name of its check."""
        return tuple(f"{finding.check}: {finding.why}" for finding in self.findings)

    @property
    def runaway(self) -> bool:
        """Say whether the symbol's entries came too fast: it is to be locked until the next session (fault 46)."""
        return any(finding.check == PACE for finding in self.findings)


def judge_entry(
    symbol: Symbol,
    wanted: Decimal,
    worst_price: Decimal,
    given: GateInput,
    limits: Limits,
    *,
    side: Side = Side.BUY,
    besides: IntentId | None = None,
) -> GateVerdict:
    """Judge an entry of `wanted` shares that may cost up to `worst_price` dollars each, by every check there is.

    `besides` names the entry's own intent when it is already in the ledger, so that it does not count twice.
    """
    entry = ProposedEntry(
        symbol=symbol,
        side=side,
        quantity=wanted if usable_price(wanted) else ZERO,
        worst_price=worst_price,
        others=_open_entries(symbol, given.ledger, besides),
        besides=besides,
    )
    return apply_checks(CHECKS, entry, given, limits)


def apply_checks(checks: Mapping[str, Check], entry: ProposedEntry, given: GateInput, limits: Limits) -> GateVerdict:
    """Ask every check and take the smallest word of all; an objection without a usable number lets nothing pass."""
    wanted = entry.quantity
    quantity, findings = wanted, []
    for name, check in checks.items():
        objection = check(entry, given, limits)
        if objection is None:
            continue
        most = objection.most if objection.most.is_finite() and objection.most > ZERO else ZERO
        if most < wanted or most == ZERO:
            findings.append(Finding(name, objection.why))
            quantity = min(quantity, most)
    return GateVerdict(quantity=quantity, findings=tuple(findings))


def _open_entries(symbol: Symbol, ledger: Ledger, besides: IntentId | None) -> OpenEntries:
    in_symbol = in_total = unsent = ZERO
    for intent in ledger.open.values():
        if not intent.is_entry or intent.id == besides:
            continue
        dollars = intent.committed
        in_total += dollars
        if intent.symbol == symbol:
            in_symbol += dollars
        if intent.state not in AT_BROKER:
            unsent += dollars
    return OpenEntries(in_symbol, in_total, unsent)


_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


# the checks


def _kill_switch(_: ProposedEntry, given: GateInput, __: Limits) -> Objection | None:
    if given.kill_switch.engaged:
        return Objection(given.kill_switch.why or "set")
    return None


def _trading_state(_: ProposedEntry, given: GateInput, __: Limits) -> Objection | None:
    if not given.state.entries_allowed:
        return Objection(", ".join(sorted(given.state.reasons)))
    return None


def _session(_: ProposedEntry, given: GateInput, __: Limits) -> Objection | None:
    if not given.session.is_open:
        return Objection(f"{given.session.state}: {given.session.reason}")
    return None


def _order(entry: ProposedEntry, _: GateInput, __: Limits) -> Objection | None:
    """Take nothing but a buy of so many shares at such a price: positions are long only (RSK-10)."""
    if entry.side is not Side.BUY:
        return Objection(f"only buys open a position: a {entry.side} would be a short sale")
    if entry.quantity <= ZERO or not usable_price(entry.worst_price):
        return Objection(f"{entry.quantity} shares at up to {entry.worst_price} is no order")
    return None


def _pace(entry: ProposedEntry, given: GateInput, limits: Limits) -> Objection | None:
    """Stop a signal that comes again after every stop-out (ORD-08, fault 46)."""
    symbol, ledger = entry.symbol, given.ledger
    locked_until = ledger.locked.get(symbol)
    if locked_until is not None and given.now < locked_until:
        return Objection(f"{symbol} is locked until {iso(locked_until)}: its entries came too fast")
    if ledger.entries_since(symbol, given.now - _HOUR, besides=entry.besides) >= limits.entries_per_hour:
        return Objection(f"{symbol} had {limits.entries_per_hour} entries within the hour")
    if ledger.entries_since(symbol, given.now - _DAY, besides=entry.besides) >= limits.entries_per_day:
        return Objection(f"{symbol} had {limits.entries_per_day} entries within the day")
    return None


def _frozen(entry: ProposedEntry, given: GateInput, _: Limits) -> Objection | None:
    if given.frozen:
        return Objection(f"{entry.symbol} is frozen for entries until a clean reconciliation")
    return None


def _in_doubt(entry: ProposedEntry, given: GateInput, _: Limits) -> Objection | None:
    if given.ledger.is_in_doubt(entry.symbol):
        return Objection(f"an order in {entry.symbol} is in doubt at the broker")
    return None


def _quote(_: ProposedEntry, given: GateInput, __: Limits) -> Objection | None:
    if given.quote is None or given.quote.price is None:
        return Objection("no usable quote")
    if not given.quote.opens_positions:
        return Objection("in doubt: " + in_words(given.quote.doubts))
    return None


def _collar(entry: ProposedEntry, given: GateInput, limits: Limits) -> Objection | None:
    price = given.quote.price if given.quote is not None else None
    if price is None or not usable_price(entry.worst_price):
        return Objection("no price to compare with")
    if abs(entry.worst_price - price) > limits.collar * price:
        return Objection(f"price {entry.worst_price} is outside the {limits.collar:.0%} collar around {price}")
    return None


def _account(_: ProposedEntry, given: GateInput, __: Limits) -> Objection | None:
    """Take the broker's word that the account may trade (RSK-10)."""
    if given.account is None:
        return Objection("unknown: the broker does not say how the account stands")
    if given.account.blocks:
        return Objection("the broker blocks it: " + ", ".join(given.account.blocks))
    return None


def _day_trades(_: ProposedEntry, given: GateInput, __: Limits) -> Objection | None:
    """Open nothing whose stop the broker might refuse on the same day; fields it no longer reports refuse nothing."""
    account = given.account
    if account is None or account.equity >= DAY_TRADER_EQUITY:
        return None
    if account.day_trades is not None and account.day_trades >= DAY_TRADES:
        return Objection(f"{account.day_trades} day trades with less than {DAY_TRADER_EQUITY} dollars of equity")
    if account.pattern_day_trader:
        return Objection(f"flagged as pattern day trader with less than {DAY_TRADER_EQUITY} dollars of equity")
    return None


def _asset(entry: ProposedEntry, given: GateInput, _: Limits) -> Objection | None:
    """Take the broker's word that the symbol trades, and in such parts of a share (RSK-10)."""
    asset = given.asset
    if asset is None or asset.symbol != entry.symbol:
        return Objection(f"unknown: the broker does not say whether {entry.symbol} trades")
    if not asset.active:
        return Objection(f"{entry.symbol} is not active at the broker")
    if not asset.tradable:
        return Objection(f"{entry.symbol} is halted or not tradable at the broker")
    if not asset.fractionable and not is_whole(entry.quantity):
        return Objection(f"{entry.symbol} trades in whole shares only, {entry.quantity} wanted")
    return None


def _losses(_: ProposedEntry, given: GateInput, limits: Limits) -> Objection | None:
    """Stop once the day or the week has lost its limit, judged on this moment's worth as well (RSK-07)."""
    losses, worth = given.losses, given.worth
    if worth is None or losses is None or losses.day.began != exchange_date(given.now):
        return Objection("unknown: today's start or the present worth of the account is not known")
    stopped = [
        loss_text(reason, period, limit, worth)
        for reason, (period, limit) in losses.limited(limits.losses).items()
        if period.tripped_at is not None or period.met(worth, limit)
    ]
    return Objection("; ".join(stopped)) if stopped else None


def _symbol_limit(entry: ProposedEntry, given: GateInput, limits: Limits) -> Objection | None:
    others, name = entry.others.in_symbol, f"limit of {limits.per_symbol:.0%} of equity per symbol"
    return _within(limits.per_symbol, given.equity, given.exposure.of_symbol, others, entry, name)


def _total_limit(entry: ProposedEntry, given: GateInput, limits: Limits) -> Objection | None:
    others, name = entry.others.in_total, f"limit of {limits.total:.0%} of equity in total"
    return _within(limits.total, given.equity, given.exposure.total, others, entry, name)


def _buying_power(entry: ProposedEntry, given: GateInput, _: Limits) -> Objection | None:
    """Ask for no more than the broker lends; what it does not know of yet it has not reserved (RSK-10)."""
    if given.account is None or not given.account.buying_power.is_finite():
        return Objection("unknown")
    room = given.account.buying_power - entry.others.unsent
    return _cut_to(room, entry, f"{round_to_cent(max(room, ZERO))} dollars left at the broker")


def _within(
    share: Decimal, equity: Decimal | None, held: Decimal | None, others: Decimal, entry: ProposedEntry, name: str
) -> Objection | None:
    """Leave a share of equity for what is held, what other entries may cost, and this one."""
    if equity is None or not equity.is_finite() or equity <= ZERO:
        return Objection("equity unknown")
    if held is None or not held.is_finite():
        return Objection("exposure unknown: a held symbol has no usable price")
    return _cut_to(share * equity - held - others, entry, name)


def _cut_to(room: Decimal, entry: ProposedEntry, why: str) -> Objection | None:
    """Cut an entry to what so many dollars pay for; whole shares stay whole."""
    if not usable_price(entry.worst_price):
        return Objection("no price to reckon with")
    affordable = max(ZERO, round_quantity_down(room / entry.worst_price))
    if affordable >= entry.quantity:
        return None
    return Objection(why, Decimal(int(affordable)) if is_whole(entry.quantity) else affordable)


PACE: Final = "pace"
CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "kill switch": _kill_switch,
        "trading state": _trading_state,
        "session": _session,
        "order": _order,
        PACE: _pace,
        "reconciliation": _frozen,
        "order in doubt": _in_doubt,
        "quote": _quote,
        "collar": _collar,
        "account": _account,
        "day trades": _day_trades,
        "asset": _asset,
        "losses": _losses,
        "symbol limit": _symbol_limit,
        "total limit": _total_limit,
        "buying power": _buying_power,
    }
)
"""Every check, in the order in which findings are told."""


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
