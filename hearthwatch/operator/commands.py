"""The words of the operator's commands; what does the work is loaded when a command runs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shared.domain.stage import Stage

if TYPE_CHECKING:
    from hearthwatch.operator.surroundings import Surroundings

STACK: Final = "hearthwatch"
RUN_FOLDER: Final = Path("build") / "run"
"""Where a run on this machine keeps what it leaves behind, when nobody chose another folder."""

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


def _path(text: str) -> Path:
    return Path(text).expanduser()
