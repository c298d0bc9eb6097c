"""Credentials grow old: when a person is reminded to make new ones (SEC-01)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from shared.domain.errors import InvalidValue


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationRules:
    """A credential is replaced after `rotate_after`, and called due `remind_before` that."""

    rotate_after: timedelta = timedelta(days=90)
    remind_before: timedelta = timedelta(days=14)

    def __post_init__(self) -> None:
        if not timedelta(0) <= self.remind_before < self.rotate_after:
            raise InvalidValue("remind_before", self.remind_before, f"a duration shorter than {self.rotate_after}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DueCredential:
    """One credential to replace; `name` is where it is stored, never what it is."""

    name: str
    age: timedelta
    left: timedelta

    @property
    def is_overdue(self) -> bool:
        """Say whether it should have been replaced already."""
        return self.left <= timedelta(0)

    @property
    def text(self) -> str:
        """Say how old it is and how long it may still serve."""
        limit = "replace it now" if self.is_overdue else f"replace it, days left: {self.left.days}"
        return f"{self.name} is {self.age.days} days old: {limit}"


def due_credentials(ages: Mapping[str, timedelta], rules: RotationRules) -> list[DueCredential]:
    """List the credentials to replace, by name."""
    return [
        DueCredential(name=name, age=age, left=rules.rotate_after - age)
        for name, age in sorted(ages.items())
        if age >= rules.rotate_after - rules.remind_before
    ]
