"""One CSV file as rows of text, and the one error that every reader of this folder raises.

Decided: a file is read whole and checked column by column; only when a column is wrong are its rows walked one by
one to name the line. A file whose bytes are all digits, stamps and commas needs no CSV dialect, so it is split
directly; any other goes through the csv module. A date range is cut out of the text before anything is parsed.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Final

from shared.domain.errors import Stop

STAMP: Final = "a UTC time such as 2026-03-02T14:30:00Z"
DAY: Final = "a day such as 2026-03-02"

_PLAIN: Final = b"0123456789.,:+-TZ\r\n"
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)
_SHOWN: Final = 40
_SAMPLE: Final = 2000
_SLACK: Final = timedelta(days=1)


class BarFileError(Stop):
    """A file of market data cannot be used; the message says in one line which, where and why."""


def refused(path: Path, line: int, field: str, value: str, expected: str) -> BarFileError:
    """Name one bad field of one row."""
    return BarFileError(f"{path}, line {line}, {field}: {shown(value)} is not usable, expected {expected}")


def shown(text: str) -> str:
    """Quote text from a file for a message, on one line and cut to a bearable length."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "...")


@dataclass(frozen=True, slots=True)
class Row:
    """One row with its line number in the file, the header being line 1."""

    line: int
    cells: Sequence[str]


@dataclass(frozen=True, slots=True)
class Table:
    """A file's header and its rows as text; `plain` says that splitting at commas is all there is to it."""

    path: Path
    header: tuple[str, ...]
    lines: Sequence[str]
    first_line: int
    plain: bool

    @property
    def stamped_by_day(self) -> bool:
        """Say whether the rows are stamped with a day instead of a time."""
        return len(self.lines[0].split(",", 1)[0].strip('"')) == len("2026-03-02")

    def columns(self) -> list[Sequence[str]]:
        """Split the rows into one sequence per column; raises ValueError when their widths differ.

        Plain rows are split all at once: a list per row would keep the garbage collector busier than the parser.
        """
        width = len(self.header)
        if not self.plain:
            return list(zip(*(row.cells for row in self.rows()), strict=True))
        if {line.count(",") for line in self.lines} != {width - 1}:
            raise ValueError("the number of columns is wrong")
        cells = ",".join(self.lines).split(",")
        return [cells[place::width] for place in range(width)]

    def rows(self) -> Iterable[Row]:
        """Walk the rows with their line numbers."""
        reader = csv.reader(self.lines, strict=True)
        try:
            for cells in reader:
                yield Row(reader.line_num + self.first_line - 1, cells)
        except csv.Error as problem:
            line = reader.line_num + self.first_line - 1
            raise BarFileError(f"{self.path}, line {line}: not a CSV row ({problem})") from problem

    def between(self, first: date | None, last: date | None) -> Table:
        """Cut out the rows stamped from `first` to `last`, with a day to spare on both sides.

        Rows in no order, or with more than plain cells, are all kept: their defect is found where they are parsed.
        """
        if not self.plain or (first is None and last is None):
            return self
        days = [line[:10] for line in self.lines]
        if days != sorted(days):
            return self
        start = 0 if first is None or first == date.min else bisect_left(days, (first - _SLACK).isoformat())
        end = len(days) if last is None or last == date.max else bisect_right(days, (last + _SLACK).isoformat())
        return Table(self.path, self.header, self.lines[start:end], self.first_line + start, self.plain)

    def head(self) -> Table:
        """Cut out the first rows, enough to learn the bar length from."""
        return Table(self.path, self.header, self.lines[:_SAMPLE], self.first_line, self.plain)

    def covers(self) -> str:
        """Name the first and the last day of a file that is in order."""
        first, last = (self.lines[place].lstrip('"')[:10] for place in (0, -1))
        return first if first == last else f"{first} to {last}"


