"""Recorded days that went wrong, and recorded splits: no false sale and no missed one, by a second reckoning.

March 2020 by the hour and, without its first hours, by five minutes; the splits of the daily set, known and with the
file of actions taken away. The day of 2025-10-10 and the 7:1 split by the minute are in test_replay.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import ReferenceData
from tests.end_to_end.checker import check_replay, moment
from tests.end_to_end.expected import CENT, DAY, MINUTE, Course, Holding, Market, market, new_york_day
from tests.end_to_end.replaying import Report, replay
from tests.end_to_end.test_replay import copied, nothing_is_sold

MARCH = ("2020-03-02", "2020-03-31")
WITHOUT_FIRST_HOURS = ("2020-03-09", "2020-03-20")
BAD_PRINT = "2020-03-16"


def bought_at_first(bars: Market, quantities: dict[str, str], loss: str) -> list[Holding]:
    """Hold each symbol from its first close on."""
    return [
        Holding(symbol=symbol, quantity=Decimal(quantity), entry=bars.rows[symbol][0].close, loss=Decimal(loss))
        for symbol, quantity in quantities.items()
    ]


def sold(course: Course) -> Decimal:
    """Add up what is sold of a position: under its stops, and after a breach."""
    stopped = sum((stop.quantity - stop.left for stop in course.stops), Decimal(0))
    return stopped + (course.breach.holding.quantity if course.breach and course.execution else Decimal(0))


def lows_reach(bars: Market, held: Holding) -> bool:
    return any(row.low <= held.stop for row in bars.rows[held.symbol])


# March 2020 by the hour


@pytest.mark.parametrize("loss", ["0.03", "0.08", "0.15", "0.20", "0.45"])
def test_a_falling_month_by_the_hour_sells_what_is_reached_and_nothing_else(
    reference_data: ReferenceData, tmp_path: Path, loss: str
) -> None:
    folder = reference_data.path("data", "bars-1hour-us-2018-2021-lean")
    bars = market(folder, ("AAPL", "SPY"), 60 * MINUTE, *MARCH)
    held = bought_at_first(bars, {"AAPL": "10.4", "SPY": "0.75"}, loss)
    words = ("--bars", folder, "--symbols", "AAPL,SPY", "--from", MARCH[0], "--to", MARCH[1])
    courses = check_replay(replay(tmp_path, *words, holdings=held), bars, held)
    reached = {each.symbol for each in held if lows_reach(bars, each)}
    assert {symbol for symbol, course in courses.items() if course.sold_at} <= reached
    assert (sold(courses["AAPL"]) >= 10) is ("AAPL" in reached)
    assert (loss == "0.45") is nothing_is_sold(courses)


# March 2020 by five minutes, without the first hours


def replay_spy(reference_data: ReferenceData, tmp_path: Path, span: tuple[str, str], held: list[Holding]) -> Report:
    folder = reference_data.path("data", "bars-5min-spy-2018-2020")
    return replay(tmp_path, "--bars", folder, "--from", span[0], "--to", span[1], holdings=held)


def spy(reference_data: ReferenceData, span: tuple[str, str]) -> Market:
    return market(reference_data.path("data", "bars-5min-spy-2018-2020"), ("SPY",), 5 * MINUTE, *span)


@pytest.mark.parametrize("loss", ["0.02", "0.06", "0.12", "0.40"])
@pytest.mark.parametrize("quantity", ["12", "12.5", "0.5"])
def test_mornings_without_prices_sell_what_is_reached_afterwards_and_nothing_else(
    reference_data: ReferenceData, tmp_path: Path, quantity: str, loss: str
) -> None:
    bars = spy(reference_data, WITHOUT_FIRST_HOURS)
    held = bought_at_first(bars, {"SPY": quantity}, loss)
    report = replay_spy(reference_data, tmp_path, WITHOUT_FIRST_HOURS, held)
    course = check_replay(report, bars, held)["SPY"]
    assert (course.sold_at is None) is (loss == "0.40")
    assert sold(course) == (0 if loss == "0.40" else Decimal(quantity))
    assert {new_york_day(moment(state["at"])) for state in report["trading_state"] if "stale_data" in state["reasons"]}


def test_nothing_is_sold_while_trading_was_halted(reference_data: ReferenceData, tmp_path: Path) -> None:
    day = ("2020-03-18", "2020-03-18")
    bars = spy(reference_data, day)
    halted = [row for row in bars.rows["SPY"] if not row.volume]
    assert len(halted) == 2
    before = [row for row in bars.rows["SPY"] if row.end <= halted[0].start]
    reached = min(row.low for row in before) - CENT
    held = [Holding(symbol="SPY", quantity=Decimal(7), entry=(reached * 2).quantize(CENT), loss=Decimal("0.5"))]
    course = check_replay(replay_spy(reference_data, tmp_path, day, held), bars, held)["SPY"]
    assert not {fill.at for stop in course.stops for fill in stop.fills} & {row.end for row in halted}


def test_a_bad_low_print_reaches_the_stop_at_the_exchange_and_not_ours(
    reference_data: ReferenceData, tmp_path: Path
) -> None:
    bars = spy(reference_data, (BAD_PRINT, BAD_PRINT))
    spoilt = moment(f"{BAD_PRINT}T18:45:00Z")
    place = next(number for number, row in enumerate(bars.rows["SPY"]) if row.start == spoilt)
    row, before = bars.rows["SPY"][place], bars.rows["SPY"][:place]
    stop = ((row.low + min(min(each.low for each in before), row.close)) / 2).quantize(CENT)
    held = [Holding(symbol="SPY", quantity=Decimal("10.5"), entry=stop * 2, loss=Decimal("0.5"))]
    report = replay_spy(reference_data, tmp_path, (BAD_PRINT, BAD_PRINT), held)
    course = check_replay(report, bars, held)["SPY"]
    assert [fill.at for each in course.stops for fill in each.fills] == [row.end]
    assert course.breach is None or course.breach.at > row.end


# splits of the daily set


class Split(NamedTuple):
    symbol: str
    first: str
    on: str
    last: str
    ratio: int


SPLITS = [
    Split("AAPL", "2020-08-03", "2020-08-31", "2020-09-30", 4),
    Split("NVDA", "2021-07-01", "2021-07-20", "2021-08-06", 4),
    Split("AMZN", "2022-05-18", "2022-06-06", "2022-06-24", 20),
    Split("GOOGL", "2022-06-30", "2022-07-18", "2022-08-05", 20),
]
by_split = pytest.mark.parametrize("split", SPLITS, ids=[f"{s.symbol} {s.ratio}:1 {s.on[:4]}" for s in SPLITS])


@by_split
@pytest.mark.parametrize("quantity", ["3", "3.7", "0.7"])
def test_a_known_split_sells_nothing_is_no_move_and_scales_the_stop(
    reference_data: ReferenceData, tmp_path: Path, split: Split, quantity: str
) -> None:
    folder = reference_data.path("data", "bars-1day-us-2018-2024")
    bars = market(folder, (split.symbol,), DAY, split.first, split.last, actions=folder / "corporate_actions.csv")
    held = bought_at_first(bars, {split.symbol: quantity}, "0.20")
    words = ("--bars", folder, "--symbols", split.symbol, "--from", split.first, "--to", split.last)
    report = replay(tmp_path, *words, holdings=held)
    course = check_replay(report, bars, held)[split.symbol]
    assert nothing_is_sold({split.symbol: course})
    assert split.on not in {str(new_york_day(moment(move["at"]))) for move in report["moves"]}
    [position] = report["end"]["positions"]
    assert Decimal(position["quantity"]) == Decimal(quantity) * split.ratio
    assert Decimal(position["stop_price"]) == course.left.stop
    assert abs(course.left.stop * split.ratio - held[0].stop) <= split.ratio * Decimal("0.05") + 2
    kinds = {alert["kind"] for alert in report["alerts"]}
    assert not kinds & {"split_suspected", "position_mismatch", "large_position_change", "stop_triggered"}


@by_split
@pytest.mark.parametrize("quantity", ["3", "3.7", "0.7"])
def test_with_the_actions_taken_away_the_price_still_sells_once(
    reference_data: ReferenceData, tmp_path: Path, split: Split, quantity: str
) -> None:
    folder = copied(reference_data.path("data", "bars-1day-us-2018-2024"), tmp_path / "bars", (split.symbol,))
    bars = market(folder, (split.symbol,), DAY, split.first, split.last)
    held = bought_at_first(bars, {split.symbol: quantity}, "0.20")
    report = replay(tmp_path, "--bars", folder, "--from", split.first, "--to", split.last, holdings=held)
    course = check_replay(report, bars, held)[split.symbol]
    assert sold(course) == Decimal(quantity)
    assert report["end"]["positions"] == []
    assert course.sold_at is not None
    assert str(new_york_day(course.sold_at)) >= split.on
    if course.breach is not None:
        assert course.breach.at - course.sold_at <= timedelta(days=5)
