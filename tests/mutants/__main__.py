"""Put every mutant in, one at a time, and show what notices it; exit 0 only when every one is noticed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Final

from tests.mutants.mutant import Mutant, PatchDoesNotFit
from tests.mutants.table import MUTANTS
from tests.mutants.trial import BrokenMutant, Trial, passes_unpatched, try_mutant

SEEDS: Final = 200
UNCHANGED: Final = Mutant(name="(unchanged)", breaks="nothing: the code as it is must pass", edits=())

OK, SURVIVED, UNUSABLE = 0, 1, 2


def main(words: Sequence[str]) -> int:
    """Run the mutants that were asked for and print the table."""
    options = _parser().parse_args(words)
    chosen = [mutant for mutant in MUTANTS if not options.only or mutant.name in options.only]
    unknown = set(options.only) - {mutant.name for mutant in MUTANTS}
    if unknown:
        print(f"no such mutant: {', '.join(sorted(unknown))} (see --list)", file=sys.stderr)
        return UNUSABLE
    if options.list:
        for mutant in chosen:
            print(f"{mutant.name:<44} {mutant.breaks}")
        return OK
    if problems := list(_problems_unpatched(chosen, options)):
        print("\n".join(problems), file=sys.stderr)
        return UNUSABLE
    trials, broken = _run(chosen, options)
    if trials:
        _show(sorted(trials, key=lambda trial: MUTANTS.index(trial.mutant)))
    for problem in broken:
        print(problem, file=sys.stderr)
    survived = [trial.mutant.name for trial in trials if trial.killed_by is None]
    if survived:
        print(f"not noticed: {', '.join(survived)}")
    elif not broken:
        print(f"mutants: {len(trials)}, each one noticed")
    return UNUSABLE if broken else SURVIVED if survived else OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="seeds for each bug (%(default)s); some need more")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="this mutant; several times if so")
    parser.add_argument("--list", action="store_true", help="name the mutants and what they break")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at once (%(default)s)")
    return parser


def _problems_unpatched(chosen: Sequence[Mutant], options: argparse.Namespace) -> Iterator[str]:
    """Name what fails already without a mutant: against that, nothing would be proved."""
    if any(mutant.test is None for mutant in chosen):
        trial = try_mutant(UNCHANGED, options.seeds)
        if trial.killed_by is not None:
            yield f"the simulation fails without any mutant: {trial.detail}"
    tests = sorted({mutant.test for mutant in chosen if mutant.test is not None})
    with ThreadPoolExecutor(options.jobs) as pool:
        for test, passes in zip(tests, pool.map(passes_unpatched, tests), strict=True):
            if not passes:
                yield f"{test} fails without any mutant"


def _run(chosen: Sequence[Mutant], options: argparse.Namespace) -> tuple[list[Trial], list[str]]:
    trials, broken = [], []
    with ThreadPoolExecutor(options.jobs) as pool:
        running = {pool.submit(try_mutant, mutant, options.seeds): mutant for mutant in chosen}
        for done, future in enumerate(as_completed(running), start=1):
            name = running[future].name
            try:
                trial = future.result()
            except (BrokenMutant, PatchDoesNotFit) as problem:
                broken.append(f"{name}: {problem}")
                word = "UNUSABLE"
            else:
                trials.append(trial)
                word = f"killed by {trial.detail}" if trial.killed_by else "NOT NOTICED"
            print(f"[{done:>3}/{len(chosen)}] {name}: {word}", flush=True)
    return trials, broken


def _show(trials: Sequence[Trial]) -> None:
    first, second = (max(map(len, column), default=0) for column in zip(*map(_cells, trials), strict=True))
    print(f"\n{'mutant':<{first}}  {'killed by':<{second}}  seeds  seconds")
    for trial in trials:
        name, killed_by = _cells(trial)
        seeds = "" if trial.seeds is None else trial.seeds
        print(f"{name:<{first}}  {killed_by:<{second}}  {seeds:>5}  {trial.seconds:>7.1f}")


def _cells(trial: Trial) -> tuple[str, str]:
    """Name a mutant and what killed it, a test without its folder and class."""
    file, *names = (trial.killed_by or "NOTHING").split("::")
    return trial.mutant.name, f"{Path(file).stem}: {names[-1]}" if names else file


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
