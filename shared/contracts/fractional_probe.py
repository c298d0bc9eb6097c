"""The stored form of the fractional probe."""

from __future__ import annotations

from typing import Final

from shared.contracts.stored import StoredForm
from shared.domain.fractional import FractionalProbe

FRACTIONAL_PROBE: Final = StoredForm[FractionalProbe]("fractional_probe", FractionalProbe)
