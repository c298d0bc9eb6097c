"""Intents: the stored will to trade, its deterministic id, and the states it passes through (ORD-04).

An intent is written before anything is sent. Its id is the broker's client order id, made from its content, so a
repeat is refused by the broker instead of filled twice. A state changes only along TRANSITIONS.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, NewType

from shared.domain.assets import Symbol
from shared.domain.errors import InvalidValue
from shared.domain.money import ZERO, require_not_negative, require_positive
from shared.domain.positions import LotId, Strategy
from shared.domain.times import require_utc

AccountId = NewType("AccountId", str)
IntentId = NewType("IntentId", str)
CycleId = NewType("CycleId", str)

ID_PREFIX: Final = "hw-"
"""Every order of ours starts so at the broker; anything else there is a manual trade."""
ID_LIMIT: Final = 48
SOLD_ALREADY: Final = "nothing is held at the broker any more"
"""The note of an exit that something else was faster than: a resting stop, or a person."""
MAX_SENDS: Final = 2
"""An intent is sent at most twice in all, under one id (ORD-05)."""


class Side(StrEnum):
    """The side of an order."""

    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> Side:
        """Give the other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderType(StrEnum):
    """The order types we use."""

    MARKET = "market"
    LIMIT = "limit"
    STOP = "stop"


class TimeInForce(StrEnum):
    """How long an order rests: to the close, or until canceled."""

    DAY = "day"
    GTC = "gtc"


class Reason(StrEnum):
    """Which rule or source wants the trade."""

    STOP_LOSS = "stop_loss"
    TRAILING_STOP = "trailing_stop"
    TAKE_PROFIT = "take_profit"
    DIP_BUY = "dip_buy"
    ENTRY = "entry"
    BROKER_STOP = "broker_stop"
    BROKER_STOP_DAY = "broker_stop_day"
    UNPROTECTED = "unprotected"
    FLATTEN = "flatten"
    DATA_LOSS = "data_loss"

    @property
    def words(self) -> str:
        """Give the reason in words for a message."""
        return self.value.replace("_", " ")


ENTRY_REASONS: Final = frozenset({Reason.DIP_BUY, Reason.ENTRY})
RESTING_REASONS: Final = frozenset({Reason.BROKER_STOP, Reason.BROKER_STOP_DAY})
"""Protective stops that rest at the broker: until canceled for whole shares, for the day for a fraction (RSK-05)."""


class IntentState(StrEnum):
    """Where an intent stands; the last five are terminal."""

    PREPARED = "PREPARED"
    SENT = "SENT"
    UNKNOWN = "UNKNOWN"
    ACKED = "ACKED"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"
    REJECTED = "REJECTED"
    ABANDONED = "ABANDONED"


