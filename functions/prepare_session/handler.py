"""Prepare the trading day before the open: calendar, corporate actions, volatility, equity (OPS-13)."""

from __future__ import annotations

from typing import Any

from shared.bootstrap.cloud import here
from shared.bootstrap.entrance import Answer, LambdaContext, entrance
from shared.contracts.scheduled_run import ScheduledRunV1
from shared.use_cases.prepare_session import PrepareSession


@entrance
def handler(event: dict[str, Any], context: LambdaContext, *, run: PrepareSession | None = None) -> Answer:
    """Prepare the day of the scheduled time; a second delivery finds the plan made."""
    run = run or here().use_cases.prepare_session
    plan = run(ScheduledRunV1.read(event).tick)
    return {"problems": list(plan.problems) if plan is not None else []}
