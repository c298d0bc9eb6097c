"""Short markets, run through the whole local system in this process and replayed on memory, to be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Self

from hearthwatch.replay.driver import replay
from hearthwatch.replay.report import Report, report_of
from local_stack.run.keys import LocalKeys
from local_stack.run.service import Market, RunPlan, RunResult, RunSettings, open_run, plan_run
from local_stack.run.snapshot import Snapshot
from shared.adapters.bar_files.bar_set import BarSet
from shared.bootstrap.offline import OFFLINE_ACCOUNT
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.intents import AccountId, Intent
from shared.domain.positions import Position, lot_id
from shared.domain.session import TradingDay
from shared.ports.broker import ExchangeCalendar

MINUTE = timedelta(minutes=1)
MONDAY = date(2026, 3, 2)
OPENS = time(14, 30)
LASTS = timedelta(minutes=40)

AAA, BBB, CCC, DDD, EEE = (Symbol(name * 3) for name in "ABCDE")
Closes = dict[int, str]
"""Closing prices by minute; in between the price stays, and `-` is a stretch without any bar."""


class ShortDays:
    """A calendar whose sessions last forty minutes, on weekdays."""

    def days(self, first: date, last: date) -> Sequence[TradingDay]:
        span = (first + timedelta(days=n) for n in range((last - first).days + 1))
        opens = [datetime.combine(day, OPENS, UTC) for day in span if day.weekday() < 5]
        return [TradingDay(date=at.date(), opens=at, closes=at + LASTS) for at in opens]


CALENDAR = ShortDays()
PAPER = AccountId("paper")


def two_days() -> Market:
    """A Monday and a Tuesday in which most of what alerts and trades happens.

    AAA gaps through its stop into thin trading, so its sale fills in parts. BBB shows one wild print and pays a
    dividend overnight. CCC falls by 22 % and stays there. DDD is quiet and splits overnight. EEE opens late.
    """
    monday: dict[Symbol, Closes] = {
        AAA: {0: "100", 12: "93"},
        BBB: {0: "50", 20: "38", 21: "50"},
        CCC: {0: "100", 25: "78"},
        DDD: {0: "60", 3: "-"},
        EEE: {0: "-", 18: "20"},
    }
    tuesday: dict[Symbol, Closes] = {
        AAA: {0: "93"},
        BBB: {0: "49"},
        CCC: {0: "78", 5: "83"},
        DDD: {0: "30", 10: "28.4", 20: "27.9"},
        EEE: {0: "20"},
    }
    bars = {
        symbol: [*series(symbol, MONDAY, monday[symbol]), *series(symbol, MONDAY + timedelta(days=1), tuesday[symbol])]
        for symbol in monday
    }
    tomorrow = MONDAY + timedelta(days=1)
    days = CALENDAR.days(MONDAY, tomorrow)
    return Market(
        bars=BarSet(
            bars=bars,
            interval=MINUTE,
            days=days,
            actions=(
                CorporateAction(symbol=DDD, ex_date=tomorrow, kind=ActionKind.SPLIT, ratio=Decimal(2)),
                CorporateAction(symbol=BBB, ex_date=tomorrow, kind=ActionKind.DIVIDEND, cash_amount=Decimal("0.37")),
            ),
            quotes={},
        ),
        history=None,
        cash=Decimal("25000.50"),
        positions=[
            held(days[0], AAA, "30", "100", "0.05"),
            held(days[0], BBB, "40.5", "50", "0.10"),
            held(days[0], CCC, "12", "100", "0.15"),
            held(days[0], DDD, "10", "60", "0.06"),
            held(days[0], EEE, "5", "20", "0.05"),
        ],
    )


def series(symbol: Symbol, day: date, closes: Closes) -> list[Bar]:
    """Make one day's minute bars; AAA trades thinly."""
    opens = datetime.combine(day, OPENS, UTC)
    volume, bars, now = Decimal(120 if symbol == AAA else 100_000), [], "-"
    for minute in range(LASTS // MINUTE):
        before, now = now, closes.get(minute, now)
        if now != "-":
            start = opens + minute * MINUTE
            low, high = sorted((Decimal(now), Decimal(now if before == "-" else before)))
            bars.append(Bar(symbol, start, start + MINUTE, Decimal(now), high, low, Decimal(now), volume))
    return bars


def held(day: TradingDay, symbol: Symbol, quantity: str, entry: str, stop_loss: str) -> Position:
    return Position(
        symbol=symbol,
        lot=lot_id(symbol, day.opens),
        quantity=Decimal(quantity),
        average_entry_price=Decimal(entry),
        opened_at=day.opens,
        adjusted_through=day.date,
        stop_loss_pct=Decimal(stop_loss),
    )


class Silent:
    """A screen that shows nothing, keeps every snapshot, and stops the run after some of them."""

    def __init__(self, stopped: Event, stop_after: int | None = None) -> None:
        self.snapshots: list[Snapshot] = []
        self._stopped = stopped
        self._stop_after = stop_after

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)
        if len(self.snapshots) == self._stop_after:
            self._stopped.set()

    def say(self, text: str) -> None:
        pass


def settings(market: Market, folder: Path, **changes: object) -> RunSettings:
    plain = RunSettings(
        folder=folder,
        symbols=market.bars.symbols,
        keys=LocalKeys(),
        market=market,
        about="a test",
        speed=None,
        speed_words="as fast as possible",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def play(
    plan: RunPlan, calendar: ExchangeCalendar = CALENDAR, *, stop_after: int | None = None
) -> tuple[RunResult, Silent]:
    """Play a plan to its end, or stop it by hand after some ticks, and save it."""
    stopped = Event()
    screen = Silent(stopped, stop_after)
    with open_run(plan, calendar) as run:
        finished = run.play(stopped, screen)
        run.save(finished=finished)
        return run.result(), screen


def play_once(market: Market, folder: Path, calendar: ExchangeCalendar = CALENDAR) -> RunResult:
    return play(plan_run(settings(market, folder)), calendar)[0]


def replayed(market: Market, calendar: ExchangeCalendar = CALENDAR) -> tuple[Report, Mapping[str, str]]:
    """Replay the market on memory; give the report, and each intent's id as it is in a run."""
    course = replay(
        market.bars,
        cash=market.cash,
        positions=lambda at, day: market.positions,
        calendar=calendar,
        history=market.history,
    )
    return report_of(course.outcome(), 0.0), {intent.id: id_in_a_run(intent) for intent in course.intents()}


def id_in_a_run(intent: Intent) -> str:
    """Give the id that the same intent has on the paper account: an id is made of the account's name, too."""
    assert intent.purpose.account == OFFLINE_ACCOUNT
    return replace(intent, purpose=replace(intent.purpose, account=PAPER)).id
