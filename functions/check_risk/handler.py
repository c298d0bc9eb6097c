"""Check every position against its protective levels once a minute (RSK-01)."""

from __future__ import annotations

from typing import Any

from shared.bootstrap.cloud import here
from shared.bootstrap.entrance import Answer, LambdaContext, entrance
from shared.contracts.scheduled_run import ScheduledRunV1
from shared.use_cases.check_risk import CheckRisk


@entrance
def handler(event: dict[str, Any], context: LambdaContext, *, run: CheckRisk | None = None) -> Answer:
    """Run one risk tick; the same tick delivered again finds its exits prepared and changes nothing."""
    run = run or here().use_cases.check_risk
    report = run(ScheduledRunV1.read(event).tick)
    return {"prepared": [intent.id for intent in report.prepared], "problems": list(report.problems)}
