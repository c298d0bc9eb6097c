from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import product

import pytest

from shared.contracts.stored import NewerSchema
from shared.domain.budget import BudgetRules, No
from shared.domain.calls import Rung, WorkId
from shared.domain.charges import Booked, statement
from shared.domain.day_plan import exchange_date
from shared.domain.errors import TryAgain, Unavailable
from shared.domain.journal import Plain
from shared.domain.model_prices import HAIKU, OPUS, SONNET, STARTING_PRICES, PriceRow, PriceTable
from shared.domain.providers import EDGE, SHIPPED, Catalogue, Switches
from shared.domain.questions import Answer, Billed, Ending, Misread, Question, Reply
from shared.use_cases.climb_ladder import ClimbLadder
from tests.fakes.till import HOLD, NOON, BillingModel, Till, answered, failed, question

WITH_EDGE = SHIPPED.with_switches(Switches(providers={EDGE: True}))
OPUS_PRICED = PriceTable(
    (*STARTING_PRICES.rows, PriceRow(model=OPUS, since=NOON - timedelta(days=1), input=Decimal(4), output=Decimal(20)))
)
LOW = '{"action": "sell"}'


def read(text: str) -> Plain:
    """Read an answer that names one of the two actions."""
    try:
        value: Plain = json.loads(text)
    except ValueError as problem:
        raise Misread("not JSON") from problem
    if not isinstance(value, dict) or value.get("action") not in ("hold", "sell"):
        raise Misread("action: not one of those offered")
    return value


def not_low(value: Plain) -> str:
    """Be sure of a hold alone."""
    return "confidence 0.5 is below 0.6" if isinstance(value, dict) and value["action"] == "sell" else ""


def ask(till: Till, asked: Question | None = None, *, run: str = "run 1", by_rules: Plain = None) -> Answer:
    return till.ladder()(asked or question(), till.deadline, run, read=read, suffices=not_low, by_rules=by_rules)


def with_edge(**changes: object) -> tuple[Till, BillingModel]:
    edge = BillingModel()
    return Till(catalogue=WITH_EDGE, models={EDGE: edge}, **changes), edge  # type: ignore[arg-type]


def climbed(answer: Answer) -> list[tuple[Rung, str]]:
    return [(step.rung, step.outcome) for step in answer.steps]


class TestTheWay:
    def test_the_rules_answer_without_asking_anybody(self) -> None:
        till, edge = with_edge()
        answer = ask(till, by_rules={"action": "hold"})
        assert (answer.rung, answer.value) == (Rung.RULES, {"action": "hold"})
        assert till.claude.attempts == edge.attempts == []

    def test_the_edge_answers_before_anything_is_paid(self) -> None:
        till, _ = with_edge()
        answer = ask(till)
        assert climbed(answer) == [(Rung.RULES, "abstained"), (Rung.EDGE, "answered")]
        assert till.month.committed == till.claude.billed == 0
        assert [charge.booked for charge in till.charges.of_day(exchange_date(NOON))] == [Booked.FREE]

    @pytest.mark.parametrize("ways", list(product(["fails", "unsure", "answers"], repeat=3)))
    def test_each_rung_that_fails_or_is_unsure_moves_exactly_one_up(self, ways: tuple[str, ...]) -> None:
        till, edge = with_edge()
        replies: dict[str, Reply] = {
            "fails": failed(Ending.REFUSED, Billed.BY_USAGE, usage=answered().usage),
            "unsure": answered(LOW),
            "answers": answered(HOLD),
        }
        edge.usual = lambda attempt: replies[ways[0]]
        till.claude.usual = lambda attempt: replies[ways[1 if attempt.model == HAIKU else 2]]
        answer = ask(till)
        rungs = [Rung.EDGE, Rung.HAIKU, Rung.SONNET]
        reached = next((n for n, way in enumerate(ways) if way == "answers"), None)
        expected = rungs if reached is None else rungs[: reached + 1]
        assert [step.rung for step in answer.steps] == [Rung.RULES, *expected]
        assert answer.rung == (None if reached is None else rungs[reached])
        assert answer.abstained == (reached is None)
        assert all(step.reason for step in answer.steps)

    def test_without_an_edge_its_rung_is_passed_over_with_the_reason(self) -> None:
        answer = ask(Till())
        assert climbed(answer)[1:] == [(Rung.EDGE, "not asked"), (Rung.HAIKU, "answered")]
        assert answer.steps[1].reason == "no model stands on this rung"

    @pytest.mark.parametrize("highest", [Rung.RULES, Rung.EDGE, Rung.HAIKU])
    def test_nothing_above_the_highest_rung_allowed_is_asked(self, highest: Rung) -> None:
        till, edge = with_edge()
        edge.usual = till.claude.usual = lambda attempt: answered(LOW)
        answer = ask(till, question(highest=highest))
        assert answer.abstained
        assert answer.steps[-1].rung is highest

    @pytest.mark.parametrize("highest", list(Rung))
    @pytest.mark.parametrize("request_id", ["", "r-17"])
    def test_the_dearest_rung_is_climbed_on_a_persons_request_alone(self, highest: Rung, request_id: str) -> None:
        till = Till(prices=OPUS_PRICED)
        till.claude.usual = lambda attempt: answered(LOW)
        bill = replace(question(highest=highest), request=request_id)
        ask(till, bill)
        asked = {attempt.model for attempt in till.claude.attempts}
        assert (OPUS in asked) == (highest is Rung.OPUS and request_id != "")

    @pytest.mark.parametrize("text", ["", "hold", "[]", '{"action": "buy"}', "{}", '{"action": NaN}', "\ud800"])
    def test_what_does_not_fit_the_question_is_an_abstention_and_is_paid(self, text: str) -> None:
        till = Till()
        till.claude.usual = lambda attempt: answered(text)
        answer = ask(till)
        assert answer.abstained
        assert [step.outcome for step in answer.steps[2:]] == ["abstained", "abstained"]
        assert till.month.spent == till.claude.billed > 0

    def test_every_ending_but_a_normal_one_is_an_abstention(self) -> None:
        for ending in set(Ending) - {Ending.COMPLETE}:
            till = Till()
            till.claude.usual = lambda attempt, ending=ending: failed(ending, text=HOLD)  # type: ignore[misc]
            assert ask(till).abstained, ending

    def test_models_switch_without_a_deployment(self) -> None:
        till = Till()
        till.choices.switch(Switches(providers={"anthropic": False}))
        answer = ask(till)
        assert answer.abstained
        assert till.claude.attempts == []
        assert {step.reason for step in answer.steps[1:]} == {"no model stands on this rung"}


