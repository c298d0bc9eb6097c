"""Make the sample data that tests read where the real data is absent: `python -m tests.samples.generate`.

Everything is invented; the folders, names and quirks are those of the real sets, so that one test reads either:
5-minute bars with bars outside the session and a stop breached on 2025-10-10, 5-minute bars of a falling fortnight
without its first hours, with a bad low print and a halt, a week of 1-minute bars, hourly bars stamped 09:00 New York
over a falling month, daily bars over splits, and 1-minute bars with quotes over a split.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from hearthwatch.sample.generate import HEADER, Script, cents, rows
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.domain.session import TradingDay

FOLDER: Final = Path(__file__).parent
ACTIONS: Final = "symbol,ex_date,type,ratio,cash_amount\n"
QUOTES: Final = "ts,bid_open,bid_high,bid_low,bid_close,bid_size,ask_open,ask_high,ask_low,ask_close,ask_size"
MINUTE: Final = timedelta(minutes=1)
HOUR: Final = timedelta(hours=1)

FIVE_MINUTES: Final = {
    "AAPL": Script(closes={0: 25410, 40: 25330, 77: 24530}, waver=25, volume=400_000),
    "AMD": Script(closes={0: 23300, 30: 23150, 77: 21490}, waver=40, volume=300_000),
    "MSFT": Script(closes={0: 52220, 40: 52050, 77: 51100}, waver=30, volume=150_000),
    "NVDA": Script(closes={0: 19300, 40: 19400, 77: 18320}, waver=30, volume=2_000_000),
    "QQQ": Script(closes={0: 61150, 40: 61000, 77: 58950}, waver=30, volume=500_000),
    "SPY": Script(closes={0: 67200, 40: 67100, 77: 65300}, waver=25, volume=700_000),
    "TSLA": Script(closes={0: 43610, 20: 43550, 21: 41950, 77: 40920}, waver=45, volume=900_000, gaps=frozenset({21})),
}
CALM: Final = {
    "AAPL": Script(closes={0: 25600, 77: 25450}, waver=20, volume=300_000),
    "AMD": Script(closes={0: 23400, 77: 23350}, waver=30, volume=200_000),
    "MSFT": Script(closes={0: 52300, 77: 52250}, waver=25, volume=100_000),
    "NVDA": Script(closes={0: 19200, 77: 19260}, waver=20, volume=1_500_000),
    "QQQ": Script(closes={0: 61200, 77: 61140}, waver=20, volume=300_000),
    "SPY": Script(closes={0: 67250, 77: 67180}, waver=15, volume=400_000),
    "TSLA": Script(closes={0: 43500, 77: 43590}, waver=40, volume=600_000),
}
ONE_MINUTE: Final = {
    "NVDA": Script(closes={0: 18800, 200: 18650, 389: 18830}, waver=6, volume=6_000),
    "SPY": Script(closes={0: 67050, 200: 66900, 389: 67100}, waver=8, volume=3_000),
}
HOURLY: Final = {
    "AAPL": Script(closes={0: 28500, 3: 28150, 6: 28300}, waver=90, volume=3_000_000),
    "SPY": Script(closes={0: 29800, 3: 29350, 6: 29500}, waver=120, volume=9_000_000),
}
FALLING: Final = date(2020, 3, 9)
"""From here on every day of the falling month opens lower, by 2 %."""
SPY_FALL: Final = Script(closes={0: 27400, 20: 27150, 45: 27300, 65: 26900}, waver=60, volume=1_500_000)
HALTED: Final = ("2020-03-18T17:00:00Z", "2020-03-18T17:05:00Z")
BAD_PRINT: Final = "2020-03-16T18:45:00Z"
DAILY: Final = {
    "AAPL": ({"2020-08-03": 43500, "2020-08-28": 49900, "2020-08-31": 12900, "2020-09-30": 11580},),
    "AMZN": ({"2022-05-18": 214000, "2022-06-03": 244700, "2022-06-06": 12480, "2022-06-24": 11650},),
    "GOOGL": ({"2022-06-30": 217900, "2022-07-15": 223500, "2022-07-18": 10900, "2022-08-05": 11790},),
    "NVDA": (
        {"2020-08-03": 44000, "2020-09-30": 54120},
        {"2021-07-01": 80900, "2021-07-19": 75100, "2021-07-20": 18610, "2021-08-06": 20390},
    ),
}
SPLITS: Final = (
    "AAPL,2020-08-07,dividend,,0.82",
    "AAPL,2020-08-31,split,4.0,",
    "AMZN,2022-06-06,split,20.0,",
    "GOOGL,2022-07-18,split,20.0,",
    "NVDA,2021-07-20,split,4.0,",
)
SPLIT_DAYS: Final = {
    "2014-06-05": Script(closes={0: 64600, 389: 64740}, waver=15, volume=2_000),
    "2014-06-06": Script(closes={0: 64900, 389: 64560}, waver=15, volume=2_000),
    "2014-06-09": Script(closes={0: 9270, 389: 9370}, waver=4, volume=14_000),
}


def files() -> dict[str, str]:
    """Make the text of every sample file, by its path; names that end in .gz are compressed when written."""
    calendar = LibraryCalendar()
    return {
        f"data/{folder}/{name}": text
        for folder, made in (
            ("bars-5min-us-2025", _five_minutes(calendar)),
            ("bars-5min-spy-2018-2020", _without_first_hours(calendar)),
            ("bars-1min-us-2025", _one_minute(calendar)),
            ("bars-1hour-us-2018-2021-lean", _hourly(calendar)),
            ("bars-1day-us-2018-2024", _daily(calendar)),
            ("bars-1min-us-2013-2014-lean", _over_a_split(calendar)),
        )
        for name, text in made
    }


def _table(header: str, lines: list[str]) -> str:
    return "\n".join([header, *lines]) + "\n"


def _five_minutes(calendar: LibraryCalendar) -> Iterator[tuple[str, str]]:
    step = 5 * MINUTE
    for symbol, script in FIVE_MINUTES.items():
        rng = random.Random(f"5min:{symbol}")
        lines: list[str] = []
        for day in calendar.days(date(2025, 10, 9), date(2025, 10, 13)):
            chosen = script if day.date == date(2025, 10, 10) else CALM[symbol]
            early = Script(closes={0: chosen.closes[0], 2: chosen.closes[0]}, waver=chosen.waver, volume=2_000)
            late = Script(closes={0: chosen.closes[77], 3: chosen.closes[77]}, waver=chosen.waver, volume=2_000)
            lines += rows(early, 3, day.opens - timedelta(minutes=50), step, rng)
            lines += rows(chosen, 78, day.opens, step, rng)
            lines += rows(late, 4, day.closes + 2 * step, step, rng)
        yield f"{symbol}.csv.gz", _table(HEADER, lines)


def _one_minute(calendar: LibraryCalendar) -> Iterator[tuple[str, str]]:
    for symbol, script in ONE_MINUTE.items():
        rng = random.Random(f"1min:{symbol}")
        lines: list[str] = []
        for day in calendar.days(date(2025, 10, 6), date(2025, 10, 10)):
            made = list(rows(script, 390, day.opens, MINUTE, rng))
            del made[rng.randint(50, 300)]
            lines += made
        yield f"{symbol}.csv.gz", _table(HEADER, lines)


def _hourly(calendar: LibraryCalendar) -> Iterator[tuple[str, str]]:
    for symbol, script in HOURLY.items():
        rng = random.Random(f"1hour:{symbol}")
        lines: list[str] = []
        for day in calendar.days(date(2020, 3, 2), date(2020, 3, 31)):
            fallen = _fallen(script, max(0, (day.date - FALLING).days + 1))
            lines += rows(fallen, 7, day.opens - timedelta(minutes=30), HOUR, rng)
        yield f"{symbol}.csv.gz", _table(HEADER, lines)


def _fallen(script: Script, days: int) -> Script:
    """Lower a day's prices by 2 % for each day of the fall."""
    return replace(script, closes={place: int(close * 0.98**days) for place, close in script.closes.items()})


