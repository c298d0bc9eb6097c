"""Polling: one request, the backup on doubt, each tick once, moves reported once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier

import pytest

from shared.domain.alerts import AlertKind, Severity
from shared.domain.assets import Symbol
from shared.domain.errors import Throttled, Unavailable
from shared.domain.quotes import Doubt, Quote
from shared.domain.times import Tick
from shared.use_cases.poll_prices import PollReport, PollResult
from tests.fakes.desk import NVDA, START, Desk, held
from tests.fakes.venue import AAPL, CLOSE, MINUTE, NIGHT, OPEN, TSLA

THIRTY = tuple(Symbol(f"S{chr(65 + n // 26)}{chr(65 + n % 26)}") for n in range(30))


def poll(desk: Desk, tick: Tick | None = None) -> PollReport:
    return desk.use.poll_prices(tick or desk.tick)


def next_minute(desk: Desk) -> PollReport:
    desk.wait()
    return poll(desk)


def test_thirty_symbols_are_priced_with_one_request() -> None:
    desk = Desk(watched=THIRTY, blank=True)
    report = poll(desk)
    assert [len(symbols) for symbols in desk.primary.requests] == [30]
    assert desk.backup.requests == []
    assert {quote.price for quote in report.quotes.values()} == {Decimal(100)}
    assert all(quote.opens_positions for quote in report.quotes.values())


def test_held_and_ordered_symbols_are_priced_beside_the_watched_ones_each_once() -> None:
    desk = Desk(held(Symbol("KO"), "5", "100"), held(TSLA, "5", "100"), blank=True)
    desk.set_price(Symbol("KO"), "100")
    poll(desk)
    assert desk.primary.requests == [(TSLA, AAPL, NVDA, Symbol("KO"))]


@pytest.mark.parametrize("error", [Unavailable("timeout after 5 s"), Throttled("429", timedelta(seconds=30))])
def test_a_dead_primary_leaves_the_backup_prices_which_say_so(error: Unavailable | Throttled) -> None:
    desk = Desk(blank=True)
    desk.primary.down = error
    desk.backup.set(TSLA, "101")
    report = poll(desk)
    quote = report.quotes[TSLA]
    assert report.result is PollResult.STORED
    assert (quote.price, quote.feed) == (Decimal(101), "backup")
    assert Doubt.BACKUP_PRICE in quote.doubts
    assert not quote.opens_positions
    assert report.quotes[AAPL].is_blind
    assert desk.backup.requests == [(TSLA, AAPL, NVDA)]


def test_both_providers_dead_leaves_every_symbol_blind_and_the_minute_stored() -> None:
    desk = Desk(blank=True)
    desk.primary.down = desk.backup.down = Unavailable("no route")
    report = poll(desk)
    assert report.result is PollResult.STORED
    assert all(quote.is_blind for quote in report.quotes.values())


def test_the_backup_is_asked_only_for_the_symbol_in_doubt() -> None:
    desk = Desk()
    desk.wait()
    now = desk.clock.now()
    desk.primary.set_quote(Quote(TSLA, None, None, Decimal("NaN"), now, now, "primary"))
    desk.backup.set(TSLA, "99")
    report = poll(desk)
    assert desk.backup.requests == [(TSLA,)]
    assert report.quotes[TSLA].price == Decimal(99)
    assert report.quotes[AAPL].feed == "primary"


def test_the_same_tick_again_is_a_duplicate_without_effect() -> None:
    desk = Desk()
    desk.wait()
    desk.set_price(TSLA, "106")
    assert poll(desk).result is PollResult.STORED
    before = (len(desk.world.alerts), len(desk.world.cycles), len(desk.primary.requests), desk.world.prices.latest())
    desk.set_price(TSLA, "120")
    assert poll(desk).result is PollResult.DUPLICATE
    after = (len(desk.world.alerts), len(desk.world.cycles), len(desk.primary.requests), desk.world.prices.latest())
    assert after == before


def test_two_runs_of_one_tick_at_once_store_one_minute() -> None:
    desk = Desk()
    desk.wait()
    second: list[PollReport] = []
    desk.faults.before("prices.put_minute", lambda: second.append(poll(desk)))
    first = poll(desk)
    assert [second[0].result, first.result] == [PollResult.STORED, PollResult.DUPLICATE]


def test_an_older_tick_delivered_late_stores_no_price_of_now_under_its_minute() -> None:
    desk = Desk()
    late = Tick(scheduled=START + MINUTE)
    desk.wait(2 * MINUTE)
    newest = poll(desk)
    desk.set_price(TSLA, "120")
    report = poll(desk, late)
    assert report.result is PollResult.LATE
    assert not report.moves
    latest = desk.world.prices.latest()
    assert latest is not None
    assert latest.quotes == newest.quotes
    window = desk.world.prices.window(START, START + 3 * MINUTE)
    assert [minute.at for minute in window] == [START, START + 2 * MINUTE]


def test_the_lag_of_a_tick_is_measured_from_its_scheduled_minute() -> None:
    desk = Desk()
    tick = Tick(scheduled=START + MINUTE)
    desk.wait(timedelta(seconds=180))
    poll(desk, tick)
    assert desk.world.metrics.latest["tick_lag"] == 120.0


@pytest.mark.parametrize("at", [OPEN - MINUTE, CLOSE + MINUTE, NIGHT, OPEN + timedelta(days=3)])
def test_outside_the_session_nothing_is_asked(at: object) -> None:
    desk = Desk(blank=True, start=at)  # type: ignore[arg-type]
    assert poll(desk).result is PollResult.CLOSED
    assert desk.primary.requests == []


@pytest.mark.parametrize("at", [OPEN, CLOSE])
def test_open_and_close_themselves_are_priced(at: object) -> None:
    desk = Desk(blank=True, start=at)  # type: ignore[arg-type]
    assert poll(desk).result is PollResult.STORED


# moves


@pytest.mark.parametrize(("price", "moves"), [("105", 1), ("95", 1), ("104.99", 0), ("95.01", 0)])
def test_a_move_counts_from_five_percent(price: str, moves: int) -> None:
    desk = Desk()
    desk.set_price(TSLA, price)
    assert len(next_minute(desk).moves) == moves
    assert len(desk.world.cycles) == moves
    assert desk.facts("move_detected") == moves
    assert desk.kinds().count(AlertKind.PRICE_MOVE) == moves


def test_a_swing_that_starts_inside_the_window_counts_from_its_low() -> None:
    desk = Desk()
    for price in ("98", "97", "99", "101.85"):
        desk.set_price(TSLA, price)
        report = next_minute(desk)
    assert [(move.from_price, move.price) for move in report.moves] == [(Decimal(97), Decimal("101.85"))]


def test_a_slide_over_sixteen_minutes_is_no_move_and_over_fifteen_it_is() -> None:
    for minutes, expected in ((16, 0), (15, 1)):
        desk = Desk()
        found = 0
        for step in range(1, minutes + 1):
            desk.set_price(TSLA, str(100 - Decimal(5) * step / minutes))
            found += len(next_minute(desk).moves)
        assert found == expected


def test_sixteen_ticks_leave_a_window_of_fifteen() -> None:
    desk = Desk()
    for _ in range(15):
        next_minute(desk)
    now = desk.clock.now()
    window = desk.world.prices.window(now - timedelta(minutes=15), now)
    assert len(window) == 15
    assert window[0].at == START


def test_after_a_move_the_symbol_is_quiet_for_fifteen_minutes() -> None:
    desk = Desk()
    reported = []
    price = Decimal(100)
    for minute in range(1, 33):
        price *= Decimal("1.06")
        desk.set_price(TSLA, str(price.quantize(Decimal("0.01"))))
        if next_minute(desk).moves:
            reported.append(minute)
    assert reported == [1, 16, 31]


def test_the_quiet_time_of_one_symbol_leaves_another_alone() -> None:
    desk = Desk()
    desk.set_price(TSLA, "106")
    next_minute(desk)
    desk.set_price(AAPL, "106")
    assert [move.symbol for move in next_minute(desk).moves] == [AAPL]


def test_fifty_runs_that_find_one_move_at_once_give_one_event() -> None:
    desk = Desk()
    desk.wait()
    desk.set_price(TSLA, "106")
    desk.set_price(AAPL, "94")
    start = Barrier(50)
    # every run believes that its minute is the first, as racing runs do
    desk.world.prices.put_minute = lambda tick, quotes: True  # type: ignore[method-assign]
    tick = desk.tick

    def run() -> PollReport:
        start.wait()
        return desk.use.poll_prices(tick)

    with ThreadPoolExecutor(50) as pool:
        reports = [future.result() for future in [pool.submit(run) for _ in range(50)]]
    moves = [move.symbol for report in reports for move in report.moves]
    assert sorted(moves) == [AAPL, TSLA]
    assert len(desk.world.cycles) == 2
    assert desk.facts("move_detected") == 2


def test_a_symbol_whose_queue_fails_does_not_stop_the_rest_and_is_reported_next_tick() -> None:
    desk = Desk()
    for symbol in (TSLA, AAPL, NVDA):
        desk.set_price(symbol, "106")
    desk.faults.fail("cycles.send", Unavailable("poison"), when=lambda move: move.symbol == AAPL)
    report = next_minute(desk)
    assert [move.symbol for move in report.moves] == [TSLA, NVDA]
    assert len(report.problems) == 1
    assert "AAPL" in report.problems[0]
    desk.faults.mend()
    assert [move.symbol for move in next_minute(desk).moves] == [AAPL]


def test_a_move_whose_alert_cannot_be_queued_still_starts_one_cycle_and_keeps_its_quiet_time() -> None:
    desk = Desk()
    desk.faults.fail("alerts.send", Unavailable("down"))
    desk.set_price(TSLA, "106")
    assert len(next_minute(desk).moves) == 1
    assert len(next_minute(desk).moves) == 0
    assert len(desk.world.cycles) == 1


def test_a_move_without_history_says_that_its_volatility_is_unknown() -> None:
    desk = Desk()
    desk.set_price(TSLA, "106")
    move = next_minute(desk).moves[0]
    assert (move.sigmas, move.is_extreme) == (None, None)
    alert = next(alert for alert in desk.heard() if alert.kind == AlertKind.PRICE_MOVE)
    assert "unknown volatility" in alert.text


def test_an_unconfirmed_print_is_told_and_moves_nothing() -> None:
    desk = Desk()
    desk.set_price(TSLA, "70")
    report = next_minute(desk)
    assert report.quotes[TSLA].is_blind
    assert not report.moves
    assert AlertKind.PRICE_UNCONFIRMED in desk.kinds()
    assert desk.backup.requests == [(TSLA,)]


def test_two_sources_apart_are_told() -> None:
    desk = Desk()
    desk.set_price(TSLA, "121")
    desk.backup.set(TSLA, "100")
    report = next_minute(desk)
    assert not report.quotes[TSLA].opens_positions
    assert AlertKind.PRICE_DISPUTED in desk.kinds() or report.quotes[TSLA].is_blind


# gaps and blindness


@pytest.mark.parametrize(("minutes", "told"), [(3, False), (4, True)])
def test_a_gap_between_ticks_of_more_than_three_minutes_is_told(minutes: int, told: bool) -> None:
    desk = Desk()
    desk.wait(minutes * MINUTE)
    poll(desk)
    assert (AlertKind.TICKS_MISSED in desk.kinds()) is told


def test_the_night_is_no_gap() -> None:
    desk = Desk(start=CLOSE)
    desk.wait(OPEN + timedelta(days=1) - CLOSE)
    poll(desk)
    assert AlertKind.TICKS_MISSED not in desk.kinds()


def test_a_symbol_blind_for_five_minutes_is_told_and_so_is_its_recovery() -> None:
    desk = Desk()
    desk.primary.forget(TSLA)
    told = []
    for _ in range(7):
        next_minute(desk)
        told.append([a for a in desk.heard() if a.kind == AlertKind.SYMBOL_BLIND])
    assert [bool(alerts) for alerts in told] == [False] * 5 + [True] * 2
    assert {alert.severity for alerts in told for alert in alerts} == {Severity.CRITICAL}
    desk.set_price(TSLA, "100")
    next_minute(desk)
    recovery = [a for a in desk.heard() if a.kind == AlertKind.SYMBOL_BLIND]
    assert [alert.recovers for alert in recovery] == [True]
    next_minute(desk)
    assert desk.heard() == []


def test_a_short_blindness_is_not_told() -> None:
    desk = Desk()
    desk.primary.forget(TSLA)
    for _ in range(4):
        next_minute(desk)
    desk.set_price(TSLA, "100")
    next_minute(desk)
    assert AlertKind.SYMBOL_BLIND not in desk.kinds()


def test_a_frozen_feed_turns_every_symbol_blind_after_ninety_seconds() -> None:
    desk = Desk()
    desk.primary.freeze()
    assert not next_minute(desk).quotes[TSLA].is_blind
    report = next_minute(desk)
    assert report.quotes[TSLA].is_blind
    assert Doubt.STALE in report.quotes[TSLA].doubts
