"""The whole system in one process: cloud, exchange, sinks and driver, started together and saved when stopped.

Within a tick the market happens first, then the clock is set, then what is due is fired and everything that is queued
is delivered; that is the order of a replay. An error of a function is shown and kept, and never ends the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from threading import Event
from typing import Final

from pydantic import SecretStr

from local_stack.claude.server import ClaudeServer
from local_stack.cloud.embedded import REGION, STACK, EmbeddedCloud
from local_stack.exchange.market import NEW_YORK
from local_stack.exchange.server import ExchangeSimulator
from local_stack.loopback import past_proxies
from local_stack.run.claude_part import ADDRESS, PLAYED, REAL, SECRET, played_claude, prices_from
from local_stack.run.clock import Pace, PacedClock, RealPace, Speed
from local_stack.run.desk import Desk
from local_stack.run.discord_sink import WEBHOOK_PATH
from local_stack.run.folder import RunFolder
from local_stack.run.function_log import logging_to
from local_stack.run.kept_money import KeptMoney
from local_stack.run.keys import LocalKeys
from local_stack.run.mail_outbox import MailOutbox, as_email
from local_stack.run.observer import BookFigures, Course, Frame, Observer, SimulatedFigures
from local_stack.run.player import MarketPlayer, moments_of
from local_stack.run.saved_run import RunRecord, SavedRun
from local_stack.run.screen import Screen
from local_stack.run.snapshot import Part, Snapshot
from local_stack.run.stored import StoredFacts
from local_stack.run.way_in import WayIn, open_to_others
from local_stack.run.wiring import WiredCloud, read_template
from shared.adapters.bar_files.bar_set import BarSet
from shared.adapters.bar_files.ticks import cadence_of
from shared.adapters.memory.matching import Exchange
from shared.adapters.system_clock.clock import SystemClock
from shared.bootstrap.cloud import DISCORD, PAPER_KEYS
from shared.bootstrap.entrance import telemetry
from shared.domain.alerts import Incident
from shared.domain.assets import Symbol
from shared.domain.errors import Stop
from shared.domain.intents import Intent
from shared.domain.journal import Link
from shared.domain.moves import Move
from shared.domain.positions import Position
from shared.ports.broker import ExchangeCalendar
from shared.use_cases.record_fact import RecordFact

ACCOUNT: Final = "00000000-0000-4000-8000-000000000001"
"""The simulated account's id, in the form of Alpaca's."""
PORT: Final = 8642
"""Where the page is, when nobody chose a port and this one is free."""
EXPIRE_EVERY: Final = timedelta(hours=1)
MINUTE: Final = timedelta(minutes=1)
"""How long a tick is at the market's own pace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """What is played: the bars, what was before them, and what is held when they begin."""

    bars: BarSet
    history: BarSet | None
    cash: Decimal
    positions: Sequence[Position]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What a run was asked for; without a market it trades on the paper account of the keys.

    `alpaca_url` is an address on this machine that stands in for Alpaca then, and none stands in for Yahoo;
    `claude_url` is one that stands in for the Claude of the keys.
    """

    folder: Path
    symbols: Sequence[Symbol]
    keys: LocalKeys
    market: Market | None
    about: str
    speed: Speed
    speed_words: str
    fresh: bool = False
    port: int | None = None
    alpaca_url: str | None = None
    claude_url: str | None = None

    @property
    def asks_claude(self) -> bool:
        """Say whether the Claude of the keys is asked: in a run in the present alone."""
        return self.market is None and self.keys.anthropic_key is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """A run about to begin: `record` is where it goes on, None when it begins anew; `notice` says why."""

    settings: RunSettings
    record: RunRecord | None
    notice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a run over bars came to, as its tables and its exchange have it."""

    market: Market
    course: Course
    moves: Sequence[Move]
    intents: Sequence[Intent]
    incidents: Sequence[Incident]
    positions: Sequence[Position]
    links: Sequence[Link]
    exchange: Exchange


