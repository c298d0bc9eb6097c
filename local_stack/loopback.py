"""An application served on this machine only, in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from time import monotonic, sleep
from types import TracebackType
from typing import Final, Self

import uvicorn
from starlette.types import ASGIApp, Receive, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from shared.domain.errors import Unavailable

LOOPBACK: Final = "127.0.0.1"
START_SECONDS: Final = 10.0
_TRANSPORT: Final = "transport"
_AT_ONCE: Final = struct.pack("ii", 1, 0)


@contextmanager
def past_proxies() -> Iterator[None]:
    """Let every client of this process reach this machine directly, whatever proxy the environment names."""
    before = {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")}
    for name, value in before.items():
        os.environ[name] = f"{value},{LOOPBACK}" if value else LOOPBACK
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class OpenProtocol(H11Protocol):
    """Leaves the connection's transport in the request's state, so that a reset can be played."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the transport."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, _TRANSPORT: transport}


def reset(scope: Scope) -> None:
    """Cut a connection of `OpenProtocol` so that the other side sees a reset, not an orderly end."""
    transport: asyncio.Transport = scope["state"][_TRANSPORT]
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    transport.abort()


async def until_disconnect(receive: Receive) -> None:
    """Say nothing until the other side has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Running(ABC):
    """Something that serves for as long as a `with` block lasts."""

    @abstractmethod
    def start(self) -> str:
        """Serve in a thread of its own, and return the address."""

    @abstractmethod
    def stop(self) -> None:
        """Stop serving; stopping twice is safe."""

    def __enter__(self) -> Self:
        """Start serving."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving."""
        self.stop()


class LoopbackServer(Running):
    """Serves one application on 127.0.0.1; port 0 takes a free one. Raises Unavailable when the port is taken."""

    def __init__(
        self, app: ASGIApp, name: str, *, port: int = 0, protocol: type[asyncio.Protocol] | str = "h11"
    ) -> None:
        self._app = app
        self._name = name
        self._port = port
        self._protocol = protocol
        self._server: uvicorn.Server | None = None
        self._thread: Thread | None = None

    def start(self) -> str:
        """Bind, serve, and return the address."""
        listening = self._bound()
        self._port = listening.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            http=self._protocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = Thread(target=self._server.run, kwargs={"sockets": [listening]}, name=self._name, daemon=True)
        self._thread.start()
        deadline = monotonic() + START_SECONDS
        while not self._server.started:
            if monotonic() > deadline or not self._thread.is_alive():
                raise Unavailable(f"the {self._name} did not start on port {self._port}")
            sleep(0.005)
        return self.url

    def stop(self) -> None:
        """Stop serving; stopping twice is safe."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join()
        self._server = self._thread = None

    @property
    def url(self) -> str:
        """Give the address."""
        return f"http://{LOOPBACK}:{self._port}"

    def _bound(self) -> socket.socket:
        # asyncio sets TCP_NODELAY only where the protocol is named; without it every answer to a POST waits 40 ms
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((LOOPBACK, self._port))
        except OSError as problem:
            listening.close()
            raise Unavailable(f"the {self._name} cannot listen on port {self._port}: {problem.strerror}") from problem
        return listening


class Served(Running):
    """The handle of an application that a loopback server of its own serves."""

    def __init__(self, server: LoopbackServer) -> None:
        self._server = server

    def start(self) -> str:
        """Serve in a thread of its own, and return the address."""
        return self._server.start()

    def stop(self) -> None:
        """Stop serving; stopping twice is safe."""
        self._server.stop()

    @property
    def url(self) -> str:
        """Give the address, the same for every client."""
        return self._server.url
