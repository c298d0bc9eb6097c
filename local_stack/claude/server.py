"""Claude as a server on loopback, with the handle that tells it what to answer and reads its bill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

from local_stack.claude.api import Asked, ClaudeApi
from local_stack.claude.mind import Respond
from local_stack.claude.tariff import Charged, Tariff
from local_stack.claude.trouble import MESSAGES, Misbehaviour, Step
from local_stack.loopback import LoopbackServer, OpenProtocol, Served
from shared.domain.model_prices import STARTING_PRICES, PriceTable
from shared.ports.clock import Clock

KEY: Final = "sk-ant-simulated"
BATCH_TAKES: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Bill:
    """What Claude charged: micro-dollars, exact, and every line."""

    total: Decimal
    lines: Sequence[Charged]


class ClaudeServer(Served):
    """Claude's API served on 127.0.0.1; port 0 takes a free one.

    It charges by `prices` on the day of `clock`. A token covers `bytes_per_token` bytes; 1 is the dearest there is.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        prices: PriceTable = STARTING_PRICES,
        port: int = 0,
        key: str = KEY,
        bytes_per_token: int = 4,
        batch_takes: timedelta = BATCH_TAKES,
    ) -> None:
        self.key = key
        self._api = ClaudeApi(
            Tariff(prices.rows), clock, key=key, bytes_per_token=bytes_per_token, batch_takes=batch_takes
        )
        super().__init__(LoopbackServer(self._api, "Claude of this machine", port=port, protocol=OpenProtocol))

    @property
    def requests(self) -> Sequence[Asked]:
        """List every request that arrived, in order."""
        return tuple(self._api.requests)

    def charged(self) -> Bill:
        """Give the bill as it stands."""
        return Bill(*self._api.bill())

    def answer_with(self, respond: Respond) -> None:
        """Let the model answer each request as a function of its body says; it runs in the server's loop."""
        self._api.respond = respond

    def script(self, *steps: Step, path: str = MESSAGES) -> None:
        """Let these become of the next requests to a path, one each, before chance is asked."""
        self._api.script.write(path, steps)

    def misbehave(self, chances: Mapping[Misbehaviour, float], *, seed: int) -> None:
        """Let each misbehaviour become of so large a share of the requests for messages."""
        self._api.script.by_chance(chances, seed)

    def behave(self) -> None:
        """Drop what was scripted, and all chance."""
        self._api.script.clear()
