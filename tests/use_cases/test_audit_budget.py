from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.alerts import AlertKind, Severity
from shared.domain.budget import BudgetMonth, BudgetRules, month_of
from shared.domain.charges import Booked, charge_for
from shared.domain.day_plan import exchange_date
from shared.domain.errors import InvalidValue, Unavailable
from shared.domain.model_prices import DOLLAR, HAIKU, SONNET
from shared.domain.providers import SHIPPED
from shared.domain.questions import Billed, Ending
from shared.domain.times import Tick
from shared.use_cases.audit_budget import Audited
from shared.use_cases.pay_for_answer import Held
from tests.fakes.till import NOON, Till, answered, failed, question

FOR_SONNET = SHIPPED.offers[SONNET]
TODAY = exchange_date(NOON)
QUARTER = timedelta(minutes=15)


def held(till: Till, text: str = "AAPL fell") -> Held:
    found = till.pay().hold(FOR_SONNET, question(text), till.deadline)
    assert isinstance(found, Held), found
    return found


def audit(till: Till) -> Audited:
    return till.audit()(Tick(scheduled=till.clock.now().replace(second=0, microsecond=0)))


class TestExpiring:
    def test_what_nobody_settled_is_spent_whole_a_quarter_of_an_hour_after_its_deadline_and_not_before(self) -> None:
        till = Till()
        crashed = held(till)
        till.clock.set(crashed.reservation.expires_at - timedelta(microseconds=1))
        assert (audit(till).expired, till.month.spent) == (0, 0)
        till.clock.set(crashed.reservation.expires_at)
        assert audit(till) == Audited(expired=1, problems=())
        assert (till.month.spent, till.month.reserved) == (crashed.reservation.amount, 0)
        assert [charge.booked for charge in till.charges.of_day(TODAY)] == [Booked.ASSUMED]
        assert crashed.reservation.expires_at == NOON + timedelta(minutes=1) + QUARTER

    def test_what_it_will_expire_is_journaled_before_anything_is_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise Unavailable("not now")

        till = Till()
        crashed = held(till).reservation
        till.clock.advance(2 * QUARTER)
        monkeypatch.setattr(till.journal, "put", fail)
        with pytest.raises(Unavailable):
            audit(till)
        assert till.month.reserved == crashed.amount
        monkeypatch.undo()
        audit(till)
        (link,) = till.journal.links()
        assert json.loads(link.body)["fields"]["expired"] == [{"reservation": crashed.id, "amount": crashed.amount}]

    def test_auditing_again_changes_nothing(self) -> None:
        till = Till()
        held(till)
        till.clock.advance(2 * QUARTER)
        audit(till)
        before, records = till.month, till.charges.of_day(TODAY)
        assert audit(till).expired == 0
        assert (till.month, till.charges.of_day(TODAY)) == (before, records)

    def test_a_record_that_stands_says_what_the_call_cost(self) -> None:
        """A caller that died between its record and the counters."""
        till = Till()
        crashed = held(till).reservation
        record = charge_for(crashed, till.clock.now(), cost=4_000, booked=Booked.SETTLED, ending=Ending.COMPLETE)
        till.charges.put(record)
        till.clock.advance(2 * QUARTER)
        assert audit(till) == Audited(expired=1, problems=())
        assert till.month.spent == 4_000

    def test_what_crashed_in_the_last_minute_of_a_month_is_spent_in_that_month(self) -> None:
        till = Till(now=datetime(2026, 12, 1, 4, 59, 30, tzinfo=UTC))
        november = till.month.month
        amount = held(till).reservation.amount
        till.clock.advance(2 * QUARTER)
        assert audit(till).expired == 1
        assert till.budgets.month(november).spent == amount
        assert till.month.spent == 0

    def test_a_ledger_that_cannot_be_had_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise Unavailable("not now")

        till = Till()
        monkeypatch.setattr(till.budgets, "month", fail)
        with pytest.raises(Unavailable):
            audit(till)


