"""Ways in which money could leak past the budget, each closed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

import pytest

from shared.domain.budget import BudgetRules, Denied, GrantId, No
from shared.domain.charges import Booked, Charge
from shared.domain.errors import InvalidValue, Unavailable
from shared.domain.model_prices import SONNET, PriceRow, PriceTable
from shared.domain.providers import SHIPPED
from shared.domain.questions import Ending
from shared.domain.times import Tick
from shared.use_cases.pay_for_answer import Held, Paid
from tests.fakes.till import NOON, Till, answered, failed, question

OFFER = SHIPPED.offers[SONNET]
SECOND = timedelta(seconds=1)


def hold(till: Till) -> Held:
    """Reserve a call as one that crashes before it is settled."""
    held = till.pay().hold(OFFER, question(), till.deadline)
    assert not isinstance(held, Denied)
    return held


def test_a_call_over_a_falling_price_is_charged_at_the_price_at_which_it_was_asked() -> None:
    change = NOON + 10 * SECOND
    dear = PriceRow(model=SONNET, since=NOON - SECOND, until=change, input=Decimal(3), output=Decimal(3))
    cheap = PriceRow(model=SONNET, since=change, input=Decimal(1), output=Decimal(1))
    till = Till(prices=PriceTable((dear, cheap)))
    held = hold(till)
    till.clock.set(change)
    assert till.pay().settle(held.reservation, answered()).cost == 3 * 1_200


def test_an_answer_for_which_too_little_is_left_is_not_asked_shorter_than_its_need() -> None:
    whole = hold(Till()).reservation.amount
    till = Till(rules=BudgetRules(day=whole * 5 // 3))
    denied = till.pay()(OFFER, question(least_tokens=4_096), till.deadline)
    assert isinstance(denied, Denied)
    assert (denied.why, denied.left, till.claude.attempts) == (No.ENVELOPE_SPENT, whole - 1, [])
    assert isinstance(till.pay()(OFFER, question(least_tokens=512), till.deadline), Paid)


def test_a_settlement_after_an_audit_that_died_half_way_books_what_the_audit_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    till = Till()
    held = hold(till)
    till.clock.set(held.reservation.expires_at)
    with monkeypatch.context() as patch:
        patch.setattr(till.budgets, "close", _unavailable)
        with pytest.raises(Unavailable):
            till.audit()(Tick(scheduled=till.clock.now()))
    charge = till.pay().settle(held.reservation, answered())
    assert (charge.booked, charge.cost) == (Booked.ASSUMED, held.reservation.amount)
    assert (till.month.spent, till.month.committed) == (charge.cost, charge.cost)


def test_a_call_that_is_made_and_settled_while_the_audit_reads_alarms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    till = Till()
    of_day = till.charges.of_day

    def read_late(day: date) -> Sequence[Charge]:
        till.pay()(OFFER, question(f"call of {day}"), till.deadline)
        return of_day(day)

    monkeypatch.setattr(till.charges, "of_day", read_late)
    assert till.audit()(Tick(scheduled=till.clock.now())).problems == ()
    assert till.month.spent > 0


def test_an_allowance_given_while_the_month_had_room_does_not_raise_it_when_it_is_used() -> None:
    whole = hold(Till()).reservation.amount
    till = Till(rules=BudgetRules(month=whole * 3 // 2, grant=whole))
    assert not isinstance(till.grant()(GrantId("one"), "a person", "news"), Denied)
    hold(till)
    denied = till.pay()(OFFER, question(least_tokens=4_096, grant=GrantId("one")), till.deadline)
    assert isinstance(denied, Denied)
    assert (denied.why, till.claude.attempts) == (No.MONTH_SPENT, [])


@pytest.mark.parametrize("field", ["system", "user"])
def test_a_question_that_cannot_be_sent_is_none_so_that_nothing_is_held_for_it(field: str) -> None:
    with pytest.raises(InvalidValue, match=field):
        question(**{field: "half a pair \ud800"})


def test_a_call_whose_charge_could_not_be_written_still_counts_for_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    till = Till()
    monkeypatch.setattr(till.charges, "put", _unavailable)
    for _ in range(5):
        till.claude.script = [failed(Ending.OVERLOADED)]
        till.pay()(OFFER, question(), till.deadline)
    assert len(till.claude.attempts) == 3


def test_a_settlement_that_comes_again_gives_no_claim_of_another_call_back() -> None:
    till = Till()
    first = hold(till)
    till.pay().settle(first.reservation, failed(Ending.OVERLOADED))
    till.clock.advance(SECOND)
    hold(till)
    till.pay().settle(first.reservation, failed(Ending.OVERLOADED))
    assert [till.work_charges.claim(question().work, 3, till.clock.now()) for _ in range(3)] == [2, 3, None]


def test_the_providers_own_limit_that_is_heard_of_the_day_after_closes_that_day() -> None:
    till = Till()
    late = hold(till).reservation
    till.clock.advance(timedelta(days=1))
    till.pay().settle(late, failed(Ending.SPEND_LIMIT, detail="no credit"))
    denied = till.pay()(OFFER, question("another"), till.deadline)
    assert isinstance(denied, Denied)
    assert denied.why is No.DAY_CLOSED


def _unavailable(*given: object) -> None:
    raise Unavailable("the table")
