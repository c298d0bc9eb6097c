"""A table: reads that are consistent, and writes that happen once or not at all (fault 32).

Every item has `pk`, `sk`, `schema` and `token`. The token is new for each write: when an answer is lost, the client
repeats the write, and the repeat fails its condition because of the first, the token in the table says that it was us.
When another write has gone over ours meanwhile the token is gone too. Then a repeated versioned write cannot know
whether it stood for a moment and raises Unavailable, after which the caller reads again; Conflict is kept for what
certainly changed nothing.

Every write also wants the stored schema to be no newer than its own, and raises NewerSchema otherwise (fault 42).
Reads are consistent except through an index, which cannot be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import uuid4

from botocore.exceptions import ClientError

from shared.adapters.aws.errors import CONFLICTS, code_of, require_signed, talking_to
from shared.contracts.stored import NewerSchema
from shared.domain.errors import Conflict, InvalidValue, Unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ITEM_LIMIT: Final = 400 * 1024
"""What DynamoDB takes for one item, names and values together."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_NUMBER_BYTES: Final = 21
_NAME: Final = re.compile(r"#(\w+)")
_LONGEST_NAME: Final = 256
_HASHED: Final = "sha256:"

Attribute = str | int | frozenset[str]
Item = Mapping[str, Attribute]


class Key(NamedTuple):
    """Where an item lies."""

    pk: str
    sk: str


class Condition(NamedTuple):
    """What must hold of the stored item: an expression whose names have a # and values a :, and those values."""

    text: str
    values: Mapping[str, Attribute] = {}

    def __or__(self, other: Condition) -> Condition:
        return Condition(f"{self.text} OR {other.text}", {**self.values, **other.values})


ABSENT: Final = Condition("attribute_not_exists(#pk)")
"""Nothing is stored under the key."""


class Change(NamedTuple):
    """What an update does to an item: attributes to set, numbers or sets to add to what is there, and what goes."""

    sets: Mapping[str, Attribute] = {}
    adds: Mapping[str, Attribute] = {}
    removes: Sequence[str] = ()

    def __or__(self, other: Change) -> Change:
        return Change({**self.sets, **other.sets}, {**self.adds, **other.adds}, (*self.removes, *other.removes))


class Updated(NamedTuple):
    """How an update ended: whether it stands, and the item after it or the one that stood in its way.

    `repeated` says that the client had sent it before, so that it may have stood for a moment although it is not done.
    """

    done: bool
    item: Item | None
    repeated: bool = False


class _Standing(NamedTuple):
    """Why a write failed its condition: what stands there, and whether the client had sent the write before."""

    item: Item | None
    repeated: bool


