"""Deliver alerts as they come, and every minute what is still due (ALR-03, ALR-04)."""

from __future__ import annotations

from typing import Any

from shared.bootstrap.cloud import here
from shared.bootstrap.entrance import Answer, LambdaContext, QueueRecord, each_record, entrance, is_queue_batch
from shared.contracts.alert_message import AlertMessageV1
from shared.contracts.scheduled_run import ScheduledRunV1
from shared.use_cases.route_alerts import RouteAlerts


@entrance
def handler(event: dict[str, Any], context: LambdaContext, *, run: RouteAlerts | None = None) -> Answer:
    """Take alerts into the outbox and deliver them, one by one: a failing one does not hold back the others.

    On its schedule it sends what waited, and escalates what nobody acknowledged.
    """
    router = run or here().use_cases.route_alerts
    if not is_queue_batch(event):
        ScheduledRunV1.read(event)
        router.sweep()
        return {"problems": []}

    def deliver(record: QueueRecord) -> object:
        return router(AlertMessageV1.model_validate_json(record.body).to_domain())

    return each_record(event, context, deliver)
