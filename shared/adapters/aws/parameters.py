"""Secrets in the parameter store (SSM SecureString): read in one call, cached for the process, read anew on demand.

Ages come from the store's listing, which shows no value: whoever may fetch a parameter may also decrypt it, and the job
that warns of old keys must not be able to read those that trade real money (SEC-02).

Bounds: those of the connection, three tries in all; writing the same value twice is safe. Values are `SecretStr` from
here on: no repr, no message and no log line of this module shows one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from shared.adapters.aws.errors import talking_to
from shared.domain.errors import InvalidValue, MissingSecret

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_ssm.type_defs import ParameterStringFilterTypeDef, ParameterTypeDef

MOST_NAMES: Final = 10
"""What one GetParameters call takes."""
SHORTEST_VALUE: Final = 6
"""A shorter secret could not be redacted: it would be found in innocent text."""
LONGEST_VALUE: Final = 4096
"""What a parameter of the standard tier holds, in bytes."""
_EXPECTED: Final = f"{SHORTEST_VALUE} to {LONGEST_VALUE} visible ASCII characters without a blank"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A secret, and since when it has this value."""

    value: SecretStr
    last_modified: datetime


class SsmParameters:
    """The secrets below a prefix such as /hearthwatch, by their last name."""

    def __init__(self, client: SSMClient, prefix: str) -> None:
        self._client = client
        self._prefix = prefix.rstrip("/")

    def read(self, names: Sequence[str]) -> Mapping[str, Parameter]:
        """Read secrets in one call; raises MissingSecret naming every one that is not there."""
        found = self._fetch(names)
        missing = [self._path(name) for name in dict.fromkeys(names) if name not in found]
        if missing:
            raise MissingSecret(missing)
        return found

    def ages(self, names: Sequence[str], now: datetime) -> Mapping[str, timedelta]:
        """Say how old the values are, without reading any; a secret that is not there is absent."""
        paths = self._paths(names)
        if not paths:
            return {}
        ages: dict[str, timedelta] = {}
        with talking_to(f"looking for {', '.join(paths)}"):
            listing = self._client.get_paginator("describe_parameters")
            named: ParameterStringFilterTypeDef = {"Key": "Name", "Option": "Equals", "Values": list(paths)}
            for page in listing.paginate(ParameterFilters=[named]):
                ages |= {
                    paths[each["Name"]]: now - each["LastModifiedDate"].astimezone(UTC) for each in page["Parameters"]
                }
        return ages

    def put(self, name: str, value: SecretStr) -> None:
        """Write a secret, over an earlier value; raises InvalidValue for one that no secret looks like."""
        text = value.get_secret_value()
        if not (SHORTEST_VALUE <= len(text) <= LONGEST_VALUE and all("!" <= character <= "~" for character in text)):
            raise InvalidValue(self._path(name), value, _EXPECTED)
        with talking_to(f"writing {self._path(name)}"):
            self._client.put_parameter(Name=self._path(name), Value=text, Type="SecureString", Overwrite=True)

    def remove(self, names: Sequence[str]) -> Sequence[str]:
        """Delete secrets for good and name those that were there; raises InvalidValue for more than one call takes."""
        paths = self._paths(names)
        if not paths:
            return ()
        with talking_to(f"deleting {', '.join(paths)}"):
            answer = self._client.delete_parameters(Names=list(paths))
            return tuple(paths[path] for path in answer["DeletedParameters"])

    def _fetch(self, names: Sequence[str]) -> dict[str, Parameter]:
        paths = self._paths(names)
        if not paths:
            return {}
        with talking_to(f"reading {', '.join(paths)}"):
            answer = self._client.get_parameters(Names=list(paths), WithDecryption=True)
            return {paths[each["Name"]]: _parameter(each) for each in answer["Parameters"]}

    def _paths(self, names: Sequence[str]) -> dict[str, str]:
        paths = {self._path(name): name for name in names}
        if len(paths) > MOST_NAMES:
            raise InvalidValue("names", len(paths), f"at most {MOST_NAMES} parameters a call")
        return paths

    def _path(self, name: str) -> str:
        return f"{self._prefix}/{name}"


class SecretSource:
    """The secrets of one process: all read together when the first is asked for, then kept.

    `tell` hears every value as soon as it is read, so that a redactor knows it before anybody can log it.
    """

    def __init__(
        self, parameters: SsmParameters, names: Sequence[str], *, tell: Callable[[SecretStr], object] = lambda _: None
    ) -> None:
        self._parameters = parameters
        self._names = tuple(names)
        self._tell = tell
        self._known: Mapping[str, Parameter] = {}
        self._lock = Lock()

    def get(self, name: str) -> SecretStr:
        """Give a secret; the store is asked once for the life of the process."""
        with self._lock:
            if not self._known:
                self._read()
            return self._known[name].value

    def fresh(self, name: str) -> SecretStr:
        """Read the store anew and give a secret; all are read, because a key and its secret change together."""
        with self._lock:
            self._read()
            return self._known[name].value

    def _read(self) -> None:
        known = self._parameters.read(self._names)
        for parameter in known.values():
            self._tell(parameter.value)
        self._known = known


def _parameter(found: ParameterTypeDef) -> Parameter:
    return Parameter(SecretStr(found["Value"]), _utc(found["LastModifiedDate"]))


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)
