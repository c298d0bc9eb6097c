"""One connection for one request, bounded as a whole: how long, how much, and whether anything was sent.

Decided: a fresh connection each time, never one from a pool. A server closes idle connections, and a request written
into one that is closing may or may not have arrived, which costs its whole reservation; a handshake costs 50 ms. No
proxy is used and no redirect followed, so the key reaches one address only. What the library bounds by the silence
between two pieces is bounded here by the time that is left, name look-up included.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, Final, NoReturn

import httpcore2
import httpx2

CONNECT_SECONDS: Final = 2.0
_PIECE: Final = 16_384


class Wire:
    """What one request may take, and what became of it; `until` is an instant of the monotonic clock."""

    def __init__(self, *, until: float, most_bytes: int) -> None:
        self.until = until
        self.most_bytes = most_bytes
        self.began = monotonic()
        self.connect_until = min(until, self.began + CONNECT_SECONDS)
        self.sent = False
        self.received = 0

    @property
    def expired(self) -> bool:
        """Say whether the time is over."""
        return monotonic() >= self.until

    @property
    def flooded(self) -> bool:
        """Say whether more came than may."""
        return self.received > self.most_bytes


class BoundedTransport(httpx2.BaseTransport):
    """Sends one request over a connection of its own."""

    def __init__(self, wire: Wire, trusted: ssl.SSLContext) -> None:
        self._pool = httpcore2.ConnectionPool(
            ssl_context=trusted, max_connections=1, max_keepalive_connections=0, network_backend=_Network(wire)
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        assert isinstance(request.stream, httpx2.SyncByteStream)  # noqa: S101 -- the client is synchronous
        url = request.url
        sent = httpcore2.Request(
            request.method,
            httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx():
            got = self._pool.handle_request(sent)
        assert isinstance(got.stream, Iterable)  # noqa: S101 -- the pool is synchronous
        response = httpx2.Response(got.status, headers=got.headers, stream=_Body(got.stream), extensions=got.extensions)
        if response.headers.get("content-encoding", "identity") != "identity":
            response.close()
            raise httpx2.ReadError("the answer is packed, which was not asked for")
        return response

    def close(self) -> None:
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._stream

    def close(self) -> None:
        if hasattr(self._stream, "close"):
            self._stream.close()


class _Network(httpcore2.NetworkBackend):
    """Connects within the time to connect, all addresses of a name together."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._plain = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        failure: Exception = httpcore2.ConnectError("the name has no address")
        for address in _addresses(host, port, _left(self._wire.connect_until)):
            try:
                stream = self._plain.connect_tcp(address, port, _left(self._wire.connect_until), local_address)
            except httpcore2.ConnectError as problem:
                failure = problem
            else:
                return _Stream(stream, self._wire)
        raise failure


class _Stream(httpcore2.NetworkStream):
    """Reads and writes within what is left of the request's time, and counts."""

    def __init__(self, stream: httpcore2.NetworkStream, wire: Wire) -> None:
        self._stream = stream
        self._wire = wire

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        piece = self._stream.read(max_bytes, _left(self._wire.until))
        self._wire.received += len(piece)
        if self._wire.flooded:
            raise httpcore2.ReadError(f"the answer is larger than {self._wire.most_bytes} bytes")
        return piece

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._wire.sent = True
        for start in range(0, len(buffer), _PIECE):
            self._stream.write(buffer[start : start + _PIECE], _left(self._wire.until))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = _left(self._wire.connect_until)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._wire)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(until: float) -> float:
    left = until - monotonic()
    if left <= 0:
        raise httpcore2.ReadTimeout("the time is over")
    return left


def _addresses(host: str, port: int, seconds: float) -> list[str]:
    """Look a name up in a thread of its own: the system's look-up knows no time limit."""
    found: SimpleQueue[list[str] | OSError] = SimpleQueue()

    def look_up() -> None:
        try:
            listed = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found.put([str(entry[4][0]) for entry in listed])
        except OSError as problem:
            found.put(problem)

    Thread(target=look_up, name="look-up of a name", daemon=True).start()
    try:
        answer = found.get(timeout=seconds)
    except Empty:
        raise httpcore2.ConnectTimeout("the look-up of the name takes too long") from None
    if isinstance(answer, OSError):
        raise httpcore2.ConnectError("the name cannot be looked up") from answer
    return answer


@contextmanager
def _as_httpx() -> Iterator[None]:
    """Turn what goes wrong below into the errors that the SDK and its callers know."""
    try:
        yield
    except httpcore2.TimeoutException as problem:
        _raise(httpx2.ReadTimeout, problem)
    except (httpcore2.NetworkError, httpcore2.ProtocolError) as problem:
        _raise(httpx2.ReadError, problem)


def _raise(kind: type[httpx2.TransportError], problem: Exception) -> NoReturn:
    raise kind(type(problem).__name__) from problem
