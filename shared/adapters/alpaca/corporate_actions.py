"""Splits and dividends from Alpaca.

Alpaca selects by the day it processes an action, which for a dividend is the day it pays, weeks after the ex-date; so
a wider range is asked for, and cut by ex-date here. A stock dividend is a split by another name. What is neither (a
spin-off, a merger, a dividend in another currency) changes prices in ways that one ratio and one amount cannot say:
it is logged and counts as no action (RSK-01).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from alpaca.data.historical.corporate_actions import CorporateActionsClient

from shared.adapters.alpaca.outcomes import reading
from shared.adapters.alpaca.pages import pages
from shared.adapters.alpaca.session import require_disarmed
from shared.domain.assets import Symbol
from shared.domain.corporate_actions import ActionKind, CorporateAction
from shared.domain.money import ONE
from shared.ports.clock import Clock

log = logging.getLogger(__name__)

PROCESSED_BEFORE: Final = timedelta(days=30)
PROCESSED_AFTER: Final = timedelta(days=120)
"""An action is processed no more than this before or after its ex-date."""
SYMBOLS_PER_REQUEST: Final = 100
ACTIONS_PER_PAGE: Final = 1000
"""Alpaca's own limit."""

Terms = Mapping[str, Any]


class AlpacaCorporateActions:
    """Alpaca's corporate actions; the provider may learn of an action only after it was announced."""

    def __init__(self, client: CorporateActionsClient, clock: Clock) -> None:
        require_disarmed(client)
        self._client = client
        self._clock = clock

    def actions(self, symbols: Sequence[Symbol], after: date, upto: date) -> Sequence[CorporateAction]:
        asked = list(dict.fromkeys(symbols))
        found: list[CorporateAction] = []
        if after >= upto:
            return found
        for place in range(0, len(asked), SYMBOLS_PER_REQUEST):
            batch = asked[place : place + SYMBOLS_PER_REQUEST]
            with reading("corporate actions", self._clock):
                found += [action for action in self._ask(batch, after, upto) if after < action.ex_date <= upto]
        return sorted(found, key=lambda action: (action.ex_date, action.symbol, action.kind))

    def _ask(self, symbols: Sequence[Symbol], after: date, upto: date) -> Iterator[CorporateAction]:
        query: dict[str, str | int] = {
            "symbols": ",".join(symbols),
            "start": (after - PROCESSED_BEFORE).isoformat(),
            "end": (upto + PROCESSED_AFTER).isoformat(),
            "limit": ACTIONS_PER_PAGE,
        }
        for page in pages(self._client, "/corporate-actions", query):
            for kind, listed in page["corporate_actions"].items():
                for terms in listed:
                    action = _read(kind, terms)
                    if action is not None and action.symbol in symbols:
                        yield action


def _read(kind: str, terms: Terms) -> CorporateAction | None:
    """Read one action; one of another kind, or an unreadable one, costs the others nothing."""
    read = _READERS.get(kind)
    try:
        action = None if read is None else read(terms)
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError):
        log.warning("unreadable corporate action", extra={"action": kind, "terms": str(terms)[:500]}, exc_info=True)
        return None
    if action is None:
        log.warning("corporate action of a kind that is not applied", extra={"action": kind, "terms": str(terms)[:500]})
    return action


def _split(terms: Terms) -> CorporateAction:
    return _action(terms, ActionKind.SPLIT, ratio=_number(terms["new_rate"]) / _number(terms["old_rate"]))


def _stock_dividend(terms: Terms) -> CorporateAction:
    return _action(terms, ActionKind.SPLIT, ratio=ONE + _number(terms["rate"]))


def _cash_dividend(terms: Terms) -> CorporateAction | None:
    if terms.get("currency") not in (None, "", "USD"):
        return None
    return _action(terms, ActionKind.DIVIDEND, cash_amount=_number(terms["rate"]))


_READERS: Final[Mapping[str, Callable[[Terms], CorporateAction | None]]] = {
    "forward_splits": _split,
    "reverse_splits": _split,
    "stock_dividends": _stock_dividend,
    "cash_dividends": _cash_dividend,
}


def _action(terms: Terms, kind: ActionKind, **effect: Decimal) -> CorporateAction:
    symbol, ex_date = Symbol(terms["symbol"]), date.fromisoformat(terms["ex_date"])
    return CorporateAction(symbol=symbol, ex_date=ex_date, kind=kind, **effect)


def _number(value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"{value!r} is no number")
    return Decimal(str(value))