def read_table(path: Path) -> Table:
    """Read a .csv or .csv.gz file; raises BarFileError when it is no readable text or has no rows."""
    content = _content(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise BarFileError(f"{path}, line {line}: not UTF-8 text, expected a CSV file") from problem
    head, _, body = text.partition("\n")
    if not text.strip():
        raise BarFileError(f"{path}: the file is empty, expected a header and rows")
    plain = not body.encode().translate(None, _PLAIN)
    lines = body.splitlines() if plain else [line.removesuffix("\r") for line in body.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise BarFileError(f"{path}: the file has a header but no rows")
    header = tuple(cell.strip().strip('"') for cell in head.rstrip("\r").split(","))
    return Table(path, header, lines, 2, plain)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.name.lower().endswith(".gz") and content else content
    except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise BarFileError(f"{path}: not a whole gzip file ({problem}), expected gzip as the name says") from problem
    except OSError as problem:
        raise BarFileError(f"{path}: cannot be read ({problem.strerror or problem})") from problem


def bar_length(table: Table) -> timedelta:
    """Tell the bar length: the most common step between neighbouring rows of one day, the shorter one of equals."""
    steps: Counter[timedelta] = Counter()
    for before, after in pairwise(_known_starts(table.head())):
        if before.date() == after.date() and before < after:
            steps[after - before] += 1
    if not steps:
        raise BarFileError(f"{table.path}: the bar length is unknown, expected two rows of one day at least")
    most = max(steps.values())
    return min(step for step, count in steps.items() if count == most)


def _known_starts(table: Table) -> Iterable[datetime]:
    for row in table.rows():
        try:
            yield datetime.fromisoformat(row.cells[0]).astimezone(UTC)
        except (ValueError, IndexError):
            continue


def length_words(length: timedelta) -> str:
    """Write a bar length in words."""
    if length == timedelta(days=1):
        return "1 day"
    minutes = length / timedelta(minutes=1)
    return f"{minutes:g} minute{'' if minutes == 1 else 's'}"


def utc_starts(stamps: Iterable[str]) -> list[datetime]:
    """Parse a column of stamps; raises ValueError when one is no time or has no zone."""
    starts = list(map(datetime.fromisoformat, stamps))
    if all(start.tzinfo is UTC for start in starts):
        return starts
    if any(start.tzinfo is None for start in starts):
        raise ValueError("a time without a zone")
    return [start.astimezone(UTC) for start in starts]


def check_width(table: Table, row: Row) -> None:
    """Refuse a row with too few or too many cells."""
    width = len(table.header)
    if len(row.cells) != width:
        raise BarFileError(
            f"{table.path}, line {row.line}: {len(row.cells)} columns, expected {width} ({','.join(table.header)})"
        )


def check_start(table: Table, row: Row, before: datetime | None, step: timedelta) -> datetime:
    """Return the row's start, or refuse it: no UTC time, a repeat, out of order, or inside the bar before."""
    text = row.cells[0]
    try:
        (start,) = utc_starts([text])
    except ValueError as problem:
        raise refused(table.path, row.line, "ts", text, STAMP) from problem
    if before is not None and start == before:
        raise refused(table.path, row.line, "ts", text, "a time that no row before has")
    if before is not None and start < before:
        raise refused(table.path, row.line, "ts", text, "a time after the row before, oldest first")
    if before is not None and start < before + step:
        raise refused(table.path, row.line, "ts", text, f"a time {length_words(step)} or more after the row before")
    return start


def check_day(table: Table, row: Row, before: date | None) -> date:
    """Return the row's day, or refuse it: no day, a repeat, or out of order."""
    text = row.cells[0]
    try:
        day = parse_day(text)
    except ValueError as problem:
        raise refused(table.path, row.line, "ts", text, DAY) from problem
    if before is not None and day == before:
        raise refused(table.path, row.line, "ts", text, "a day that no row before has")
    if before is not None and day < before:
        raise refused(table.path, row.line, "ts", text, "a day after the row before, oldest first")
    return day


def parse_day(text: str) -> date:
    """Parse YYYY-MM-DD and nothing else; raises ValueError."""
    if len(text) != len("2026-03-02"):
        raise ValueError(f"no day: {text!r}")
    return date.fromisoformat(text)


def check_number(table: Table, row: Row, field: str, expected: str) -> Decimal:
    """Return a finite number of the row, or refuse it."""
    text = row.cells[table.header.index(field)]
    if not _NUMBER.fullmatch(text):
        raise refused(table.path, row.line, field, text, expected)
    return Decimal(text)
