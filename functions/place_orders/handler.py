"""Send what is prepared: when the doorbell rings, and every minute whether it rang or not (ORD-08)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from shared.bootstrap.cloud import here
from shared.bootstrap.entrance import Answer, LambdaContext, QueueRecord, each_record, entrance, is_queue_batch
from shared.contracts.doorbell_ring import DoorbellRingV1
from shared.contracts.scheduled_run import ScheduledRunV1
from shared.use_cases.place_orders import PlaceOrders, PlaceReport


@entrance
def handler(event: dict[str, Any], context: LambdaContext, *, run: PlaceOrders | None = None) -> Answer:
    """Run the executor once per ring; whoever comes second finds the lease taken or nothing left to send.

    A message that is no ring of ours is handed back until its queue gives it up.
    """
    run = run or here().use_cases.place_orders
    if not is_queue_batch(event):
        ScheduledRunV1.read(event)
        return _told(run(_owner(context)))

    def answer(record: QueueRecord) -> object:
        DoorbellRingV1.model_validate_json(record.body)
        return run(_owner(context))

    return each_record(event, context, answer)


def _owner(context: LambdaContext) -> str:
    """Name this run of the executor; a repeated delivery keeps the request's id but is another run."""
    return f"{context.aws_request_id}/{uuid4().hex[:8]}"


def _told(report: PlaceReport) -> Answer:
    return {
        "busy": report.busy,
        "sent": list(report.sent),
        "waiting": list(report.waiting),
        "abandoned": list(report.abandoned),
        "problems": list(report.problems),
    }