_S = IntentState
TERMINAL: Final = frozenset({_S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED, _S.ABANDONED})
IN_DOUBT: Final = frozenset({_S.SENT, _S.UNKNOWN})
AT_BROKER: Final = frozenset({_S.ACKED, _S.PARTIALLY_FILLED})
_BROKER_SAYS: Final = AT_BROKER | {_S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED}
TRANSITIONS: Final[dict[IntentState, frozenset[IntentState]]] = {
    _S.PREPARED: frozenset({_S.SENT, _S.ABANDONED}),
    # back to PREPARED only when the broker certainly does not have it: it refused to take it, or never got it
    _S.SENT: _BROKER_SAYS | {_S.UNKNOWN, _S.PREPARED},
    _S.UNKNOWN: _BROKER_SAYS | {_S.PREPARED, _S.ABANDONED},
    _S.ACKED: frozenset({_S.PARTIALLY_FILLED, _S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED}),
    _S.PARTIALLY_FILLED: frozenset({_S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED}),
    **{state: frozenset() for state in (_S.FILLED, _S.CANCELED, _S.EXPIRED, _S.REJECTED, _S.ABANDONED)},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """What an intent is for; one purpose is tried again under a higher generation, never under a second id."""

    account: AccountId
    symbol: Symbol
    side: Side
    reason: Reason
    origin: LotId | CycleId

    def __post_init__(self) -> None:
        for field in ("account", "symbol"):
            if "|" in getattr(self, field):
                raise InvalidValue(field, getattr(self, field), "a text without |, which separates the parts")

    @property
    def key(self) -> str:
        """Join the parts into the text that the id is a hash of."""
        return "|".join((self.account, self.symbol, self.side, self.reason, self.origin))

    @property
    def is_entry(self) -> bool:
        """Say whether the trade increases exposure."""
        return self.reason in ENTRY_REASONS

    @property
    def rests(self) -> bool:
        """Say whether it is a protective stop that rests at the broker instead of trading now."""
        return self.reason in RESTING_REASONS


def intent_id(purpose: Purpose, generation: int) -> IntentId:
    """Derive the client order id from purpose and generation (ORD-04); at most 48 characters."""
    digest = hashlib.sha256(f"{purpose.key}|{generation}".encode()).hexdigest()
    return IntentId(f"{ID_PREFIX}{digest[:40]}")


def is_ours(client_order_id: str) -> bool:
    """Say whether a client order id at the broker was made by us."""
    return client_order_id.startswith(ID_PREFIX) and len(client_order_id) <= ID_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the intent was decided on: the rule's words, the judged price with feed, time and doubts, the gate."""

    text: str
    price: Decimal | None
    price_at: datetime | None
    feed: str
    doubts: tuple[str, ...] = ()
    level: Decimal | None = None
    gate: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One intended order; prices in dollars a share, quantities in shares.

    `worst_price` bounds what a share of an entry can cost and prices its exposure while it is open.
    `owner` is the executor run that sends it; `sends` counts attempts under this id; `recorded` says that the
    journal holds the send and `told` that a person was; `confirmed` that the broker works the order and no longer only
    looks at it. `withdrawn` says why a resting stop is to be canceled. `filled_value` is the exact sum of price times
    quantity over the fills.
    """

    purpose: Purpose
    generation: int
    quantity: Decimal
    order_type: OrderType
    time_in_force: TimeInForce
    created_at: datetime
    evidence: Evidence
    worst_price: Decimal
    strategy: Strategy
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    state: IntentState = IntentState.PREPARED
    owner: str = ""
    sends: int = 0
    sent_at: datetime | None = None
    recorded: bool = False
    told: bool = False
    confirmed: bool = False
    withdrawn: str = ""
    broker_order_id: str = ""
    filled_quantity: Decimal = ZERO
    filled_value: Decimal = ZERO
    filled_at: datetime | None = None
    closed_at: datetime | None = None
    note: str = ""

    def __post_init__(self) -> None:
        require_positive("quantity", self.quantity)
        require_positive("worst_price", self.worst_price)
        require_not_negative("filled_quantity", self.filled_quantity)
        require_utc("created_at", self.created_at)
        if self.filled_quantity > self.quantity:
            raise InvalidValue("filled_quantity", self.filled_quantity, f"at most the ordered {self.quantity}")
        if (self.order_type is OrderType.LIMIT) != (self.limit_price is not None):
            raise InvalidValue("limit_price", self.limit_price, "a price on limit orders and on no other")
        if (self.order_type is OrderType.STOP) != (self.stop_price is not None):
            raise InvalidValue("stop_price", self.stop_price, "a price on stop orders and on no other")

    @property
    def id(self) -> IntentId:
        """Give the id, which is the broker's client order id."""
        return intent_id(self.purpose, self.generation)

    @property
    def symbol(self) -> Symbol:
        """Give the symbol."""
        return self.purpose.symbol

    @property
    def side(self) -> Side:
        """Give the side."""
        return self.purpose.side

    @property
    def is_entry(self) -> bool:
        """Say whether the intent increases exposure."""
        return self.purpose.is_entry

    @property
    def rests(self) -> bool:
        """Say whether it is a protective stop that rests at the broker."""
        return self.purpose.rests

    @property
    def is_open(self) -> bool:
        """Say whether the intent can still lead to a fill."""
        return self.state not in TERMINAL

    @property
    def remaining(self) -> Decimal:
        """Give the shares that are not filled yet."""
        return self.quantity - self.filled_quantity

    @property
    def committed(self) -> Decimal:
        """Give the exposure an open entry may still reach, in dollars; exits commit nothing."""
        return self.quantity * self.worst_price if self.is_entry else ZERO

    @property
    def average_fill_price(self) -> Decimal | None:
        """Give the average price over the fills, None before the first."""
        return self.filled_value / self.filled_quantity if self.filled_quantity else None

    def fields(self) -> dict[str, object]:
        """Give everything that explains the intent, for the journal."""
        return {
            "id": self.id,
            "account": self.purpose.account,
            "symbol": self.symbol,
            "side": self.side,
            "reason": self.purpose.reason,
            "origin": self.purpose.origin,
            "generation": self.generation,
            "strategy": self.strategy,
            "quantity": self.quantity,
            "type": self.order_type,
            "time_in_force": self.time_in_force,
            "limit_price": self.limit_price,
            "stop_price": self.stop_price,
            "state": self.state,
            "sends": self.sends,
            "filled_quantity": self.filled_quantity,
            "filled_value": self.filled_value,
            "broker_order_id": self.broker_order_id,
            "withdrawn": self.withdrawn,
            "created_at": self.created_at,
            "note": self.note,
            "text": self.evidence.text,
            "price": self.evidence.price,
            "price_at": self.evidence.price_at,
            "feed": self.evidence.feed,
            "doubts": self.evidence.doubts,
            "level": self.evidence.level,
            "gate": self.evidence.gate,
        }

    def can_move_to(self, state: IntentState) -> bool:
        """Say whether the step to a state is listed, or no step at all."""
        return state is self.state or state in TRANSITIONS[self.state]

    def moved_to(self, state: IntentState, **changes: object) -> Intent:
        """Return the intent in another state; raise InvalidValue for a step that TRANSITIONS does not list.

        Staying in the same state is allowed, so that news arriving twice changes nothing; a terminal intent keeps
        every field.
        """
        if not self.can_move_to(state):
            raise InvalidValue("state", f"{self.state} -> {state}", f"one of {sorted(TRANSITIONS[self.state])}")
        moved = replace(self, state=state, **changes)  # type: ignore[arg-type]
        if not self.is_open and moved != self:
            raise InvalidValue("state", self.state, "an open intent: a terminal one never changes")
        return moved
