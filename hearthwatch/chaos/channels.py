"""Where alerts arrive in a cell, and its second price source: a Discord and a Yahoo on loopback that fail on demand."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from local_stack.exchange.server import ExchangeSimulator
from local_stack.loopback import LoopbackServer, Served
from local_stack.run.discord_sink import WEBHOOK_PATH, DiscordSink
from shared.domain.assets import Symbol
from shared.ports.clock import Clock

DISCORD: Final = "/api/webhooks"
YAHOO: Final = "/v8/finance/chart"
RETRY_AFTER: Final = 30
"""Seconds that a Discord which answers 429 asks to wait."""


class Channels(Served):
    """Discord and Yahoo on one port; Yahoo knows what traded last at the exchange."""

    def __init__(self, clock: Clock, exchange: ExchangeSimulator, folder: Path) -> None:
        """Keep Discord's messages in a folder that nobody else writes to."""
        self.sink = DiscordSink(clock, folder / "discord.jsonl")
        self._clock = clock
        self._exchange = exchange
        chart = Route(f"{YAHOO}/{{symbol}}", self._chart, methods=["GET"])
        self._refusals = _Refusals(Starlette(routes=[*self.sink.routes(), chart]))
        super().__init__(LoopbackServer(self._refusals, "channels"))

    @property
    def webhook(self) -> str:
        """Give the address of the webhook."""
        return f"{self.url}{WEBHOOK_PATH}"

    def refuse(self, path: str, status: int) -> Callable[[], int]:
        """Answer everything under a path with this status, and return what counts how often that happened."""
        self._refusals.statuses[path] = status
        return lambda: self._refusals.counts[path]

    def behave(self) -> None:
        """Answer in order again."""
        self._refusals.statuses.clear()

    async def _chart(self, request: Request) -> Response:
        symbol = Symbol(request.path_params["symbol"])
        price = self._exchange.exchange.last_price(symbol)
        if price is None:
            return JSONResponse({"chart": {"result": None, "error": {"code": "Not Found"}}}, status_code=404)
        at = int(self._clock.now().timestamp())
        meta = f'{{"symbol": "{symbol}", "regularMarketTime": {at}, "regularMarketPrice": {price}}}'
        return Response(
            f'{{"chart": {{"result": [{{"meta": {meta}}}], "error": null}}}}', media_type="application/json"
        )


class _Refusals:
    """In front of an application: answers some paths with a status and passes the rest on."""

    def __init__(self, app: ASGIApp) -> None:
        self.statuses: dict[str, int] = {}
        self.counts: Counter[str] = Counter()
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))
        refused = next((start for start in self.statuses if path.startswith(start)), None)
        if refused is None:
            await self._app(scope, receive, send)
            return
        self.counts[refused] += 1
        await _refusal(self.statuses[refused])(scope, receive, send)


def _refusal(status: int) -> Response:
    body = {"message": "no", "code": 0}
    headers = {}
    if status == 429:
        body |= {"retry_after": RETRY_AFTER, "global": False}
        headers = {"Retry-After": str(RETRY_AFTER), "X-RateLimit-Scope": "user"}
    return Response(json.dumps(body), status, headers, media_type="application/json")
