"""What every test may use: the reference data, or the samples that stand in for it where it is absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

PROJECT = Path(__file__).parents[1]
SAMPLES = Path(__file__).parent / "samples"
CHOICE = "HEARTHWATCH_REFERENCE_DATA"
"""Names another folder with reference data, or is "none" to use the samples."""

settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


class ReferenceData:
    """Real data beside the project, and invented samples of the same form inside it."""

    def __init__(self, root: Path | None) -> None:
        self.root = root

    @property
    def is_sample(self) -> bool:
        """Say whether only the samples are there."""
        return self.root is None

    def path(self, *parts: str) -> Path:
        """Return a real file or folder, or its sample; a missing sample is an error, never a skipped test."""
        if self.root is not None and (real := self.root.joinpath(*parts)).exists():
            return real
        sample = SAMPLES.joinpath(*parts)
        if not sample.exists():
            raise FileNotFoundError(f"no reference data and no sample {Path('tests/samples', *parts)}; see {CHOICE}")
        return sample


def find_reference_data() -> ReferenceData:
    choice = os.environ.get(CHOICE, "")
    if choice == "none":
        return ReferenceData(None)
    root = Path(choice) if choice else PROJECT.parent / "shared"
    if (root / "data" / "MANIFEST.json").is_file():
        return ReferenceData(root)
    if choice:
        raise FileNotFoundError(f"{CHOICE}={choice}: no data/MANIFEST.json in that folder")
    return ReferenceData(None)


@pytest.fixture(scope="session")
def reference_data() -> ReferenceData:
    return find_reference_data()


def pytest_report_header(config: pytest.Config) -> str:
    root = find_reference_data().root
    return f"reference data: {'the samples in tests/samples' if root is None else root}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much the simulation tried, whichever workers it ran on, and what else a test noted for the reader."""
    reports = [r for outcome in ("passed", "failed") for r in terminalreporter.getreports(outcome)]
    runs = [value for report in reports for name, value in report.user_properties if name == "simulated"]
    if runs:
        seeds, calls, faults = (sum(column) for column in zip(*runs, strict=True))
        terminalreporter.write_line(f"simulation: {seeds:,} new seeds, {calls:,} port calls, {faults:,} faults struck")
    for note in {value for report in reports for name, value in report.user_properties if name == "note"}:
        terminalreporter.write_line(note)
