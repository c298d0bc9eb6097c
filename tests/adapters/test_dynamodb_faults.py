"""Tables under faults: answers lost, held back, refused and broken, and items that this version must not touch.

The client is the one of the program, with its own tries, but for its patience: short where an answer never comes, long
where one does, however slow the machine.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from botocore.retries.standard import ExponentialBackoff

from shared.adapters.aws.book import (
    DynamoAlertOutbox,
    DynamoBrokerRecords,
    DynamoControls,
    DynamoCooldowns,
    DynamoLeases,
    DynamoLedgers,
    DynamoPositions,
    DynamoWatchlist,
)
from shared.adapters.aws.clients import TRIES, Aws
from shared.adapters.aws.journal import DynamoJournal
from shared.adapters.aws.prices import DynamoPriceStore
from shared.adapters.aws.stored_items import StoredItems
from shared.adapters.aws.table import ITEM_LIMIT, Key, Table
from shared.contracts.stored import NewerSchema, StoredForm, Unreadable
from shared.domain.alerts import Alert, AlertKind, AlertRules, Channel, Severity, open_incident
from shared.domain.errors import Conflict, InvalidValue, Throttled, TryAgain, Unavailable
from shared.domain.intents import Reason
from shared.domain.journal import Fact, Link, next_link
from shared.domain.ledger import Ledger
from shared.domain.reconciliation import BrokerFacts
from shared.domain.times import Tick
from shared.domain.trading_state import UNREADABLE_KILL_SWITCH, KillSwitch, SwitchMode, trading_state
from shared.use_cases.check_risk import read_kill_switch
from tests.fakes.aws import local_session, make_table
from tests.fakes.aws_proxy import (
    AwsProxy,
    Step,
    deny,
    fail,
    hang,
    hold_answer,
    lose_answer,
    lose_answer_then,
    pass_on,
    reset,
    reset_in_body,
    throttle,
)
from tests.fakes.far_tables import Tables
from tests.unit.builders import ACCOUNT, LOT, MINUTE, NOW, SECOND, TODAY, TSLA, began_with, holding, intent, judged

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LOST = [lose_answer, reset_in_body]
DOWN = [fail, reset]


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    return local_session()


ClientOf = Callable[[float], "DynamoDBClient"]


@pytest.fixture
def client_of(session: boto3.Session, aws: Aws, proxy: AwsProxy) -> ClientOf:
    """Make a client of some patience in seconds; a fresh one, because a client that failed often repeats no more."""

    def make(patience: float) -> DynamoDBClient:
        config = aws.dynamodb.meta.config.merge(Config(read_timeout=patience))
        return session.client("dynamodb", config=config, endpoint_url=proxy.url)

    return make


@pytest.fixture
def impatient(client_of: ClientOf) -> DynamoDBClient:
    return client_of(0.1)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat without the pause that the client makes."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.001)


@pytest.fixture
def tables(aws: Aws, proxy: AwsProxy, client_of: ClientOf) -> Iterator[Tables]:
    name = make_table(aws, f"table-{uuid4().hex}")
    proxy.play()
    yield Tables(proxy, Table(client_of(30), name), Table(aws.dynamodb, name), aws)
    aws.dynamodb.delete_table(TableName=name)


def ledgers(table: Table) -> DynamoLedgers:
    return DynamoLedgers(table, table)


def link() -> Link:
    return next_link(None, Fact(kind="told", at=NOW, fields={}))


def incident_alert() -> Alert:
    return Alert(
        kind=AlertKind.ORDER_FILLED, severity=Severity.INFO, subject="TSLA", at=NOW, text="filled", occurrence="once"
    )


FACTS = BrokerFacts(at=NOW, cash=Decimal("12.345"), equity=Decimal(1), quantities={})
CLOSED = intent("7", reason=Reason.STOP_LOSS, origin=LOT)
TICK = Tick(scheduled=NOW)


INCIDENT = open_incident(incident_alert(), AlertRules())
WRITES: dict[str, Callable[[Table], object]] = {
    "ledger": lambda table: ledgers(table).save(Ledger(account=ACCOUNT)),
    "closed intent": lambda table: ledgers(table).archive(CLOSED),
    "position": lambda table: DynamoPositions(table).put(holding()),
    "broker facts": lambda table: DynamoBrokerRecords(table).put(FACTS),
    "kill switch": lambda table: DynamoControls(table).set_kill_switch(KillSwitch(mode=SwitchMode.KILL)),
    "trading state": lambda table: DynamoControls(table).publish_trading_state(trading_state([])),
    "losses": lambda table: DynamoControls(table).put_losses(began_with(Decimal(1))),
    "watchlist": lambda table: DynamoWatchlist(table, []).put([TSLA]),
    "cooldown": lambda table: DynamoCooldowns(table).start("move", NOW, NOW + MINUTE),
    "longer cooldown": lambda table: DynamoCooldowns(table).extend("move", NOW + 2 * MINUTE),
    "lease": lambda table: DynamoLeases(table).acquire("executor", "me", NOW, NOW + MINUTE),
    "incident": lambda table: DynamoAlertOutbox(table).put(INCIDENT),
    "disabled channel": lambda table: DynamoAlertOutbox(table).disable(Channel.EMAIL, NOW),
    "minute": lambda table: DynamoPriceStore(table).put_minute(TICK, {TSLA: judged()}),
    "link": lambda table: DynamoJournal(table).put(link()),
}
"""Every first write there is."""
DONE: dict[str, object] = {
    "ledger": Ledger(account=ACCOUNT, version=1),
    "position": replace(holding(), version=1),
    "broker facts": replace(FACTS, version=1),
    "losses": replace(began_with(Decimal(1)), version=1),
    "cooldown": True,
    "lease": True,
    "incident": replace(INCIDENT, version=1),
    "minute": True,
    "link": True,
}
"""What those writes say when they were done; the others say nothing."""
READS: dict[str, Callable[[Table], object]] = {
    "ledger": lambda table: ledgers(table).load(ACCOUNT),
    "closed intent": lambda table: ledgers(table).closed(CLOSED.id),
    "position": lambda table: DynamoPositions(table).all(),
    "broker facts": lambda table: DynamoBrokerRecords(table).last(),
    "kill switch": lambda table: DynamoControls(table).kill_switch(),
    "trading state": lambda table: DynamoControls(table).trading_state(),
    "losses": lambda table: DynamoControls(table).losses(),
    "watchlist": lambda table: DynamoWatchlist(table, []).symbols(),
    "incident": lambda table: DynamoAlertOutbox(table).open_incidents(incident_alert().incident_key),
    "disabled channel": lambda table: DynamoAlertOutbox(table).disabled_until(Channel.EMAIL),
    "minute": lambda table: DynamoPriceStore(table).latest(),
    "link": lambda table: DynamoJournal(table).head(TODAY),
}
"""The read that goes with each write that can be read."""


# lost answers


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("what", sorted(WRITES))
def test_write_whose_answer_is_lost_happens_once_and_is_known_to_have(tables: Tables, what: str, lost: Step) -> None:
    tables.proxy.play(lost)

    assert WRITES[what](tables.far) == DONE.get(what)

    extra = 1 if what == "minute" else 0
    assert tables.proxy.arrived == ["PutItem"] * (2 + extra)
    assert len(tables.raw()) == 1 + extra
    assert all(item.get("version", {"N": "1"}) == {"N": "1"} for item in tables.raw())


@pytest.mark.parametrize("lost", LOST)
def test_later_version_whose_answer_is_lost_counts_once(tables: Tables, lost: Step) -> None:
    first = ledgers(tables.near).save(Ledger(account=ACCOUNT))
    tables.proxy.play(lost, lost)

    second = ledgers(tables.far).save(first.quieted(NOW))

    assert (second.version, ledgers(tables.near).load(ACCOUNT)) == (2, second)


@pytest.mark.parametrize("lost", LOST)
def test_removal_whose_answer_is_lost_is_a_removal(tables: Tables, lost: Step) -> None:
    stored = DynamoPositions(tables.near).put(holding())
    tables.proxy.play(lost)

    DynamoPositions(tables.far).remove(stored)

    assert tables.proxy.arrived == ["DeleteItem"] * 2
    assert tables.raw() == []


def test_release_whose_answer_is_lost_leaves_the_next_owner_alone(tables: Tables) -> None:
    near, far = DynamoLeases(tables.near), DynamoLeases(tables.far)
    near.acquire("executor", "me", NOW, NOW + MINUTE)
    tables.proxy.play(lose_answer_then(lambda: near.acquire("executor", "other", NOW, NOW + MINUTE)))

    far.release("executor", "me")

    assert not near.acquire("executor", "third", NOW, NOW + MINUTE)


def test_lost_answer_and_another_write_on_top_leave_the_outcome_unknown_instead_of_calling_it_a_conflict(
    tables: Tables,
) -> None:
    near, far = ledgers(tables.near), ledgers(tables.far)

    def overwrite() -> None:
        near.save(near.load(ACCOUNT).quieted(NOW + SECOND))

    tables.proxy.play(lose_answer_then(overwrite))

    with pytest.raises(Unavailable, match="is unknown"):
        far.save(Ledger(account=ACCOUNT).quieted(NOW))
    assert near.load(ACCOUNT) == replace(Ledger(account=ACCOUNT).quieted(NOW + SECOND), version=2)


def test_lost_removal_and_a_new_position_on_top_leave_the_outcome_unknown(tables: Tables) -> None:
    near, far = DynamoPositions(tables.near), DynamoPositions(tables.far)
    first = near.put(holding())
    second = near.put(first)

    tables.proxy.play(lose_answer_then(lambda: near.put(holding("3"))))

    with pytest.raises(Unavailable, match="is unknown"):
        far.remove(second)
    assert [position.quantity for position in near.all()] == [Decimal(3)]


def test_when_every_answer_is_lost_the_write_may_stand_and_a_read_tells(tables: Tables) -> None:
    tables.proxy.play(*[lose_answer] * TRIES)

    with pytest.raises(Unavailable):
        ledgers(tables.far).save(Ledger(account=ACCOUNT).quieted(NOW))

    assert ledgers(tables.far).load(ACCOUNT).quiet_until == NOW
    assert ledgers(tables.far).load(ACCOUNT).version == 1
    with pytest.raises(Conflict):
        ledgers(tables.far).save(Ledger(account=ACCOUNT).quieted(NOW))


def test_write_whose_answer_is_held_back_happens_once(tables: Tables, impatient: DynamoDBClient) -> None:
    tables.proxy.play(*[hold_answer] * TRIES)

    with pytest.raises(
        Unavailable, match=rf"^{tables.far.name}: PutItem: no usable answer from AWS \(ReadTimeoutError\)"
    ):
        DynamoBrokerRecords(Table(impatient, tables.far.name)).put(FACTS)

    assert DynamoBrokerRecords(tables.near).last() == replace(FACTS, version=1)


def test_versions_have_no_gap_whatever_the_network_does(tables: Tables) -> None:
    random = Random(11)
    far, ledger = ledgers(tables.far), Ledger(account=ACCOUNT)
    for number in range(60):
        troubles = random.choices([lose_answer, reset_in_body, throttle, fail, reset], k=random.randrange(TRIES))
        tables.proxy.play(*troubles)
        ledger = far.save(ledger.quieted(NOW + number * SECOND))
        assert len(tables.proxy.arrived) == len(troubles) + 1

    assert ledger.version == 60
    assert far.load(ACCOUNT) == ledger


# reads and refusals


@pytest.mark.parametrize("trouble", [*DOWN, *LOST, throttle])
@pytest.mark.parametrize("what", ["ledger", "position"])
def test_read_is_repeated(tables: Tables, what: str, trouble: Step) -> None:
    WRITES[what](tables.near)
    tables.proxy.play(trouble, trouble)

    assert READS[what](tables.far) == READS[what](tables.near)
    assert len(tables.proxy.arrived) == TRIES


@pytest.mark.parametrize("what", sorted(READS))
def test_read_is_consistent(tables: Tables, what: str) -> None:
    READS[what](tables.far)

    assert [json.loads(body)["ConsistentRead"] for body in tables.proxy.bodies] == [True]


@pytest.mark.parametrize("what", sorted(WRITES))
def test_throttled_beyond_the_tries_writes_nothing_and_says_when_to_come_back(tables: Tables, what: str) -> None:
    tables.proxy.play(*[throttle] * TRIES)

    with pytest.raises(Throttled, match=rf"^{tables.far.name}: PutItem: .*Throughput") as caught:
        WRITES[what](tables.far)

    assert caught.value.retry_after > timedelta(0)
    assert tables.proxy.arrived == ["PutItem"] * TRIES
    assert tables.raw() == []


@pytest.mark.parametrize("what", sorted(READS))
def test_throttled_read_is_told_apart_from_nothing_stored(tables: Tables, what: str) -> None:
    tables.proxy.play(*[throttle] * TRIES)

    with pytest.raises(Throttled):
        READS[what](tables.far)


@pytest.mark.parametrize("trouble", DOWN)
def test_table_that_stays_down_is_unavailable_and_nothing_was_written(tables: Tables, trouble: Step) -> None:
    tables.proxy.play(*[trouble] * TRIES)

    with pytest.raises(Unavailable, match=rf"^{tables.far.name}: PutItem: "):
        DynamoBrokerRecords(tables.far).put(FACTS)

    assert len(tables.proxy.arrived) == TRIES
    assert tables.raw() == []


def test_silent_table_is_unavailable_after_its_tries(tables: Tables, impatient: DynamoDBClient) -> None:
    tables.proxy.play(*[hang] * TRIES)

    with pytest.raises(
        Unavailable, match=rf"^{tables.far.name}: GetItem: no usable answer from AWS \(ReadTimeoutError\)"
    ):
        DynamoBrokerRecords(Table(impatient, tables.far.name)).last()

    assert tables.proxy.arrived == ["GetItem"] * TRIES


def test_permission_refused_is_not_repeated_and_names_no_value(tables: Tables) -> None:
    tables.proxy.play(deny)

    with pytest.raises(Unavailable, match=rf"^{tables.far.name}: PutItem: AWS answered AccessDeniedException$"):
        DynamoBrokerRecords(tables.far).put(FACTS)
    assert tables.proxy.arrived == ["PutItem"]


def test_absent_table_is_unavailable(aws: Aws) -> None:
    with pytest.raises(Unavailable, match="no-such-table: GetItem: AWS answered ResourceNotFoundException"):
        ledgers(Table(aws.dynamodb, "no-such-table")).load(ACCOUNT)


def test_lost_race_is_a_conflict_after_one_try(tables: Tables) -> None:
    stored = ledgers(tables.near).save(Ledger(account=ACCOUNT))
    tables.proxy.play()

    with pytest.raises(Conflict, match="ledger/PA3ALPHA: version 0 is no longer the newest"):
        ledgers(tables.far).save(Ledger(account=ACCOUNT).quieted(NOW))

    assert tables.proxy.arrived == ["PutItem"]
    assert ledgers(tables.near).load(ACCOUNT) == stored


def test_answer_of_many_pages_is_read_to_its_end_even_when_a_page_is_lost(tables: Tables) -> None:
    journal, head = DynamoJournal(tables.near), None
    for number in range(5):
        head = next_link(head, Fact(kind="told", at=NOW, fields={"text": f"{number}" * 300_000}))
        journal.put(head)
    tables.proxy.play(pass_on, lose_answer)

    links = DynamoJournal(tables.far).links(TODAY)

    assert [each.sequence for each in links] == [1, 2, 3, 4, 5]
    assert len(tables.proxy.arrived) >= 3


# items


def test_item_beyond_what_the_table_takes_is_refused_before_it_is_sent(tables: Tables) -> None:
    big = next_link(None, Fact(kind="told", at=NOW, fields={"text": "x" * ITEM_LIMIT}))
    tables.proxy.play()

    with pytest.raises(InvalidValue, match=rf"day#2026-03-04/0000000001: '\d+ bytes' is not usable.*{ITEM_LIMIT}"):
        DynamoJournal(tables.far).put(big)
    assert tables.proxy.arrived == []


def test_item_just_below_what_the_table_takes_is_stored(tables: Tables) -> None:
    head = next_link(None, Fact(kind="told", at=NOW, fields={"text": "x" * 400_000}))

    assert DynamoJournal(tables.near).put(head)
    assert DynamoJournal(tables.near).head(TODAY) == head


@pytest.mark.parametrize("what", sorted(WRITES))
def test_item_of_a_newer_schema_is_not_overwritten(tables: Tables, what: str) -> None:
    WRITES[what](tables.near)
    tables.rewrite(schema={"N": "9"}, version={"N": "0"}, until={"N": "0"}, at={"N": "0"})
    newer = tables.raw()

    with pytest.raises(NewerSchema, match=r"its schema is 9, this version of the program knows up to \d:"):
        WRITES[what](tables.near)
    assert tables.raw() == newer


@pytest.mark.parametrize("what", sorted(READS.keys() - {"kill switch", "disabled channel"}))
def test_item_of_a_newer_schema_is_not_read(tables: Tables, what: str) -> None:
    WRITES[what](tables.near)
    tables.rewrite(schema={"N": "9"})

    with pytest.raises(NewerSchema, match=f"^{tables.near.name} .*its schema is 9"):
        READS[what](tables.near)


def test_position_of_a_newer_schema_is_not_removed(tables: Tables) -> None:
    stored = DynamoPositions(tables.near).put(holding())
    tables.rewrite(schema={"N": "9"})

    with pytest.raises(NewerSchema):
        DynamoPositions(tables.near).remove(stored)
    assert len(tables.raw()) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class OldNote:
    """A stored thing as the version before knows it."""

    text: str
    version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """The same thing, with what this version added."""

    text: str
    author: str
    version: int = 0


def test_two_versions_of_the_program_on_one_item_lose_nothing(tables: Tables) -> None:
    before = StoredItems(tables.near, StoredForm[OldNote]("note", OldNote))
    form = StoredForm[Note]("note", Note, schema=2, upgrade=lambda fields: {**fields, "author": "unknown"})
    after, place = StoredItems(tables.near, form), Key("notes", "one")

    before.save(place, OldNote(text="bought"), version=0)
    seen = after.get(place)
    assert seen == Note(text="bought", author="unknown", version=1)
    before.save(place, OldNote(text="sold"), version=1)
    with pytest.raises(Conflict):
        after.save(place, seen, version=1)

    after.save(place, Note(text="sold", author="ada"), version=2)
    acts: list[Callable[[], object]] = [
        lambda: before.get(place),
        lambda: before.save(place, OldNote(text="lost"), version=3),
        lambda: before.remove(place, version=3),
    ]
    for act in acts:
        with pytest.raises(NewerSchema, match="its schema is 2, this version of the program knows up to 1:"):
            act()
    assert after.get(place) == Note(text="sold", author="ada", version=3)


@pytest.mark.parametrize("engaged", [True, False])
def test_kill_switch_of_a_newer_schema_counts_as_set(tables: Tables, engaged: bool) -> None:
    controls = DynamoControls(tables.near)
    controls.set_kill_switch(KillSwitch(mode=SwitchMode.KILL if engaged else SwitchMode.OFF))
    tables.rewrite(schema={"N": "9"})

    assert controls.kill_switch() == UNREADABLE_KILL_SWITCH


@pytest.mark.parametrize("body", [{"S": '{"engaged":"no"}'}, {"S": "no"}, {"S": ""}, {"N": "0"}])
def test_broken_kill_switch_counts_as_set(tables: Tables, body: dict[str, str]) -> None:
    controls = DynamoControls(tables.near)
    controls.set_kill_switch(KillSwitch(mode=SwitchMode.OFF))
    tables.rewrite(body=body)

    assert read_kill_switch(controls) == UNREADABLE_KILL_SWITCH


@pytest.mark.parametrize("trouble", [throttle, fail, reset])
def test_kill_switch_that_cannot_be_had_counts_as_set(tables: Tables, trouble: Step) -> None:
    tables.proxy.play(*[trouble] * TRIES)

    assert read_kill_switch(DynamoControls(tables.far)) == UNREADABLE_KILL_SWITCH


@pytest.mark.parametrize("what", sorted(READS))
def test_broken_item_is_named_and_counts_as_one_that_cannot_be_had(tables: Tables, what: str) -> None:
    WRITES[what](tables.near)
    tables.rewrite(body={"S": "{"}, until={"S": "soon"})
    item = tables.raw()[0]
    name = f"{tables.near.name} {_text(item['pk'])}/{_text(item['sk'])}"

    with pytest.raises(Unreadable) as caught:
        READS[what](tables.near)

    assert isinstance(caught.value, TryAgain)
    assert str(caught.value).startswith(name) or what == "minute"


@pytest.mark.parametrize("missing", ["body", "schema", "version"])
def test_item_without_what_every_item_has_is_broken(tables: Tables, missing: str) -> None:
    ledgers(tables.near).save(Ledger(account=ACCOUNT))
    tables.rewrite(**{missing: {"S": "?"} if missing != "body" else {"N": "1"}})

    with pytest.raises(Unreadable, match="ledger/PA3ALPHA: body, schema or version is missing"):
        ledgers(tables.near).load(ACCOUNT)


def test_absent_item_and_broken_one_are_two_things(tables: Tables) -> None:
    assert ledgers(tables.near).load(ACCOUNT) == Ledger(account=ACCOUNT)
    assert tables.near.get(Key("ledger", ACCOUNT)) is None


def _text(attribute: object) -> str:
    assert isinstance(attribute, dict)
    return str(attribute["S"])
