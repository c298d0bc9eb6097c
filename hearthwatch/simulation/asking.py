"""Those who ask models in a run, several at a time, and what keeps the budget: audits, allowances, releases.

They ask beside the watch, on its clock and under its faults, over a book of their own, with draws of their own. Limits
are small enough to be met, midnight and the month's end may come at any minute, and prices may change.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from hearthwatch.simulation.chance import Fault, Hazards
from hearthwatch.simulation.invariants import Violation
from hearthwatch.simulation.money import MoneyChecks
from hearthwatch.simulation.ports import Network
from hearthwatch.simulation.provider import SURE, Rate, SimulatedProvider, Tariff
from hearthwatch.simulation.scheduler import Scheduler
from shared.adapters.memory.book import MemoryLeases
from shared.adapters.memory.journal import MemoryJournal
from shared.adapters.memory.messages import MemoryQueue
from shared.bootstrap.offline import OFFLINE_ACCOUNT, OfflineWorld
from shared.bootstrap.wiring import Rules, UseCases
from shared.domain.alerts import Alert
from shared.domain.budget import BudgetRules, DecisionId, GrantId
from shared.domain.calls import Purpose, Rung, WorkId
from shared.domain.errors import InvalidValue
from shared.domain.journal import Plain, first_break
from shared.domain.model_prices import HAIKU, OPUS, SONNET, ModelId, PriceRow, PriceTable
from shared.domain.providers import ANTHROPIC
from shared.domain.questions import Attempt, Misread, Question, Task
from shared.domain.times import Tick
from shared.use_cases.climb_ladder import LadderRules

MINUTE: Final = timedelta(minutes=1)
_ASKED_FROM: Final = 20
"""The second of a minute from which questions come."""
_AMID_THE_QUESTIONS: Final = timedelta(seconds=22)
"""When in the middle minute of a run the day, or the prices, may change."""
_JUNE: Final = (date(2026, 6, 10), date(2026, 6, 30))
"""An ordinary day, and the last of a month."""
_SHORT: Final = 700
"""Tokens up to which a prompt counts as short; those here have a few hundred more at most."""
_SCHEMA: Final[dict[str, Plain]] = {"type": "object", "properties": {"sure": {"type": "boolean"}}}
_RATES: Final[Mapping[ModelId, tuple[Rate, Rate, Rate]]] = {
    HAIKU: (Rate(100, 500, 10, 125), Rate(500, 2_500, 50, 625), Rate(600, 3_000, 60, 750)),
    SONNET: (Rate(2_000, 10_000, 100, 2_500), Rate(2_000, 10_000, 100, 2_500), Rate(3_000, 15_000, 300, 3_750)),
    OPUS: (Rate(4_000, 20_000, 200, 5_000), Rate(4_000, 20_000, 200, 5_000), Rate(5_000, 25_000, 250, 6_250)),
}
"""What each model takes for short prompts, for long ones, and for all once prices have changed."""

Invoke = Callable[[str, Callable[[], object]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """On which days the money of a run counts: on `first` until `midnight`, then on the day after."""

    first: date
    midnight: datetime

    def of(self, now: datetime) -> date:
        """Name the day of an instant."""
        return self.first if now < self.midnight else self.first + timedelta(days=1)


class Asking:
    """The askers of one run, their provider and their book."""

    def __init__(
        self,
        world: OfflineWorld,
        scheduler: Scheduler,
        network: Network,
        random: Random,
        hazards: Hazards,
        minutes: list[datetime],
        *,
        invoke: Invoke,
        fail: Callable[[Violation], None],
    ) -> None:
        self._clock = world.clock
        self._scheduler = scheduler
        self._random = random
        self._twice = hazards.duplicate
        self._invoke = invoke
        self._edge_is_down = False
        self._count = 0
        self._grants: list[GrantId] = []
        self._alerts: MemoryQueue[Alert] = MemoryQueue()
        self._journal = MemoryJournal()
        last = len(minutes) - 2
        self._audits = {*range(4, last - 4, 5), last - 2, last}
        self._middle = len(minutes) // 2 - 2
        middle, never = minutes[self._middle] + _AMID_THE_QUESTIONS, minutes[-1] + timedelta(days=7)
        self._days = Days(first=random.choice(_JUNE), midnight=random.choice((middle, never)))
        self._rules = _draw_rules(random)
        tariffs = _tariffs(random.choice((middle, never, never)))
        self.checks = MoneyChecks(
            world.clock, world.budgets, world.charges, self._rules, current=scheduler.current, fail=fail
        )
        ways = Random(random.random())  # noqa: S311 - repeatable, not secret
        faults = Random(random.random())  # noqa: S311 - repeatable, not secret
        self._network = network.beside(ways, faults, hazards.bad_models / 3, self.checks.watch)
        self.provider = SimulatedProvider(
            scheduler, random, tariffs, strike=self._strike, open_bill=self.checks.open_bill, bad=hazards.bad_models
        )
        self._wire(world, _known(tariffs, minutes[0], random))

    def _wire(self, world: OfflineWorld, prices: PriceTable) -> None:
        """Put the use cases over the ports; the edge and the day are those of this run."""
        ports = replace(
            world.ports(),
            journal=self._journal,
            leases=MemoryLeases(),
            alerts=self._alerts,
            models={ANTHROPIC: self.provider},
            pause=self._wait,
        )
        ladder = LadderRules(answer_serves=timedelta(seconds=self._random.choice((20, 120))))
        rules = Rules(budget=self._rules, prices=prices, ladder=ladder)
        made = UseCases(self._network.around(ports), OFFLINE_ACCOUNT, rules)
        day_of = self._days.of
        pay = replace(made.climb_ladder.pay, edge_down=lambda: self._edge_is_down, day_of=day_of)
        self._climb = replace(made.climb_ladder, pay=pay)
        self._audit = replace(made.audit_budget, day_of=day_of)
        self._grant = replace(made.grant_allowance, day_of=day_of)
        self._release = replace(made.release_reservation, day_of=day_of)

    def plan(self, tick: Tick, minute: int, *, calm: bool) -> None:
        """Plan what is asked and done about money in a minute; in the calm the budget is audited and no more."""
        draw = self._random
        if minute in self._audits:
            self._at(tick, draw.uniform(0, 20), "audit", lambda: self._audit(tick))
        asks, person, flips = draw.random() < 0.12, draw.random(), draw.random() < 0.1
        if calm:
            return
        self._edge_is_down ^= flips
        if asks or minute == self._middle:
            purpose = draw.choice((Purpose.DECISION, Purpose.DECISION, Purpose.NEWS, Purpose.SHADOW))
            for _ in range(draw.randint(2, 3)):
                self._plan_question(tick, purpose)
        if person < 0.12:
            self._plan_grant(tick)
        elif person > 0.9:
            self._at(tick, 30, "release", self._release_what_cost_nothing)

    def calm_down(self) -> None:
        """Let nothing go wrong from now on."""
        self._network.calm = True
        self.provider.bad = 0.0

    def hear(self) -> None:
        """Take the alerts that wait; how alerts arrive is for the watch to try."""
        if len(self._alerts):
            for alert, _ in self._alerts.receive(len(self._alerts)):
                self.checks.on_alert(alert)

    def at_rest(self) -> None:
        """Check what must hold at the end."""
        self.checks.at_rest()
        broken = first_break(self._journal.links())
        if broken is not None:
            raise Violation(5, f"journal of the questions broken at {broken.day} {broken.sequence}: {broken.what}")

    @property
    def seen(self) -> Counter[str]:
        """Count what was asked, answered, booked and told."""
        endings = {f"answer {ending}": count for ending, count in self.provider.endings.items()}
        return self.checks.seen + self.checks.spread + Counter(endings)

    def _at(self, tick: Tick, seconds: float, name: str, call: Callable[[], object]) -> None:
        self._count += 1
        named = f"{name} {self._count}"
        self._scheduler.at(tick.scheduled + timedelta(seconds=seconds), lambda: self._invoke(named, call))

    def _plan_question(self, tick: Tick, purpose: Purpose) -> None:
        """Ask something; the same may be delivered again at once, and several times within some minutes."""
        draw = self._random
        question, first, patience = self._question(purpose), _ASKED_FROM + draw.random(), draw.uniform(3, 30)
        again = [first + draw.random()] if draw.random() < self._twice else []
        if draw.random() < self._twice:
            again += [first + draw.uniform(30, 200) for _ in range(draw.randint(1, 3))]
        for seconds in (first, *again):
            self._at(tick, seconds, "ask", self._ask(question, f"asker {self._count}", timedelta(seconds=patience)))

    def _ask(self, question: Question, run: str, patience: timedelta) -> Callable[[], object]:
        def ask() -> object:
            return self._climb(question, self._clock.now() + patience, run, read=_read, suffices=_suffices)

        return ask

    def _question(self, purpose: Purpose) -> Question:
        draw, name = self._random, f"{self._count}"
        granted = draw.choice(self._grants) if self._grants and draw.random() < 0.4 else None
        return Question(
            work=WorkId(f"work {name}"),
            purpose=purpose,
            task=Task.DECISION,
            system="You weigh one position.",
            user=f"question {name} " + "x" * draw.randint(0, 150),
            schema=_SCHEMA,
            decision=DecisionId(name) if purpose is Purpose.DECISION else None,
            most_tokens=200,
            least_tokens=50,
            shared_prefix=draw.random() < 0.5,
            highest=draw.choice((Rung.SONNET, Rung.OPUS)),
            request=draw.choice(("", "", "a person")),
            grant=granted,
        )

    def _plan_grant(self, tick: Tick) -> None:
        """Let a person allow a call, and now and then press the button twice."""
        grant = GrantId(f"grant {self._count}")
        self._grants.append(grant)
        for _ in range(self._random.randint(1, 2)):
            self._at(tick, self._random.uniform(5, 15), "grant", lambda: self._grant(grant, "a person", "simulated"))

    def _release_what_cost_nothing(self) -> None:
        """Let a person release what the provider's own pages show as never charged, once its call is over."""
        for held in self._release.open():
            is_over = self._clock.now() > held.expires_at - self._rules.expires_after
            if is_over and self.checks.cost_nothing(held):
                try:
                    self._release(held.id, "a person", "the provider charged nothing")
                except InvalidValue:
                    continue  # settled or expired meanwhile

    def _strike(self, attempt: Attempt) -> Fault:
        return self._network.strike("model.ask", (attempt,), writes=True, broker=False)

    def _wait(self, least: timedelta, most: timedelta) -> None:
        if self._scheduler.pause(least + self._random.random() * (most - least)):
            self._scheduler.crash()


