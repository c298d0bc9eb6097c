"""Bring the broker's truth into our book: orders, positions and cash (ORD-05, ORD-06; faults 5 to 8, 45).

The order of writes makes every crash harmless. Broker facts come first, because they carry the differences that could
not be told yet, and before the ledger forgets whose fills explained them. Positions are written before the ledger lets
an intent go, so exposure is counted twice for a moment but never not at all. A finished intent leaves the ledger only
after it was told, journaled and archived.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.assets import DEFAULT_ASSET_CLASSES, AssetClass, Symbol, admit_symbol
from shared.domain.corporate_actions import (
    LATE_BY,
    NO_ADJUSTMENT,
    Adjustment,
    CorporateAction,
    adjustment,
    suspected_split,
)
from shared.domain.day_plan import exchange_date
from shared.domain.errors import Conflict, HearthwatchError, InvalidValue, TryAgain
from shared.domain.intents import (
    IN_DOUBT,
    MAX_SENDS,
    SOLD_ALREADY,
    AccountId,
    Intent,
    IntentId,
    IntentState,
)
from shared.domain.ledger import Ledger
from shared.domain.money import ZERO, as_price, plain, require_positive, round_fill_price
from shared.domain.orders import Account, HeldPosition, Order, adopt
from shared.domain.positions import Position, lot_id
from shared.domain.reconciliation import (
    BrokerFacts,
    Difference,
    DifferenceKind,
    Doubted,
    Filled,
    doubts,
    filled_by,
    foreign_orders,
    quantities_of,
    remembering,
    unexplained,
)
from shared.domain.times import iso
from shared.domain.trade_fields import trade_fields
from shared.ports.book import BrokerRecords, Ledgers, Positions
from shared.ports.broker import Broker, CorporateActions
from shared.ports.clock import Clock
from shared.ports.day_plans import DaySources
from shared.ports.messages import AlertQueue, Doorbell
from shared.use_cases.judge_quotes import known_actions, look_again
from shared.use_cases.protect_positions import ProtectPositions
from shared.use_cases.publish_coverage import PublishCoverage
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.tell import ring_quietly, stop_alert, tell_quietly

log = logging.getLogger(__name__)

_TRIES: Final = 10
_READS: Final = 4
"""Tries at a consistent picture of a broker that goes on trading while we read."""
_LARGE_OF_EQUITY: Final = Decimal("0.05")
_LARGE_OF_POSITION: Final = Decimal("0.25")
_S = IntentState


class ReconcileResult(StrEnum):
    """How a pass ended."""

    CLEAN = "clean"
    DIFFERENT = "different"
    UNSETTLED = "unsettled"
    OVERTAKEN = "overtaken"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileReport:
    """What one pass found.

    UNSETTLED means that the broker's picture kept changing while it was read, or that its answers may not have caught
    up with each other yet; then nothing of it was taken over.
    """

    result: ReconcileResult
    differences: Sequence[Difference] = ()
    finished: Sequence[Intent] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileRules:
    """Bounds of a pass.

    A SENT intent belongs to its executor until `lease` after the send; an order that the broker does not know
    `send_deadline` after the send never arrived. With nothing open a pass runs every `cadence`. The broker's answers on
    orders, positions and cash agree with each other after `settles_in`; once one was doubted for `longest_doubt`, in
    `most_doubts` passes, every difference counts that is not younger than `settles_in` itself.
    """

    lease: timedelta = timedelta(seconds=60)
    send_deadline: timedelta = timedelta(seconds=30)
    cadence: timedelta = timedelta(minutes=5)
    settles_in: timedelta = timedelta(seconds=10)
    longest_doubt: timedelta = timedelta(minutes=5)
    most_doubts: int = 5

    def is_over(self, doubted: Doubted, now: datetime) -> bool:
        """Say whether a difference was doubted for long enough, by passes as well as by the clock."""
        return now - doubted.first >= self.longest_doubt and doubted.passes >= self.most_doubts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture:
    """One consistent reading of the broker."""

    at: datetime
    account: Account
    held: Sequence[HeldPosition]
    orders: Mapping[IntentId, Order]
    live: Sequence[Order]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileOrders:
    """Run one reconciliation pass; the same pass again changes nothing."""

    account: AccountId
    clock: Clock
    broker: Broker
    ledgers: Ledgers
    positions: Positions
    records: BrokerRecords
    actions: CorporateActions
    sources: DaySources
    alerts: AlertQueue
    doorbell: Doorbell
    record: RecordFact
    protect: ProtectPositions
    cover: PublishCoverage
    rules: ReconcileRules = field(default_factory=ReconcileRules)
    asset_classes: frozenset[AssetClass] = DEFAULT_ASSET_CLASSES

    def is_due(self) -> bool:
        """Say whether a pass is due: every minute while anything is open or finished, else every five.

        Stops that rest quietly are looked at with one request: a pass is due when any of them stands otherwise.
        """
        ledger = self.ledgers.load(self.account)
        resting = [key for key, intent in ledger.open.items() if _rests_quietly(intent)]
        waiting = sum(intent.state is _S.PREPARED for intent in ledger.open.values())
        if ledger.finished or len(resting) + waiting < len(ledger.open):
            return True
        facts = self.records.last()
        if facts is None or not facts.clean or facts.doubted:
            return True
        if self.clock.now() - facts.at >= self.rules.cadence:
            return True
        return bool(resting) and not self._still_rest(resting)

    def _still_rest(self, resting: Sequence[IntentId]) -> bool:
        live = {order.client_order_id: order for order in self.broker.live_orders()}
        return all(key in live and live[key].filled_quantity == ZERO for key in resting)

    def __call__(self) -> ReconcileReport:
        """Read the broker, name what is unexplained, take its word, and let go of what is finished."""
        before = self.records.last()
        ours = {position.symbol: position for position in self.positions.all()}
        picture = self._read()
        if picture is None:
            return ReconcileReport(result=ReconcileResult.UNSETTLED)
        if _version(self.records.last()) != _version(before):
            # another pass took over fills that `before` does not know, and the ledger may have forgotten them
            return ReconcileReport(result=ReconcileResult.OVERTAKEN)
        fills = {key: filled_by(order) for key, order in picture.orders.items()}
        facts, differences, late = self._compare(before, ours, picture, fills)
        if before is not None and self._may_be_late(before, differences, picture):
            return self._doubted(before, differences)
        untold = (*(before.untold if before else ()), *differences)
        if untold:
            facts = replace(facts, untold=tuple(d for d in untold if not self._told(d)))
        try:
            self.records.put(facts)
            self._take_positions(ours, picture, _moved(before, facts, late), late)
            ledger = self._take_orders(picture)
        except Conflict as error:
            log.info("overtaken by another pass", extra={"problem": str(error)})
            return ReconcileReport(result=ReconcileResult.OVERTAKEN)
        self._catch_up_records(ledger, picture)
        finished = self._finish(ledger, picture)
        self._protect_quietly()
        if finished:
            self.cover.after_fill()
        result = ReconcileResult.CLEAN if facts.clean else ReconcileResult.DIFFERENT
        return ReconcileReport(result=result, differences=differences, finished=finished)

    # reading

    def _read(self) -> _Picture | None:
        """Read orders, then positions and cash, then orders again, until nothing moved in between."""
        for _ in range(_READS):
            ledger = self.ledgers.load(self.account)
            orders = self._orders_of(ledger, self.broker.live_orders())
            held = self.broker.positions()
            account = self.broker.account()
            live = self.broker.live_orders()
            same_ledger = self.ledgers.load(self.account).version == ledger.version
            if same_ledger and _fills(self._orders_of(ledger, live)) == _fills(orders):
                return _Picture(at=self.clock.now(), account=account, held=held, orders=orders, live=live)
        return None

    def _orders_of(self, ledger: Ledger, live: Sequence[Order]) -> dict[IntentId, Order]:
        """Find every intent that was ever sent, and the finished whose fills were not taken yet.

        What rests quietly is taken from the list of live orders; every other is asked for by its id.
        """
        listed = {IntentId(order.client_order_id): order for order in live if order.filled_quantity == ZERO}
        asked = {i.id for i in ledger.open.values() if i.sends or i.state is not _S.PREPARED} | ledger.finished.keys()
        quiet = {key for key in asked & listed.keys() if key in ledger.open and _rests_quietly(ledger.open[key])}
        found = ((key, listed[key] if key in quiet else self.broker.order_by_client_id(key)) for key in sorted(asked))
        return {key: order for key, order in found if order is not None}

    # comparing

    def _compare(
        self,
        before: BrokerFacts | None,
        ours: Mapping[Symbol, Position],
        picture: _Picture,
        fills: Mapping[IntentId, Filled],
    ) -> tuple[BrokerFacts, list[Difference], Sequence[CorporateAction]]:
        """Give the new facts, what they do not explain, and the corporate actions that became known late."""
        late: Sequence[CorporateAction]
        facts = BrokerFacts(
            at=picture.at,
            cash=picture.account.cash,
            equity=picture.account.equity,
            quantities=quantities_of(picture.held),
            fills=MappingProxyType(dict(fills)),
            version=_version(before),
        )
        if before is None:
            today = exchange_date(picture.at)
            carried = {symbol: self._carried(mine, today, ()) for symbol, mine in ours.items()}
            differences, late = _first_differences(carried, facts), ()
        else:
            differences, late = self._unexplained(before, facts, _filled_before_today(picture))
        open_ids = frozenset(self.ledgers.load(self.account).open) | frozenset(picture.orders)
        orders = foreign_orders(picture.live, open_ids, picture.at)
        by_hand = {d.subject: d for d in orders if d.kind is DifferenceKind.FOREIGN_ORDER}
        unexpected = [*differences, *(d for d in orders if d.kind is not DifferenceKind.FOREIGN_ORDER)]
        frozen = frozenset(Symbol(d.subject) for d in differences if d.kind is DifferenceKind.QUANTITY)
        known = before.strangers if before else frozenset()
        unwatched = self._unwatched(picture, known)
        facts = replace(facts, frozen=frozen, clean=not unexpected, strangers=frozenset(by_hand) | unwatched)
        facts = remembering(facts, before, differences)
        return facts, [*unexpected, *(d for subject, d in by_hand.items() if subject not in known)], late

    def _unwatched(self, picture: _Picture, known: frozenset[str]) -> frozenset[str]:
        """Name the positions we cannot protect, such as an option or a short sale, and tell of those that are new."""
        problems = {theirs.symbol: p for theirs in picture.held if (p := self._problem_with(theirs)) is not None}
        for symbol in sorted(problems.keys() - known):
            tell_quietly(self.alerts, _unwatched_alert(symbol, problems[symbol], picture.at))
        return frozenset(problems)

    def _problem_with(self, theirs: HeldPosition) -> InvalidValue | None:
        try:
            admit_symbol(theirs.symbol, self.asset_classes)
            require_positive("quantity", theirs.quantity)
        except InvalidValue as problem:
            return problem
        return None

    def _unexplained(
        self, before: BrokerFacts, facts: BrokerFacts, early: frozenset[IntentId]
    ) -> tuple[list[Difference], Sequence[CorporateAction]]:
        """Name what neither fills nor actions explain (PRC-06).

        An action that the broker has not booked yet leaves the shares as they were, and is no difference. Where they
        still differ the actions are looked up again; those that explain them after all are given too.
        """
        steps = self._adjustments(before, facts)
        found = unexplained(before, facts, steps, early)
        changed = _changed(found)
        if not changed:
            return found, ()
        unbooked = changed - _changed(unexplained(before, facts, {}, early))
        steps.update(dict.fromkeys(unbooked, NO_ADJUSTMENT))
        changed -= unbooked
        if not changed:
            return unexplained(before, facts, steps, early), ()
        since, today = exchange_date(before.at) - LATE_BY, exchange_date(facts.at)
        known = look_again(self.sources, sorted(changed), since, today)
        late = {symbol: adjustment(known, symbol, since, today) for symbol in changed}
        explained = changed - _changed(unexplained(before, facts, {**steps, **late}, early))
        steps.update({symbol: late[symbol] for symbol in explained})
        return unexplained(before, facts, steps, early), [a for a in known if a.symbol in explained]

    def _adjustments(self, before: BrokerFacts, facts: BrokerFacts) -> dict[Symbol, Adjustment]:
        """Find the splits and dividends that went ex between the two passes."""
        first, last = exchange_date(before.at), exchange_date(facts.at)
        symbols = sorted({*before.quantities, *facts.quantities})
        if first >= last or not symbols:
            return {}
        known = known_actions(self.actions, symbols, first, last)
        return {symbol: adjustment(known, symbol, first, last) for symbol in symbols}

    def _may_be_late(self, before: BrokerFacts, differences: Sequence[Difference], picture: _Picture) -> bool:
        """Say whether an answer that is behind the others may be all that differs: a later pass decides then.

        That can only be where an order of ours is open, or was a moment ago: its fill shows in one answer and not yet
        in another. A difference that is still there once the answers have had their time is believed. One whose numbers
        never stand still is believed in the end, in the first pass that finds no new one beside it.
        """
        noted, now = doubts(before, differences), picture.at
        over = any(self.rules.is_over(doubted, now) for doubted in noted.values())
        fresh = {s for s, d in noted.items() if now - (d.first if over else d.since) < self.rules.settles_in}
        doubtful = [d for d in differences if d.kind is not DifferenceKind.FOREIGN_ORDER and d.subject in fresh]
        if not doubtful:
            return False
        ledger = self.ledgers.load(self.account)
        sent = (i.symbol for i in (*ledger.open.values(), *ledger.finished.values()) if i.sends)
        moving = {*sent, *(order.symbol for order in picture.orders.values())}
        if now - before.at < self.rules.lease:  # reading may have begun as long ago
            moving |= {filled.symbol for filled in before.fills.values()}
        return any(d.subject in moving or (d.kind is not DifferenceKind.QUANTITY and moving) for d in doubtful)

    def _doubted(self, before: BrokerFacts, differences: Sequence[Difference]) -> ReconcileReport:
        """Note since when there is a doubt, and take no entries in its symbols meanwhile; nothing else changes."""
        frozen = before.frozen | _changed(differences)
        try:
            self.records.put(replace(before, doubted=doubts(before, differences), frozen=frozen))
        except Conflict as error:
            log.info("overtaken by another pass", extra={"problem": str(error)})
            return ReconcileReport(result=ReconcileResult.OVERTAKEN)
        return ReconcileReport(result=ReconcileResult.UNSETTLED)

    # taking over

    def _take_positions(
        self,
        ours: Mapping[Symbol, Position],
        picture: _Picture,
        moved: Mapping[Symbol, bool],
        late: Sequence[CorporateAction],
    ) -> None:
        """Make our positions hold what the broker holds; a new one gets a lot and the default stop.

        `moved` names those whose shares changed at the broker, and says whether something explains why: what nothing
        explains is taken for a split where the entry price changed as over one.
        """
        today = exchange_date(picture.at)
        held = {position.symbol: position for position in picture.held if self._problem_with(position) is None}
        for symbol, theirs in held.items():
            mine = ours.get(symbol)
            if mine is None:
                self.positions.put(_opened(theirs, picture))
                continue
            carried = self._carried(mine, today, late)
            if not moved.get(symbol, True):
                carried = self._split_as(carried, theirs, today, picture.at)
            taken = _taken_over(mine, carried, theirs)
            if taken != mine:
                if symbol in moved:
                    self._tell_large_change(carried, theirs, picture)
                self.positions.put(taken)
        for symbol in sorted(ours.keys() - held.keys()):
            self.positions.remove(ours[symbol])

    def _carried(self, mine: Position, today: date, late: Sequence[CorporateAction]) -> Position:
        """Carry a position over the actions that went ex since it was adjusted last, as the risk check does.

        Without an action it stays as it is: only the risk check says that a day has none.
        """
        known = late
        if mine.adjusted_through < today:
            known = (*known_actions(self.actions, [mine.symbol], mine.adjusted_through - LATE_BY, today), *late)
        return mine.caught_up(known, today) if mine.unapplied(known, today) else mine

    def _split_as(self, mine: Position, theirs: HeldPosition, today: date, at: datetime) -> Position:
        """Take shares and entry that changed by one plain ratio for a split nobody told of, and say so (fault 14)."""
        ratio = suspected_split(mine.quantity, mine.average_entry_price, theirs.quantity, theirs.average_entry_price)
        if ratio is None:
            return mine
        tell_quietly(self.alerts, _suspected_split_alert(mine, theirs, ratio, at))
        return mine.adjusted(Adjustment(ratio, ZERO), today)

    def _take_orders(self, picture: _Picture) -> Ledger:
        """Adopt the broker's word on every order, and settle intents it never received."""
        for _ in range(_TRIES):
            ledger = self.ledgers.load(self.account)
            after = ledger
            for intent in ledger.open.values():
                after = self._settled(after, intent, picture)
            if after is ledger:
                return ledger
            try:
                return self.ledgers.save(after)
            except Conflict:
                continue
        raise Conflict(f"the ledger stayed contended over {_TRIES} tries")

    def _settled(self, ledger: Ledger, intent: Intent, picture: _Picture) -> Ledger:
        """Move one intent as far as the picture allows; one that cannot be moved is told and holds up no other."""
        try:
            while intent.is_open and (settled := self._settle(intent, picture)) is not intent:
                ledger, intent = ledger.with_changed(settled), settled
        except InvalidValue as error:
            tell_quietly(self.alerts, _stuck_alert(intent, error, picture.at))
            log.error("intent cannot be settled", extra={"intent": intent.id, "problem": str(error)})
        return ledger

    def _settle(self, intent: Intent, picture: _Picture) -> Intent:
        """Take one step: the broker's word, or after the deadline the conclusion from its silence."""
        order = picture.orders.get(intent.id)
        if order is not None and intent.state is _S.PREPARED:
            # taken for lost and prepared again, yet the broker has it now
            return intent.moved_to(_S.SENT) if intent.sends else intent
        if order is not None:
            adopted = adopt(intent, order, picture.at)
            return adopted if adopted != intent else intent
        if intent.state not in IN_DOUBT or intent.sent_at is None:
            return intent
        patience = self.rules.lease if intent.state is _S.SENT else self.rules.send_deadline
        if picture.at - intent.sent_at <= patience:
            return intent
        if intent.state is _S.SENT:
            return intent.moved_to(_S.UNKNOWN)
        if intent.sends < MAX_SENDS:
            ring_quietly(self.doorbell)
            return intent.moved_to(_S.PREPARED, note="the broker never received it")
        return intent.moved_to(_S.ABANDONED, note="sent twice, never received", closed_at=picture.at)

    # letting go

    def _catch_up_records(self, ledger: Ledger, picture: _Picture) -> None:
        """Journal the sends of open exits that went out while the journal was down."""
        for intent in ledger.open.values():
            if intent.sends and not intent.recorded:
                try:
                    self._record_send(intent, picture.at)
                    self._mark_recorded(intent.id)
                except TryAgain as error:
                    log.warning("send not journaled yet", extra={"intent": intent.id, "problem": str(error)})

    def _record_send(self, intent: Intent, now: datetime) -> None:
        self.record("order_sending", intent.sent_at or now, owner=intent.owner, **intent.fields())

    def _mark_recorded(self, intent_id: IntentId) -> None:
        """Note that the journal has the send; when the write loses, the next pass journals it once more."""
        ledger = self.ledgers.load(self.account)
        intent = ledger.open.get(intent_id)
        if intent is not None:
            self.ledgers.save(ledger.with_changed(replace(intent, recorded=True)))

    def _finish(self, ledger: Ledger, picture: _Picture) -> list[Intent]:
        """Journal, tell and archive each finished intent, then let the ledger forget it.

        One that cannot be told now stays for the next pass; the fills are taken over already.
        """
        done = []
        for intent in ledger.finished.values():
            try:
                self._let_go(intent, picture.at)
            except TryAgain as error:
                log.warning("finished intent kept", extra={"intent": intent.id, "problem": str(error)})
            else:
                done.append(intent)
        self._forget([intent.id for intent in done], picture)
        return done

    def _let_go(self, intent: Intent, now: datetime) -> None:
        if intent.sends and not intent.recorded:
            self._record_send(intent, now)
        self.record("intent_closed", intent.closed_at or now, **intent.fields())
        for alert in _ending_alerts(intent, now, split=self._was_split(intent, now)):
            self.alerts.send(alert)
        self.ledgers.archive(intent)
        log.info("order closed", extra={"intent": intent.id, "symbol": intent.symbol, "state": intent.state})

    def _was_split(self, stop: Intent, now: datetime) -> bool:
        """Say whether a known split of this day explains that the broker canceled a stop."""
        if not stop.rests or stop.state is not _S.CANCELED:
            return False
        today = exchange_date(now)
        return any(p.symbol == stop.symbol and p.was_split_on(today) for p in self.positions.readable().positions)

    def _forget(self, archived: Sequence[IntentId], picture: _Picture) -> None:
        lots = [position.lot for position in self.positions.all()]
        for _ in range(_TRIES):
            ledger = self.ledgers.load(self.account)
            rest = ledger.without_finished(archived) if archived else ledger
            pruned = rest.pruned(lots, picture.at)
            if pruned is ledger:
                return
            try:
                self.ledgers.save(pruned)
            except Conflict:
                continue
            return

    def _protect_quietly(self) -> None:
        """Plan stops for what was filled; when that fails the risk check does it within a minute."""
        try:
            self.protect()
        except HearthwatchError as error:
            log.warning("stops not planned, the risk check will", extra={"problem": str(error)})

    # telling

    def _told(self, difference: Difference) -> bool:
        """Journal and queue a difference; one that could not be stays with the facts for the next pass."""
        try:
            self.record(
                "reconciliation_difference",
                difference.at,
                difference=difference.kind,
                subject=difference.subject,
                expected=difference.expected,
                found=difference.found,
            )
            self.alerts.send(_difference_alert(difference))
        except TryAgain as error:
            log.warning("difference not told yet", extra={"subject": difference.subject, "problem": str(error)})
            return False
        return True

    def _tell_large_change(self, mine: Position, theirs: HeldPosition, picture: _Picture) -> None:
        change = abs(theirs.quantity - mine.quantity)
        value = change * theirs.average_entry_price
        equity = picture.account.equity
        if change >= _LARGE_OF_POSITION * mine.quantity or (equity > ZERO and value >= _LARGE_OF_EQUITY * equity):
            text = f"{mine.symbol}: position went from {plain(mine.quantity)} to {plain(theirs.quantity)} shares"
            alert = Alert(
                kind=AlertKind.LARGE_POSITION_CHANGE,
                severity=Severity.WARNING,
                subject=mine.symbol,
                at=picture.at,
                text=text,
                occurrence=f"{plain(mine.quantity)}>{plain(theirs.quantity)}|{iso(picture.at)}",
            )
            tell_quietly(self.alerts, alert)


