"""The way into every function: telemetry around a body that parses, calls one use case and returns.

Queue-fed functions answer record by record: what failed goes back to the queue, and after five tries to its dead
letters. What a scheduled run raises is tried again by Lambda and then kept among the failed runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, wraps
from os import environ
from typing import Any, Final, Protocol, TypeVar

from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.bootstrap.telemetry import Telemetry, carried_by

__all__ = ["Answer", "LambdaContext", "QueueRecord", "each_record", "entrance", "is_queue_batch", "telemetry"]

IN_LAMBDA: Final = "AWS_LAMBDA_FUNCTION_NAME"

Answer = dict[str, Any]
"""What a function returns; queues read `batchItemFailures`, people and local runs the rest."""

Returned = TypeVar("Returned")


class QueueRecord(Protocol):
    """A record of a queue's batch."""

    @property
    def message_id(self) -> str: ...  # noqa: D102
    @property
    def body(self) -> str: ...  # noqa: D102
    @property
    def raw_event(self) -> dict[str, Any]: ...  # noqa: D102


@cache
def telemetry() -> Telemetry:
    """Give the telemetry of this process; inside Lambda it takes over all logging."""
    made = Telemetry(environ.get("LOG_LEVEL") or "INFO")
    if IN_LAMBDA in environ:
        made.take_over()
    return made


def entrance(body: Callable[..., Returned]) -> Callable[..., Returned]:
    """Make a handler of a body."""

    @wraps(body)
    def handler(event: dict[str, Any], context: LambdaContext, **given: Any) -> Returned:
        with telemetry().run(event, context):
            return body(event, context, **given)

    return handler


def is_queue_batch(event: Mapping[str, Any]) -> bool:
    """Tell a batch of queue records from a schedule's event."""
    return "Records" in event


def each_record(event: dict[str, Any], context: LambdaContext, handle: Callable[[QueueRecord], object]) -> Answer:
    """Handle each record under its own correlation id; return which failed, raise when every one did."""
    # it brings models of every service's events, a fifth of the time to start, and a tick needs none of them
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

    def correlated(record: QueueRecord) -> object:
        telemetry().correlate(carried_by(record.raw_event))
        try:
            return handle(record)
        except Exception:
            telemetry().logger.exception("record failed", extra={"message_id": record.message_id})
            raise

    answer: Any = process_partial_response(event, correlated, BatchProcessor(event_type=EventType.SQS), context)
    return {"batchItemFailures": answer["batchItemFailures"], "problems": []}
