"""Recorded bars, played to the simulated exchange as they would happen, at the ticks of a replay.

Decided: a day begins with a tick in which the broker's truth is taken over, and one that prepares the session, an hour
before the open; it goes on at the replay's own ticks. What lies between a close and the next morning is left out,
because nothing is watched then.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import chain

from local_stack.exchange.server import ExchangeSimulator
from shared.adapters.bar_files.bar_set import BarSet
from shared.adapters.bar_files.ticks import cadence_of, morning_of, phase_of, ticks_of
from shared.adapters.memory.corporate_actions import DueActions
from shared.adapters.memory.prices import BarFeed
from shared.domain.bars import Bar


def moments_of(bars: BarSet) -> Iterator[datetime]:
    """Yield every instant at which a run looks at the market: each day's morning, then the ticks of a replay."""
    cadence = cadence_of(bars.interval)
    phase = phase_of(bars.bars, cadence)
    for day in bars.days:
        yield from morning_of(day)
        yield from ticks_of([day], cadence, phase)


class MarketPlayer:
    """Lets recorded bars and corporate actions happen at a simulated exchange; advance it before the clock is set."""

    def __init__(self, bars: BarSet, simulator: ExchangeSimulator, *, history: BarSet | None = None) -> None:
        """Lay out the bars; `history` is what was before them, for what needs a past."""
        self._simulator = simulator
        self._feed = BarFeed(bars.bars, bars.days)
        simulator.announce(*bars.actions)
        self._actions = DueActions(bars.actions, after=bars.days[0].date)
        if history is not None:
            simulator.remember(*sorted(_every_bar(history), key=lambda bar: bar.end))
        for symbol, quotes in bars.quotes.items():
            simulator.know_quotes(symbol, quotes)

    def advance(self, at: datetime) -> None:
        """Let everything happen up to `at`: actions on the morning of their ex-date, then the bars that ended."""
        for action in self._actions.take(at):
            self._simulator.apply(action, at)
        self._simulator.feed(*self._feed.advance(at))

    def resume(self, at: datetime) -> None:
        """Take what happened up to `at` as known: the exchange's restored state has lived through it."""
        self._actions.take(at)
        self._simulator.know(*self._feed.advance(at))


def _every_bar(bars: BarSet) -> Iterator[Bar]:
    return chain.from_iterable(bars.bars.values())