_DIFFERENCE_ALERTS: Final = {
    DifferenceKind.QUANTITY: AlertKind.POSITION_MISMATCH,
    DifferenceKind.CASH: AlertKind.CASH_MISMATCH,
    DifferenceKind.FOREIGN_ORDER: AlertKind.FOREIGN_ORDER,
    DifferenceKind.LOST_ORDER: AlertKind.FOREIGN_ORDER,
}


def _changed(differences: Sequence[Difference]) -> frozenset[Symbol]:
    return frozenset(Symbol(d.subject) for d in differences if d.kind is DifferenceKind.QUANTITY)


def _moved(before: BrokerFacts | None, facts: BrokerFacts, late: Sequence[CorporateAction]) -> Mapping[Symbol, bool]:
    """Name the symbols whose shares are others at the broker than before, and say which of them are explained.

    An action that is booked late changes them too, and moves nothing. Before the first pass nothing is known of them.
    """
    booked = {action.symbol for action in late}
    if before is None:
        return dict.fromkeys(facts.quantities, True)
    known, now = before.quantities, facts.quantities
    return {s: s not in facts.frozen for s in now if known.get(s) != now[s] and s not in booked}


def _filled_before_today(picture: _Picture) -> frozenset[IntentId]:
    """Name our orders whose fills lie before the day of the pass: an action of that day changes those shares too."""
    today = exchange_date(picture.at)
    orders = picture.orders.items()
    return frozenset(key for key, o in orders if o.filled_at is not None and exchange_date(o.filled_at) < today)


