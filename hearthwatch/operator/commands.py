"""The words of the operator's commands; what does the work is loaded when a command runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shared.domain.stage import Stage

if TYPE_CHECKING:
    from hearthwatch.operator.surroundings import Surroundings

STACK: Final = "hearthwatch"
RUN_FOLDER: Final = Path("build") / "run"
"""Where a run on this machine keeps what it leaves behind, when nobody chose another folder."""
_LARGEST: Final = 1_000_000
_OF_FORECASTS: Final = frozenset(
    {"cap", "quiet", "template", "decisions_a_day", "decision_model", "articles_a_day", "batch", "watts", "tariff"}
)
"""The options that mean nothing without --forecast."""

Command = argparse.ArgumentParser
Run = Callable[[argparse.Namespace, "Surroundings"], int]
Commands = Any
"""The action that argparse adds commands to, of whichever kind of parser."""


def add_operator_commands(commands: Commands, given: Callable[[], Surroundings] | None = None) -> None:
    """Add the commands against a deployed stack; `given` makes what they run in, this process without it."""
    _add_secrets(commands, given)
    _add_preflight(commands, given)
    _add_mode(commands, given)
    _add_teardown(commands, given)
    _add_restore(commands, given)
    _add_kill(commands, given)
    _add_freeze(commands, given)
    _add_flatten(commands, given)
    _add_clear(commands, given)
    _add_ask(commands, given)
    _add_models(commands, given)
    _add_cost(commands, given)
    _add_grant(commands, given)
    _add_release(commands, given)


def _add_secrets(commands: Commands, given: Callable[[], Surroundings] | None) -> None:
    def load() -> Run:
        from hearthwatch.operator.secrets import run_secrets

        return run_secrets

    command = _added(
        commands,
        "secrets",
        load,
        given,
        help="store the keys and addresses that a stack needs, each tried first",
        description="Ask for each secret without showing it, try it, and store it encrypted in the parameter store. "
        "Without a terminal it takes NAME=VALUE lines from standard input.",
    )
    command.add_argument("--list", action="store_true", help="say what is stored and how old it is, never a value")
    command.add_argument("--rotate", metavar="NAME", help="replace this one; a key id and its secret go together")
    command.add_argument("--environment", action="store_true", help="take the values from the environment's variables")


def _add_preflight(commands: Commands, given: Callable[[], Surroundings] | None) -> None:
    def load() -> Run:
        from hearthwatch.operator.preflight import run_preflight

        return run_preflight

    command = _added(
        commands,
        "preflight",
        load,
        given,
        help="check everything that a stack needs before it trades",
        description="Check every connection, store, schedule and route, and say what to do about what is not well. It "
        "sends one test message to Discord and one by mail, and on the paper account, while the market is open, it "
        "places and cancels two tiny orders to see which ones may be for a fraction of a share.",
    )
    command.add_argument("--quiet", action="store_true", help="send no test message")


def _add_mode(commands: Commands, given: Callable[[], Surroundings] | None) -> None:
    def load() -> Run:
        from hearthwatch.operator.mode import run_mode

        return run_mode

    command = _added(
        commands,
        "mode",
        load,
        given,
        help="show whether real money trades, or confirm that it may",
        description="Show both switches of live trading and which keys are stored. With a live stage, ask for the "
        "words that confirm it and store the confirmation, which holds for 30 days.",
    )
    stages = [stage.value for stage in Stage]
    command.add_argument("stage", nargs="?", type=_stage, metavar="STAGE", help=f"one of {', '.join(stages)}")


def _add_teardown(commands: Commands, given: Callable[[], Surroundings] | None) -> None:
    def load() -> Run:
        from hearthwatch.operator.teardown import run_teardown

        return run_teardown

    command = _added(
        commands,
        "teardown",
        load,
        given,
        help="delete a stack after exporting its tables and asking twice",
        description="Say what is protected and stays, export the tables, ask twice, switch the schedules off, and "
        "delete the stack. It refuses while anything is held.",
    )
    command.add_argument("--force", action="store_true", help="also while something is held, after one more question")
    command.add_argument("--folder", type=_path, help="where the export goes (default: exports/STACK-TIME)")


def _add_restore(commands: Commands, given: Callable[[], Surroundings] | None) -> None:
    def load() -> Run:
        from hearthwatch.operator.restore import run_restore

        return run_restore

    command = _added(
        commands,
        "restore",
        load,
        given,
        help="fill a new stack's empty tables from an export",
        description="Fill the empty tables of a stack whose schedules are off from an export, and compare the two.",
    )
    command.add_argument("--from", dest="source", type=_path, required=True, metavar="FOLDER", help="the export")


def _add_kill(commands: Commands, given: Callable[[], Surroundings] | None) -> None:
    def load() -> Run:
        from hearthwatch.operator.kill_switch import run_kill

        return run_kill

    command = _added(
        commands,
        "kill",
        load,
        given,
        help="stop everything that buys, at once; protective exits go on",
        description="Set the kill switch: no entry order leaves from then on, and open ones are canceled. Protective "
        "exits and stops go on. It shows what is held and open, asks once, and stays set until it is cleared.",
        runs_here=True,
    )
    command.add_argument("--why", default="", help="the reason, for the record and the alert")
    command.add_argument("--yes", action="store_true", help="do not ask")


def _add_freeze(commands: Commands, given: Callable[[], Surroundings] | None) -> None:
    def load() -> Run:
        from hearthwatch.operator.kill_switch import run_freeze

        return run_freeze

    command = _added(
        commands,
        "freeze",
        load,
        given,
        help="stop everything, protective exits included, after a typed confirmation",
        description="Let no order leave, protective exits included, and cancel open entry orders. Stops that already "
        "rest at the broker are left alone. What is to be typed is shown; without a terminal it is read from standard "
        "input. It stays so until it is cleared.",
        runs_here=True,
    )
    _add_why(command)


def _add_flatten(commands: Commands, given: Callable[[], Surroundings] | None) -> None:
    def load() -> Run:
        from hearthwatch.operator.kill_switch import run_flatten

        return run_flatten

    command = _added(
        commands,
        "flatten",
        load,
        given,
        help="sell every position and stop everything that buys, after a typed confirmation",
        description="Sell every position at market, whatever its price, and let nothing buy. What is to be typed is "
        "shown below the list of positions; without a terminal it is read from standard input. While the market is "
        "closed the sales wait for the open. Nothing is bought afterwards until it is cleared.",
        runs_here=True,
    )
    _add_why(command)


def _add_clear(commands: Commands, given: Callable[[], Surroundings] | None) -> None:
    def load() -> Run:
        from hearthwatch.operator.kill_switch import run_clear

        return run_clear

    command = _added(
        commands,
        "clear",
        load,
        given,
        help="end a kill, freeze or flatten, after a typed confirmation",
        description="Show who stopped what, when and why, and let trading go on once the word is typed. Exits that "
        "waited leave first.",
        runs_here=True,
    )
    _add_why(command)


def _add_ask(commands: Commands, given: Callable[[], Surroundings] | None) -> None:
    def load() -> Run:
        from hearthwatch.operator.ask import run_ask

        return run_ask

    command = _added(
        commands,
        "ask",
        load,
        given,
        help="ask the models one question by hand, within the budget",
        description="Put one question to the cheapest model that suffices, under the same budget as everything else. "
        "Show which rungs were asked and why, the answer, what it cost and what the month has cost. It exits with 1 "
        "when nobody had an answer, and says what to do.",
        runs_here=True,
    )
    command.add_argument("question", metavar="QUESTION", help="at most 8,000 characters")
    command.add_argument("--work", default="", metavar="ID", help="what it belongs to, charged at most 3 times")
    command.add_argument("--highest", choices=["haiku", "sonnet", "opus"], help="the dearest rung (sonnet)")
    command.add_argument("--opus", action="store_true", help="request the dearest model, should the others not suffice")
    command.add_argument("--grant", default="", metavar="ID", help="use an allowance that `grant` gave")
    command.add_argument("--timeout", type=_count, default=60, metavar="SECONDS", help="wait so long (%(default)s)")
    command.add_argument("--json", action="store_true", help="for programs; amounts in dollars and micro-dollars")


def _add_models(commands: Commands, given: Callable[[], Surroundings] | None) -> None:
    def load() -> Run:
        from hearthwatch.operator.models import run_models

        return run_models

    command = _added(
        commands,
        "models",
        load,
        given,
        help="show which models serve and what they cost today, or switch them without a deployment",
        description="Show the providers, the model on each rung and the one of each task on the edge, with today's "
        "prices or why a model is refused. The options change what serves from the next question on; a model that is "
        "unknown or has no price today is refused.",
        runs_here=True,
    )
    command.add_argument("--on", action="append", default=[], metavar="PROVIDER", help="let a provider be asked")
    command.add_argument("--off", action="append", default=[], metavar="PROVIDER", help="let it be asked no more")
    command.add_argument("--rung", action="append", default=[], metavar="RUNG=MODEL", help="the model of a rung")
    command.add_argument("--task", action="append", default=[], metavar="TASK=MODEL", help="that of a task on the edge")
    command.add_argument("--reset", action="store_true", help="forget every change, back to what is shipped")
    command.add_argument("--why", default="", help="the reason, for the record")


def _add_cost(commands: Commands, given: Callable[[], Surroundings] | None) -> None:
    def load() -> Run:
        from hearthwatch.cost.command import run_cost

        return run_cost

    command = _added(
        commands,
        "cost",
        load,
        given,
        help="show what models cost, what is left, what is saved, or what a month will cost",
        description="Show what models cost today and this month against the limits, from the records of a stack. "
        "--forecast and --savings need no stack. It exits with 1 when counters, records, limits or the provider's "
        "report do not agree, and when a forecast is above its cap.",
        runs_here=True,
    )
    when = command.add_mutually_exclusive_group()
    when.add_argument("--day", type=_day, metavar="YYYY-MM-DD", help="this New York day instead of today")
    when.add_argument("--month", type=_month, metavar="YYYY-MM", help="a whole month")
    what = command.add_mutually_exclusive_group()
    what.add_argument("--decision", metavar="ID", help="the statement of one decision, by its cycle or its work")
    what.add_argument("--decisions", action="store_true", help="the statement of every decision")
    what.add_argument("--export", type=_path, metavar="FILE.csv", help="write the charges to a file")
    what.add_argument(
        "--reconcile", type=_path, metavar="FILE", help="compare with the provider's usage or cost report (JSON, CSV)"
    )
    what.add_argument("--savings", action="store_true", help="the two baselines and what is saved, with the arithmetic")
    what.add_argument("--forecast", action="store_true", help="what a month will cost, from the template")
    command.add_argument("--json", action="store_true", help="for programs; amounts in dollars and micro-dollars")
    _add_forecast(command)
    against_a_stack: Callable[[argparse.Namespace], int] = command.get_default("run")

    def run(options: argparse.Namespace) -> int:
        stray = [name for name in sorted(_OF_FORECASTS) if getattr(options, name) != command.get_default(name)]
        if stray and not options.forecast:
            command.error(f"--{stray[0].replace('_', '-')} goes with --forecast")
        if not (options.forecast or options.savings):
            return against_a_stack(options)
        from hearthwatch.cost.offline import run_offline

        return run_offline(options)

    command.set_defaults(run=run)


def _add_forecast(command: Command) -> None:
    group = command.add_argument_group("with --forecast")
    group.add_argument("--cap", type=_dollars, default=Decimal(30), help="dollars a month (%(default)s)")
    group.add_argument("--quiet", action="store_true", help="one line, and what is wrong")
    group.add_argument(
        "--template", type=_path, default=Path("template.yaml"), help="what is deployed (%(default)s)", metavar="FILE"
    )
    group.add_argument("--decisions-a-day", type=_count, default=20, metavar="N", help="paid decisions (%(default)s)")
    group.add_argument(
        "--decision-model", choices=["haiku", "sonnet", "opus"], default="sonnet", help="who decides (%(default)s)"
    )
    group.add_argument(
        "--articles-a-day", type=_count, default=0, metavar="N", help="articles that a paid model reads (%(default)s)"
    )
    group.add_argument("--batch", action="store_true", help="articles are read in batches")
    group.add_argument("--watts", type=_dollars, default=Decimal(40), help="the edge's average power (%(default)s)")
    group.add_argument("--tariff", type=_dollars, default=Decimal("0.17"), help="dollars a kilowatt-hour (%(default)s)")


def _add_grant(commands: Commands, given: Callable[[], Surroundings] | None) -> None:
    def load() -> Run:
        from hearthwatch.cost.people import run_grant

        return run_grant

    command = _added(
        commands,
        "grant",
        load,
        given,
        help="allow one call beyond today's money, once",
        description="Show what today's money is spent on, ask once, and print an id that lets one question be asked "
        "beyond the day's limit. It never raises the month's.",
        runs_here=True,
    )
    _add_why(command)
    command.add_argument("--yes", action="store_true", help="do not ask")


def _add_release(commands: Commands, given: Callable[[], Surroundings] | None) -> None:
    def load() -> Run:
        from hearthwatch.cost.people import run_release

        return run_release

    command = _added(
        commands,
        "release",
        load,
        given,
        help="release what a crashed call still holds, or list what is reserved",
        description="List open reservations, or count one as nothing on your word that the provider charged nothing. "
        "Left alone, a reservation counts as spent a quarter of an hour after its call's deadline.",
        runs_here=True,
    )
    command.add_argument("reservation", nargs="?", metavar="RESERVATION", help="the id of one")
    command.add_argument("--list", action="store_true", help="list what is reserved")
    command.add_argument("--why", help="the reason, for the record and the alert")
    command.add_argument("--yes", action="store_true", help="do not ask")


def _add_why(command: Command) -> None:
    command.add_argument("--why", required=True, help="the reason, for the record and the alert")


def _added(
    commands: Commands,
    name: str,
    load: Callable[[], Run],
    given: Callable[[], Surroundings] | None,
    *,
    runs_here: bool = False,
    **words: str,
) -> Command:
    """Add a command against a deployed stack; `runs_here` lets it go into a run on this machine as well."""

    def run(options: argparse.Namespace) -> int:
        # imported late: AWS's library takes half a second to load, and no other command needs it
        from hearthwatch.operator.surroundings import Surroundings

        return load()(options, (given or Surroundings.here)())

    command: Command = commands.add_parser(name, **words)
    target = command.add_mutually_exclusive_group()
    target.add_argument("--stack", default=STACK, help="the deployed stack (%(default)s)")
    if runs_here:
        target.add_argument("--local", action="store_true", help="the run that goes on on this machine")
        command.add_argument(
            "--folder", type=_path, default=RUN_FOLDER, help="that run's folder, with --local (%(default)s)"
        )
    command.set_defaults(run=run)
    return command


def _stage(text: str) -> Stage:
    try:
        return Stage(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a stage, expected one of {', '.join(stage.value for stage in Stage)}"
        ) from problem


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date like 2026-11-20") from problem


def _month(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f"{text!r} is not a month like 2026-11") from problem


def _dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation as problem:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from problem
    if not amount.is_finite() or not 0 <= amount <= _LARGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to {_LARGEST:,}")
    return amount


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) <= _LARGEST and len(text) <= len(str(_LARGEST))):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {_LARGEST:,}")
    return int(text)


def _path(text: str) -> Path:
    return Path(text).expanduser()
