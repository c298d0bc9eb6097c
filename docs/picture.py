"""Draw docs/replay.svg, the README's picture, from a real replay of the sample day: `python -m docs.picture`."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from hearthwatch.commands import SAMPLE
from hearthwatch.replay.driver import replay
from hearthwatch.replay.report import report_of
from hearthwatch.replay.summary import print_summary
from shared.adapters.bar_files.bar_set import load
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.contracts.portfolio import load_portfolio

PICTURE = Path(__file__).parent / "replay.svg"
TYPICAL_SECONDS = 0.04
"""Shown instead of the measured time, so that the picture changes only when the output does."""
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="-14 0 {terminal_width} {terminal_height}">
<style>.{unique_id}-matrix {{ font-family: Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: {char_height}px;
line-height: {line_height}px; white-space: pre; }} {styles}</style>
<rect x="-14" width="{terminal_width}" height="{terminal_height}" rx="8" fill="#0c0c0c"/>
<defs>{lines}</defs>
{backgrounds}<g class="{unique_id}-matrix" xml:space="preserve">{matrix}</g>
</svg>
"""


def main() -> None:
    """Replay the sample day and write the picture."""
    calendar = LibraryCalendar()
    portfolio = load_portfolio(SAMPLE / "portfolio.json")
    course = replay(
        load(SAMPLE / "bars", calendar),
        cash=portfolio.cash,
        positions=lambda at, day: [position.to_domain(at, day) for position in portfolio.positions],
        calendar=calendar,
    )
    console = Console(record=True, width=110, file=io.StringIO(), force_terminal=True)
    console.print("$ make replay")
    print_summary(report_of(course.outcome(), TYPICAL_SECONDS), course.alert_texts(), console)
    PICTURE.write_text(console.export_svg(code_format=SVG, unique_id="replay"), encoding="utf-8")


if __name__ == "__main__":
    main()