class TestComparing:
    def test_a_ledger_that_adds_up_has_no_problems(self) -> None:
        till = Till()
        till.claude.script = [answered(), failed(Ending.TIMED_OUT, Billed.UNKNOWN), failed(Ending.THROTTLED)]
        for number in range(5):
            till.pay()(FOR_SONNET, question(f"{number}"), till.deadline)
        held(till, "under way")
        assert audit(till) == Audited(expired=0, problems=())
        assert till.heard() == []

    def test_counters_that_differ_from_the_records_are_paged_with_both_figures(self) -> None:
        till = Till()
        done = till.pay()(FOR_SONNET, question(), till.deadline)
        assert not isinstance(done, Held)
        lost = replace(till.charges.of_day(TODAY)[0], id="another", cost=1_000_000)  # type: ignore[arg-type]
        till.charges.put(lost)
        problems = audit(till).problems
        by = "differ by -1,000,000 micro-dollars ($0.004000 and $1.004000)"
        assert problems == (
            f"2026-11-19: spent and the charges on record {by}",
            f"2026-11-19: envelope decisions and its records {by}",
        )
        (alert,) = till.heard()
        assert (alert.kind, alert.severity) == (AlertKind.BUDGET_WRONG, Severity.CRITICAL)
        assert problems[0] in alert.text
        fact = json.loads(next(till.journal.links()).body)
        assert (fact["kind"], fact["fields"]["problems"]) == ("budget_disagrees", list(problems))

    @pytest.mark.parametrize("counter", ["committed", "spent"])
    def test_counters_of_one_item_that_disagree_are_named(self, counter: str, monkeypatch: pytest.MonkeyPatch) -> None:
        till = Till()
        till.pay()(FOR_SONNET, question(), till.deadline)
        month = till.month
        wrong: BudgetMonth = replace(month, **{counter: getattr(month, counter) + 1})
        empty = BudgetMonth(month=month_of(month.month - timedelta(days=1)))
        monkeypatch.setattr(till.budgets, "month", lambda asked: wrong if asked == month.month else empty)
        assert [problem for problem in audit(till).problems if counter in problem]

    def test_a_day_that_changes_while_it_is_read_is_left_for_the_next_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        till = Till()
        of_day = till.charges.of_day

        def meanwhile(day: object) -> object:
            found = of_day(TODAY) if day == TODAY else []
            if day == TODAY:
                till.pay()(FOR_SONNET, question(f"{till.clock.now()}"), till.deadline)
                till.clock.advance(timedelta(seconds=1))
            return found

        monkeypatch.setattr(till.charges, "of_day", meanwhile)
        assert audit(till).problems == ()

    def test_more_than_the_limit_is_told(self) -> None:
        till = Till()
        till.pay()(FOR_SONNET, question(), till.deadline)
        till.rules = BudgetRules(day=3_999, month=3_999)
        problems = audit(till).problems
        assert len(problems) == 2
        assert all("is spent or reserved of" in problem for problem in problems)


class TestPrices:
    def test_a_model_on_a_rung_without_a_price_is_told_once_a_day_and_the_dearest_is_not(self) -> None:
        till = Till(now=datetime(2026, 10, 1, 16, 0, tzinfo=UTC))
        audit(till)
        assert [(alert.kind, alert.subject) for alert in till.heard()] == [(AlertKind.MODEL_UNPRICED, HAIKU)]


class TestPruning:
    def test_closed_ids_are_forgotten_and_as_old_ones_refused(self) -> None:
        till = Till()
        late = held(till, "late").reservation
        till.pay().settle(late, answered())
        assert late.id in till.month.closed
        till.clock.advance(timedelta(hours=1))
        audit(till)
        assert till.month.closed == {}
        assert till.month.floor == till.clock.now() - till.rules.remembered


class TestReleasing:
    def test_a_person_releases_what_a_crashed_call_holds_and_it_is_recorded(self) -> None:
        till = Till()
        crashed = held(till).reservation
        till.clock.advance(timedelta(minutes=2))
        charge = till.release()(crashed.id, "owner", "the provider's page shows no such request")
        assert (charge.booked, charge.cost, till.month.committed) == (Booked.RELEASED, 0, 0)
        fact = json.loads(next(till.journal.links()).body)
        assert (fact["kind"], fact["fields"]["by"], fact["fields"]["amount"]) == (
            "reservation_released",
            "owner",
            crashed.amount,
        )
        assert [alert.subject for alert in till.heard()] == ["release"]
        assert audit(till).problems == ()

    def test_a_call_that_may_still_be_under_way_is_not_released(self) -> None:
        till = Till()
        crashed = held(till).reservation
        with pytest.raises(InvalidValue, match="one whose call is over"):
            till.release()(crashed.id, "owner", "in a hurry")
        assert till.month.committed == crashed.amount

    def test_what_is_not_open_is_refused_by_name(self) -> None:
        with pytest.raises(InvalidValue, match="no-such"):
            Till().release()("no-such", "owner", "why")  # type: ignore[arg-type]

    def test_a_charge_that_came_first_stays(self) -> None:
        till = Till()
        crashed = held(till).reservation
        till.clock.advance(timedelta(minutes=2))
        till.charges.put(charge_for(crashed, till.clock.now(), cost=4_000, booked=Booked.SETTLED, ending="complete"))
        assert till.release()(crashed.id, "owner", "why").cost == 4_000
        assert till.month.spent == 4_000

    def test_a_call_that_cost_something_after_all_is_paged(self) -> None:
        till = Till()
        slow = held(till).reservation
        till.clock.advance(timedelta(minutes=2))
        till.release()(slow.id, "owner", "why")
        till.heard()
        till.pay().settle(slow, answered())
        assert [alert.kind for alert in till.heard()] == [AlertKind.BUDGET_WRONG]


class TestGranting:
    def test_a_grant_is_recorded_and_told_with_who_and_why(self) -> None:
        till = Till()
        found = till.grant()("g1", "owner", "TSLA before the close")  # type: ignore[arg-type]
        assert isinstance(found, BudgetMonth)
        assert found.granted(TODAY) == DOLLAR
        fact = json.loads(next(till.journal.links()).body)
        assert (fact["kind"], fact["fields"]["why"]) == ("allowance_granted", "TSLA before the close")
        (alert,) = till.heard()
        assert "owner allowed one call of up to $1.00" in alert.text

    def test_the_fifth_of_a_day_is_refused_and_the_refusal_recorded(self) -> None:
        till = Till()
        for number in range(5):
            till.grant()(f"g{number}", "owner", "why")  # type: ignore[arg-type]
        assert till.month.granted(TODAY) == 4 * DOLLAR
        kinds = [json.loads(link.body)["kind"] for link in till.journal.links()]
        assert kinds == ["allowance_granted"] * 4 + ["allowance_refused"]
