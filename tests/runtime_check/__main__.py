"""Check every function of a build and show what was found; exit 0 only when nothing is wrong."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from local_stack.cloud.template import NotPlayed
from local_stack.runtime.brought import bring
from tests.fakes.house import FUNCTIONS
from tests.runtime_check.check import Checked, Site, check, read_build
from tests.runtime_check.grants import UNSEEN

OK, WRONG, UNUSABLE = 0, 1, 2
HOST_BUILD: Final = Path("build") / "lambda"


def main(words: Sequence[str]) -> int:
    """Check what was asked for and print the table."""
    options = _parser().parse_args(words)
    logged = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        return _check(options)
    finally:
        logging.disable(logged)


def _check(options: argparse.Namespace) -> int:
    console = Console()
    try:
        build = read_build(options.build.resolve())
    except NotPlayed as problem:
        print(problem, file=sys.stderr)
        return UNUSABLE
    with TemporaryDirectory(prefix="hearthwatch-runtime-") as folder:
        site = Site(build, bring(Path(folder) / "brought"), Path(folder) / "logs")
        found = []
        for function in options.functions or FUNCTIONS:
            with console.status(function):
                found.append(check(site, function))
    _show(found, console)
    return WRONG if any(checked.problems for checked in found) else OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.runtime_check", description=__doc__)
    parser.add_argument("functions", nargs="*", metavar="FUNCTION", choices=[*FUNCTIONS, []], help="only these")
    parser.add_argument("--build", type=Path, default=HOST_BUILD, help="the build, for this machine (%(default)s)")
    return parser


def _show(found: Iterable[Checked], console: Console) -> None:
    table = Table(box=SIMPLE, pad_edge=False)
    for column in ("function", "specimens", "cold start ms", "loaded", "calls seen/granted"):
        table.add_column(column, justify="left" if column == "function" else "right", no_wrap=True)
    for checked in found:
        cold = "" if checked.cold_start is None else f"{checked.cold_start.total_seconds() * 1000:,.0f}"
        loaded = "no" if checked.cold_start is None else "yes"
        calls = f"{checked.seen}/{checked.granted}"
        table.add_row(checked.function, str(checked.specimens), cold, loaded, calls)
    console.print(table)
    if UNSEEN:
        console.print("Granted, though no specimen uses it:", highlight=False)
        for (function, action, resource), reason in UNSEEN.items():
            console.print(f"  {function} {action} on {resource}: {reason}", highlight=False, soft_wrap=True)
    for checked in found:
        for problem in checked.problems:
            print(f"{checked.function}: {problem}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
