"""Export and import of tables and of the messages that wait in queues, as JSON lines with a manifest.

Decided: one file per table or queue, its lines sorted, so that the same content is the same bytes. A file is named by
its content, and the manifest, replaced as the last step, is what makes an export count: one that was broken off leaves
the former untouched. An import checks every file before it writes anything, and only into what is empty.

A message is read by receiving it, and is given back at once; one that is hidden or delayed at that moment is not seen.
Every producer's hints heal at the next tick, so nothing rests on those.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from shared.adapters.aws.clients import Aws
from shared.domain.errors import Stop, Unavailable

MANIFEST: Final = "manifest.json"
_BATCH: Final = 25
_TRIES: Final = 10
_HIDDEN_FOR: Final = 60
"""Seconds for which a received message stays hidden while the rest of its queue is read."""

_OURS: Final = re.compile(r"[\w-]+\.[0-9a-f]{12}\.jsonl?|\..+\.new")

Line = dict[str, Any]


class StateError(Stop):
    """A saved state cannot be used; the message names the file and what is wrong."""


class SavedPart(BaseModel):
    """One file of an export."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["table", "queue", "document"]
    file: str = Field(pattern=r"^[\w.-]+$")
    lines: int
    sha256: str


class Manifest(BaseModel):
    """What an export holds, each part by the name its owner gave it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    taken_at: AwareDatetime
    parts: dict[str, SavedPart]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The tables and queues of one system: their names in the template with their names or addresses at AWS."""

    tables: Mapping[str, str] = field(default_factory=dict)
    queues: Mapping[str, str] = field(default_factory=dict)


def export_state(
    aws: Aws, stores: Stores, folder: Path, *, taken_at: datetime, documents: Mapping[str, str] | None = None
) -> Manifest:
    """Write everything the stores hold into a folder, with `documents` beside it; the former export stands until then.

    `taken_at` is the time of the system whose state this is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        **{name: _write(folder, name, "table", _items(aws, table)) for name, table in stores.tables.items()},
        **{name: _write(folder, name, "queue", read_messages(aws, url)) for name, url in stores.queues.items()},
        **{name: _write_text(folder, name, "document", 1, text) for name, text in (documents or {}).items()},
    }
    manifest = Manifest(taken_at=taken_at, parts=parts)
    _replace(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    _sweep(folder, {part.file for part in parts.values()})
    return manifest


def read_manifest(folder: Path) -> Manifest | None:
    """Read what a folder holds, None when nothing was ever exported there; raises StateError for a damaged one."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as problem:
        raise StateError(f"{path}: not the manifest of a saved state") from problem


def read_document(folder: Path, manifest: Manifest, name: str) -> str:
    """Read one of the texts that were exported beside the tables."""
    part = manifest.parts.get(name)
    if part is None or part.kind != "document":
        raise StateError(f"{folder / MANIFEST}: no document {name!r}")
    return _read_text(folder, part)


def import_state(aws: Aws, stores: Stores, folder: Path) -> Manifest:
    """Fill empty stores from an export; raises StateError before anything is written."""
    manifest = read_manifest(folder)
    if manifest is None:
        raise StateError(f"{folder}: nothing was saved here")
    lines = {name: _read(folder, part) for name, part in manifest.parts.items() if part.kind != "document"}
    _check_known(folder, manifest, stores)
    for name, table in stores.tables.items():
        if name in lines and aws.dynamodb.scan(TableName=table, Limit=1)["Items"]:
            raise StateError(f"{table}: holds items already, expected an empty table to restore into")
    for name, table in stores.tables.items():
        _put_all(aws, table, lines.get(name, []))
    for name, url in stores.queues.items():
        for message in lines.get(name, []):
            aws.sqs.send_message(QueueUrl=url, MessageBody=message["body"], MessageAttributes=message["attributes"])
    return manifest


def _items(aws: Aws, table: str) -> Iterator[Line]:
    pages = aws.dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    items = [_as_text(item) for page in pages for item in page["Items"]]
    yield from sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def read_messages(aws: Aws, url: str) -> Iterator[Line]:
    """Read the messages that wait in a queue, in order, and give them back to it."""
    received = list(_received(aws, url))
    for message in received:
        aws.sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    for message in received:
        attributes = {
            name: {"DataType": value["DataType"], "StringValue": value["StringValue"]}
            for name, value in message.get("MessageAttributes", {}).items()
            if "StringValue" in value
        }
        yield {"body": message["Body"], "attributes": attributes}


