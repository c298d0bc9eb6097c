from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.budget import BudgetRules, No, ReservationId
from shared.domain.calls import Purpose, Rung, WorkId
from shared.domain.charges import Charge
from shared.domain.day_plan import exchange_date
from shared.domain.errors import InvalidValue, OutcomeUnknown, Refused, Unavailable
from shared.domain.model_prices import SONNET, ModelId, Usage
from shared.domain.providers import ANTHROPIC, SHIPPED
from shared.domain.questions import Attempt, Billed, Ending, Question, Reply
from shared.domain.times import Tick
from shared.use_cases.ask_in_batch import MOST_IN_BATCH, AskInBatch
from shared.use_cases.pay_for_answer import Held
from tests.fakes.till import NOON, Till, answered, failed, question

FOR_SONNET = SHIPPED.offers[SONNET]
HALF = Usage(input=1_000, output=200, batch=True)


class Desk:
    """Takes batches and gives back what it is told."""

    def __init__(self) -> None:
        self.taken: dict[str, Mapping[ReservationId, Attempt]] = {}
        self.says: Reply | None = None
        self.fails: Exception | None = None

    def submit(self, attempts: Mapping[ReservationId, Attempt]) -> str:
        if self.fails is not None:
            raise self.fails
        name = f"batch-{len(self.taken)}"
        self.taken[name] = attempts
        return name

    def results(self, batch: str, asked: Mapping[ReservationId, ModelId]) -> Mapping[ReservationId, Reply] | None:
        assert asked == {key: attempt.model for key, attempt in self.taken[batch].items()}
        return None if self.says is None else dict.fromkeys(asked, self.says)


class Out:
    """Where answers are delivered to."""

    def __init__(self) -> None:
        self.came: list[tuple[WorkId, Ending, int]] = []

    def __call__(self, work: WorkId, reply: Reply, charge: Charge) -> None:
        self.came.append((work, reply.ending, charge.cost))


def later(text: str) -> Question:
    return question(text, urgent=False, purpose=Purpose.NEWS)


def batching(till: Till, desk: Desk) -> AskInBatch:
    return AskInBatch(
        clock=till.clock, choices=till.choices, batches={ANTHROPIC: desk}, pay=till.pay(), pending=till.pending
    )


def test_each_question_is_held_at_the_full_price_until_its_result_and_then_costs_half() -> None:
    till, desk, out = Till(), Desk(), Out()
    batch = batching(till, desk)
    name, denied = batch.submit(Rung.SONNET, [later("one"), later("two")])
    assert (name, denied) == ("batch-0", ())
    held = [one.amount for one in till.month.open.values()]
    live = till.pay().hold(FOR_SONNET, question("one"), till.deadline)
    assert isinstance(live, Held)
    assert held == [live.reservation.amount] * 2
    assert batch.collect(out) == 0
    desk.says = answered(usage=HALF)
    assert batch.collect(out) == 1
    assert out.came == [(WorkId("work one"), Ending.COMPLETE, 2_000), (WorkId("work two"), Ending.COMPLETE, 2_000)]
    assert till.month.spent == 4_000
    assert till.pending.all() == []


def test_what_the_budget_does_not_admit_is_named_and_the_rest_goes() -> None:
    till, desk = Till(rules=BudgetRules(day=300_000)), Desk()
    name, denied = batching(till, desk).submit(
        Rung.SONNET, [replace(later(f"{n}"), least_tokens=4_096) for n in range(3)]
    )
    assert name is not None
    assert len(desk.taken[name]) == 1
    assert denied == ((WorkId("work 1"), No.ENVELOPE_SPENT), (WorkId("work 2"), No.ENVELOPE_SPENT))


def test_nothing_is_handed_in_when_nothing_is_admitted_or_nobody_takes_batches() -> None:
    till, desk = Till(rules=BudgetRules(day=0)), Desk()
    assert batching(till, desk).submit(Rung.SONNET, [later("one")]).batch is None
    assert batching(Till(), desk).submit(Rung.EDGE, [later("one")]).denied == ((WorkId("work one"), No.SWITCHED_OFF),)
    assert desk.taken == {}


@pytest.mark.parametrize(
    "error", [Refused("not like this"), Unavailable("no connection"), InvalidValue("schema", "x", "y")]
)
def test_a_batch_that_was_certainly_not_taken_gives_the_money_back(error: Exception) -> None:
    till, desk = Till(), Desk()
    desk.fails = error
    with pytest.raises(type(error)):
        batching(till, desk).submit(Rung.SONNET, [later("one")])
    assert till.month.committed == 0


def test_a_batch_that_may_have_been_taken_stays_reserved_and_is_spent_a_day_later() -> None:
    till, desk = Till(), Desk()
    desk.fails = OutcomeUnknown("no answer")
    with pytest.raises(OutcomeUnknown):
        batching(till, desk).submit(Rung.SONNET, [later("one")])
    held = till.month.committed
    assert held > 0
    till.clock.advance(timedelta(hours=24))
    assert till.audit()(Tick(scheduled=till.clock.now())).expired == 0
    till.clock.advance(timedelta(minutes=15))
    assert till.audit()(Tick(scheduled=till.clock.now())).expired == 1
    assert till.month.spent == held


def test_a_request_without_a_result_costs_all_that_was_held() -> None:
    till, desk, out = Till(), Desk(), Out()
    batch = batching(till, desk)
    batch.submit(Rung.SONNET, [later("one")])
    desk.says = failed(Ending.BROKEN_OFF, Billed.UNKNOWN)
    amount = next(iter(till.month.open.values())).amount
    batch.collect(out)
    assert [cost for _, _, cost in out.came] == [amount]


def test_what_the_provider_gave_up_costs_nothing() -> None:
    till, desk, out = Till(), Desk(), Out()
    batch = batching(till, desk)
    batch.submit(Rung.SONNET, [later("one")])
    desk.says = failed(Ending.TIMED_OUT, Billed.NOTHING)
    batch.collect(out)
    assert (till.month.committed, out.came[0][2]) == (0, 0)


def test_results_that_are_collected_twice_are_charged_once() -> None:
    till, desk = Till(), Desk()
    batch = batching(till, desk)
    batch.submit(Rung.SONNET, [later("one"), later("two")])
    desk.says = answered(usage=HALF)

    def fail(*_: object) -> None:
        raise Unavailable("the reader is down")

    with pytest.raises(Unavailable):
        batch.collect(fail)
    out = Out()
    batch.collect(out)
    assert len(out.came) == 2
    assert till.month.spent == 4_000
    assert len(till.charges.of_day(exchange_date(NOON))) == 2


def test_what_cannot_be_delivered_keeps_nothing_from_being_settled() -> None:
    till, desk = Till(), Desk()
    batch = batching(till, desk)
    batch.submit(Rung.SONNET, [later("one"), later("two")])
    desk.says = answered(usage=HALF)

    def fail(*_: object) -> None:
        raise Unavailable("the reader is down")

    with pytest.raises(Unavailable):
        batch.collect(fail)
    assert (till.month.reserved, till.month.spent) == (0, 4_000)


def test_more_than_a_months_item_holds_waits_until_earlier_batches_are_settled() -> None:
    till, desk = Till(rules=BudgetRules(day=10**9, month=10**10)), Desk()
    batch = batching(till, desk)
    batch.submit(Rung.SONNET, [later(f"{n}") for n in range(MOST_IN_BATCH)])
    held = till.month.committed
    with pytest.raises(Unavailable, match="200"):
        batch.submit(Rung.SONNET, [later("one more")])
    assert till.month.committed == held
    desk.says = answered(usage=HALF)
    batch.collect(Out())
    assert batch.submit(Rung.SONNET, [later("one more")]).batch == "batch-1"


def test_a_batch_that_was_taken_and_cannot_be_kept_is_of_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    till, desk = Till(), Desk()

    def fail(*_: object) -> None:
        raise Unavailable("the table")

    monkeypatch.setattr(till.pending, "put", fail)
    with pytest.raises(OutcomeUnknown, match="batch-0"):
        batching(till, desk).submit(Rung.SONNET, [later("one")])
    assert till.month.reserved > 0


def test_a_provider_that_is_down_keeps_the_batch_for_the_next_time(monkeypatch: pytest.MonkeyPatch) -> None:
    till, desk = Till(), Desk()
    batch = batching(till, desk)
    batch.submit(Rung.SONNET, [later("one")])

    def fail(*_: object) -> None:
        raise Unavailable("not now")

    monkeypatch.setattr(desk, "results", fail)
    assert batch.collect(Out()) == 0
    assert len(till.pending.all()) == 1


@pytest.mark.parametrize(
    "questions", [[], [later("one")] * (MOST_IN_BATCH + 1), [question("urgent")]], ids=["none", "too many", "urgent"]
)
def test_what_is_no_batch_is_refused_before_anything_is_held(questions: list[Question]) -> None:
    till = Till()
    with pytest.raises(InvalidValue):
        batching(till, Desk()).submit(Rung.SONNET, questions)
    assert till.month.committed == 0
