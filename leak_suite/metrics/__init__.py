"""What can be measured: the one table of metrics, and the readings that work from outside."""

from __future__ import annotations

from leak_suite.metrics.table import (
    METRICS,
    Metric,
    QuickSample,
    bytes_per_unit,
    metric_named,
    priority,
)

__all__ = ["METRICS", "Metric", "QuickSample", "bytes_per_unit", "metric_named", "priority"]