def _received(aws: Aws, url: str) -> Iterator[Mapping[str, Any]]:
    while True:
        answer = aws.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=_HIDDEN_FOR, MessageAttributeNames=["All"]
        )
        messages: Sequence[Any] = answer.get("Messages", ())
        if not messages:
            return
        yield from messages


def _put_all(aws: Aws, table: str, items: Sequence[Line]) -> None:
    for first in range(0, len(items), _BATCH):
        batch = items[first : first + _BATCH]
        waiting: Any = {table: [{"PutRequest": {"Item": _as_bytes(item)}} for item in batch]}
        for _ in range(_TRIES):
            waiting = aws.dynamodb.batch_write_item(RequestItems=waiting).get("UnprocessedItems")
            if not waiting:
                break
        else:
            raise Unavailable(f"{table}: items stayed unwritten over {_TRIES} tries")


def _check_known(folder: Path, manifest: Manifest, stores: Stores) -> None:
    known = {"table": stores.tables, "queue": stores.queues}
    for name, part in manifest.parts.items():
        if part.kind != "document" and name not in known[part.kind]:
            raise StateError(f"{folder / MANIFEST}: {part.kind} {name!r} is none of this system's")


def _write(folder: Path, name: str, kind: Literal["table", "queue"], lines: Iterable[Line]) -> SavedPart:
    written = [json.dumps(line, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines]
    return _write_text(folder, name, kind, len(written), "".join(written))


def _write_text(
    folder: Path, name: str, kind: Literal["table", "queue", "document"], lines: int, text: str
) -> SavedPart:
    digest = sha256(text.encode()).hexdigest()
    file = f"{name}.{digest[:12]}.{'json' if kind == 'document' else 'jsonl'}"
    _replace(folder / file, text)
    return SavedPart(kind=kind, file=file, lines=lines, sha256=digest)


def _replace(path: Path, text: str) -> None:
    """Write under another name, then rename, so that a reader sees the old text or the new one and nothing between."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(text.encode())
    fresh.replace(path)


def _sweep(folder: Path, kept: set[str]) -> None:
    """Remove the files of former exports, finished or broken off, and nothing else that lies in the folder."""
    for path in folder.iterdir():
        if path.name not in kept and _OURS.fullmatch(path.name):
            path.unlink(missing_ok=True)


def _read(folder: Path, part: SavedPart) -> list[Line]:
    lines = [json.loads(line) for line in _read_text(folder, part).split("\n") if line]
    if len(lines) != part.lines:
        raise StateError(f"{folder / part.file}: {len(lines)} lines, the manifest names {part.lines}")
    return lines


def _read_text(folder: Path, part: SavedPart) -> str:
    path = folder / part.file
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise StateError(f"{path}: cannot be read ({problem.strerror or problem})") from problem
    if sha256(content).hexdigest() != part.sha256:
        raise StateError(f"{path}: damaged, its content is not the one the manifest names")
    return content.decode()


def _as_text(value: Any) -> Any:
    """Turn the bytes in an item into base64, as DynamoDB's own JSON has them."""
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, dict):
        return {key: _as_text(inner) for key, inner in value.items()}
    if isinstance(value, list | set):
        inner = [_as_text(each) for each in value]
        return sorted(inner, key=str) if isinstance(value, set) else inner
    return value


def _as_bytes(item: Line) -> Line:
    """Turn base64 back into bytes where an attribute's type says so."""
    return {name: _attribute(value) for name, value in item.items()}


def _attribute(value: Line) -> Line:
    ((kind, inner),) = value.items()
    match kind:
        case "B":
            return {kind: b64decode(inner)}
        case "BS":
            return {kind: [b64decode(each) for each in inner]}
        case "M":
            return {kind: _as_bytes(inner)}
        case "L":
            return {kind: [_attribute(each) for each in inner]}
        case _:
            return value
