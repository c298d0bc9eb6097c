"""What a replay must have done, worked out a second time from the raw rows, with none of the program's own code.

A symbol has a price from its first bar of a session on; the price is the close of the newest bar that has ended. A
close further than a fifth from the last good price waits for the next tick to say the same. The first price at or
below the stop is a breach: what is held then is sold at market.

The whole shares rest under a stop at the exchange from the first tick on, and are sold inside the first bar that
reaches it, at the worse of the stop and the bar's open, up to a tenth of its volume; unless, on bars of up to five
minutes, the bar leaves the close before it in the same session by more than a fifth. A split ends the stop, a
dividend moves it, and the same tick places a new one. It is sent while the session is open and no price seen has
reached it; planned too long ago it is given up, and planned anew a tick later. A breach withdraws what is left of it.
"""

from __future__ import annotations

import csv
import gzip
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
CENT = Decimal("0.01")
TICK = Decimal("0.0001")
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
WINDOW = timedelta(minutes=15)


class Row(NamedTuple):
    """One bar of the regular session, clipped to it."""

    start: datetime
    end: datetime
    open: Decimal
    low: Decimal
    high: Decimal
    close: Decimal
    volume: Decimal


class Action(NamedTuple):
    """A split (`ratio` new shares for one) or a dividend (`cash` dollars a share)."""

    symbol: str
    on: date
    ratio: Decimal
    cash: Decimal


@dataclass(kw_only=True)
class Holding:
    """A position of the portfolio file, as it changes over splits and dividends."""

    symbol: str
    quantity: Decimal
    entry: Decimal
    loss: Decimal
    paid: Decimal | None = None

    @property
    def cost(self) -> Decimal:
        """Give what a share of today cost: splits change it, dividends do not."""
        return self.entry if self.paid is None else self.paid

    @property
    def stop(self) -> Decimal:
        level = self.entry * (1 - self.loss)
        return level.quantize(CENT if level >= 1 else TICK, ROUND_HALF_UP)

    def less(self, sold: Decimal) -> Holding:
        return replace(self, quantity=self.quantity - sold)

    def after(self, action: Action) -> Holding:
        return replace(
            self,
            quantity=self.quantity * action.ratio,
            entry=self.entry / action.ratio - action.cash,
            paid=self.cost / action.ratio,
        )

    def as_json(self) -> dict[str, str]:
        return {
            "symbol": self.symbol,
            "quantity": format(self.quantity, "f"),
            "average_entry_price": format(self.entry, "f"),
            "stop_loss_pct": format(self.loss, "f"),
        }


class Breach(NamedTuple):
    """The tick at which a stop must be seen as breached, and what was held then."""

    at: datetime
    holding: Holding


class Fill(NamedTuple):
    """Shares sold at the end of a bar, within its prices; at exactly `price` where that is certain."""

    at: datetime
    quantity: Decimal
    low: Decimal
    high: Decimal
    price: Decimal | None


@dataclass(kw_only=True)
class Stop:
    """A stop planned at a tick and, unless it grew too old before, sent at one; and what it sold."""

    planned: datetime
    sent: datetime | None = None
    quantity: Decimal
    level: Decimal
    fills: list[Fill] = field(default_factory=list)

    @property
    def left(self) -> Decimal:
        return self.quantity - sum((fill.quantity for fill in self.fills), Decimal(0))


@dataclass(kw_only=True)
class Course:
    """What must become of one position: its stops, its breach if any, what it earned, and what is left of it."""

    stops: list[Stop] = field(default_factory=list)
    breach: Breach | None = None
    sent: datetime | None = None
    execution: Execution | None = None
    earned: Decimal = Decimal(0)
    left: Holding

    @property
    def sold_at(self) -> datetime | None:
        """Say when the first share was sold or bound to be."""
        times = [fill.at for stop in self.stops for fill in stop.fills]
        return min([*times, *([self.breach.at] if self.breach else [])], default=None)


class Swing(NamedTuple):
    """A move that must be reported."""

    symbol: str
    at: datetime
    from_price: Decimal
    price: Decimal


class Execution(NamedTuple):
    """When an order sent at an instant is filled in full, and the prices its bars allow."""

    at: datetime
    low: Decimal
    high: Decimal