def plan_run(settings: RunSettings) -> RunPlan:
    """Find out where a run begins; raises StateError when a saved one is damaged."""
    folder = RunFolder(root=settings.folder)
    record = None if settings.fresh else SavedRun(folder.state).record()
    if record is None or record.finished:
        return RunPlan(settings=settings, record=None, notice="")
    if record.about != settings.about:
        return RunPlan(settings=settings, record=None, notice="What was saved is of another run: starting anew.")
    there = record.at.astimezone(NEW_YORK)
    notice = f"Going on after {there:%a %Y-%m-%d %H:%M} New York; FRESH=1 starts anew."
    return RunPlan(settings=settings, record=record, notice=notice)


class LocalRun:
    """One run: all that was started for it, and the loop that drives it."""

    def __init__(
        self,
        plan: RunPlan,
        *,
        pace: Pace,
        wired: WiredCloud,
        observer: Observer,
        outbox: MailOutbox,
        player: MarketPlayer | None,
        exchange: Exchange | None,
        claude: ClaudeServer | None,
    ) -> None:
        self.claude = claude
        self._plan = plan
        self._folder = RunFolder(root=plan.settings.folder)
        self._pace = pace
        self._wired = wired
        self._observer = observer
        self._outbox = outbox
        self._player = player
        self._exchange = exchange
        self._at = plan.record.at if plan.record is not None else pace.now()
        self._expired_at = self._at

    def play(self, stopped: Event, screen: Screen) -> bool:
        """Tick until the bars end or the run is stopped, and say whether they ended."""
        shown: list[Snapshot] = []
        for at, following in self._moments():
            if not self._pace.wait_until(at, stopped, lambda: _show_again(screen, shown)):
                return False
            self._step(at)
            shown[:] = [self._observer.snapshot(self._pace.now(), following)]
            screen.show(shown[0])
        return True

    def save(self, *, finished: bool) -> Path:
        """Save the run, so that the next start goes on here, and say where."""
        self._wired.give_back()
        record = RunRecord(
            about=self._plan.settings.about, at=self._at, finished=finished, course=self._observer.course
        )
        SavedRun(self._folder.state).save(self._wired.aws, self._wired.stores, record, self._exchange)
        return self._folder.state

    def result(self) -> RunResult:
        """Read what the run over bars came to."""
        market, owner = self._plan.settings.market, self._wired.owner
        if market is None or self._exchange is None:
            raise Stop("a run on a real account has no end to report on")
        facts = self._observer.facts
        return RunResult(
            market=market,
            course=self._observer.course,
            moves=facts.moves(),
            intents=facts.intents(owner.ledgers.load(owner.account)),
            incidents=facts.incidents(),
            positions=owner.positions.all(),
            links=facts.links(),
            exchange=self._exchange,
        )

    def _moments(self) -> Iterator[tuple[datetime, datetime | None]]:
        """Give each instant to tick at, with the one after it."""
        market = self._plan.settings.market
        if market is None:
            return _minutes(self._pace)
        left = [at for at in moments_of(market.bars) if at > self._at]
        return zip_longest(left, left[1:])

    def _step(self, at: datetime) -> None:
        if self._player is not None:
            self._player.advance(at)
        self._pace.set(at)
        done = self._wired.tick(self._at, at)
        self._outbox.collect(self._pace.now())
        if at - self._expired_at >= EXPIRE_EVERY:
            self._wired.cloud.expire_items()
            self._expired_at = at
        self._at = at
        self._observer.note(at, done)


@contextmanager
def open_run(plan: RunPlan, calendar: ExchangeCalendar, *, pace: Pace | None = None) -> Iterator[LocalRun]:
    """Start everything that a run needs, and stop it at the end; without a pace it has the one it was planned with."""
    folder = RunFolder(root=plan.settings.folder)
    with ExitStack() as started:
        started.enter_context(folder.alone())
        if plan.record is None:
            folder.clear()
        started.enter_context(past_proxies())
        started.enter_context(logging_to(folder.log))
        yield _assembled(plan, folder, calendar, pace or _pace(plan), started)


