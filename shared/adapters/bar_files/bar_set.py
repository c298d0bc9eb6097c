"""The bars of a file or a folder, ready to be replayed.

Decided: every file is one symbol, named up to the first underscore (`AAPL_split_2014-06.csv.gz` is AAPL, `BRK.B.csv`
is BRK.B); several files of one symbol are joined in time order. All bars of a set have one length. A folder with a
file of a symbol that may not be traded stops, unless the symbols wanted were named and it is not among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain, pairwise
from pathlib import Path
from typing import Final

from shared.adapters.bar_files.corporate_actions import read_corporate_actions
from shared.adapters.bar_files.quotes import read_quotes
from shared.adapters.bar_files.reader import BarFile, read_bars
from shared.adapters.bar_files.table import BarFileError, length_words
from shared.domain.assets import DEFAULT_ASSET_CLASSES, AssetClass, Symbol, admit_symbol
from shared.domain.bars import Bar
from shared.domain.corporate_actions import CorporateAction
from shared.domain.errors import InvalidValue
from shared.domain.quotes import Quote
from shared.domain.session import TradingDay
from shared.ports.broker import ExchangeCalendar

ACTIONS_FILE: Final = "corporate_actions.csv"

_SUFFIXES: Final = (".csv.gz", ".csv")
_QUOTES: Final = "_quotes"


@dataclass(frozen=True, slots=True, kw_only=True)
class BarSet:
    """Bars by symbol, oldest first, with the sessions from the first to the last of them.

    `interval` is the bar length, one day for daily bars. `outside_session` counts the bars left out because they lie
    outside the regular session.
    """

    bars: Mapping[Symbol, Sequence[Bar]]
    interval: timedelta
    days: Sequence[TradingDay]
    actions: Sequence[CorporateAction] = ()
    quotes: Mapping[Symbol, Sequence[Quote]]
    outside_session: int = 0

    @property
    def symbols(self) -> Sequence[Symbol]:
        """List the symbols in order."""
        return tuple(sorted(self.bars))


def load(
    path: Path,
    calendar: ExchangeCalendar,
    *,
    symbols: Iterable[str] | None = None,
    first: date | None = None,
    last: date | None = None,
    actions: Path | None = None,
    quotes: bool = False,
    asset_classes: Iterable[AssetClass] = DEFAULT_ASSET_CLASSES,
) -> BarSet:
    """Load a bars file, or every bars file of a folder, over the New York days from `first` to `last`, both included.

    Splits and dividends come from `actions`, or else from the corporate_actions.csv beside the bars. Raises
    BarFileError, or InvalidValue for a symbol that may not be traded, with one line that names what is wrong.
    """
    if first is not None and last is not None and first > last:
        raise BarFileError(f"{path}: the range {first} to {last} is empty, expected its first day first")
    allowed = frozenset(asset_classes)
    wanted = None if symbols is None else sorted({admit_symbol(symbol, allowed) for symbol in symbols})
    chosen = _choose(path, _listed(path), wanted, allowed)
    files = [
        read_bars(file, symbol, calendar, first=first, last=last)
        for symbol, paths in sorted(chosen.items())
        for file in paths
    ]
    _check_lengths(files)
    _check_coverage(path, files, wanted, first, last)
    bars = {symbol: joined for symbol in sorted(chosen) if (joined := _join(files, symbol))}
    ends = [series[place].start.date() for series in bars.values() for place in (0, -1)]
    return BarSet(
        bars=bars,
        interval=files[0].interval,
        days=tuple(calendar.days(min(ends), max(ends))),
        actions=_actions(path, actions),
        quotes=_quotes(path, calendar, bars, first, last) if quotes else {},
        outside_session=sum(file.outside_session for file in files),
    )


def _listed(path: Path) -> list[Path]:
    """List the bars files that a path stands for."""
    if path.is_dir():
        found = [file for file in sorted(path.iterdir()) if _is_table(file) and not _stem(file).endswith(_QUOTES)]
        if not found:
            raise BarFileError(f"{path}: no bars in this folder, expected files such as TSLA.csv or TSLA.csv.gz")
        return found
    if not path.exists():
        raise BarFileError(f"{path}: no such file or folder")
    if not _is_table(path):
        raise BarFileError(f"{path}: not a file of bars, expected a name such as TSLA.csv or TSLA.csv.gz")
    if _stem(path).endswith(_QUOTES):
        raise BarFileError(f"{path}: a file of quotes, expected one of bars")
    return [path]


def _is_table(file: Path) -> bool:
    name = file.name.lower()
    return name.endswith(_SUFFIXES) and not name.startswith((".", ACTIONS_FILE)) and file.is_file()


def _stem(file: Path) -> str:
    name = file.name.lower()
    suffix = next(suffix for suffix in _SUFFIXES if name.endswith(suffix))
    return file.name[: -len(suffix)]


def _choose(
    path: Path, files: Sequence[Path], wanted: Sequence[Symbol] | None, allowed: frozenset[AssetClass]
) -> dict[Symbol, list[Path]]:
    """Group the files by symbol and keep the wanted ones."""
    named = [(_stem(file).partition("_")[0].upper(), file) for file in files]
    chosen: dict[Symbol, list[Path]] = {}
    for name, file in named:
        if wanted is None:
            chosen.setdefault(_admitted(name, file, allowed), []).append(file)
        elif name in wanted:
            chosen.setdefault(Symbol(name), []).append(file)
    missing = [symbol for symbol in wanted or () if symbol not in chosen]
    if missing:
        there = ", ".join(sorted({name for name, _ in named}))
        raise BarFileError(f"{path}: no bars of {', '.join(missing)}, expected one of {there}")
    if not chosen:
        raise BarFileError(f"{path}: no symbols were asked for")
    return chosen


def _admitted(name: str, file: Path, allowed: frozenset[AssetClass]) -> Symbol:
    try:
        return admit_symbol(name, allowed)
    except InvalidValue as problem:
        raise BarFileError(
            f"{file}: symbol {name!r} in the file name is not usable, expected {problem.expected}"
        ) from problem


def _check_lengths(files: Sequence[BarFile]) -> None:
    one = files[0]
    for other in files:
        if other.interval != one.interval:
            lengths = length_words(one.interval), length_words(other.interval)
            raise BarFileError(
                f"{one.path} has bars of {lengths[0]} and {other.path} of {lengths[1]}, expected one length for all"
            )


def _check_coverage(
    path: Path, files: Sequence[BarFile], wanted: Sequence[Symbol] | None, first: date | None, last: date | None
) -> None:
    """Refuse a range without any bar, and a symbol asked for by name that has none in it."""
    filled = {file.symbol for file in files if file.bars}
    lacking = sorted({file.symbol for file in files} - filled)
    if filled and not (wanted and lacking):
        return
    what = "bars" if not filled else f"bars of {', '.join(lacking)}"
    span = f"{first or 'the beginning'} to {last or 'the end'}"
    covers = ", ".join(f"{file.path.name} covers {file.covers}" for file in files if file.symbol in lacking)
    raise BarFileError(f"{path}: no {what} in the regular sessions from {span}; {_shortened(covers)}")


def _shortened(text: str, limit: int = 400) -> str:
    return text if len(text) <= limit else text[:limit].rpartition(",")[0] + ", ..."


def _join(files: Sequence[BarFile], symbol: Symbol) -> list[Bar]:
    """Join the files of one symbol in time order; raises BarFileError when two of them overlap."""
    parts = sorted((file for file in files if file.symbol == symbol and file.bars), key=lambda file: file.bars[0].start)
    for one, other in pairwise(parts):
        if other.bars[0].start < one.bars[-1].end:
            raise BarFileError(f"{one.path} and {other.path} both have bars of {symbol} at {other.bars[0].start}")
    return list(chain.from_iterable(file.bars for file in parts))


def _actions(path: Path, given: Path | None) -> Sequence[CorporateAction]:
    if given is not None:
        return read_corporate_actions(given)
    beside = _folder(path) / ACTIONS_FILE
    return read_corporate_actions(beside) if beside.is_file() else ()


def _quotes(
    path: Path, calendar: ExchangeCalendar, symbols: Iterable[Symbol], first: date | None, last: date | None
) -> dict[Symbol, Sequence[Quote]]:
    """Read the quotes files beside the bars, those of the chosen symbols."""
    wanted = frozenset(symbols)
    found: dict[Symbol, list[Quote]] = {}
    for file in sorted(_folder(path).iterdir()):
        if not _is_table(file) or not _stem(file).endswith(_QUOTES):
            continue
        symbol = Symbol(_stem(file).partition("_")[0].upper())
        if symbol in wanted:
            found.setdefault(symbol, []).extend(read_quotes(file, symbol, calendar, first=first, last=last))
    return {symbol: sorted(quotes, key=lambda quote: str(quote.quoted_at)) for symbol, quotes in found.items()}


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent
