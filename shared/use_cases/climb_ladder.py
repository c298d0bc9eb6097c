"""Climb the ladder: rules, edge, Haiku-class, Sonnet-class; the cheapest rung that suffices answers (TIR-01).

Each rung that fails, abstains or is unsure passes the question exactly one rung up, with its reason. An answer that was
paid for serves the same question again for a while, and two callers never pay for the same question at once (BUD-10,
BEY-14). The dearest rung is climbed only on a person's request.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from shared.domain.budget import ENVELOPE_OF, SPENT, Denied, No, ReservationId
from shared.domain.calls import Rung
from shared.domain.charges import Booked, Charge
from shared.domain.errors import Stop, TryAgain
from shared.domain.journal import Plain
from shared.domain.providers import CostKind, Offer
from shared.domain.questions import WORTH_ANOTHER_TRY, Answer, Attempt, Ending, Misread, Question, Reply, Step
from shared.ports.book import Leases
from shared.ports.budget import Charges, KnownAnswer, KnownAnswers
from shared.ports.clock import Clock
from shared.ports.models import Choices, Models, Pause
from shared.use_cases.pay_for_answer import Paid, PayForAnswer
from shared.use_cases.record_fact import RecordFact

log = logging.getLogger(__name__)

Read = Callable[[str], Plain]
"""Turns a raw answer into a checked value; raises Misread for one that does not fit its schema and its question."""
Suffices = Callable[[Plain], str]
"""Says why a value is not sure enough to act on; an empty text means that it is."""

NOBODY_STANDS: Final = "no model stands on this rung"
"""Why a rung is passed by whose provider is off, or that no adapter reaches."""
_LEASE_OUTLIVES: Final = timedelta(seconds=5)
_NO_HIGHER: Final = SPENT | {
    No.DECISIONS_COUNTED,
    No.TOO_OFTEN,
    No.LEDGER_UNREADABLE,
    No.NO_TIME,
    No.NO_GRANT,
    No.GRANT_TOO_SMALL,
}
"""Refusals that a dearer rung would only repeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderRules:
    """A rung is asked at most `tries` times, with a pause in between; an answer serves `answer_serves` (BEY-14).

    Nothing is asked with less than `least_time` left.
    """

    tries: int = 2
    pause: tuple[timedelta, timedelta] = (timedelta(milliseconds=200), timedelta(milliseconds=800))
    answer_serves: timedelta = timedelta(minutes=15)
    least_time: timedelta = timedelta(seconds=1)


class _Found(NamedTuple):
    """What a rung ended with: its steps, and the answer's text and value when it gave one.

    `readable` says that the text is a value, `sure` that it may be acted on, `known` that it came from the cache, and
    `no_higher` that a dearer rung would only fail the same way.
    """

    steps: tuple[Step, ...]
    text: str = ""
    value: Plain = None
    readable: bool = False
    sure: bool = False
    known: bool = False
    no_higher: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClimbLadder:
    """Ask a question of the cheapest rung that suffices."""

    clock: Clock
    choices: Choices
    models: Models
    pay: PayForAnswer
    charges: Charges
    known: KnownAnswers
    leases: Leases
    pause: Pause
    record: RecordFact
    rules: LadderRules

    def __call__(
        self,
        question: Question,
        deadline: datetime,
        run: str,
        *,
        read: Read,
        suffices: Suffices = lambda value: "",
        by_rules: Plain = None,
    ) -> Answer:
        """Climb until a rung suffices or the highest allowed one has abstained; abstaining means hold.

        `run` names the caller's run, which holds the question while it is asked. `by_rules` is what the rules say, None
        when they abstain. The climb is journaled with each rung's reason; raises TryAgain when it cannot be, and then
        the answer waits in the cache for the next try.
        """
        climb = _Climb(self, question, deadline, run, read, suffices)
        answer = climb.climbed(by_rules)
        self.record("model_asked", self.clock.now(), **_told(question, answer))
        return answer


