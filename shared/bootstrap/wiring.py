"""The one wiring of the use cases: the same in the cloud, in replay and in simulation; only the ports differ.

Each use case is built when it is first asked for, and asks only for the ports it needs: a function in the cloud
loads no adapter that its own use case does not use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Protocol

from shared.domain.alerts import AlertRules, Channel
from shared.domain.assets import DEFAULT_ASSET_CLASSES, AssetClass
from shared.domain.budget import BudgetRules
from shared.domain.gate import FractionalSupport, Limits
from shared.domain.intents import AccountId
from shared.domain.model_prices import STARTING_PRICES, PriceTable
from shared.domain.moves import MoveRule
from shared.domain.protection import ProtectionRules
from shared.domain.quotes import FreshnessLimits
from shared.ports.alert_channels import AlertChannel, DeadLetters
from shared.ports.archive import PriceArchive
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
from shared.ports.budget import Budgets, Charges, KnownAnswers, PendingBatches, WorkCharges
from shared.ports.clock import Clock
from shared.ports.confirmations import Confirmations
from shared.ports.credentials import Credentials
from shared.ports.day_plans import DayPlans, DaySources
from shared.ports.journal import JournalStore
from shared.ports.messages import AlertQueue, CycleQueue, Doorbell
from shared.ports.metrics import Metrics
from shared.ports.models import BatchesOf, Choices, Models, Pause
from shared.ports.prices import PriceSource, PriceStore, VolatilitySource
from shared.use_cases.archive_prices import ArchivePrices
from shared.use_cases.ask_in_batch import AskInBatch
from shared.use_cases.audit_budget import AuditBudget
from shared.use_cases.catch_up_session import CatchUpSession
from shared.use_cases.check_risk import CheckRisk, RiskRules
from shared.use_cases.climb_ladder import ClimbLadder, LadderRules
from shared.use_cases.confirm_live import ConfirmLive
from shared.use_cases.grant_allowance import GrantAllowance
from shared.use_cases.judge_losses import JudgeLosses
from shared.use_cases.judge_quotes import JudgeQuotes
from shared.use_cases.judge_session_now import JudgeSessionNow
from shared.use_cases.pay_for_answer import PayForAnswer
from shared.use_cases.place_orders import ExecutorRules, PlaceOrders
from shared.use_cases.poll_prices import PollPrices, PollRules
from shared.use_cases.prepare_entry import PrepareEntry
from shared.use_cases.prepare_session import PrepareRules, PrepareSession
from shared.use_cases.protect_positions import ProtectPositions
from shared.use_cases.publish_coverage import PublishCoverage
from shared.use_cases.reconcile_orders import ReconcileOrders, ReconcileRules
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.release_reservation import ReleaseReservation
from shared.use_cases.route_alerts import RouteAlerts
from shared.use_cases.set_kill_switch import SetKillSwitch
from shared.use_cases.switch_models import SwitchModels
from shared.use_cases.weigh_entry import WeighEntry


class Ports(Protocol):
    """Every port the use cases need, each filled by one adapter."""

    @property
    def clock(self) -> Clock: ...  # noqa: D102
    @property
    def calendar(self) -> ExchangeCalendar: ...  # noqa: D102
    @property
    def primary(self) -> PriceSource: ...  # noqa: D102
    @property
    def backup(self) -> PriceSource: ...  # noqa: D102
    @property
    def actions(self) -> CorporateActions: ...  # noqa: D102
    @property
    def volatility(self) -> VolatilitySource: ...  # noqa: D102
    @property
    def prices(self) -> PriceStore: ...  # noqa: D102
    @property
    def broker(self) -> Broker: ...  # noqa: D102
    @property
    def watchlist(self) -> Watchlist: ...  # noqa: D102
    @property
    def positions(self) -> Positions: ...  # noqa: D102
    @property
    def ledgers(self) -> Ledgers: ...  # noqa: D102
    @property
    def records(self) -> BrokerRecords: ...  # noqa: D102
    @property
    def controls(self) -> Controls: ...  # noqa: D102
    @property
    def cooldowns(self) -> Cooldowns: ...  # noqa: D102
    @property
    def leases(self) -> Leases: ...  # noqa: D102
    @property
    def outbox(self) -> AlertOutbox: ...  # noqa: D102
    @property
    def journal(self) -> JournalStore: ...  # noqa: D102
    @property
    def alerts(self) -> AlertQueue: ...  # noqa: D102
    @property
    def cycles(self) -> CycleQueue: ...  # noqa: D102
    @property
    def doorbell(self) -> Doorbell: ...  # noqa: D102
    @property
    def channels(self) -> Mapping[Channel, AlertChannel]: ...  # noqa: D102
    @property
    def dead_letters(self) -> DeadLetters: ...  # noqa: D102
    @property
    def metrics(self) -> Metrics: ...  # noqa: D102
    @property
    def plans(self) -> DayPlans: ...  # noqa: D102
    @property
    def sources(self) -> DaySources: ...  # noqa: D102
    @property
    def archive(self) -> PriceArchive: ...  # noqa: D102
    @property
    def credentials(self) -> Credentials: ...  # noqa: D102
    @property
    def confirmations(self) -> Confirmations: ...  # noqa: D102
    @property
    def budgets(self) -> Budgets: ...  # noqa: D102
    @property
    def charges(self) -> Charges: ...  # noqa: D102
    @property
    def work_charges(self) -> WorkCharges: ...  # noqa: D102
    @property
    def known_answers(self) -> KnownAnswers: ...  # noqa: D102
    @property
    def pending_batches(self) -> PendingBatches: ...  # noqa: D102
    @property
    def choices(self) -> Choices: ...  # noqa: D102
    @property
    def models(self) -> Models: ...  # noqa: D102
    @property
    def batches(self) -> BatchesOf: ...  # noqa: D102
    @property
    def pause(self) -> Pause: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenPorts:
    """Ports that are all there from the start."""

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
    plans: DayPlans
    sources: DaySources
    archive: PriceArchive
    credentials: Credentials
    confirmations: Confirmations
    budgets: Budgets
    charges: Charges
    work_charges: WorkCharges
    known_answers: KnownAnswers
    pending_batches: PendingBatches
    choices: Choices
    models: Models
    batches: BatchesOf
    pause: Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Every bound the use cases work under; the defaults are the requirements' own.

    `prepares_days` says that there is a job before the open, which the first price tick catches up on.
    """

    freshness: FreshnessLimits = field(default_factory=FreshnessLimits)
    poll: PollRules = field(default_factory=PollRules)
    risk: RiskRules = field(default_factory=RiskRules)
    protection: ProtectionRules = field(default_factory=ProtectionRules)
    limits: Limits = field(default_factory=Limits)
    executor: ExecutorRules = field(default_factory=ExecutorRules)
    reconcile: ReconcileRules = field(default_factory=ReconcileRules)
    alerts: AlertRules = field(default_factory=AlertRules)
    fractional: FractionalSupport = field(default_factory=FractionalSupport)
    asset_classes: frozenset[AssetClass] = DEFAULT_ASSET_CLASSES
    prepare: PrepareRules = field(default_factory=PrepareRules)
    prepares_days: bool = False
    budget: BudgetRules = field(default_factory=BudgetRules)
    prices: PriceTable = STARTING_PRICES
    ladder: LadderRules = field(default_factory=LadderRules)


