"""Take over the broker's truth: every minute while an order is open or unknown, else every five (ORD-06)."""

from __future__ import annotations

from typing import Any

from shared.bootstrap.cloud import here
from shared.bootstrap.entrance import Answer, LambdaContext, entrance
from shared.contracts.scheduled_run import ScheduledRunV1
from shared.use_cases.reconcile_orders import ReconcileOrders


@entrance
def handler(event: dict[str, Any], context: LambdaContext, *, run: ReconcileOrders | None = None) -> Answer:
    """Reconcile when it is due; a second delivery finds nothing left to take over."""
    run = run or here().use_cases.reconcile_orders
    ScheduledRunV1.read(event)
    due = run.is_due()
    if due:
        run()
    return {"due": due, "problems": []}
