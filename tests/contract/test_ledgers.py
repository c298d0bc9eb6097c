"""What every store of ledgers promises; each implementation is one parameter of the fixture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.adapters.aws.book import DynamoLedgers
from shared.adapters.memory.book import MemoryLedgers
from shared.domain.errors import Conflict
from shared.domain.intents import AccountId, CycleId, Intent, IntentState, Reason
from shared.domain.ledger import Ledger, SentEntry, Tried
from shared.ports.book import Ledgers
from tests.contract.conftest import NewTable
from tests.fakes.racing import WRITERS, race, race_to_write, until_written
from tests.unit.builders import AAPL, ACCOUNT, LOT, NOW, SECOND, TSLA, intent, ledger_with

STORES: dict[str, Callable[[NewTable], Ledgers]] = {
    "memory": lambda new_table: MemoryLedgers(),
    "dynamodb": lambda new_table: DynamoLedgers(new_table(), new_table()),
}
CLOSED = replace(intent("7", reason=Reason.STOP_LOSS, origin=LOT), state=IntentState.CANCELED, closed_at=NOW)


@pytest.fixture(params=sorted(STORES))
def ledgers(request: pytest.FixtureRequest, new_table: NewTable) -> Ledgers:
    return STORES[request.param](new_table)


def full_ledger() -> Ledger:
    """A ledger in which every field says something."""
    return replace(
        ledger_with(intent("0.100000001", "184.8200"), intent(symbol=AAPL, reason=Reason.STOP_LOSS, origin=LOT)),
        finished={CLOSED.id: CLOSED},
        generations={CLOSED.purpose.key: Tried(2, NOW)},
        entries_sent={TSLA: (SentEntry(CLOSED.id, NOW - SECOND), SentEntry(intent().id, NOW))},
        locked={AAPL: NOW + timedelta(microseconds=1)},
        quiet_until=NOW,
    )


def test_unknown_account_has_an_empty_ledger_of_version_zero(ledgers: Ledgers) -> None:
    assert ledgers.load(ACCOUNT) == Ledger(account=ACCOUNT, version=0)


def test_ledger_reads_back_as_it_was_saved_one_version_later(ledgers: Ledgers) -> None:
    saved = ledgers.save(full_ledger())

    assert saved == replace(full_ledger(), version=1)
    assert ledgers.load(ACCOUNT) == saved
    assert list(ledgers.load(ACCOUNT).open) == list(full_ledger().open)


def test_each_account_has_a_ledger_of_its_own(ledgers: Ledgers) -> None:
    ledgers.save(full_ledger())

    other = AccountId("PA3BETA")
    assert ledgers.save(Ledger(account=other)).version == 1
    assert ledgers.load(ACCOUNT).open
    assert not ledgers.load(other).open


def test_save_over_a_newer_version_is_a_conflict_and_changes_nothing(ledgers: Ledgers) -> None:
    first = ledgers.save(Ledger(account=ACCOUNT))
    second = ledgers.save(first.quieted(NOW))

    with pytest.raises(Conflict):
        ledgers.save(first.quieted(NOW + SECOND))
    with pytest.raises(Conflict):
        ledgers.save(Ledger(account=ACCOUNT))
    assert ledgers.load(ACCOUNT) == second


def test_save_of_a_version_that_was_never_stored_is_a_conflict(ledgers: Ledgers) -> None:
    with pytest.raises(Conflict):
        ledgers.save(Ledger(account=ACCOUNT, version=3))
    assert ledgers.load(ACCOUNT).version == 0


def test_of_parallel_saves_of_one_version_one_wins(ledgers: Ledgers) -> None:
    start = ledgers.save(Ledger(account=ACCOUNT))

    won = race_to_write(lambda number: ledgers.save(start.quieted(NOW + number * SECOND)))

    assert len(won) == 1
    assert ledgers.load(ACCOUNT) == won[0]


def test_of_parallel_first_saves_one_wins(ledgers: Ledgers) -> None:
    won = race_to_write(lambda number: ledgers.save(Ledger(account=ACCOUNT).quieted(NOW + number * SECOND)))

    assert [ledgers.load(ACCOUNT)] == won


def test_parallel_writers_lose_no_update_and_leave_no_gap_between_versions(ledgers: Ledgers) -> None:
    def add(number: int) -> int:
        def attempt() -> int:
            ledger = ledgers.load(ACCOUNT)
            wanted = intent(symbol=AAPL if number % 2 else TSLA, origin=CycleId(f"cycle-{number}"))
            return ledgers.save(ledger.with_entry_sent(wanted, NOW)).version

        return until_written(attempt)

    versions = race(add)

    assert sorted(versions) == list(range(1, WRITERS + 1))
    assert sum(len(sent) for sent in ledgers.load(ACCOUNT).entries_sent.values()) == WRITERS


def test_intent_that_was_never_archived_is_none(ledgers: Ledgers) -> None:
    assert ledgers.closed(CLOSED.id) is None


def test_archived_intent_reads_back_as_it_was(ledgers: Ledgers) -> None:
    ledgers.archive(CLOSED)

    assert ledgers.closed(CLOSED.id) == CLOSED


def test_archiving_again_changes_nothing(ledgers: Ledgers) -> None:
    ledgers.archive(CLOSED)
    ledgers.archive(CLOSED)
    ledgers.archive(replace(CLOSED, note="told otherwise"))

    assert ledgers.closed(CLOSED.id) == CLOSED


def test_of_parallel_archivings_the_first_stands(ledgers: Ledgers) -> None:
    def archive(number: int) -> Intent | None:
        ledgers.archive(replace(CLOSED, note=str(number)))
        return ledgers.closed(CLOSED.id)

    assert len({seen.note for seen in race(archive) if seen is not None}) == 1
