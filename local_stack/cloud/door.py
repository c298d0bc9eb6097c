"""In front of moto: who asks, may it, and what goes wrong on demand.

Each function has an access key of its own, so that every request is judged by the policy that its role has in the
template; Lambda has another in its name, for polling queues and putting failed events aside, and never misbehaves; the
owner may do everything. A planned misbehaviour comes before the judgement, as in a cloud whose network
fails before its doorman is asked. Requests pass one at a time: moto's backends are not safe under threads, and one
interpreter would run them one at a time anyway.
"""

from __future__ import annotations

import json
import socket
import struct
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from io import BytesIO
from threading import Event, Lock
from typing import Any, Final, NamedTuple
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.wrappers import Request, Response

from local_stack.cloud import replies
from local_stack.cloud.policies import Effect, Statement, allows
from local_stack.cloud.queue_times import QueueTimes
from local_stack.cloud.requests import Ask, Asked, queue_name, understand
from local_stack.cloud.stack import Place

REFUSED_LIMIT: Final = 1_000
"""Refusals remembered; older ones are forgotten."""
OWNER: Final = "owner"
LONGEST_DELAY: Final = 900
"""Seconds that SQS delays a message at most."""
_AT_ONCE: Final = struct.pack("ii", 1, 0)
_SENDS: Final = frozenset({"SendMessage", "SendMessageBatch"})
_HIDES: Final = frozenset({"ChangeMessageVisibility", "ChangeMessageVisibilityBatch"})
_EVERYTHING: Final = (Statement(effect=Effect.ALLOW, actions=("*",), resources=("*",)),)


class Misbehaviour(StrEnum):
    """What AWS can be told to do wrong."""

    THROTTLE = "throttle"
    SERVER_ERROR = "server_error"
    CONFLICT = "conflict"
    DENY = "deny"
    HANG = "hang"
    ANSWER_LOST = "answer_lost"
    SLOW = "slow"


class Caller(NamedTuple):
    """Who signs with a key; a steady caller is left out of every plan."""

    name: str
    statements: Sequence[Statement]
    steady: bool


class Call(NamedTuple):
    """An action that somebody asked for."""

    caller: str
    action: str
    resource: str


@dataclass(slots=True, kw_only=True)
class Plan:
    """A misbehaviour for the next `times` requests; "*" stands for any text in action, resource and caller.

    Any caller means any function: the owner's requests misbehave only when they are meant by name.
    `lasting` is how long a hang or a slow answer takes.
    """

    kind: Misbehaviour
    action: str = "*"
    resource: str = "*"
    caller: str = "*"
    times: int = 1
    lasting: timedelta = timedelta(seconds=30)

    def fits(self, caller: str, asks: Sequence[Ask]) -> bool:
        """Say whether the plan is for this request."""
        meant = self.caller == OWNER if caller == OWNER else fnmatchcase(caller, self.caller)
        return (
            self.times > 0
            and meant
            and any(fnmatchcase(ask.action, self.action) and fnmatchcase(ask.resource, self.resource) for ask in asks)
        )


Watch = Callable[[Asked, Response], None]
"""Sees each request that was passed on, and its answer before that leaves."""
Disturbance = Callable[[str, Sequence[Ask]], Plan | None]
"""Decides for each request of a function, given its name and what it asks for, what goes wrong; None is nothing."""


