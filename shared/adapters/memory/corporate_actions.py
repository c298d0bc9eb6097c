"""Splits and dividends that are known from the start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

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
