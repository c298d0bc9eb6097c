"""The second look at corporate actions, before a stop fires on a gap (PRC-06, RSK-01).

Decided: a price that lies further than `WILD_MOVE` from where a position stood decides nothing before the actions of
all such positions were asked for once more, in one request, at their source: what the day's plan was made from may be
older than the news. What is found is applied as the daily look applies it, once. A look that fails counts as no
action, so the confirmed price still sells; only a trailing stop does not rise on such a price.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import cached_property

from shared.domain.assets import Symbol
from shared.domain.corporate_actions import LATE_BY, CorporateAction
from shared.domain.errors import HearthwatchError
from shared.domain.positions import Position
from shared.domain.quotes import JudgedQuote
from shared.domain.stops import decides_from_afar
from shared.ports.day_plans import DaySources

log = logging.getLogger(__name__)


class SecondLook:
    """One tick's second look: asks when the first position needs it, and for all that do; `today` is the exchange's."""

    def __init__(
        self,
        sources: DaySources,
        held: Iterable[Position],
        quotes: Mapping[Symbol, JudgedQuote],
        today: date,
        keep: Callable[[Position], Position],
    ) -> None:
        self._sources = sources
        self._held = held
        self._quotes = quotes
        self._today = today
        self._keep = keep

    def caught_up(self, position: Position) -> Position:
        """Give the position with everything applied that became known late, and its high raised to a price it trusts.

        Apart from its trailing high it is the same position when no rule acts on a far price.
        """
        quote = self._quotes[position.symbol]
        if quote.price is None:
            return position
        if not decides_from_afar(position, quote.price):
            return self._raised(position, quote)
        if self._known is None:
            return position if quote.price > position.stood_at else self._raised(position, quote)
        caught_up = position.caught_up(self._known, self._today)
        return self._raised(position if caught_up is position else self._keep(caught_up), quote)

    def _raised(self, position: Position, quote: JudgedQuote) -> Position:
        raised = position if quote.price is None else position.seen_at(quote.price)
        return position if raised is position else self._keep(raised)

    @cached_property
    def _known(self) -> Sequence[CorporateAction] | None:
        """Ask once for everything held that needs it; None when nobody answered."""
        prices = {symbol: quote.price for symbol, quote in self._quotes.items()}
        far = [p for p in self._held if (price := prices.get(p.symbol)) is not None and decides_from_afar(p, price)]
        since = min(position.adjusted_through for position in far) - LATE_BY
        try:
            return self._sources.actions.actions([position.symbol for position in far], since, self._today)
        except HearthwatchError as error:
            log.warning("corporate actions not looked up again, taken as none", extra={"problem": str(error)})
            return None
