"""What every store of the journal promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest

from shared.adapters.aws.journal import DynamoJournal
from shared.adapters.memory.journal import MemoryJournal
from shared.domain.journal import Fact, Link, first_break, next_link
from shared.ports.journal import JournalStore
from shared.use_cases.record_fact import RecordFact
from tests.contract.conftest import NewTable
from tests.fakes.racing import race, until_written
from tests.unit.builders import NOW, TODAY

STORES: dict[str, Callable[[NewTable], JournalStore]] = {
    "memory": lambda new_table: MemoryJournal(),
    "dynamodb": lambda new_table: DynamoJournal(new_table()),
}


@pytest.fixture(params=sorted(STORES))
def journal(request: pytest.FixtureRequest, new_table: NewTable) -> JournalStore:
    return STORES[request.param](new_table)


def links(journal: JournalStore, day: date = TODAY) -> Sequence[Link]:
    if isinstance(journal, DynamoJournal):
        return journal.links(day)
    assert isinstance(journal, MemoryJournal)
    return [link for link in journal.links() if link.day == day]


def link_after(head: Link | None, text: str) -> Link:
    return next_link(head, Fact(kind="told", at=NOW, fields={"text": text}))


def test_day_without_facts_has_no_head(journal: JournalStore) -> None:
    assert journal.head(TODAY) is None
    assert list(links(journal)) == []


def test_link_reads_back_as_it_was_put(journal: JournalStore) -> None:
    link = link_after(None, "half a \ud800 surrogate, “quotes” \\ and an é")

    assert journal.put(link)

    assert journal.head(TODAY) == link
    assert list(links(journal)) == [link]


def test_taken_number_is_refused_and_the_first_stands(journal: JournalStore) -> None:
    first, other = link_after(None, "first"), link_after(None, "other")
    assert journal.put(first)

    assert not journal.put(other)
    assert not journal.put(first)
    assert journal.head(TODAY) == first


def test_days_have_chains_of_their_own(journal: JournalStore) -> None:
    RecordFact(journal=journal)("told", NOW)
    tomorrow = RecordFact(journal=journal)("told", NOW + timedelta(days=1))

    assert tomorrow.sequence == 1
    assert journal.head(TODAY) == links(journal)[0]
    assert list(links(journal, tomorrow.day)) == [tomorrow]


def test_head_is_the_last_of_many(journal: JournalStore) -> None:
    recorded = [RecordFact(journal=journal)("told", NOW, number=number) for number in range(12)]

    assert journal.head(TODAY) == recorded[-1]
    assert list(links(journal)) == recorded
    assert first_break(links(journal)) is None


def test_of_parallel_puts_of_one_number_one_gets_true(journal: JournalStore) -> None:
    wanted = [link_after(None, str(number)) for number in range(32)]

    taken = race(lambda number: journal.put(wanted[number]))

    assert taken.count(True) == 1
    assert journal.head(TODAY) == wanted[taken.index(True)]


def test_parallel_writers_leave_one_unbroken_chain_that_holds_every_fact_once(journal: JournalStore) -> None:
    """A writer that lost to the others too often tries again, as its caller would."""
    record = RecordFact(journal=journal)

    def write(number: int) -> Link:
        return until_written(lambda: record("told", NOW, number=number))

    recorded = race(write)

    stored = links(journal)
    assert first_break(stored) is None
    assert sorted(recorded, key=lambda link: link.sequence) == list(stored)
    assert [link.sequence for link in stored] == list(range(1, 33))


def test_changed_link_breaks_the_chain_where_it_stands(journal: JournalStore) -> None:
    first = link_after(None, "bought")
    journal.put(first)
    journal.put(replace(link_after(first, "sold"), body=first.body))

    broken = first_break(links(journal))

    assert broken is not None
    assert (broken.day, broken.sequence) == (TODAY, 2)
