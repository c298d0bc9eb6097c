"""Everything in memory on a simulated clock: what replay and simulation run on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from shared.adapters.memory.archive import MemoryPriceArchive
from shared.adapters.memory.book import (
    MemoryAlertOutbox,
    MemoryBrokerRecords,
    MemoryControls,
    MemoryCooldowns,
    MemoryLeases,
    MemoryLedgers,
    MemoryPositions,
    MemoryWatchlist,
)
from shared.adapters.memory.broker import MemoryBroker
from shared.adapters.memory.budget import (
    MemoryBudgets,
    MemoryCharges,
    MemoryChoices,
    MemoryKnownAnswers,
    MemoryWorkCharges,
)
from shared.adapters.memory.clock import SimulatedClock
from shared.adapters.memory.confirmations import MemoryConfirmations
from shared.adapters.memory.corporate_actions import KnownActions
from shared.adapters.memory.credentials import MemoryCredentials
from shared.adapters.memory.day_plans import MemoryDayPlans
from shared.adapters.memory.journal import MemoryJournal
from shared.adapters.memory.matching import Exchange
from shared.adapters.memory.messages import (
    MemoryChannel,
    MemoryDeadLetters,
    MemoryDoorbell,
    MemoryMetrics,
    MemoryQueue,
)
from shared.adapters.memory.pending_batches import MemoryPendingBatches
from shared.adapters.memory.prices import MemoryPriceStore, NoPrices
from shared.adapters.memory.volatility import BarVolatility
from shared.bootstrap.wiring import GivenPorts
from shared.domain.alerts import Alert, Channel
from shared.domain.assets import Symbol
from shared.domain.intents import AccountId
from shared.domain.moves import Move
from shared.domain.positions import Position
from shared.ports.broker import CorporateActions, ExchangeCalendar
from shared.ports.models import Batches, Model, Pause
from shared.ports.prices import PriceSource, VolatilityHistory, VolatilitySource

OFFLINE_ACCOUNT = AccountId("offline")


class OfflineVolatility(VolatilitySource, VolatilityHistory, Protocol):
    """Volatility of one symbol within a tick, and of all before the open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineSources:
    """What a day's plan is made from offline: the same adapters that the use cases ask."""

    calendar: ExchangeCalendar
    actions: CorporateActions
    history: VolatilityHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineWorld:
    """The memory adapters of one run, by their own types, so that a driver can look inside."""

    clock: SimulatedClock
    calendar: ExchangeCalendar
    exchange: Exchange
    primary: PriceSource
    backup: PriceSource
    actions: CorporateActions
    volatility: OfflineVolatility
    watchlist: MemoryWatchlist
    positions: MemoryPositions
    doorbell: MemoryDoorbell
    channels: Mapping[Channel, MemoryChannel]
    prices: MemoryPriceStore
    ledgers: MemoryLedgers = field(default_factory=MemoryLedgers)
    records: MemoryBrokerRecords = field(default_factory=MemoryBrokerRecords)
    controls: MemoryControls = field(default_factory=MemoryControls)
    cooldowns: MemoryCooldowns = field(default_factory=MemoryCooldowns)
    leases: MemoryLeases = field(default_factory=MemoryLeases)
    outbox: MemoryAlertOutbox = field(default_factory=MemoryAlertOutbox)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    alerts: MemoryQueue[Alert] = field(default_factory=MemoryQueue)
    cycles: MemoryQueue[Move] = field(default_factory=MemoryQueue)
    dead_letters: MemoryDeadLetters = field(default_factory=MemoryDeadLetters)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    plans: MemoryDayPlans = field(default_factory=MemoryDayPlans)
    archive: MemoryPriceArchive = field(default_factory=MemoryPriceArchive)
    credentials: MemoryCredentials = field(default_factory=MemoryCredentials)
    confirmations: MemoryConfirmations = field(default_factory=MemoryConfirmations)
    budgets: MemoryBudgets = field(default_factory=MemoryBudgets)
    charges: MemoryCharges = field(default_factory=MemoryCharges)
    work_charges: MemoryWorkCharges = field(default_factory=MemoryWorkCharges)
    known_answers: MemoryKnownAnswers = field(default_factory=MemoryKnownAnswers)
    pending_batches: MemoryPendingBatches = field(default_factory=MemoryPendingBatches)
    choices: MemoryChoices = field(default_factory=MemoryChoices)
    models: Mapping[str, Model] = field(default_factory=dict)
    """Nobody is asked unless somebody gives a model."""
    batches: Mapping[str, Batches] = field(default_factory=dict)

    def ports(self) -> GivenPorts:
        """Give the adapters as the ports the use cases know."""
        return GivenPorts(
            clock=self.clock,
            calendar=self.calendar,
            primary=self.primary,
            backup=self.backup,
            actions=self.actions,
            volatility=self.volatility,
            prices=self.prices,
            broker=MemoryBroker(self.exchange, self.clock),
            watchlist=self.watchlist,
            positions=self.positions,
            ledgers=self.ledgers,
            records=self.records,
            controls=self.controls,
            cooldowns=self.cooldowns,
            leases=self.leases,
            outbox=self.outbox,
            journal=self.journal,
            alerts=self.alerts,
            cycles=self.cycles,
            doorbell=self.doorbell,
            channels=self.channels,
            dead_letters=self.dead_letters,
            metrics=self.metrics,
            plans=self.plans,
            sources=OfflineSources(calendar=self.calendar, actions=self.actions, history=self.volatility),
            archive=self.archive,
            credentials=self.credentials,
            confirmations=self.confirmations,
            budgets=self.budgets,
            charges=self.charges,
            work_charges=self.work_charges,
            known_answers=self.known_answers,
            pending_batches=self.pending_batches,
            choices=self.choices,
            models=self.models,
            batches=self.batches,
            pause=self.pause,
        )

    @property
    def pause(self) -> Pause:
        """Wait the least, on the simulated clock."""
        return lambda least, most: self.clock.advance(least)


def offline_world(
    *,
    start: datetime,
    calendar: ExchangeCalendar,
    cash: Decimal,
    positions: Sequence[Position],
    watched: Sequence[Symbol],
    primary: PriceSource,
    backup: PriceSource | None = None,
    actions: KnownActions | None = None,
    volatility: OfflineVolatility | None = None,
    prices: MemoryPriceStore | None = None,
) -> OfflineWorld:
    """Build a world in memory whose book and broker agree on the cash and the positions held at the start."""
    clock = SimulatedClock(start)
    exchange = Exchange(OFFLINE_ACCOUNT, cash, calendar)
    for symbol in watched:
        exchange.list_symbol(symbol)
    for position in positions:
        exchange.seed_position(position.symbol, position.quantity, position.average_entry_price)
    return OfflineWorld(
        clock=clock,
        calendar=calendar,
        exchange=exchange,
        primary=primary,
        backup=backup or NoPrices(),
        actions=actions or KnownActions(),
        volatility=volatility or BarVolatility({}, timedelta(minutes=1)),
        prices=prices or MemoryPriceStore(),
        watchlist=MemoryWatchlist(watched),
        positions=MemoryPositions(positions),
        doorbell=MemoryDoorbell(clock),
        channels={channel: MemoryChannel(channel, clock) for channel in Channel},
    )