def _draw_rules(random: Random) -> BudgetRules:
    """Draw limits that a few questions reach."""
    day = random.choice((5_000, 8_000, 40_000))
    return BudgetRules(
        day=day,
        month=int(day * random.choice((Decimal("0.6"), Decimal("0.9"), Decimal(4)))),
        warn_at=(day // 2,),
        decisions=random.choice((2, 20)),
        warn_decisions=1,
        grant=1_500,
        grants_a_day=2,
        expires_after=timedelta(seconds=random.choice((10, 60))),
        remembered=random.choice((1, 3)) * MINUTE,
    )


def _tariffs(changes: datetime) -> dict[ModelId, Tariff]:
    return {
        model: Tariff(short=_SHORT, rate=short, for_long=long, changes=changes, changed=changed)
        for model, (short, long, changed) in _RATES.items()
    }


def _known(tariffs: Mapping[ModelId, Tariff], start: datetime, random: Random) -> PriceTable:
    """Write the price table; now and then nobody has put a model's new price into it."""
    rows = []
    for model, tariff in tariffs.items():
        since, until = start - timedelta(days=1), tariff.changes
        rows.append(_row(model, tariff.rate, since=since, until=until, longest_prompt=tariff.short))
        rows.append(_row(model, tariff.for_long, since=since, until=until))
        if random.random() < 0.7:
            rows.append(_row(model, tariff.changed, since=until))
    return PriceTable(tuple(rows))


def _row(model: ModelId, rate: Rate, **reach: Any) -> PriceRow:
    prices: dict[str, Any] = {kind: Decimal(thousandths) / 1000 for kind, thousandths in rate._asdict().items()}
    return PriceRow(model=model, **prices, **reach)


def _read(text: str) -> Plain:
    try:
        value: Plain = json.loads(text)
    except ValueError:
        raise Misread("no JSON") from None
    return value


def _suffices(value: Plain) -> str:
    return "" if value == json.loads(SURE) else "not sure"
