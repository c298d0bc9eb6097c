"""Lambda's Runtime API for one function on loopback, as `awslambdaric` speaks it (version 2018-06-01).

The function asks for its next event and waits; what it answers, and what it cannot do, it posts back. Nagle's algorithm
is off and every reply is one write: else each call waits 88 ms for an acknowledgement.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Final, Self

from local_stack.loopback import LOOPBACK

VERSION: Final = "/2018-06-01/runtime"
NEXT: Final = f"{VERSION}/invocation/next"
INIT_ERROR: Final = f"{VERSION}/init/error"
_INVOCATION: Final = f"{VERSION}/invocation/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An event for the function; the deadline counts milliseconds since 1970."""

    request_id: str
    arn: str
    deadline_ms: int
    event: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What went wrong, as the runtime names it: a type and a message."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The function is loaded and has asked for its first event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The process takes no events, or no more: it could not be loaded, has ended, or took too long."""

    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An event was handled: answered, or failed."""

    request_id: str
    answer: Any = None
    failure: Failure | None = None


Report = Ready | Lost | Done


class RuntimeApi:
    """Serves one function; what the function reports lies in `reports`, in order."""

    def __init__(self) -> None:
        self.reports: Queue[Report] = Queue()
        self._offers: Queue[Offer | None] = Queue()
        self._running: str | None = None
        self._asked = False
        self._lock = Lock()
        self._server = _Server(self)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,), name="runtime-api", daemon=True)

    def __enter__(self) -> Self:
        """Start serving."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving, and let whoever waits for an event go."""
        self._offers.put(None)
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def address(self) -> str:
        """Give host and port, as AWS_LAMBDA_RUNTIME_API wants them."""
        return f"{LOOPBACK}:{self._server.server_address[1]}"

    def offer(self, offer: Offer) -> None:
        """Give the function an event, when it asks for the next one."""
        self._offers.put(offer)

    def next(self) -> Offer | None:
        """Wait for the next event; None when there will be none."""
        with self._lock:
            if not self._asked:
                self._asked = True
                self.reports.put(Ready())
        offer = self._offers.get()
        with self._lock:
            self._running = offer.request_id if offer else None
        return offer

    def done(self, done: Done) -> bool:
        """Take the end of the run that is under way; say whether it was this one."""
        with self._lock:
            if done.request_id != self._running:
                return False
            self._running = None
        self.reports.put(done)
        return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, api: RuntimeApi) -> None:
        self.api = api
        super().__init__((LOOPBACK, 0), _Conversation)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that broke: its process was ended."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Conversation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_GET(self) -> None:
        """Give the next event."""
        if self.path != NEXT:
            self._refuse(HTTPStatus.NOT_FOUND, "UnknownPath")
            return
        offer = self.server.api.next()
        if offer is None:
            self._refuse(HTTPStatus.GONE, "NoMoreEvents")
            return
        headers = {
            "Lambda-Runtime-Aws-Request-Id": offer.request_id,
            "Lambda-Runtime-Deadline-Ms": str(offer.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": offer.arn,
            "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
        }
        self._reply(HTTPStatus.OK, offer.event, headers)

    def do_POST(self) -> None:
        """Take an answer or a failure."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        api = self.server.api
        if self.path == INIT_ERROR:
            api.reports.put(Lost(failure=_failure(body)))
            self._reply(HTTPStatus.ACCEPTED, {"status": "OK"})
            return
        request_id, _, what = self.path.removeprefix(_INVOCATION).partition("/")
        match what:
            case "response":
                taken = api.done(Done(request_id=request_id, answer=json.loads(body)))
            case "error":
                taken = api.done(Done(request_id=request_id, failure=_failure(body)))
            case _:
                self._refuse(HTTPStatus.NOT_FOUND, "UnknownPath")
                return
        if taken:
            self._reply(HTTPStatus.ACCEPTED, {"status": "OK"})
        else:
            self._refuse(HTTPStatus.BAD_REQUEST, "InvalidRequestID")

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def _refuse(self, status: HTTPStatus, kind: str) -> None:
        self._reply(status, {"errorType": kind, "errorMessage": status.phrase})

    def _reply(self, status: HTTPStatus, content: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _failure(body: bytes) -> Failure:
    told = json.loads(body)
    return Failure(kind=str(told.get("errorType", "")), message=str(told.get("errorMessage", "")))
