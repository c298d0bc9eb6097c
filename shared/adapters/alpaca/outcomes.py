"""What a failed exchange with Alpaca means for us: each of its errors as one of ours.

A read that failed is Unavailable or Throttled, whatever the cause. A write is judged by one question: can the broker
have accepted it? Certainly not: Unavailable, Throttled or a refusal. Otherwise OutcomeUnknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from alpaca.common.exceptions import APIError
from requests.exceptions import ConnectionError as ConnectionFailed
from requests.exceptions import ConnectTimeout, RequestException
from urllib3.exceptions import MaxRetryError, NewConnectionError

from shared.domain.errors import (
    BrokerRefusal,
    HearthwatchError,
    OutcomeUnknown,
    Refusal,
    Throttled,
    TryAgain,
    Unavailable,
)
from shared.domain.orders import RequestAllowance
from shared.ports.clock import Clock

DEFAULT_PAUSE: Final = timedelta(seconds=60)
"""How long to hold back after a 429 that does not say it: the length of Alpaca's rate window."""
LONGEST_PAUSE: Final = timedelta(minutes=5)
"""A reset time further ahead than this is a clock's error, not a wish."""

REFUSALS: Final = (
    (re.compile(r"client_?order_?id.*unique", re.I), Refusal.USED_ID),
    (re.compile(r"opposite side|wash trade", re.I), Refusal.OPPOSITE_SIDE_RESTING),
    (re.compile(r"insufficient qty|held_for_orders|not allowed to short", re.I), Refusal.SHARES_RESERVED),
    (re.compile(r"buying power|insufficient (balance|funds|cash)", re.I), Refusal.BUYING_POWER),
    (re.compile(r"(asset|symbol).*(not found|not active|not tradable|inactive)", re.I), Refusal.UNKNOWN_SYMBOL),
    (re.compile(r"could not find asset|invalid symbol", re.I), Refusal.UNKNOWN_SYMBOL),
    (re.compile(r"market.*(closed|not open)|(outside|during) market hours", re.I), Refusal.SESSION_CLOSED),
    (re.compile(r"order.*(already in|not cancelable|not cancellable)", re.I), Refusal.NOT_CANCELABLE),
)
"""Alpaca uses one code for many refusals, so the message decides; the first that matches counts."""

_NOT_OUR_KEYS = re.compile(r"forbidden|not authorized|unauthorized|access key", re.I)
_UNREADABLE = (KeyError, TypeError, ValueError, ArithmeticError, AttributeError)


@contextmanager
def reading(what: str, clock: Clock) -> Iterator[None]:
    """Turn the errors of a read and of the translation of its reply into ours."""
    try:
        yield
    except HearthwatchError as error:
        if isinstance(error, ValueError):
            raise Unavailable(f"{what}: the reply is unreadable: {error}") from error
        raise
    except APIError as error:
        if error.status_code == 429:
            raise throttled(what, error, clock.now()) from error
        raise Unavailable(f"{what}: Alpaca answered {error.status_code}: {_message(error)}") from error
    except RequestException as error:
        raise Unavailable(f"{what}: {type(error).__name__}: {error}") from error
    except _UNREADABLE as error:
        raise Unavailable(f"{what}: the reply is unreadable: {error!r}") from error


@contextmanager
def writing(what: str, clock: Clock, *, refused_as: Refusal = Refusal.OTHER) -> Iterator[None]:
    """Turn the errors of a write into ours; `refused_as` is what a refusal means that its message does not explain."""
    try:
        yield
    except APIError as error:
        raise _failed_write(what, error, clock, refused_as) from error
    except RequestException as error:
        if _never_sent(error):
            raise Unavailable(f"{what}: no connection: {error}") from error
        raise OutcomeUnknown(f"{what}: {type(error).__name__}: {error}") from error
    except _UNREADABLE as error:
        raise OutcomeUnknown(f"{what}: the reply is unreadable: {error!r}") from error


def throttled(what: str, error: APIError, now: datetime) -> Throttled:
    """Read from a 429 how long to hold back."""
    response = error.response
    headers = response.headers if response is not None else {}
    pause = _pause(headers.get("Retry-After"), now)
    if pause is None:
        reset = headers.get("X-RateLimit-Reset")
        ahead = _at(reset) - now if reset is not None and reset.isdecimal() else None
        pause = DEFAULT_PAUSE if ahead is None else min(max(ahead, timedelta(seconds=1)), LONGEST_PAUSE)
    return Throttled(f"{what}: Alpaca asked to wait {pause.total_seconds():.0f} s", pause)


def allowance_in(headers: Mapping[str, str]) -> RequestAllowance | None:
    """Read from any reply how many requests are left in the rate window; None when it does not say."""
    remaining, reset = headers.get("X-RateLimit-Remaining", ""), headers.get("X-RateLimit-Reset", "")
    if not remaining.isdecimal() or not reset.isdecimal():
        return None
    return RequestAllowance(int(remaining[:9]), _at(reset))


def is_own_404(error: APIError) -> bool:
    """Say whether a 404 is Alpaca's own word that it knows no such thing, not that of something between us."""
    return error.status_code == 404 and bool(_body(error))


def refuses_keys(status: int, message: str) -> bool:
    """Say whether a reply means that our keys are not taken: then the request was certainly not acted on."""
    return status == 401 or (status == 403 and _NOT_OUR_KEYS.search(message) is not None)


def message_of(body: str) -> str:
    """Read what an error reply says."""
    message = _object(body).get("message")
    return message if isinstance(message, str) else body[:200]


def _failed_write(
    what: str, error: APIError, clock: Clock, refused_as: Refusal
) -> TryAgain | OutcomeUnknown | BrokerRefusal:
    status, message = error.status_code, _message(error)
    if status == 429:
        return throttled(what, error, clock.now())
    if status is None or status == 408 or not 400 <= status < 500:
        return OutcomeUnknown(f"{what}: Alpaca answered {status}: {message}")
    if refuses_keys(status, message):
        return Unavailable(f"{what}: Alpaca does not take our keys: {message}")
    code = _body(error).get("code")
    kind = next((kind for pattern, kind in REFUSALS if pattern.search(message)), refused_as)
    return BrokerRefusal(kind, message, code=code if isinstance(code, int) else None)


def _never_sent(error: RequestException) -> bool:
    """Say whether the request certainly never left: no connection was made to send it on."""
    if isinstance(error, ConnectTimeout):
        return True
    cause = error.args[0] if isinstance(error, ConnectionFailed) and error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def _pause(header: str | None, now: datetime) -> timedelta | None:
    """Read a Retry-After header, which holds seconds or a date."""
    if header is None:
        return None
    if header.isdecimal():
        return min(timedelta(seconds=int(header[:9])), timedelta(days=1))
    try:
        return max(parsedate_to_datetime(header) - now, timedelta(0))
    except (TypeError, ValueError):
        return None


def _at(epoch_seconds: str) -> datetime:
    return datetime.fromtimestamp(min(int(epoch_seconds[:12]), 32503680000), UTC)


def _message(error: APIError) -> str:
    return message_of(str(error))


def _body(error: APIError) -> dict[str, Any]:
    return _object(str(error))


def _object(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
