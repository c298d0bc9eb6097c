"""One cell of the matrix: the story is played under the fault, and what happened is written down from outside.

Outside means: the exchange's own fills, what arrived on the channels, and the tables as their owner reads them. Nothing
is taken from what a function says of itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from hearthwatch.chaos.askers import Spending
from hearthwatch.chaos.matrix import Row
from hearthwatch.chaos.stage import Stage
from hearthwatch.chaos.story import FALLING, FIRST_TICK, Column, tick_of
from local_stack.cloud.template import Template
from local_stack.run.stored import StoredFacts
from shared.adapters.memory.matching import Fill
from shared.domain.alerts import AlertKind, Channel, Incident
from shared.domain.assets import Symbol
from shared.domain.coverage import Coverage
from shared.domain.intents import AT_BROKER, Intent, OrderType
from shared.domain.messages import template_of
from shared.domain.orders import Order
from shared.ports.broker import ExchangeCalendar

REST: Final = 3
"""Ticks after the fault's end by which everything is at rest (invariant 10)."""
QUEUE_RETURNS: Final = 8
"""Ticks after which a queue has shown a message again that its function failed on."""
SALE: Final = (AlertKind.STOP_TRIGGERED, AlertKind.ORDER_FILLED)
"""The alerts that tell of a sale."""


class Arrived(NamedTuple):
    """A message that a channel took, and the tick in whose minute it was first seen there."""

    tick: int
    channel: Channel
    title: str


@dataclass(slots=True, kw_only=True)
class Evidence:
    """What one cell left behind.

    `coverage` is what was published in each tick; one without an entry published none. `strikes` counts how often each
    fault struck; `rested` is the tick after the fault's end at which everything was at rest, None when that never came;
    `unrest` is what was still on its way after the last of those ticks, `waiting` the alerts in the queue and its dead
    letters.
    """

    row: Row
    column: Column
    fills: Sequence[Fill] = ()
    orders: Sequence[Order] = ()
    intents: Sequence[Intent] = ()
    incidents: Sequence[Incident] = ()
    arrived: list[Arrived] = field(default_factory=list)
    left: Mapping[Symbol, Decimal] = field(default_factory=dict)
    booked: Mapping[Symbol, Decimal] = field(default_factory=dict)
    coverage: dict[int, Coverage] = field(default_factory=dict)
    last_tick: int = FIRST_TICK
    rested: int | None = None
    unrest: Sequence[str] = ()
    waiting: Sequence[str] = ()
    strikes: Sequence[int] = ()
    problems: Sequence[str] = ()
    spending: Spending | None = None

    def told(self, symbol: Symbol) -> Mapping[Channel, int]:
        """Give the channels on which a sale of the symbol was told, each with the tick of its first message."""
        titles = tuple(f"{template_of(kind).title}: {symbol}" for kind in SALE)
        seen: dict[Channel, int] = {}
        for message in self.arrived:
            if message.title.endswith(titles):
                seen.setdefault(message.channel, message.tick)
        return seen


def play(row: Row, column: Column, template: Template, calendar: ExchangeCalendar) -> Evidence:
    """Play one cell from the calm before the fault to the rest after it."""
    evidence = Evidence(row=row, column=column)
    with Stage(column, template, calendar) as stage:
        stage.prepare()
        for tick in range(FIRST_TICK, row.begins):
            _step(stage, tick, evidence)
        strikes = [fault.begin(stage) for fault in row.faults]
        for tick in range(row.begins, row.ends + 1):
            _step(stage, tick, evidence)
        evidence.strikes = [count() for count in strikes]
        stage.calm()
        for tick in range(row.ends + 1, row.ends + REST + 1):
            _step(stage, tick, evidence)
            evidence.unrest = unrest(stage)
            if not evidence.unrest:
                evidence.rested = tick - row.ends
                break
        _wait_for_the_queue(stage, evidence)
        _collect(stage, evidence)
    return evidence


def unrest(stage: Stage) -> list[str]:
    """Name what is still on its way: intents, messages, and positions that should be gone."""
    ledger = stage.owner.ledgers.load(stage.owner.account)
    falling = {holding.symbol for holding in FALLING}
    moving = [
        intent
        for intent in (*ledger.open.values(), *ledger.finished.values())
        if intent.order_type is not OrderType.STOP or intent.state not in AT_BROKER or intent.symbol in falling
    ]
    return [
        *(f"the intent to {i.side} {i.quantity} {i.symbol} ({i.order_type}) is {i.state}" for i in moving),
        *(f"the message {i.alert.kind} is not settled" for i in stage.owner.outbox.unsettled() if not i.is_settled),
        *(
            f"{p.quantity} {p.symbol} are still held"
            for p in stage.exchange.exchange.positions()
            if p.symbol in falling
        ),
        *(f"the Book still holds {p.symbol}" for p in stage.owner.positions.all() if p.symbol in falling),
    ]


def _step(stage: Stage, tick: int, evidence: Evidence) -> None:
    stage.play(tick)
    evidence.last_tick = tick
    published = stage.owner.controls.coverage()
    if published is not None and tick_of(published.at) == tick:
        evidence.coverage[tick] = published.coverage
    known = len([message for message in evidence.arrived if message.channel is Channel.DISCORD])
    titles = [str(message.embeds[0].get("title", "")) for message in stage.channels.sink.messages if message.embeds]
    evidence.arrived += [Arrived(tick, Channel.DISCORD, title) for title in titles[known:]]
    known = len([message for message in evidence.arrived if message.channel is Channel.EMAIL])
    subjects = [str(mail.subject) for mail in stage.cloud.sent_mail()]
    evidence.arrived += [Arrived(tick, Channel.EMAIL, subject) for subject in subjects[known:]]


def _wait_for_the_queue(stage: Stage, evidence: Evidence) -> None:
    """Play on while a sale is untold and its message may still come back to the queue's function."""
    first = evidence.last_tick + 1
    for tick in range(first, first + QUEUE_RETURNS):
        if all(evidence.told(holding.symbol) for holding in FALLING) or not stage.waiting_alerts():
            return
        _step(stage, tick, evidence)


def _collect(stage: Stage, evidence: Evidence) -> None:
    exchange, owner, physical = stage.exchange.exchange, stage.owner, stage.cloud.physical
    facts = StoredFacts(
        stage.aws, book=physical("BookTable"), journal=physical("JournalTable"), cycles=physical("CyclesQueue")
    )
    evidence.fills, evidence.orders = tuple(exchange.fills), tuple(exchange.orders())
    evidence.intents = facts.intents(owner.ledgers.load(owner.account))
    evidence.incidents = facts.incidents()
    evidence.left = {position.symbol: position.quantity for position in exchange.positions()}
    evidence.booked = {position.symbol: position.quantity for position in owner.positions.all()}
    evidence.waiting = stage.waiting_alerts()
    evidence.problems = tuple(stage.problems)
    evidence.spending = stage.spending