class Table:
    """One table, through a client that many threads may share."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self.name = name

    def get(self, key: Key) -> Item | None:
        """Read one item."""
        with talking_to(f"{self.name}: GetItem"):
            answer = self._client.get_item(TableName=self.name, Key=_wire(key._asdict()), ConsistentRead=True)
            require_signed(answer)
        stored = answer.get("Item")
        return None if stored is None else _plain(stored)

    def query(
        self,
        pk: str,
        *,
        since: str | None = None,
        before: str | None = None,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> Sequence[Item]:
        """Read the items of a partition by sort key, those with since <= sk < before when both are given."""
        wanted = Condition("#pk = :pk", {"pk": pk})
        if since is not None and before is not None:
            if since >= before:
                return []
            bounds = Condition("#sk BETWEEN :since AND :before", {"since": since, "before": before})
            wanted = Condition(f"{wanted.text} AND {bounds.text}", {**wanted.values, **bounds.values})
        found = self._query(wanted, limit, ConsistentRead=True, ScanIndexForward=not newest_first)
        return [item for item in found if before is None or str(item["sk"]) < before]

    def query_index(self, index: str, value: str) -> Sequence[Item]:
        """Read the items that carry a value in an index's attribute, oldest first; what was just written may miss."""
        return self._query(Condition(f"#{index} = :value", {"value": value}), None, IndexName=index)

    def put(self, key: Key, attributes: Item, *, schema: int, when: Condition | None = None) -> bool:
        """Write an item if a condition holds, and say whether it was written; without one the last writer wins."""
        return self._put(key, attributes, schema, when) is None

    def save(self, key: Key, attributes: Item, *, schema: int, version: int) -> None:
        """Write the next version of an item if `version` (0: nothing) is stored; raises Conflict otherwise."""
        standing = self._put(key, {**attributes, "version": version + 1}, schema, _of_version(version))
        if standing is not None:
            raise self._lost(key, standing, version)

    def update(
        self, key: Key, change: Change, *, schema: int, token: str | None = None, when: Condition | None = None
    ) -> Updated:
        """Change attributes of an item, or of a new one, in the table itself, if a condition holds.

        `token` is for a caller that stores it in an attribute too, to know its own write when others went over it.
        What an update adds could be added twice when its answer is lost and another write follows before the repeat:
        `when` must not hold any more once the update stands.
        """
        token = token or uuid4().hex
        request = _update_expression(change, {"schema": schema, "token": token})
        condition = _guarded(_not_done(token) if when is None else all_of(_not_done(token), when), schema)
        expression = _expression("ConditionExpression", condition)
        for part in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
            request[part] = {**request[part], **expression.pop(part)}
        answer, standing = self._attempt(
            self._client.update_item,
            "UpdateItem",
            Key=_wire(key._asdict()),
            ReturnValues="ALL_NEW",
            **request,
            **expression,
        )
        if standing is None:
            with talking_to(f"{self.name}: UpdateItem"):
                return Updated(True, _plain(answer["Attributes"]))
        if standing.item is not None:
            if standing.item.get("token") == token:
                return Updated(True, standing.item)
            self._refuse_newer(key, standing.item, schema)
        return Updated(False, standing.item, standing.repeated)

    def delete(self, key: Key, *, schema: int, when: Condition) -> bool:
        """Remove an item if a condition holds of it, and say whether it did."""
        return self._delete(key, schema, when) is None

    def remove(self, key: Key, *, schema: int, version: int) -> None:
        """Remove an item if `version` is stored; an absent one stays absent. Raises Conflict."""
        standing = self._delete(key, schema, _of_version(version))
        if standing is not None and standing.item is not None:
            raise self._lost(key, standing, version)

    def item_name(self, key: Key) -> str:
        """Name an item in a message."""
        return f"{self.name} {key.pk}/{key.sk}"

    def _query(self, wanted: Condition, limit: int | None, **how: Any) -> Sequence[Item]:
        request = {**how, **_expression("KeyConditionExpression", wanted)}
        if limit is not None:
            request["Limit"] = limit
        pages = self._client.get_paginator("query").paginate(TableName=self.name, **request)
        with talking_to(f"{self.name}: Query"):
            stored = (item for page in pages for item in require_signed(page)["Items"])
            return [_plain(item) for item in islice(stored, limit)]

    def _put(self, key: Key, attributes: Item, schema: int, when: Condition | None) -> _Standing | None:
        token = uuid4().hex
        item = {**attributes, **key._asdict(), "schema": schema, "token": token}
        self._check_size(key, item)
        request = _expression("ConditionExpression", _guarded(when, schema))
        standing = self._write(self._client.put_item, "PutItem", Item=_wire(item), **request)
        if standing is not None and standing.item is not None:
            if standing.item.get("token") == token:
                return None
            self._refuse_newer(key, standing.item, schema)
        return standing

    def _delete(self, key: Key, schema: int, when: Condition) -> _Standing | None:
        request = _expression("ConditionExpression", _guarded(when, schema))
        standing = self._write(self._client.delete_item, "DeleteItem", Key=_wire(key._asdict()), **request)
        if standing is not None and standing.item is not None:
            self._refuse_newer(key, standing.item, schema)
        return standing

    def _write(self, call: Any, operation: str, **request: Any) -> _Standing | None:
        """Send a conditional write; give what stands in its way."""
        return self._attempt(call, operation, **request)[1]

    def _attempt(self, call: Any, operation: str, **request: Any) -> tuple[Mapping[str, Any], _Standing | None]:
        with talking_to(f"{self.name}: {operation}"):
            try:
                answer = call(TableName=self.name, ReturnValuesOnConditionCheckFailure="ALL_OLD", **request)
                return require_signed(answer), None
            except ClientError as error:
                if code_of(error) not in CONFLICTS:
                    raise
                stored: Any = error.response.get("Item")
                repeated = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0
                return {}, _Standing(_plain(stored) if stored else None, repeated)

    def _lost(self, key: Key, standing: _Standing, version: int) -> Conflict | Unavailable:
        if standing.repeated:
            return Unavailable(f"{self.item_name(key)}: whether version {version} was followed by ours is unknown")
        return Conflict(f"{self.item_name(key)}: version {version} is no longer the newest")

    def _refuse_newer(self, key: Key, stored: Item, schema: int) -> None:
        found = stored.get("schema", 0)
        if isinstance(found, int) and found > schema:
            raise NewerSchema(self.item_name(key), found, schema)

    def _check_size(self, key: Key, item: Item) -> None:
        size = sum(len(name.encode()) + _bytes(value) for name, value in item.items())
        if size > ITEM_LIMIT:
            raise InvalidValue(self.item_name(key), f"{size} bytes", f"at most {ITEM_LIMIT}, what the table takes")