class TestTries:
    @pytest.mark.parametrize("ending", [Ending.THROTTLED, Ending.OVERLOADED, Ending.SERVER_ERROR, Ending.UNREACHABLE])
    def test_a_failure_that_may_pass_is_tried_once_more_under_a_reservation_of_its_own(self, ending: Ending) -> None:
        till = Till()
        till.claude.script = [failed(ending, Billed.UNKNOWN if ending is Ending.SERVER_ERROR else Billed.NOTHING)]
        answer = ask(till)
        assert climbed(answer)[2:] == [(Rung.HAIKU, "abstained"), (Rung.HAIKU, "answered")]
        charges = till.charges.of_day(exchange_date(NOON))
        assert len(till.claude.attempts) == len(charges) == len({charge.id for charge in charges}) == 2
        assert len(till.waits) == 1

    @pytest.mark.parametrize("ending", [Ending.REFUSED, Ending.REJECTED, Ending.TRUNCATED, Ending.SPEND_LIMIT])
    def test_a_failure_that_repeats_itself_is_not_tried_again(self, ending: Ending) -> None:
        till = Till()
        till.claude.script = [failed(ending)]
        ask(till, question(highest=Rung.HAIKU))
        assert len(till.claude.attempts) == 1

    def test_a_wait_longer_than_the_time_left_moves_up_at_once(self) -> None:
        till = Till()
        till.claude.script = [failed(Ending.THROTTLED, retry_after=timedelta(minutes=5))]
        answer = ask(till)
        assert till.waits == []
        assert climbed(answer)[2:] == [(Rung.HAIKU, "abstained"), (Rung.SONNET, "answered")]

    def test_the_wait_that_was_asked_for_is_kept(self) -> None:
        till = Till()
        till.claude.script = [failed(Ending.THROTTLED, retry_after=timedelta(seconds=7))]
        ask(till)
        assert till.waits[0][0] >= timedelta(seconds=7)

    def test_no_time_left_asks_nobody(self) -> None:
        till = Till()
        answer = till.ladder()(question(), NOON, "run 1", read=read)
        assert till.claude.attempts == []
        assert answer.steps[-1].reason == No.NO_TIME


