"""A server that plays a script on raw sockets: one step per request, and a count of what really arrived."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Callable, Iterator
from http.client import responses
from threading import Event, Thread
from time import sleep
from typing import NamedTuple


class Arrived(NamedTuple):
    """A request as it came over the socket."""

    method: str
    target: str
    body: bytes


Step = Callable[[socket.socket, Event], None]


def reply(status: int, body: object, **headers: str) -> Step:
    """Answer with JSON, or with bytes as they are; header names take underscores for dashes."""

    def step(connection: socket.socket, _: Event) -> None:
        connection.sendall(_message(status, body, headers))

    return step


def hang(connection: socket.socket, over: Event) -> None:
    """Say nothing until the other side has gone or the test is over."""
    connection.settimeout(0.05)
    while not over.is_set():
        with contextlib.suppress(TimeoutError):
            if not connection.recv(1024):
                return


def reset_in_body(connection: socket.socket, _: Event) -> None:
    """Send half an answer, then reset the connection."""
    message = _message(200, {"id": "x" * 200}, {})
    connection.sendall(message[: len(message) - 100])
    sleep(0.05)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang_up(connection: socket.socket, _: Event) -> None:
    """Close without a word."""


def drip(connection: socket.socket, over: Event) -> None:
    """Send an answer a byte at a time, never long silent and never done."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    with contextlib.suppress(OSError):
        while not over.wait(0.05):
            connection.sendall(b" ")


def endless(connection: socket.socket, _: Event) -> None:
    """Send far more than anybody asked for."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 90000000\r\n\r\n")
    with contextlib.suppress(OSError):
        for _number in range(90):
            connection.sendall(b" " * 1_000_000)


class ScriptedServer:
    """Plays the steps in order, one per request; the last one repeats."""

    def __init__(self, *steps: Step) -> None:
        self.arrived: list[Arrived] = []
        self._steps = list(steps)
        self._over = Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads = [Thread(target=self._accept, daemon=True)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def count(self, method: str) -> int:
        return sum(1 for request in self.arrived if request.method == method)

    def play(self, *steps: Step) -> None:
        """Go on with these steps, whatever was left of those before."""
        last = len(self._steps) - 1
        self._steps = [self._steps[min(place, last)] for place in range(len(self.arrived))] + list(steps)

    def __enter__(self) -> ScriptedServer:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(5)
        self._listening.close()

    def _accept(self) -> None:
        self._listening.settimeout(0.02)
        while not self._over.is_set():
            try:
                connection, _ = self._listening.accept()
            except TimeoutError:
                continue
            thread = Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for request in self._requests(connection):
                step = self._steps[min(len(self.arrived), len(self._steps) - 1)]
                self.arrived.append(request)
                step(connection, self._over)
                if step in (hang, reset_in_body, hang_up, drip, endless):
                    return
                connection.settimeout(0.05)

    def _requests(self, connection: socket.socket) -> Iterator[Arrived]:
        held = b""
        connection.settimeout(0.05)
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                piece = connection.recv(65536)
                if not piece:
                    return
                held += piece
            head, end, rest = held.partition(b"\r\n\r\n")
            if not end:
                continue
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
            )
            if len(rest) >= length:
                method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
                held = rest[length:]
                yield Arrived(method, target, rest[:length])


def _message(status: int, body: object, headers: dict[str, str]) -> bytes:
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} {responses.get(status, 'Unnamed')}", f"Content-Length: {len(payload)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + payload
