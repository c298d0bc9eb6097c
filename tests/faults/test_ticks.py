"""Ticks that come twice, late or out of order decide what they would have decided once, in order (faults 1 to 3)."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.adapters.memory.prices import MemoryPriceStore
from shared.domain.bars import Bar
from shared.domain.intents import OrderType, Side
from shared.domain.times import LATE_AFTER, Tick
from shared.use_cases.poll_prices import PollResult
from tests.fakes.desk import Desk, held
from tests.fakes.venue import AAPL, MINUTE, NOON, TSLA
from tests.unit.builders import judged

PRICES = st.sampled_from(["103", "100", "97", "95", "94", "70", "130"])
PATHS = st.lists(st.tuples(PRICES, PRICES), min_size=1, max_size=6)
"""Each minute's prices of a position with a trailing stop and of one that is bought again and again."""
TIMES = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=6)
"""How often each minute's poll and risk check come, one after the other."""
ECHOES = st.lists(st.lists(st.tuples(st.integers(0, 1), st.booleans()), max_size=3), max_size=6)
"""What comes again later in each minute: of this tick or the one before, a poll or a risk check."""


def trading(*, stops: bool = False) -> Desk:
    return Desk(held(TSLA, "10.4", "100", trailing="0.06"), held(AAPL, "3", "100"), stops=stops)


def begin_minute(desk: Desk, number: int, tsla: str, aapl: str) -> None:
    """Let the bars of a minute end, on the minute whatever was delivered within it, and decide on a purchase."""
    start = desk.tick.scheduled
    desk.wait(start + MINUTE - desk.clock.now())
    for symbol, price in ((TSLA, tsla), (AAPL, aapl)):
        each = Decimal(price)
        desk.world.exchange.on_bar(Bar(symbol, start, start + MINUTE, each, each, each, each, Decimal(1_000)))
        desk.set_price(symbol, price)
    desk.reconcile()
    desk.enter(AAPL, "2", cycle=f"cycle-{number}")


def state(desk: Desk) -> tuple[object, ...]:
    """Everything that a tick decides, with its times."""
    world = desk.world
    return (
        list(world.exchange.orders()),
        world.exchange.cash,
        world.positions.all(),
        desk.ledger,
        list(world.ledgers.every_closed()),
        world.prices.latest(),
        world.controls.trading_state(),
        world.controls.coverage(),
    )


def decided(desk: Desk) -> set[tuple[object, ...]]:
    """What was ever to be bought or sold, when, and on which price."""
    every = (*desk.world.ledgers.every_closed(), *desk.ledger.open.values())
    return {(i.id, i.created_at, i.quantity, i.filled_quantity, i.evidence.price) for i in every}


@given(path=PATHS, times=TIMES)
@settings(max_examples=60, deadline=None)
def test_a_tick_run_again_at_once_leaves_everything_as_the_first_run_left_it(
    path: list[tuple[str, str]], times: list[tuple[int, int]]
) -> None:
    once, again = trading(), trading()
    for number, (tsla, aapl) in enumerate(path):
        polls, checks = times[number] if number < len(times) else (2, 2)
        for desk, first, second in ((once, 1, 1), (again, polls, checks)):
            begin_minute(desk, number, tsla, aapl)
            results = [desk.use.poll_prices(desk.tick).result for _ in range(first)]
            assert results == [PollResult.STORED, *[PollResult.DUPLICATE] * (first - 1)]
            for _ in range(second):
                desk.check()
            desk.place()
        assert state(again) == state(once)


