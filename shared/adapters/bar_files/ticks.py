"""When recorded bars are watched: a tick at the open, at every bar's end in step, and at the close."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import chain
from zoneinfo import ZoneInfo

from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.session import TradingDay

SHORTEST = timedelta(seconds=60)
PREPARED_AT = time(8, 30)
"""When New York prepares its session (OPS-13)."""
_DAY = timedelta(days=1)


def cadence_of(interval: timedelta) -> timedelta:
    """Give the tick length that follows a bar length: the longer of 60 s and the bar."""
    return max(SHORTEST, interval)


def phase_of(bars: Mapping[Symbol, Sequence[Bar]], step: timedelta, sample: int = 200) -> timedelta:
    """Find where in the step the bars end, counted from midnight UTC, so that a tick sees a bar as soon as it ends."""
    ends = (bar.end for bar in chain.from_iterable(series[:sample] for series in bars.values()))
    phases = Counter((end - end.replace(hour=0, minute=0, second=0, microsecond=0)) % step for end in ends)
    return phases.most_common(1)[0][0] if phases else timedelta(0)


def morning_of(day: TradingDay) -> tuple[datetime, datetime]:
    """Give the two instants at which a day begins: the broker's truth is taken over, then the session prepared."""
    prepared = datetime.combine(day.date, PREPARED_AT, ZoneInfo("America/New_York")).astimezone(UTC)
    return prepared - SHORTEST, prepared


def ticks_of(days: Iterable[TradingDay], step: timedelta, phase: timedelta) -> Iterator[datetime]:
    """Yield every tick of the sessions in order; a step of a day ticks at open and close alone."""
    for day in days:
        yield day.opens
        if step < _DAY:
            midnight = day.opens.replace(hour=0, minute=0, second=0, microsecond=0)
            first = midnight + phase + ((day.opens - midnight - phase) // step + 1) * step
            count = max(0, -((first - day.closes) // step))
            yield from (first + n * step for n in range(count))
        yield day.closes
