"""Builders of the values that the stories in these tests are told with: TSLA on a Wednesday morning in New York."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from shared.domain.assets import Symbol
from shared.domain.gate import Exposure, GateInput
from shared.domain.intents import (
    AccountId,
    CycleId,
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
from shared.domain.losses import Losses, Period, Worth
from shared.domain.money import ZERO
from shared.domain.orders import Account, Asset, Order, OrderStatus
from shared.domain.positions import WATCH, LotId, Position, lot_id
from shared.domain.quotes import NO_DOUBTS, Doubt, JudgedQuote, Quote
from shared.domain.session import Session, SessionState
from shared.domain.trading_state import KillSwitch, SwitchMode, trading_state

NOW = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)
TODAY = date(2026, 3, 4)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
TSLA = Symbol("TSLA")
AAPL = Symbol("AAPL")
NVDA = Symbol("NVDA")
ACCOUNT = AccountId("PA3ALPHA")
CYCLE = CycleId("cycle-2026-03-04T15:30Z")
LOT: LotId = lot_id(TSLA, NOW - timedelta(days=9))


def dollars(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def quoted(
    last: str | None = "100.00",
    *,
    bid: str | None = "",
    ask: str | None = "",
    at: datetime = NOW,
    quote_age: timedelta | None = SECOND,
    trade_age: timedelta | None = SECOND,
    feed: str = "iex",
) -> Quote:
    """A quote of TSLA; bid and ask lie a little around a sane last price unless given, ages are counted from `at`."""
    last_price = dollars(last)
    sane = last_price if last_price is not None and last_price.is_finite() and last_price > ZERO else Decimal(100)
    return Quote(
        symbol=TSLA,
        bid=sane * Decimal("0.9995") if bid == "" else dollars(bid),
        ask=sane * Decimal("1.0005") if ask == "" else dollars(ask),
        last=last_price,
        quoted_at=None if quote_age is None else at - quote_age,
        traded_at=None if trade_age is None else at - trade_age,
        feed=feed,
    )


def from_backup(last: str | None = "100.00", *, at: datetime = NOW, age: timedelta = SECOND) -> Quote:
    """A quote as the backup provider gives it: a last trade without bid and ask."""
    return quoted(last, bid=None, ask=None, at=at, quote_age=None, trade_age=age, feed="yahoo")


def judged(price: str | None = "100.00", *, ask: str | None = None, doubts: Iterable[Doubt] = NO_DOUBTS) -> JudgedQuote:
    """A judged quote of TSLA at a price."""
    value = dollars(price)
    return JudgedQuote(
        symbol=TSLA,
        price=value,
        bid=None,
        ask=dollars(ask),
        at=NOW,
        feed="iex",
        doubts=frozenset(doubts),
        last_good=value,
        last_good_at=NOW,
        suspect=None,
        blind_since=None if value is not None else NOW,
    )


def holding(
    quantity: str = "10",
    entry: str = "184.82",
    *,
    stop_loss: str = "0.20",
    trailing: str | None = None,
    take_profit: str | None = None,
    high: str | None = None,
) -> Position:
    """A position in TSLA, opened nine days ago."""
    return Position(
        symbol=TSLA,
        lot=LOT,
        quantity=Decimal(quantity),
        average_entry_price=Decimal(entry),
        opened_at=NOW - timedelta(days=9),
        adjusted_through=TODAY - timedelta(days=9),
        stop_loss_pct=Decimal(stop_loss),
        trailing_stop_pct=dollars(trailing),
        take_profit_pct=dollars(take_profit),
        high_since_entry=dollars(high),
    )


def purpose(
    symbol: Symbol = TSLA, reason: Reason = Reason.ENTRY, origin: LotId | CycleId = CYCLE, account: AccountId = ACCOUNT
) -> Purpose:
    """A purpose whose side follows from its reason."""
    side = Side.BUY if reason in (Reason.ENTRY, Reason.DIP_BUY) else Side.SELL
    return Purpose(account=account, symbol=symbol, side=side, reason=reason, origin=origin)


def intent(
    quantity: str = "10",
    worst_price: str = "100",
    *,
    symbol: Symbol = TSLA,
    reason: Reason = Reason.ENTRY,
    origin: LotId | CycleId = CYCLE,
    generation: int = 0,
    state: IntentState = IntentState.PREPARED,
    filled: str = "0",
    filled_value: str = "0",
    created_at: datetime = NOW,
) -> Intent:
    """An intent at market."""
    return Intent(
        purpose=purpose(symbol, reason, origin),
        generation=generation,
        quantity=Decimal(quantity),
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
        created_at=created_at,
        evidence=Evidence(text="a story", price=Decimal(worst_price), price_at=created_at, feed="iex"),
        worst_price=Decimal(worst_price),
        strategy=WATCH,
        state=state,
        filled_quantity=Decimal(filled),
        filled_value=Decimal(filled_value),
    )


def ledger_with(*intents: Intent) -> Ledger:
    """A ledger that holds these open intents."""
    return Ledger(account=ACCOUNT, open=MappingProxyType({each.id: each for each in intents}))


def order_for(
    wanted: Intent,
    status: OrderStatus,
    filled: str = "0",
    price: str | None = None,
    *,
    closed_at: datetime | None = None,
) -> Order:
    """The broker's report on an intent's order."""
    return Order(
        id="b-61e69015",
        client_order_id=wanted.id,
        symbol=wanted.symbol,
        side=wanted.side,
        quantity=wanted.quantity,
        order_type=wanted.order_type,
        time_in_force=wanted.time_in_force,
        status=status,
        submitted_at=NOW,
        filled_quantity=Decimal(filled),
        average_fill_price=dollars(price),
        filled_at=NOW if Decimal(filled) else None,
        closed_at=closed_at,
    )


def tradable(symbol: Symbol = TSLA, *, active: bool = True, tradable: bool = True, fractionable: bool = True) -> Asset:
    """What the broker allows in a symbol: all of it unless told otherwise."""
    return Asset(symbol=symbol, active=active, tradable=tradable, fractionable=fractionable)


def began_with(dollars: Decimal) -> Losses:
    """A day and a week that began with so much; the week on Monday."""
    return Losses(
        day=Period(began=TODAY, since=NOW - timedelta(hours=3), equity=dollars),
        week=Period(began=TODAY - timedelta(days=2), since=NOW - timedelta(days=2, hours=3), equity=dollars),
    )


def calm_gate(equity: Decimal = Decimal(100_000), price: str = "100") -> GateInput:
    """A calm morning for an entry in TSLA: nothing held, nothing open, nothing lost, all of the equity to be spent."""
    return GateInput(
        now=NOW,
        kill_switch=KillSwitch(mode=SwitchMode.OFF),
        state=trading_state(()),
        session=Session(state=SessionState.OPEN, reason="calendar and clock agree"),
        quote=judged(price),
        equity=equity,
        exposure=Exposure(of_symbol=ZERO, total=ZERO),
        ledger=ledger_with(),
        frozen=False,
        account=Account(id="pa-alpha", cash=equity, equity=equity, buying_power=equity),
        asset=tradable(),
        worth=Worth(equity=equity),
        losses=began_with(equity),
    )
