"""Make the sample day: `python -m hearthwatch.sample.generate` writes its files again, always the same.

All prices are invented. What each symbol is there to show:
- TSLA slides for two hours and then gaps through its stop: sold at once.
- NVDA loses 7 % in five minutes and recovers: a move, but its stop is far away.
- AAPL prints 35 % lower in one minute and is back in the next: nobody confirms it, so nothing is sold.
- MRNA falls 22 % at a stroke and stays there: the next minute confirms it, and it is sold.
- KO does nothing.

Decided: AAPL is held as a fraction of a share, so that no stop of the broker rests on it and the wild print meets
only our own rules. Arithmetic is in whole cents, so that every machine makes the same bytes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
OPENS: Final = datetime(2026, 6, 10, 13, 30, tzinfo=UTC)
MINUTES: Final = 390
HEADER: Final = "ts,open,high,low,close,volume"
SEED: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A symbol's day: closes in cents at some bars, straight lines between, and how much they waver.

    A bar opens where the one before closed, except at `gaps`, where it opens at its own level. `volume` is a typical
    bar's in the middle of the day.
    """

    closes: Mapping[int, int]
    waver: int
    volume: int
    gaps: frozenset[int] = field(default_factory=frozenset)


DAY: Final[Mapping[str, Script]] = {
    "AAPL": Script(
        closes={0: 20010, 199: 20150, 200: 13100, 201: 20140, 389: 20060},
        waver=12,
        volume=42_000,
        gaps=frozenset({201}),
    ),
    "KO": Script(closes={0: 7012, 180: 7030, 389: 7021}, waver=2, volume=9_000),
    "MRNA": Script(closes={0: 9990, 259: 10020, 260: 7815, 389: 7790}, waver=8, volume=16_000, gaps=frozenset({260})),
    "NVDA": Script(closes={0: 14010, 120: 14050, 125: 13050, 240: 13980, 389: 14020}, waver=9, volume=150_000),
    "TSLA": Script(
        closes={0: 32240, 150: 30650, 151: 29850, 389: 29640}, waver=20, volume=61_000, gaps=frozenset({151})
    ),
}

PORTFOLIO: Final = {
    "cash": "100000",
    "positions": [
        {"symbol": "AAPL", "quantity": "0.75", "average_entry_price": "195.00", "stop_loss_pct": "0.10"},
        {"symbol": "KO", "quantity": "60", "average_entry_price": "69.50"},
        {"symbol": "MRNA", "quantity": "40", "average_entry_price": "98.00", "stop_loss_pct": "0.15"},
        {"symbol": "NVDA", "quantity": "25", "average_entry_price": "132.50"},
        {"symbol": "TSLA", "quantity": "10.4", "average_entry_price": "320.00", "stop_loss_pct": "0.05"},
    ],
}


def files() -> dict[str, str]:
    """Make the text of every sample file, by its path in the sample folder."""
    bars = {f"bars/{symbol}.csv": _bars(symbol, script) for symbol, script in DAY.items()}
    return bars | {"portfolio.json": json.dumps(PORTFOLIO, indent=2) + "\n"}


def rows(
    script: Script, bars: int, opens: datetime, step: timedelta, rng: random.Random, before: int | None = None
) -> Iterator[str]:
    """Make the CSV rows of one session; `before` is the close it starts from, by default its own first one."""
    previous = before
    for place, close in enumerate(_closes(script, bars, rng)):
        opening = close + rng.randint(-script.waver, script.waver) if place in script.gaps else previous or close
        high = max(opening, close) + rng.randint(0, script.waver)
        low = max(1, min(opening, close) - rng.randint(0, script.waver))
        volume = script.volume * _crowd(place, bars) * rng.randint(50, 150) // 10_000
        stamp = (opens + place * step).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield f"{stamp},{cents(opening)},{cents(high)},{cents(low)},{cents(close)},{volume}"
        previous = close


def cents(amount: int) -> str:
    """Write whole cents as dollars."""
    return f"{amount // 100}.{amount % 100:02d}"


def _closes(script: Script, bars: int, rng: random.Random) -> Sequence[int]:
    closes = [0] * bars
    for (begin, first), (end, last) in pairwise(sorted(script.closes.items())):
        for place in range(begin, end + 1):
            closes[place] = first + (last - first) * (place - begin) // (end - begin)
    return [close + rng.randint(-script.waver, script.waver) for close in closes]


def _crowd(place: int, bars: int) -> int:
    """Give a bar's volume in percent of the typical one: busy at the open and the close, quiet at noon."""
    return 80 + 320 * abs(2 * place - bars) ** 3 // bars**3


def _bars(symbol: str, script: Script) -> str:
    rng = random.Random(f"{SEED}:{symbol}")  # noqa: S311 - prices, not secrets
    return "\n".join([HEADER, *rows(script, MINUTES, OPENS, timedelta(minutes=1), rng)]) + "\n"


def main() -> None:
    """Write the sample files."""
    for name, text in files().items():
        target = FOLDER / name
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {name}")


if __name__ == "__main__":
    main()
