"""The same calls on the Book in memory and on the Book in DynamoDB get the same answers, whatever the calls are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from shared.adapters.aws.book import (
    DynamoAlertOutbox,
    DynamoBrokerRecords,
    DynamoCooldowns,
    DynamoLeases,
    DynamoLedgers,
    DynamoPositions,
)
from shared.adapters.aws.journal import DynamoJournal
from shared.adapters.aws.prices import DynamoPriceStore
from shared.adapters.memory.book import (
    MemoryAlertOutbox,
    MemoryBrokerRecords,
    MemoryCooldowns,
    MemoryLeases,
    MemoryLedgers,
    MemoryPositions,
)
from shared.adapters.memory.journal import MemoryJournal
from shared.adapters.memory.prices import MemoryPriceStore
from shared.domain.alerts import Alert, AlertKind, AlertRules, Channel, Delivery, DeliveryState, Severity, open_incident
from shared.domain.assets import Symbol
from shared.domain.errors import HearthwatchError
from shared.domain.intents import AccountId, CycleId, Reason
from shared.domain.journal import Fact, next_link
from shared.domain.ledger import Ledger
from shared.domain.reconciliation import BrokerFacts
from shared.domain.times import Tick
from shared.ports.book import AlertOutbox, BrokerRecords, Cooldowns, Leases, Ledgers, Positions
from shared.ports.journal import JournalStore
from shared.ports.prices import PriceStore
from tests.contract.conftest import NewTable
from tests.unit.builders import ACCOUNT, MINUTE, NOW, holding, intent, judged

SENT = Delivery(state=DeliveryState.SENT, tries=1, sent_at=NOW)

accounts = st.sampled_from([ACCOUNT, AccountId("PA3BETA")])
symbols = st.sampled_from([Symbol("TSLA"), Symbol("AAPL")])
minutes = st.integers(0, 5)
amounts = st.decimals(1, 1000, places=9)
behind = st.sampled_from([0, 0, 0, 0, 1, -1])
"""How far the version that a writer holds lies behind the stored one; mostly it is the stored one."""


class Books:
    """The stores of one kind."""

    def __init__(self, *stores: object) -> None:
        self.ledgers: Ledgers
        self.positions: Positions
        self.records: BrokerRecords
        self.outbox: AlertOutbox
        self.cooldowns: Cooldowns
        self.leases: Leases
        self.journal: JournalStore
        self.prices: PriceStore
        names = ("ledgers", "positions", "records", "outbox", "cooldowns", "leases", "journal", "prices")
        for name, store in zip(names, stores, strict=True):
            setattr(self, name, store)


def in_memory() -> Books:
    return Books(
        MemoryLedgers(),
        MemoryPositions(),
        MemoryBrokerRecords(),
        MemoryAlertOutbox(),
        MemoryCooldowns(),
        MemoryLeases(),
        MemoryJournal(),
        MemoryPriceStore(),
    )


def in_dynamodb(new_table: NewTable) -> Books:
    book, journal, prices = new_table(), new_table(), new_table()
    return Books(
        DynamoLedgers(book, journal),
        DynamoPositions(book),
        DynamoBrokerRecords(book),
        DynamoAlertOutbox(book),
        DynamoCooldowns(book),
        DynamoLeases(book),
        DynamoJournal(journal),
        DynamoPriceStore(prices),
    )


def at(minute: int) -> datetime:
    return NOW + minute * MINUTE


class SameBook(RuleBasedStateMachine):
    """Calls both and compares, answers and errors alike."""

    def __init__(self, new_table: NewTable) -> None:
        super().__init__()
        self.memory = in_memory()
        self.dynamodb = in_dynamodb(new_table)

    def both(self, call: Callable[[Books], Any]) -> Any:
        """Make a call on both; give the common answer."""
        expected, found = (_outcome(call, books) for books in (self.memory, self.dynamodb))
        assert found == expected
        return found

    @rule(account=accounts, minute=minutes, stale=behind)
    def save_ledger(self, account: AccountId, minute: int, stale: int) -> None:
        known = self.both(lambda books: books.ledgers.load(account))
        ledger = replace(known, quiet_until=at(minute), version=max(known.version - stale, 0))
        self.both(lambda books: books.ledgers.save(ledger))
        self.both(lambda books: books.ledgers.load(account))

    @rule(account=accounts, symbol=symbols, minute=minutes)
    def send_entry(self, account: AccountId, symbol: Symbol, minute: int) -> None:
        wanted = intent(symbol=symbol, origin=CycleId(f"cycle-{minute}"))

        def save(books: Books) -> Ledger:
            return books.ledgers.save(books.ledgers.load(account).with_entry_sent(wanted, at(minute)))

        self.both(save)

    @rule(minute=minutes, amount=amounts)
    def archive(self, minute: int, amount: Decimal) -> None:
        closed = intent(str(amount), reason=Reason.STOP_LOSS, origin=CycleId(f"lot-{minute}"))
        self.both(lambda books: books.ledgers.archive(closed))
        self.both(lambda books: books.ledgers.closed(closed.id))

    @rule(symbol=symbols, amount=amounts, stale=behind)
    def put_position(self, symbol: Symbol, amount: Decimal, stale: int) -> None:
        version = max(self._version_of(symbol) - stale, 0)
        position = replace(holding(), symbol=symbol, quantity=amount, version=version)
        self.both(lambda books: books.positions.put(position))
        self._version_of(symbol)

    @rule(symbol=symbols, stale=behind)
    def remove_position(self, symbol: Symbol, stale: int) -> None:
        version = max(self._version_of(symbol) - stale, 0)
        self.both(lambda books: books.positions.remove(replace(holding(), symbol=symbol, version=version)))
        self._version_of(symbol)

    def _version_of(self, symbol: Symbol) -> int:
        held = self.both(lambda books: sorted(books.positions.all(), key=lambda position: position.symbol))
        return next((position.version for position in held if position.symbol == symbol), 0)

    @rule(amount=amounts, version=minutes)
    def put_facts(self, amount: Decimal, version: int) -> None:
        facts = BrokerFacts(at=NOW, cash=amount, equity=amount, quantities={}, version=version)
        self.both(lambda books: books.records.put(facts))
        self.both(lambda books: books.records.last())

    @rule(symbol=symbols, minute=minutes, severity=st.sampled_from(Severity), occurrence=st.sampled_from("abc"))
    def open_incident(self, symbol: Symbol, minute: int, severity: Severity, occurrence: str) -> None:
        alert = Alert(
            kind=AlertKind.PRICE_DISPUTED,
            severity=severity,
            subject=symbol,
            at=at(minute),
            text="disputed",
            occurrence=occurrence,
        )
        self.both(lambda books: books.outbox.put(open_incident(alert, AlertRules())))
        self._look_at(alert.incident_key)

    @rule(symbol=symbols, which=minutes, stale=behind, settle=st.booleans())
    def change_incident(self, symbol: Symbol, which: int, stale: int, settle: bool) -> None:
        known = self._look_at(f"{AlertKind.PRICE_DISPUTED}|{symbol}")
        if not known:
            return
        chosen = known[which % len(known)]
        deliveries = dict.fromkeys(chosen.deliveries, SENT if settle else Delivery())
        changed = replace(chosen, deliveries=deliveries, version=max(chosen.version - stale, 0))
        self.both(lambda books: books.outbox.put(changed))
        self._look_at(chosen.alert.incident_key)

    def _look_at(self, incident_key: str) -> Any:
        """Compare what the outbox gives; incidents of one moment may come in any order."""
        for books in (self.memory, self.dynamodb):
            opened = [incident.opened_at for incident in books.outbox.unsettled()]
            assert opened == sorted(opened)
        self.both(lambda books: {incident.key: incident for incident in books.outbox.unsettled()})
        return self.both(lambda books: list(books.outbox.open_incidents(incident_key))[-5:])

    @rule(channel=st.sampled_from(Channel), minute=minutes)
    def disable(self, channel: Channel, minute: int) -> None:
        self.both(lambda books: books.outbox.disable(channel, at(minute)))
        self.both(lambda books: books.outbox.disabled_until(channel))

    @rule(key=st.sampled_from("ab"), minute=minutes, until=minutes)
    def start_cooldown(self, key: str, minute: int, until: int) -> None:
        self.both(lambda books: books.cooldowns.start(key, at(minute), at(until)))

    @rule(key=st.sampled_from("ab"), until=minutes)
    def extend_cooldown(self, key: str, until: int) -> None:
        self.both(lambda books: books.cooldowns.extend(key, at(until)))

    @rule(name=st.sampled_from("ab"), owner=st.sampled_from("xyz"), minute=minutes, until=minutes)
    def acquire(self, name: str, owner: str, minute: int, until: int) -> None:
        self.both(lambda books: books.leases.acquire(name, owner, at(minute), at(until)))

    @rule(name=st.sampled_from("ab"), owner=st.sampled_from("xyz"))
    def release(self, name: str, owner: str) -> None:
        self.both(lambda books: books.leases.release(name, owner))

    @rule(text=st.sampled_from("abc"), again=st.booleans())
    def journal(self, text: str, again: bool) -> None:
        head = self.both(lambda books: books.journal.head(NOW.date()))
        link = next_link(head, Fact(kind="told", at=NOW, fields={"text": text}))
        self.both(lambda books: books.journal.put(head if again and head else link))

    @rule(minute=minutes, symbol=symbols, amount=amounts, since=minutes, before=minutes)
    def price(self, minute: int, symbol: Symbol, amount: Decimal, since: int, before: int) -> None:
        quotes = {symbol: judged(str(amount))._replace(symbol=symbol)}
        self.both(lambda books: books.prices.put_minute(Tick(scheduled=at(minute)), quotes))
        self.both(lambda books: books.prices.latest())
        self.both(lambda books: list(books.prices.window(at(since), at(before))))


def test_same_calls_get_the_same_answers(new_table: NewTable) -> None:
    class OnFreshTables(SameBook):
        def __init__(self) -> None:
            super().__init__(new_table)

    run_state_machine_as_test(
        OnFreshTables,
        settings=settings(
            max_examples=12, stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow], deadline=None
        ),
    )


def _outcome(call: Callable[[Books], Any], books: Books) -> Any:
    try:
        return call(books)
    except HearthwatchError as error:
        return type(error)
