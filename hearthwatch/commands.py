"""The operator's commands: what they take, what they print, and how they exit.

Exit codes: 0 done, 1 done and something is wrong (a broken chain, a failed simulation), 2 the input cannot be used,
130 stopped by hand.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import time
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hearthwatch.operator.commands import RUN_FOLDER, add_operator_commands
from hearthwatch.replay.driver import replay
from hearthwatch.replay.report import report_of, write_report
from hearthwatch.replay.summary import print_summary
from hearthwatch.simulation.campaign import describe_failure, run_campaign
from shared.adapters.bar_files.bar_set import BarSet, load
from shared.adapters.bar_files.table import BarFileError
from shared.adapters.exchange_calendar.calendar import LibraryCalendar
from shared.adapters.journal_file.file import read_journal, write_journal
from shared.contracts.portfolio import Portfolio, load_portfolio
from shared.domain.errors import InvalidValue, Stop
from shared.domain.journal import first_break
from shared.domain.positions import Position
from shared.ports.broker import ExchangeCalendar

SAMPLE: Final = Path(__file__).parent / "sample"
OUTPUT: Final = Path("build") / "replay"
START_CASH: Final = Decimal(100_000)
"""The cash of a replay without a portfolio file: a paper account's."""

HISTORY: Final = timedelta(days=35)
"""Holds the twenty trading days that the volatility is taken over, holidays included."""
SEEDS: Final = 200
"""New seeds of a simulation that was told neither a count nor a time."""

