"""Turn a proposed entry into a stored intent, if the hard gate lets it pass (ORD-04, RSK-04)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from shared.domain.alerts import Alert, AlertKind, Severity
from shared.domain.assets import DEFAULT_ASSET_CLASSES, AssetClass, Symbol, admit_symbol
from shared.domain.errors import Conflict, Throttled
from shared.domain.gate import FractionalSupport, GateVerdict, shape_order
from shared.domain.intents import AccountId, CycleId, Evidence, Intent, Purpose, Reason, Side
from shared.domain.ledger import Ledger
from shared.domain.money import ZERO, require_positive
from shared.domain.positions import WATCH, Strategy
from shared.domain.quotes import JudgedQuote
from shared.domain.times import iso, require_utc
from shared.ports.book import Ledgers
from shared.ports.clock import Clock
from shared.ports.messages import AlertQueue, Doorbell
from shared.use_cases.judge_session_now import JudgeSessionNow
from shared.use_cases.record_fact import RecordFact
from shared.use_cases.tell import ring_quietly, tell_quietly
from shared.use_cases.weigh_entry import WeighEntry

_TRIES: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeEntry:
    """A wish to open a position of `quantity` shares, decided at `decided_at` by the decision that `cycle` names.

    One decision gives at most one order, and none once it is old. Only a buy passes the gate.
    """

    symbol: Symbol
    quantity: Decimal
    reason: Reason
    cycle: CycleId
    decided_at: datetime
    text: str
    side: Side = Side.BUY
    strategy: Strategy = WATCH

    def __post_init__(self) -> None:
        require_positive("quantity", self.quantity)
        require_utc("decided_at", self.decided_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryOutcome:
    """The stored intent, or the gate's reasons why there is none."""

    intent: Intent | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareEntry:
    """Gate a proposal and store what passes in one conditional write on the ledger.

    The gate judges exactly the ledger version that the write is conditional on, so entries prepared at the same
    moment cannot pass a limit together.
    """

    account: AccountId
    clock: Clock
    ledgers: Ledgers
    session: JudgeSessionNow
    weigh: WeighEntry
    alerts: AlertQueue
    doorbell: Doorbell
    record: RecordFact
    fractional: FractionalSupport
    asset_classes: frozenset[AssetClass] = DEFAULT_ASSET_CLASSES
    good_for: timedelta = timedelta(minutes=10)

    def __call__(self, proposal: ProposeEntry) -> EntryOutcome:
        """Store the intent or say why not; the same proposal again finds it stored.

        Raises InvalidValue for a symbol whose asset class is not traded, and Conflict when the ledger is contended.
        """
        admit_symbol(proposal.symbol, self.asset_classes)
        if self.clock.now() - proposal.decided_at > self.good_for:
            return EntryOutcome(intent=None, reasons=(f"decided at {iso(proposal.decided_at)}, too long ago",))
        session = self.session()
        purpose = Purpose(
            account=self.account,
            symbol=proposal.symbol,
            side=Side.BUY,
            reason=proposal.reason,
            origin=proposal.cycle,
        )
        for _ in range(_TRIES):
            ledger = self.ledgers.load(self.account)
            refused = _slot_refusal(ledger, purpose)
            if refused:
                return EntryOutcome(intent=None, reasons=(refused,))
            quote = self.weigh.fresh_quotes().get(proposal.symbol)
            if quote is None or quote.price is None:
                return EntryOutcome(intent=None, reasons=("no usable quote",))
            shape = shape_order(Side.BUY, proposal.quantity, quote, self.fractional, self.weigh.limits)
            try:
                verdict = self.weigh(
                    proposal.symbol, proposal.quantity, shape.worst_price, ledger, session, side=proposal.side
                )
            except Throttled as error:
                return EntryOutcome(intent=None, reasons=(str(error),))
            if not verdict.passes:
                return self._refuse(purpose, verdict, ledger)
            intent = self._intent(proposal, purpose, ledger, quote, verdict)
            try:
                self.ledgers.save(ledger.with_prepared(intent))
            except Conflict:
                continue
            self.record("intent_prepared", intent.created_at, **intent.fields())
            ring_quietly(self.doorbell)
            return EntryOutcome(intent=intent, reasons=verdict.reasons)
        raise Conflict(f"the ledger stayed contended over {_TRIES} tries")

    def _refuse(self, purpose: Purpose, verdict: GateVerdict, ledger: Ledger) -> EntryOutcome:
        now = self.clock.now()
        if verdict.runaway and ledger.locked.get(purpose.symbol, now) <= now:
            self._lock(purpose.symbol, ledger, now)
        self.record("entry_refused", now, purpose=purpose.key, reasons=verdict.reasons)
        return EntryOutcome(intent=None, reasons=verdict.reasons)

    def _lock(self, symbol: Symbol, ledger: Ledger, now: datetime) -> None:
        """Lock a symbol whose entries came too fast until the next session (fault 46)."""
        until = self.session.next_open()
        alert = Alert(
            kind=AlertKind.RUNAWAY_LOCKED,
            severity=Severity.WARNING,
            subject=symbol,
            at=now,
            text=f"{symbol}: too many entries, locked until {iso(until)}",
            occurrence=iso(until),
        )
        tell_quietly(self.alerts, alert)
        self.ledgers.save(ledger.with_lock(symbol, now, until))

    def _intent(
        self, proposal: ProposeEntry, purpose: Purpose, ledger: Ledger, quote: JudgedQuote, verdict: GateVerdict
    ) -> Intent:
        shape = shape_order(Side.BUY, verdict.quantity, quote, self.fractional, self.weigh.limits)
        evidence = Evidence(
            text=proposal.text,
            price=quote.price,
            price_at=quote.at,
            feed=quote.feed,
            gate=verdict.reasons or ("passed",),
        )
        return Intent(
            purpose=purpose,
            generation=ledger.generation(purpose),
            quantity=verdict.quantity,
            order_type=shape.order_type,
            time_in_force=shape.time_in_force,
            limit_price=shape.limit_price,
            created_at=self.clock.now(),
            evidence=evidence,
            worst_price=shape.worst_price,
            strategy=proposal.strategy,
        )


def _slot_refusal(ledger: Ledger, purpose: Purpose) -> str | None:
    taken = ledger.open_for(purpose.symbol, purpose.side)
    if taken is not None:
        return f"{taken.id} is already open"
    if ledger.open_for(purpose.symbol, purpose.side.opposite) is not None:
        return f"an exit in {purpose.symbol} is open"
    if ledger.generation(purpose) > ZERO:
        return "this decision has had its order"
    return None
