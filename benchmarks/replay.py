"""How many bars a second a replay takes through the whole watch, beside backtesting.py and a bare loop.

Compared: every bar of ours is quoted, judged, stored, checked for moves and against stops; orders are placed and
reconciled, alerts delivered, the chained journal kept and the report made. backtesting.py runs a moving-average cross
with a stop over floats, with its indicators and statistics; the bare loop trades the same on floats and keeps nothing.
None of the three reads a file here: reading is measured by itself. With one symbol the bars are the same for all, and
we hold a position under its stop; with more, half of the symbols are held and some slide through their stops.

To read: `ours : backtesting.py` is the floor, 1, and the aim, 2. What every tick does whatever is watched is borne by
few bars when few symbols are watched, so the ratio rises with their number; `break-even` is the number of symbols at
which it reaches 1. `growth` compares the time for one symbol and tick with that at 10 symbols: up to 1 means that
nothing grows with the size of the watch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pandas

from benchmarks.figures import Figure, Say, best_of, settled
from benchmarks.market import CALENDAR, held_in, minute_bars, sessions
from benchmarks.peers import backtest, bare_loop, frame_of
from hearthwatch.replay.driver import replay
from hearthwatch.replay.report import report_of
from shared.adapters.bar_files.bar_set import BarSet, load
from shared.domain.assets import Symbol
from shared.domain.bars import Bar

LONG: Final = 257
"""Sessions in about a hundred thousand one-minute bars."""
SIZES: Final = ((1, LONG), (10, 25), (100, 3), (500, 1))
"""Symbols and sessions of 390 minutes: about a hundred thousand bars each, or more."""
ROUNDS: Final = 3


def measure(say: Say) -> list[Figure]:
    """Measure replays of several sizes, the peers on one long series, and reading that series."""
    pace = _paces(say)
    alone = minute_bars(1, sessions(LONG))
    series = next(iter(alone.bars.values()))
    say(f"{len(series):,} bars of one symbol: backtesting.py")
    theirs = len(series) / best_of(ROUNDS, backtest(frame_of(series)).run)
    say(f"{len(series):,} bars of one symbol: a bare loop, and reading")
    closes = [float(bar.close) for bar in series]
    bare = len(series) / best_of(ROUNDS, lambda: bare_loop(closes))
    return [
        *(Figure(f"replay, symbols: {n}", per_second, "bars/s") for n, per_second in pace.items()),
        Figure("backtesting.py", theirs, "bars/s"),
        Figure("bare loop", bare, "bars/s"),
        *(Figure(f"ours : backtesting.py, symbols: {n}", pace[n] / theirs, "x", "at least 1") for n in pace),
        Figure("break-even with backtesting.py", _break_even(pace, theirs), "symbols"),
        *(Figure(f"growth over 10 symbols, symbols: {n}", pace[10] / pace[n], "x", "up to 1") for n in (100, 500)),
        *_reading(alone, series),
    ]


def _paces(say: Say) -> dict[int, float]:
    """Replay every size, half of the symbols held and every tenth of those sliding through its stop."""
    pace = {}
    for count, days in SIZES:
        say(f"symbols: {count}, sessions: {days}")
        bars = minute_bars(count, sessions(days), sliding=count // 2)
        pace[count] = _bars_per_second(bars, bars.symbols[: count // 2] or bars.symbols)
    return pace


def _break_even(pace: Mapping[int, float], theirs: float) -> float:
    """Find the size at which a tick, a fixed part and one per symbol, takes as long as its bars take the peer."""
    few, many = 1, 100
    per_symbol = (many / pace[many] - few / pace[few]) / (many - few)
    fixed = few / pace[few] - few * per_symbol
    return fixed / (1 / theirs - per_symbol) if per_symbol < 1 / theirs else math.inf


def _bars_per_second(bars: BarSet, held: Sequence[Symbol]) -> float:
    positions = held_in(held)

    def run() -> None:
        report_of(replay(bars, cash=Decimal(100_000), positions=positions, calendar=CALENDAR).outcome(), 0.0)

    with settled():
        return sum(map(len, bars.bars.values())) / best_of(ROUNDS, run)


def _reading(bars: BarSet, series: Sequence[Bar]) -> list[Figure]:
    """Read the series from a csv: ours checks every row and keeps decimals, pandas parses floats and checks nothing."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"{bars.symbols[0]}.csv"
        rows = (f"{b.start.isoformat()},{b.open},{b.high},{b.low},{b.close},{b.volume}\n" for b in series)
        file.write_text("ts,open,high,low,close,volume\n" + "".join(rows), encoding="utf-8")
        ours = len(series) / best_of(ROUNDS, lambda: load(file, CALENDAR))
        theirs = len(series) / best_of(ROUNDS, lambda: pandas.read_csv(file, parse_dates=["ts"]))
    return [
        Figure("reading a csv of bars", ours, "bars/s"),
        Figure("pandas.read_csv, the same file", theirs, "bars/s"),
    ]
