"""The layers hold what the program was tested with, each package once, and fit Lambda's limits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from layers.measure import LAYERS, MEGABYTE, Weight, problems, weigh
from tests.architecture.deployment import ROOT

PINNED = re.compile(r"^([a-z0-9._-]+)==([^ ;]+)", re.MULTILINE)
BY_THE_RUNTIME = {"boto3", "botocore", "s3transfer"}
HEAVY = {"alpaca-py", "numpy", "pandas"}


def locked(name: str) -> set[tuple[str, str]]:
    return set(PINNED.findall((ROOT / name).read_text(encoding="utf-8")))


def names(name: str) -> set[str]:
    return {package for package, _ in locked(name)}


@pytest.mark.parametrize("layer", ["core", "broker"])
def test_a_layer_holds_what_was_tested(layer: str) -> None:
    assert locked(f"layers/{layer}.txt") <= locked("requirements.txt")


@pytest.mark.parametrize("layer", ["core", "broker"])
def test_every_wheel_of_a_layer_is_checked(layer: str) -> None:
    text = (ROOT / "layers" / f"{layer}.txt").read_text(encoding="utf-8")
    assert re.search(r"^[^#\s-][^\\\n]*$", text, re.MULTILINE) is None, "a line goes on to its hashes"
    assert text.count("--hash=sha256:") >= len(PINNED.findall(text))
    assert "://" not in text


def test_no_package_is_in_both_layers() -> None:
    assert not names("layers/core.txt") & names("layers/broker.txt")


def test_the_core_stays_light() -> None:
    assert not names("layers/core.txt") & HEAVY
    assert names("layers/broker.txt") >= HEAVY


def test_what_the_runtime_brings_is_not_carried() -> None:
    assert not (names("layers/core.txt") | names("layers/broker.txt")) & BY_THE_RUNTIME


def test_a_folder_weighs_its_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "quotes.py").write_bytes(b"x" * 10_000)
    weight = weigh(tmp_path)
    assert weight.unpacked == 10_000
    assert 0 < weight.packed < 1_000


@pytest.mark.parametrize(
    ("core", "broker", "found"),
    [
        (Weight(9 * MEGABYTE, 20 * MEGABYTE), Weight(60 * MEGABYTE, 200 * MEGABYTE), []),
        (Weight(11 * MEGABYTE, 20 * MEGABYTE), Weight(60 * MEGABYTE, 200 * MEGABYTE), ["core layer"]),
        (Weight(9 * MEGABYTE, 20 * MEGABYTE), Weight(60 * MEGABYTE, 230 * MEGABYTE), ["both layers"]),
    ],
)
def test_a_build_over_a_limit_is_named(core: Weight, broker: Weight, found: list[str]) -> None:
    named = problems({"PollPrices": Weight(20_000, 60_000)} | dict(zip(LAYERS, (core, broker), strict=True)))
    assert len(named) == len(found)
    assert all(words in problem for words, problem in zip(found, named, strict=True))
