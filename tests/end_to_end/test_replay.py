"""Replays of real bars (or of the samples that stand in for them) against an independent reckoning."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.conftest import ReferenceData
from tests.end_to_end.checker import check_replay, moment
from tests.end_to_end.expected import (
    DAY,
    MINUTE,
    Course,
    Holding,
    Market,
    Row,
    market,
    new_york_day,
    record_lows,
    session,
    stop_breached_at,
)
from tests.end_to_end.replaying import replay

TECH = ("AAPL", "AMD", "MSFT", "NVDA", "QQQ", "SPY", "TSLA")
CRASH = "2025-10-10"
AFTER_CRASH = "2025-10-13"
LOSSES = ("0.20", "0.05", "0.10", "0.15", "0.08", "0.02", "0.12")
QUANTITIES = ("10", "10.4", "3", "0.75", "25", "1.123456789", "7")


@pytest.fixture
def five_minutes(reference_data: ReferenceData) -> Path:
    return reference_data.path("data", "bars-5min-us-2025")


def never_breached(symbol: str, rows: Sequence[Row]) -> Holding:
    """A position whose stop lies under every close of the range."""
    lowest = min(row.close for row in rows)
    return Holding(symbol=symbol, quantity=Decimal(5), entry=lowest.quantize(Decimal("0.01")), loss=Decimal("0.20"))


def spread_over_the_day(bars: Market, first_day: str) -> list[Holding]:
    """Positions whose stops are breached early, at noon, late and in the day's last bar, and one never."""
    held = []
    for number, (symbol, rows) in enumerate(bars.rows.items()):
        in_day = [row for row in rows if str(new_york_day(row.start)) == first_day]
        lows = record_lows(in_day)
        if symbol == "MSFT":
            held.append(never_breached(symbol, rows))
            continue
        closes_on_its_low = lows[-1] == len(in_day) - 1
        place = lows[-1] if closes_on_its_low and symbol in ("QQQ", "SPY") else lows[len(lows) * number // len(TECH)]
        held.append(
            stop_breached_at(rows, place, symbol=symbol, quantity=QUANTITIES[number], loss=LOSSES[number]),
        )
    return held


def test_a_crash_day_sells_every_breached_stop_once_and_nothing_else(five_minutes: Path, tmp_path: Path) -> None:
    bars = market(five_minutes, TECH, 5 * MINUTE, CRASH, CRASH)
    held = spread_over_the_day(bars, CRASH)
    report = replay(tmp_path, "--bars", five_minutes, "--from", CRASH, "--to", CRASH, holdings=held)
    courses = check_replay(report, bars, held)
    times = {course.sold_at for course in courses.values() if course.sold_at}
    assert len(times) >= 4
    assert courses["MSFT"].sold_at is None
    assert session(bars.days[0])[1] in {course.breach.at for course in courses.values() if course.breach}


def test_a_fraction_that_the_last_bar_breaches_is_sold_at_the_next_open(five_minutes: Path, tmp_path: Path) -> None:
    bars = market(five_minutes, TECH, 5 * MINUTE, CRASH, AFTER_CRASH)
    held = spread_over_the_day(bars, CRASH)
    report = replay(tmp_path, "--bars", five_minutes, "--from", CRASH, "--to", AFTER_CRASH, holdings=held)
    courses = check_replay(report, bars, held)
    closes, reopens = session(bars.days[0])[1], session(bars.days[1])[0]
    late = [course for course in courses.values() if course.breach and course.breach.at == closes]
    assert late
    assert {course.sent for course in late} == {reopens}


@pytest.mark.parametrize("quantity", ["4", "0.4"])
def test_a_position_bought_above_its_stop_is_sold_in_the_first_bar_or_at_the_first_price(
    five_minutes: Path, tmp_path: Path, quantity: str
) -> None:
    bars = market(five_minutes, TECH, 5 * MINUTE, CRASH, CRASH)
    first = bars.rows["NVDA"][0].close
    held = [Holding(symbol="NVDA", quantity=Decimal(quantity), entry=first * 2, loss=Decimal("0.20"))]
    report = replay(tmp_path, "--bars", five_minutes, "--from", CRASH, "--to", CRASH, holdings=held)
    assert check_replay(report, bars, held)["NVDA"].sold_at == bars.rows["NVDA"][0].end


def test_a_week_of_minutes_with_gaps_sells_what_is_due(reference_data: ReferenceData, tmp_path: Path) -> None:
    folder = reference_data.path("data", "bars-1min-us-2025")
    names = sorted({file.name.split(".")[0] for file in folder.glob("*.csv.gz")})
    bars = market(folder, names, MINUTE, "2025-10-06", "2025-10-10")
    held = []
    for number, (symbol, rows) in enumerate(bars.rows.items()):
        lows = record_lows(rows)
        place = lows[len(lows) * (number + 1) // (len(names) + 1)]
        held.append(stop_breached_at(rows, place, symbol=symbol, quantity=QUANTITIES[number], loss=LOSSES[number]))
    report = replay(tmp_path, "--bars", folder, "--from", "2025-10-06", "--to", "2025-10-10", holdings=held)
    courses = check_replay(report, bars, held)
    assert all(course.sold_at for course in courses.values())
    assert report["ticks"] == 5 * 391


@pytest.mark.parametrize("part", [1, 2, 3])
def test_hourly_bars_of_a_crash_sell_what_is_due(reference_data: ReferenceData, tmp_path: Path, part: int) -> None:
    folder = reference_data.path("data", "bars-1hour-us-2018-2021-lean")
    bars = market(folder, ("AAPL", "SPY"), 60 * MINUTE, "2020-03-05", "2020-03-13")
    held = []
    for number, (symbol, rows) in enumerate(bars.rows.items()):
        lows = record_lows(rows)
        place = lows[(len(lows) - 1) * part // 3]
        held.append(stop_breached_at(rows, place, symbol=symbol, quantity=QUANTITIES[number], loss=LOSSES[number]))
    words = ("--bars", folder, "--symbols", "AAPL,SPY", "--from", "2020-03-05", "--to", "2020-03-13")
    report = replay(tmp_path, *words, holdings=held)
    courses = check_replay(report, bars, held)
    assert all(course.sold_at for course in courses.values())


@pytest.fixture
def daily(reference_data: ReferenceData) -> Path:
    return reference_data.path("data", "bars-1day-us-2018-2024")


SPLIT_MONTH = ("2020-08-03", "2020-09-30")
DAILY = ("AAPL", "NVDA")


def nothing_is_sold(courses: Mapping[str, Course]) -> bool:
    return not any(course.sold_at for course in courses.values())


def kept_over_the_split(bars: Market) -> list[Holding]:
    first = bars.rows["AAPL"][0].close
    return [
        Holding(symbol="AAPL", quantity=Decimal("10.5"), entry=first, loss=Decimal("0.20")),
        never_breached("NVDA", bars.rows["NVDA"]),
    ]


def test_daily_bars_sell_nothing_over_a_known_split(daily: Path, tmp_path: Path) -> None:
    bars = market(daily, DAILY, DAY, *SPLIT_MONTH, actions=daily / "corporate_actions.csv")
    held = kept_over_the_split(bars)
    words = ("--bars", daily, "--symbols", ",".join(DAILY), "--from", SPLIT_MONTH[0], "--to", SPLIT_MONTH[1])
    report = replay(tmp_path, *words, holdings=held)
    assert nothing_is_sold(check_replay(report, bars, held))
    kept = {position["symbol"]: position["quantity"] for position in report["end"]["positions"]}
    assert kept["AAPL"] == "42"


def test_over_an_unknown_split_the_stop_sells_at_once_and_a_fraction_once_confirmed(
    daily: Path, tmp_path: Path
) -> None:
    copy = copied(daily, tmp_path / "bars", DAILY)
    bars = market(copy, DAILY, DAY, *SPLIT_MONTH)
    held = kept_over_the_split(bars)
    words = ("--bars", copy, "--from", SPLIT_MONTH[0], "--to", SPLIT_MONTH[1])
    report = replay(tmp_path, *words, holdings=held)
    course = check_replay(report, bars, held)["AAPL"]
    assert course.breach is not None
    assert str(new_york_day(course.breach.at)) == "2020-09-01"
    assert course.breach.holding.quantity == Decimal("0.5")
    assert [str(new_york_day(fill.at)) for stop in course.stops for fill in stop.fills] == ["2020-08-31"]
    assert "price_unconfirmed" in {alert["kind"] for alert in report["alerts"]}


def test_a_split_file_given_by_name_counts_like_one_beside_the_bars(daily: Path, tmp_path: Path) -> None:
    copy = copied(daily, tmp_path / "bars", DAILY)
    actions = tmp_path / "known.csv"
    shutil.copyfile(daily / "corporate_actions.csv", actions)
    bars = market(copy, DAILY, DAY, *SPLIT_MONTH, actions=actions)
    held = kept_over_the_split(bars)
    words = ("--bars", copy, "--actions", actions, "--from", SPLIT_MONTH[0], "--to", SPLIT_MONTH[1])
    report = replay(tmp_path, *words, holdings=held)
    assert nothing_is_sold(check_replay(report, bars, held))


def test_a_stop_set_after_the_split_is_judged_in_new_shares(daily: Path, tmp_path: Path) -> None:
    span = ("2020-08-28", "2020-09-30")
    actions = daily / "corporate_actions.csv"
    bars = market(daily, DAILY, DAY, *span, actions=actions)
    place = record_lows(bars.rows["AAPL"])[-1]
    stop = bars.rows["AAPL"][place].close
    held = [Holding(symbol="AAPL", quantity=Decimal(2), entry=stop * 4 / Decimal("0.95"), loss=Decimal("0.05"))]
    held[0].entry = held[0].entry.quantize(Decimal("0.01"))
    words = ("--bars", daily, "--symbols", ",".join(DAILY), "--from", span[0], "--to", span[1])
    report = replay(tmp_path, *words, holdings=held)
    course = check_replay(report, bars, held)["AAPL"]
    assert [stop.quantity for stop in course.stops] == [2, 8]
    assert course.stops[-1].left == 0


SPLIT_DAYS = ("2014-06-05", "2014-06-09")


@pytest.fixture
def split_minutes(reference_data: ReferenceData) -> Path:
    return reference_data.path("data", "bars-1min-us-2013-2014-lean")


@pytest.mark.parametrize("quotes", [(), ("--quotes",)], ids=["made quotes", "recorded quotes"])
def test_minute_bars_sell_nothing_over_a_seven_for_one_split(
    split_minutes: Path, tmp_path: Path, quotes: tuple[str, ...]
) -> None:
    bars = market(split_minutes, ("AAPL",), MINUTE, *SPLIT_DAYS, actions=split_minutes / "corporate_actions.csv")
    held = [Holding(symbol="AAPL", quantity=Decimal("3.3"), entry=bars.rows["AAPL"][0].close, loss=Decimal("0.05"))]
    words = ("--bars", split_minutes, "--symbols", "AAPL", "--from", SPLIT_DAYS[0], "--to", SPLIT_DAYS[1])
    report = replay(tmp_path, *words, *quotes, holdings=held)
    assert nothing_is_sold(check_replay(report, bars, held))
    assert report["moves"] == []
    assert [position["quantity"] for position in report["end"]["positions"]] == ["23.1"]


@pytest.mark.parametrize("quantity", ["3", "0.3"], ids=["under its stop", "by the confirmed price"])
def test_minute_bars_sell_once_over_an_unknown_split(split_minutes: Path, tmp_path: Path, quantity: str) -> None:
    copy = copied(split_minutes, tmp_path / "bars", ("AAPL",))
    bars = market(copy, ("AAPL",), MINUTE, *SPLIT_DAYS)
    held = [Holding(symbol="AAPL", quantity=Decimal(quantity), entry=bars.rows["AAPL"][0].close, loss=Decimal("0.05"))]
    report = replay(tmp_path, "--bars", copy, "--from", SPLIT_DAYS[0], "--to", SPLIT_DAYS[1], holdings=held)
    opens = session(bars.days[-1])[0]
    course = check_replay(report, bars, held)["AAPL"]
    if quantity == "3":
        assert course.sold_at == opens + MINUTE
        return
    assert course.breach is not None
    assert course.breach.at == opens + 2 * MINUTE


def test_a_stop_breached_in_the_first_minute_after_a_split_sells_at_once(tmp_path: Path) -> None:
    folder = hand_made(tmp_path / "bars", {"2026-03-04": ["700"] * 4, "2026-03-05": ["90"] * 8})
    actions = folder / "corporate_actions.csv"
    actions.write_text("symbol,ex_date,type,ratio,cash_amount\nTSLA,2026-03-05,split,7,\n", encoding="utf-8")
    bars = market(folder, ("TSLA",), MINUTE, "2026-03-04", "2026-03-05", actions=actions)
    held = [Holding(symbol="TSLA", quantity=Decimal(10), entry=Decimal(700), loss=Decimal("0.05"))]
    report = replay(tmp_path, "--bars", folder, holdings=held)
    course = check_replay(report, bars, held)["TSLA"]
    assert [stop.quantity for stop in course.stops] == [10, 70]
    assert course.sold_at == session(bars.days[1])[0] + MINUTE


def test_a_known_dividend_lowers_the_stop_for_good(tmp_path: Path) -> None:
    folder = hand_made(tmp_path / "bars", {"2026-03-04": ["100"] * 20, "2026-03-05": ["94"] * 20})
    actions = folder / "corporate_actions.csv"
    actions.write_text("symbol,ex_date,type,ratio,cash_amount\nTSLA,2026-03-05,dividend,,5\n", encoding="utf-8")
    bars = market(folder, ("TSLA",), MINUTE, "2026-03-04", "2026-03-05", actions=actions)
    held = [Holding(symbol="TSLA", quantity=Decimal(10), entry=Decimal(100), loss=Decimal("0.05"))]
    report = replay(tmp_path, "--bars", folder, holdings=held)
    course = check_replay(report, bars, held)["TSLA"]
    assert nothing_is_sold({"TSLA": course})
    assert [stop.level for stop in course.stops] == [Decimal(95), Decimal("90.25")]
    assert Decimal(report["end"]["cash"]) == Decimal(25050)


@pytest.mark.parametrize("quantity", ["10", "0.5"])
def test_one_wild_print_sells_nothing_and_a_confirmed_gap_sells(tmp_path: Path, quantity: str) -> None:
    folder = hand_made(tmp_path / "bars", {"2026-03-04": ["100", "100", "60", "100", "100", "70", "70", "70"]})
    bars = market(folder, ("TSLA",), MINUTE, "2026-03-04", "2026-03-04")
    held = [Holding(symbol="TSLA", quantity=Decimal(quantity), entry=Decimal(100), loss=Decimal("0.20"))]
    report = replay(tmp_path, "--bars", folder, holdings=held)
    assert check_replay(report, bars, held)["TSLA"].sold_at == session(bars.days[0])[0] + 7 * MINUTE


@pytest.mark.parametrize("quantity", ["10", "0.5"])
def test_a_gap_of_exactly_a_fifth_sells_on_one_print(tmp_path: Path, quantity: str) -> None:
    folder = hand_made(tmp_path / "bars", {"2026-03-04": ["100", "100", "80", "100", "100"]})
    bars = market(folder, ("TSLA",), MINUTE, "2026-03-04", "2026-03-04")
    held = [Holding(symbol="TSLA", quantity=Decimal(quantity), entry=Decimal(100), loss=Decimal("0.20"))]
    report = replay(tmp_path, "--bars", folder, holdings=held)
    assert check_replay(report, bars, held)["TSLA"].sold_at == session(bars.days[0])[0] + 3 * MINUTE


def test_minutes_without_trades_delay_the_fill_and_lose_nothing(tmp_path: Path) -> None:
    folder = hand_made(tmp_path / "bars", {"2026-03-04": ["100", "90", "", "", "88", "87"]}, volume=50)
    bars = market(folder, ("TSLA",), MINUTE, "2026-03-04", "2026-03-04")
    held = [Holding(symbol="TSLA", quantity=Decimal(8), entry=Decimal(100), loss=Decimal("0.05"))]
    report = replay(tmp_path, "--bars", folder, holdings=held)
    course = check_replay(report, bars, held)["TSLA"]
    assert [fill.quantity for fill in course.stops[0].fills] == [5]
    assert course.breach is not None
    assert course.execution is not None
    assert course.breach.holding.quantity == 3
    assert course.execution.at - course.breach.at == timedelta(minutes=3)


def hand_made(folder: Path, closes: dict[str, list[str]], volume: int = 100_000) -> Path:
    """Write minute bars of TSLA from the open on; an empty close is a minute without a trade."""
    folder.mkdir()
    lines = ["ts,open,high,low,close,volume"]
    for day, prices in closes.items():
        opens, _ = session(new_york_day(moment(f"{day}T18:00:00Z")))
        for number, price in enumerate(prices):
            stamp = (opens + number * MINUTE).strftime("%Y-%m-%dT%H:%M:%SZ")
            if price:
                lines.append(f"{stamp},{price},{price},{price},{price},{volume}")
    (folder / "TSLA.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def copied(source: Path, target: Path, symbols: Sequence[str]) -> Path:
    """Copy the bars of some symbols into a folder without corporate actions."""
    target.mkdir()
    for file in source.iterdir():
        if (
            file.name.endswith(".csv.gz")
            and "_quotes" not in file.name
            and file.name.split("_")[0].split(".")[0] in symbols
        ):
            shutil.copyfile(file, target / file.name)
    return target
