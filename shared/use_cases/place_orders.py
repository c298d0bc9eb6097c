"""Drain prepared intents to the broker, each at most once (ORD-04, ORD-05, ORD-08, RSK-05; faults 4 to 12, 43).

The order of steps around one send is the heart of the second invariant. The journal learns what will be sent; one
conditional write claims the intent as SENT; the kill switch is read; the clock is read; then the request leaves. A
crash at any point leaves an intent that reconciliation resolves by asking the broker for its id.

Exits go first, then stops that are withdrawn or placed, then entries. The broker acts on one side of a symbol at a
time, so a trade in a protected symbol waits until the broker no longer works its stops: `_stops_are_gone`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.assets import Symbol
from shared.domain.errors import (
    BrokerRefusal,
    Conflict,
    HearthwatchError,
    OutcomeUnknown,
    Refusal,
    Throttled,
    TryAgain,
)
from shared.domain.gate import GateVerdict
from shared.domain.intents import (
    AT_BROKER,
    SOLD_ALREADY,
    AccountId,
    Intent,
    IntentId,
    IntentState,
)
from shared.domain.ledger import Ledger
from shared.domain.money import ZERO, plain
from shared.domain.orders import HeldPosition, Order, OrderStatus, request_for
from shared.domain.protection import EXIT_FIRST
from shared.domain.session import Session, SessionState
from shared.domain.times import iso
from shared.domain.trade_fields import trade_fields
from shared.ports.book import Controls, Leases, Ledgers
from shared.ports.broker import Broker
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue, Doorbell
from shared.use_cases.check_risk import read_kill_switch
from shared.use_cases.judge_session_now import JudgeSessionNow
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.tell import ring_quietly, tell_quietly
from shared.use_cases.weigh_entry import WeighEntry

log = logging.getLogger(__name__)

_TRIES: Final = 10
_S = IntentState


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorRules:
    """Bounds of the executor.

    The `lease` outlives every request begun under it: sending starts at most `start_within` after the claim and the
    broker call ends within 12 s (2 s to connect, 10 s to read), well before the `send_deadline` after which a look-up
    that finds nothing counts as "never arrived". New sends stop `stop_before` the lease's end. An entry not sent
    within `entry_good_for` is abandoned; after an unknown outcome the doorbell rings again in `look_again`. However
    long the broker asks us to wait, an exit is tried again after `longest_quiet`. An entry that rests keeps the stop of
    what is held already away from the broker, so it is canceled after `unprotected_for`. The last `reserve` of the
    requests the broker takes a minute (200) are kept for exits, five to ten of them: entries wait for the next minute.
    A stop that was not sent within `stop_good_for` is planned anew.
    """

    lease: timedelta = timedelta(seconds=60)
    stop_before: timedelta = timedelta(seconds=20)
    start_within: timedelta = timedelta(seconds=10)
    send_deadline: timedelta = timedelta(seconds=30)
    unprotected_for: timedelta = timedelta(minutes=5)
    stop_good_for: timedelta = timedelta(minutes=10)
    entry_good_for: timedelta = timedelta(minutes=10)
    look_again: timedelta = timedelta(seconds=5)
    longest_quiet: timedelta = timedelta(seconds=60)
    reserve: int = 40


@dataclass(slots=True, kw_only=True)
class PlaceReport:
    """What one executor run did; `busy` means that another run holds the lease."""

    busy: bool = False
    sent: list[IntentId] = field(default_factory=list)
    waiting: list[IntentId] = field(default_factory=list)
    abandoned: list[IntentId] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrders:
    """Run the executor once under the lease; `owner` is a token no other run shares."""

    account: AccountId
    clock: Clock
    broker: Broker
    session: JudgeSessionNow
    weigh: WeighEntry
    ledgers: Ledgers
    leases: Leases
    controls: Controls
    alerts: AlertQueue
    doorbell: Doorbell
    record: RecordFact
    rules: ExecutorRules = field(default_factory=ExecutorRules)

    def __call__(self, owner: str) -> PlaceReport:
        """Send what is prepared and cancel what must not rest; a failing intent never delays another's exit."""
        ledger = self.ledgers.load(self.account)  # without the lease: most minutes there is nothing to do
        if not any(map(_wants_work, ledger.open.values())):
            return PlaceReport()
        run = _Run(self, owner, self.clock.now(), PlaceReport())
        if not run.takes_lease(ledger):
            return PlaceReport(busy=True)
        try:
            run.drain()
        finally:
            self._release(owner)
        return run.report

    def _release(self, owner: str) -> None:
        """Give the lease back; when that fails it runs out by itself."""
        try:
            self.leases.release("executor", owner)
        except TryAgain as error:
            log.warning("lease not released", extra={"owner": owner, "problem": str(error)})


