"""Make one paid attempt: reserve its worst case, ask, and settle, in this one place (BUD-02).

Whatever goes wrong between the steps, the money stays reserved and counts as spent in the end: nothing here gives it
back but a record that says what the call really cost.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, NamedTuple

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.budget import (
    ENVELOPE_OF,
    Bounds,
    BudgetMonth,
    BudgetRules,
    Denied,
    No,
    Reservation,
    ReservationId,
)
from shared.domain.calls import Call, Rung, WorkId
from shared.domain.charges import Booked, Charge, charge_for
from shared.domain.day_plan import exchange_date
from shared.domain.errors import Stop, TryAgain
from shared.domain.model_prices import MicroDollars, PriceTable, Unpriced, in_dollars
from shared.domain.providers import Offer
from shared.domain.questions import Attempt, Billed, Ending, Question, Reply
from shared.domain.times import iso
from shared.ports.budget import Budgets, Charges, WorkCharges
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue
from shared.ports.models import Models
from shared.use_cases.tell import tell_quietly

log = logging.getLogger(__name__)

MOST_CHARGES: Final = 3
"""How often one piece of work is charged in its life (BEY-14)."""


class Held(NamedTuple):
    """An attempt that may be made, and the money held for it."""

    attempt: Attempt
    reservation: Reservation


class Paid(NamedTuple):
    """An attempt that was made: what came back, and what it cost."""

    reply: Reply
    charge: Charge


@dataclass(frozen=True, slots=True, kw_only=True)
class PayForAnswer:
    """Ask a paid model once within the budget.

    `edge_down` says whether the edge is out of reach, which moves money between envelopes and never the limits;
    `day_of` names the day on which an instant's money counts.
    """

    clock: Clock
    budgets: Budgets
    charges: Charges
    work_charges: WorkCharges
    models: Models
    prices: PriceTable
    rules: BudgetRules
    alerts: AlertQueue
    edge_down: Callable[[], bool] = bool
    day_of: Callable[[datetime], date] = exchange_date

    def __call__(self, offer: Offer, question: Question, deadline: datetime) -> Paid | Denied:
        """Reserve, ask and settle; Denied says why nothing was asked."""
        held = self.hold(offer, question, deadline)
        if isinstance(held, Denied):
            return held
        reply = self.models[offer.provider].ask(held.attempt)
        return Paid(reply, self.settle(held.reservation, reply))

    def hold(self, offer: Offer, question: Question, deadline: datetime) -> Held | Denied:
        """Reserve the worst case of one attempt, or say why it must not be made.

        The answer may be shortened to what is left, never below what the question needs (BUD-02).
        """
        now = self.clock.now()
        if offer.rung is Rung.OPUS and not question.request:
            return Denied(why=No.NOT_ASKED_BY_A_PERSON, wanted=0)
        attempt = Attempt(
            model=offer.model,
            question=question,
            most_tokens=question.most_tokens,
            deadline=deadline,
            caches=question.shared_prefix and offer.cacheable is not None,
        )
        if offer.provider not in self.models:
            return Denied(why=No.SWITCHED_OFF, wanted=0)
        try:
            worst = self._worst_case(attempt, now)
            number = self.work_charges.claim(question.work, MOST_CHARGES, now)
            if number is None:
                self._tell_parked(question, now)
                return Denied(why=No.TOO_OFTEN, wanted=worst)
            admitted = self._reserve(Held(attempt, self._reservation(attempt, offer, worst, number, now)))
        except Unpriced as problem:
            self._tell_unpriced(offer, str(problem), now)
            return Denied(why=No.UNPRICED, wanted=0)
        except (TryAgain, Stop) as problem:
            log.error("budget not to be had", extra={"work": question.work, "problem": str(problem)})
            return Denied(why=No.LEDGER_UNREADABLE, wanted=0)
        if isinstance(admitted, Denied):
            self._give_back(question.work, number)
            self._tell_denied(question, admitted, now)
        return admitted

    def settle(self, held: Reservation, reply: Reply) -> Charge:
        """Write what a call cost, then apply it; what cannot be written stays reserved and is spent later."""
        now = self.clock.now()
        cost, booked = self._cost(held, reply, now)
        charge = charge_for(
            held,
            now,
            cost=cost,
            booked=booked,
            ending=reply.ending,
            usage=reply.usage,
            latency=reply.latency,
            request_id=reply.request_id,
        )
        try:
            standing = self.charges.put(charge)
            month = self.budgets.close(held, standing.cost)
            if reply.ending is Ending.SPEND_LIMIT:
                self._close_day(self.day_of(now), reply, now)
            self._warn(held.day, month)
            if cost == 0 and standing == charge:
                self._give_back(held.call.work, held.number)
        except (TryAgain, Stop) as problem:
            log.error("charge not settled", extra={"reservation": held.id, "problem": str(problem)})
            standing = charge
        if cost > min(held.amount, standing.cost):
            self._tell_overrun(held, cost, now)
        return standing

    def _worst_case(self, attempt: Attempt, now: datetime) -> MicroDollars:
        return self.prices.worst_case(
            attempt.model,
            now,
            max(now, attempt.deadline),
            input_tokens=attempt.question.input_bound,
            output_tokens=attempt.most_tokens,
            caches=attempt.caches,
        )

    def _reservation(
        self, attempt: Attempt, offer: Offer, worst: MicroDollars, number: int, now: datetime
    ) -> Reservation:
        question = attempt.question
        return Reservation(
            id=_reservation_id(attempt, number, now),
            issued_at=now,
            day=self.day_of(now),
            amount=worst,
            envelope=ENVELOPE_OF[question.purpose],
            expires_at=max(now, attempt.deadline) + self.rules.expires_after,
            call=Call(
                provider=offer.provider,
                model=offer.model,
                rung=offer.rung,
                purpose=question.purpose,
                work=question.work,
                cycle=question.cycle,
            ),
            prices=self.prices.version,
            number=number,
            decision=question.decision,
            grant=question.grant,
        )

    def _reserve(self, held: Held) -> Held | Denied:
        """Hold the worst case, or that of a shorter answer when that is all that is left."""
        bounds = Bounds.of(self.rules, held.reservation.envelope, edge_down=self.edge_down())
        found = self.budgets.reserve(held.reservation, bounds)
        if isinstance(found, Denied) and found.left > 0:
            shorter = self._shortened(held.attempt, held.reservation, found.left)
            if shorter is None:
                return found
            held = shorter
            found = self.budgets.reserve(held.reservation, bounds)
        if isinstance(found, Denied):
            return found
        self._warn(held.reservation.day, found)
        return held

    def _shortened(self, attempt: Attempt, held: Reservation, left: MicroDollars) -> Held | None:
        tokens = self.prices.longest_answer(
            attempt.model,
            held.issued_at,
            max(held.issued_at, attempt.deadline),
            input_tokens=attempt.question.input_bound,
            caches=attempt.caches,
            left=left,
        )
        if tokens < attempt.question.least_tokens:
            return None
        shorter = replace(attempt, most_tokens=min(tokens, attempt.most_tokens))
        return Held(shorter, replace(held, amount=self._worst_case(shorter, held.issued_at)))

    def _cost(self, held: Reservation, reply: Reply, now: datetime) -> tuple[MicroDollars, Booked]:
        """Price the tokens at the dearer of both ends of the call; what cannot be priced costs all that was held."""
        if reply.billed is Billed.NOTHING:
            return 0, Booked.SETTLED
        usage = reply.usage
        if reply.billed is Billed.UNKNOWN or usage is None or not usage.prompt:
            return held.amount, Booked.AT_MOST
        try:
            model = held.call.model
            return max(self.prices.charge(model, at, usage) for at in (held.issued_at, now)), Booked.SETTLED
        except Unpriced as problem:
            log.error("tokens without a price", extra={"reservation": held.id, "problem": str(problem)})
            return held.amount, Booked.AT_MOST

    def _give_back(self, work: WorkId, number: int) -> None:
        try:
            self.work_charges.give_back(work, number)
        except (TryAgain, Stop) as problem:
            log.warning("claim not given back", extra={"work": work, "problem": str(problem)})

    def _close_day(self, day: date, reply: Reply, now: datetime) -> None:
        self.budgets.close_day(day, f"the provider's own limit: {reply.detail}"[:300])
        alert = Alert(
            kind=AlertKind.BUDGET_SPENT,
            severity=Severity.WARNING,
            subject="provider",
            at=now,
            text=f"the provider refuses to be paid more: {reply.detail}; no paid model is asked again on {day}",
            occurrence=f"{day} provider",
        )
        tell_quietly(self.alerts, alert)

    def _warn(self, day: date, month: BudgetMonth) -> None:
        """Tell of each level that the day's money or decisions have reached, once."""
        now, found = self.clock.now(), month.day(day)
        levels = {
            f"${in_dollars(level)}": f"${in_dollars(found.committed)} of today's ${in_dollars(self.rules.day)}"
            for level in self.rules.warn_at
            if found.committed >= level
        }
        if len(found.decisions) >= self.rules.warn_decisions:
            count = f"{len(found.decisions)} of today's {self.rules.decisions}"
            levels[f"{self.rules.warn_decisions} decisions"] = f"{count} decisions by paid models"
        for level in sorted(levels.keys() - found.warned):
            alert = Alert(
                kind=AlertKind.BUDGET_WARNING,
                severity=Severity.WARNING,
                subject=level,
                at=now,
                text=f"{levels[level]} are spent or reserved",
                occurrence=f"{day} {level}",
            )
            if tell_quietly(self.alerts, alert):
                self._remember(day, level)

    def _remember(self, day: date, level: str) -> None:
        try:
            self.budgets.warned(day, level)
        except (TryAgain, Stop) as problem:
            log.warning("warning not remembered", extra={"level": level, "problem": str(problem)})

    def _tell_denied(self, question: Question, denied: Denied, now: datetime) -> None:
        """Say that the money is gone, once a day and reason; other refusals have their own alerts."""
        envelope, day = ENVELOPE_OF[question.purpose], self.day_of(now)
        level = f"{denied.why} {envelope}" if denied.why is No.ENVELOPE_SPENT else str(denied.why)
        if denied.why not in _IN_WORDS or level in denied.warned:
            return
        alert = Alert(
            kind=AlertKind.BUDGET_SPENT,
            severity=Severity.WARNING,
            subject=level,
            at=now,
            text=f"{_IN_WORDS[denied.why]}: ${in_dollars(denied.wanted)} were wanted and ${in_dollars(denied.left)} "
            "are left; rules and local models go on",
            occurrence=f"{day} {level}",
        )
        if tell_quietly(self.alerts, alert):
            self._remember(day, level)

    def _tell_parked(self, question: Question, now: datetime) -> None:
        alert = Alert(
            kind=AlertKind.WORK_PARKED,
            severity=Severity.WARNING,
            subject=question.work,
            at=now,
            text=f"charged, or reserved for, {MOST_CHARGES} times without an end: no paid model is asked for it again",
            occurrence=question.work,
        )
        tell_quietly(self.alerts, alert)

    def _tell_unpriced(self, offer: Offer, why: str, now: datetime) -> None:
        alert = Alert(
            kind=AlertKind.MODEL_UNPRICED,
            severity=Severity.WARNING,
            subject=offer.model,
            at=now,
            text=f"{why}: it is not asked",
            occurrence=f"{self.day_of(now)} {offer.model}",
        )
        tell_quietly(self.alerts, alert)

    def _tell_overrun(self, held: Reservation, cost: MicroDollars, now: datetime) -> None:
        alert = Alert(
            kind=AlertKind.BUDGET_WRONG,
            severity=Severity.CRITICAL,
            subject=held.call.model,
            at=now,
            text=f"call {held.id} cost ${in_dollars(cost)}, more than was held or booked for it "
            f"(${in_dollars(held.amount)} held): the price table or the bound on tokens is wrong, or it was released",
            occurrence=held.id,
        )
        tell_quietly(self.alerts, alert)


_IN_WORDS: Final = {
    No.DAY_CLOSED: "no paid model is asked any more today",
    No.MONTH_SPENT: "the month's budget is spent",
    No.DAY_SPENT: "the day's budget is spent",
    No.ENVELOPE_SPENT: "this share of the day's budget is spent",
    No.DECISIONS_COUNTED: "the day's decisions by paid models are all made",
}


def _reservation_id(attempt: Attempt, number: int, now: datetime) -> ReservationId:
    """Name an attempt by its work, its number in the work's life, its model and its time; fits a provider's own ids."""
    text = f"{attempt.question.work}|{number}|{attempt.model}|{iso(now)}"
    return ReservationId(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:40])
