"""Draw docs/run.svg, the README's picture, from a real run of the sample day: `python -m docs.picture`."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from types import TracebackType
from typing import Self

from rich.console import Console

from hearthwatch.commands import SAMPLE
from hearthwatch.run_command import market_of
from local_stack.run.keys import LocalKeys
from local_stack.run.service import PORT, RunSettings, open_run, plan_run
from local_stack.run.snapshot import Snapshot
from local_stack.run.view import draw
from shared.adapters.bar_files.bar_set import load
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.contracts.portfolio import load_portfolio

PICTURE = Path(__file__).parent / "run.svg"
SHOWN_AT = datetime(2026, 6, 10, 17, 54, tzinfo=UTC)
"""When both sales of the sample day are done."""
WIDTH, HEIGHT = 118, 34
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="-14 0 {terminal_width} {terminal_height}">
<style>.{unique_id}-matrix {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px;
line-height: {line_height}px; white-space: pre; }} {styles}</style>
<rect x="-14" width="{terminal_width}" height="{terminal_height}" rx="8" fill="#0c0c0c"/>
<defs>{lines}</defs>
{backgrounds}<g class="{unique_id}-matrix" xml:space="preserve">{matrix}</g>
</svg>
"""


class Camera:
    """A screen that keeps the newest snapshot and stops the run when it is the one wanted."""

    def __init__(self, stopped: Event) -> None:
        self._stopped = stopped
        self.seen: Snapshot | None = None

    def __enter__(self) -> Self:
        """Begin; there is nothing to do."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End; there is nothing to do."""

    def show(self, snapshot: Snapshot) -> None:
        """Keep a snapshot."""
        self.seen = snapshot
        if snapshot.now >= SHOWN_AT:
            self._stopped.set()

    def say(self, text: str) -> None:
        """Leave out what is said about the run itself."""


def main() -> None:
    """Run the whole system through the sample day, and draw the terminal after its second sale."""
    calendar = LibraryCalendar()
    market = market_of(load(SAMPLE / "bars", calendar), None, load_portfolio(SAMPLE / "portfolio.json"))
    with TemporaryDirectory() as folder:
        settings = RunSettings(
            folder=Path(folder),
            symbols=tuple(market.bars.symbols),
            keys=LocalKeys(),
            market=market,
            about="picture",
            speed=None,
            speed_words="60x",
            fresh=True,
        )
        stopped = Event()
        camera = Camera(stopped)
        with open_run(plan_run(settings), calendar) as started:
            started.play(stopped, camera)
    if camera.seen is None:
        raise RuntimeError("the run showed nothing")
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    usual = replace(camera.seen, page=f"http://127.0.0.1:{PORT}")
    console.print(draw(usual, WIDTH, HEIGHT))
    PICTURE.write_text(console.export_svg(code_format=SVG, unique_id="run"), encoding="utf-8")


if __name__ == "__main__":
    main()
