"""A network in front of a served AWS account that loses, delays and refuses what it is told to, and counts the rest."""

from __future__ import annotations

import json
import socket
import struct
from collections import deque
from collections.abc import Callable
from http.client import HTTPConnection, responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """What the account answered to a request that was passed on."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


class Exchange:
    """One request on its way: to pass on, to answer, or to let down."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: bytes, account: tuple[str, int], over: Event) -> None:
        self._handler = handler
        self._body = body
        self._account = account
        self._over = over

    def ask(self) -> Answer:
        """Pass the request on and take the account's answer."""
        connection = HTTPConnection(*self._account, timeout=10)
        try:
            headers = dict(self._handler.headers.items())
            connection.request(self._handler.command, self._handler.path, self._body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()

    def reply(self, answer: Answer, *, until: int | None = None) -> None:
        """Give an answer, or only its first bytes."""
        lines = [f"HTTP/1.0 {answer.status} {responses[answer.status]}"]
        lines += [f"{name}: {value}" for name, value in answer.headers if name.lower() != "connection"]
        self._handler.connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body[:until])

    def reset(self) -> None:
        """Reset the connection."""
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wait(self) -> None:
        """Say nothing until the other side has gone or the test is over."""
        self._handler.connection.settimeout(0.02)
        while not self._over.is_set():
            try:
                if not self._handler.connection.recv(1024):
                    return
            except TimeoutError:
                continue
            except OSError:
                return


Step = Callable[[Exchange], None]


def pass_on(exchange: Exchange) -> None:
    """Do what a network does."""
    exchange.reply(exchange.ask())


def throttle(exchange: Exchange) -> None:
    """Answer as a table does that has had enough."""
    exchange.reply(_refusal(400, "ProvisionedThroughputExceededException", "The level of throughput was exceeded"))


def fail(exchange: Exchange) -> None:
    """Answer that the service is broken."""
    exchange.reply(_refusal(500, "InternalServerError", "Internal server error"))


def deny(exchange: Exchange) -> None:
    """Answer that this identity may not."""
    exchange.reply(_refusal(400, "AccessDeniedException", "User: arn:aws:iam::1:role/x is not authorized"))


def hang(exchange: Exchange) -> None:
    """Take the request and do nothing."""
    exchange.wait()


def reset(exchange: Exchange) -> None:
    """Take the request and reset the connection."""
    exchange.reset()


def reset_in_body(exchange: Exchange) -> None:
    """Pass the request on, and break off in the middle of the answer."""
    answer = exchange.ask()
    exchange.reply(answer, until=len(answer.body) // 2)
    exchange.reset()


def lose_answer(exchange: Exchange) -> None:
    """Pass the request on and close without a word."""
    exchange.ask()


def hold_answer(exchange: Exchange) -> None:
    """Pass the request on and keep the answer."""
    exchange.ask()
    exchange.wait()


def lose_answer_then(act: Callable[[], object]) -> Step:
    """Pass the request on, do something else, and close without a word."""

    def step(exchange: Exchange) -> None:
        exchange.ask()
        act()

    return step


class AwsProxy:
    """Plays its script on the requests that come, one step each, and passes on all others."""

    def __init__(self, account_url: str) -> None:
        parts = urlsplit(account_url)
        assert parts.hostname is not None
        assert parts.port is not None
        self.arrived: list[str] = []
        self.bodies: list[bytes] = []
        self._account = (parts.hostname, parts.port)
        self._script: deque[Step] = deque()
        self._over = Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def play(self, *steps: Step) -> None:
        """Treat the next requests so, and forget what came before."""
        self.arrived.clear()
        self.bodies.clear()
        self._script = deque(steps)

    def __enter__(self) -> AwsProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the base class calls it by this name
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                proxy._pass(self, body)

            def log_message(self, format: str, *args: object) -> None:
                """Keep quiet: what arrived is counted."""

        return Handler

    def _pass(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.arrived.append(handler.headers.get("X-Amz-Target", "").rpartition(".")[2])
        self.bodies.append(body)
        step = self._script.popleft() if self._script else pass_on
        handler.close_connection = True
        step(Exchange(handler, body, self._account, self._over))


def _refusal(status: int, code: str, message: str) -> Answer:
    body = json.dumps({"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}).encode()
    headers = [("Content-Type", "application/x-amz-json-1.0"), ("Content-Length", str(len(body)))]
    return Answer(status, headers, body)