class _Run:
    """One executor run: what it may assume for its short life, and its steps."""

    def __init__(self, executor: PlaceOrders, owner: str, started: datetime, report: PlaceReport) -> None:
        self.x = executor
        self.owner = owner
        self.started = started
        self.report = report
        self.stop_at = started + executor.rules.lease - executor.rules.stop_before
        self.held_back = False
        self.now_session: Session | None = None
        self.held: Mapping[Symbol, HeldPosition] | None = None
        self.withdrawn: set[Symbol] = set()
        self.sold: dict[Symbol, Decimal] = {}

    def takes_lease(self, ledger: Ledger) -> bool:
        """Say whether the lease is ours; while the Book takes no writes, tell of the exits that wait (fault 32)."""
        until = self.started + self.x.rules.lease
        try:
            return self.x.leases.acquire("executor", self.owner, self.started, until)
        except TryAgain as error:
            for intent in ledger.in_state(_S.PREPARED):
                if not intent.is_entry:
                    self._problem(intent, error)
            raise

    def drain(self) -> None:
        """Work off exits first, then cancels, then stops, then entries."""
        ledger = self.x.ledgers.load(self.x.account)
        prepared = ledger.in_state(_S.PREPARED)
        if self._is_before(ledger.quiet_until):
            self.report.waiting += [intent.id for intent in prepared]
            return
        self._each([i for i in prepared if not i.is_entry and not i.rests], self._place_exit)
        resting_entries = [i for i in ledger.in_state(*AT_BROKER) if i.is_entry]
        if self._entries_must_go():
            self._each(resting_entries, self._cancel)
        else:
            self._each([i for i in resting_entries if self._rests_too_long(i)], self._cancel)
        self._each([i for i in ledger.open.values() if i.rests and i.withdrawn], self._withdraw)
        self._each([i for i in prepared if i.rests and not i.withdrawn], self._place_stop)
        if self._is_before(ledger.entries_quiet_until):
            self.report.waiting += [intent.id for intent in prepared if intent.is_entry]
            return
        self._each([i for i in prepared if i.is_entry], self._place_entry)

    def _is_before(self, until: datetime | None) -> bool:
        return until is not None and self.x.clock.now() < until

    def _each(self, intents: list[Intent], step: Callable[[IntentId], None]) -> None:
        for intent in intents:
            if self.held_back:
                self.report.waiting.append(intent.id)
                continue
            if self.x.clock.now() >= self.stop_at:
                self.report.waiting.append(intent.id)
                ring_quietly(self.x.doorbell)
                continue
            try:
                step(intent.id)
            except Throttled as error:
                self.report.waiting.append(intent.id)
                self._hold_back(error)
            except HearthwatchError as error:
                self._problem(intent, error)

    def _hold_back(self, error: Throttled) -> None:
        """Remember until when the broker wants quiet, and wake up then (fault 9)."""
        self.held_back = True
        wait = min(error.retry_after, self.x.rules.longest_quiet)
        now = self.x.clock.now()
        self._change(lambda ledger: ledger.quieted(now + wait, now + error.retry_after))
        ring_quietly(self.x.doorbell, wait)
        self.report.problems.append(f"broker asks to wait {error.retry_after.total_seconds():g} s")

    def _problem(self, intent: Intent, error: Exception) -> None:
        self.report.problems.append(f"{intent.symbol} {intent.id}: {error}")
        if intent.is_entry:
            subject = f"order {intent.symbol}"
            self._tell(intent, AlertKind.SYSTEM_ERROR, Severity.WARNING, subject, str(error), intent.id)
        elif intent.rests:
            self._stop_waits(intent, str(error))
        else:
            text = f"{intent.symbol}: the exit was not sent, trying again at the next tick: {error}"
            self._tell(intent, AlertKind.EXIT_BLOCKED, Severity.CRITICAL, intent.symbol, text, self._minute())

    # exits

    def _place_exit(self, intent_id: IntentId) -> None:
        """Send a protective exit: nothing but the session, what is held, and a resting opposite order can hold it."""
        intent = self._prepared(intent_id)
        if intent is None or self._arrived_after_all(intent) or self._is_frozen(intent):
            return
        session = self._session()
        if not session.is_open:
            self._wait_for_open(intent, session)
            return
        if self._cancel_opposite(intent) or not self._stops_are_gone(intent.symbol, EXIT_FIRST):
            self.report.waiting.append(intent.id)
            return
        held = self._holding(intent.symbol)
        wanted = intent.quantity - self.sold.get(intent.symbol, ZERO)
        if held is None or wanted <= ZERO:
            self._abandon(intent, SOLD_ALREADY)
            return
        if held.available < min(wanted, held.quantity) and intent.symbol in self.withdrawn:
            # the broker has not given back yet what the stop reserved
            self.report.waiting.append(intent.id)
            ring_quietly(self.x.doorbell, self.x.rules.look_again)
            return
        if held.available <= ZERO:
            self._blocked(intent, f"all {plain(held.quantity)} shares are reserved by another order")
            return
        self._send(replace(intent, quantity=min(wanted, held.available)))

    def _is_frozen(self, intent: Intent) -> bool:
        """Say whether a person froze exits and stops too, and tell of the one that waits; unreadable is not frozen."""
        switch = read_kill_switch(self.x.controls)
        if not switch.freezes:
            return False
        self.report.waiting.append(intent.id)
        what = "stop" if intent.rests else "exit"
        text = f"{intent.symbol}: the {what} is held back: {switch.words}. It goes once `clear` is typed."
        self._tell(intent, AlertKind.EXIT_BLOCKED, Severity.CRITICAL, intent.symbol, text, self._minute())
        return True

    def _wait_for_open(self, intent: Intent, session: Session) -> None:
        self.report.waiting.append(intent.id)
        if session.state is SessionState.UNSURE:
            text = f"{intent.symbol}: the exit waits, the session is unsure ({session.reason})"
            self._tell(intent, AlertKind.SESSION_UNSURE, Severity.CRITICAL, intent.symbol, text, self._minute())

    def _cancel_opposite(self, intent: Intent) -> bool:
        """Cancel our own resting buy in the symbol first: the broker refuses both sides at once."""
        ledger = self.x.ledgers.load(self.x.account)
        entry = ledger.open_for(intent.symbol, intent.side.opposite)
        if entry is None:
            return False
        if entry.state is _S.PREPARED:
            self._abandon(entry, "an exit in the symbol goes first")
            return False
        if entry.state in AT_BROKER:
            self._cancel(entry.id)
            ring_quietly(self.x.doorbell, self.x.rules.look_again)
            return True
        return False

    def _holding(self, symbol: Symbol) -> HeldPosition | None:
        """Take what the broker holds, not what our book says (fault 7); one read per run."""
        if self.held is None:
            self.held = {position.symbol: position for position in self.x.broker.positions()}
        return self.held.get(symbol)

    def _blocked(self, intent: Intent, why: str) -> None:
        self.report.waiting.append(intent.id)
        text = f"{intent.symbol}: the exit cannot be sent: {why}. Cancel that order at the broker."
        self._tell(intent, AlertKind.EXIT_BLOCKED, Severity.CRITICAL, intent.symbol, text, self._minute())

    # stops that rest

    def _place_stop(self, intent_id: IntentId) -> None:
        """Send a protective stop; whatever the plan was made on, it never covers more than is held and free.

        A stop at or above the price would sell at once, past the rules that confirm a fall: that is for the software
        stop. An old plan, such as one of the night before, is made anew: a split may have come between.
        """
        ledger = self.x.ledgers.load(self.x.account)
        intent = ledger.open.get(intent_id)
        if intent is None or intent.state is not _S.PREPARED or self._arrived_after_all(intent):
            return
        if self._is_frozen(intent):
            return
        if ledger.trade_in(intent.symbol) is not None:
            self._abandon(intent, "a trade in the symbol goes first")
            return
        if self.x.clock.now() - intent.created_at > self.x.rules.stop_good_for:
            self._abandon(intent, "planned too long ago")
            return
        if not self._session().is_open or self._is_reached(intent):
            self.report.waiting.append(intent.id)
            return
        held = self._holding(intent.symbol)
        if held is None or held.quantity < intent.quantity:
            self._abandon(intent, f"{plain(held.quantity) if held else 'nothing'} of {intent.symbol} is held")
            return
        if held.available < intent.quantity:
            self._stop_waits(intent, f"only {plain(held.available)} shares are not reserved by another order")
            return
        self._send(intent)

    def _is_reached(self, stop: Intent) -> bool:
        """Say whether the last price, or one that waits for confirmation, is at or below a stop."""
        quote = self.x.weigh.fresh_quotes().get(stop.symbol)
        seen = None if quote is None else quote.price if quote.price is not None else quote.suspect
        return seen is not None and seen <= stop.worst_price

    def _stop_waits(self, intent: Intent, why: str) -> None:
        """Tell of a stop that does not rest yet; the software stop watches meanwhile."""
        self.report.waiting.append(intent.id)
        text = f"{intent.symbol}: the stop cannot rest at the broker, the software stop goes on: {why}"
        self._tell(intent, AlertKind.STOP_NOT_RESTING, Severity.WARNING, intent.symbol, text, self._minute())

    def _withdraw(self, intent_id: IntentId) -> None:
        """Cancel a stop that is to go; one that began to fill is left to fill."""
        intent = self.x.ledgers.load(self.x.account).open.get(intent_id)
        if intent is None:
            return
        if intent.state is _S.PREPARED:
            self._abandon(intent, intent.withdrawn)
            return
        if read_kill_switch(self.x.controls).freezes:
            # under a freeze no exit can follow: what rests at the broker is all that protects
            self.report.waiting.append(intent.id)
            return
        order = self.x.broker.order_by_client_id(intent_id)
        if order is not None and order.is_live and not order.filled_quantity:
            self._cancel_order(order)

    def _stops_are_gone(self, symbol: Symbol, why: str) -> bool:
        """Withdraw the resting stops of a symbol; True once the broker works none of them any more.

        A stop that may still be on its way counts as there until the send deadline: landing after the sale, it would
        sell what is no longer held.
        """
        gone = True
        for stop in self.x.ledgers.load(self.x.account).stops_of(symbol):
            if stop.state is _S.PREPARED:
                self._abandon(stop, why)
            elif not self._is_gone(stop, why):
                gone = False
        if not gone:
            ring_quietly(self.x.doorbell, self.x.rules.look_again)
        return gone

    def _is_gone(self, stop: Intent, why: str) -> bool:
        order = self.x.broker.order_by_client_id(stop.id)
        if order is None:
            return stop.sent_at is not None and self.x.clock.now() - stop.sent_at > self.x.rules.send_deadline
        if not order.is_live:
            self._note_sold(stop, order)
            return True
        if not stop.withdrawn:
            self._change_intent(stop.id, lambda i: replace(i, withdrawn=why))
        self._cancel_order(order)
        self.held = None  # what the stop reserved is free now
        self.withdrawn.add(stop.symbol)
        order = self.x.broker.order_by_client_id(stop.id)
        if order is None or order.is_live:
            return False
        self._note_sold(stop, order)
        return True

    def _note_sold(self, stop: Intent, order: Order) -> None:
        """Count what a stop sold since the last pass: the broker's positions may not show it yet."""
        since = order.filled_quantity - stop.filled_quantity
        if since > ZERO:
            self.sold[stop.symbol] = self.sold.get(stop.symbol, ZERO) + since

    # entries

    def _rests_too_long(self, entry: Intent) -> bool:
        """Say whether a resting entry keeps the stop of held shares away from the broker for too long."""
        if entry.sent_at is None or self.x.clock.now() - entry.sent_at <= self.x.rules.unprotected_for:
            return False
        try:
            return self._holding(entry.symbol) is not None
        except HearthwatchError as error:
            log.warning("holdings unknown", extra={"symbol": entry.symbol, "problem": str(error)})
            return False

    def _must_spare_requests(self) -> bool:
        """Say whether the requests left in the broker's rate window are kept for exits, and wake up after it (ORD-08).

        Judging the session asked the broker already, so what is left is known.
        """
        self._session()
        left, now = self.x.broker.allowance(), self.x.clock.now()
        if left is None or left.resets_at <= now or left.remaining > self.x.rules.reserve:
            return False
        ring_quietly(self.x.doorbell, left.resets_at - now)
        return True

    def _place_entry(self, intent_id: IntentId) -> None:
        """Put an entry before the gate again and send what still passes; never more than was prepared."""
        ledger = self.x.ledgers.load(self.x.account)
        intent = ledger.open.get(intent_id)
        if intent is None or intent.state is not _S.PREPARED or self._arrived_after_all(intent):
            return
        if self.x.clock.now() - intent.created_at > self.x.rules.entry_good_for:
            self._abandon(intent, "not sent in time")
            return
        if self._must_spare_requests():
            self.report.waiting.append(intent.id)
            return
        verdict = self._weighed(intent, ledger)
        if not verdict.passes:
            self._abandon(intent, "; ".join(verdict.reasons))
            return
        if ledger.stops_of(intent.symbol):
            if not self._stops_are_gone(intent.symbol, "an entry goes first"):
                self.report.waiting.append(intent.id)
                return
            ledger = self.x.ledgers.load(self.x.account)
            verdict = self._weighed(intent, ledger)
            if not verdict.passes:
                self._abandon(intent, "; ".join(verdict.reasons))
                return
        gate = (*intent.evidence.gate, *(verdict.reasons or ("passed again before sending",)))
        gated = replace(intent, quantity=verdict.quantity, evidence=replace(intent.evidence, gate=gate))
        self._send(gated, ledger)

    def _weighed(self, intent: Intent, ledger: Ledger) -> GateVerdict:
        session = self._session()
        return self.x.weigh(intent.symbol, intent.quantity, intent.worst_price, ledger, session, besides=intent.id)

    def _entries_must_go(self) -> bool:
        """Say whether open entry orders must be canceled: the kill switch, or a state that halts (fault 43)."""
        if read_kill_switch(self.x.controls).engaged:
            return True
        state = self.x.controls.trading_state()
        return state is not None and state.cancels_entries

    def _cancel(self, intent_id: IntentId) -> None:
        """Ask the broker to cancel; reconciliation sees when that happened."""
        intent = self.x.ledgers.load(self.x.account).open.get(intent_id)
        order = self.x.broker.order_by_client_id(intent_id) if intent else None
        if order is not None and order.is_live:
            self._cancel_order(order)

    def _cancel_order(self, order: Order) -> None:
        try:
            self.x.broker.cancel(order)
        except BrokerRefusal as refusal:
            if refusal.kind is not Refusal.NOT_CANCELABLE:
                raise

    # one send

    def _arrived_after_all(self, intent: Intent) -> bool:
        """Before a second send look for the first: an order that took its time is adopted, not sent again (fault 5)."""
        order = self.x.broker.order_by_client_id(intent.id) if intent.sends else None
        if order is None:
            return False
        self._change_intent(intent.id, lambda i: _step(i, _S.SENT))
        self._accepted(intent, order)
        return True

    def _send(self, intent: Intent, judged: Ledger | None = None) -> None:
        """Journal, claim, read the kill switch, read the clock, send; in this order.

        An entry's claim is conditional on the very ledger the gate judged; an exit's claim reads again and retries.
        """
        now = self.x.clock.now()
        recorded = self._record_send(intent, now)
        claim = replace(intent, owner=self.owner, sends=intent.sends + 1, sent_at=now, recorded=recorded).moved_to(
            _S.SENT
        )
        if not self._claim(claim, judged):
            return
        if claim.is_entry and read_kill_switch(self.x.controls).engaged:
            self._hand_back(claim, "the kill switch was set before sending")
            return
        if not claim.is_entry and self._is_frozen(claim):
            self._change_intent(claim.id, lambda i: _unsent(i) if i.owner == self.owner else i)
            return
        if self.x.clock.now() - now > self.x.rules.start_within:
            log.warning("claimed too long ago to send, handed back", extra={"intent": claim.id})
            self._change_intent(claim.id, lambda i: _unsent(i) if i.owner == self.owner else i)
            ring_quietly(self.x.doorbell)
            return
        self._submit(claim)

    def _record_send(self, intent: Intent, now: datetime) -> bool:
        """Journal the send first; an exit goes on without (the journal is caught up later), an entry does not."""
        try:
            self.x.record("order_sending", now, owner=self.owner, **intent.fields())
        except HearthwatchError:
            if intent.is_entry:
                raise
            return False
        return True

    def _claim(self, claim: Intent, judged: Ledger | None) -> bool:
        for _ in range(_TRIES):
            ledger = judged or self.x.ledgers.load(self.x.account)
            stored = ledger.open.get(claim.id)
            if stored is None or stored.state is not _S.PREPARED:
                return False
            if claim.rests and (stored.withdrawn or ledger.trade_in(claim.symbol) is not None):
                return False
            claimed = ledger.with_changed(replace(claim, told=stored.told))
            if claim.is_entry and claim.sent_at is not None:
                claimed = claimed.with_entry_sent(claim, claim.sent_at)
            try:
                self.x.ledgers.save(claimed)
            except Conflict:
                if judged is not None:
                    raise
                continue
            return True
        raise Conflict(f"the ledger stayed contended over {_TRIES} tries")

    def _submit(self, claim: Intent) -> None:
        try:
            order = self.x.broker.submit(request_for(claim))
        except BrokerRefusal as refusal:
            self._refused(claim, refusal)
        except OutcomeUnknown as error:
            self._look_up(claim, str(error))
        except TryAgain as error:
            # certainly not taken: 429, or no connection was made
            self._change_intent(claim.id, _unsent)
            ring_quietly(self.x.doorbell, self.x.rules.look_again)
            raise error
        else:
            self._accepted(claim, order)

    def _accepted(self, claim: Intent, order: Order) -> None:
        """Record that the broker has it. Fills are left to reconciliation, which sees cash and shares with them."""
        self.report.sent.append(claim.id)
        if order.status is OrderStatus.REJECTED:
            self._reject(claim, "the broker rejected it on arrival", order.id)
            return
        log.info("order sent", extra={"intent": claim.id, "symbol": claim.symbol, "order": order.id})
        confirmed = order.status is not OrderStatus.PENDING
        self._change_intent(claim.id, lambda i: _step(i, _S.ACKED, broker_order_id=order.id, confirmed=confirmed))
        self._record_quietly("order_acknowledged", claim, order=order.id, status=order.status)

    def _look_up(self, claim: Intent, problem: str) -> None:
        """After an unknown outcome ask for the id once; if that tells nothing the intent is UNKNOWN (fault 7)."""
        order = self._find(claim)
        if order is not None:
            self._accepted(claim, order)
            return
        self._change_intent(claim.id, lambda i: _step(i, _S.UNKNOWN))
        text = f"{claim.symbol}: whether the broker has the {claim.side} order is unknown ({problem}); asking again"
        self._tell(claim, AlertKind.ORDER_UNKNOWN, Severity.WARNING, claim.id, text, claim.id)
        ring_quietly(self.x.doorbell, self.x.rules.look_again)

    def _find(self, claim: Intent) -> Order | None:
        try:
            return self.x.broker.order_by_client_id(claim.id)
        except TryAgain:
            return None

    def _refused(self, claim: Intent, refusal: BrokerRefusal) -> None:
        if refusal.kind is Refusal.USED_ID:
            self._look_up(claim, "the broker has seen this id")
        elif not claim.is_entry and refusal.kind in _EXIT_WAITS:
            self._change_intent(claim.id, _unsent)
            if claim.rests:
                self._stop_waits(claim, refusal.message)
            else:
                self._blocked(claim, refusal.message)
        else:
            self._reject(claim, str(refusal), "")

    def _reject(self, claim: Intent, why: str, order_id: str) -> None:
        severity = Severity.WARNING if claim.is_entry else Severity.CRITICAL
        text = f"{claim.symbol}: the broker refused the {claim.side} order: {why}"
        self._tell(claim, AlertKind.ORDER_REFUSED, severity, claim.id, text, claim.id)
        closed_at = self.x.clock.now()
        self._change_intent(
            claim.id, lambda i: _step(i, _S.REJECTED, note=why, closed_at=closed_at, broker_order_id=order_id)
        )

    # the ledger

    def _prepared(self, intent_id: IntentId) -> Intent | None:
        intent = self.x.ledgers.load(self.x.account).open.get(intent_id)
        return intent if intent is not None and intent.state is _S.PREPARED else None

    def _hand_back(self, claim: Intent, why: str) -> None:
        """Give up a claimed entry that was never sent."""
        self._change_intent(claim.id, _unsent)
        self._abandon(replace(claim, sends=claim.sends - 1), why)

    def _abandon(self, intent: Intent, why: str) -> None:
        """Give up an intent that is not at the broker; one that was sent before is looked up a last time."""
        if intent.sends and self.x.broker.order_by_client_id(intent.id) is not None:
            self._change_intent(intent.id, lambda i: _step(i, _S.SENT))
            return
        closed_at = self.x.clock.now()
        self._change_intent(
            intent.id,
            lambda i: _step(i, _S.ABANDONED, note=why, closed_at=closed_at) if i.state is _S.PREPARED else i,
        )
        self.report.abandoned.append(intent.id)
        log.info("intent abandoned", extra={"intent": intent.id, "why": why})

    def _change_intent(self, intent_id: IntentId, change: Callable[[Intent], Intent]) -> None:
        """Change an open intent, whatever else changed in the ledger meanwhile; a closed one stays as it is."""

        def changed(ledger: Ledger) -> Ledger:
            intent = ledger.open.get(intent_id)
            after = change(intent) if intent is not None else None
            return ledger if after is None or after is intent else ledger.with_changed(after)

        self._change(changed)

    def _change(self, change: Callable[[Ledger], Ledger]) -> None:
        for _ in range(_TRIES):
            ledger = self.x.ledgers.load(self.x.account)
            changed = change(ledger)
            if changed is ledger:
                return
            try:
                self.x.ledgers.save(changed)
            except Conflict:
                continue
            return
        raise Conflict(f"the ledger stayed contended over {_TRIES} tries")

    def _session(self) -> Session:
        if self.now_session is None:
            self.now_session = self.x.session()
        return self.now_session

    def _record_quietly(self, kind: str, claim: Intent, **fields: object) -> None:
        try:
            self.x.record(kind, self.x.clock.now(), intent=claim.id, symbol=claim.symbol, **fields)
        except HearthwatchError as error:
            log.warning("fact not journaled", extra={"fact": kind, "intent": claim.id, "problem": str(error)})

    def _tell(
        self, intent: Intent, kind: AlertKind, severity: Severity, subject: str, text: str, occurrence: str
    ) -> None:
        at = self.x.clock.now()
        alert = Alert(
            kind=kind,
            severity=severity,
            subject=subject,
            at=at,
            text=text,
            occurrence=occurrence,
            fields=trade_fields(intent, at),
        )
        tell_quietly(self.x.alerts, alert)

    def _minute(self) -> str:
        return iso(self.x.clock.now().replace(second=0, microsecond=0))


def _wants_work(intent: Intent) -> bool:
    """Say whether the executor may have something to do for an open intent."""
    if intent.state is _S.PREPARED or intent.withdrawn:
        return True
    return intent.is_entry and intent.state in AT_BROKER


def _step(intent: Intent, state: IntentState, **changes: object) -> Intent:
    """Move an intent if it still can; when reconciliation was faster, its word stands."""
    return intent.moved_to(state, **changes) if intent.can_move_to(state) else intent


def _unsent(intent: Intent) -> Intent:
    """Take back a claim whose request the broker certainly did not take."""
    return replace(intent, state=_S.PREPARED, sends=intent.sends - 1) if intent.state is _S.SENT else intent


_EXIT_WAITS: Final = frozenset({Refusal.OPPOSITE_SIDE_RESTING, Refusal.SHARES_RESERVED, Refusal.SESSION_CLOSED})
"""Refusals after which a protective exit waits for the next run instead of being given up."""
