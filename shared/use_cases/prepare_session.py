"""Prepare the trading day before it opens: calendar, corporate actions, volatility, equity (OPS-13, PRC-06, MOV-04).

Decided: the plan is journaled, then stored, then told; a part that cannot be had is a problem in the plan, and a later
run asks for that part alone. The equity is the one the last reconciliation took over, because only that one holds the
keys of the account that trades (SEC-02).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.assets import Symbol
from shared.domain.corporate_actions import LATE_BY
from shared.domain.credentials import RotationRules, due_credentials
from shared.domain.day_plan import (
    ACTIONS_AHEAD,
    ACTIONS_BACK,
    CALENDAR_AHEAD,
    CALENDAR_BACK,
    DayActions,
    DayCalendar,
    DayPlan,
    Part,
    empty_plan,
    exchange_date,
)
from shared.domain.errors import HearthwatchError, TryAgain, Unavailable
from shared.domain.intents import AccountId
from shared.domain.stage import words_to_type
from shared.domain.times import Tick, iso
from shared.ports.book import BrokerRecords, Ledgers, Positions, Watchlist
from shared.ports.clock import Clock
from shared.ports.confirmations import Confirmations
from shared.ports.credentials import Credentials
from shared.ports.day_plans import DayPlans, DaySources
from shared.ports.messages import AlertQueue
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.tell import tell_quietly
from shared.use_cases.watched_symbols import watched_symbols

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareRules:
    """Bounds of the preparation: how old the equity may be, and when credentials are due."""

    equity_good_for: timedelta = timedelta(minutes=15)
    rotation: RotationRules = field(default_factory=RotationRules)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareSession:
    """Prepare today's plan, once; running again fills only what is missing and changes nothing else."""

    account: AccountId
    clock: Clock
    sources: DaySources
    watchlist: Watchlist
    positions: Positions
    ledgers: Ledgers
    records: BrokerRecords
    plans: DayPlans
    credentials: Credentials
    confirmations: Confirmations
    alerts: AlertQueue
    record: RecordFact
    rules: PrepareRules = field(default_factory=PrepareRules)

    def __call__(self, tick: Tick) -> DayPlan | None:
        """Return the plan that stands for today, prepared now or before; None when New York does not trade today.

        A job of another day comes too late and prepares nothing. Raises TryAgain when there is no calendar, or the
        plan cannot be journaled or stored: then there is no plan.
        """
        now = self.clock.now()
        today = exchange_date(now)
        if exchange_date(tick.scheduled) != today:
            return None
        newest = self.plans.latest()
        stored = newest if newest is not None and newest.day == today else None
        if stored is not None and stored.is_complete:
            return stored
        calendar = stored.calendar if stored is not None else self._calendar(today, now)
        if not calendar.between(today, today):
            return None
        plan = self._filled(stored or empty_plan(today, now, calendar), newest, now)
        if not plan.is_better_than(stored):
            return stored
        self.record("session_prepared", now, **_fields(plan))
        if not self.plans.put(plan):
            return self.plans.get(today)
        self._tell_problems(plan, stored)
        if stored is None:
            self._remind(today, now)
        return plan

    def _calendar(self, today: date, now: datetime) -> DayCalendar:
        first, last = today - CALENDAR_BACK, today + CALENDAR_AHEAD
        try:
            days = tuple(self.sources.calendar.days(first, last))
            if not days:
                raise Unavailable(f"it lists no session from {first} to {last}")
            return DayCalendar(first=first, last=last, days=days)
        except TryAgain as error:
            text = f"The day cannot be prepared without the exchange's calendar: {error}"
            tell_quietly(self.alerts, _alert("calendar", today, now, text, Severity.CRITICAL))
            raise

    def _filled(self, plan: DayPlan, newest: DayPlan | None, now: datetime) -> DayPlan:
        """Ask for every part that is missing; what is there stays as it is."""
        filled = replace(plan, prepared_at=now)
        asks: Mapping[Part, Callable[[DayPlan], DayPlan]] = {
            Part.ACTIONS: self._with_actions,
            Part.VOLATILITY: self._with_sigmas,
            Part.EQUITY: lambda plan: self._with_equity(plan, newest),
        }
        for part in (part for part in Part if part in plan.missing):
            try:
                filled = asks[part](filled)
            except HearthwatchError as error:
                log.warning("part of the day not prepared", extra={"part": part, "problem": str(error)})
                filled = filled.without(part, str(error))
        return filled

    def _with_actions(self, plan: DayPlan) -> DayPlan:
        """Look up splits and dividends, back to before the position that is furthest behind was adjusted last."""
        symbols = self._symbols()
        after = min([plan.day - ACTIONS_BACK, *(p.adjusted_through - LATE_BY for p in self.positions.all())])
        upto = plan.day + ACTIONS_AHEAD
        known = self.sources.actions.actions(symbols, after, upto) if symbols else ()
        return plan.with_actions(DayActions(symbols=frozenset(symbols), after=after, upto=upto, known=tuple(known)))

    def _with_sigmas(self, plan: DayPlan) -> DayPlan:
        symbols = self._symbols()
        ended = [day for day in plan.calendar.days if day.date < plan.day]
        return plan.with_sigmas(self.sources.history.sigmas(symbols, ended, plan.prepared_at) if symbols else {})

    def _with_equity(self, plan: DayPlan, newest: DayPlan | None) -> DayPlan:
        facts = self.records.last()
        if facts is None:
            raise Unavailable("nothing was reconciled with the broker yet")
        if plan.prepared_at - facts.at > self.rules.equity_good_for:
            raise Unavailable(f"the last reconciliation with the broker was at {iso(facts.at)}")
        return plan.with_equity(facts.equity, newest)

    def _symbols(self) -> list[Symbol]:
        return watched_symbols(self.account, self.watchlist, self.positions, self.ledgers)

    def _tell_problems(self, plan: DayPlan, stored: DayPlan | None) -> None:
        """Tell once of each part that is missing, and of each that was missing and is there now."""
        known = stored.missing if stored is not None else frozenset()
        for part in sorted(plan.missing - known):
            text = f"Today's {part} could not be prepared: {plan.problems[part]}"
            tell_quietly(self.alerts, _alert(part, plan.day, plan.prepared_at, text))
        for part in sorted(known - plan.missing):
            alert = _alert(part, plan.day, plan.prepared_at, f"Today's {part}: prepared now", Severity.INFO)
            tell_quietly(self.alerts, replace(alert, recovers=True))

    def _remind(self, today: date, now: datetime) -> None:
        """Remind of what a person must renew; a look-up that fails is told, for nobody would miss the reminder."""
        try:
            self._remind_of_credentials(today, now)
            self._remind_of_confirmation(today, now)
        except TryAgain as error:
            text = f"Nobody can be reminded of credentials today: {error}"
            tell_quietly(self.alerts, _alert("reminders", today, now, text))

    def _remind_of_credentials(self, today: date, now: datetime) -> None:
        for due in due_credentials(self.credentials.ages(now), self.rules.rotation):
            alert = Alert(
                kind=AlertKind.CREDENTIAL_DUE,
                severity=Severity.CRITICAL if due.is_overdue else Severity.WARNING,
                subject=due.name,
                at=now,
                text=due.text,
                occurrence=f"{due.name}|{today}",
            )
            tell_quietly(self.alerts, alert)

    def _remind_of_confirmation(self, today: date, now: datetime) -> None:
        confirmation = self.confirmations.get()
        if confirmation is None or not confirmation.ends_soon(now):
            return
        words = words_to_type(confirmation.stage, confirmation.account)
        text = f'Live trading ends at {iso(confirmation.expires_at)} unless confirmed again by typing "{words}"'
        alert = Alert(
            kind=AlertKind.LIVE_TRADING,
            severity=Severity.CRITICAL,
            subject=f"account {confirmation.account}",
            at=now,
            text=text,
            occurrence=f"ends|{today}",
        )
        tell_quietly(self.alerts, alert)


def _alert(subject: str, day: date, now: datetime, text: str, severity: Severity = Severity.WARNING) -> Alert:
    kind = AlertKind.SESSION_UNPREPARED
    return Alert(kind=kind, severity=severity, subject=subject, at=now, text=text, occurrence=day.isoformat())


def _fields(plan: DayPlan) -> dict[str, object]:
    actions = plan.actions.known if plan.actions else ()
    return {
        "date": plan.day,
        "equity": "unknown" if plan.equity is None else plan.equity,
        "week_equity": "unknown" if plan.week_equity is None else plan.week_equity,
        "sigmas": {symbol: "unknown" if sigma is None else sigma for symbol, sigma in plan.sigmas.items()},
        "actions": [f"{a.symbol} {a.ex_date} {a.kind} {a.ratio} {a.cash_amount}" for a in actions],
        "problems": {part.value: text for part, text in plan.problems.items()},
    }