class TestKnownAnswers:
    def test_the_same_question_within_a_quarter_of_an_hour_is_paid_once(self) -> None:
        till = Till()
        first = ask(till)
        till.clock.advance(timedelta(minutes=14))
        second = ask(till, question(work=WorkId("another item with the same words")))
        assert (second.value, second.from_cache) == (first.value, True)
        assert len(till.claude.attempts) == 1
        till.clock.advance(timedelta(minutes=2))
        ask(till, question(work=WorkId("later")))
        assert len(till.claude.attempts) == 2

    def test_an_unsure_answer_is_known_too_and_still_passes_the_question_up(self) -> None:
        till = Till()
        till.claude.usual = lambda attempt: answered(LOW if attempt.model == HAIKU else HOLD)
        ask(till)
        assert [step.outcome for step in ask(till).steps[2:]] == ["unsure", "known"]
        assert len(till.claude.attempts) == 2

    def test_an_answer_that_could_not_be_read_is_not_kept(self) -> None:
        till = Till()
        till.claude.script = [answered("garbage")]
        ask(till, question(highest=Rung.HAIKU))
        assert ask(till, question(highest=Rung.HAIKU)).value == {"action": "hold"}

    def test_one_word_another_model_or_effort_is_another_question(self) -> None:
        asked = question()
        others = [asked.key(SONNET), question("other words").key(HAIKU), replace(asked, most_tokens=4_000).key(HAIKU)]
        assert asked.key(HAIKU) not in others

    def test_a_question_that_somebody_asks_right_now_is_not_asked_again(self) -> None:
        till = Till()
        inner: list[Answer] = []

        def meanwhile(attempt: object) -> Reply:
            inner.append(ask(till, question(work=WorkId("copy")), run="run 2"))
            return answered()

        till.claude.usual = meanwhile
        assert ask(till).value == {"action": "hold"}
        assert [step.reason for step in inner[0].steps[2:]] == [No.BEING_ASKED]
        assert len(till.claude.attempts) == 1

    @pytest.mark.parametrize("method", ["get", "put"])
    def test_a_cache_that_is_down_costs_no_answer(self, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
        till = Till()
        monkeypatch.setattr(till.known, method, _unavailable)
        assert ask(till).value == {"action": "hold"}

    @pytest.mark.parametrize(
        ("port", "method"), [("known", "get"), ("known", "put"), ("leases", "release"), ("work_charges", "give_back")]
    )
    def test_what_a_newer_version_of_the_program_stored_costs_no_answer(
        self, port: str, method: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        till = Till()
        monkeypatch.setattr(getattr(till, port), method, _newer)
        till.claude.script = [failed(Ending.OVERLOADED)]
        assert ask(till).value == {"action": "hold"}


class TestTrouble:
    def test_money_that_is_gone_leaves_the_edge_and_the_rules(self) -> None:
        till, edge = with_edge(rules=BudgetRules(day=0))
        edge.usual = lambda attempt: answered(LOW)
        answer = ask(till)
        assert answer.abstained
        assert climbed(answer)[1:] == [(Rung.EDGE, "unsure"), (Rung.HAIKU, "denied")]
        edge.usual = lambda attempt: answered(HOLD)
        assert ask(till, question("something else")).rung is Rung.EDGE

    @pytest.mark.parametrize(("port", "method"), [("choices", "catalogue"), ("leases", "acquire")])
    def test_a_store_that_is_down_asks_nothing_and_abstains(
        self, port: str, method: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        till = Till()
        monkeypatch.setattr(getattr(till, port), method, _unavailable)
        answer = ask(till)
        assert answer.abstained
        assert till.claude.attempts == []
        assert No.LEDGER_UNREADABLE in answer.steps[-1].reason

    def test_an_answer_that_cannot_be_journaled_is_not_given_and_not_paid_twice(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        till = Till()
        monkeypatch.setattr(till.journal, "put", _unavailable)
        with pytest.raises(TryAgain):
            ask(till)
        monkeypatch.undo()
        assert ask(till).from_cache
        assert len(till.claude.attempts) == 1


class TestTheRecord:
    def test_every_choice_leaves_its_reason_in_the_journal(self) -> None:
        till = Till()
        till.claude.usual = lambda attempt: answered(LOW if attempt.model == HAIKU else HOLD)
        answer = ask(till)
        (link,) = till.journal.links()
        fact = json.loads(link.body)
        assert (fact["kind"], fact["fields"]["rung"], fact["fields"]["cost"]) == (
            "model_asked",
            "sonnet",
            till.month.spent,
        )
        assert [step["reason"] for step in fact["fields"]["steps"]] == [step.reason for step in answer.steps]
        assert [step["reservation"] for step in fact["fields"]["steps"][2:]] == [charge.id for charge in answer.charges]

    def test_the_statement_of_a_decision_adds_up_to_the_micro_dollar(self) -> None:
        till = Till()
        till.claude.script = [failed(Ending.SERVER_ERROR, Billed.UNKNOWN), answered(LOW), answered(HOLD)]
        answer = ask(till)
        told = statement(answer.charges, till.month.spent, till.rules.month)
        assert (told.cost, told.calls) == (till.month.spent, 3)
        assert told.text == "this decision cost $0.0063; month $0.0063 of $150.00"

    def test_the_same_inputs_give_the_same_record(self) -> None:
        def body() -> str:
            till = Till()
            ask(till)
            return next(till.journal.links()).body

        assert body() == body()


def test_the_ladder_names_its_rungs_from_the_catalogue_alone() -> None:
    def on(catalogue: Catalogue, rung: Rung) -> object:
        offer = catalogue.choice(rung, question().task)
        return offer.model if offer else None

    assert [on(SHIPPED, rung) for rung in Rung] == [None, None, HAIKU, SONNET, OPUS]
    assert on(WITH_EDGE, Rung.EDGE) == "mistral:7b"
    assert isinstance(Till().ladder(), ClimbLadder)


def _newer(*_: object, **__: object) -> None:
    raise NewerSchema("an item", 2, 1)


def _unavailable(*_: object, **__: object) -> None:
    raise Unavailable("not now")
