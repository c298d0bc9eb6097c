"""Files of bars, quotes and corporate actions: what is read, and the one line that says what is wrong with them."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.bar_files.bar_set import load
from shared.adapters.bar_files.corporate_actions import read_corporate_actions
from shared.adapters.bar_files.quotes import read_quotes
from shared.adapters.bar_files.reader import read_bars
from shared.adapters.bar_files.table import BarFileError
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.domain.assets import AssetClass, Symbol
from shared.domain.bars import Bar
from shared.domain.corporate_actions import ActionKind
from shared.domain.errors import InvalidValue, Stop
from tests.conftest import ReferenceData

HEADER = "ts,open,high,low,close,volume"
MINUTE = timedelta(minutes=1)
TSLA = Symbol("TSLA")
CALENDAR = LibraryCalendar()
GOOD = "2026-06-10T13:30:00Z,320,321,319,320.5,100"
NEXT = "2026-06-10T13:31:00Z,320.5,321,319,320.25,0"


def written(folder: Path, *rows: str, name: str = "TSLA.csv", header: str = HEADER) -> Path:
    path = folder / name
    text = "\n".join([header, *rows]) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def minutes(day: str, first: int, count: int, price: str = "320") -> list[str]:
    opens = datetime.fromisoformat(f"{day}T13:30:00+00:00")
    stamps = ((opens + (first + n) * MINUTE).strftime("%Y-%m-%dT%H:%M:%SZ") for n in range(count))
    return [f"{stamp},{price},{price},{price},{price},7" for stamp in stamps]


def bars_in(path: Path) -> Sequence[Bar]:
    return read_bars(path, TSLA, CALENDAR).bars


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_bar_is_read_as_written(tmp_path: Path) -> None:
    bars = bars_in(written(tmp_path, GOOD, NEXT))

    assert bars[0] == Bar(
        TSLA,
        at("2026-06-10T13:30:00"),
        at("2026-06-10T13:31:00"),
        Decimal("320"),
        Decimal("321"),
        Decimal("319"),
        Decimal("320.5"),
        Decimal("100"),
    )
    assert isinstance(bars[0], Bar)
    assert bars[1].volume == Decimal(0)


PRICE = "expected a price above zero"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param(
            [GOOD, "2026-06-10T13:31:00Z,320,321,319,320"],
            "line 3: 5 columns, expected 6 (ts,open,high,low,close,volume)",
            id="too-few-columns",
        ),
        pytest.param(
            [GOOD + ",1", NEXT],
            "line 2: 7 columns, expected 6 (ts,open,high,low,close,volume)",
            id="too-many-columns",
        ),
        pytest.param(
            [GOOD, "", NEXT], "line 3: 0 columns, expected 6 (ts,open,high,low,close,volume)", id="blank-line"
        ),
        pytest.param(
            [GOOD, NEXT.replace("320.5", "abc")], f"line 3, open: 'abc' is not usable, {PRICE}", id="not-a-number"
        ),
        pytest.param(
            [GOOD, NEXT.replace("320.5", "1_000")], f"line 3, open: '1_000' is not usable, {PRICE}", id="underscore"
        ),
        pytest.param([GOOD, NEXT.replace("320.5", " 320")], f"line 3, open: ' 320' is not usable, {PRICE}", id="space"),
        pytest.param(
            [GOOD, NEXT.replace("320.5", "٣٢٠")], f"line 3, open: '٣٢٠' is not usable, {PRICE}", id="other-digits"
        ),
        pytest.param([GOOD, NEXT.replace("321", "nan")], f"line 3, high: 'nan' is not usable, {PRICE}", id="nan"),
        pytest.param(
            [GOOD, NEXT.replace("321", "Infinity")], f"line 3, high: 'Infinity' is not usable, {PRICE}", id="infinite"
        ),
        pytest.param([GOOD, NEXT.replace(",319,", ",,")], f"line 3, low: '' is not usable, {PRICE}", id="no-price"),
        pytest.param([GOOD, NEXT.replace("319", "0")], f"line 3, low: '0' is not usable, {PRICE}", id="zero"),
        pytest.param([GOOD, NEXT.replace("319", "-319")], f"line 3, low: '-319' is not usable, {PRICE}", id="negative"),
        pytest.param(
            [GOOD, NEXT.replace("321", "320.4")],
            "line 3, high: '320.4' is not usable, expected a price not below open, low and close, here 320.5",
            id="high-below-open",
        ),
        pytest.param(
            [GOOD, "2026-06-10T13:31:00Z,320,320,319,320.25,0"],
            "line 3, high: '320' is not usable, expected a price not below open, low and close, here 320.25",
            id="high-below-close",
        ),
        pytest.param(
            [GOOD, NEXT.replace("319", "320.3")],
            "line 3, low: '320.3' is not usable, expected a price not above open and close, here 320.25",
            id="low-above-close",
        ),
        pytest.param(
            [GOOD, NEXT.replace("319", "322")],
            "line 3, high: '321' is not usable, expected a price not below open, low and close, here 322",
            id="high-below-low",
        ),
        pytest.param(
            [GOOD, NEXT[:-1] + "-1"],
            "line 3, volume: '-1' is not usable, expected a volume of zero or more",
            id="negative-volume",
        ),
        pytest.param(
            [GOOD, NEXT[:-1] + "many"],
            "line 3, volume: 'many' is not usable, expected a volume of zero or more",
            id="volume-not-a-number",
        ),
        pytest.param(
            [GOOD, NEXT.replace("Z", "")],
            "line 3, ts: '2026-06-10T13:31:00' is not usable, expected a UTC time such as 2026-03-02T14:30:00Z",
            id="naive-time",
        ),
        pytest.param(
            [GOOD, NEXT.replace("13:31", "13:61")],
            "line 3, ts: '2026-06-10T13:61:00Z' is not usable, expected a UTC time such as 2026-03-02T14:30:00Z",
            id="no-such-time",
        ),
        pytest.param(
            ["06/10/2026,320,321,319,320,1"],
            "line 2, ts: '06/10/2026' is not usable, expected a day such as 2026-03-02",
            id="no-such-day",
        ),
        pytest.param(
            ["2026-06-10,320,321,319,320,1", NEXT],
            "line 3, ts: '2026-06-10T13:31:00Z' is not usable, expected a day such as 2026-03-02",
            id="time-among-days",
        ),
        pytest.param(
            [GOOD, "2026-06-10,320,321,319,320,1"],
            "line 3, ts: '2026-06-10' is not usable, expected a UTC time such as 2026-03-02T14:30:00Z",
            id="day-among-times",
        ),
        pytest.param(
            [GOOD, NEXT, NEXT],
            "line 4, ts: '2026-06-10T13:31:00Z' is not usable, expected a time that no row before has",
            id="same-time-twice",
        ),
        pytest.param(
            [GOOD, NEXT, GOOD],
            "line 4, ts: '2026-06-10T13:30:00Z' is not usable, expected a time after the row before, oldest first",
            id="out-of-order",
        ),
        pytest.param(
            ["2026-06-11,1,1,1,1,1", "2026-06-10,1,1,1,1,1"],
            "line 3, ts: '2026-06-10' is not usable, expected a day after the row before, oldest first",
            id="days-out-of-order",
        ),
        pytest.param(
            ["2026-06-10,1,1,1,1,1", "2026-06-10,1,1,1,1,1"],
            "line 3, ts: '2026-06-10' is not usable, expected a day that no row before has",
            id="same-day-twice",
        ),
        pytest.param(
            [*minutes("2026-06-10", 0, 3), "2026-06-10T13:32:30Z,1,1,1,1,1"],
            "line 5, ts: '2026-06-10T13:32:30Z' is not usable, expected a time 1 minute or more after the row before",
            id="bars-overlap",
        ),
        pytest.param(
            [GOOD, NEXT.replace("320.5", "x" * 500 + "\t")],
            f"line 3, open: '{'x' * 40}...' is not usable, {PRICE}",
            id="long-value",
        ),
    ],
)
@pytest.mark.parametrize("name", ["TSLA.csv", "TSLA.csv.gz"])
def test_malformed_row_is_named(tmp_path: Path, name: str, rows: list[str], message: str) -> None:
    path = written(tmp_path, *rows, name=name)

    with pytest.raises(BarFileError) as caught:
        bars_in(path)

    assert str(caught.value) == f"{path}, {message}"
    assert isinstance(caught.value, Stop)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": the file is empty, expected a header and rows"),
        (b" \n\n", ": the file is empty, expected a header and rows"),
        (b"ts,open,high,low,close,volume\n", ": the file has a header but no rows"),
        (
            GOOD.encode() + b"\n" + NEXT.encode(),
            f", line 1: header '{GOOD}', expected ts,open,high,low,close,volume",
        ),
        (
            b"ts,open,high,low,last,volume\n" + GOOD.encode(),
            ", line 1: header 'ts,open,high,low,last,volume', expected ts,open,high,low,close,volume",
        ),
        (HEADER.encode() + b"\n" + GOOD.encode() + b"\xff\n", ", line 2: not UTF-8 text, expected a CSV file"),
        (HEADER.encode() + b'\n"' + GOOD.encode(), ", line 2: not a CSV row (unexpected end of data)"),
        (
            HEADER.encode() + b"\n" + GOOD.encode(),
            ": the bar length is unknown, expected two rows of one day at least",
        ),
    ],
)
def test_malformed_file_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "TSLA.csv"
    path.write_bytes(content)

    with pytest.raises(BarFileError) as caught:
        bars_in(path)

    assert str(caught.value) == f"{path}{message}"


@pytest.mark.parametrize(
    "content", [b"plain text", gzip.compress(b"x" * 10_000, mtime=0)[:-20]], ids=["not gzip", "cut off"]
)
def test_file_that_is_not_whole_gzip_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "TSLA.csv.gz"
    path.write_bytes(content)

    with pytest.raises(BarFileError, match=r"TSLA\.csv\.gz: not a whole gzip file \(.+\), expected gzip") as caught:
        bars_in(path)

    assert "\n" not in str(caught.value)


def test_windows_line_ends_quotes_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    expected = bars_in(written(tmp_path, GOOD, NEXT))
    dressed = [",".join(f'"{cell}"' for cell in row.split(",")) for row in (HEADER, GOOD, NEXT)]
    path = tmp_path / "B.csv"

    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([HEADER, GOOD, NEXT, ""]).encode())
    assert bars_in(path) == expected
    path.write_bytes("\r\n".join([*dressed, ""]).encode())
    assert bars_in(path) == expected


def test_time_of_another_zone_is_turned_into_utc(tmp_path: Path) -> None:
    rows = [row.replace("T13:", "T09:").replace("Z", "-04:00") for row in (GOOD, NEXT)]

    assert bars_in(written(tmp_path, *rows)) == bars_in(written(tmp_path, GOOD, NEXT))


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (HEADER, [GOOD[:-3] + "0", NEXT]),
        (HEADER, [GOOD[:-3] + "0.0", NEXT]),
        ("ts,open,high,low,close", [GOOD.rpartition(",")[0], NEXT.rpartition(",")[0]]),
    ],
)
def test_volume_of_nothing_but_zeros_or_without_a_column_is_not_recorded(
    tmp_path: Path, header: str, rows: list[str]
) -> None:
    assert [bar.volume for bar in bars_in(written(tmp_path, *rows, header=header))] == [None, None]


def test_day_without_volume_in_a_file_with_volume_is_zero(tmp_path: Path) -> None:
    quiet = [row[:-1] + "0" for row in minutes("2026-06-10", 0, 5)]
    path = written(tmp_path, *minutes("2026-06-08", 0, 5), *quiet)
    day = date(2026, 6, 10)

    assert {bar.volume for bar in read_bars(path, TSLA, CALENDAR, first=day, last=day).bars} == {Decimal(0)}


def test_bars_outside_the_session_are_dropped_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path, *minutes("2026-06-10", -30, 450))
    read = read_bars(path, TSLA, CALENDAR)

    assert (len(read.bars), read.outside_session) == (390, 60)
    assert (read.bars[0].start, read.bars[-1].end) == (at("2026-06-10T13:30:00"), at("2026-06-10T20:00:00"))


def test_bars_after_an_early_close_are_dropped(tmp_path: Path) -> None:
    """The day after Thanksgiving opens at 14:30 UTC and closes at 18:00."""
    read = read_bars(written(tmp_path, *minutes("2026-11-27", 60, 390)), TSLA, CALENDAR)

    assert (len(read.bars), read.outside_session) == (210, 180)


def test_bars_of_a_holiday_are_dropped(tmp_path: Path) -> None:
    path = written(tmp_path, *minutes("2026-07-02", 0, 5), *minutes("2026-07-03", 0, 5))

    assert len(bars_in(path)) == 5


def test_hourly_bars_stamped_at_nine_cover_the_session(tmp_path: Path) -> None:
    rows = [f"2026-06-10T{hour}:00:00Z,1,1,1,1,1" for hour in range(13, 20)]
    bars = bars_in(written(tmp_path, *rows))

    assert [(bar.start.strftime("%H:%M"), bar.end.strftime("%H:%M")) for bar in bars] == [
        ("13:30", "14:00"),
        *((f"{hour}:00", f"{hour + 1}:00") for hour in range(14, 20)),
    ]


def test_last_bar_ends_at_the_close(tmp_path: Path) -> None:
    rows = [f"2026-06-10T{hour}:30:00Z,1,1,1,1,1" for hour in range(13, 20)]

    assert bars_in(written(tmp_path, *rows))[-1].end == at("2026-06-10T20:00:00")


def test_daily_bar_is_the_session_of_its_day(tmp_path: Path) -> None:
    read = read_bars(
        written(tmp_path, "2026-11-25,1,2,1,2,5", "2026-11-26,1,2,1,2,5", "2026-11-27,1,2,1,2,5"), TSLA, CALENDAR
    )

    assert [(bar.start, bar.end) for bar in read.bars] == [
        (at("2026-11-25T14:30:00"), at("2026-11-25T21:00:00")),
        (at("2026-11-27T14:30:00"), at("2026-11-27T18:00:00")),
    ]
    assert (read.interval, read.outside_session) == (timedelta(days=1), 1)


def test_bar_length_is_the_most_common_step(tmp_path: Path) -> None:
    rows = minutes("2026-06-10", 0, 20)
    del rows[3:9], rows[10]

    assert read_bars(written(tmp_path, *rows), TSLA, CALENDAR).interval == MINUTE


def test_range_is_of_new_york_days_with_both_ends(tmp_path: Path) -> None:
    days = ("2026-06-08", "2026-06-09", "2026-06-10", "2026-06-11")
    written(tmp_path, *(row for day in days for row in minutes(day, -30, 700)))
    loaded = load(tmp_path, CALENDAR, first=date(2026, 6, 9), last=date(2026, 6, 10))

    assert [day.date for day in loaded.days] == [date(2026, 6, 9), date(2026, 6, 10)]
    assert len(loaded.bars[TSLA]) == 2 * 390
    assert loaded.outside_session == 2 * 310


def test_defect_outside_the_range_does_not_matter(tmp_path: Path) -> None:
    bad = [row.replace("320,320", "320,1") for row in minutes("2026-06-01", 0, 5)]
    path = written(tmp_path, *bad, *minutes("2026-06-10", 0, 5))

    assert len(load(path, CALENDAR, first=date(2026, 6, 10)).bars[TSLA]) == 5
    with pytest.raises(BarFileError, match="line 2, high: '1'"):
        load(path, CALENDAR)


@pytest.mark.parametrize(("first", "last"), [(date.min, date.max), (date(1900, 1, 1), date(2300, 1, 1))])
def test_range_may_reach_far_beyond_the_data(tmp_path: Path, first: date, last: date) -> None:
    path = written(tmp_path, *minutes("2026-06-10", -5, 10))
    loaded = load(path, CALENDAR, first=first, last=last)

    assert (len(loaded.bars[TSLA]), loaded.outside_session) == (5, 5)


def test_line_number_counts_from_the_start_of_the_file(tmp_path: Path) -> None:
    rows = [*minutes("2026-06-01", 0, 5), *minutes("2026-06-10", 0, 5)]
    rows[7] = rows[7].replace("320,320,320,320", "320,1,320,320")

    with pytest.raises(BarFileError, match="line 9, high: '1'"):
        load(written(tmp_path, *rows), CALENDAR, first=date(2026, 6, 10))


def test_files_of_one_symbol_are_joined_in_time_order(tmp_path: Path) -> None:
    written(tmp_path, *minutes("2026-06-10", 0, 5), name="TSLA_a.csv")
    written(tmp_path, *minutes("2026-06-08", 0, 5), name="TSLA_b.csv.gz")
    loaded = load(tmp_path, CALENDAR)

    assert [bar.start for bar in loaded.bars[TSLA]] == sorted(bar.start for bar in loaded.bars[TSLA])
    assert (len(loaded.bars[TSLA]), len(loaded.days), loaded.symbols) == (10, 3, (TSLA,))


def test_files_of_one_symbol_that_overlap_are_refused(tmp_path: Path) -> None:
    one = written(tmp_path, *minutes("2026-06-10", 0, 5), name="TSLA_a.csv")
    other = written(tmp_path, *minutes("2026-06-10", 4, 5), name="TSLA_b.csv")

    with pytest.raises(BarFileError) as caught:
        load(tmp_path, CALENDAR)

    assert str(caught.value) == f"{one} and {other} both have bars of TSLA at 2026-06-10 13:34:00+00:00"


def test_files_of_two_bar_lengths_are_refused(tmp_path: Path) -> None:
    one = written(tmp_path, *minutes("2026-06-10", 0, 5), name="AAPL.csv")
    other = written(tmp_path, "2026-06-10,1,1,1,1,1")

    with pytest.raises(BarFileError) as caught:
        load(tmp_path, CALENDAR)

    assert str(caught.value) == f"{one} has bars of 1 minute and {other} of 1 day, expected one length for all"


def test_folder_takes_only_bars(tmp_path: Path) -> None:
    written(tmp_path, *minutes("2026-06-10", 0, 5))
    written(tmp_path, *minutes("2026-06-10", 0, 5), name="BRK.B.csv")
    written(tmp_path, "x", name="TSLA_quotes.csv")
    written(tmp_path, "x", name="._TSLA.csv")
    written(
        tmp_path, name="corporate_actions.csv", header="symbol,ex_date,type,ratio,cash_amount\nTSLA,2026-06-10,split,3,"
    )
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "old.csv").mkdir()
    loaded = load(tmp_path, CALENDAR)

    assert loaded.symbols == ("BRK.B", "TSLA")
    assert [action.ratio for action in loaded.actions] == [Decimal(3)]
    assert loaded.quotes == {}


def test_actions_from_elsewhere_replace_those_beside_the_bars(tmp_path: Path) -> None:
    folder = tmp_path / "bars"
    folder.mkdir()
    bars = written(folder, *minutes("2026-06-10", 0, 5))
    header = "symbol,ex_date,type,ratio,cash_amount"
    written(folder, "TSLA,2026-06-10,split,3,", name="corporate_actions.csv", header=header)
    mine = written(tmp_path, "TSLA,2026-06-10,split,5,", name="mine.csv", header=header)

    assert [action.ratio for action in load(bars, CALENDAR).actions] == [Decimal(3)]
    assert [action.ratio for action in load(bars, CALENDAR, actions=mine).actions] == [Decimal(5)]


@pytest.mark.parametrize(
    ("wanted", "first", "last", "message"),
    [
        (["XYZ"], None, None, ": no bars of XYZ, expected one of KO, TSLA"),
        (["XYZ", "KO", "ABC"], None, None, ": no bars of ABC, XYZ, expected one of KO, TSLA"),
        ([], None, None, ": no symbols were asked for"),
        (
            None,
            date(2027, 1, 4),
            date(2027, 1, 8),
            ": no bars in the regular sessions from 2027-01-04 to 2027-01-08; "
            "KO.csv covers 2026-06-10, TSLA.csv covers 2026-06-10 to 2026-06-11",
        ),
        (
            ["KO", "TSLA"],
            date(2026, 6, 11),
            None,
            ": no bars of KO in the regular sessions from 2026-06-11 to the end; KO.csv covers 2026-06-10",
        ),
        (
            None,
            date(2026, 6, 11),
            date(2026, 6, 10),
            ": the range 2026-06-11 to 2026-06-10 is empty, expected its first day first",
        ),
    ],
)
def test_question_without_an_answer_says_what_is_there(
    tmp_path: Path, wanted: list[str] | None, first: date | None, last: date | None, message: str
) -> None:
    written(tmp_path, *minutes("2026-06-10", 0, 5), *minutes("2026-06-11", 0, 5))
    written(tmp_path, *minutes("2026-06-10", 0, 5), name="KO.csv")

    with pytest.raises(BarFileError) as caught:
        load(tmp_path, CALENDAR, symbols=wanted, first=first, last=last)

    assert str(caught.value) == f"{tmp_path}{message}"


def test_symbol_that_starts_later_is_absent_until_then(tmp_path: Path) -> None:
    written(tmp_path, *minutes("2026-06-10", 0, 5), *minutes("2026-06-11", 0, 5))
    written(tmp_path, *minutes("2026-06-10", 0, 5), name="KO.csv")

    assert load(tmp_path, CALENDAR, first=date(2026, 6, 11)).symbols == ("TSLA",)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", ": no such file or folder"),
        ("README.md", ": not a file of bars, expected a name such as TSLA.csv or TSLA.csv.gz"),
        ("corporate_actions.csv", ": not a file of bars, expected a name such as TSLA.csv or TSLA.csv.gz"),
        ("TSLA_quotes.csv", ": a file of quotes, expected one of bars"),
        ("empty", ": no bars in this folder, expected files such as TSLA.csv or TSLA.csv.gz"),
        (
            "BTC-USD.csv",
            ": symbol 'BTC-USD' in the file name is not usable, "
            "expected an enabled asset class: crypto is switched off",
        ),
        (
            "TSLA260117C00300000.csv",
            ": symbol 'TSLA260117C00300000' in the file name is not usable, expected a stock: options are not traded",
        ),
        (
            "prices-2026.csv",
            ": symbol 'PRICES-2026' in the file name is not usable, expected a stock symbol such as TSLA or BRK.B",
        ),
    ],
)
def test_path_that_is_no_bars_is_named(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    if "." in name:
        written(tmp_path, GOOD, NEXT, name=name)

    with pytest.raises(BarFileError) as caught:
        load(tmp_path / name, CALENDAR)

    assert str(caught.value) == f"{tmp_path / name}{message}"


def test_folder_with_a_crypto_file_stops_unless_other_symbols_are_named(tmp_path: Path) -> None:
    written(tmp_path, *minutes("2026-06-10", 0, 5))
    written(tmp_path, *minutes("2026-06-10", 0, 5), name="ETHUSD_2026.csv")

    with pytest.raises(BarFileError, match=r"ETHUSD_2026\.csv: symbol 'ETHUSD'"):
        load(tmp_path, CALENDAR)
    assert load(tmp_path, CALENDAR, symbols=["TSLA"]).symbols == ("TSLA",)
    both = frozenset({AssetClass.US_EQUITY, AssetClass.CRYPTO})
    assert load(tmp_path, CALENDAR, asset_classes=both).symbols == ("ETHUSD", "TSLA")


@pytest.mark.parametrize("symbol", ["ETHUSD", "TSLA260117C00300000", "tsla!"])
def test_symbol_that_may_not_be_traded_cannot_be_asked_for(tmp_path: Path, symbol: str) -> None:
    written(tmp_path, *minutes("2026-06-10", 0, 5))

    with pytest.raises(InvalidValue, match="symbol"):
        load(tmp_path, CALENDAR, symbols=[symbol])


QUOTES = "ts,bid_open,bid_high,bid_low,bid_close,bid_size,ask_open,ask_high,ask_low,ask_close,ask_size"


def test_quote_is_the_last_of_its_minute_known_at_the_end(tmp_path: Path) -> None:
    rows = [
        "2026-06-10T13:29:00Z,1,1,1,1,5,2,2,2,2,5",
        "2026-06-10T13:30:00Z,1,1,1,1.25,5,2,2,2,2.5,5",
        "2026-06-10T13:31:00Z,1,1,1,,5,2,2,2,2,5",
        "2026-06-10T20:00:00Z,1,1,1,1,5,2,2,2,2,5",
    ]
    path = written(tmp_path, *rows, name="TSLA_quotes.csv", header=QUOTES)
    written(tmp_path, *minutes("2026-06-10", 0, 5))
    quotes = load(tmp_path, CALENDAR, quotes=True).quotes[TSLA]

    assert [(quote.bid, quote.ask, quote.last, quote.quoted_at) for quote in quotes] == [
        (Decimal("1.25"), Decimal("2.5"), None, at("2026-06-10T13:31:00")),
        (None, Decimal(2), None, at("2026-06-10T13:32:00")),
    ]
    assert read_quotes(path, TSLA, CALENDAR, first=date(2026, 6, 11)) == []


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (HEADER, GOOD, f", line 1: header '{HEADER}', expected ts first, and bid_close and ask_close"),
        (
            QUOTES,
            "2026-06-10T13:31:00Z,1,1,1,nan,5,2,2,2,2,5",
            ", line 3, bid_close: 'nan' is not usable, expected a price of zero or more, or nothing",
        ),
        (
            QUOTES,
            "2026-06-10T13:31:00Z,1,1,1,1,5,2,2,2,-2,5",
            ", line 3, ask_close: '-2' is not usable, expected a price of zero or more, or nothing",
        ),
    ],
)
def test_malformed_quote_is_named(tmp_path: Path, header: str, row: str, message: str) -> None:
    good = "2026-06-10T13:30:00Z,1,1,1,1,5,2,2,2,2,5"
    rows = [good, row, good.replace("13:30", "13:32")]
    path = written(tmp_path, *rows, name="TSLA_quotes.csv", header=header)

    with pytest.raises(BarFileError) as caught:
        read_quotes(path, TSLA, CALENDAR)

    assert str(caught.value) == f"{path}{message}"


def test_split_and_dividend_are_read(tmp_path: Path) -> None:
    header = "symbol,ex_date,type,ratio,cash_amount"
    path = written(
        tmp_path, "AAPL,2020-08-31,split,4.0,", "AAPL,2020-08-07,dividend,,0.82", name="a.csv", header=header
    )
    split, dividend = read_corporate_actions(path)

    assert (split.symbol, split.ex_date, split.kind, split.ratio) == (
        Symbol("AAPL"),
        date(2020, 8, 31),
        ActionKind.SPLIT,
        Decimal(4),
    )
    assert (dividend.kind, dividend.cash_amount, dividend.ratio) == (ActionKind.DIVIDEND, Decimal("0.82"), Decimal(1))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("AAPL,2020-08-31,split,4", "line 2: 4 columns, expected 5 (symbol,ex_date,type,ratio,cash_amount)"),
        ("AAPL,2020-08-31,split,,", "line 2, ratio: '' is not usable, expected a number above zero"),
        ("AAPL,2020-08-31,split,0,", "line 2, ratio: '0' is not usable, expected a number above zero"),
        ("AAPL,2020-08-31,split,-4,", "line 2, ratio: '-4' is not usable, expected a number above zero"),
        ("AAPL,2020-08-31,dividend,,", "line 2, cash_amount: '' is not usable, expected a number above zero"),
        ("AAPL,2020-08-31,dividend,,NaN", "line 2, cash_amount: 'NaN' is not usable, expected a number above zero"),
        ("AAPL,2020-08-31,merger,1,", "line 2, type: 'merger' is not usable, expected split or dividend"),
        ("AAPL,31.08.2020,split,4,", "line 2, ex_date: '31.08.2020' is not usable, expected a day such as 2026-03-02"),
        (
            "aapl,2020-08-31,split,4,",
            "line 2, symbol: 'aapl' is not usable, expected a stock symbol such as TSLA or BRK.B",
        ),
        (
            "BTC-USD,2020-08-31,split,4,",
            "line 2, symbol: 'BTC-USD' is not usable, expected an enabled asset class: crypto is switched off",
        ),
    ],
)
def test_malformed_action_is_named(tmp_path: Path, row: str, message: str) -> None:
    path = written(tmp_path, row, name="a.csv", header="symbol,ex_date,type,ratio,cash_amount")

    with pytest.raises(BarFileError) as caught:
        read_corporate_actions(path)

    assert str(caught.value) == f"{path}, {message}"


def test_actions_with_another_header_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BarFileError, match="line 1: header 'ts,open,high,low,close,volume', expected symbol,ex_date"):
        read_corporate_actions(written(tmp_path, GOOD))


@st.composite
def sessions(draw: st.DrawFn) -> list[Bar]:
    opens = at("2026-06-10T13:30:00")
    cents = st.integers(1, 10_000_000)
    made = [opens, opens + MINUTE]
    made += [opens + n * MINUTE for n in draw(st.lists(st.integers(2, 389), unique=True, max_size=20).map(sorted))]
    bars = []
    for start in made:
        low, one, other, high = sorted(Decimal(draw(cents)) / 10_000 for _ in range(4))
        first, last = draw(st.permutations([one, other]))
        volume = Decimal(draw(st.integers(1, 10**9)))
        bars.append(Bar(TSLA, start, start + MINUTE, first, high, low, last, volume))
    return bars


@given(bars=sessions())
def test_what_is_written_reads_back_equal(tmp_path_factory: pytest.TempPathFactory, bars: list[Bar]) -> None:
    rows = [
        f"{bar.start.isoformat().replace('+00:00', 'Z')},{bar.open},{bar.high},{bar.low},{bar.close},{bar.volume}"
        for bar in bars
    ]
    # Both bars in a row are there to fix the length at a minute.
    rows = [*minutes("2026-06-09", 0, 100), *rows]
    path = written(tmp_path_factory.mktemp("bars"), *rows)

    assert list(read_bars(path, TSLA, CALENDAR, first=date(2026, 6, 10)).bars) == bars


@given(text=st.text(max_size=200), row=st.integers(0, 2))
def test_any_text_gives_bars_or_one_line(tmp_path_factory: pytest.TempPathFactory, text: str, row: int) -> None:
    rows = [HEADER, GOOD, NEXT]
    rows[row] = text
    path = tmp_path_factory.mktemp("bars") / "TSLA.csv"
    path.write_text("\n".join(rows), encoding="utf-8", errors="replace")

    problem = ""
    try:
        bars_in(path)
    except BarFileError as raised:
        problem = str(raised)

    assert problem == "" or problem.startswith(str(path))
    assert "\n" not in problem


FOLDERS = [
    ("bars-5min-us-2025", timedelta(minutes=5)),
    ("bars-1min-us-2025", MINUTE),
    ("bars-1hour-us-2018-2021-lean", timedelta(hours=1)),
    ("bars-1day-us-2018-2024", timedelta(days=1)),
    ("bars-1min-us-2013-2014-lean", MINUTE),
]


@pytest.mark.parametrize(("folder", "length"), FOLDERS)
def test_recorded_folder_loads_into_whole_sessions(
    reference_data: ReferenceData, folder: str, length: timedelta
) -> None:
    loaded = load(reference_data.path("data", folder), CALENDAR, quotes=True)
    days = {day.date: day for day in loaded.days}

    assert loaded.interval == length
    assert loaded.days[0].date == min(bars[0].start.date() for bars in loaded.bars.values())
    for symbol, bars in loaded.bars.items():
        for bar in bars:
            day = days[bar.start.date()]
            assert day.opens <= bar.start < bar.end <= day.closes, (symbol, bar)


def test_one_day_equals_its_part_of_the_whole(reference_data: ReferenceData) -> None:
    folder = reference_data.path("data", "bars-1min-us-2025")
    day = date(2025, 10, 10)
    whole, part = load(folder, CALENDAR), load(folder, CALENDAR, first=day, last=day)

    assert [each.date for each in part.days] == [day]
    assert part.bars == {
        symbol: [bar for bar in bars if bar.start.date() == day] for symbol, bars in whole.bars.items()
    }


def test_lean_hours_are_seven_bars_from_open_to_close(reference_data: ReferenceData) -> None:
    folder = reference_data.path("data", "bars-1hour-us-2018-2021-lean")
    loaded = load(folder, CALENDAR, symbols=["SPY"], first=date(2020, 3, 6), last=date(2020, 3, 9))

    assert [bar.start.strftime("%H:%M") for bar in loaded.bars[Symbol("SPY")]] == [
        *("14:30", "15:00", "16:00", "17:00", "18:00", "19:00", "20:00"),
        *("13:30", "14:00", "15:00", "16:00", "17:00", "18:00", "19:00"),
    ]
    assert loaded.bars[Symbol("SPY")][-1].end == at("2020-03-09T20:00:00")


def test_recorded_split_lies_beside_its_bars(reference_data: ReferenceData) -> None:
    folder = reference_data.path("data", "bars-1min-us-2013-2014-lean")
    loaded = load(folder, CALENDAR, symbols=["AAPL"], quotes=True)
    aapl = Symbol("AAPL")
    (split,) = loaded.actions

    assert (split.ratio, split.ex_date) == (Decimal(7), date(2014, 6, 9))
    before = [bar.close for bar in loaded.bars[aapl] if bar.start.date() < split.ex_date]
    after = [bar.close for bar in loaded.bars[aapl] if bar.start.date() >= split.ex_date]
    assert min(before) > 6 * max(after)
    assert loaded.outside_session > 0
    assert all(quote.bid and quote.ask and quote.bid <= quote.ask for quote in loaded.quotes[aapl])


def test_reference_data_names_a_missing_sample() -> None:
    with pytest.raises(FileNotFoundError, match="no reference data and no sample tests/samples/data/nothing"):
        ReferenceData(None).path("data", "nothing")


@pytest.mark.parametrize("folder", [folder for folder, _ in FOLDERS])
def test_samples_stand_in_for_the_folder(folder: str) -> None:
    assert load(ReferenceData(None).path("data", folder), CALENDAR, quotes=True).bars
