"""Try one mutant: put it into a copy, run what should notice it, and read what that said."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.mutants.mutant import ROOMS, TEST_ROOMS, Mutant, copy_project, put_in

LONGEST: Final = 1800.0
"""Seconds after which a run is given up; a mutant that hangs was not noticed."""
OUR_MISTAKES: Final = ("NameError", "SyntaxError", "IndentationError", "ImportError", "UnboundLocalError")
"""Errors that say the patch is bad code, not that the bug was noticed."""

_VIOLATION: Final = re.compile(r"^seed (?P<seed>\d+), \d+ minutes: (?P<what>.*)$", re.MULTILINE)
_SEEDS: Final = re.compile(r"^(?P<seeds>\d+) seeds in ", re.MULTILINE)
_FAILED: Final = re.compile(r"^FAILED (?P<what>.*)$", re.MULTILINE)


class BrokenMutant(Exception):
    """The copy does not run at all, so nothing can be said about the bug."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How one mutant fared: what noticed it (None: nothing did), after how many seeds and seconds."""

    mutant: Mutant
    killed_by: str | None
    detail: str
    seeds: int | None
    seconds: float


def try_mutant(mutant: Mutant, seeds: int) -> Trial:
    """Run the mutant against the simulation, or against its test; raise when the patch or the copy is unusable."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        root = Path(folder)
        copy_project(root, ROOMS if mutant.test is None else TEST_ROOMS)
        put_in(mutant, root)
        if mutant.test is None:
            killed_by, detail, tried = _simulate(root, max(seeds, mutant.seeds))
        else:
            killed_by, detail, tried = *_run_test(root, mutant.test), None
    return Trial(mutant=mutant, killed_by=killed_by, detail=detail, seeds=tried, seconds=time.monotonic() - began)


def passes_unpatched(test: str) -> bool:
    """Say whether a test passes without any mutant, so that its failure means something."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy_project(Path(folder), TEST_ROOMS)
        return _run_test(Path(folder), test)[0] is None


def _simulate(root: Path, seeds: int) -> tuple[str | None, str, int]:
    done = _python(root, "-m", "hearthwatch", "simulate", "--seed", "0", "--seeds", str(seeds), "--no-shrink")
    tried = _SEEDS.search(done.stdout)
    violation = _VIOLATION.search(done.stdout)
    if tried is None or (done.returncode != 0 and violation is None):
        raise BrokenMutant(f"the simulation does not run:\n{done.stdout}{done.stderr}")
    if violation is None:
        return None, "every invariant held", int(tried["seeds"])
    what = violation["what"]
    _refuse_our_mistakes(what)
    number = re.match(r"invariant (\d+)", what)
    killed_by = f"invariant {number[1]}" if number else "an escaped error" if " escaped: " in what else "a promise"
    return killed_by, what, int(tried["seeds"])


def _run_test(root: Path, test: str) -> tuple[str | None, str]:
    done = _python(root, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", test)
    failed = _FAILED.search(done.stdout)
    if done.returncode not in (0, 1) or (done.returncode == 1 and failed is None):
        raise BrokenMutant(f"{test} does not run:\n{done.stdout}{done.stderr}")
    if failed is None:
        return None, f"{test} passed"
    _refuse_our_mistakes(done.stdout)
    return test, failed["what"]


def _refuse_our_mistakes(text: str) -> None:
    mistake = next((name for name in OUR_MISTAKES if re.search(rf"\b{name}\b", text)), None)
    if mistake is not None:
        raise BrokenMutant(f"the patch is bad code, {mistake}:\n{text}")


def _python(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the copy, which then finds the copy's packages and no other."""
    environment = {key: value for key, value in os.environ.items() if key not in {"PYTHONPATH", "PYTEST_ADDOPTS"}}
    try:
        return subprocess.run(
            [sys.executable, *words],
            cwd=root,
            env={**environment, "COLUMNS": "400"},
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired as slow:
        raise BrokenMutant(f"{' '.join(words)} did not end within {LONGEST:.0f} s") from slow
