"""Ask what is not urgent in batches, at half the price: reserved in full, settled when the results come (BUD-10)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple

from shared.domain.budget import Denied, No
from shared.domain.calls import Rung, WorkId
from shared.domain.charges import Charge
from shared.domain.errors import InvalidValue, OutcomeUnknown, Refused, Stop, TryAgain, Unavailable
from shared.domain.providers import Offer
from shared.domain.questions import Billed, Ending, PendingBatch, Question, Reply
from shared.ports.budget import PendingBatches
from shared.ports.clock import Clock
from shared.ports.models import BatchesOf, Choices
from shared.use_cases.pay_for_answer import Held, PayForAnswer

log = logging.getLogger(__name__)

MOST_IN_BATCH: Final = 200
"""So many reservations fit one stored item with room to spare; all batches under way share the month's."""
ANSWERED_WITHIN: Final = timedelta(hours=24)
"""What the provider promises; after it a batch has expired, and what it did not answer is not charged."""

Deliver = Callable[[WorkId, Reply, Charge], None]


class Submitted(NamedTuple):
    """A batch that is under way, None when nothing was handed in, and what was denied with its reasons."""

    batch: str | None
    denied: tuple[tuple[WorkId, No], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AskInBatch:
    """Hand questions in now and take their answers later."""

    clock: Clock
    choices: Choices
    batches: BatchesOf
    pay: PayForAnswer
    pending: PendingBatches

    def submit(self, rung: Rung, questions: Sequence[Question]) -> Submitted:
        """Reserve each question in full and hand in those that were admitted.

        When nobody knows whether the batch was taken, or it was taken and cannot be kept, the money stays reserved and
        counts as spent in the end; when it was refused, it is given back. Raises InvalidValue for too many questions,
        TryAgain when too many are under way or the catalogue cannot be read, and OutcomeUnknown, Refused, InvalidValue
        or TryAgain from the provider.
        """
        if not 0 < len(questions) <= MOST_IN_BATCH:
            raise InvalidValue("batch", len(questions), f"1 to {MOST_IN_BATCH} questions")
        if any(question.urgent or question.task is not questions[0].task for question in questions):
            raise InvalidValue("batch", "mixed", "questions of one task that are not urgent")
        now = self.clock.now()
        offer = self.choices.catalogue().choice(rung, questions[0].task)
        if offer is None or offer.provider not in self.batches:
            return Submitted(None, tuple((question.work, No.SWITCHED_OFF) for question in questions))
        self._require_room(len(questions))
        held, denied = self._hold(offer, questions)
        if not held:
            return Submitted(None, denied)
        name = self._handed_in(offer, held)
        reservations = tuple(one.reservation for one in held)
        self._keep(PendingBatch(name=name, provider=offer.provider, submitted_at=now, held=reservations))
        return Submitted(name, denied)

    def collect(self, deliver: Deliver) -> int:
        """Settle and deliver the results of every batch that has ended; return how many batches that were.

        A batch is forgotten once all of it was delivered, so a result may be delivered twice, and is charged once.
        """
        return sum(self._collect(batch, deliver) for batch in self.pending.all())

    def _require_room(self, more: int) -> None:
        under_way = sum(len(batch.held) for batch in self.pending.all())
        if under_way + more > MOST_IN_BATCH:
            raise Unavailable(f"{under_way} questions wait in batches, at most {MOST_IN_BATCH}: {more} more do not fit")

    def _keep(self, batch: PendingBatch) -> None:
        try:
            self.pending.put(batch)
        except (TryAgain, Stop) as problem:
            raise OutcomeUnknown(f"batch {batch.name} was taken and cannot be kept: {problem}") from problem

    def _hold(self, offer: Offer, questions: Sequence[Question]) -> tuple[list[Held], tuple[tuple[WorkId, No], ...]]:
        held: list[Held] = []
        denied: list[tuple[WorkId, No]] = []
        for question in questions:
            found = self.pay.hold(offer, question, self.clock.now() + ANSWERED_WITHIN)
            if isinstance(found, Denied):
                denied.append((question.work, found.why))
            else:
                held.append(found)
        return held, tuple(denied)

    def _handed_in(self, offer: Offer, held: Sequence[Held]) -> str:
        try:
            return self.batches[offer.provider].submit({one.reservation.id: one.attempt for one in held})
        except OutcomeUnknown:
            raise
        except (Refused, TryAgain, InvalidValue) as problem:
            not_sent = Reply(ending=Ending.REJECTED, billed=Billed.NOTHING, detail=str(problem))
            for one in held:
                self.pay.settle(one.reservation, not_sent)
            raise

    def _collect(self, batch: PendingBatch, deliver: Deliver) -> bool:
        provider = self.batches.get(batch.provider)
        try:
            asked = {held.id: held.call.model for held in batch.held}
            replies = None if provider is None else provider.results(batch.name, asked)
        except TryAgain as problem:
            log.warning("batch not to be had", extra={"batch": batch.name, "problem": str(problem)})
            return False
        if replies is None:
            return False
        charges = {held.id: self.pay.settle(held, replies[held.id]) for held in batch.held}
        for held in batch.held:
            deliver(held.call.work, replies[held.id], charges[held.id])
        self.pending.remove(batch.name)
        return True
