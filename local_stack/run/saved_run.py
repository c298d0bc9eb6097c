"""A run on disk: its tables and queues, the exchange, and where it was, so that the next start goes on there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from local_stack.run.observer import Course
from local_stack.run.tables import (
    MANIFEST,
    StateError,
    Stores,
    export_state,
    import_state,
    read_document,
    read_manifest,
)
from shared.adapters.aws.clients import Aws
from shared.adapters.memory.exchange_file import read_state, write_state
from shared.adapters.memory.matching import Exchange

RUN: Final = "Run"
EXCHANGE: Final = "Exchange"


class RunRecord(BaseModel):
    """Where a run was: `about` tells whether it is the same run, `at` is its last tick."""

    model_config = ConfigDict(frozen=True)

    about: str
    at: AwareDatetime
    finished: bool
    course: Course


class SavedRun:
    """The state of a run in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def record(self) -> RunRecord | None:
        """Read where the saved run was, None when there is none; raises StateError for a damaged one."""
        manifest = read_manifest(self._folder)
        if manifest is None:
            return None
        try:
            return RunRecord.model_validate_json(read_document(self._folder, manifest, RUN))
        except ValidationError as problem:
            raise StateError(f"{self._folder / MANIFEST}: the record of the run is unreadable") from problem

    def save(self, aws: Aws, stores: Stores, record: RunRecord, exchange: Exchange | None) -> None:
        """Save a run in the place of the one before."""
        documents = {RUN: record.model_dump_json()}
        if exchange is not None:
            documents[EXCHANGE] = write_state(exchange.state())
        export_state(aws, stores, self._folder, taken_at=record.at, documents=documents)

    def restore(self, aws: Aws, stores: Stores, exchange: Exchange | None) -> None:
        """Fill fresh stores and a fresh exchange with what was saved."""
        manifest = import_state(aws, stores, self._folder)
        if exchange is not None:
            exchange.restore(read_state(read_document(self._folder, manifest, EXCHANGE)))
