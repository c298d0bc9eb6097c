"""Write a journal to a file and read it back for verification.

One line a link, in chain order, then one line with the root of each day: the roots make a cut end visible as long as
they are also kept elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from shared.domain.errors import Stop
from shared.domain.journal import Link


class JournalFileError(Stop):
    """A journal file cannot be read; the message names file, line and what is wrong there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalFile:
    """What a journal file holds: its links as they stand there, and the roots it claims."""

    links: tuple[Link, ...]
    roots: dict[date, str]


def write_journal(path: Path, links: Iterable[Link]) -> dict[date, str]:
    """Write links and roots, replacing the file; return the root of each day."""
    roots: dict[date, str] = {}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for link in links:
            roots[link.day] = link.hash
            line = {
                "day": link.day.isoformat(),
                "sequence": link.sequence,
                "previous": link.previous,
                "hash": link.hash,
                "body": link.body,
            }
            file.write(_line(line))
        file.write(_line({"roots": {day.isoformat(): root for day, root in sorted(roots.items())}}))
    return roots


def read_journal(path: Path) -> JournalFile:
    """Read a journal file without judging its chain; raises JournalFileError for what is no journal at all."""
    links: list[Link] = []
    roots: dict[date, str] | None = None
    for number, content in _objects(path):
        if roots is not None:
            raise JournalFileError(f"{path}, line {number}: something follows the roots, expected the end")
        try:
            if "roots" in content:
                roots = {date.fromisoformat(day): str(root) for day, root in content["roots"].items()}
            else:
                links.append(_link(content))
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise JournalFileError(f"{path}, line {number}: not a journal entry ({problem!r})") from problem
    if roots is None:
        raise JournalFileError(f"{path}: the line with the roots is missing, the end of the journal was cut off")
    return JournalFile(links=tuple(links), roots=roots)


def _line(content: dict[str, object]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"


def _link(content: dict[str, Any]) -> Link:
    return Link(
        day=date.fromisoformat(str(content["day"])),
        sequence=int(content["sequence"]),
        previous=str(content["previous"]),
        body=str(content["body"]),
        hash=str(content["hash"]),
    )


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                content = json.loads(line)
                if not isinstance(content, dict):
                    raise JournalFileError(f"{path}, line {number}: not a journal entry, expected a JSON object")
                yield number, content
    except json.JSONDecodeError as problem:
        raise JournalFileError(f"{path}: not a journal ({problem})") from problem
    except UnicodeDecodeError as problem:
        raise JournalFileError(f"{path}: not UTF-8 text") from problem
    except OSError as problem:
        raise JournalFileError(f"{path}: cannot be read ({problem.strerror or problem})") from problem
