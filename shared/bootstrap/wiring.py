"""The one wiring of the use cases: the same in the cloud, in replay and in simulation; only the ports differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from shared.domain.alerts import AlertRules, Channel
from shared.domain.assets import DEFAULT_ASSET_CLASSES, AssetClass
from shared.domain.gate import FractionalSupport, Limits
from shared.domain.intents import AccountId
from shared.domain.moves import MoveRule
from shared.domain.quotes import FreshnessLimits
from shared.ports.alert_channels import AlertChannel, DeadLetters
from shared.ports.book import (
    AlertOutbox,
    BrokerRecords,
    Controls,
    Cooldowns,
    Leases,
    Ledgers,
    Positions,
    Watchlist,
)
from shared.ports.broker import Broker, CorporateActions, ExchangeCalendar
from shared.ports.clock import Clock
from shared.ports.journal import JournalStore
from shared.ports.messages import AlertQueue, CycleQueue, Doorbell
from shared.ports.metrics import Metrics
from shared.ports.prices import PriceSource, PriceStore, VolatilitySource
from shared.use_cases.check_risk import CheckRisk, RiskRules
from shared.use_cases.judge_quotes import JudgeQuotes
from shared.use_cases.judge_session_now import JudgeSessionNow
from shared.use_cases.place_orders import ExecutorRules, PlaceOrders
from shared.use_cases.poll_prices import PollPrices, PollRules
from shared.use_cases.prepare_entry import PrepareEntry
from shared.use_cases.reconcile_orders import ReconcileOrders, ReconcileRules
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.route_alerts import RouteAlerts
from shared.use_cases.set_kill_switch import SetKillSwitch
from shared.use_cases.weigh_entry import WeighEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Every port the use cases need, each filled by one adapter."""

    clock: Clock
    calendar: ExchangeCalendar
    primary: PriceSource
    backup: PriceSource
    actions: CorporateActions
    volatility: VolatilitySource
    prices: PriceStore
    broker: Broker
    watchlist: Watchlist
    positions: Positions
    ledgers: Ledgers
    records: BrokerRecords
    controls: Controls
    cooldowns: Cooldowns
    leases: Leases
    outbox: AlertOutbox
    journal: JournalStore
    alerts: AlertQueue
    cycles: CycleQueue
    doorbell: Doorbell
    channels: Mapping[Channel, AlertChannel]
    dead_letters: DeadLetters
    metrics: Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Every bound the use cases work under; the defaults are the requirements' own."""

    freshness: FreshnessLimits = field(default_factory=FreshnessLimits)
    poll: PollRules = field(default_factory=PollRules)
    risk: RiskRules = field(default_factory=RiskRules)
    limits: Limits = field(default_factory=Limits)
    executor: ExecutorRules = field(default_factory=ExecutorRules)
    reconcile: ReconcileRules = field(default_factory=ReconcileRules)
    alerts: AlertRules = field(default_factory=AlertRules)
    fractional: FractionalSupport = field(default_factory=FractionalSupport)
    asset_classes: frozenset[AssetClass] = DEFAULT_ASSET_CLASSES


def rules_for(cadence: timedelta) -> Rules:
    """Stretch what follows the tick: staleness, the longest gap, and how long data or broker may go unheard."""
    minute = timedelta(minutes=1)
    if cadence <= minute:
        return Rules()
    stale_after = cadence + timedelta(seconds=30)
    return Rules(
        freshness=FreshnessLimits(stale_after=stale_after),
        poll=PollRules(
            cadence=cadence,
            move=MoveRule(),
            blind_after=max(timedelta(minutes=5), 2 * cadence),
            longest_gap=max(timedelta(minutes=3), 2 * cadence),
        ),
        risk=RiskRules(stale_after=stale_after, unsure_after=max(timedelta(minutes=11), 2 * cadence + minute)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """The wired use cases."""

    poll_prices: PollPrices
    check_risk: CheckRisk
    prepare_entry: PrepareEntry
    place_orders: PlaceOrders
    reconcile_orders: ReconcileOrders
    route_alerts: RouteAlerts
    set_kill_switch: SetKillSwitch


def wire(ports: Ports, account: AccountId, rules: Rules) -> UseCases:
    """Build every use case for one account over one set of ports."""
    p = ports
    record = RecordFact(journal=p.journal)
    judge = JudgeQuotes(clock=p.clock, primary=p.primary, backup=p.backup, actions=p.actions, limits=rules.freshness)
    session = JudgeSessionNow(clock=p.clock, calendar=p.calendar, broker=p.broker)
    weigh = WeighEntry(
        clock=p.clock,
        controls=p.controls,
        prices=p.prices,
        positions=p.positions,
        records=p.records,
        limits=rules.limits,
        rules=rules.risk,
    )
    return UseCases(
        poll_prices=PollPrices(
            account=account,
            clock=p.clock,
            calendar=p.calendar,
            judge=judge,
            prices=p.prices,
            volatility=p.volatility,
            watchlist=p.watchlist,
            positions=p.positions,
            ledgers=p.ledgers,
            cooldowns=p.cooldowns,
            cycles=p.cycles,
            alerts=p.alerts,
            metrics=p.metrics,
            record=record,
            rules=rules.poll,
        ),
        check_risk=CheckRisk(
            account=account,
            clock=p.clock,
            calendar=p.calendar,
            judge=judge,
            prices=p.prices,
            positions=p.positions,
            ledgers=p.ledgers,
            records=p.records,
            controls=p.controls,
            alerts=p.alerts,
            doorbell=p.doorbell,
            metrics=p.metrics,
            record=record,
            rules=rules.risk,
        ),
        prepare_entry=PrepareEntry(
            account=account,
            clock=p.clock,
            ledgers=p.ledgers,
            session=session,
            weigh=weigh,
            alerts=p.alerts,
            doorbell=p.doorbell,
            record=record,
            fractional=rules.fractional,
            asset_classes=rules.asset_classes,
            good_for=rules.executor.entry_good_for,
        ),
        place_orders=PlaceOrders(
            account=account,
            clock=p.clock,
            broker=p.broker,
            session=session,
            weigh=weigh,
            ledgers=p.ledgers,
            leases=p.leases,
            controls=p.controls,
            alerts=p.alerts,
            doorbell=p.doorbell,
            record=record,
            rules=rules.executor,
        ),
        reconcile_orders=ReconcileOrders(
            account=account,
            clock=p.clock,
            broker=p.broker,
            ledgers=p.ledgers,
            positions=p.positions,
            records=p.records,
            actions=p.actions,
            alerts=p.alerts,
            doorbell=p.doorbell,
            record=record,
            rules=rules.reconcile,
            asset_classes=rules.asset_classes,
        ),
        route_alerts=RouteAlerts(
            clock=p.clock,
            outbox=p.outbox,
            channels=p.channels,
            alerts=p.alerts,
            dead_letters=p.dead_letters,
            rules=rules.alerts,
        ),
        set_kill_switch=SetKillSwitch(
            clock=p.clock, controls=p.controls, alerts=p.alerts, doorbell=p.doorbell, record=record
        ),
    )