def _without_first_hours(calendar: LibraryCalendar) -> Iterator[tuple[str, str]]:
    rng = random.Random("5min:SPY 2020")
    lines: list[str] = []
    for number, day in enumerate(calendar.days(date(2020, 3, 9), date(2020, 3, 20))):
        lines += rows(_fallen(SPY_FALL, number), 66, day.opens + HOUR, 5 * MINUTE, rng)
    yield "SPY_2019-01_2020-06.csv.gz", _table(HEADER, [_spoilt(line) for line in lines])


def _spoilt(line: str) -> str:
    """Halt two bars, and print one low that was never traded at, 1.6 % under the bar's own."""
    stamp, opens, high, low, close, volume = line.split(",")
    if stamp in HALTED:
        return ",".join([stamp, opens, opens, opens, opens, "0"])
    if stamp == BAD_PRINT:
        low = cents(int(int(low.replace(".", "")) * 0.984))
    return ",".join([stamp, opens, high, low, close, volume])


def _daily(calendar: LibraryCalendar) -> Iterator[tuple[str, str]]:
    for symbol, spans in DAILY.items():
        rng = random.Random(f"1day:{symbol}")
        yield f"{symbol}.csv.gz", _table(HEADER, [line for closes in spans for line in _span(calendar, closes, rng)])
    yield "corporate_actions.csv", ACTIONS + "\n".join(SPLITS) + "\n"


