"""Metrics in CloudWatch's embedded format: written as one log line a run, without a call to anybody.

CloudWatch gives ten custom metrics for nothing and takes $0.30 a month for each beyond, so the names stand in one
table and none carries a symbol (DSH-05).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

log = logging.getLogger(__name__)

UNITS: Final[Mapping[str, MetricUnit]] = {
    "tick_lag": MetricUnit.Seconds,
    "coverage_none_pct": MetricUnit.Percent,
}
"""Every custom metric there is."""
MOST_METRICS: Final = 10


class EmbeddedMetrics:
    """Collects values over one run; `flush` writes them."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def put(self, name: str, value: float) -> None:
        unit = UNITS.get(name)
        if unit is None:
            log.warning("metric is not in the table, left out", extra={"metric": name})
            return
        self._metrics.add_metric(name=name, unit=unit, value=value)

    def flush(self) -> None:
        """Write what was collected, and begin anew; nothing collected writes nothing."""
        if self._metrics.metric_set:
            self._metrics.flush_metrics()
