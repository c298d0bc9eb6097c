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
from types import MappingProxyType
from typing import Final

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.assets import DEFAULT_ASSET_CLASSES, AssetClass, Symbol, admit_symbol
from shared.domain.corporate_actions import NO_ADJUSTMENT, Adjustment, adjustment
from shared.domain.errors import Conflict, InvalidValue, TryAgain
from shared.domain.intents import (
    IN_DOUBT,
    MAX_SENDS,
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
    Filled,
    filled_by,
    foreign_orders,
    quantities_of,
    unexplained,
)
from shared.domain.times import iso
from shared.domain.trade_fields import trade_fields
from shared.ports.book import BrokerRecords, Ledgers, Positions
from shared.ports.broker import Broker, CorporateActions
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue, Doorbell
from shared.use_cases.check_risk import stop_alert
from shared.use_cases.judge_quotes import known_actions
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.tell import ring_quietly, tell_quietly

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
    """What one pass found; UNSETTLED means that the broker's picture kept changing while it was read."""

    result: ReconcileResult
    differences: Sequence[Difference] = ()
    finished: Sequence[Intent] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcileRules:
    """Bounds of a pass.

    A SENT intent belongs to its executor until `lease` after the send; an order that the broker does not know
    `send_deadline` after the send never arrived. With nothing open a pass runs every `cadence`.
    """

    lease: timedelta = timedelta(seconds=60)
    send_deadline: timedelta = timedelta(seconds=30)
    cadence: timedelta = timedelta(minutes=5)


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
    alerts: AlertQueue
    doorbell: Doorbell
    record: RecordFact
    rules: ReconcileRules = field(default_factory=ReconcileRules)
    asset_classes: frozenset[AssetClass] = DEFAULT_ASSET_CLASSES

    def is_due(self) -> bool:
        """Say whether a pass is due: every minute while anything is open or finished, else every five."""
        ledger = self.ledgers.load(self.account)
        if ledger.finished or any(intent.state is not _S.PREPARED for intent in ledger.open.values()):
            return True
        facts = self.records.last()
        return facts is None or not facts.clean or self.clock.now() - facts.at >= self.rules.cadence

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
        facts, differences = self._compare(before, ours, picture, fills)
        untold = (*(before.untold if before else ()), *differences)
        if untold:
            facts = replace(facts, untold=tuple(d for d in untold if not self._told(d)))
        try:
            self.records.put(facts)
            self._take_positions(ours, picture)
            ledger = self._take_orders(picture)
        except Conflict as error:
            log.info("overtaken by another pass", extra={"problem": str(error)})
            return ReconcileReport(result=ReconcileResult.OVERTAKEN)
        self._catch_up_records(ledger, picture)
        finished = self._finish(ledger, picture)
        result = ReconcileResult.CLEAN if facts.clean else ReconcileResult.DIFFERENT
        return ReconcileReport(result=result, differences=differences, finished=finished)

    # reading

    def _read(self) -> _Picture | None:
        """Read orders, then positions and cash, then orders again, until nothing moved in between."""
        for _ in range(_READS):
            ledger = self.ledgers.load(self.account)
            orders = self._orders_of(ledger)
            held = self.broker.positions()
            account = self.broker.account()
            live = self.broker.live_orders()
            same_ledger = self.ledgers.load(self.account).version == ledger.version
            if same_ledger and _fills(self._orders_of(ledger)) == _fills(orders):
                return _Picture(at=self.clock.now(), account=account, held=held, orders=orders, live=live)
        return None

    def _orders_of(self, ledger: Ledger) -> dict[IntentId, Order]:
        """Ask for every intent that was ever sent, and for the finished whose fills were not taken yet."""
        asked = {i.id for i in ledger.open.values() if i.sends or i.state is not _S.PREPARED} | ledger.finished.keys()
        found = ((key, self.broker.order_by_client_id(key)) for key in sorted(asked))
        return {key: order for key, order in found if order is not None}

    # comparing

    def _compare(
        self,
        before: BrokerFacts | None,
        ours: Mapping[Symbol, Position],
        picture: _Picture,
        fills: Mapping[IntentId, Filled],
    ) -> tuple[BrokerFacts, list[Difference]]:
        facts = BrokerFacts(
            at=picture.at,
            cash=picture.account.cash,
            equity=picture.account.equity,
            quantities=quantities_of(picture.held),
            fills=MappingProxyType(dict(fills)),
            version=_version(before),
        )
        if before is None:
            differences = _first_differences(ours, facts)
        else:
            differences = unexplained(before, facts, self._adjustments(before, picture))
        open_ids = frozenset(self.ledgers.load(self.account).open) | frozenset(picture.orders)
        orders = foreign_orders(picture.live, open_ids, picture.at)
        by_hand = {d.subject: d for d in orders if d.kind is DifferenceKind.FOREIGN_ORDER}
        unexpected = [*differences, *(d for d in orders if d.kind is not DifferenceKind.FOREIGN_ORDER)]
        frozen = frozenset(Symbol(d.subject) for d in differences if d.kind is DifferenceKind.QUANTITY)
        known = before.strangers if before else frozenset()
        unwatched = self._unwatched(picture, known)
        facts = replace(facts, frozen=frozen, clean=not unexpected, strangers=frozenset(by_hand) | unwatched)
        return facts, [*unexpected, *(d for subject, d in by_hand.items() if subject not in known)]

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

    def _adjustments(self, before: BrokerFacts, picture: _Picture) -> Mapping[Symbol, Adjustment]:
        """Find the splits and dividends that went ex between the two passes."""
        first, last = before.at.date(), picture.at.date()
        symbols = sorted({*before.quantities, *quantities_of(picture.held)})
        if first >= last or not symbols:
            return {}
        known = known_actions(self.actions, symbols, first, last)
        return {symbol: adjustment(known, symbol, first, last) for symbol in symbols}

    # taking over

    def _take_positions(self, ours: Mapping[Symbol, Position], picture: _Picture) -> None:
        """Make our positions hold what the broker holds; a new one gets a lot and the default stop."""
        held = {position.symbol: position for position in picture.held if self._problem_with(position) is None}
        for symbol, theirs in held.items():
            mine = ours.get(symbol)
            if mine is None:
                self.positions.put(_opened(theirs, picture))
                continue
            carried = self._carried(mine, picture.at.date())
            taken = _taken_over(mine, carried, theirs)
            if taken != mine:
                self._tell_large_change(carried, theirs, picture)
                self.positions.put(taken)
        for symbol in sorted(ours.keys() - held.keys()):
            self.positions.remove(ours[symbol])

    def _carried(self, mine: Position, today: date) -> Position:
        """Carry a position over the actions that went ex since it was adjusted last, as the risk check does.

        Without an action it stays as it is: only the risk check says that a day has none.
        """
        if mine.adjusted_through >= today:
            return mine
        known = known_actions(self.actions, [mine.symbol], mine.adjusted_through, today)
        step = adjustment(known, mine.symbol, mine.adjusted_through, today)
        return mine if step == NO_ADJUSTMENT else mine.adjusted(step, today)

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
        if not intent.is_entry and not intent.told:
            self.alerts.send(stop_alert(intent))
        self.alerts.send(_closing_alert(intent, now))
        self.ledgers.archive(intent)
        log.info("order closed", extra={"intent": intent.id, "symbol": intent.symbol, "state": intent.state})

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
    return replace(carried, quantity=theirs.quantity, average_entry_price=entry)


def _opened(theirs: HeldPosition, picture: _Picture) -> Position:
    return Position(
        symbol=theirs.symbol,
        lot=lot_id(theirs.symbol, picture.at),
        quantity=theirs.quantity,
        average_entry_price=theirs.average_entry_price,
        opened_at=picture.at,
        adjusted_through=picture.at.date(),
    )


def _closing_alert(intent: Intent, at: datetime) -> Alert:
    kind, severity = _CLOSINGS.get(intent.state, (AlertKind.ORDER_CLOSED_UNFILLED, Severity.WARNING))
    if intent.filled_quantity and intent.state is not _S.FILLED:
        kind = AlertKind.ORDER_FILLED
    if not intent.is_entry and intent.state is not _S.FILLED:
        severity = Severity.CRITICAL
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
