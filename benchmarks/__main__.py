"""Run the benchmarks: `python -m benchmarks [NAME ...]`."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks import budget, exchange, functions, gate, replay, risk, simulation
from benchmarks.figures import Figure, Say

OUTPUT: Final = Path("build") / "bench" / "figures.json"
BENCHMARKS: Final[Mapping[str, Callable[[Say], list[Figure]]]] = {
    "replay": replay.measure,
    "risk": risk.measure,
    "gate": gate.measure,
    "simulation": simulation.measure,
    "exchange": exchange.measure,
    "functions": functions.measure,
    "budget": budget.measure,
}


def main(arguments: Sequence[str]) -> int:
    """Measure what was named, or everything; print a table and keep the figures as JSON."""
    options = _parser().parse_args(arguments)
    warnings.simplefilter("ignore")
    console = Console()
    found: dict[str, list[Figure]] = {}
    for name in options.names or BENCHMARKS:
        with console.status(name) as status:
            found[name] = BENCHMARKS[name](_saying(console, status.update, name))
    _print(found, console)
    _write(found, options.json)
    console.print(f"Figures: {options.json}", highlight=False)
    return 0


def _parser() -> argparse.ArgumentParser:
    about = "\n\n".join(f"{name}\n{sys.modules[measure.__module__].__doc__}" for name, measure in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Hearthwatch beside its peers in one run. Ratios hold from machine to machine, seconds "
        "do not: compare figures of one run only, on a machine that does nothing else.",
        epilog=about,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*BENCHMARKS, []], help=", ".join(BENCHMARKS))
    parser.add_argument("--json", type=Path, default=OUTPUT, help="where the figures go (%(default)s)")
    return parser


def _saying(console: Console, update: Callable[[str], None], name: str) -> Say:
    """Show the present step in the status line, or as a line of its own where there is no terminal."""
    if console.is_terminal:
        return lambda what: update(f"{name}: {what}")
    return lambda what: console.print(f"{name}: {what}", highlight=False)


def _print(found: Mapping[str, Sequence[Figure]], console: Console) -> None:
    table = Table(box=SIMPLE, pad_edge=False)
    for column in ("measured", "value", "unit", "hold"):
        table.add_column(column, justify="right" if column == "value" else "left", no_wrap=True)
    for name, figures in found.items():
        table.add_row(f"[bold]{name}[/bold]")
        for figure in figures:
            table.add_row(figure.what, _shown(figure.value), figure.unit, figure.hold)
        table.add_section()
    console.print(table)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _write(found: Mapping[str, Sequence[Figure]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "benchmarks": {name: [figure._asdict() for figure in figures] for name, figures in found.items()},
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
