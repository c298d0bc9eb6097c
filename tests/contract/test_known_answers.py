"""What every store of known answers promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.adapters.aws.budget import DynamoKnownAnswers
from shared.adapters.memory.budget import MemoryKnownAnswers
from shared.ports.budget import KnownAnswer, KnownAnswers
from tests.contract.conftest import NewTable
from tests.unit.budgets import FRIDAY, MOMENT, QUARTER

STORES: dict[str, Callable[[NewTable], KnownAnswers]] = {
    "memory": lambda new_table: MemoryKnownAnswers(),
    "dynamodb": lambda new_table: DynamoKnownAnswers(new_table()),
}
ANSWER = KnownAnswer('{"side": "buy", "why": "“up” \ud800 é"}', FRIDAY + QUARTER)


@pytest.fixture(params=sorted(STORES))
def answers(request: pytest.FixtureRequest, new_table: NewTable) -> KnownAnswers:
    return STORES[request.param](new_table)


def test_answer_serves_until_its_time_is_over(answers: KnownAnswers) -> None:
    answers.put("key", ANSWER)

    assert answers.get("key", FRIDAY) == ANSWER
    assert answers.get("key", ANSWER.until - MOMENT) == ANSWER
    assert answers.get("key", ANSWER.until) is None


def test_unknown_question_has_no_answer(answers: KnownAnswers) -> None:
    answers.put("key", ANSWER)

    assert answers.get("other", FRIDAY) is None


def test_last_answer_wins(answers: KnownAnswers) -> None:
    later = KnownAnswer("", ANSWER.until + QUARTER)
    answers.put("key", ANSWER)
    answers.put("key", later)

    assert answers.get("key", ANSWER.until) == later
