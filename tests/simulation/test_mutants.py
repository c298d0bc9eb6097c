"""The bugs that the list of faults names are noticed; `make mutants` tries every one there is."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.mutants import __main__ as runner
from tests.mutants.mutant import PROJECT, Edit, Mutant, PatchDoesNotFit, check_fit, put_in
from tests.mutants.table import MUTANTS, REQUIRED
from tests.mutants.trial import BrokenMutant, try_mutant

SEEDS = 300


@pytest.mark.parametrize("mutant", REQUIRED, ids=lambda mutant: mutant.name)
def test_a_known_bug_is_noticed(mutant: Mutant) -> None:
    trial = try_mutant(mutant, SEEDS)
    assert str(trial.killed_by).startswith("invariant "), f"{mutant.name}: {trial.detail} over {trial.seeds} seeds"


def test_code_without_a_bug_passes() -> None:
    trial = try_mutant(Mutant(name="unchanged", breaks="nothing", edits=()), 30)
    assert (trial.killed_by, trial.detail, trial.seeds) == (None, "every invariant held", 30)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_patch_fits_the_code_of_today(mutant: Mutant) -> None:
    check_fit(mutant, PROJECT)


@pytest.mark.parametrize("mutant", [m for m in MUTANTS if m.test], ids=lambda mutant: mutant.name)
def test_a_test_that_is_named_exists(mutant: Mutant) -> None:
    assert mutant.test is not None
    file, *path = mutant.test.split("[")[0].split("::")
    body: list[ast.stmt] = ast.parse((PROJECT / file).read_text(encoding="utf-8")).body
    for name in path:
        found = [n for n in body if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == name]
        assert found, f"{file} has no {name}"
        body = found[0].body


def test_names_are_not_used_twice() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


@pytest.mark.parametrize("text", ["nothing of the kind", "one one"])
def test_a_patch_that_no_longer_fits_says_so(tmp_path: Path, text: str) -> None:
    (tmp_path / "room.py").write_text(text, encoding="utf-8")
    mutant = Mutant(name="old", breaks="a promise", edits=(Edit("room.py", "one", "two"),))
    with pytest.raises(PatchDoesNotFit, match=r"the patch no longer fits: room\.py"):
        put_in(mutant, tmp_path)
    assert (tmp_path / "room.py").read_text(encoding="utf-8") == text


def test_edits_of_one_file_build_on_each_other(tmp_path: Path) -> None:
    (tmp_path / "room.py").write_text("one", encoding="utf-8")
    edits = (Edit("room.py", "one", "two"), Edit("room.py", "two", "three"))
    put_in(Mutant(name="both", breaks="a promise", edits=edits), tmp_path)
    assert (tmp_path / "room.py").read_text(encoding="utf-8") == "three"


HARMLESS = Mutant(
    name="harmless",
    breaks="nothing",
    edits=(Edit("shared/domain/ledger.py", "The order ledger: every", "The ledger of orders: every"),),
)
OUTDATED = Mutant(name="outdated", breaks="a promise", edits=(Edit("shared/domain/ledger.py", "no such text", ""),))
BAD_CODE = Mutant(
    name="bad code",
    breaks="a promise",
    edits=(Edit("shared/use_cases/place_orders.py", "if self._is_before(ledger.quiet_until):", "if no_such_name:"),),
)


def test_bad_code_is_no_kill() -> None:
    with pytest.raises(BrokenMutant, match="NameError"):
        try_mutant(BAD_CODE, 5)


@pytest.mark.parametrize(
    ("mutants", "words", "code", "told"),
    [
        ((REQUIRED[0],), [], 0, "mutants: 1, each one noticed"),
        ((HARMLESS, REQUIRED[0]), [], 1, "not noticed: harmless"),
        ((OUTDATED,), [], 2, "the patch no longer fits: shared/domain/ledger.py holds it 0 times"),
        ((HARMLESS,), ["--only", "nobody"], 2, "no such mutant: nobody"),
        ((HARMLESS,), ["--list"], 0, "harmless"),
    ],
)
def test_the_runner_says_what_was_noticed_and_exits_accordingly(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    mutants: Sequence[Mutant],
    words: Sequence[str],
    code: int,
    told: str,
) -> None:
    monkeypatch.setattr(runner, "MUTANTS", mutants)
    assert runner.main(["--seeds", "5", *words]) == code
    captured = capsys.readouterr()
    assert told in captured.out + captured.err
