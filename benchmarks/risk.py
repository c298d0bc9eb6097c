"""What it costs to check one position, beside comparing two decimals in a bare loop.

Compared: `judging` asks for each position whether its stop is reached, as every tick does. `risk check` is the whole
use case on memory ports: positions, stored quotes, coverage, trading state and metrics; what it does once a tick weighs
heavily on few positions. The bare loop compares price and stop of the same positions and knows nothing else.

To read: the aim is a microsecond a position for the risk check once there are more than a few, and a judging that
stays within a few times the bare comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from benchmarks.figures import Figure, Say, best_of, settled
from benchmarks.market import CALENDAR, MINUTE, held_in, minute_bars, sessions
from shared.adapters.memory.prices import BarFeed
from shared.bootstrap.offline import OFFLINE_ACCOUNT, OfflineWorld, offline_world
from shared.bootstrap.wiring import Rules, UseCases
from shared.domain.positions import Position
from shared.domain.stops import is_due
from shared.domain.times import Tick

SIZES: Final = (1, 10, 100, 500)
CHECKS: Final = 200_000
"""Positions judged per round, however many are held."""
ROUNDS: Final = 5


def measure(say: Say) -> list[Figure]:
    """Measure the check of a quiet tick, the state of almost every minute."""
    figures = []
    for count in SIZES:
        say(f"positions: {count}")
        figures += _of(count)
    return figures


def _of(count: int) -> list[Figure]:
    world, use_cases, tick = _quiet_tick(count)
    minute = world.prices.latest()
    prices = [q.price for q in minute.quotes.values() if q.price is not None] if minute is not None else []
    pairs = list(zip(world.positions.all(), prices, strict=True))
    bare_pairs = [(position.stop_price, price) for position, price in pairs]
    times = CHECKS // count

    def judge() -> None:
        for _ in range(times):
            _judge(pairs)

    def compare() -> None:
        for _ in range(times):
            _compare(bare_pairs)

    def check() -> None:
        for _ in range(times // 10):
            use_cases.check_risk(tick)

    with settled():
        bare, judging = (best_of(ROUNDS, work) / times / count * 1e9 for work in (compare, judge))
        whole = best_of(ROUNDS, check) / (times // 10) / count * 1e9
    hold = "up to 1,000" if count >= SIZES[1] else ""
    return [
        Figure(f"risk check, positions: {count}", whole, "ns each", hold),
        Figure(f"judging, positions: {count}", judging, "ns each"),
        Figure(f"judging : bare comparing, positions: {count}", judging / bare, "x"),
    ]


def _quiet_tick(count: int) -> tuple[OfflineWorld, UseCases, Tick]:
    """Set up a world in which every symbol is held and has just been priced, far from any stop."""
    bars = minute_bars(count, sessions(1))
    day = bars.days[0]
    feed = BarFeed(bars.bars, bars.days)
    world = offline_world(
        start=day.opens,
        calendar=CALENDAR,
        cash=Decimal(100_000),
        positions=held_in(bars.symbols)(day.opens, day.date),
        watched=bars.symbols,
        primary=feed,
    )
    use_cases = UseCases(world.ports(), OFFLINE_ACCOUNT, Rules())
    tick = Tick(scheduled=day.opens + MINUTE)
    world.clock.set(tick.scheduled)
    feed.advance(tick.scheduled)
    use_cases.reconcile_orders()
    use_cases.poll_prices(tick)
    use_cases.check_risk(tick)
    return world, use_cases, tick


def _judge(pairs: Sequence[tuple[Position, Decimal]]) -> int:
    due = 0
    for position, price in pairs:
        if is_due(position, price):
            due += 1
    return due


def _compare(pairs: Sequence[tuple[Decimal, Decimal]]) -> int:
    due = 0
    for stop, price in pairs:
        if price <= stop:
            due += 1
    return due