def _suspected_split_alert(mine: Position, theirs: HeldPosition, ratio: Decimal, at: datetime) -> Alert:
    before = f"{plain(mine.quantity)} shares at {as_price(round_fill_price(mine.average_entry_price))}"
    after = f"{plain(theirs.quantity)} at {as_price(round_fill_price(theirs.average_entry_price))}"
    return Alert(
        kind=AlertKind.SPLIT_SUSPECTED,
        severity=Severity.WARNING,
        subject=mine.symbol,
        at=at,
        text=f"{mine.symbol}: {before} became {after}, and no corporate action is known: a split of "
        f"{_ratio_in_words(ratio)} is suspected; the stop was carried over it, entries are frozen",
        occurrence=iso(at),
    )


def _ratio_in_words(ratio: Decimal) -> str:
    new, old = Fraction(ratio).limit_denominator(100).as_integer_ratio()
    return f"{new}:{old}"


def _unwatched_alert(symbol: Symbol, problem: InvalidValue, at: datetime) -> Alert:
    return Alert(
        kind=AlertKind.POSITION_UNWATCHED,
        severity=Severity.WARNING,
        subject=symbol,
        at=at,
        text=f"{symbol}: what is held at the broker is not protected: {problem}",
        occurrence=iso(at),
    )


def _stuck_alert(intent: Intent, error: InvalidValue, at: datetime) -> Alert:
    return Alert(
        kind=AlertKind.SYSTEM_ERROR,
        severity=Severity.CRITICAL,
        subject=f"intent {intent.id}",
        at=at,
        text=f"{intent.symbol}: book and broker cannot be brought together: {error}",
        occurrence=iso(at),
    )


