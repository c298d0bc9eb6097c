"""The runtime check on a build of this checkout: it passes, and names whatever a broken copy lacks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from local_stack.cloud.template import NotPlayed
from local_stack.runtime.brought import bring
from tests.fakes.house import FUNCTIONS, ROOT
from tests.runtime_check import __main__ as command
from tests.runtime_check.building import UNREACHABLE, built_once, install_from_here, note_of
from tests.runtime_check.check import Checked, Site, check, read_build, specimens_of

QUICK: Final = {
    "archive_prices": ["past_the_hour"],
    "check_risk": ["tick"],
    "place_orders": ["ring_among_messages_not_ours", "tick"],
}
"""Functions of which only some specimens are tried here; `make runtime` takes all of them."""


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    return built_once(shared / "runtime-build")


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bring(tmp_path_factory.mktemp("lambda") / "brought")


@pytest.fixture
def copy(built: Path, tmp_path: Path) -> Iterator[Path]:
    """Give a copy of the build that may be spoiled."""
    copied = tmp_path / "copy"
    shutil.copytree(built, copied, copy_function=os.link, symlinks=True)
    yield copied
    shutil.rmtree(copied)


def checked(build: Path, brought: Path, tmp_path: Path, function: str) -> Checked:
    return check(Site(read_build(build), brought, tmp_path / "logs"), function, QUICK.get(function))


def spoilt(build: Path, old: str, new: str, *, after: str = "") -> None:
    """Change the build's own template in the first place after some words; the file of the original stays."""
    template = build / "template.yaml"
    text = template.read_text(encoding="utf-8")
    start = text.index(after)
    assert old in text[start:]
    template.unlink()
    template.write_text(text[:start] + text[start:].replace(old, new, 1), encoding="utf-8")


@pytest.mark.parametrize("function", ["poll_prices", "route_alerts", "archive_prices"])
def test_a_built_function_does_what_it_does_in_process(
    built: Path, brought: Path, tmp_path: Path, function: str, record_property: Callable[[str, object], None]
) -> None:
    if (note := note_of(built.parent)) is not None:
        record_property("note", f"runtime check: {note}")
    site = Site(read_build(built), brought, tmp_path)
    found = check(site, function)
    assert found.problems == []
    assert found.specimens == len(specimens_of(function))
    assert found.cold_start is not None
    assert 0 < found.seen <= found.granted


def test_a_removed_dependency_is_named_where_it_is_loaded_at_the_start(
    copy: Path, brought: Path, tmp_path: Path
) -> None:
    shutil.rmtree(copy / "CoreLayer" / "python" / "pydantic_core")
    found = checked(copy, brought, tmp_path, "archive_prices")
    assert found.problems == ["dependency: pydantic_core is in none of the function's layers"]
    assert found.cold_start is None


def test_a_removed_dependency_is_named_where_it_is_loaded_later(copy: Path, brought: Path, tmp_path: Path) -> None:
    shutil.rmtree(copy / "BrokerLayer" / "python" / "requests")
    found = checked(copy, brought, tmp_path, "place_orders")
    assert found.problems == ["dependency: requests is in none of the function's layers"]
    assert found.cold_start is not None


def test_a_layer_that_was_not_built_is_named(copy: Path, brought: Path, tmp_path: Path) -> None:
    shutil.rmtree(copy / "BrokerLayer")
    assert checked(copy, brought, tmp_path, "place_orders").problems == ["layer: BrokerLayer is not in the build"]


def test_a_layer_that_the_template_does_not_give_is_named(copy: Path, brought: Path, tmp_path: Path) -> None:
    spoilt(copy, "      Layers:\n      - Ref: BrokerLayer\n", "", after="\n  PlaceOrders:\n")
    assert checked(copy, brought, tmp_path, "place_orders").problems == [
        "layer: BrokerLayer is none of the function's layers, and holds alpaca"
    ]


