"""Export and import of tables and queues: nothing is lost, nothing is half done, damage is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_stack.run import tables
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
from tests.fakes.aws import connect, make_table, served

AT = datetime(2026, 6, 10, 14, 31, tzinfo=UTC)
ITEMS = [
    {"pk": {"S": "b"}, "sk": {"S": "1"}, "price": {"N": "0.10000000000000000000001"}},
    {"pk": {"S": "a"}, "sk": {"S": "2"}, "body": {"B": b"\x00\xff gzip"}, "parts": {"BS": [b"one", b"two"]}},
    {"pk": {"S": "a"}, "sk": {"S": "1"}, "text": {"S": 'line\none\u2028two "three" ü'}, "none": {"NULL": True}},
    {"pk": {"S": "c"}, "sk": {"S": "1"}, "map": {"M": {"list": {"L": [{"B": b"\x01"}, {"BOOL": False}]}}}},
]


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with served() as url:
        yield connect(url)


@pytest.fixture
def stores(aws: Aws, request: pytest.FixtureRequest) -> Stores:
    return fresh(aws, request.node.name)


def fresh(aws: Aws, name: str) -> Stores:
    plain = "".join(letter for letter in name if letter.isalnum())[:60]
    queue = aws.sqs.create_queue(QueueName=plain)["QueueUrl"]
    return Stores(tables={"Book": make_table(aws, plain)}, queues={"Alerts": queue})


def fill(aws: Aws, stores: Stores, items: int = 0) -> None:
    numbered = [{"pk": {"S": "many"}, "sk": {"S": f"{n:04}"}} for n in range(items)]
    for item in (*ITEMS, *numbered):
        aws.dynamodb.put_item(TableName=stores.tables["Book"], Item=item)  # type: ignore[arg-type]
    for body in ("first", "second"):
        aws.sqs.send_message(
            QueueUrl=stores.queues["Alerts"],
            MessageBody=body,
            MessageAttributes={"correlation_id": {"DataType": "String", "StringValue": f"id of {body}"}},
        )


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_was_exported_and_imported_exports_as_the_same_bytes(aws: Aws, stores: Stores, tmp_path: Path) -> None:
    fill(aws, stores, items=60)
    manifest = export_state(aws, stores, tmp_path / "one", taken_at=AT, documents={"Run": '{"a": 1}'})
    other = fresh(aws, "roundtrip other")

    import_state(aws, other, tmp_path / "one")
    export_state(aws, other, tmp_path / "two", taken_at=AT, documents={"Run": '{"a": 1}'})

    assert {name: (part.kind, part.lines) for name, part in manifest.parts.items()} == {
        "Book": ("table", 64),
        "Alerts": ("queue", 2),
        "Run": ("document", 1),
    }
    assert content(tmp_path / "two") == content(tmp_path / "one")
    assert read_document(tmp_path / "two", manifest, "Run") == '{"a": 1}'


def test_an_export_gives_the_messages_it_read_back_to_their_queue(aws: Aws, stores: Stores, tmp_path: Path) -> None:
    fill(aws, stores)
    export_state(aws, stores, tmp_path, taken_at=AT)

    answer = aws.sqs.receive_message(
        QueueUrl=stores.queues["Alerts"], MaxNumberOfMessages=10, MessageAttributeNames=["All"]
    )

    assert sorted(message["Body"] for message in answer["Messages"]) == ["first", "second"]
    assert all(message["MessageAttributes"]["correlation_id"]["StringValue"] for message in answer["Messages"])


def test_a_second_export_replaces_the_first_and_leaves_strangers_alone(
    aws: Aws, stores: Stores, tmp_path: Path
) -> None:
    (tmp_path / "notes.jsonl").write_text("mine", encoding="utf-8")
    export_state(aws, stores, tmp_path, taken_at=AT)
    fill(aws, stores)

    manifest = export_state(aws, stores, tmp_path, taken_at=AT)

    files = {part.file for part in manifest.parts.values()}
    assert {path.name for path in tmp_path.iterdir()} == files | {MANIFEST, "notes.jsonl"}
    assert read_manifest(tmp_path) == manifest


@pytest.mark.parametrize("broken_at", range(3))
def test_an_export_broken_off_at_any_file_leaves_the_former(
    aws: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken_at: int
) -> None:
    stores = fresh(aws, f"broken off {broken_at}")
    former = export_state(aws, stores, tmp_path, taken_at=AT)
    fill(aws, stores)
    written = iter(range(3))
    whole = tables._replace

    def replace(path: Path, text: str) -> None:
        if next(written) == broken_at:
            path.with_name(f".{path.name}.new").write_text(text[: len(text) // 2], encoding="utf-8")
            raise KeyboardInterrupt
        whole(path, text)

    monkeypatch.setattr(tables, "_replace", replace)
    with suppress(KeyboardInterrupt):
        export_state(aws, stores, tmp_path, taken_at=AT)

    other = fresh(aws, f"broken other {broken_at}")
    assert import_state(aws, other, tmp_path) == former
    assert aws.dynamodb.scan(TableName=other.tables["Book"])["Count"] == 0


def test_an_import_into_a_table_that_holds_something_writes_nothing(aws: Aws, stores: Stores, tmp_path: Path) -> None:
    fill(aws, stores)
    export_state(aws, stores, tmp_path, taken_at=AT)
    used = fresh(aws, "used table")
    aws.dynamodb.put_item(TableName=used.tables["Book"], Item={"pk": {"S": "x"}, "sk": {"S": "y"}})

    with pytest.raises(StateError, match="holds items already"):
        import_state(aws, used, tmp_path)

    assert aws.dynamodb.scan(TableName=used.tables["Book"])["Count"] == 1


def changed_byte(file: Path, manifest: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"first", b"worst"))


def lost_file(file: Path, manifest: Path) -> None:
    file.unlink()


def wrong_count(file: Path, manifest: Path) -> None:
    read = json.loads(manifest.read_text(encoding="utf-8"))
    read["parts"]["Alerts"]["lines"] = 7
    manifest.write_text(json.dumps(read), encoding="utf-8")


def path_out_of_the_folder(file: Path, manifest: Path) -> None:
    read = json.loads(manifest.read_text(encoding="utf-8"))
    read["parts"]["Alerts"]["file"] = "../outside"
    manifest.write_text(json.dumps(read), encoding="utf-8")


def unknown_part(file: Path, manifest: Path) -> None:
    read = json.loads(manifest.read_text(encoding="utf-8"))
    read["parts"]["Elsewhere"] = read["parts"]["Book"]
    manifest.write_text(json.dumps(read), encoding="utf-8")


def no_json(file: Path, manifest: Path) -> None:
    manifest.write_text("{", encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (changed_byte, "damaged"),
        (lost_file, "cannot be read"),
        (wrong_count, "2 lines, the manifest names 7"),
        (path_out_of_the_folder, "not the manifest"),
        (unknown_part, "'Elsewhere' is none of this system's"),
        (no_json, "not the manifest"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_damaged_export_is_named_and_nothing_is_written(
    aws: Aws, tmp_path: Path, spoil: Callable[[Path, Path], None], named: str
) -> None:
    stores = fresh(aws, f"damage {spoil.__name__}")
    fill(aws, stores)
    manifest = export_state(aws, stores, tmp_path, taken_at=AT)
    spoil(tmp_path / manifest.parts["Alerts"].file, tmp_path / MANIFEST)
    other = fresh(aws, f"damaged {spoil.__name__}")

    with pytest.raises(StateError, match=named):
        import_state(aws, other, tmp_path)

    assert aws.dynamodb.scan(TableName=other.tables["Book"])["Count"] == 0


def test_nothing_saved_is_nothing_and_importing_it_is_refused(aws: Aws, stores: Stores, tmp_path: Path) -> None:
    assert read_manifest(tmp_path / "nowhere") is None
    with pytest.raises(StateError, match="nothing was saved"):
        import_state(aws, stores, tmp_path)
