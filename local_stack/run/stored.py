"""What the tables and queues of a run hold, read whole: for the view, the report and the journal file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, TypeVar

from local_stack.run.tables import read_messages
from shared.adapters.aws.clients import Aws
from shared.adapters.aws.stored_items import StoredItems
from shared.adapters.aws.table import Item, Table
from shared.contracts.cycle_request import CycleRequestV1
from shared.contracts.stored import INCIDENT, INTENT, LINK, StoredForm
from shared.domain.alerts import Incident
from shared.domain.intents import Intent
from shared.domain.journal import Link
from shared.domain.ledger import Ledger
from shared.domain.moves import Move

_STARTS: Final = {INCIDENT: "incident#", INTENT: "intent#", LINK: "day#"}
"""How the partition keys of each form begin."""

T = TypeVar("T")


class StoredFacts:
    """Reads one run's book table, journal table and cycle queue."""

    def __init__(self, aws: Aws, *, book: str, journal: str, cycles: str) -> None:
        self._aws = aws
        self._book = book
        self._journal = journal
        self._cycles = cycles

    def incidents(self) -> Sequence[Incident]:
        """Return every incident, oldest first."""
        return sorted(self._every(self._book, INCIDENT), key=lambda incident: (incident.opened_at, incident.key))

    def intents(self, ledger: Ledger) -> Sequence[Intent]:
        """Return every intent, those of the ledger and those long closed, in the order of creation."""
        every = {
            intent.id: intent
            for intent in chain(self._every(self._journal, INTENT), ledger.finished.values(), ledger.open.values())
        }
        return sorted(every.values(), key=lambda intent: (intent.created_at, intent.id))

    def links(self) -> Sequence[Link]:
        """Return the whole journal, day by day in order."""
        return sorted(self._every(self._journal, LINK), key=lambda link: (link.day, link.sequence))

    def moves(self) -> Sequence[Move]:
        """Return the moves that wait for their cycle, in order of time."""
        bodies = (message["body"] for message in read_messages(self._aws, self._cycles))
        moves = [CycleRequestV1.model_validate_json(body).to_domain() for body in bodies]
        return sorted(moves, key=lambda move: (move.at, move.symbol))

    def _every(self, table: str, form: StoredForm[T]) -> Iterator[T]:
        items = StoredItems(Table(self._aws.dynamodb, table), form)
        pages = self._aws.dynamodb.get_paginator("scan").paginate(
            TableName=table,
            ConsistentRead=True,
            FilterExpression="begins_with(pk, :start)",
            ExpressionAttributeValues={":start": {"S": _STARTS[form]}},
        )
        return (items.read(_plain(item)) for page in pages for item in page["Items"])


def _plain(item: Mapping[str, Any]) -> Item:
    return {name: int(value["N"]) if "N" in value else value["S"] for name, value in item.items()}