def _difference_alert(difference: Difference) -> Alert:
    return Alert(
        kind=_DIFFERENCE_ALERTS[difference.kind],
        severity=Severity.WARNING,
        subject=difference.subject,
        at=difference.at,
        text=difference.text,
        occurrence=iso(difference.at),
    )


def _first_differences(ours: Mapping[Symbol, Position], facts: BrokerFacts) -> list[Difference]:
    """Compare the book with the first facts: an empty one adopts what is there, one with positions must agree.

    Up to the fills of our first orders, of which a pass that died may have taken over a part.
    """
    known = {symbol: position.quantity for symbol, position in ours.items()} or facts.quantities
    return [d for d in unexplained(replace(facts, quantities=known), facts) if not _explained_by_fills(d, facts)]


def _explained_by_fills(difference: Difference, facts: BrokerFacts) -> bool:
    """Say whether the book stands somewhere between the broker's quantity now and that before our fills."""
    shares = sum((f.shares for f in facts.fills.values() if f.symbol == difference.subject), ZERO)
    low, high = sorted((difference.found, difference.found - shares))
    return low <= difference.expected <= high


def _rests_quietly(intent: Intent) -> bool:
    """Say whether a stop rests at the broker as it should, so that nothing is expected of it."""
    return intent.rests and intent.state is _S.ACKED and intent.confirmed and not intent.withdrawn


