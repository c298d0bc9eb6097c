"""Start the real `awslambdaric` with a search path of exactly what is given, and the clock where it is told to stand.

Runs as a script under `python -I -S`, in an interpreter that knows nothing but its standard library. The clock is the
one thing in the function that is not its own: specimens are events of a certain minute.
"""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Sequence
from datetime import datetime
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Final

CLOCK: Final = "shared.adapters.system_clock.clock"


class StandingClock(MetaPathFinder):
    """Lets the module of the system clock be loaded as it is, then makes its clock stand still."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the one module that is changed, and leave every other to the ordinary finders."""
        if fullname != CLOCK or (spec := PathFinder.find_spec(fullname, path)) is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def load_and_stop(module: ModuleType) -> None:
            load(module)
            module.SystemClock.now = lambda _: self._now

        spec.loader.exec_module = load_and_stop  # type: ignore[method-assign]
        return spec


def main(words: Sequence[str]) -> None:
    """Take the search path and the instant as JSON, and the handler's name."""
    given, handler = json.loads(words[0]), words[1]
    sys.path[:0] = given["path"]
    if given["now"] is not None:
        sys.meta_path.insert(0, StandingClock(datetime.fromisoformat(given["now"])))
    sys.argv = ["awslambdaric", handler]
    runpy.run_module("awslambdaric", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
