"""How old the secrets in the parameter store are; none is decrypted for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from shared.adapters.aws.parameters import SsmParameters


class SsmCredentials:
    """The credentials of these names, below the prefix of the parameters."""

    def __init__(self, parameters: SsmParameters, names: Sequence[str]) -> None:
        self._parameters = parameters
        self._names = tuple(names)

    def ages(self, now: datetime) -> Mapping[str, timedelta]:
        return self._parameters.ages(self._names, now)
