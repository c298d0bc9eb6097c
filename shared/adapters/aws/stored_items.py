"""Items of one form in one table: what stands between an adapter's keys and the text of its values."""

from __future__ import annotations

from typing import Generic, TypeVar

from shared.adapters.aws.table import Attribute, Condition, Item, Key, Table
from shared.contracts.stored import StoredForm, Unreadable

T = TypeVar("T")


class StoredItems(Generic[T]):
    """Reads and writes values of one form; an item that cannot be read is named in the error."""

    def __init__(self, table: Table, form: StoredForm[T]) -> None:
        self._table = table
        self._form = form

    def get(self, key: Key) -> T | None:
        """Read one value, None when nothing is stored; raises NewerSchema or Unreadable."""
        item = self._table.get(key)
        return None if item is None else self.read(item)

    def read(self, item: Item) -> T:
        """Read the value of an item; raises NewerSchema or Unreadable."""
        name = self._table.item_name(Key(str(item["pk"]), str(item["sk"])))
        body, schema, version = item.get("body"), item.get("schema"), item.get("version")
        if not isinstance(body, str) or not isinstance(schema, int) or not isinstance(version, int):
            raise Unreadable(f"{name}: body, schema or version is missing")
        return self._form.loads(body, schema=schema, version=version, item=name)

    def save(self, key: Key, value: T, *, version: int, **marks: Attribute) -> None:
        """Write a value as the version after `version` (0: nothing is stored yet). Raises Conflict."""
        item = {**marks, "body": self._form.dumps(value)}
        self._table.save(key, item, schema=self._form.schema, version=version)

    def put(self, key: Key, value: T, *, when: Condition | None = None, **marks: Attribute) -> bool:
        """Write a value that has no versions if a condition holds, and say whether it was written."""
        item = {**marks, "body": self._form.dumps(value), "version": 1}
        return self._table.put(key, item, schema=self._form.schema, when=when)

    def remove(self, key: Key, *, version: int) -> None:
        """Remove a version; an absent item stays absent. Raises Conflict."""
        self._table.remove(key, schema=self._form.schema, version=version)
