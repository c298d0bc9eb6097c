"""The ledger of real money in a run: on disk before anybody is told that it changed.

A run's state is written when it stops; one that is killed, or begins anew, forgets it. What was spent at a real
provider must not be forgotten with it, so every write to the budget's items and to the charges goes to a file before it
is answered, and the next run begins with what the file says. Its lines are the items as DynamoDB holds them; the last
one of a key counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from werkzeug.wrappers import Response

from local_stack.cloud.requests import Asked

_KEPT: Final = ("budget", "charges#")
"""How the partition keys of what is kept begin."""

_Line = dict[str, Any]


class _Place(NamedTuple):
    table: str
    pk: str
    sk: str


class KeptMoney:
    """Items of some tables, by the tables' names in the template, in one file of lines.

    Raises what the file system raises when it cannot be written: then the write is not answered, and nothing is asked.
    """

    def __init__(self, path: Path, tables: Mapping[str, str]) -> None:
        self._path = path
        self._logical = {physical: logical for logical, physical in tables.items()}
        self._physical = dict(tables)
        self._owed: list[str] = []

    def restore(self, put: Any) -> None:
        """Put what is kept into its tables, with a client's `put_item`, and leave one line for each item."""
        kept = self._newest()
        for place, item in kept.items():
            put(TableName=self._physical[place.table], Item=item)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text("".join(_written(place.table, item) for place, item in kept.items()), encoding="utf-8")
        fresh.replace(self._path)

    def after(self, asked: Asked, response: Response) -> None:
        """Keep what a request wrote; called before its answer leaves.

        What could not be written is owed: until it is, no request to an item that is kept has an answer.
        """
        table = self._logical.get(str(asked.body.get("TableName")))
        key = asked.body.get("Key") or asked.body.get("Item") or {}
        if table is None or not str(key.get("pk", {}).get("S", "")).startswith(_KEPT):
            return
        if asked.operation in ("PutItem", "UpdateItem") and response.status_code == 200:
            item = asked.body.get("Item") or json.loads(response.get_data())["Attributes"]
            self._owed.append(_written(table, item))
        if self._owed:
            self._append("".join(self._owed))
            self._owed.clear()

    def _newest(self) -> dict[_Place, _Line]:
        found: dict[_Place, _Line] = {}
        if not self._path.exists():
            return found
        for line in self._path.read_text(encoding="utf-8").splitlines():
            try:
                read = json.loads(line)
            except ValueError:
                continue  # the end of a file that was cut while it was written: its write was never answered
            item = read["item"]
            found[_Place(read["table"], item["pk"]["S"], item["sk"]["S"])] = item
        return found

    def _append(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def _written(table: str, item: Mapping[str, Any]) -> str:
    return json.dumps({"table": table, "item": item}, separators=(",", ":")) + "\n"
