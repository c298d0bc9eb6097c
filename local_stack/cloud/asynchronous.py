"""Asynchronous runs, as Lambda keeps them: tried again when they fail, and put aside when that does not help.

A schedule fires a function asynchronously. The first retry comes a minute after the failure and the second two minutes
after that; what failed for good, or grew too old, goes to the function's failure destination and to its dead-letter
queue, each in the form that Lambda writes. The function's own role must be allowed to send there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Final

from local_stack.cloud.functions import Functions, Invocation
from local_stack.cloud.schedules import Fire
from shared.domain.times import iso

WAITS: Final = (timedelta(minutes=1), timedelta(minutes=2))
"""How long Lambda waits before its first and its second retry."""
MESSAGE_LIMIT: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    due: datetime
    function: str
    event: Any
    request_id: str
    received: datetime
    tries: int = 0


class AsynchronousRuns:
    """The asynchronous events of a stack's functions, on the stack's clock."""

    def __init__(self, functions: Functions) -> None:
        self._functions = functions
        self._cloud = functions.cloud
        self._waiting: list[_Waiting] = []
        self._lock = Lock()

    def fire(self, fire: Fire) -> Invocation:
        """Run the function of a schedule that fires."""
        return self.run(fire.schedule.function, fire.event())

    def run(self, function: str, event: Any) -> Invocation:
        """Run a function on an event at once; a failure is tried again when that is due."""
        now = self._cloud.clock.now()
        request_id = self._functions.request_id(function)
        return self._attempt(_Waiting(due=now, function=function, event=event, request_id=request_id, received=now))

    def run_due(self) -> tuple[Invocation, ...]:
        """Run what waits and is due, in order."""
        now = self._cloud.clock.now()
        with self._lock:
            due = sorted((part for part in self._waiting if part.due <= now), key=lambda part: part.due)
            self._waiting = [part for part in self._waiting if part.due > now]
        return tuple(self._attempt(part) for part in due)

    def next_due(self) -> datetime | None:
        """Say when the next retry is due."""
        with self._lock:
            return min((part.due for part in self._waiting), default=None)

    def _attempt(self, part: _Waiting) -> Invocation:
        outcome = self._functions.invoke(part.function, part.event, request_id=part.request_id)
        if outcome.failed:
            self._failed(replace(part, tries=part.tries + 1), outcome)
        return outcome

    def _failed(self, part: _Waiting, outcome: Invocation) -> None:
        deployed = self._cloud.functions[part.function]
        now = self._cloud.clock.now()
        if part.tries > deployed.retries:
            self._put_aside(part, outcome, "RetriesExhausted")
            return
        due = now + WAITS[min(part.tries, len(WAITS)) - 1]
        if due - part.received > deployed.event_age:
            self._put_aside(part, outcome, "EventAgeExceeded")
            return
        with self._lock:
            self._waiting.append(replace(part, due=due))

    def _put_aside(self, part: _Waiting, outcome: Invocation, condition: str) -> None:
        deployed = self._cloud.functions[part.function]
        sqs = self._cloud.client_for(part.function, "sqs")
        if deployed.on_failure is not None:
            record = _destination_record(part, outcome, condition, deployed.arn, self._cloud.clock.now())
            sqs.send_message(QueueUrl=self._address(deployed.on_failure), MessageBody=json.dumps(record))
        if deployed.dead_letters is not None:
            sqs.send_message(
                QueueUrl=self._address(deployed.dead_letters),
                MessageBody=json.dumps(part.event),
                MessageAttributes={
                    "RequestID": {"DataType": "String", "StringValue": part.request_id},
                    "ErrorCode": {"DataType": "Number", "StringValue": "200"},
                    "ErrorMessage": {"DataType": "String", "StringValue": str(outcome.error)[:MESSAGE_LIMIT] or "-"},
                },
            )

    def _address(self, arn: str) -> str:
        return f"{self._cloud.url}/{self._cloud.stack.place.account}/{arn.rpartition(':')[2]}"


def _destination_record(part: _Waiting, outcome: Invocation, condition: str, arn: str, now: datetime) -> dict[str, Any]:
    return {
        "version": "1.0",
        "timestamp": iso(now),
        "requestContext": {
            "requestId": part.request_id,
            "functionArn": f"{arn}:$LATEST",
            "condition": condition,
            "approximateInvokeCount": part.tries,
        },
        "requestPayload": part.event,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": outcome.error_payload(),
    }
