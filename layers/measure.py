"""Weigh what `sam build` made: every layer and function, packed and unpacked, against Lambda's limits and our own."""

from __future__ import annotations

import sys
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

MEGABYTE: Final = 1024 * 1024
MOST_UNPACKED: Final = 250 * MEGABYTE
"""Lambda's limit on a function together with its layers."""
MOST_PACKED: Final = 10 * MEGABYTE
"""Ours, on a function together with the core layer: what is small starts fast."""
CORE: Final = "CoreLayer"
LAYERS: Final = (CORE, "BrokerLayer")


class Weight(NamedTuple):
    """Bytes of one layer or function."""

    packed: int
    unpacked: int


def weigh(folder: Path) -> Weight:
    """Pack a folder as a deploy does, and give both sizes."""
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        for file in files:
            packed.write(file, file.relative_to(folder))
    return Weight(archive.tell(), sum(file.stat().st_size for file in files))


def problems(weights: dict[str, Weight]) -> list[str]:
    """Name every limit that is passed."""
    found = []
    layers = sum(weights[name].unpacked for name in LAYERS)
    for name in weights.keys() - LAYERS:
        packed, unpacked = weights[name].packed + weights[CORE].packed, weights[name].unpacked + layers
        if packed > MOST_PACKED:
            found.append(f"{name} and the core layer are {_readable(packed)} packed, over {_readable(MOST_PACKED)}")
        if unpacked > MOST_UNPACKED:
            found.append(f"{name} and both layers are {_readable(unpacked)} unpacked, over Lambda's limit")
    return sorted(found)


def main(build: str) -> int:
    """Print the sizes in a build folder; return 1 when a limit is passed."""
    weights = {folder.name: weigh(folder) for folder in sorted(Path(build).iterdir()) if folder.is_dir()}
    for name, weight in weights.items():
        print(f"{name:16} {_readable(weight.packed):>10} packed {_readable(weight.unpacked):>10} unpacked")
    found = problems(weights)
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


def _readable(size: int) -> str:
    return f"{size / MEGABYTE:.1f} MB" if size >= MEGABYTE // 10 else f"{size / 1024:.1f} KB"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
