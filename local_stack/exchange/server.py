"""The exchange simulator as a server on loopback, with the handle that drives it.

The driver feeds bars and moves the clock; programs under test see HTTP only. Feed the bars that end at an instant
before setting the clock to it: an order that lives to the close may still fill in the session's last bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from local_stack.exchange.api import ExchangeApi
from local_stack.exchange.gate import Gate, Misbehaviour, Plan, Seen
from local_stack.exchange.market import Market
from local_stack.loopback import LoopbackServer, OpenProtocol, Served
from shared.adapters.memory.matching import Exchange
from shared.domain.assets import Symbol
from shared.domain.bars import Bar
from shared.domain.corporate_actions import CorporateAction
from shared.domain.quotes import Quote
from shared.ports.clock import Clock

RATE_LIMIT: Final = 200
"""Requests a minute, as Alpaca allows on the free plan."""
KEY_ID: Final = "PKSIMULATOR"
SECRET: Final = "simulated"  # noqa: S105 -- the simulator's own, it opens nothing


class ExchangeSimulator(Served):
    """One account at a simulated exchange, served on 127.0.0.1; port 0 takes a free one.

    The exchange's account id should be a UUID, as Alpaca's is.
    """

    def __init__(
        self,
        exchange: Exchange,
        clock: Clock,
        *,
        port: int = 0,
        key_id: str = KEY_ID,
        secret: str = SECRET,
        rate_limit: int = RATE_LIMIT,
    ) -> None:
        self.exchange = exchange
        self.key_id = key_id
        self.secret = secret
        self._clock = clock
        self._lock = Lock()
        self._market = Market(exchange)
        api = ExchangeApi(exchange, self._market, clock, self._lock)
        self._gate = Gate(api.app(), clock, key_id=key_id, secret=secret, rate_limit=rate_limit)
        super().__init__(LoopbackServer(self._gate, "exchange simulator", port=port, protocol=OpenProtocol))

    @property
    def seen(self) -> Sequence[Seen]:
        """List every request that arrived, in order."""
        return tuple(self._gate.seen)

    def count(self, method: str, path: str = "/") -> int:
        """Count the requests of a method that arrived under a path."""
        return sum(1 for seen in self.seen if seen.method == method and seen.path.startswith(path))

    def feed(self, *bars: Bar) -> None:
        """Let bars happen, at their ends and in that order; a halted symbol has none."""
        with self._lock:
            for bar in bars:
                if not self._market.is_halted(bar.symbol):
                    self._market.record(bar)
                    self.exchange.on_bar(bar)

    def know(self, *bars: Bar) -> None:
        """Give history to the feed without letting it happen: nothing fills in it."""
        with self._lock:
            for bar in bars:
                self._market.record(bar)

    def remember(self, *bars: Bar) -> None:
        """Give the past to the lists of bars alone: no quote is made of it, as in a replay."""
        with self._lock:
            for bar in bars:
                self._market.remember(bar)

    def know_quotes(self, symbol: Symbol, quotes: Sequence[Quote]) -> None:
        """Give recorded quotes to the feed; each replaces the made bid and ask from its instant on."""
        with self._lock:
            self._market.record_quotes(symbol, quotes)

    def announce(self, *actions: CorporateAction) -> None:
        """Let corporate actions be known without applying them."""
        with self._lock:
            for action in actions:
                self._market.announce(action)

    def apply(self, action: CorporateAction, at: datetime | None = None) -> None:
        """Apply a corporate action, before its ex-date's first bar; `at` is the clock's time when left out."""
        with self._lock:
            self._market.announce(action)
            self.exchange.apply(action, at or self._clock.now())

    def admit(self, key_id: str, secret: str) -> None:
        """Take another pair of keys beside those taken already, as in a rotation with overlap."""
        self._gate.admit(key_id, secret)

    def revoke(self, key_id: str) -> None:
        """Take a pair of keys no longer."""
        self._gate.revoke(key_id)

    def misbehave(
        self,
        kind: Misbehaviour,
        *,
        method: str = "*",
        path: str = "/",
        times: int = 1,
        retry_after: timedelta = timedelta(seconds=30),
    ) -> None:
        """Plan a misbehaviour for the next requests of a method under a path."""
        self._gate.plan(Plan(kind=kind, method=method, path=path, times=times, retry_after=retry_after))

    def behave(self) -> None:
        """Drop what was planned, thaw the feed and date quotes rightly."""
        self._gate.behave()
        with self._lock:
            self._market.thaw()
            self._market.stale_by = timedelta(0)

    def freeze_feed(self) -> None:
        """Let the feed answer with what it knows now, whatever happens on."""
        with self._lock:
            self._market.freeze(self._clock.now())

    def thaw_feed(self) -> None:
        """Let the feed go on."""
        with self._lock:
            self._market.thaw()

    def date_quotes_back(self, by: timedelta) -> None:
        """Send quotes and trades that look this much older than they are."""
        with self._lock:
            self._market.stale_by = by

    def halt(self, symbol: Symbol) -> None:
        """Halt a symbol: orders rest, nothing trades."""
        with self._lock:
            self._market.halt(symbol, self._clock.now())
            self.exchange.halt(symbol)

    def resume(self, symbol: Symbol) -> None:
        """Let a halted symbol trade again."""
        with self._lock:
            self._market.resume(symbol)
            self.exchange.resume(symbol)