class Door:
    """The application in front of moto's."""

    def __init__(self, app: WSGIApplication, place: Place, times: QueueTimes) -> None:
        self.refused: deque[Call] = deque(maxlen=REFUSED_LIMIT)
        self._app = app
        self._place = place
        self._times = times
        self._callers: dict[str, Caller] = {}
        self._calls: dict[str, Counter[Ask]] = {}
        self._plans: list[Plan] = []
        self._disturbances: list[Disturbance] = []
        self._watches: list[Watch] = []
        self._lock = Lock()
        self._one_at_a_time = Lock()
        self._closing = Event()

    def admit_owner(self, key_id: str) -> None:
        """Let whoever signs with this key do everything."""
        self._callers[key_id] = Caller(OWNER, _EVERYTHING, steady=False)
        self._calls[OWNER] = Counter()

    def admit(self, key_id: str, name: str, statements: Sequence[Statement], *, steady: bool = False) -> None:
        """Let whoever signs with this key do what the statements allow; several keys may go by one name."""
        self._callers[key_id] = Caller(name, statements, steady)
        self._calls.setdefault(name, Counter())

    def calls_of(self, caller: str) -> tuple[Ask, ...]:
        """List each action on each resource that a caller asked for, refused ones too, in order of first use."""
        with self._lock:
            return tuple(self._calls[caller])

    def count(self, caller: str, action: str) -> int:
        """Count how often a caller asked for an action."""
        with self._lock:
            return sum(times for ask, times in self._calls[caller].items() if ask.action == action)

    def plan(self, plan: Plan) -> None:
        """Add a misbehaviour; plans are used up in the order in which they were made."""
        with self._lock:
            self._plans.append(plan)

    def disturb(self, disturbance: Disturbance) -> None:
        """Ask this too, from now on, about every request that no plan is for; the first that answers decides."""
        with self._lock:
            self._disturbances.append(disturbance)

    def watch(self, watch: Watch) -> None:
        """Show this every request that is passed on, from now on; where it raises, the answer is an error."""
        self._watches.append(watch)

    def behave(self) -> None:
        """Drop every plan and every disturbance."""
        with self._lock:
            self._plans.clear()
            self._disturbances.clear()

    def close(self) -> None:
        """Let hanging requests go."""
        self._closing.set()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as planned or in order."""
        # moto finds the account by this header; one process may play several
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self._place.account
        request = Request(environ)
        _replace_body(request, request.get_data())
        asked = understand(request, self._place)
        response = self._answer(request, asked)
        if response is None:
            _reset(environ)
            response = Response(status=500)
        return response(environ, start_response)

    def _answer(self, request: Request, asked: Asked) -> Response | None:
        """Give the answer, or None when none is to be sent."""
        caller = self._callers.get(asked.key_id)
        if caller is None:
            return replies.stranger(asked.service)
        plan = self._take(caller, asked.asks)
        match plan.kind if plan else None:
            case Misbehaviour.THROTTLE:
                return replies.throttled(asked.service)
            case Misbehaviour.SERVER_ERROR:
                return replies.broken(asked.service)
            case Misbehaviour.CONFLICT:
                return replies.conflict()
            case Misbehaviour.DENY:
                return self._denied(caller, asked, asked.asks[0])
            case Misbehaviour.HANG if plan:
                self._closing.wait(plan.lasting.total_seconds())
                return None
            case Misbehaviour.SLOW if plan:
                self._closing.wait(plan.lasting.total_seconds())
        response = self._judged(request, asked, caller)
        return None if plan and plan.kind is Misbehaviour.ANSWER_LOST else response

    def _take(self, caller: Caller, asks: Sequence[Ask]) -> Plan | None:
        """Record what was asked for, and find what is planned for it."""
        with self._lock:
            self._calls[caller.name].update(asks)
            if caller.steady:
                return None
            plan = next((plan for plan in self._plans if plan.fits(caller.name, asks)), None)
            if plan is not None:
                plan.times -= 1
                return plan
            if caller.name == OWNER:
                return None
            strikes = (disturbance(caller.name, asks) for disturbance in self._disturbances)
            return next((strike for strike in strikes if strike is not None), None)

    def _judged(self, request: Request, asked: Asked, caller: Caller) -> Response:
        for ask in asked.asks:
            if not allows(caller.statements, ask.action, ask.resource, asked.context):
                self.refused.append(Call(caller.name, ask.action, ask.resource))
                return self._denied(caller, asked, ask)
        with self._turn(asked):
            response = self._passed(request, asked, caller)
            for watch in self._watches:
                watch(asked, response)
        if asked.operation == "s3:GetObject" and response.status_code == 404:
            return self._hidden(asked, caller, response)
        return response

    def _turn(self, asked: Asked) -> AbstractContextManager[object]:
        """Let requests pass one at a time, but nobody wait for a queue that waits for its next message."""
        return nullcontext() if asked.body.get("WaitTimeSeconds") else self._one_at_a_time

    def _denied(self, caller: Caller, asked: Asked, ask: Ask) -> Response:
        who = f"arn:aws:sts::{self._place.account}:assumed-role/{caller.name}/{caller.name}"
        return replies.denied(asked.service, who, ask.action, ask.resource)

    def _hidden(self, asked: Asked, caller: Caller, response: Response) -> Response:
        """Tell of a missing object only to whoever may list the bucket; S3 denies the rest."""
        bucket = asked.asks[0].resource.partition("/")[0]
        if allows(caller.statements, "s3:ListBucket", bucket, asked.context):
            return response
        return self._denied(caller, asked, Ask("s3:ListBucket", bucket))

    def _passed(self, request: Request, asked: Asked, caller: Caller) -> Response:
        if asked.operation == "GetAccount":
            return replies.ses_account()
        if asked.service == "sqs" and asked.operation in _SENDS:
            return self._send(request, asked)
        if asked.service == "sqs" and asked.operation in _HIDES and caller.name != OWNER:
            for entry in asked.body.get("Entries", [asked.body]):
                self._times.hide(str(entry["ReceiptHandle"]), int(entry["VisibilityTimeout"]))
        return self._forward(request)

    def _send(self, request: Request, asked: Asked) -> Response:
        """Send messages without their delays, and write the delays down before anybody can receive them."""
        entries = asked.body.get("Entries", [asked.body])
        delays = {entry.get("Id"): entry.get("DelaySeconds") for entry in entries}
        _replace_body(request, json.dumps(_without_delays(asked.body)).encode())
        response = self._forward(request)
        if response.status_code == 200:
            answer = json.loads(response.get_data())
            for sent in answer.get("Successful", [answer]):
                self._times.post(queue_name(asked.body), sent["MessageId"], delays[sent.get("Id")])
        return response

    def _forward(self, request: Request) -> Response:
        return Response.from_app(self._app, request.environ, buffered=True)


def _without_delays(body: Mapping[str, Any]) -> dict[str, Any]:
    """Take the delays off, but leave what SQS refuses to moto."""
    if "Entries" in body:
        return {**body, "Entries": [_without_delays(entry) for entry in body["Entries"]]}
    return {**body, "DelaySeconds": 0} if 0 <= body.get("DelaySeconds", 0) <= LONGEST_DELAY else dict(body)


def _replace_body(request: Request, raw: bytes) -> None:
    """Give the next application a body to read, whole and of a stated length."""
    request.environ.update({"wsgi.input": BytesIO(raw), "CONTENT_LENGTH": str(len(raw))})
    request.environ.pop("HTTP_TRANSFER_ENCODING", None)
    request.environ.pop("wsgi.input_terminated", None)


def _reset(environ: WSGIEnvironment) -> None:
    """Cut the connection so that the caller sees a reset, not an answer."""
    connection: socket.socket = environ["werkzeug.socket"]
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        connection.shutdown(socket.SHUT_RDWR)
