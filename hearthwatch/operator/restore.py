"""Fill a freshly deployed stack from an export, and compare what lies there with it (OPS-04, OPS-12)."""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from hearthwatch.operator.aws import OperatorAws, OperatorError, asking
from hearthwatch.operator.stack import DeployedStack, find_stack
from hearthwatch.operator.surroundings import Surroundings
from local_stack.run.tables import Manifest, Stores, export_state, import_state, read_manifest
from shared.adapters.aws.fractional_probes import PROBE

TWO: Final = 2


def run_restore(options: argparse.Namespace, here: Surroundings) -> int:
    """Restore the tables of a stack whose schedules are off and whose tables are empty."""
    stack = find_stack(here.aws, options.stack)
    if stack.ticks:
        raise OperatorError(
            f"stack {stack.name} ticks already: restore before its schedules start "
            '(`make deploy PARAMETERS="Schedules=DISABLED"` before the first tick)'
        )
    folder: Path = options.source
    if read_manifest(folder) is None:
        raise OperatorError(f"{folder}: no export is there")
    stores = Stores(tables=stack.tables)
    with asking(f"restoring from {folder}"):
        _forget_probe(here.aws, stack)
        saved = import_state(here.aws, stores, folder)
        require_same(saved, _exported(here, stores), folder)
    counts = ", ".join(f"{name} {part.lines}" for name, part in saved.parts.items())
    here.terminal.say(f"Restored and compared: {counts} items. Next: `make deploy`.")
    return 0


def require_same(saved: Manifest, found: Manifest, folder: Path) -> None:
    """Raise OperatorError for tables that hold something else than an export does."""
    different = [name for name, part in saved.parts.items() if found.parts[name].sha256 != part.sha256]
    if different:
        raise OperatorError(f"{', '.join(different)}: what lies there now is not what {folder} holds")


def _forget_probe(aws: OperatorAws, stack: DeployedStack) -> None:
    """Remove what preflight leaves in an empty Book; anything more is kept, and refused by the import."""
    book = stack.tables["BookTable"]
    items = aws.dynamodb.scan(TableName=book, Limit=TWO, ConsistentRead=True)["Items"]
    key = {"pk": {"S": PROBE.pk}, "sk": {"S": PROBE.sk}}
    if [{name: item[name] for name in key} for item in items] == [key]:
        aws.dynamodb.delete_item(TableName=book, Key=key)


def _exported(here: Surroundings, stores: Stores) -> Manifest:
    with TemporaryDirectory() as folder:
        return export_state(here.aws, stores, Path(folder), taken_at=here.clock.now())
