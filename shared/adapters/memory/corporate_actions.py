"""Splits and dividends that are known from the start, and those of them that fall due as a replay goes on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import date, datetime

from shared.domain.assets import Symbol
from shared.domain.corporate_actions import CorporateAction


class KnownActions:
    """A fixed list of corporate actions."""

    def __init__(self, actions: Iterable[CorporateAction] = ()) -> None:
        self._actions: dict[Symbol, list[CorporateAction]] = {}
        for action in sorted(actions, key=lambda action: (action.ex_date, action.kind)):
            self._actions.setdefault(action.symbol, []).append(action)

    def actions(self, symbols: Sequence[Symbol], after: date, upto: date) -> Sequence[CorporateAction]:
        if not self._actions:
            return ()
        return [
            action
            for symbol in dict.fromkeys(symbols)
            for action in self._actions.get(symbol, ())
            if after < action.ex_date <= upto
        ]


class DueActions:
    """Hands out each action once, on the morning of its ex-date; those up to `after` count as applied before."""

    def __init__(self, actions: Iterable[CorporateAction], after: date) -> None:
        due = (action for action in actions if action.ex_date > after)
        self._due = deque(sorted(due, key=lambda action: (action.ex_date, action.kind)))

    def take(self, at: datetime) -> Sequence[CorporateAction]:
        """Return what fell due since the last time, oldest first."""
        taken = []
        while self._due and self._due[0].ex_date <= at.date():
            taken.append(self._due.popleft())
        return taken
