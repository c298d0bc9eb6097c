"""The stored form of the confirmation of live trading."""

from __future__ import annotations

from typing import Final

from shared.contracts.stored import StoredForm
from shared.domain.stage import LiveConfirmation

LIVE_CONFIRMATION: Final = StoredForm[LiveConfirmation]("live_confirmation", LiveConfirmation)