def _assembled(
    plan: RunPlan, folder: RunFolder, calendar: ExchangeCalendar, pace: Pace, started: ExitStack
) -> LocalRun:
    settings, market = plan.settings, plan.settings.market
    desk = Desk(pace, folder, _note(settings))
    desk_url = started.enter_context(desk.served(settings.port, PORT))
    exchange = None if market is None else _exchange(market, calendar)
    simulator = None if exchange is None else started.enter_context(ExchangeSimulator(exchange, pace))
    model_prices = "" if market is None else prices_from(market.bars.days[0].date)
    claude = None if settings.asks_claude else started.enter_context(played_claude(pace, model_prices))
    template = read_template(settings.symbols, model_prices=model_prices)
    cloud = started.enter_context(EmbeddedCloud(template, pace))
    desk.outbox = MailOutbox(folder.mail, lambda: [as_email(message) for message in cloud.sent_mail()])
    addresses = _addresses(settings, simulator, claude, desk_url)
    wired = WiredCloud(
        cloud,
        told=telemetry(),
        cadence=MINUTE if market is None else cadence_of(market.bars.interval),
        addresses=addresses,
    )
    started.callback(wired.close)
    wired.store_secrets(_secrets(settings, simulator, claude, desk_url))
    if plan.record is not None:
        SavedRun(folder.state).restore(wired.aws, wired.stores, exchange)
    elif market is not None:
        _begin(wired, market)
    if settings.asks_claude:
        _keep_money(cloud, folder)
    player = None
    if market is not None and simulator is not None:
        player = MarketPlayer(market.bars, simulator, history=market.history)
        if plan.record is not None:
            player.resume(plan.record.at)
    observer = Observer(
        wired=wired,
        facts=_facts(wired),
        figures=BookFigures(wired.owner) if exchange is None else SimulatedFigures(exchange),
        calendar=calendar,
        frame=_frame(settings, exchange, desk_url),
        course=Course() if plan.record is None else plan.record.course,
    )
    way_in = WayIn(aws=cloud.url, page=desk_url, stack=STACK, region=REGION, stand_ins=dict(addresses))
    started.enter_context(open_to_others(folder, way_in))
    return LocalRun(
        plan,
        pace=pace,
        wired=wired,
        observer=observer,
        outbox=desk.outbox,
        player=player,
        exchange=exchange,
        claude=claude,
    )


def _keep_money(cloud: EmbeddedCloud, folder: RunFolder) -> None:
    """Begin with what was spent at the real Claude, and let none of it be forgotten from now on."""
    kept = KeptMoney(folder.money, {name: cloud.physical(name) for name in ("BookTable", "JournalTable")})
    kept.restore(cloud.client("dynamodb").put_item)
    cloud.door.watch(kept.after)


def _pace(plan: RunPlan) -> Pace:
    market = plan.settings.market
    if market is None:
        return RealPace(SystemClock())
    start = plan.record.at if plan.record is not None else next(moments_of(market.bars)) - MINUTE
    return PacedClock(start, plan.settings.speed)


def _exchange(market: Market, calendar: ExchangeCalendar) -> Exchange:
    exchange = Exchange(ACCOUNT, market.cash, calendar)
    for symbol in market.bars.symbols:
        exchange.list_symbol(symbol)
    for position in market.positions:
        exchange.seed_position(position.symbol, position.quantity, position.average_entry_price)
    return exchange


def _begin(wired: WiredCloud, market: Market) -> None:
    """Put the positions into the book, and journal what the run begins with."""
    for position in market.positions:
        wired.owner.positions.put(position)
    RecordFact(journal=wired.owner.journal)(
        "run_started",
        wired.owner.clock.now(),
        symbols=market.bars.symbols,
        cash=market.cash,
        positions=[
            {
                "symbol": position.symbol,
                "lot": position.lot,
                "quantity": position.quantity,
                "average_entry_price": position.average_entry_price,
                "stop_price": position.stop_price,
            }
            for position in market.positions
        ],
    )


