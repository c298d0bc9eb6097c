"""Audit the budget of the models every hour (BUD-02)."""

from __future__ import annotations

from typing import Any

from shared.bootstrap.cloud import here
from shared.bootstrap.entrance import Answer, LambdaContext, entrance
from shared.contracts.scheduled_run import ScheduledRunV1
from shared.use_cases.audit_budget import AuditBudget


@entrance
def handler(event: dict[str, Any], context: LambdaContext, *, run: AuditBudget | None = None) -> Answer:
    """Count as spent what nobody settled; late, or again, it finds the same or nothing."""
    run = run or here().use_cases.audit_budget
    report = run(ScheduledRunV1.read(event).tick)
    return {"problems": list(report.problems)}
