"""Models: who answers a question, and the pause between two attempts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from shared.domain.budget import ReservationId
from shared.domain.model_prices import ModelId
from shared.domain.providers import Catalogue, Switches
from shared.domain.questions import Attempt, Reply


class Model(Protocol):
    """A provider that answers at once.

    One call is one request on the wire, never repeated by the library underneath. It never raises for what the provider
    or the network does: each way to fail is an Ending, and says what is billed. It is back at the deadline at the
    latest, give or take a second.
    """

    def ask(self, attempt: Attempt) -> Reply:
        """Send one request and wait for its end."""
        ...


class Batches(Protocol):
    """A provider that answers many questions later, at half the price."""

    def submit(self, attempts: Mapping[ReservationId, Attempt]) -> str:
        """Hand in requests by the ids of their reservations; return the batch's name.

        Raises OutcomeUnknown when the batch may have been taken, Refused or TryAgain when it certainly was not.
        """
        ...

    def results(self, batch: str, asked: Mapping[ReservationId, ModelId]) -> Mapping[ReservationId, Reply] | None:
        """Return the reply to each of the requests `asked`, by the model that each was for; None while it is under way.

        One that has no reply, or one by another model, may have cost anything, and its reply says so. Raises TryAgain.
        """
        ...


class Pause(Protocol):
    """Waits for a while that varies, so that many callers do not come back together."""

    def __call__(self, least: timedelta, most: timedelta) -> None:
        """Wait for some time between the two."""
        ...


Models = Mapping[str, Model]
"""Who answers, by the provider's name in the catalogue."""
BatchesOf = Mapping[str, Batches]


class Choices(Protocol):
    """Which models serve now: the shipped catalogue with what people changed at run time."""

    def catalogue(self) -> Catalogue:
        """Return the catalogue that counts now. Raises TryAgain when it cannot be read: then nothing paid is asked."""
        ...

    def switches(self) -> Switches:
        """Return what people changed, nothing when they changed nothing. Raises TryAgain."""
        ...

    def switch(self, switches: Switches) -> None:
        """Keep what people changed, in the place of what they changed before; the last writer wins."""
        ...
