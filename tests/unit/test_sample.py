"""The sample day tells the story it is meant to tell, and its files are what the generator makes."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from hearthwatch.sample import generate
from shared.adapters.bar_files.bar_set import BarSet, load
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.contracts.portfolio import load_portfolio
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.moves import Move, MoveRule, find_move
from shared.domain.quotes import FreshnessLimits, JudgedQuote, Quote, judge_quote
from shared.domain.stops import is_due
from tests.samples import generate as test_samples

MOVES = MoveRule()


@pytest.fixture(scope="module")
def day() -> BarSet:
    return load(generate.FOLDER / "bars", LibraryCalendar())


def judged(bars: Sequence[Bar]) -> Iterator[tuple[datetime, JudgedQuote]]:
    previous = None
    for bar in bars:
        quote = Quote(bar.symbol, bar.close, bar.close, bar.close, bar.end, bar.end, "bars")
        previous = judge_quote(bar.symbol, quote, None, previous, bar.end, FreshnessLimits())
        yield bar.end, previous


def moves_of(bars: Sequence[Bar]) -> list[Move]:
    moves: list[Move] = []
    window: list[tuple[datetime, Decimal]] = []
    for at, quote in judged(bars):
        if quote.price is None:
            continue
        window = [(then, price) for then, price in window if then >= at - MOVES.window]
        move = find_move(bars[0].symbol, quote.price, at, [price for _, price in window], MOVES.threshold)
        if move and (not moves or at >= moves[-1].at + MOVES.cooldown):
            moves.append(move)
        window.append((at, quote.price))
    return moves


def test_files_are_what_the_generator_makes() -> None:
    for name, text in generate.files().items():
        assert (generate.FOLDER / name).read_text(encoding="utf-8") == text, name


def test_test_samples_are_what_their_generator_makes() -> None:
    for name, text in test_samples.files().items():
        content = (test_samples.FOLDER / name).read_bytes()
        assert (gzip.decompress(content) if name.endswith(".gz") else content).decode() == text, name


def test_no_other_file_lies_among_the_samples() -> None:
    made = {test_samples.FOLDER / name for name in test_samples.files()}
    bars = {path for path in (test_samples.FOLDER / "data").glob("bars-*/*") if path.is_file()}

    assert bars == made


def test_sample_is_one_whole_session_in_little_space(day: BarSet) -> None:
    files = [path for path in generate.FOLDER.rglob("*") if path.suffix in (".csv", ".json")]

    assert [each.date for each in day.days] == [date(2026, 6, 10)]
    assert {len(bars) for bars in day.bars.values()} == {390}
    assert day.outside_session == 0
    assert sum(path.stat().st_size for path in files) < 150_000


def test_exactly_two_stops_are_breached_by_a_price_that_counts(day: BarSet) -> None:
    sold = {}
    for entry in load_portfolio(generate.FOLDER / "portfolio.json").positions:
        position = entry.to_domain(generate.OPENS, date(2026, 6, 9))
        for at, quote in judged(day.bars[position.symbol]):
            if quote.price is not None and is_due(position, quote.price):
                sold[str(position.symbol)] = at
                break

    assert sold == {
        "TSLA": datetime(2026, 6, 10, 16, 2, tzinfo=UTC),
        "MRNA": datetime(2026, 6, 10, 17, 52, tzinfo=UTC),
    }


def test_wild_print_of_aapl_lasts_one_minute_and_counts_for_nothing(day: BarSet) -> None:
    (entry,) = (each for each in load_portfolio(generate.FOLDER / "portfolio.json").positions if each.symbol == "AAPL")
    position = entry.to_domain(generate.OPENS, date(2026, 6, 9))
    quotes = dict(judged(day.bars[position.symbol]))
    breached = [bar.end for bar in day.bars[position.symbol] if bar.close <= position.stop_price]

    assert breached == [datetime(2026, 6, 10, 16, 51, tzinfo=UTC)]
    assert quotes[breached[0]].price is None
    assert quotes[breached[0] + timedelta(minutes=1)].opens_positions


def test_moves_are_the_crash_of_nvda_and_the_gap_of_mrna(day: BarSet) -> None:
    moves = {symbol: moves_of(bars) for symbol, bars in day.bars.items()}

    assert {symbol: len(found) for symbol, found in moves.items() if found} == {"MRNA": 1, "NVDA": 1}
    assert moves[Symbol("NVDA")][0].change < Decimal("-0.05")


def test_nvda_recovers_what_it_lost(day: BarSet) -> None:
    closes = [bar.close for bar in day.bars[Symbol("NVDA")]]

    assert min(closes) < Decimal("0.94") * closes[0]
    assert closes[-1] > Decimal("0.99") * closes[0]


def test_ko_does_nothing(day: BarSet) -> None:
    closes = [bar.close for bar in day.bars[Symbol("KO")]]

    assert max(closes) < Decimal("1.01") * min(closes)
