"""What every price store promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import pytest

from shared.adapters.aws.prices import DynamoPriceStore
from shared.adapters.aws.table import Condition, Key
from shared.adapters.memory.prices import MemoryPriceStore
from shared.domain.assets import Symbol
from shared.domain.moves import Bounds
from shared.domain.quotes import NO_DOUBTS, Doubt, JudgedQuote
from shared.domain.times import Tick
from shared.ports.prices import PriceStore
from tests.contract.conftest import NewTable
from tests.fakes.racing import WRITERS, race

START = datetime(2026, 6, 10, 13, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TSLA, KO = Symbol("TSLA"), Symbol("KO")

STORES: dict[str, Callable[[NewTable], PriceStore]] = {
    "memory": lambda new_table: MemoryPriceStore(),
    "dynamodb": lambda new_table: DynamoPriceStore(new_table()),
}


@pytest.fixture(params=sorted(STORES))
def store(request: pytest.FixtureRequest, new_table: NewTable) -> PriceStore:
    return STORES[request.param](new_table)


def tick(minute: int) -> Tick:
    return Tick(scheduled=START + minute * MINUTE)


def judged(symbol: Symbol, price: str) -> JudgedQuote:
    amount = Decimal(price)
    return JudgedQuote(symbol, amount, amount, amount, START, "bars", NO_DOUBTS, amount, START, None, None)


def blind(symbol: Symbol) -> JudgedQuote:
    doubts = frozenset({Doubt.STALE, Doubt.UNCONFIRMED})
    return JudgedQuote(
        symbol, None, None, None, None, "none", doubts, Decimal("320.125"), START, Decimal("201.5"), START
    )


def test_empty_store_has_no_latest_minute_and_an_empty_window(store: PriceStore) -> None:
    assert store.latest() is None
    assert list(store.window(START, START + MINUTE)) == []


def test_minute_reads_back_as_it_was_put(store: PriceStore) -> None:
    quotes = {TSLA: judged(TSLA, "320.1250"), KO: blind(KO)}

    assert store.put_minute(tick(0), quotes)

    latest = store.latest()
    assert latest is not None
    assert latest.at == START
    assert dict(latest.quotes) == quotes


def test_same_tick_is_stored_once_and_the_first_stands(store: PriceStore) -> None:
    assert store.put_minute(tick(0), {TSLA: judged(TSLA, "320")})
    assert not store.put_minute(tick(0), {TSLA: judged(TSLA, "1")})

    assert [minute.quotes[TSLA].price for minute in store.window(START, START + MINUTE)] == [Decimal(320)]


def test_latest_moves_forward_only(store: PriceStore) -> None:
    store.put_minute(tick(5), {TSLA: judged(TSLA, "5")})
    assert store.put_minute(tick(3), {TSLA: judged(TSLA, "3")})

    latest = store.latest()
    assert latest is not None
    assert latest.at == tick(5).scheduled


def test_late_tick_fills_its_place_in_the_window(store: PriceStore) -> None:
    for minute in (0, 2, 1):
        store.put_minute(tick(minute), {TSLA: judged(TSLA, str(minute + 1))})

    assert [minute.at for minute in store.window(START, START + 3 * MINUTE)] == [tick(n).scheduled for n in range(3)]
    assert not store.put_minute(tick(1), {})


def test_window_includes_its_start_and_excludes_its_end(store: PriceStore) -> None:
    for minute in range(16):
        store.put_minute(tick(minute), {TSLA: judged(TSLA, "320")})

    window = store.window(tick(0).scheduled, tick(15).scheduled)

    assert len(window) == 15
    assert (window[0].at, window[-1].at) == (tick(0).scheduled, tick(14).scheduled)


def test_stored_minute_does_not_follow_later_changes_of_what_was_put(store: PriceStore) -> None:
    quotes = {TSLA: judged(TSLA, "320")}
    store.put_minute(tick(0), quotes)
    quotes.clear()

    latest = store.latest()
    assert latest is not None
    assert set(latest.quotes) == {TSLA}


def test_tick_without_quotes_counts_as_stored(store: PriceStore) -> None:
    assert store.put_minute(tick(0), {})
    assert not store.put_minute(tick(0), {TSLA: judged(TSLA, "320")})


def test_bounds_of_an_empty_store_are_none(store: PriceStore) -> None:
    assert not store.bounds(START, START + MINUTE)


def test_blind_symbol_has_no_bounds(store: PriceStore) -> None:
    store.put_minute(tick(0), {TSLA: judged(TSLA, "320"), KO: blind(KO)})

    assert set(store.bounds(START, START + MINUTE)) == {TSLA}


def test_bounds_enclose_every_price_of_every_window_whatever_was_put_and_asked_before(store: PriceStore) -> None:
    random = Random(7)
    for minute in random.sample(range(180), k=180):
        quotes = {symbol: judged(symbol, str(random.randrange(50, 150))) for symbol in (TSLA, KO)}
        store.put_minute(tick(minute), quotes if random.random() < 0.9 else {TSLA: blind(TSLA)})
        since = tick(random.randrange(180)).scheduled
        before = since + random.randrange(1, 60) * MINUTE
        bounds = store.bounds(since, before)
        for stored in store.window(since, before):
            for symbol, quote in stored.quotes.items():
                assert quote.price is None or bounds[symbol].low <= quote.price <= bounds[symbol].high


def test_empty_stretch_has_an_empty_window(store: PriceStore) -> None:
    store.put_minute(tick(0), {TSLA: judged(TSLA, "320")})

    assert list(store.window(START, START)) == []
    assert list(store.window(START + MINUTE, START)) == []


def test_of_parallel_puts_of_one_tick_one_is_stored(store: PriceStore) -> None:
    prices = [str(number + 1) for number in range(WRITERS)]

    stored = race(lambda number: store.put_minute(tick(0), {TSLA: judged(TSLA, prices[number])}))

    assert stored.count(True) == 1
    (minute,) = store.window(START, START + MINUTE)
    assert minute.quotes[TSLA].price == Decimal(prices[stored.index(True)])
    assert store.latest() == minute


def test_parallel_ticks_are_all_stored_and_the_newest_is_the_latest(store: PriceStore) -> None:
    stored = race(lambda number: store.put_minute(tick(number), {TSLA: judged(TSLA, str(number + 1))}))

    latest = store.latest()
    assert all(stored)
    assert latest is not None
    assert latest.at == tick(WRITERS - 1).scheduled
    assert [minute.at for minute in store.window(START, START + WRITERS * MINUTE)] == [
        tick(number).scheduled for number in range(WRITERS)
    ]


def test_sixteen_ticks_leave_one_item_each_and_fifteen_in_a_window_of_fifteen_minutes(new_table: NewTable) -> None:
    table = new_table()
    store = DynamoPriceStore(table)
    symbols = [Symbol(f"SYM{number}") for number in range(30)]
    for minute in range(16):
        store.put_minute(tick(minute), {symbol: judged(symbol, "320.1250") for symbol in symbols})

    items = table.query("minutes")
    window = store.window(tick(1).scheduled, tick(16).scheduled)

    assert len(items) == 16
    assert [len(minute.quotes) for minute in window] == [30] * 15
    assert [item["expires"] for item in items] == [
        int((tick(minute).scheduled + timedelta(days=2)).timestamp()) for minute in range(16)
    ]


def test_latest_minute_outlives_the_table_forgetting_the_others(new_table: NewTable) -> None:
    table = new_table()
    store = DynamoPriceStore(table)
    store.put_minute(tick(0), {TSLA: judged(TSLA, "320")})

    latest = table.get(Key("latest", "minute"))

    assert latest is not None
    assert "expires" not in latest


def test_tick_delivered_again_makes_up_for_a_run_that_ended_between_its_two_writes(new_table: NewTable) -> None:
    table = new_table()
    store = DynamoPriceStore(table)
    store.put_minute(tick(0), {TSLA: judged(TSLA, "320")})
    store.put_minute(tick(1), {TSLA: judged(TSLA, "321")})
    assert table.delete(Key("latest", "minute"), schema=1, when=Condition("#at > :at", {"at": 0}))

    assert not store.put_minute(tick(1), {TSLA: judged(TSLA, "999")})

    latest = store.latest()
    assert latest is not None
    assert (latest.at, latest.quotes[TSLA].price) == (tick(1).scheduled, Decimal(321))


def test_minute_of_five_hundred_symbols_fits_twice_into_an_item(new_table: NewTable) -> None:
    table = new_table()
    quotes = {symbol: blind(symbol) for symbol in (Symbol(f"SYM{number}") for number in range(500))}
    DynamoPriceStore(table).put_minute(tick(0), quotes)

    (item,) = table.query("minutes")
    assert len(str(item["body"])) < 200 * 1024


def test_memory_store_makes_its_bounds_anew() -> None:
    store = MemoryPriceStore()
    store.put_minute(tick(0), {TSLA: judged(TSLA, "999")})
    for minute in range(1, 120):
        store.put_minute(tick(minute), {TSLA: judged(TSLA, "100")})
        bounds = store.bounds(tick(minute - 15).scheduled, tick(minute).scheduled)

    assert bounds[TSLA] == Bounds(Decimal(100), Decimal(100))


def test_memory_store_forgets_what_is_older_than_it_keeps() -> None:
    store = MemoryPriceStore(keep=15 * MINUTE)
    for minute in range(60):
        store.put_minute(tick(minute), {})

    assert len(store.window(START, START + 60 * MINUTE)) == 16
    assert not store.put_minute(tick(20), {})
