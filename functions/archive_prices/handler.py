"""Archive the prices of each finished hour (PRC-03)."""

from __future__ import annotations

from typing import Any

from shared.bootstrap.cloud import here
from shared.bootstrap.entrance import Answer, LambdaContext, entrance
from shared.contracts.scheduled_run import ScheduledRunV1
from shared.use_cases.archive_prices import ArchivePrices


@entrance
def handler(event: dict[str, Any], context: LambdaContext, *, run: ArchivePrices | None = None) -> Answer:
    """Archive what is not archived yet; an hour is written once, however often this runs."""
    run = run or here().use_cases.archive_prices
    run(ScheduledRunV1.read(event).tick)
    return {"problems": []}
