"""Price every watched symbol once a minute (PRC-01)."""

from __future__ import annotations

from typing import Any

from shared.bootstrap.cloud import here
from shared.bootstrap.entrance import Answer, LambdaContext, entrance
from shared.contracts.scheduled_run import ScheduledRunV1
from shared.use_cases.poll_prices import PollPrices


@entrance
def handler(event: dict[str, Any], context: LambdaContext, *, run: PollPrices | None = None) -> Answer:
    """Run one price tick; the same tick delivered again changes nothing."""
    run = run or here().use_cases.poll_prices
    report = run(ScheduledRunV1.read(event).tick)
    return {"result": report.result, "moves": len(report.moves), "problems": list(report.problems)}