def _addresses(
    settings: RunSettings, simulator: ExchangeSimulator | None, claude: ClaudeServer | None, desk_url: str
) -> Mapping[str, str]:
    addresses, alpaca_url = {}, settings.alpaca_url if simulator is None else simulator.url
    if alpaca_url is not None:
        addresses = {
            "HEARTHWATCH_ALPACA_TRADING_URL": alpaca_url,
            "HEARTHWATCH_ALPACA_DATA_URL": alpaca_url,
            "HEARTHWATCH_YAHOO_URL": desk_url,
        }
    if settings.keys.discord_webhook is None:
        addresses["HEARTHWATCH_DISCORD_LOOPBACK"] = "1"
    claude_url = settings.claude_url if claude is None else claude.url
    if claude_url is not None:
        addresses[ADDRESS] = claude_url
    return addresses


def _secrets(
    settings: RunSettings, simulator: ExchangeSimulator | None, claude: ClaudeServer | None, desk_url: str
) -> Mapping[str, str]:
    keys, webhook = settings.keys, settings.keys.discord_webhook
    if simulator is not None:
        key_id, secret = simulator.key_id, simulator.secret
    elif keys.alpaca_key_id is not None and keys.alpaca_secret is not None:
        key_id, secret = keys.alpaca_key_id, keys.alpaca_secret.get_secret_value()
    else:
        raise Stop("neither bars to play nor keys of a paper account")
    return {
        **_claude_key(keys.anthropic_key, claude),
        PAPER_KEYS[0]: key_id,
        PAPER_KEYS[1]: secret,
        DISCORD: f"{desk_url}{WEBHOOK_PATH}" if webhook is None else webhook.get_secret_value(),
    }


def _claude_key(given: SecretStr | None, claude: ClaudeServer | None) -> Mapping[str, str]:
    """Give the played Claude's key, or a person's where none is played."""
    if claude is not None:
        return {SECRET: claude.key}
    return {} if given is None else {SECRET: given.get_secret_value()}


def _facts(wired: WiredCloud) -> StoredFacts:
    physical = wired.cloud.physical
    return StoredFacts(
        wired.aws, book=physical("BookTable"), journal=physical("JournalTable"), cycles=physical("CyclesQueue")
    )


def _frame(settings: RunSettings, exchange: Exchange | None, desk_url: str) -> Frame:
    market, has_webhook = settings.market, settings.keys.discord_webhook is not None
    return Frame(
        parts=(
            Part(
                name="exchange",
                what="Alpaca paper account" if exchange is None else "simulated",
                is_real=exchange is None,
            ),
            REAL if settings.asks_claude else PLAYED,
            Part(name="AWS", what="embedded", is_real=False),
            Part(name="Discord", what="your webhook" if has_webhook else "simulated", is_real=has_webhook),
            Part(name="mail", what="outbox", is_real=False),
        ),
        stage="PAPER",
        account="Alpaca paper" if exchange is None else exchange.account_id,
        speed=settings.speed_words,
        page=desk_url,
        ticks_in_all=None if market is None else sum(1 for _ in moments_of(market.bars)),
    )


def _note(settings: RunSettings) -> str:
    """Say on the page where messages went, and whose time it is."""
    time = "The present" if settings.market is None else "Simulated time"
    if settings.keys.discord_webhook is not None:
        return f"{time}; Discord's messages go to your webhook, mail stays on this machine."
    return f"{time}; nothing here left this machine."


def _minutes(pace: Pace) -> Iterator[tuple[datetime, datetime]]:
    """Yield the next full minute and the one after it, again and again; what a long tick ran over is left out."""
    while True:
        minute = pace.now().replace(second=0, microsecond=0) + MINUTE
        yield minute, minute + MINUTE


def _show_again(screen: Screen, shown: Sequence[Snapshot]) -> None:
    """Draw the newest snapshot again, in case the terminal has another size by now."""
    for snapshot in shown:
        screen.show(snapshot)