def micros(at: datetime) -> int:
    """Write an instant as whole microseconds since 1970, for conditions that compare times."""
    return (at - _EPOCH) // _MICROSECOND


def instant(microseconds: int) -> datetime:
    """Read an instant that `micros` wrote."""
    return _EPOCH + microseconds * _MICROSECOND


def sortable(at: datetime) -> str:
    """Write an instant in a fixed width, so that later ones sort behind earlier ones."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def expiry(at: datetime) -> int:
    """Write an instant as the whole second after which the table may forget an item."""
    return -(-micros(at) // 1_000_000)


def key_part(text: str) -> str:
    """Give a text from outside a form that fits into a key; long or unusual ones by their hash."""
    if text.isascii() and text.isprintable() and len(text) <= _LONGEST_NAME and not text.startswith(_HASHED):
        return text
    return _HASHED + sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def all_of(*conditions: Condition) -> Condition:
    """Want every one of several conditions, each of which stays apart in brackets."""
    values: dict[str, Attribute] = {}
    for condition in conditions:
        values |= condition.values
    return Condition(" AND ".join(f"({condition.text})" for condition in conditions), values)


def at_most(name: str, most: int) -> Condition:
    """Let a counter, absent while it is zero, be at most so much; below zero it never is."""
    bound = Condition(f"#{name} <= :most_{name}", {f"most_{name}": most})
    return bound if most < 0 else absent(name) | bound


def absent(name: str) -> Condition:
    """Let an item have no attribute of a name."""
    return Condition(f"attribute_not_exists(#{name})")


def _not_done(token: str) -> Condition:
    return absent("token") | Condition("#token <> :token", {"token": token})


def _of_version(version: int) -> Condition:
    return Condition("#version = :version", {"version": version}) if version else ABSENT


def _guarded(when: Condition | None, schema: int) -> Condition:
    """Add to a condition that nothing newer than a schema stands there."""
    known = ABSENT | Condition("#schema <= :schema", {"schema": schema})
    return known if when is None else all_of(known, when)


def _expression(kind: str, wanted: Condition) -> dict[str, Any]:
    """Write an expression with its names and values apart from it, since many plain names are reserved words."""
    request: dict[str, Any] = {
        kind: wanted.text,
        "ExpressionAttributeNames": {f"#{name}": name for name in _NAME.findall(wanted.text)},
    }
    if wanted.values:
        request["ExpressionAttributeValues"] = _wire({f":{name}": value for name, value in wanted.values.items()})
    return request


def _update_expression(change: Change, marks: Item) -> dict[str, Any]:
    """Write a change as an expression in which every attribute stands under its own name."""
    clauses = {
        "SET": [f"#{name} = :{name}" for name in marks] + [f"#{name} = :set_{name}" for name in change.sets],
        "ADD": [f"#{name} :add_{name}" for name in change.adds],
        "REMOVE": [f"#{name}" for name in change.removes],
    }
    values: dict[str, Attribute] = {**marks}
    values |= {f"set_{name}": value for name, value in change.sets.items()}
    values |= {f"add_{name}": value for name, value in change.adds.items()}
    text = " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses.items() if parts)
    return _expression("UpdateExpression", Condition(text, values))


def _wire(item: Item) -> dict[str, Any]:
    return {name: _typed(value) for name, value in item.items()}


def _typed(value: Attribute) -> dict[str, Any]:
    if isinstance(value, int):
        return {"N": str(value)}
    return {"S": value} if isinstance(value, str) else {"SS": sorted(value)}


def _plain(stored: Mapping[str, Any]) -> Item:
    return dict(_attributes(stored.items()))


def _attributes(stored: Iterable[tuple[str, Any]]) -> Iterable[tuple[str, Attribute]]:
    """Read text, whole numbers and sets of texts, all that is ever stored here; the rest is by another hand."""
    for name, value in stored:
        if "S" in value:
            yield name, value["S"]
        elif "N" in value and value["N"].lstrip("-").isdigit():
            yield name, int(value["N"])
        elif "SS" in value:
            yield name, frozenset(value["SS"])


def _bytes(value: Attribute) -> int:
    if isinstance(value, int):
        return _NUMBER_BYTES
    return len(value.encode()) if isinstance(value, str) else sum(map(_bytes, value))
