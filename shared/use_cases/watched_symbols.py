"""What is watched: the watchlist, what is held, and what is being bought or sold."""

from __future__ import annotations

from shared.domain.assets import Symbol
from shared.domain.intents import AccountId
from shared.ports.book import Ledgers, Positions, Watchlist


def watched_symbols(account: AccountId, watchlist: Watchlist, positions: Positions, ledgers: Ledgers) -> list[Symbol]:
    """Join watchlist, positions and open orders, each symbol once."""
    held = (position.symbol for position in positions.all())
    working = (intent.symbol for intent in ledgers.load(account).open.values())
    return list(dict.fromkeys((*watchlist.symbols(), *held, *working)))
