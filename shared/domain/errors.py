"""What can go wrong, grouped by what the caller can do about it.

HearthwatchError
├── TryAgain                 nothing is known to have happened; the next tick may succeed
│   ├── Unavailable          the other side did not answer, or answered that it cannot now
│   ├── Throttled            the other side asked us to slow down, and for how long
│   └── Conflict             somebody else wrote first; read again
├── OutcomeUnknown           a write may or may not have happened; ask before doing anything else
├── Refused                  the other side understood and said no; repeating changes nothing
│   ├── BrokerRefusal        the broker's no, with its code and what it means for us
│   └── ChannelDead          an alert channel that a person must mend: its address is gone or its credential refused
└── Stop                     a person must act
    ├── StartRefused         what is configured does not fit together; nothing starts until it is mended
    ├── InvalidValue         a value from outside that no rule can work with; names field and value
    └── MissingSecret        secrets that the parameter store does not hold; names every one, never a value
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum


class HearthwatchError(Exception):
    """Root of every error Hearthwatch raises on purpose."""


class TryAgain(HearthwatchError):
    """Nothing is known to have happened; the same call may succeed later."""


class Unavailable(TryAgain):
    """The other side did not answer, or said that it cannot answer now."""


class Throttled(TryAgain):
    """The other side asked us to slow down."""

    def __init__(self, message: str, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Conflict(TryAgain):
    """A conditional write lost: the stored version is not the one that was read."""


class OutcomeUnknown(HearthwatchError):
    """A write may or may not have been accepted; only a read can tell."""


class Refused(HearthwatchError):
    """The other side understood the request and refused it."""


class Refusal(StrEnum):
    """Why a broker refuses an order, in our words."""

    USED_ID = "used_id"
    OPPOSITE_SIDE_RESTING = "opposite_side_resting"
    SHARES_RESERVED = "shares_reserved"
    UNKNOWN_SYMBOL = "unknown_symbol"
    SESSION_CLOSED = "session_closed"
    BUYING_POWER = "buying_power"
    NOT_CANCELABLE = "not_cancelable"
    OTHER = "other"


class BrokerRefusal(Refused):
    """The broker refused; `kind` says what that means for us, `code` is the broker's own."""

    def __init__(self, kind: Refusal, message: str, *, code: int | None = None) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.code = code
        self.message = message


class ChannelDead(Refused):
    """An alert channel will not take messages until a person mends it."""


class Stop(HearthwatchError):
    """A person must act before this can work."""


class StartRefused(Stop):
    """What is configured does not fit together; the message says what is missing and what to do."""


class InvalidValue(Stop, ValueError):
    """A value that no rule can work with; the message names the field, the value and what was expected."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field}: {value!r} is not usable, expected {expected}")
        self.field = field
        self.value = value
        self.expected = expected


class MissingSecret(Stop):
    """Secrets are not in the parameter store; the message names them all and says how to set them."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"missing in the parameter store: {', '.join(names)}; set with `make secrets`")
        self.names = tuple(names)