def _version(facts: BrokerFacts | None) -> int:
    return facts.version if facts else 0


def _fills(orders: Mapping[IntentId, Order]) -> dict[IntentId, tuple[Decimal, str]]:
    return {key: (order.filled_quantity, order.status) for key, order in orders.items()}


def _taken_over(mine: Position, carried: Position, theirs: HeldPosition) -> Position:
    """Give our position the broker's quantity, and its entry where shares were bought.

    Otherwise the entry stays ours: the broker's knows no dividends, and after a split it may lag behind.
    """
    if theirs.quantity == carried.quantity:
        return carried
    bought = theirs.quantity > max(mine.quantity, carried.quantity)
    entry = theirs.average_entry_price if bought else carried.average_entry_price
    applied = None if bought else carried.adjusted_for
    return replace(carried, quantity=theirs.quantity, average_entry_price=entry, adjusted_for=applied)


def _opened(theirs: HeldPosition, picture: _Picture) -> Position:
    return Position(
        symbol=theirs.symbol,
        lot=lot_id(theirs.symbol, picture.at),
        quantity=theirs.quantity,
        average_entry_price=theirs.average_entry_price,
        opened_at=picture.at,
        adjusted_through=exchange_date(picture.at),
    )


def _ending_alerts(intent: Intent, now: datetime, *, split: bool) -> list[Alert]:
    """List what people are told when an intent is over; a stop that we or a known split took away is no news."""
    if not intent.rests:
        triggered = [] if intent.is_entry or intent.told else [stop_alert(intent)]
        return [*triggered, _closing_alert(intent, now)]
    if intent.filled_quantity:
        return [_stop_filled_alert(intent, now), _closing_alert(intent, now)]
    if intent.state is _S.CANCELED and not intent.withdrawn and not split:
        return [_stop_missing_alert(intent, now)]
    return [_closing_alert(intent, now)] if intent.state is _S.REJECTED else []