OK, WRONG, UNUSABLE, STOPPED = 0, 1, 2, 130


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; what cannot be used is named in one line on standard error."""
    logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        code: int = options.run(options)
    except Stop as problem:
        print(f"hearthwatch: {problem}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print("hearthwatch: stopped", file=sys.stderr)
        return STOPPED
    return code


class _Parser(argparse.ArgumentParser):
    """Names what is wrong with the words in one line, as every other unusable input."""

    def error(self, message: str) -> NoReturn:
        self.exit(UNUSABLE, f"hearthwatch: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m hearthwatch", description="Watch a trading account.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_replay(commands)
    _add_simulate(commands)
    _add_chaos(commands)
    _add_verify(commands)
    add_operator_commands(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[_Parser]) -> None:
    command = commands.add_parser(
        "run",
        help="run the whole system on this machine and watch it live",
        description="Run the whole system on this machine: the deployed functions on an embedded AWS, an exchange that "
        "plays recorded bars, and a local Discord and mail outbox to look at. Without --bars it plays the synthetic "
        "crash day that comes with Hearthwatch; with the keys of a paper account in .env and no bars it trades there. "
        "Ctrl-C stops it and keeps its state; the next start goes on.",
    )
    _add_bars(command)
    command.add_argument(
        "--speed",
        type=_speed,
        default=Decimal(60),
        metavar="60|max",
        help="simulated seconds in a real one, or max (%(default)s); a real account runs in real time",
    )
    command.add_argument("--fresh", action="store_true", help="forget the saved state and start anew")
    command.add_argument("--port", type=_port, help="where the page with the messages is (default: 8642)")
    command.add_argument("--plain", action="store_true", help="print lines instead of drawing a view")
    command.add_argument(
        "--folder", type=_path, default=RUN_FOLDER, help="where state, messages and logs go (%(default)s)"
    )
    command.add_argument("--keys", type=_path, default=Path(".env"), help="a file with keys, NAME=value (%(default)s)")
    command.set_defaults(run=_run)


def _add_replay(commands: argparse._SubParsersAction[_Parser]) -> None:
    command = commands.add_parser(
        "replay",
        help="run recorded bars through the whole watch, in memory and fast",
        description="Run recorded bars through the whole watch: quotes, moves, stops, orders, journal and report. "
        "Without --bars it replays the synthetic crash day that comes with Hearthwatch.",
    )
    _add_bars(command)
    command.add_argument(
        "--report", type=_path, default=OUTPUT / "report.json", help="where the report goes (%(default)s)"
    )
    command.add_argument(
        "--journal", type=_path, default=OUTPUT / "journal.jsonl", help="where the journal goes (%(default)s)"
    )
    command.set_defaults(run=_replay)


def _add_bars(command: _Parser) -> None:
    """Add what says which bars are played, and with what in hand."""
    command.add_argument(
        "--bars", type=_path, help="a bars file (csv or csv.gz: ts,open,high,low,close,volume) or folder"
    )
    command.add_argument("--symbols", type=_names, metavar="TSLA,NVDA", help="only these symbols (default: all there)")
    command.add_argument("--from", dest="first", type=_day, metavar="YYYY-MM-DD", help="first day, New York")
    command.add_argument("--to", dest="last", type=_day, metavar="YYYY-MM-DD", help="last day, New York, included")
    command.add_argument(
        "--portfolio", type=_path, help="JSON with cash and positions (default: $100,000, no positions)"
    )
    command.add_argument(
        "--actions", type=_path, help="splits and dividends (default: corporate_actions.csv beside the bars)"
    )
    command.add_argument("--quotes", action="store_true", help="use recorded quotes from <symbol>_quotes files")


def _add_simulate(commands: argparse._SubParsersAction[_Parser]) -> None:
    command = commands.add_parser(
        "simulate",
        help="run the watch under seeded faults and check its invariants",
        description="Run the real use cases under seeded faults (crashes, lost answers, throttles, duplicates, delays, "
        "bad quotes, the kill switch at a random step) and check the invariants after every step. A failure prints its "
        "seed and a minimal trace. Seeds that once failed come first.",
    )
    command.add_argument("--seed", type=_count, default=None, help="this seed, or the first of SEEDS")
    command.add_argument(
        "--seeds", type=_count, default=None, help="how many new seeds (200, or no end with --seconds)"
    )
    command.add_argument("--minutes", type=_minutes, default=15, help="simulated minutes under faults (%(default)s)")
    command.add_argument("--seconds", type=float, default=None, help="stop beginning new seeds after this long")
    command.add_argument(
        "--no-shrink", dest="shrunk", action="store_false", help="print the first failing run as it is, without delay"
    )
    command.set_defaults(run=_simulate)


def _add_chaos(commands: argparse._SubParsersAction[_Parser]) -> None:
    command = commands.add_parser(
        "chaos",
        help="break one part after the other while a stop must fire, and show what became of it",
        description="Play a fall through the stop on the deployed functions over an embedded AWS, with something "
        "broken in each row, and judge from outside: sold in time, sold once, covered, told, at rest after. "
        "Exits with 1 when any cell fails.",
    )
    command.add_argument("--row", action="append", default=[], metavar="NAME", help="only this row; may be repeated")
    command.add_argument(
        "--column", action="append", default=[], metavar="NAME", help="only this column; may be repeated"
    )
    command.add_argument("--list", action="store_true", help="say what the rows break and what must hold; play nothing")
    command.add_argument("--json", type=_path, metavar="FILE", help="write the results to a file as well")
    command.add_argument("--jobs", type=_jobs, default=_jobs_here(), help="cells played at once (%(default)s)")
    command.set_defaults(run=_chaos)


def _add_verify(commands: argparse._SubParsersAction[_Parser]) -> None:
    command = commands.add_parser(
        "verify",
        help="check a journal's hash chain",
        description="Check that a journal was not changed: names the first entry that was altered, dropped or moved.",
    )
    command.add_argument(
        "--journal", type=_path, default=OUTPUT / "journal.jsonl", help="the journal file (%(default)s)"
    )
    command.add_argument(
        "--root",
        type=_root,
        action="append",
        default=[],
        metavar="DAY=HASH",
        help="a day's root as it was published; may be given several times",
    )
    command.set_defaults(run=_verify)


def _run(options: argparse.Namespace) -> int:
    # imported late: the embedded cloud takes a second to load, and no other command needs it
    from hearthwatch import run_command

    calendar = LibraryCalendar()
    _check_folder(options.folder)
    wants_bars = any(getattr(options, name) for name in ("bars", "first", "last", "portfolio", "actions", "quotes"))
    keys = run_command.keys_for(options.keys, wants_bars=wants_bars)
    market = None
    if keys.alpaca_key_id is None:
        bars = _bars(options, calendar)
        market = run_command.market_of(bars, _history(options, calendar), _portfolio(options, bars))
    settings = run_command.settings_of(options, keys, market)
    run_command.run(settings, calendar, Console(file=sys.stdout), plain=options.plain)
    return OK


def _replay(options: argparse.Namespace) -> int:
    console = Console()
    calendar = LibraryCalendar()
    bars = _bars(options, calendar)
    portfolio = _portfolio(options, bars)
    _check_apart(options)
    for path in (options.report, options.journal):
        _check_writable(path)
    history = _history(options, calendar)
    gc.freeze()  # the bars stay to the end: no collection needs to look at them again
    began = time.perf_counter()
    with _progress(console) as progress:
        task = progress.add_task("replaying", total=None)
        course = replay(
            bars,
            cash=portfolio.cash,
            positions=lambda at, day: _positions(portfolio, at, day),
            calendar=calendar,
            history=history,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    report = report_of(course.outcome(), time.perf_counter() - began)
    write_report(report, options.report)
    write_journal(options.journal, course.world.journal.links())
    print_summary(report, course.alert_texts(), console)
    if bars.outside_session:
        console.print(f"{bars.outside_session} bars outside the regular session were left out")
    console.print(f"Report: {options.report}", highlight=False)
    console.print(f"Journal: {options.journal} (check it with `make verify`)", highlight=False)
    return OK


def _bars(options: argparse.Namespace, calendar: ExchangeCalendar) -> BarSet:
    return load(
        options.bars or SAMPLE / "bars",
        calendar,
        symbols=options.symbols,
        first=options.first,
        last=options.last,
        actions=options.actions,
        quotes=options.quotes,
    )


def _history(options: argparse.Namespace, calendar: ExchangeCalendar) -> BarSet | None:
    """Load what lies before the range, for the volatility; nothing there means that it stays unknown."""
    if options.bars is None or options.first is None:
        return None
    first, last = options.first - HISTORY, options.first - timedelta(days=1)
    try:
        return load(options.bars, calendar, symbols=options.symbols, first=first, last=last)
    except BarFileError:
        return None


def _verify(options: argparse.Namespace) -> int:
    journal = read_journal(options.journal)
    broken = first_break(journal.links, {**journal.roots, **dict(options.root)})
    if broken is not None:
        print(f"{options.journal}: broken at entry {broken.sequence} of {broken.day}: {broken.what}")
        return WRONG
    print(f"{options.journal}: {len(journal.links)} entries over {len(journal.roots)} days, the chain is whole")
    for day, root in sorted(journal.roots.items()):
        print(f"  {day} {root}")
    return OK


def _simulate(options: argparse.Namespace) -> int:
    """Leave the log out: under faults there are thousands of warnings."""
    logged = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        return _run_seeds(options)
    finally:
        logging.disable(logged)


def _run_seeds(options: argparse.Namespace) -> int:
    console = Console()
    seeds = options.seeds
    if seeds is None and options.seconds is None:
        seeds = SEEDS if options.seed is None else 1
    with _progress(console) as progress:
        task = progress.add_task("simulating", total=seeds)
        campaign = run_campaign(
            first=options.seed or 0,
            seeds=seeds,
            seconds=options.seconds,
            minutes=options.minutes,
            kept=options.seed is None,
            shrunk=options.shrunk,
            progress=lambda done: progress.update(task, completed=done),
        )
    rate = campaign.seeds / campaign.seconds if campaign.seconds else 0.0
    print(
        f"{campaign.seeds} seeds in {campaign.seconds:.1f} s ({rate:.1f} a second): "
        f"{campaign.calls:,} port calls, {campaign.faults:,} faults struck"
    )
    if campaign.failed is None:
        print("every invariant held")
        return OK
    print(describe_failure(campaign.failed))
    return WRONG


def _chaos(options: argparse.Namespace) -> int:
    # imported late, as for a run: the embedded cloud takes a second to load
    from hearthwatch.chaos.command import run_chaos

    return OK if run_chaos(options, Console(file=sys.stdout)) else WRONG


def _portfolio(options: argparse.Namespace, bars: BarSet) -> Portfolio:
    if options.portfolio is None and options.bars is None:
        options.portfolio = SAMPLE / "portfolio.json"
    if options.portfolio is None:
        return Portfolio(cash=START_CASH, positions=())
    portfolio = load_portfolio(options.portfolio)
    unpriced = [p.symbol for p in portfolio.positions if p.symbol not in bars.bars]
    if unpriced:
        there = ", ".join(bars.symbols)
        raise InvalidValue(
            f"{options.portfolio}: symbol", ", ".join(unpriced), f"symbols with bars in the range: {there}"
        )
    return portfolio


def _positions(portfolio: Portfolio, at: datetime, day: date) -> list[Position]:
    return [position.to_domain(at, day) for position in portfolio.positions]


def _check_apart(options: argparse.Namespace) -> None:
    """Refuse to write a result over the other one, or over what was read."""
    read = (options.bars, options.portfolio, options.actions)
    taken = {path.resolve() for path in read if path is not None}
    for name in ("report", "journal"):
        path = getattr(options, name).resolve()
        if path in taken and not path.is_dir():
            raise InvalidValue(name, str(getattr(options, name)), "a file that nothing else uses")
        taken.add(path)


def _check_writable(path: Path) -> None:
    """Find out before the work, not after it, that a result has nowhere to go."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8"):
            pass
    except OSError as problem:
        raise InvalidValue("output", str(path), f"a file that can be written ({problem.strerror})") from problem


