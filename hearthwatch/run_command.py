"""`hearthwatch run`: the whole system on this machine, watched in the terminal until it is stopped or the bars end."""

from __future__ import annotations

import argparse
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Final

from pydantic import SecretStr
from rich.console import Console

from hearthwatch.replay.report import Outcome, Report, in_order, report_of, write_report
from hearthwatch.replay.summary import print_summary
from local_stack.run.clock import Speed
from local_stack.run.keys import KeysError, LocalKeys, read_keys
from local_stack.run.screen import screen_for
from local_stack.run.service import LocalRun, Market, RunResult, RunSettings, open_run, plan_run
from shared.adapters.alpaca.broker import AlpacaBroker
from shared.adapters.alpaca.session import connect_trading
from shared.adapters.bar_files.bar_set import BarSet
from shared.adapters.journal_file.file import write_journal
from shared.adapters.system_clock.clock import SystemClock
from shared.contracts.portfolio import Portfolio
from shared.domain.assets import Symbol, admit_symbol
from shared.domain.errors import HearthwatchError
from shared.ports.broker import ExchangeCalendar

REAL_WATCHLIST: Final = (Symbol("TSLA"), Symbol("NVDA"))
"""What is watched on a paper account beside its positions, when nobody said."""
ABOUT_REAL: Final = "the paper account"


def market_of(bars: BarSet, history: BarSet | None, portfolio: Portfolio) -> Market:
    """Lay out bars and a portfolio as a market to play."""
    first = bars.days[0]
    positions = [position.to_domain(first.opens, first.date) for position in portfolio.positions]
    return Market(bars=bars, history=history, cash=portfolio.cash, positions=positions)


def keys_for(path: Path, *, wants_bars: bool) -> LocalKeys:
    """Read the keys and let Alpaca check them; who names bars wants them played, and no account is touched then."""
    keys = read_keys(path)
    if wants_bars:
        return replace(keys, alpaca_key_id=None, alpaca_secret=None)
    if keys.alpaca_key_id is not None and keys.alpaca_secret is not None:
        _check_account(path, keys.alpaca_key_id, keys.alpaca_secret)
    return keys


def settings_of(options: argparse.Namespace, keys: LocalKeys, market: Market | None) -> RunSettings:
    """Put together what a run needs from what the operator typed."""
    if market is None:
        symbols = tuple(map(admit_symbol, options.symbols)) if options.symbols else REAL_WATCHLIST
        about, speed, words = ABOUT_REAL, None, "real time"
    else:
        symbols, about = tuple(market.bars.symbols), _about(market)
        speed, words = options.speed, speed_words(options.speed)
    return RunSettings(
        folder=options.folder,
        symbols=symbols,
        keys=keys,
        market=market,
        about=about,
        speed=speed,
        speed_words=words,
        fresh=options.fresh,
        port=options.port,
    )


def run(settings: RunSettings, calendar: ExchangeCalendar, console: Console, *, plain: bool) -> None:
    """Run until the bars end or somebody stops it; leave the state, and at the end a report."""
    plan = plan_run(settings)
    if plan.notice:
        _say(console, plan.notice)
    began = time.perf_counter()
    with stopping() as stopped, open_run(plan, calendar) as started:
        with screen_for(console, plain=plain) as screen:
            ended = started.play(stopped, screen)
        saved = started.save(finished=ended)
        if ended:
            _conclude(started, settings, console, time.perf_counter() - began)
        else:
            _say(console, f"Stopped. The state is in {saved}; `make run` goes on there, FRESH=1 starts anew.")
    _say(console, f"Messages: {settings.folder / 'discord.jsonl'} and {settings.folder / 'mail'}")
    _say(console, f"Log of the functions: {settings.folder / 'functions.jsonl'}")


def report_of_run(result: RunResult, wall_seconds: float) -> Report:
    """Write up a run in the form of a replay's report."""
    course, market = result.course, result.market
    outcome = Outcome(
        bars=market.bars,
        ticks=course.ticks,
        moves=result.moves,
        intents=result.intents,
        incidents=result.incidents,
        states=[(change.at, change.reasons) for change in course.states],
        coverage=[(change.at, change.coverage) for change in course.coverage],
        errors=course.errors,
        exchange=result.exchange,
        positions=result.positions,
        start_cash=market.cash,
        start_positions=market.positions,
    )
    return report_of(outcome, wall_seconds)


@contextmanager
def stopping() -> Iterator[Event]:
    """Turn the first Ctrl-C or SIGTERM into an event; the second one interrupts at once."""
    stopped = Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    # who starts a job in the background may have told it to ignore Ctrl-C, which is another job's then
    wanted = [s for s in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(s) is not signal.SIG_IGN]
    former = {number: signal.signal(number, stop) for number in wanted}
    try:
        yield stopped
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def speed_words(speed: Speed) -> str:
    """Say how fast simulated time goes."""
    return "full speed" if speed is None else f"{speed:f}x"


def _conclude(started: LocalRun, settings: RunSettings, console: Console, wall_seconds: float) -> None:
    result = started.result()
    report = report_of_run(result, wall_seconds)
    write_report(report, settings.folder / "report.json")
    write_journal(settings.folder / "journal.jsonl", result.links)
    print_summary(report, [incident.alert.text for incident in in_order(result.incidents)], console, did="Ran")
    _say(console, f"Report: {settings.folder / 'report.json'}")
    journal = settings.folder / "journal.jsonl"
    _say(console, f"Journal: {journal} (check it with `make verify JOURNAL={journal}`)")


def _check_account(path: Path, key_id: str, secret: SecretStr) -> None:
    """Ask for the account once, so that keys that open nothing are named before anything is started."""
    clock = SystemClock()
    client = connect_trading(key_id, secret.get_secret_value())
    try:
        AlpacaBroker(client, clock).account()
    except HearthwatchError as problem:
        raise KeysError(f"{path}: Alpaca's paper account cannot be reached with these keys: {problem}") from problem


def _about(market: Market) -> str:
    """Tell one run from another by what is played and what is held at its start."""
    bars = market.bars
    edges = [(symbol, len(series), series[0], series[-1]) for symbol, series in sorted(bars.bars.items())]
    quotes = [(symbol, len(series)) for symbol, series in sorted(bars.quotes.items())]
    actions = sorted(map(repr, bars.actions))
    parts: Sequence[object] = (bars.interval, edges, actions, quotes, market.cash, list(market.positions))
    return sha256(repr(parts).encode()).hexdigest()[:16]


def _say(console: Console, text: str) -> None:
    console.print(text, highlight=False, markup=False, soft_wrap=True)