class _Climb:
    """One question on its way up."""

    def __init__(
        self, ladder: ClimbLadder, question: Question, deadline: datetime, run: str, read: Read, suffices: Suffices
    ) -> None:
        self._ladder = ladder
        self._question = question
        self._deadline = deadline
        self._run = run
        self._read = read
        self._suffices = suffices

    def climbed(self, by_rules: Plain) -> Answer:
        now = self._ladder.clock.now()
        found = self._by_rules(by_rules)
        steps = list(found.steps)
        for rung in _allowed(self._question):
            if found.sure or found.no_higher:
                break
            found = self._rung(rung)
            steps += found.steps
        return Answer(
            value=found.value if found.sure else None,
            rung=steps[-1].rung if found.sure else None,
            raw=found.text if found.sure else "",
            asked_at=now,
            steps=tuple(steps),
            from_cache=found.known,
        )

    def _by_rules(self, value: Plain) -> _Found:
        doubt = "no rule covers it" if value is None else self._suffices(value)
        if not doubt:
            return _Found((_step(Rung.RULES, None, "answered", _ENOUGH),), value=value, sure=True)
        outcome = "abstained" if value is None else "unsure"
        return _Found((_step(Rung.RULES, None, outcome, doubt),))

    def _rung(self, rung: Rung) -> _Found:
        ladder = self._ladder
        try:
            catalogue = ladder.choices.catalogue()
        except TryAgain as problem:
            return _not_asked(rung, None, f"{No.LEDGER_UNREADABLE}: {problem}", no_higher=True)
        offer = catalogue.choice(rung, self._question.task)
        if offer is None or offer.provider not in ladder.models:
            return _not_asked(rung, offer, NOBODY_STANDS)
        if self._deadline - ladder.clock.now() < ladder.rules.least_time:
            return _not_asked(rung, offer, No.NO_TIME, no_higher=True)
        key = self._question.key(offer.model)
        is_paid = catalogue.providers[offer.provider].cost is CostKind.USAGE
        return self._from_cache(key, offer) or self._alone(key, offer, is_paid=is_paid)

    def _from_cache(self, key: str, offer: Offer) -> _Found | None:
        try:
            known = self._ladder.known.get(key, self._ladder.clock.now())
        except (TryAgain, Stop) as problem:
            log.warning("known answers not to be had", extra={"problem": str(problem)})
            return None
        if known is None:
            return None
        return self._judged(offer, known.text, _step(offer.rung, offer, "known", _KNOWN))._replace(known=True)

    def _alone(self, key: str, offer: Offer, *, is_paid: bool) -> _Found:
        """Ask while nobody else asks the same, unless somebody just had the answer."""
        ladder, lease = self._ladder, f"answer {key}"
        try:
            until = self._deadline + _LEASE_OUTLIVES
            if not ladder.leases.acquire(lease, self._run, ladder.clock.now(), until):
                return _not_asked(offer.rung, offer, No.BEING_ASKED, no_higher=True)
        except (TryAgain, Stop) as problem:
            return _not_asked(offer.rung, offer, f"{No.LEDGER_UNREADABLE}: {problem}", no_higher=True)
        found = self._from_cache(key, offer) or self._asked(offer, is_paid=is_paid)
        if found.readable and not found.known:
            self._keep(key, found.text)
        self._release(lease)
        return found

    def _asked(self, offer: Offer, *, is_paid: bool) -> _Found:
        """Ask a rung, and once more after a failure that may pass; each try pays for itself (BUD-03)."""
        steps: list[Step] = []
        for further in reversed(range(self._ladder.rules.tries)):
            paid = (self._ladder.pay if is_paid else self._free)(offer, self._question, self._deadline)
            if isinstance(paid, Denied):
                steps.append(_step(offer.rung, offer, "denied", paid.why))
                return _Found(tuple(steps), no_higher=paid.why in _NO_HIGHER)
            reply = paid.reply
            if reply.ending is Ending.COMPLETE:
                found = self._judged(offer, reply.text, _step(offer.rung, offer, "answered", _ENOUGH, paid.charge))
                return found._replace(steps=(*steps, *found.steps))
            reason = f"{reply.ending}: {reply.detail}" if reply.detail else str(reply.ending)
            steps.append(_step(offer.rung, offer, "abstained", reason, paid.charge))
            if not further or reply.ending not in WORTH_ANOTHER_TRY or not self._paused(reply):
                break
        return _Found(tuple(steps))

    def _judged(self, offer: Offer, text: str, answered: Step) -> _Found:
        """Read an answer; `answered` is its step when it suffices."""
        try:
            value = self._read(text)
        except Misread as problem:
            reason = f"{Ending.UNREADABLE}: {problem}"
            return _Found((_step(offer.rung, offer, "abstained", reason, answered.charge),), text)
        doubt = self._suffices(value)
        if doubt:
            unsure = _step(offer.rung, offer, "unsure", doubt, answered.charge)
            return _Found((unsure,), text, value, readable=True)
        return _Found((answered,), text, value, readable=True, sure=True)

    def _free(self, offer: Offer, question: Question, deadline: datetime) -> Paid:
        """Ask a model that costs nothing; its call is recorded all the same (BUD-08)."""
        ladder = self._ladder
        started = ladder.clock.now()
        reply = ladder.models[offer.provider].ask(
            Attempt(model=offer.model, question=question, most_tokens=question.most_tokens, deadline=deadline)
        )
        charge = _free_charge(offer, question, reply, started, ladder)
        try:
            charge = ladder.charges.put(charge)
        except (TryAgain, Stop) as problem:
            log.warning("free call not recorded", extra={"work": question.work, "problem": str(problem)})
        return Paid(reply, charge)

    def _paused(self, reply: Reply) -> bool:
        """Wait before the next try; False when the wait that was asked for does not fit before the deadline."""
        ladder, (least, most) = self._ladder, self._ladder.rules.pause
        asked = reply.retry_after or timedelta(0)
        if ladder.clock.now() + asked + most + ladder.rules.least_time > self._deadline:
            return False
        ladder.pause(asked + least, asked + most)
        return True

    def _keep(self, key: str, text: str) -> None:
        ladder = self._ladder
        try:
            ladder.known.put(key, KnownAnswer(text, ladder.clock.now() + ladder.rules.answer_serves))
        except (TryAgain, Stop) as problem:
            log.warning("answer not kept", extra={"problem": str(problem)})

    def _release(self, lease: str) -> None:
        try:
            self._ladder.leases.release(lease, self._run)
        except (TryAgain, Stop) as problem:
            log.warning("question not released, its lease ends by itself", extra={"problem": str(problem)})


