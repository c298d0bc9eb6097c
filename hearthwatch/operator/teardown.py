"""Take a stack down: say what stays, export it, ask twice, and leave nothing running (OPS-12).

Decided: what is exported before the questions is exported once more after the schedules are off, so that the last
minute is in it. Tables and archive stay when the stack goes: they are protected in the template, and deleting them is
left to a person with the commands printed here.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from botocore.exceptions import ClientError, WaiterError

from hearthwatch.operator.aws import OperatorError, asking
from hearthwatch.operator.secret_kinds import EVERY_NAME
from hearthwatch.operator.stack import SCHEDULES, DeployedStack, find_stack
from hearthwatch.operator.surroundings import Surroundings
from hearthwatch.operator.terminal import agrees
from local_stack.run.tables import Manifest, Stores, export_state
from shared.adapters.aws.errors import code_of
from shared.adapters.aws.parameters import SsmParameters
from shared.bootstrap.cloud import Cloud
from shared.domain.errors import HearthwatchError

LAST_RUNS: Final = 60.0
"""Seconds until every function that a schedule has started is done; the longest may run 120 s, but only at 08:30."""
_SETTINGS: Final = frozenset(
    {
        "ActionAfterCompletion",
        "Description",
        "EndDate",
        "FlexibleTimeWindow",
        "GroupName",
        "KmsKeyArn",
        "Name",
        "ScheduleExpression",
        "ScheduleExpressionTimezone",
        "StartDate",
        "Target",
    }
)
"""What a schedule is written with; writing it anew needs all of it."""


def run_teardown(options: argparse.Namespace, here: Surroundings) -> int:
    """Delete a stack after an export and two questions."""
    stack = find_stack(here.aws, options.stack, half_deleted=True)
    folder: Path = options.folder or Path("exports") / f"{stack.name}-{here.clock.now():%Y%m%dT%H%M%SZ}"
    _explain(stack, folder, here)
    with here.cloud_of(stack) as cloud:
        _require_nothing_held(cloud, here, forced=options.force)
    _export(stack, folder, here)
    _ask_twice(stack, here)
    _switch_off(stack, here)
    here.pause(LAST_RUNS)
    _export(stack, folder, here)
    _delete(stack, here)
    _delete_secrets(stack, here)
    _say_what_stays(stack, folder, here)
    return 0


def _explain(stack: DeployedStack, folder: Path, here: Surroundings) -> None:
    say = here.terminal.say
    say(f"This deletes stack {stack.name} in {stack.region}: functions, schedules, queues, alarms and logs.")
    say("Nothing is watched from then on; orders resting at the broker stay there.")
    say("The tables and the archive are protected: they stay, and go on costing, until you delete them yourself.")
    say(f"First everything in the tables is exported to {folder}.")
    say()


def _require_nothing_held(cloud: Cloud, here: Surroundings, *, forced: bool) -> None:
    """Refuse while something is held that would lose its software stop; unknown counts as held."""
    held = _held(cloud)
    if not held:
        return
    if not forced:
        raise OperatorError(
            f"{held}: nothing would watch that any more; sell it, or set stops at the broker and use --force"
        )
    here.terminal.say(f"{held}: nothing will watch that any more.")
    if here.terminal.ask('Type "unprotected" to go on:') != "unprotected":
        raise OperatorError("nothing was deleted")


def _held(cloud: Cloud) -> str:
    try:
        symbols = sorted(position.symbol for position in cloud.broker.positions())
    except HearthwatchError as problem:
        return f"what is held cannot be read ({problem})"
    return f"held: {', '.join(symbols)}" if symbols else ""


def _export(stack: DeployedStack, folder: Path, here: Surroundings) -> Manifest:
    with asking(f"exporting to {folder}"):
        try:
            done = export_state(here.aws, Stores(tables=stack.tables), folder, taken_at=here.clock.now())
        except OSError as problem:
            raise OperatorError(f"{folder}: cannot be written ({problem.strerror or problem})") from problem
    counts = ", ".join(f"{name} {part.lines}" for name, part in done.parts.items())
    here.terminal.say(f"Exported to {folder}: {counts} items.")
    return done


def _ask_twice(stack: DeployedStack, here: Surroundings) -> None:
    for words, question in ((stack.name, "the name of the stack"), ("delete", '"delete"')):
        if here.terminal.ask(f"Type {question} to go on:") != words:
            raise OperatorError("nothing was deleted")


def _switch_off(stack: DeployedStack, here: Surroundings) -> None:
    """Disable every schedule; one that is gone already is off."""
    with asking("switching the schedules off"):
        for name in (stack.physical[schedule] for schedule in SCHEDULES):
            try:
                found = here.aws.scheduler.get_schedule(Name=name)
            except ClientError as problem:
                if code_of(problem) == "ResourceNotFoundException":
                    continue
                raise
            as_it_is = {key: value for key, value in found.items() if key in _SETTINGS}
            here.aws.scheduler.update_schedule(**as_it_is, State="DISABLED")
    here.terminal.say("The schedules are off; in a minute the last runs are over.")


def _delete(stack: DeployedStack, here: Surroundings) -> None:
    here.terminal.say("Deleting the stack; this takes some minutes.")
    with asking(f"deleting stack {stack.name}"):
        here.aws.cloudformation.delete_stack(StackName=stack.id)
        try:
            here.aws.cloudformation.get_waiter("stack_delete_complete").wait(
                StackName=stack.id, WaiterConfig={"Delay": 5, "MaxAttempts": 240}
            )
        except WaiterError as problem:
            raise OperatorError(
                f"stack {stack.name} is not deleted yet: see its events, then `make teardown` again"
            ) from problem
    here.terminal.say("The stack is gone.")


def _delete_secrets(stack: DeployedStack, here: Surroundings) -> None:
    try:
        wanted = agrees(here.terminal, f"Delete the secrets below {stack.prefix} as well?")
    except OperatorError:
        wanted = False  # whoever says nothing more keeps them
    if not wanted:
        here.terminal.say("The secrets stay.")
        return
    with asking("the parameter store"):
        gone = SsmParameters(here.aws.ssm, stack.prefix).remove(EVERY_NAME)
    here.terminal.say(f"Deleted: {', '.join(gone) or 'none was there'}. Delete the keys at Alpaca and Discord too.")


def _say_what_stays(stack: DeployedStack, folder: Path, here: Surroundings) -> None:
    say = here.terminal.say
    say()
    say(f"The export is in {folder}. Into a new stack, deployed with its schedules off, it goes with:")
    say(f"  python -m hearthwatch restore --from {folder}")
    say("What stays, and how it goes once you are sure:")
    for name in stack.tables.values():
        say(f"  aws dynamodb update-table --table-name {name} --no-deletion-protection-enabled")
        say(f"  aws dynamodb delete-table --table-name {name}")
    say(f"  {stack.bucket}: empty it in the console of S3, versions too, then")
    say(f"  aws s3 rb s3://{stack.bucket}")
