"""What it costs to put an entry before the gate, beside adding up the same positions in a bare loop.

Compared: `gate` values what is held, takes the worth of the account and asks every check, as each entry does twice. The
bare loop multiplies and adds the same quantities and prices and knows nothing else.

To read: the checks themselves cost the same for any book, so the ratio is high for a few positions and comes near that
of the adding up alone for many: linear, once through the book, whatever the number of checks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from benchmarks.figures import Figure, Say, best_of, settled
from shared.domain.assets import Symbol
from shared.domain.gate import GateInput, GateVerdict, Limits, exposure_of, judge_entry
from shared.domain.intents import AccountId
from shared.domain.ledger import Ledger
from shared.domain.losses import Losses, Period, worth_of
from shared.domain.money import ZERO
from shared.domain.orders import Account, Asset
from shared.domain.quotes import NO_DOUBTS, JudgedQuote
from shared.domain.reconciliation import BrokerFacts
from shared.domain.session import Session, SessionState
from shared.domain.trading_state import KillSwitch, SwitchMode, trading_state

SIZES: Final = (10, 1_000, 10_000)
VALUED: Final = 100_000
"""Positions valued per round, however many are held."""
ROUNDS: Final = 5
NOW: Final = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)
EQUITY: Final = Decimal(100_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A book of some positions, and what the gate is given beside them."""

    held: dict[Symbol, Decimal]
    quotes: dict[Symbol, JudgedQuote]
    facts: BrokerFacts
    given: GateInput
    symbol: Symbol

    def judge(self) -> GateVerdict:
        """Judge an entry of ten shares as it is judged before each send."""
        exposure = exposure_of(self.symbol, self.held, self.quotes)
        given = replace(self.given, exposure=exposure, worth=worth_of(self.facts, self.held, exposure.total))
        return judge_entry(self.symbol, Decimal(10), Decimal("100.01"), given, Limits())


def measure(say: Say) -> list[Figure]:
    """Measure the gate on a calm morning, when every check is asked and lets the entry pass."""
    figures = []
    for count in SIZES:
        say(f"positions: {count}")
        figures += _of(count)
    return figures


def _of(count: int) -> list[Figure]:
    book = _book(count)
    if book.judge().findings:
        raise ValueError(f"the entry must pass: {book.judge().reasons}")
    pairs = [(quantity, book.quotes[symbol].price or ZERO) for symbol, quantity in book.held.items()]
    times = VALUED // count

    def judge() -> None:
        for _ in range(times):
            book.judge()

    def add_up() -> None:
        for _ in range(times):
            _sum(pairs)

    with settled():
        bare, gate = (best_of(ROUNDS, work) / times for work in (add_up, judge))
    hold = "below 3" if count >= SIZES[1] else ""
    return [
        Figure(f"gate, positions: {count}", gate * 1e6, "us"),
        Figure(f"gate : bare adding up, positions: {count}", gate / bare, "x", hold),
    ]


def _sum(pairs: Sequence[tuple[Decimal, Decimal]]) -> Decimal:
    total = ZERO
    for quantity, price in pairs:
        total += quantity * price
    return total


def _book(count: int) -> Book:
    symbols = [Symbol(f"S{number}") for number in range(count)]
    held = {symbol: Decimal(number % 7 + 1) / 4 for number, symbol in enumerate(symbols)}
    quotes = {symbol: _quote(symbol) for symbol in symbols}
    exposure = exposure_of(symbols[0], held, quotes)
    cash = EQUITY - (exposure.total or ZERO)
    facts = BrokerFacts(at=NOW, cash=cash, equity=EQUITY, quantities=MappingProxyType(dict(held)))
    period = Period(began=NOW.date(), since=NOW - timedelta(hours=3), equity=EQUITY)
    given = GateInput(
        now=NOW,
        kill_switch=KillSwitch(mode=SwitchMode.OFF),
        state=trading_state(()),
        session=Session(state=SessionState.OPEN, reason="calendar and clock agree"),
        quote=quotes[symbols[0]],
        equity=EQUITY,
        exposure=exposure,
        ledger=Ledger(account=AccountId("bench")),
        frozen=False,
        account=Account(id="bench", cash=cash, equity=EQUITY, buying_power=cash),
        asset=Asset(symbol=symbols[0], active=True, tradable=True, fractionable=True),
        worth=None,
        losses=Losses(day=period, week=period),
    )
    return Book(held=held, quotes=quotes, facts=facts, given=given, symbol=symbols[0])


def _quote(symbol: Symbol) -> JudgedQuote:
    price = Decimal("100.01")
    return JudgedQuote(
        symbol=symbol,
        price=price,
        bid=price,
        ask=price,
        at=NOW,
        feed="iex",
        doubts=NO_DOUBTS,
        last_good=price,
        last_good_at=NOW,
        suspect=None,
        blind_since=None,
    )