_ENOUGH: Final = "the cheapest rung that suffices"
_KNOWN: Final = "the same question was answered before"


def _allowed(question: Question) -> list[Rung]:
    """List the rungs above the rules that a question may climb; the dearest only on a person's request."""
    rungs = [Rung.EDGE, Rung.HAIKU, Rung.SONNET, *([Rung.OPUS] if question.request else [])]
    return [rung for rung in rungs if _HEIGHT[rung] <= _HEIGHT[question.highest]]


_HEIGHT: Final = {rung: height for height, rung in enumerate(Rung)}


def _not_asked(rung: Rung, offer: Offer | None, reason: str, *, no_higher: bool = False) -> _Found:
    return _Found((_step(rung, offer, "not asked", reason),), no_higher=no_higher)


def _step(rung: Rung, offer: Offer | None, outcome: str, reason: str, charge: Charge | None = None) -> Step:
    return Step(
        rung=rung,
        provider=offer.provider if offer else "",
        model=offer.model if offer else None,
        outcome=outcome,
        reason=reason,
        charge=charge,
    )


def _free_charge(offer: Offer, question: Question, reply: Reply, started: datetime, ladder: ClimbLadder) -> Charge:
    return Charge(
        id=ReservationId(f"free-{question.key(offer.model)[:16]}-{started:%Y%m%dT%H%M%S%f}"),
        at=ladder.clock.now(),
        day=ladder.pay.day_of(started),
        provider=offer.provider,
        model=offer.model,
        rung=offer.rung,
        purpose=question.purpose,
        envelope=ENVELOPE_OF[question.purpose],
        work=question.work,
        cycle=question.cycle,
        held=0,
        cost=0,
        booked=Booked.FREE,
        usage=reply.usage,
        latency=reply.latency,
        ending=reply.ending,
        prices="",
        request_id=reply.request_id,
    )


def _told(question: Question, answer: Answer) -> dict[str, object]:
    """Give the fields of the journal's fact: every rung's reason, and what it cost in micro-dollars."""
    steps = [
        {
            "rung": step.rung,
            "provider": step.provider,
            "model": step.model,
            "outcome": step.outcome,
            "reason": step.reason[:500],
            "reservation": step.charge.id if step.charge else None,
        }
        for step in answer.steps
    ]
    return {
        "work": question.work,
        "cycle": question.cycle,
        "purpose": question.purpose,
        "task": question.task,
        "request": question.request,
        "rung": answer.rung,
        "from_cache": answer.from_cache,
        "cost": sum(charge.cost for charge in answer.charges),
        "steps": steps,
    }
