"""A build for this machine in a folder of a test run: `make build`, as it is.

Where no package index can be reached, the packages of the layers are copied from this environment instead, which was
made from the same locks; everything else is still done by the project's own rules. The run then says so.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

from packaging.markers import Marker

from tests.fakes.house import ROOT

UNREACHABLE: Final = re.compile(r"Failed to fetch.*?error sending request", re.DOTALL)
_LOCKED: Final = re.compile(r"^([\w.-]+)==([\w.]+)(?: ; (.*?))? *\\?$", re.MULTILINE)
_NOTE: Final = "packages-from-here"


def built_once(folder: Path) -> Path:
    """Build into a folder that several processes share, or wait for the one that does it; give the build."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            _build(folder)
            (folder / "done").touch()
    return folder / "lambda"


def note_of(folder: Path) -> str | None:
    """Say that the packages of a build came from this environment, if they did."""
    return (folder / _NOTE).read_text(encoding="utf-8") if (folder / _NOTE).exists() else None


def install_from_here(lock: Path, target: Path) -> None:
    """Copy what a lock names from this environment; raises LookupError when another version is installed."""
    for name, version, marker in _LOCKED.findall(lock.read_text(encoding="utf-8")):
        if marker and not Marker(marker).evaluate():
            continue
        found = distribution(name)
        if found.version != version:
            raise LookupError(f"{name} {version} is locked, {found.version} is installed")
        for file in found.files or ():
            if ".." not in file.parts:
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(found.locate_file(file)), target / file)


def _build(folder: Path) -> None:
    failed = _make(folder)
    if failed is not None and UNREACHABLE.search(failed):
        failed = _make(folder, f"UV={sys.executable} -m {__name__}")
        if failed is None:
            (folder / _NOTE).write_text("no package index was reached: the layers were built from this environment")
    if failed is not None:
        raise RuntimeError(f"make build failed:\n{failed}")


def _make(folder: Path, *words: str) -> str | None:
    """Build; give everything that was said when it fails."""
    command = [shutil.which("make") or "make", "build", "ARCH=host", f"BUILT={folder / 'lambda'}", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stdout + done.stderr


if __name__ == "__main__":
    # called in the place of uv, with its words
    given = sys.argv[1:]
    install_from_here(Path(given[given.index("-r") + 1]), Path(given[given.index("--target") + 1]))
