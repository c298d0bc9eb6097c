"""What the operator's commands ask of an account beyond trading: its number, its state, and what it trades."""

from __future__ import annotations

from typing import Any, NamedTuple

from alpaca.common.exceptions import APIError
from alpaca.trading.client import TradingClient

from shared.adapters.alpaca.outcomes import reading
from shared.adapters.alpaca.session import require_disarmed
from shared.adapters.alpaca.translation import ACCOUNT_BLOCKS
from shared.domain.assets import Symbol
from shared.ports.clock import Clock


class AccountFacts(NamedTuple):
    """An account's number and state as Alpaca writes them, and every block that stands."""

    number: str
    status: str
    blocks: tuple[str, ...]


def account_facts(client: TradingClient, clock: Clock) -> AccountFacts:
    """Ask for the account; raises Unavailable, also when the keys are refused."""
    require_disarmed(client)
    with reading("account", clock):
        raw: Any = client.get_account()
        blocks = tuple(flag for flag in ACCOUNT_BLOCKS if raw.get(flag))
        return AccountFacts(str(raw["account_number"]), str(raw["status"]), blocks)


def takes_fractions(client: TradingClient, symbol: Symbol, clock: Clock) -> bool | None:
    """Say whether Alpaca trades fractions of a symbol, which it does by market orders; None when it does not say."""
    require_disarmed(client)
    with reading(f"asset {symbol}", clock):
        try:
            raw: Any = client.get_asset(symbol)
        except APIError as error:
            if error.status_code == 404:
                return None
            raise
        answer = raw.get("fractionable")
        return answer if isinstance(answer, bool) else None