def rules_for(cadence: timedelta) -> Rules:
    """Stretch what follows the tick: staleness, the longest gap, how long data or broker may go unheard, and plans.

    A stop planned at the close of a daily bar goes at the next open, a long weekend later at most.
    """
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
        executor=ExecutorRules(stop_good_for=max(timedelta(minutes=10), 5 * cadence)),
    )


class UseCases:
    """The use cases of one account over one set of ports.

    `fractional` looks up what was probed, in the place of the rules' own, when an entry is to be shaped.
    """

    def __init__(
        self,
        ports: Ports,
        account: AccountId,
        rules: Rules,
        *,
        fractional: Callable[[], FractionalSupport] | None = None,
    ) -> None:
        self._ports = ports
        self._account = account
        self._rules = rules
        self._fractional = fractional or (lambda: rules.fractional)

    @cached_property
    def poll_prices(self) -> PollPrices:
        """Price every watched symbol."""
        p = self._ports
        return PollPrices(
            account=self._account,
            clock=p.clock,
            calendar=p.calendar,
            judge=self._judge,
            prices=p.prices,
            volatility=p.volatility,
            watchlist=p.watchlist,
            positions=p.positions,
            ledgers=p.ledgers,
            cooldowns=p.cooldowns,
            cycles=p.cycles,
            alerts=p.alerts,
            metrics=p.metrics,
            record=self._record,
            rules=self._rules.poll,
            catch_up=self._catch_up if self._rules.prepares_days else None,
        )

    @cached_property
    def check_risk(self) -> CheckRisk:
        """Judge every position."""
        p = self._ports
        return CheckRisk(
            account=self._account,
            clock=p.clock,
            calendar=p.calendar,
            judge=self._judge,
            prices=p.prices,
            positions=p.positions,
            ledgers=p.ledgers,
            records=p.records,
            controls=p.controls,
            alerts=p.alerts,
            doorbell=p.doorbell,
            record=self._record,
            protect=self._protect,
            cover=self._cover,
            losses=self._losses,
            rules=self._rules.risk,
        )

    @cached_property
    def prepare_entry(self) -> PrepareEntry:
        """Put a proposed entry before the gate."""
        p = self._ports
        return PrepareEntry(
            account=self._account,
            clock=p.clock,
            ledgers=p.ledgers,
            session=self._session,
            weigh=self._weigh,
            alerts=p.alerts,
            doorbell=p.doorbell,
            record=self._record,
            fractional=self._fractional(),
            asset_classes=self._rules.asset_classes,
            good_for=self._rules.executor.entry_good_for,
        )

    @cached_property
    def place_orders(self) -> PlaceOrders:
        """Send what is prepared."""
        p = self._ports
        return PlaceOrders(
            account=self._account,
            clock=p.clock,
            broker=p.broker,
            session=self._session,
            weigh=self._weigh,
            ledgers=p.ledgers,
            leases=p.leases,
            controls=p.controls,
            alerts=p.alerts,
            doorbell=p.doorbell,
            record=self._record,
            rules=self._rules.executor,
        )

    @cached_property
    def reconcile_orders(self) -> ReconcileOrders:
        """Take over the broker's truth."""
        p = self._ports
        return ReconcileOrders(
            account=self._account,
            clock=p.clock,
            broker=p.broker,
            ledgers=p.ledgers,
            positions=p.positions,
            records=p.records,
            actions=p.actions,
            sources=p.sources,
            alerts=p.alerts,
            doorbell=p.doorbell,
            record=self._record,
            protect=self._protect,
            cover=self._cover,
            rules=self._rules.reconcile,
            asset_classes=self._rules.asset_classes,
        )

    @cached_property
    def route_alerts(self) -> RouteAlerts:
        """Deliver alerts."""
        p = self._ports
        return RouteAlerts(
            clock=p.clock,
            outbox=p.outbox,
            channels=p.channels,
            alerts=p.alerts,
            dead_letters=p.dead_letters,
            rules=self._rules.alerts,
        )

    @cached_property
    def prepare_session(self) -> PrepareSession:
        """Prepare the day."""
        p = self._ports
        return PrepareSession(
            account=self._account,
            clock=p.clock,
            sources=p.sources,
            watchlist=p.watchlist,
            positions=p.positions,
            ledgers=p.ledgers,
            records=p.records,
            plans=p.plans,
            credentials=p.credentials,
            confirmations=p.confirmations,
            alerts=p.alerts,
            record=self._record,
            rules=self._rules.prepare,
        )

    @cached_property
    def archive_prices(self) -> ArchivePrices:
        """Archive prices."""
        p = self._ports
        return ArchivePrices(clock=p.clock, prices=p.prices, archive=p.archive, alerts=p.alerts)

    @cached_property
    def confirm_live(self) -> ConfirmLive:
        """Confirm live trading."""
        p = self._ports
        return ConfirmLive(clock=p.clock, confirmations=p.confirmations, alerts=p.alerts, record=self._record)

    @cached_property
    def set_kill_switch(self) -> SetKillSwitch:
        """Set or clear the kill switch."""
        p = self._ports
        return SetKillSwitch(
            account=self._account,
            clock=p.clock,
            controls=p.controls,
            positions=p.positions,
            alerts=p.alerts,
            doorbell=p.doorbell,
            record=self._record,
        )

    @cached_property
    def climb_ladder(self) -> ClimbLadder:
        """Ask a question of the cheapest rung that suffices."""
        p = self._ports
        return ClimbLadder(
            clock=p.clock,
            choices=p.choices,
            models=p.models,
            pay=self._pay,
            charges=p.charges,
            known=p.known_answers,
            leases=p.leases,
            pause=p.pause,
            record=self._record,
            rules=self._rules.ladder,
        )

    @cached_property
    def ask_in_batch(self) -> AskInBatch:
        """Ask what is not urgent."""
        p = self._ports
        return AskInBatch(clock=p.clock, choices=p.choices, batches=p.batches, pay=self._pay, pending=p.pending_batches)

    @cached_property
    def audit_budget(self) -> AuditBudget:
        """Keep the budget's ledger true."""
        p = self._ports
        return AuditBudget(
            clock=p.clock,
            budgets=p.budgets,
            charges=p.charges,
            choices=p.choices,
            prices=self._rules.prices,
            rules=self._rules.budget,
            alerts=p.alerts,
            record=self._record,
        )

    @cached_property
    def grant_allowance(self) -> GrantAllowance:
        """Allow one call more."""
        p = self._ports
        return GrantAllowance(
            clock=p.clock, budgets=p.budgets, rules=self._rules.budget, alerts=p.alerts, record=self._record
        )

    @cached_property
    def release_reservation(self) -> ReleaseReservation:
        """Release what a crashed call holds."""
        p = self._ports
        return ReleaseReservation(
            clock=p.clock,
            budgets=p.budgets,
            charges=p.charges,
            rules=self._rules.budget,
            alerts=p.alerts,
            record=self._record,
        )

    @cached_property
    def switch_models(self) -> SwitchModels:
        """Change which models serve."""
        p = self._ports
        return SwitchModels(clock=p.clock, choices=p.choices, prices=self._rules.prices, record=self._record)

    @cached_property
    def _pay(self) -> PayForAnswer:
        p = self._ports
        return PayForAnswer(
            clock=p.clock,
            budgets=p.budgets,
            charges=p.charges,
            work_charges=p.work_charges,
            models=p.models,
            prices=self._rules.prices,
            rules=self._rules.budget,
            alerts=p.alerts,
        )

    @cached_property
    def _protect(self) -> ProtectPositions:
        p = self._ports
        return ProtectPositions(
            account=self._account,
            clock=p.clock,
            calendar=p.calendar,
            ledgers=p.ledgers,
            positions=p.positions,
            alerts=p.alerts,
            doorbell=p.doorbell,
            record=self._record,
            fractional=self._fractional,
            rules=self._rules.protection,
        )

    @cached_property
    def _cover(self) -> PublishCoverage:
        p = self._ports
        return PublishCoverage(
            account=self._account,
            clock=p.clock,
            ledgers=p.ledgers,
            positions=p.positions,
            records=p.records,
            controls=p.controls,
            alerts=p.alerts,
            metrics=p.metrics,
            longest_gap=self._rules.poll.longest_gap,
        )

    @cached_property
    def _catch_up(self) -> CatchUpSession:
        p = self._ports
        return CatchUpSession(
            clock=p.clock,
            plans=p.plans,
            cooldowns=p.cooldowns,
            alerts=p.alerts,
            prepare=lambda: self.prepare_session,
        )

    @cached_property
    def _record(self) -> RecordFact:
        return RecordFact(journal=self._ports.journal)

    @cached_property
    def _judge(self) -> JudgeQuotes:
        p = self._ports
        return JudgeQuotes(
            clock=p.clock,
            primary=p.primary,
            backup=p.backup,
            actions=p.actions,
            sources=p.sources,
            limits=self._rules.freshness,
        )

    @cached_property
    def _losses(self) -> JudgeLosses:
        p = self._ports
        return JudgeLosses(clock=p.clock, controls=p.controls, plans=p.plans, limits=self._rules.limits.losses)

    @cached_property
    def _session(self) -> JudgeSessionNow:
        p = self._ports
        return JudgeSessionNow(clock=p.clock, calendar=p.calendar, broker=p.broker)

    @cached_property
    def _weigh(self) -> WeighEntry:
        p = self._ports
        return WeighEntry(
            clock=p.clock,
            broker=p.broker,
            controls=p.controls,
            prices=p.prices,
            positions=p.positions,
            records=p.records,
            limits=self._rules.limits,
            rules=self._rules.risk,
        )
