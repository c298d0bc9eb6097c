"""The same bars through others: a moving-average cross with a stop in backtesting.py, and as a bare Python loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas

from shared.domain.bars import Bar

FAST: Final = 10
SLOW: Final = 30
STOP: Final = 0.02
"""Sell two percent below the entry; both peers follow the same three rules."""


def frame_of(bars: Sequence[Bar]) -> Any:
    """Lay bars out as the table of floats that backtesting.py wants."""
    columns = {
        "Open": [float(bar.open) for bar in bars],
        "High": [float(bar.high) for bar in bars],
        "Low": [float(bar.low) for bar in bars],
        "Close": [float(bar.close) for bar in bars],
        "Volume": [float(bar.volume or 0) for bar in bars],
    }
    return pandas.DataFrame(columns, index=pandas.DatetimeIndex([bar.start.replace(tzinfo=None) for bar in bars]))


def backtest(frame: Any) -> Any:
    """Prepare the run in backtesting.py: its `run` includes the averages, the loop over bars and its statistics."""
    from backtesting import Backtest, Strategy
    from backtesting.lib import crossover

    class Cross(Strategy):
        def init(self) -> None:
            self.fast = self.I(_average, self.data.Close, FAST)
            self.slow = self.I(_average, self.data.Close, SLOW)

        def next(self) -> None:
            if crossover(self.fast, self.slow):
                self.buy(sl=self.data.Close[-1] * (1 - STOP))
            elif crossover(self.slow, self.fast):
                self.position.close()

    return Backtest(frame, Cross, cash=1_000_000, finalize_trades=True)


def bare_loop(closes: Sequence[float]) -> float:
    """Trade the same rules on floats in one loop, with nothing else around: the upper mark for plain Python."""
    fast = slow = 0.0
    cash, held, stop = 1_000_000.0, 0.0, 0.0
    above = False
    for place, close in enumerate(closes):
        fast += close - (closes[place - FAST] if place >= FAST else 0.0)
        slow += close - (closes[place - SLOW] if place >= SLOW else 0.0)
        if place < SLOW:
            continue
        was_above, above = above, fast / FAST > slow / SLOW
        if held and (close <= stop or (was_above and not above)):
            cash, held = cash + held * close, 0.0
        elif not held and above and not was_above:
            cash, held, stop = 0.0, cash / close, close * (1 - STOP)
    return cash + held * closes[-1]


def _average(values: Any, length: int) -> Any:
    return pandas.Series(values).rolling(length).mean()