@dataclass(kw_only=True)
class Market:
    """The rows of every symbol in a range, with the sessions they make."""

    rows: Mapping[str, Sequence[Row]]
    step: timedelta
    actions: Sequence[Action] = ()
    days: list[date] = field(init=False)

    def __post_init__(self) -> None:
        self.days = sorted({new_york_day(row.start) for rows in self.rows.values() for row in rows})

    def ticks(self) -> Iterator[datetime]:
        """Yield the open, every step that a bar can end at, and the close of every day."""
        for day in self.days:
            opens, closes = session(day)
            yield opens
            if self.step < DAY:
                ends = {row.end for rows in self.rows.values() for row in rows if opens < row.end < closes}
                first = min(ends, default=closes)
                while first - self.step > opens:
                    first -= self.step
                while first < closes:
                    yield first
                    first += self.step
            yield closes

    def prices(self, symbol: str) -> Iterator[tuple[datetime, Decimal | None]]:
        """Yield every tick with the price that is known then, None before the session's first bar has ended."""
        rows = self.rows[symbol]
        ends = [row.end for row in rows]
        for tick in self.ticks():
            place = bisect_right(ends, tick) - 1
            opens, _ = session(new_york_day(tick))
            yield tick, rows[place].close if place >= 0 and ends[place] > opens else None

    def judged(self, symbol: str) -> Iterator[tuple[datetime, Decimal | None, Decimal | None, Decimal | None]]:
        """Yield every tick with the price to act on, the last good one before it, and a jump that waits.

        What is remembered is carried over actions.
        """
        good: Decimal | None = None
        suspect: Decimal | None = None
        day: date | None = None
        for tick, price in self.prices(symbol):
            for action in self._going_ex(symbol, day, new_york_day(tick)):
                good = None if good is None else good / action.ratio - action.cash
                suspect = None if suspect is None else suspect / action.ratio - action.cash
            day = new_york_day(tick)
            if price is None:
                yield tick, None, good, suspect
            elif good is None or abs(price - good) * 5 <= good or confirmed(price, good, suspect):
                yield tick, price, good, None
                good, suspect = price, None
            else:
                yield tick, None, good, price
                suspect = price

    def course(self, held: Holding) -> Course:
        """Follow one position from tick to tick to the end of the range, or until nothing of it is held."""
        course = Course(left=held)
        resting: Stop | None = None
        day, last = None, self._start()
        for tick, price, _, suspect in self.judged(held.symbol):
            today = new_york_day(tick)
            for action in self._going_ex(held.symbol, day, today):
                course.earned += course.left.quantity * action.cash
                stop = course.left.stop
                course.left = course.left.after(action)
                if action.ratio != 1 or course.left.stop != stop:
                    resting = None
            day = today
            course.left = course.left.less(self._sold_in(resting, held.symbol, last, tick))
            last = tick
            if resting is not None and not resting.left:
                resting = None
            if price is not None and price <= course.left.stop and course.left.quantity:
                course.breach = Breach(tick, course.left)
                course.sent = self.send_time(tick)
                if course.sent is not None:
                    course.execution = self.execution(held.symbol, course.left.quantity, course.sent)
                return course
            whole = course.left.quantity.to_integral_value(ROUND_DOWN)
            if resting is None and whole:
                resting = Stop(planned=tick, quantity=whole, level=course.left.stop)
                course.stops.append(resting)
            if resting is not None and resting.sent is None and not self._is_sent(resting, tick, price or suspect):
                resting = None
        return course

    def _is_sent(self, stop: Stop, tick: datetime, seen: Decimal | None) -> bool:
        """Send a planned stop where that can be; say whether it still stands."""
        opens, closes = session(new_york_day(tick))
        if tick - stop.planned > max(10 * MINUTE, 5 * self.step):
            return False
        if opens <= tick < closes and (seen is None or seen > stop.level):
            stop.sent = tick
        return True

    def _start(self) -> datetime:
        return session(self.days[0])[0]

    def _sold_in(self, stop: Stop | None, symbol: str, after: datetime, upto: datetime) -> Decimal:
        """Let the bars that ended since the tick before work on a stop; return the shares it sold."""
        sold = Decimal(0)
        rows = self.rows[symbol]
        for place, row in enumerate(rows):
            if stop is None or stop.sent is None or row.start < stop.sent:
                continue
            if not after < row.end <= upto or not stop.left:
                continue
            if stop.fills or self._elects(rows, place, stop.level):
                quantity = min(stop.left, (row.volume / 10).to_integral_value(ROUND_DOWN))
                price = None if stop.fills else min(stop.level, row.open).quantize(TICK, ROUND_HALF_UP)
                if quantity:
                    stop.fills.append(Fill(row.end, quantity, row.low, row.high, price))
                    sold += quantity
        return sold

    def _elects(self, rows: Sequence[Row], place: int, level: Decimal) -> bool:
        """Say whether a bar reaches a stop, and no price band paused trading in it."""
        row = rows[place]
        if row.low > level or not row.volume:
            return False
        if place == 0 or self.step > 5 * MINUTE or new_york_day(rows[place - 1].start) != new_york_day(row.start):
            return True
        before = rows[place - 1].close
        return before * Decimal("0.8") <= row.low and row.high <= before * Decimal("1.2")

    def swings(self, symbol: str) -> Iterator[Swing]:
        """Find departures of 5 % from an extreme of the 15 minutes before, or from the tick before on longer bars."""
        seen: list[tuple[datetime, Decimal]] = []
        quiet_until: datetime | None = None
        for tick, price, good, _ in self.judged(symbol):
            if price is None:
                continue
            if self.step > WINDOW:
                earlier = [] if good is None else [good]
            else:
                earlier = [known for at, known in seen if tick - WINDOW <= at < tick]
            seen.append((tick, price))
            departures = [(abs(price / known - 1), known) for known in earlier if abs(price - known) * 20 >= known]
            if departures and (quiet_until is None or quiet_until <= tick):
                yield Swing(symbol, tick, max(departures)[1], price)
                quiet_until = tick + WINDOW

    def send_time(self, intended: datetime) -> datetime | None:
        """Say when an order intended at a tick can leave: at once, or at the next session's open."""
        opens, closes = session(new_york_day(intended))
        if opens <= intended < closes:
            return intended
        later = [day for day in self.days if session(day)[0] > intended]
        return session(later[0])[0] if later else None

    def execution(self, symbol: str, quantity: Decimal, sent: datetime) -> Execution | None:
        """Fill an order from the bars that start after it was sent, a tenth of each bar's volume at most."""
        left, used = quantity, []
        _, closes = session(new_york_day(sent))
        for row in self.rows[symbol]:
            if row.start < sent or row.start >= closes:
                continue
            share = row.volume / 10
            whole = quantity == quantity.to_integral_value()
            share = share.quantize(Decimal(1) if whole else Decimal("1e-9"), ROUND_DOWN)
            if share <= 0:
                continue
            used.append(row)
            left -= min(left, share)
            if left == 0:
                return Execution(row.end, min(r.low for r in used), max(r.high for r in used))
        return None

    def last_close(self, symbol: str) -> Decimal:
        return self.rows[symbol][-1].close

    def _going_ex(self, symbol: str, after: date | None, upto: date) -> Iterator[Action]:
        for action in self.actions:
            if after is not None and action.symbol == symbol and after < action.on <= upto:
                yield action