def test_a_variable_that_the_template_does_not_set_is_named(copy: Path, brought: Path, tmp_path: Path) -> None:
    spoilt(copy, "        HEARTHWATCH_ARCHIVE_BUCKET:\n          Ref: ArchiveBucket\n", "")
    assert checked(copy, brought, tmp_path, "archive_prices").problems == [
        "variable: HEARTHWATCH_ARCHIVE_BUCKET is not set"
    ]


def test_a_variable_without_which_nobody_starts_is_named(copy: Path, brought: Path, tmp_path: Path) -> None:
    spoilt(copy, "        HEARTHWATCH_BOOK_TABLE:\n          Ref: BookTable\n", "")
    assert checked(copy, brought, tmp_path, "archive_prices").problems == [
        "variable: HEARTHWATCH_BOOK_TABLE is not set"
    ]


def test_an_action_that_the_policy_lacks_is_named(copy: Path, brought: Path, tmp_path: Path) -> None:
    spoilt(copy, "            - s3:PutObject\n", "", after="\n  ArchivePricesRole:\n")
    found = checked(copy, brought, tmp_path, "archive_prices")
    assert [line.partition(" on ")[0] for line in found.problems] == ["permission: ArchivePrices may not s3:PutObject"]


def test_an_action_that_nothing_uses_is_named(copy: Path, brought: Path, tmp_path: Path) -> None:
    spoilt(
        copy, "- s3:PutObject\n", "- s3:PutObject\n            - s3:DeleteObject\n", after="\n  ArchivePricesRole:\n"
    )
    found = checked(copy, brought, tmp_path, "archive_prices")
    assert [line.partition(" on ")[0] for line in found.problems] == ["granted but not seen: s3:DeleteObject"]


def test_code_that_answers_differently_once_it_is_built_is_named(copy: Path, brought: Path, tmp_path: Path) -> None:
    handler = copy / "CheckRisk" / "functions" / "check_risk" / "handler.py"
    changed = handler.read_text(encoding="utf-8").replace('"problems": list(report.problems)', '"problems": ["odd"]')
    handler.unlink()
    shutil.rmtree(handler.parent / "__pycache__")
    handler.write_text(changed, encoding="utf-8")
    (problem,) = checked(copy, brought, tmp_path, "check_risk").problems
    assert problem.startswith("tick: {")
    assert '"problems": ["odd"]}, and in-process {' in problem


def test_the_command_fails_with_a_line_for_each_problem(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "check", lambda _, function: Checked(function=function, problems=["one", "two"]))
    assert command.main(["check_risk", "--build", str(copy)]) == 1
    assert capsys.readouterr().err.splitlines() == ["check_risk: one", "check_risk: two"]


def test_the_command_checks_every_function(
    built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "check", lambda _, function: Checked(function=function))
    assert command.main(["--build", str(built)]) == 0
    shown = capsys.readouterr().out
    assert all(function in shown for function in FUNCTIONS)


def test_a_folder_without_a_build_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotPlayed, match="holds no build"):
        read_build(tmp_path)
    assert command.main(["--build", str(tmp_path)]) == 2
    assert "holds no build" in capsys.readouterr().err


@pytest.mark.parametrize("layer", ["Core", "Broker"])
def test_without_a_package_index_the_layers_are_made_from_this_environment(
    built: Path, tmp_path: Path, layer: str
) -> None:
    install_from_here(ROOT / "layers" / f"{layer.lower()}.txt", tmp_path)
    packages = {path.name for path in (built / f"{layer}Layer" / "python").iterdir()} - {"shared", "__pycache__"}
    assert {path.name for path in tmp_path.iterdir()} - {"__pycache__"} == packages


@pytest.mark.parametrize(
    ("said", "unreachable"),
    [
        ("error: Failed to fetch: `x`\n  cause: error sending request for url (x)\n  cause: dns error", True),
        ("error: Failed to download numpy\n  cause: Hash mismatch for numpy", False),
    ],
)
def test_only_an_index_that_is_not_reached_lets_the_environment_stand_in(said: str, unreachable: bool) -> None:
    assert bool(UNREACHABLE.search(said)) is unreachable