def _stop_filled_alert(stop: Intent, now: datetime) -> Alert:
    at = stop.filled_at or now
    return Alert(
        kind=AlertKind.STOP_TRIGGERED,
        severity=Severity.CRITICAL,
        subject=stop.purpose.origin,
        at=at,
        text=f"{stop.symbol}: the stop at {as_price(stop.worst_price)} resting at the broker was reached: "
        f"sold {plain(stop.filled_quantity)} of {plain(stop.quantity)} shares",
        occurrence=stop.id,
        fields=trade_fields(stop, at),
    )


def _stop_missing_alert(stop: Intent, now: datetime) -> Alert:
    return Alert(
        kind=AlertKind.STOP_NOT_RESTING,
        severity=Severity.WARNING,
        subject=stop.symbol,
        at=now,
        text=f"{stop.symbol}: the stop at {as_price(stop.worst_price)} was canceled at the broker, and not by us; "
        "the software stop goes on and a new one is placed",
        occurrence=stop.id,
    )


def _closing_alert(intent: Intent, at: datetime) -> Alert:
    kind, severity = _CLOSINGS.get(intent.state, (AlertKind.ORDER_CLOSED_UNFILLED, Severity.WARNING))
    if intent.filled_quantity and intent.state is not _S.FILLED:
        kind = AlertKind.ORDER_FILLED
    if not intent.is_entry and intent.state is not _S.FILLED:
        ours = intent.note == SOLD_ALREADY or bool(intent.withdrawn)
        severity = Severity.INFO if ours else Severity.CRITICAL
    price = intent.average_fill_price
    filled = f"{plain(intent.filled_quantity)} of {plain(intent.quantity)}"
    at_price = f" at {as_price(round_fill_price(price))}" if price is not None else ""
    note = f": {intent.note}" if intent.note else ""
    text = f"{intent.symbol}: {intent.side} {intent.state.value.lower()}, {filled} shares{at_price}{note}"
    return Alert(
        kind=kind,
        severity=severity,
        subject=intent.id,
        at=at,
        text=text,
        occurrence=intent.id,
        fields=trade_fields(intent, at),
    )


_CLOSINGS: Final = {
    _S.FILLED: (AlertKind.ORDER_FILLED, Severity.INFO),
    _S.REJECTED: (AlertKind.ORDER_REFUSED, Severity.WARNING),
    _S.ABANDONED: (AlertKind.ORDER_ABANDONED, Severity.WARNING),
}
