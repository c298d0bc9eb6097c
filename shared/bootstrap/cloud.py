"""The wiring in the cloud: ports over AWS, Alpaca, Yahoo, Discord and SES, each made when first asked for.

A function therefore loads only what its own use case touches: routing alerts never imports a broker, and checking risk
imports one only when the stored minute is missing and it has to quote by itself.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

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
from shared.adapters.aws.budget import (
    DynamoBudgets,
    DynamoCharges,
    DynamoChoices,
    DynamoKnownAnswers,
    DynamoWorkCharges,
)
from shared.adapters.aws.clients import Aws
from shared.adapters.aws.confirmations import DynamoConfirmations
from shared.adapters.aws.day_plans import DynamoDayPlans
from shared.adapters.aws.fractional_probes import DynamoFractionalProbes
from shared.adapters.aws.journal import DynamoJournal
from shared.adapters.aws.parameters import SecretSource, SsmParameters
from shared.adapters.aws.pending_batches import DynamoPendingBatches
from shared.adapters.aws.prices import DynamoPriceStore
from shared.adapters.aws.queues import SqsAlertQueue, SqsCycleQueue, SqsDeadLetters, SqsDoorbell
from shared.adapters.aws.table import Table
from shared.adapters.system_clock.clock import SystemClock
from shared.adapters.system_clock.pause import JitteredPause
from shared.bootstrap.confirmed import ConfirmedControls
from shared.bootstrap.deferred import Port, deferred
from shared.bootstrap.discreet import discreet
from shared.bootstrap.entrance import telemetry
from shared.bootstrap.models import KEYS, batches_of, models_of
from shared.bootstrap.planned import PlannedActions, PlannedCalendar, PlannedVolatility
from shared.bootstrap.telemetry import Telemetry
from shared.bootstrap.wiring import Rules, UseCases
from shared.domain.alerts import Channel
from shared.domain.errors import ChannelDead, MissingSecret, TryAgain
from shared.domain.gate import FractionalSupport
from shared.domain.intents import AccountId
from shared.domain.protection import ProtectionRules
from shared.domain.stage import TradingMode, judge_mode, require_key_of, trades_live
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
from shared.ports.fractional_probes import FractionalProbes
from shared.ports.journal import JournalStore
from shared.ports.messages import AlertQueue, CycleQueue, Doorbell
from shared.ports.metrics import Metrics
from shared.ports.models import BatchesOf, Choices, Models, Pause
from shared.ports.prices import PriceSource, PriceStore, VolatilityHistory, VolatilitySource
from shared.settings import (
    AccountSettings,
    ArchiveSettings,
    BudgetSettings,
    DataLossSettings,
    MailSettings,
    ParameterSettings,
    QueueSettings,
    SourceSettings,
    StopSettings,
    TableSettings,
)
from shared.use_cases.check_risk import RiskRules

if TYPE_CHECKING:
    from alpaca.data.historical.corporate_actions import CorporateActionsClient
    from alpaca.data.historical.stock import StockHistoricalDataClient
    from alpaca.trading.client import TradingClient

    from shared.adapters.alpaca.session import Keys, Rotation

log = logging.getLogger(__name__)

PAPER_KEYS: Final = ("alpaca-paper-key-id", "alpaca-paper-secret")
LIVE_KEYS: Final = ("alpaca-live-key-id", "alpaca-live-secret")
DISCORD: Final = "discord-webhook-url"
MODEL_KEYS: Final = tuple(KEYS.values())
EVERY_SECRET: Final = (*PAPER_KEYS, *LIVE_KEYS, DISCORD, *MODEL_KEYS)


class Cloud:
    """Every port of one function, over real services; `environment` is the function's own."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        clock: Clock | None = None,
        aws: Aws | None = None,
        metrics: Metrics | None = None,
        told: Telemetry | None = None,
    ) -> None:
        self._environment = environment
        self._told = told or telemetry()
        self._aws = aws or Aws()
        self._open = ExitStack()
        self.clock: Clock = clock or SystemClock()
        self.metrics: Metrics = metrics or self._told.metrics

    @cached_property
    def use_cases(self) -> UseCases:
        """Wire the use cases over these ports."""
        settings = self._account
        data_loss = DataLossSettings.read(self._environment)
        rules = Rules(
            asset_classes=settings.asset_classes,
            risk=RiskRules(close_blind_after=data_loss.close_blind_after),
            protection=ProtectionRules(at_broker=StopSettings.read(self._environment).broker_stops),
            prepares_days=True,
            # read when money is spent: a limit that cannot be read stops no function that protects
            budget=deferred(lambda: self.budget_settings.rules()),
            prices=deferred(lambda: self.budget_settings.prices()),
        )
        return UseCases(self, self.account, rules, fractional=self._fractional)

    def discreet(self, port: Port) -> Port:
        """Keep the secrets of this process out of what a port's errors say."""
        return discreet(port, self._told.redactor.redact)

    def close(self) -> None:
        """Close the connections that stay open between runs; a process that ends need not."""
        self._open.close()

    @cached_property
    def account(self) -> AccountId:
        """Name the account whose ledger is kept: one for paper, one for real money, whatever the live stage."""
        settings = self._account
        live = settings.stage.is_live and trades_live(
            settings.stage, self.confirmations.get(), settings.live_account, self.clock.now()
        )
        return AccountId("live" if live else "paper")

    # settings

    @cached_property
    def _account(self) -> AccountSettings:
        return AccountSettings.read(self._environment)

    @cached_property
    def budget_settings(self) -> BudgetSettings:
        """Read what may be spent on models, and at which prices; raises SettingsError."""
        return BudgetSettings.read(self._environment)

    @cached_property
    def _queues(self) -> QueueSettings:
        return QueueSettings.read(self._environment)

    @cached_property
    def _sources(self) -> SourceSettings:
        return SourceSettings.read(self._environment)

    @cached_property
    def _tables(self) -> TableSettings:
        return TableSettings.read(self._environment)

    # the Book, prices, journal, archive

    @cached_property
    def _book(self) -> Table:
        return Table(self._aws.dynamodb, self._tables.book_table)

    @cached_property
    def _journal_table(self) -> Table:
        return Table(self._aws.dynamodb, self._tables.journal_table)

    @cached_property
    def ledgers(self) -> Ledgers:
        """Keep open intents in the Book and closed ones in the journal."""
        return DynamoLedgers(self._book, self._journal_table)

    @cached_property
    def positions(self) -> Positions:
        """Keep positions."""
        return DynamoPositions(self._book)

    @cached_property
    def records(self) -> BrokerRecords:
        """Keep what the broker said."""
        return DynamoBrokerRecords(self._book)

    @cached_property
    def controls(self) -> Controls:
        """Keep switches; with real money the kill switch also stands while no confirmation holds."""
        controls, settings = DynamoControls(self._book), self._account
        if not settings.stage.is_live:
            return controls
        return ConfirmedControls(controls, self.confirmations, self.clock, settings.stage, settings.live_account)

    @cached_property
    def watchlist(self) -> Watchlist:
        """Take the stored watchlist, else the configured one."""
        return DynamoWatchlist(self._book, self._account.symbols())

    @cached_property
    def cooldowns(self) -> Cooldowns:
        """Keep quiet times."""
        return DynamoCooldowns(self._book)

    @cached_property
    def leases(self) -> Leases:
        """Keep leases."""
        return DynamoLeases(self._book)

    @cached_property
    def outbox(self) -> AlertOutbox:
        """Keep incidents."""
        return DynamoAlertOutbox(self._book)

    @cached_property
    def plans(self) -> DayPlans:
        """Keep what the pre-open job prepared."""
        return DynamoDayPlans(self._book)

    @cached_property
    def confirmations(self) -> Confirmations:
        """Keep the typed word that real money may trade."""
        return DynamoConfirmations(self._book)

    @cached_property
    def probes(self) -> FractionalProbes:
        """Keep what preflight found out about fractions of a share."""
        return DynamoFractionalProbes(self._book)

    def _fractional(self) -> FractionalSupport:
        """Take the probed answer; unprobed and unreadable are unknown."""
        try:
            probe = self.probes.get()
        except TryAgain as error:
            log.warning("fractional probe unreadable, taken as unknown", extra={"problem": str(error)})
            return FractionalSupport()
        return FractionalSupport() if probe is None else probe.support

    @cached_property
    def prices(self) -> PriceStore:
        """Keep the recent minutes."""
        return DynamoPriceStore(Table(self._aws.dynamodb, self._tables.prices_table))

    @cached_property
    def journal(self) -> JournalStore:
        """Keep the record."""
        return DynamoJournal(self._journal_table)

    @cached_property
    def archive(self) -> PriceArchive:
        """Keep prices for good."""
        from shared.adapters.aws.archive import S3PriceArchive

        return S3PriceArchive(self._aws.s3, ArchiveSettings.read(self._environment).archive_bucket)

    # models, and what they may cost

    @cached_property
    def budgets(self) -> Budgets:
        """Keep the ledger of the money."""
        return DynamoBudgets(self._book)

    @cached_property
    def charges(self) -> Charges:
        """Keep the record of every call."""
        return DynamoCharges(self._journal_table)

    @cached_property
    def work_charges(self) -> WorkCharges:
        """Count how often a piece of work was charged."""
        return DynamoWorkCharges(self._book)

    @cached_property
    def known_answers(self) -> KnownAnswers:
        """Keep answers for a while."""
        return DynamoKnownAnswers(self._book)

    @cached_property
    def pending_batches(self) -> PendingBatches:
        """Keep batches under way."""
        return DynamoPendingBatches(self._book)

    @cached_property
    def choices(self) -> Choices:
        """Keep which models serve."""
        return DynamoChoices(self._book)

    @cached_property
    def models(self) -> Models:
        """Ask those models whose providers are on."""
        return models_of(self.choices, self._sources, self._secrets, self.clock, self._told.redactor.redact)

    @cached_property
    def batches(self) -> BatchesOf:
        """Hand batches to those providers that take them and are on."""
        return batches_of(self.choices, self._sources, self._secrets, self.clock, self.discreet)

    @cached_property
    def pause(self) -> Pause:
        """Wait between two attempts."""
        return JitteredPause()

    # messages and alerts

    @cached_property
    def alerts(self) -> AlertQueue:
        """Queue alerts."""
        return SqsAlertQueue(self._aws.sqs, self._queues.alerts_queue_url, self._told.correlation_id)

    @cached_property
    def cycles(self) -> CycleQueue:
        """Queue cycles."""
        return SqsCycleQueue(self._aws.sqs, self._queues.cycles_queue_url, self._told.correlation_id)

    @cached_property
    def doorbell(self) -> Doorbell:
        """Wake the executor."""
        return SqsDoorbell(self._aws.sqs, self._queues.doorbell_queue_url, self._told.correlation_id)

    @cached_property
    def dead_letters(self) -> DeadLetters:
        """Keep what could not be delivered."""
        return SqsDeadLetters(self._aws.sqs, self._queues.alerts_dead_letters_url, self._told.correlation_id)

    @cached_property
    def channels(self) -> Mapping[Channel, AlertChannel]:
        """Reach people on every channel that is set up."""
        channels = {Channel.DISCORD: deferred(self._discord), **self._mail()}
        return {channel: self.discreet(adapter) for channel, adapter in channels.items()}

    def _discord(self) -> AlertChannel:
        import httpx

        from shared.adapters.discord.webhook import DiscordWebhook

        secrets = self._secrets(DISCORD)
        loopback = self._sources.discord_loopback

        def address(anew: bool) -> str:
            try:
                return (secrets.fresh(DISCORD) if anew else secrets.get(DISCORD)).get_secret_value()
            except MissingSecret as problem:
                raise ChannelDead(str(problem)) from problem  # the e-mail can still arrive, and says so

        client = self._open.enter_context(httpx.Client(trust_env=not loopback))
        return DiscordWebhook(client, address, self._account.stage, self.clock, loopback=loopback)

    def _mail(self) -> Mapping[Channel, AlertChannel]:
        from shared.adapters.aws.mail import SesMail

        settings = MailSettings.read(self._environment)
        if settings.mail_from is None or not settings.mail_to:
            return {}
        return {Channel.EMAIL: SesMail(self._aws.ses, settings.mail_from, settings.mail_to, self._account.stage)}

    # prices

    @cached_property
    def primary(self) -> PriceSource:
        """Quote at Alpaca, with the paper account's keys (SEC-02)."""
        return self.discreet(deferred(self._alpaca_prices))

    @cached_property
    def backup(self) -> PriceSource:
        """Quote at Yahoo when the first source is in doubt."""
        return self.discreet(deferred(self._yahoo))

    def _alpaca_prices(self) -> PriceSource:
        from shared.adapters.alpaca.prices import AlpacaPrices

        return AlpacaPrices(self.data_client(), self.clock, feed=self._sources.price_feed)

    def data_client(self) -> StockHistoricalDataClient:
        """Connect to the market data API with the paper account's keys."""
        from shared.adapters.alpaca.session import connect_data

        keys, rotation = self._keys(TradingMode.PAPER)
        return connect_data(keys.key_id, keys.secret, url=self._sources.alpaca_data_url, rotation=rotation)

    def corporate_actions_client(self) -> CorporateActionsClient:
        """Connect to the corporate actions API with the paper account's keys."""
        from shared.adapters.alpaca.session import connect_corporate_actions

        keys, rotation = self._keys(TradingMode.PAPER)
        url = self._sources.alpaca_data_url
        return connect_corporate_actions(keys.key_id, keys.secret, url=url, rotation=rotation)

    def _yahoo(self) -> PriceSource:
        import httpx

        from shared.adapters.yahoo.prices import BASE_URL, YahooPrices

        return YahooPrices(self._open.enter_context(httpx.Client()), base_url=self._sources.yahoo_url or BASE_URL)

    # the day's plan, and the sources it is made from

    @cached_property
    def calendar(self) -> ExchangeCalendar:
        """Answer from the day's plan, or ask the broker."""
        return PlannedCalendar(self.plans, deferred(lambda: self.sources.calendar), self.clock)

    @cached_property
    def actions(self) -> CorporateActions:
        """Answer from the day's plan, or ask the broker."""
        return PlannedActions(self.plans, deferred(lambda: self.sources.actions), self.clock)

    @cached_property
    def volatility(self) -> VolatilitySource:
        """Answer from the day's plan."""
        return PlannedVolatility(self.plans, self.clock)

    @cached_property
    def sources(self) -> DaySources:
        """Ask Alpaca itself, with the paper account's keys."""
        return AlpacaSources(self)

    @cached_property
    def credentials(self) -> Credentials:
        """Say how old the secrets are."""
        from shared.adapters.aws.credentials import SsmCredentials

        return SsmCredentials(self._parameters, EVERY_SECRET)

    # the broker

    @cached_property
    def broker(self) -> Broker:
        """Trade at Alpaca: on paper, unless both switches of live trading are set (ORD-02)."""
        from shared.adapters.alpaca.broker import AlpacaBroker

        return self.discreet(AlpacaBroker(self.trading_client(self._mode()), self.clock))

    def trading_client(self, mode: TradingMode) -> TradingClient:
        """Connect to the trading API with the keys of a mode."""
        from shared.adapters.alpaca.session import connect_trading

        keys, rotation = self._keys(mode)
        return connect_trading(
            keys.key_id,
            keys.secret,
            paper=mode is TradingMode.PAPER,
            url=self._sources.alpaca_trading_url,
            rotation=rotation,
        )

    def _mode(self) -> TradingMode:
        settings = self._account
        known = self._parameters.ages(LIVE_KEYS, self.clock.now())
        return judge_mode(
            settings.stage,
            self.confirmations.get(),
            settings.live_account,
            {name: name in known for name in LIVE_KEYS},
            self.clock.now(),
        )

    def _keys(self, mode: TradingMode) -> tuple[Keys, Rotation]:
        from shared.adapters.alpaca.session import Keys, Rotation

        slot, secret = PAPER_KEYS if mode is TradingMode.PAPER else LIVE_KEYS
        source = self._secrets(slot, secret)

        def read(take: Callable[[str], SecretStr]) -> Keys:
            keys = Keys(take(slot).get_secret_value(), source.get(secret).get_secret_value())
            require_key_of(mode, slot, keys.key_id)
            return keys

        return read(source.get), Rotation(lambda: read(source.fresh), self.clock)

    # secrets

    @cached_property
    def _parameters(self) -> SsmParameters:
        return SsmParameters(self._aws.ssm, ParameterSettings.read(self._environment).parameters)

    def _secrets(self, *names: str) -> SecretSource:
        return SecretSource(self._parameters, names, tell=self._told.redactor.learn)


class AlpacaSources:
    """What the pre-open job looks up, each source connected when first asked."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    @cached_property
    def calendar(self) -> ExchangeCalendar:
        """Look up sessions."""
        from shared.adapters.alpaca.calendar import AlpacaCalendar

        client = self._cloud.trading_client(TradingMode.PAPER)
        return self._cloud.discreet(AlpacaCalendar(client, self._cloud.clock))

    @cached_property
    def actions(self) -> CorporateActions:
        """Look up splits and dividends."""
        from shared.adapters.alpaca.corporate_actions import AlpacaCorporateActions

        client = self._cloud.corporate_actions_client()
        return self._cloud.discreet(AlpacaCorporateActions(client, self._cloud.clock))

    @cached_property
    def history(self) -> VolatilityHistory:
        """Work out volatilities from bars."""
        from shared.adapters.alpaca.history import AlpacaVolatility

        return self._cloud.discreet(AlpacaVolatility(self._cloud.data_client(), self._cloud.clock))


@cache
def here() -> Cloud:
    """Give the ports of the function that this process is."""
    return Cloud(os.environ)
