"""A table that is reached through a network with faults, and beside it directly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.adapters.aws.clients import Aws
from shared.adapters.aws.table import Table
from tests.fakes.aws_proxy import AwsProxy


@dataclass
class Tables:
    """One table seen twice: through a network with faults, and directly."""

    proxy: AwsProxy
    far: Table
    near: Table
    aws: Aws

    def raw(self) -> list[dict[str, object]]:
        """Everything in the table as DynamoDB holds it."""
        return [dict(item) for item in self.aws.dynamodb.scan(TableName=self.near.name)["Items"]]

    def rewrite(self, **attributes: Mapping[str, object] | None) -> None:
        """Change every item by another hand; None takes an attribute away."""
        for item in self.raw():
            changed = {name: value for name, value in {**item, **attributes}.items() if value is not None}
            self.aws.dynamodb.put_item(TableName=self.near.name, Item=changed)  # type: ignore[arg-type]
