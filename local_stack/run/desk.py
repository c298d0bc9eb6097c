"""Where a run's messages arrive on this machine, and the page that shows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_stack.loopback import LoopbackServer
from local_stack.run.discord_sink import DiscordSink
from local_stack.run.folder import RunFolder
from local_stack.run.mail_outbox import MailOutbox
from local_stack.run.page import MessagePage
from local_stack.run.way_in import CLOCK_PATH
from shared.domain.errors import Stop, Unavailable
from shared.ports.clock import Clock


class Desk:
    """The sinks, their page and the run's clock on one port, and a second price source that knows no symbol."""

    def __init__(self, clock: Clock, folder: RunFolder, note: str) -> None:
        """Lay the sinks out in a run's folder; `note` is what the page says of itself."""
        self.sink = DiscordSink(clock, folder.discord)
        self.outbox = MailOutbox(folder.mail, lambda: ())
        page = MessagePage(clock.now, lambda: self.sink.messages, lambda: self.outbox.mails, note)
        unknown = Route("/v8/finance/chart/{symbol}", _unknown_symbol, methods=["GET"])
        time = Route(CLOCK_PATH, self._time, methods=["GET"])
        self._clock = clock
        self._app = Starlette(routes=[*page.routes(), *self.sink.routes(), unknown, time])

    @contextmanager
    def served(self, chosen: int | None, usual: int) -> Iterator[str]:
        """Serve on the chosen port, else on the usual one, else on any that is free."""
        server = LoopbackServer(self._app, "page", port=usual if chosen is None else chosen)
        try:
            url = server.start()
        except Unavailable as problem:
            if chosen is not None:
                raise Stop(str(problem)) from problem
            server = LoopbackServer(self._app, "page")
            url = server.start()
        try:
            yield url
        finally:
            server.stop()

    async def _time(self, _: Request) -> Response:
        return JSONResponse({"now": self._clock.now().isoformat()})


async def _unknown_symbol(_: Request) -> Response:
    return JSONResponse({"chart": {"result": None, "error": {"code": "Not Found"}}}, status_code=404)
