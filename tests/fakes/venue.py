"""A small venue for the broker's tests: sessions on weekdays, minute bars told in a few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from shared.adapters.memory.matching import Exchange
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.intents import OrderType, Side, TimeInForce
from shared.domain.orders import PlaceOrder
from shared.domain.session import TradingDay

ACCOUNT = "11111111-2222-4333-8444-555555555555"
CASH = Decimal("100000")
TSLA = Symbol("TSLA")
AAPL = Symbol("AAPL")
BRK = Symbol("BRK.A")
MINUTE = timedelta(minutes=1)
OPEN = datetime(2026, 2, 4, 14, 30, tzinfo=UTC)
"""Half past nine in New York, a Wednesday."""
CLOSE = datetime(2026, 2, 4, 21, 0, tzinfo=UTC)
NOON = datetime(2026, 2, 4, 17, 0, tzinfo=UTC)
NIGHT = datetime(2026, 2, 5, 2, 0, tzinfo=UTC)


class Weekdays:
    """A calendar without holidays: every weekday from 14:30 to 21:00 UTC, New York's winter hours."""

    def days(self, first: date, last: date) -> Sequence[TradingDay]:
        span = (first + timedelta(days=n) for n in range((last - first).days + 1))
        return [
            TradingDay(
                date=day,
                opens=datetime.combine(day, time(14, 30), UTC),
                closes=datetime.combine(day, time(21), UTC),
            )
            for day in span
            if day.weekday() < 5
        ]


def small_exchange(**terms: object) -> Exchange:
    """An account with 100,000 dollars and 10 TSLA, where BRK.A takes no fractions."""
    exchange = Exchange(ACCOUNT, CASH, Weekdays(), **terms)  # type: ignore[arg-type]
    exchange.list_symbol(TSLA)
    exchange.list_symbol(AAPL)
    exchange.list_symbol(BRK, fractionable=False)
    exchange.seed_position(TSLA, Decimal(10), Decimal("90.00"))
    return exchange


def bar(
    prices: str,
    *,
    at: datetime,
    symbol: Symbol = TSLA,
    volume: str | None = "100000",
    length: timedelta = MINUTE,
) -> Bar:
    """A bar from "open high low close", or from one number that all four are, starting `at`."""
    numbers = [Decimal(number) for number in prices.split()]
    opens, high, low, close = numbers * 4 if len(numbers) == 1 else numbers
    return Bar(symbol, at, at + length, opens, high, low, close, None if volume is None else Decimal(volume))


def order(
    name: str,
    side: str,
    quantity: str,
    kind: str = "market",
    price: str | None = None,
    *,
    tif: str = "day",
    symbol: Symbol = TSLA,
) -> PlaceOrder:
    """A request; `price` is the limit or the stop, as the kind wants it."""
    at_price = None if price is None else Decimal(price)
    return PlaceOrder(
        client_order_id=name,
        symbol=symbol,
        side=Side(side),
        quantity=Decimal(quantity),
        order_type=OrderType(kind),
        time_in_force=TimeInForce(tif),
        limit_price=at_price if kind == "limit" else None,
        stop_price=at_price if kind == "stop" else None,
    )
