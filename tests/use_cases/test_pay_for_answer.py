from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from shared.domain.alerts import AlertKind, Severity
from shared.domain.budget import BudgetRules, DecisionId, Denied, GrantId, No
from shared.domain.calls import Purpose, Rung, WorkId
from shared.domain.charges import Booked
from shared.domain.day_plan import exchange_date
from shared.domain.errors import Stop, Unavailable
from shared.domain.model_prices import DOLLAR, HAIKU, OPUS, SONNET, STARTING_PRICES, PriceRow, PriceTable, Usage
from shared.domain.providers import SHIPPED, Offer
from shared.domain.questions import Billed, Ending
from shared.domain.times import Tick
from shared.use_cases.pay_for_answer import Held, Paid
from tests.fakes.till import NOON, Till, answered, failed, question

FOR_HAIKU, FOR_SONNET, FOR_OPUS = (SHIPPED.offers[model] for model in (HAIKU, SONNET, OPUS))
NEW_YORK_MIDNIGHT = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
MONTH_END = datetime(2026, 12, 1, 5, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def paid(till: Till, offer: Offer = FOR_SONNET, text: str = "AAPL fell", **changes: object) -> Paid:
    found = till.pay()(offer, question(text, **changes), till.deadline)
    assert isinstance(found, Paid), found
    return found


def denied(till: Till, offer: Offer = FOR_SONNET, text: str = "AAPL fell", **changes: object) -> Denied:
    found = till.pay()(offer, question(text, **changes), till.deadline)
    assert isinstance(found, Denied), found
    return found


class TestOneCall:
    def test_its_worst_case_is_held_while_it_is_asked_and_its_tokens_are_booked_after(self) -> None:
        till = Till()
        seen: list[int] = []
        till.claude.usual = lambda attempt: seen.append(till.month.reserved) or answered()  # type: ignore[func-returns-value]
        done = paid(till)
        bound = 13 * question("AAPL fell").input_bound * 2 // 10 + 4_096 * 10
        assert bound <= seen[0] <= bound + 2
        assert done.charge.cost == 1_000 * 2 + 200 * 10 == till.claude.billed
        assert (till.month.spent, till.month.committed) == (done.charge.cost, done.charge.cost)
        assert done.charge.booked is Booked.SETTLED

    def test_the_record_says_who_was_asked_for_what_and_what_it_took(self) -> None:
        till = Till()
        charge = paid(till, work=WorkId("why AAPL"), purpose=Purpose.CHAT).charge
        assert till.charges.of_day(exchange_date(NOON)) == [charge]
        assert (charge.provider, charge.model, charge.rung) == ("anthropic", SONNET, Rung.SONNET)
        assert (charge.work, charge.purpose, charge.ending) == ("why AAPL", Purpose.CHAT, Ending.COMPLETE)
        assert charge.usage == Usage(input=1_000, output=200)
        assert charge.prices == STARTING_PRICES.version

    @pytest.mark.parametrize(
        "ending", [Ending.REFUSED, Ending.TRUNCATED, Ending.CONTEXT_EXCEEDED, Ending.EMPTY, Ending.UNREADABLE]
    )
    def test_an_answer_that_is_of_no_use_costs_its_tokens(self, ending: Ending) -> None:
        till = Till()
        till.claude.script = [failed(ending, Billed.BY_USAGE, usage=Usage(input=500, output=1))]
        assert paid(till).charge.cost == 500 * 2 + 10 == till.month.spent

    @pytest.mark.parametrize("ending", [Ending.TIMED_OUT, Ending.BROKEN_OFF, Ending.SERVER_ERROR])
    def test_a_call_that_may_have_been_answered_costs_all_that_was_held(self, ending: Ending) -> None:
        till = Till()
        till.claude.script = [failed(ending, Billed.UNKNOWN)]
        charge = paid(till).charge
        assert charge.cost == charge.held == till.month.spent > 0
        assert till.claude.billed <= charge.cost
        assert charge.booked is Booked.AT_MOST

    @pytest.mark.parametrize("ending", [Ending.THROTTLED, Ending.OVERLOADED, Ending.REJECTED, Ending.UNREACHABLE])
    def test_a_call_that_was_turned_away_costs_nothing_and_leaves_nothing_held(self, ending: Ending) -> None:
        till = Till()
        till.claude.script = [failed(ending)]
        assert paid(till).charge.cost == 0
        assert (till.month.committed, dict(till.month.open)) == (0, {})

    def test_an_answer_without_a_count_of_tokens_costs_all_that_was_held(self) -> None:
        till = Till()
        till.claude.script = [answered(usage=Usage())]
        charge = paid(till).charge
        assert charge.cost == charge.held

    def test_tokens_of_a_kind_without_a_price_cost_all_that_was_held(self) -> None:
        row = PriceRow(model=SONNET, since=datetime(2026, 1, 1, tzinfo=UTC), input=Decimal(2), output=Decimal(10))
        till = Till(prices=PriceTable((row,)))
        till.claude.script = [answered(usage=Usage(input=1, output=1, cache_read=1))]
        charge = paid(till).charge
        assert (charge.cost, charge.booked) == (charge.held, Booked.AT_MOST)

    def test_a_call_over_a_price_change_is_priced_at_the_dearer_end(self) -> None:
        change = NOON + 10 * SECOND
        rows = [
            PriceRow(model=SONNET, since=NOON - SECOND, until=change, input=Decimal(1), output=Decimal(1)),
            PriceRow(model=SONNET, since=change, input=Decimal(3), output=Decimal(3)),
        ]
        till = Till(prices=PriceTable(tuple(rows)))
        till.claude.usual = lambda attempt: till.clock.advance(20 * SECOND) or answered()  # type: ignore[func-returns-value]
        charge = paid(till).charge
        assert charge.cost == 3 * 1_200 <= charge.held

    def test_more_than_its_bound_is_booked_whole_and_paged(self) -> None:
        till = Till()
        till.claude.script = [answered(usage=Usage(input=90_000, output=4_096))]
        charge = paid(till).charge
        assert charge.cost == 90_000 * 2 + 40_960 == till.month.spent > charge.held
        told = [alert for alert in till.heard() if alert.kind == AlertKind.BUDGET_WRONG]
        assert [alert.severity for alert in told] == [Severity.CRITICAL]


class TestACrash:
    @pytest.mark.parametrize("point", ["claim", "reserve", "ask", "put", "close"])
    def test_at_any_step_leaves_at_least_what_was_billed_in_the_ledger(
        self, point: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Died(BaseException):
            pass

        def die(*_: object, **__: object) -> None:
            raise Died

        till = Till()
        port = {
            "claim": till.work_charges,
            "reserve": till.budgets,
            "put": till.charges,
            "close": till.budgets,
        }.get(point)
        if port is None:
            till.claude.script = [Died()]
        else:
            monkeypatch.setattr(port, point, die)
        with pytest.raises(Died):
            till.pay()(FOR_SONNET, question(), till.deadline)
        monkeypatch.undo()
        assert till.month.committed >= till.claude.billed
        till.clock.advance(timedelta(minutes=17))
        till.audit()(_tick(till))
        assert till.month.reserved == 0
        assert till.month.spent >= till.claude.billed
        assert till.month.spent == sum(charge.cost for charge in till.charges.of_day(exchange_date(NOON)))

    @pytest.mark.parametrize("error", [Unavailable("no answer"), Stop("written by a newer version")])
    @pytest.mark.parametrize("step", ["put", "close"])
    def test_a_charge_that_cannot_be_written_stays_reserved_and_the_answer_serves(
        self, step: str, error: Exception, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise error

        till = Till()
        monkeypatch.setattr(till.charges if step == "put" else till.budgets, step, fail)
        assert paid(till).reply.ending is Ending.COMPLETE
        assert till.month.reserved > 0

    @pytest.mark.parametrize("error", [Unavailable("no answer"), Stop("written by a newer version")])
    @pytest.mark.parametrize("step", ["claim", "reserve"])
    def test_a_ledger_that_cannot_be_read_asks_nothing(
        self, step: str, error: Exception, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise error

        till = Till()
        monkeypatch.setattr(till.work_charges if step == "claim" else till.budgets, step, fail)
        assert denied(till).why is No.LEDGER_UNREADABLE
        assert till.claude.attempts == []


class TestLimits:
    def test_the_answer_is_shortened_to_what_is_left_and_then_refused(self) -> None:
        till = Till(rules=BudgetRules(day=200_000))
        lengths: list[int] = []
        while True:
            till.claude.usual = lambda attempt: failed(Ending.TIMED_OUT, Billed.UNKNOWN)
            found = till.pay()(FOR_SONNET, question(f"no {len(lengths)}"), till.deadline)
            if isinstance(found, Denied):
                break
            lengths.append(till.claude.attempts[-1].most_tokens)
        assert lengths[0] == 4_096 > lengths[-1] >= 512
        assert found.why is No.ENVELOPE_SPENT
        assert till.claude.billed <= till.month.spent <= 120_000
        assert till.month.spent > 110_000

    def test_a_limit_of_nothing_asks_nothing(self) -> None:
        till = Till(rules=BudgetRules(day=0, month=0))
        assert denied(till).why in (No.DAY_SPENT, No.MONTH_SPENT, No.ENVELOPE_SPENT)
        assert till.claude.attempts == []

    def test_the_day_is_new_yorks_and_a_call_over_midnight_counts_on_the_day_it_was_asked(self) -> None:
        till = Till(now=NEW_YORK_MIDNIGHT - SECOND)
        till.claude.usual = lambda attempt: till.clock.advance(2 * SECOND) or answered()  # type: ignore[func-returns-value]
        charge = paid(till).charge
        assert charge.day.isoformat() == "2026-11-19"
        assert till.month.day(charge.day).spent == charge.cost
        assert paid(till, text="another").charge.day.isoformat() == "2026-11-20"

    def test_a_call_over_the_months_end_counts_in_the_month_it_was_asked(self) -> None:
        till = Till(now=MONTH_END - SECOND)
        before = till.month.month
        till.claude.usual = lambda attempt: till.clock.advance(2 * SECOND) or answered()  # type: ignore[func-returns-value]
        charge = paid(till).charge
        assert till.budgets.month(before).spent == charge.cost
        assert till.month.committed == 0

    def test_the_21st_decision_of_a_day_is_refused_and_the_tries_of_one_count_once(self) -> None:
        till = Till(rules=BudgetRules(day=100 * DOLLAR))
        for number in range(20):
            for attempt in range(2):
                paid(till, FOR_HAIKU, text=f"{number} {attempt}", decision=DecisionId(f"decision {number}"))
        assert denied(till, text="21", decision=DecisionId("decision 20")).why is No.DECISIONS_COUNTED
        paid(till, text="again", decision=DecisionId("decision 3"))
        paid(till, text="news", purpose=Purpose.NEWS)

    def test_while_the_edge_is_down_news_may_use_more_and_decisions_less_and_back(self) -> None:
        till = Till(rules=BudgetRules(day=1_000_000))
        till.claude.usual = lambda attempt: failed(Ending.TIMED_OUT, Billed.UNKNOWN)

        def spend(purpose: Purpose) -> int:
            for number in range(1_000):
                found = till.pay()(
                    FOR_SONNET, question(f"{purpose} {number} {till.edge_is_down}", purpose=purpose), till.deadline
                )
                if isinstance(found, Denied):
                    break
            return till.month.spent

        news = spend(Purpose.NEWS)
        assert 190_000 < news <= 200_000
        till.edge_is_down = True
        assert 390_000 < spend(Purpose.NEWS) <= 400_000
        decisions = spend(Purpose.DECISION) - till.month.day(exchange_date(NOON)).envelopes["news"]  # type: ignore[index]
        assert 390_000 < decisions <= 400_000
        till.edge_is_down = False
        assert spend(Purpose.NEWS) == till.month.spent
        assert spend(Purpose.DECISION) <= 1_000_000

    def test_a_persons_allowance_serves_one_call_beyond_the_day(self) -> None:
        till = Till(rules=BudgetRules(day=0))
        till.grant()(GrantId("g1"), "owner", "TSLA before the close")
        assert paid(till, grant=GrantId("g1")).reply.ending is Ending.COMPLETE
        assert denied(till, text="again", grant=GrantId("g1")).why is No.NO_GRANT
        assert denied(till, text="without").why is No.DAY_SPENT

    def test_the_providers_own_limit_closes_the_day_without_another_try(self) -> None:
        till = Till()
        till.claude.script = [failed(Ending.SPEND_LIMIT, detail="enforced_spend_limit_reached")]
        assert paid(till).charge.cost == 0
        assert denied(till, text="another").why is No.DAY_CLOSED
        assert len(till.claude.attempts) == 1
        till.clock.set(NEW_YORK_MIDNIGHT)
        paid(till, text="tomorrow")


class TestPrices:
    @pytest.mark.parametrize("offer", [FOR_OPUS, Offer(model=HAIKU, provider="anthropic", rung=Rung.HAIKU)])
    def test_a_model_without_a_price_is_not_asked_and_told_of(self, offer: Offer) -> None:
        till = Till(now=datetime(2026, 10, 1, tzinfo=UTC))
        assert denied(till, offer, request="r1").why is No.UNPRICED
        assert till.claude.attempts == []
        assert [alert.kind for alert in till.heard()] == [AlertKind.MODEL_UNPRICED]

    def test_a_price_that_ends_before_the_deadline_is_none(self) -> None:
        row = PriceRow(model=SONNET, since=NOON - SECOND, until=NOON + SECOND, input=Decimal(2), output=Decimal(10))
        till = Till(prices=PriceTable((row,)))
        assert denied(till).why is No.UNPRICED

    def test_the_dearest_model_is_never_asked_without_a_persons_request(self) -> None:
        row = PriceRow(model=OPUS, since=NOON - SECOND, input=Decimal(4), output=Decimal(20))
        till = Till(prices=PriceTable((row,)))
        assert denied(till, FOR_OPUS).why is No.NOT_ASKED_BY_A_PERSON
        assert till.claude.attempts == []


class TestRunaway:
    def test_a_stuck_item_tried_a_thousand_times_is_charged_three_times_and_parked_with_an_alert(self) -> None:
        till = Till()
        till.claude.usual = lambda attempt: failed(Ending.EMPTY, Billed.BY_USAGE, usage=Usage(input=10, output=1))
        for _ in range(1_000):
            till.pay()(FOR_HAIKU, question(work=WorkId("stuck")), till.deadline)
        assert len(till.claude.attempts) == len(till.charges.of_day(exchange_date(NOON))) == 3
        assert {alert.kind for alert in till.heard()} == {AlertKind.WORK_PARKED}

    def test_a_refusal_for_want_of_money_does_not_use_the_items_life_up(self) -> None:
        till = Till(rules=BudgetRules(day=0))
        for _ in range(10):
            denied(till, work=WorkId("patient"))
        till.rules = BudgetRules()
        paid(till, work=WorkId("patient"))


class TestWarnings:
    def test_each_level_is_told_once_a_day(self) -> None:
        till = Till(rules=BudgetRules(warn_at=(100_000, 200_000)))
        till.claude.usual = lambda attempt: failed(Ending.TIMED_OUT, Billed.UNKNOWN)
        for number in range(12):
            paid(till, text=f"{number}")
        told = [alert.subject for alert in till.heard() if alert.kind == AlertKind.BUDGET_WARNING]
        assert told == ["$0.10", "$0.20"]
        till.clock.set(NEW_YORK_MIDNIGHT)
        for number in range(12):
            paid(till, text=f"tomorrow {number}")
        assert len([alert for alert in till.heard() if alert.kind == AlertKind.BUDGET_WARNING]) == 2

    def test_the_tenth_decision_is_told(self) -> None:
        till = Till(rules=BudgetRules(day=100 * DOLLAR))
        for number in range(12):
            paid(till, FOR_HAIKU, text=f"{number}", decision=DecisionId(f"{number}"))
        assert [alert.subject for alert in till.heard()] == ["10 decisions"]

    def test_that_the_money_is_gone_is_told_once(self) -> None:
        till = Till(rules=BudgetRules(day=0))
        for number in range(5):
            denied(till, text=f"{number}")
        assert [alert.kind for alert in till.heard()] == [AlertKind.BUDGET_SPENT]


class TestHolding:
    def test_a_late_settlement_after_the_audit_changes_nothing(self) -> None:
        till = Till()
        held = till.pay().hold(FOR_SONNET, question(), till.deadline)
        assert isinstance(held, Held)
        till.clock.advance(timedelta(minutes=17))
        till.audit()(_tick(till))
        spent = till.month.spent
        assert spent == held.reservation.amount
        charge = till.pay().settle(held.reservation, answered())
        assert (charge.booked, till.month.spent) == (Booked.ASSUMED, spent)

    def test_settling_twice_books_once(self) -> None:
        till = Till()
        held = till.pay().hold(FOR_SONNET, question(), till.deadline)
        assert isinstance(held, Held)
        for text in ("first", "second"):
            till.pay().settle(held.reservation, answered(text))
        assert till.month.spent == 4_000
        assert len(till.charges.of_day(held.reservation.day)) == 1


def _tick(till: Till) -> Tick:
    return Tick(scheduled=till.clock.now().replace(second=0, microsecond=0))