def _check_folder(path: Path) -> None:
    """Find out before the work that a folder cannot be used."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            pass
    except OSError as problem:
        raise InvalidValue("folder", str(path), f"a folder that can be written to ({problem.strerror})") from problem


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def _path(text: str) -> Path:
    """Take a leading ~ for the home folder, which not every shell does behind an equals sign."""
    return Path(text).expanduser()


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day, expected YYYY-MM-DD") from problem


def _count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a count, expected a whole number of at least 0")
    return int(text)


def _jobs(text: str) -> int:
    jobs = _count(text)
    if not 1 <= jobs <= 16:
        raise argparse.ArgumentTypeError(f"{text!r} is out of range, expected 1 to 16 cells at once")
    return jobs


def _jobs_here() -> int:
    """Give a cell to each core, up to four: more would only wait for one another."""
    return min(os.cpu_count() or 1, 4)


def _minutes(text: str) -> int:
    minutes = _count(text)
    if not 4 <= minutes <= 120:
        raise argparse.ArgumentTypeError(f"{text!r} is out of range, expected 4 to 120 minutes")
    return minutes


def _speed(text: str) -> Decimal | None:
    """Read a speed; None is as fast as possible."""
    if text.lower() == "max":
        return None
    try:
        speed = Decimal(text.lower().removesuffix("x"))
    except ArithmeticError as problem:
        raise argparse.ArgumentTypeError(f"{text!r} is not a speed, expected for example 60, or max") from problem
    if not Decimal("0.1") <= speed <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a speed, expected 0.1 to 100000, or max")
    return speed


def _port(text: str) -> int:
    port = _count(text)
    if not 1024 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port, expected 1024 to 65535")
    return port


def _names(text: str) -> list[str]:
    names = [name.strip().upper() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names no symbol, expected for example TSLA,NVDA")
    return names


def _root(text: str) -> tuple[date, str]:
    day, equals, root = text.partition("=")
    if not equals or len(root) != 64:
        raise argparse.ArgumentTypeError(f"{text!r} is not a root, expected YYYY-MM-DD=<64 hex digits>")
    return _day(day), root
