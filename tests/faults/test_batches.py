"""Partial batches: no function has any, so no answer of theirs can hold UnprocessedItems (fault 32).

The one place that writes in batches is the restore of an export; it sends again what was left over.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from local_stack.run.tables import Stores, export_state, import_state
from shared.adapters.aws.clients import Aws
from shared.domain.errors import Unavailable
from tests.fakes.aws import connect, make_table, served

ROOT = Path(__file__).parents[2]
DEPLOYED = sorted(path for room in ("shared", "functions") for path in (ROOT / room).rglob("*.py"))
AT = datetime(2026, 6, 10, 14, 31, tzinfo=UTC)
ITEMS = [{"pk": {"S": "position"}, "sk": {"S": f"{number:03}"}} for number in range(60)]


def batch_calls(source: str) -> list[str]:
    """Find the names of calls that AWS answers in part."""
    called = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    names = (func.attr for func in called if isinstance(func, ast.Attribute))
    return [name for name in names if "batch" in name or name.startswith("transact")]


def test_no_function_reads_or_writes_in_batches() -> None:
    found = {path.name: calls for path in DEPLOYED if (calls := batch_calls(path.read_text(encoding="utf-8")))}
    assert len(DEPLOYED) > 50
    assert found == {}
    assert batch_calls("client.batch_write_item(RequestItems={})") == ["batch_write_item"]


def test_no_function_is_allowed_to() -> None:
    template = (ROOT / "template.yaml").read_text(encoding="utf-8")
    assert "dynamodb:PutItem" in template
    assert "dynamodb:Batch" not in template


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    with served() as url:
        yield connect(url)


class Partial:
    """A table that takes only so many items of each batch and gives the others back."""

    def __init__(self, client: Any, takes: int) -> None:
        self.client = client
        self.takes = takes
        self.sent = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def batch_write_item(self, RequestItems: dict[str, list[Any]]) -> dict[str, Any]:  # noqa: N803 - boto3's own name
        self.sent += 1
        ((table, wanted),) = RequestItems.items()
        if self.takes:
            self.client.batch_write_item(RequestItems={table: wanted[: self.takes]})
        rest = wanted[self.takes :]
        return {"UnprocessedItems": {table: rest} if rest else {}}


def restored(aws: Aws, folder: Path, takes: int) -> tuple[Partial, list[str]]:
    """Export sixty items, and import them into a table that takes only some of each batch."""
    name = f"table{takes}"
    full = make_table(aws, f"{name}full")
    for item in ITEMS:
        aws.dynamodb.put_item(TableName=full, Item=cast(Any, item))
    export_state(aws, Stores(tables={"Book": full}), folder, taken_at=AT)
    empty = make_table(aws, f"{name}empty")
    partial = Partial(aws.dynamodb, takes)
    import_state(cast(Aws, SimpleNamespace(dynamodb=partial, sqs=aws.sqs)), Stores(tables={"Book": empty}), folder)
    return partial, sorted(item["sk"]["S"] for item in aws.dynamodb.scan(TableName=empty)["Items"])


def test_what_a_table_left_over_is_sent_again_until_all_of_it_is_there(aws: Aws, tmp_path: Path) -> None:
    partial, found = restored(aws, tmp_path, takes=7)
    assert found == [item["sk"]["S"] for item in ITEMS]
    assert partial.sent == 4 + 4 + 2


def test_a_table_that_takes_nothing_is_given_up_by_name(aws: Aws, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="items stayed unwritten over 10 tries"):
        restored(aws, tmp_path, takes=0)