def confirmed(price: Decimal, good: Decimal, suspect: Decimal | None) -> bool:
    return suspect is not None and (price > good) == (suspect > good)


def new_york_day(instant: datetime) -> date:
    return instant.astimezone(NEW_YORK).date()


def session(day: date) -> tuple[datetime, datetime]:
    """Give a full session's open and close; the ranges replayed here hold no half day."""
    opens, closes = (datetime.combine(day, at, NEW_YORK) for at in (time(9, 30), time(16)))
    return opens.astimezone(UTC), closes.astimezone(UTC)


def market(
    folder: Path, symbols: Sequence[str], step: timedelta, first: str, last: str, actions: Path | None = None
) -> Market:
    """Read the rows of the New York days from `first` to `last`."""
    span = date.fromisoformat(first), date.fromisoformat(last)
    rows = {symbol: list(_rows(folder, symbol, step, span)) for symbol in symbols}
    return Market(rows=rows, step=step, actions=[] if actions is None else read_actions(actions))


def stop_breached_at(rows: Sequence[Row], place: int, *, quantity: str, symbol: str, loss: str) -> Holding:
    """Make a position whose stop the close of one row is the first to reach."""
    stop = rows[place].close.quantize(CENT, ROUND_CEILING)
    assert all(row.close > stop for row in rows[:place])
    held = Holding(
        symbol=symbol,
        quantity=Decimal(quantity),
        entry=(stop / (1 - Decimal(loss))).quantize(Decimal("0.0001"), ROUND_HALF_UP),
        loss=Decimal(loss),
    )
    assert held.stop == stop
    return held


def record_lows(rows: Sequence[Row]) -> list[int]:
    """List the rows whose close lies so far below every close before it that a stop in cents fits between."""
    lows = []
    lowest = rows[0].close
    for place, row in enumerate(rows[1:], start=1):
        if row.close.quantize(CENT, ROUND_CEILING) < lowest:
            lows.append(place)
        lowest = min(lowest, row.close)
    return lows


def read_actions(path: Path) -> list[Action]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            Action(
                line["symbol"],
                date.fromisoformat(line["ex_date"]),
                Decimal(line["ratio"]) if line["type"] == "split" else Decimal(1),
                Decimal(line["cash_amount"]) if line["type"] == "dividend" else Decimal(0),
            )
            for line in csv.DictReader(file)
        ]


def _rows(folder: Path, symbol: str, step: timedelta, span: tuple[date, date]) -> Iterator[Row]:
    files = [file for file in sorted(folder.iterdir()) if file.name.split("_")[0].split(".")[0] == symbol]
    for file in files:
        if "_quotes" in file.name:
            continue
        raw = file.read_bytes()
        text = (gzip.decompress(raw) if file.suffix == ".gz" else raw).decode()
        for line in csv.DictReader(text.splitlines()):
            if span[0] - DAY <= date.fromisoformat(line["ts"][:10]) <= span[1] + DAY:
                yield from _row(line, step, span)


def _row(line: Mapping[str, str], step: timedelta, span: tuple[date, date]) -> Iterator[Row]:
    stamp = datetime.fromisoformat(line["ts"].replace("Z", "+00:00"))
    day = stamp.date() if step == DAY else new_york_day(stamp)
    opens, closes = session(day)
    start, end = (opens, closes) if step == DAY else (max(stamp, opens), min(stamp + step, closes))
    if span[0] <= day <= span[1] and start < end:
        numbers = (Decimal(line[name]) for name in ("open", "low", "high", "close", "volume"))
        yield Row(start, end, *numbers)