def _span(calendar: LibraryCalendar, closes: Mapping[str, int], rng: random.Random) -> Iterator[str]:
    days = calendar.days(date.fromisoformat(min(closes)), date.fromisoformat(max(closes)))
    places = {place: closes[key] for place, day in enumerate(days) if (key := day.date.isoformat()) in closes}
    gaps = frozenset(place for (_, one), (place, other) in pairwise(sorted(places.items())) if one > 2 * other)
    script = Script(closes=places, waver=150, volume=40_000_000, gaps=gaps)
    made = rows(script, len(days), days[0].opens, timedelta(days=1), rng)
    for day, row in zip(days, made, strict=True):
        yield f"{day.date},{row.partition(',')[2]}"


def _over_a_split(calendar: LibraryCalendar) -> Iterator[tuple[str, str]]:
    rng = random.Random("split")
    lines: list[str] = []
    quotes: list[str] = []
    for day in calendar.days(date(2014, 6, 5), date(2014, 6, 9)):
        script = SPLIT_DAYS[day.date.isoformat()]
        early = Script(closes={0: script.closes[0], 4: script.closes[0]}, waver=script.waver, volume=300)
        regular = list(rows(script, 390, day.opens, MINUTE, rng))
        lines += [*rows(early, 5, day.opens - timedelta(minutes=30), MINUTE, rng), *regular]
        quotes += [*_quotes(early, 5, day, rng), *_quotes_of(regular)]
    yield "AAPL_split_2014-06.csv.gz", _table(HEADER, lines)
    yield "AAPL_split_2014-06_quotes.csv.gz", _table(QUOTES, quotes)
    yield "corporate_actions.csv", ACTIONS + "AAPL,2014-06-09,split,7.0,\n"


def _quotes(script: Script, bars: int, day: TradingDay, rng: random.Random) -> list[str]:
    return _quotes_of(list(rows(script, bars, day.opens - timedelta(minutes=30), MINUTE, rng)))


def _quotes_of(bars: list[str]) -> list[str]:
    """Quote every bar one cent around its prices."""
    quoted = []
    for bar in bars:
        stamp, *prices = bar.split(",")[:5]
        bids, asks = ([cents(int(price.replace(".", "")) + by) for price in prices] for by in (-1, 1))
        quoted.append(",".join([stamp, *bids, "100", *asks, "100"]))
    return quoted


def main() -> None:
    """Write the sample files."""
    for name, text in files().items():
        target = FOLDER / name
        target.parent.mkdir(parents=True, exist_ok=True)
        content = text.encode()
        target.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)


if __name__ == "__main__":
    main()