@given(path=PATHS, times=TIMES)
@settings(max_examples=60, deadline=None)
def test_ticks_run_again_leave_one_stop_at_the_broker_and_sell_no_share_twice(
    path: list[tuple[str, str]], times: list[tuple[int, int]]
) -> None:
    """A repeated check may take the next step towards the stop that is wanted; it never takes one twice."""
    desk = trading(stops=True)
    for number, (tsla, aapl) in enumerate(path):
        polls, checks = times[number] if number < len(times) else (2, 2)
        begin_minute(desk, number, tsla, aapl)
        for _ in range(polls):
            desk.poll()
        for _ in range(checks):
            desk.check()
            desk.place()
        live = [o for o in desk.world.exchange.live_orders() if o.order_type is OrderType.STOP]
        assert len({(o.symbol, o.time_in_force) for o in live}) == len(live)
        for symbol, begun in ((TSLA, Decimal("10.4")), (AAPL, Decimal(3))):
            selling = sum((o.quantity - o.filled_quantity for o in live if o.symbol == symbol), Decimal(0))
            left = begun + desk.filled(symbol, Side.BUY) - desk.filled(symbol, Side.SELL)
            assert Decimal(0) <= selling <= left


@given(path=PATHS, echoes=ECHOES)
@settings(max_examples=60, deadline=None)
def test_a_stream_with_late_and_repeated_ticks_decides_what_the_ordered_stream_decides(
    path: list[tuple[str, str]], echoes: list[list[tuple[int, bool]]]
) -> None:
    ordered, shuffled = trading(), trading()
    for number, (tsla, aapl) in enumerate(path):
        late = echoes[number] if number < len(echoes) else [(1, True), (0, False)]
        for desk, repeats in ((ordered, []), (shuffled, late)):
            begin_minute(desk, number, tsla, aapl)
            desk.poll()
            desk.check()
            desk.place()
            for back, polls in repeats:
                desk.wait(timedelta(seconds=5))
                tick = Tick(scheduled=desk.tick.scheduled - back * MINUTE)
                assert tick.lag(desk.clock.now()) <= LATE_AFTER
                if polls:
                    assert desk.use.poll_prices(tick).result is not PollResult.STORED
                else:
                    desk.use.check_risk(tick)
    assert decided(shuffled) == decided(ordered)
    assert shuffled.orders() == ordered.orders()
    assert shuffled.world.exchange.cash == ordered.world.exchange.cash


MINUTES = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["90", "100", "110", None])), min_size=1, max_size=25)


@given(delivered=MINUTES, data=st.data())
def test_minutes_stored_shuffled_and_doubled_are_those_stored_in_order(
    delivered: list[tuple[int, str | None]], data: st.DataObject
) -> None:
    """A minute is named by its time, so the order of arrival and repeats leave no trace in what moves are judged on."""
    by_minute = dict(delivered)
    shuffled = data.draw(st.permutations([*by_minute.items(), *by_minute.items()]))
    in_order, as_delivered = MemoryPriceStore(), MemoryPriceStore()
    for store, minutes in ((in_order, sorted(by_minute.items())), (as_delivered, shuffled)):
        new = [store.put_minute(Tick(scheduled=NOON + n * MINUTE), {TSLA: judged(price)}) for n, price in minutes]
        assert sum(new) == len(by_minute)
    since = NOON + data.draw(st.integers(0, 40)) * MINUTE
    until = since + 15 * MINUTE
    assert as_delivered.latest() == in_order.latest()
    assert as_delivered.window(since, until) == in_order.window(since, until)
    for _, quotes in in_order.window(since, until):
        price = quotes[TSLA].price
        bounds = as_delivered.bounds(since, until)
        assert price is None or bounds[TSLA].low <= price <= bounds[TSLA].high


def test_a_decision_taken_on_a_tick_that_came_late_opens_nothing_and_its_exit_goes_by_a_fresh_price() -> None:
    """Fault 2: 91 seconds late; the stop is judged on the price of now, not on that of the tick."""
    desk = Desk(held(TSLA, "10", "100"))
    desk.wait()
    desk.poll()
    tick = desk.tick
    desk.wait(LATE_AFTER + timedelta(seconds=1))
    desk.set_price(TSLA, "94")
    assert desk.enter(AAPL, "1", age=LATE_AFTER + timedelta(seconds=1)).intent is None
    [intent] = desk.use.check_risk(tick).prepared
    assert (intent.symbol, intent.evidence.price) == (TSLA, Decimal(94))
    desk.use.poll_prices(tick)
    assert desk.world.metrics.latest["tick_lag"] == (LATE_AFTER + timedelta(seconds=1)).total_seconds()
