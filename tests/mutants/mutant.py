"""A mutant: a known bug as a patch of exact texts, and what is expected to notice it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import Final, NamedTuple

PROJECT: Final = Path(__file__).parents[2]
ROOMS: Final = ("shared", "hearthwatch")
"""What the simulation runs on."""
TEST_ROOMS: Final = (*ROOMS, "local_stack", "tests")
"""What a named test may need."""


class PatchDoesNotFit(Exception):
    """The text to replace is not exactly once in its file: the code has moved on and the mutant must follow."""


class Edit(NamedTuple):
    """One replacement in one file, named by its path from the project's root."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One bug: its name, the promise it breaks, and the edits that put it in.

    The simulation must notice it within `seeds` seeds, when that is more than the runner was told; with `test` it is
    that test which must fail instead, for what the simulation cannot reach.
    """

    name: str
    breaks: str
    edits: tuple[Edit, ...]
    seeds: int = 0
    test: str | None = None


def copy_project(to: Path, rooms: tuple[str, ...]) -> None:
    """Copy the named rooms and the settings of the tools."""
    unwanted = shutil.ignore_patterns(".hypothesis", ".pytest_cache")
    for room in rooms:
        shutil.copytree(PROJECT / room, to / room, ignore=unwanted)
    shutil.copy2(PROJECT / "pyproject.toml", to)


def put_in(mutant: Mutant, root: Path) -> None:
    """Patch a copy; raise PatchDoesNotFit, and change nothing, when a text is missing or stands there twice."""
    for name, text in check_fit(mutant, root).items():
        path = root / name
        path.write_text(text, encoding="utf-8")
        Path(cache_from_source(str(path))).unlink(missing_ok=True)


def check_fit(mutant: Mutant, root: Path) -> dict[str, str]:
    """Work out the patched files by name; raise PatchDoesNotFit when a text is not there exactly once."""
    patched: dict[str, str] = {}
    for edit in mutant.edits:
        text = patched.get(edit.file) or (root / edit.file).read_text(encoding="utf-8")
        found = text.count(edit.old)
        if found != 1:
            where = f"{edit.file} holds it {found} times, once is needed:\n{edit.old}"
            raise PatchDoesNotFit(f"mutant {mutant.name}: the patch no longer fits: {where}")
        patched[edit.file] = text.replace(edit.old, edit.new)
    return patched
