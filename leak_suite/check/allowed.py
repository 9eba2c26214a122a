"""What each metric of a run may do: the table of probes, and what the options say instead."""

from __future__ import annotations

from collections.abc import Iterable

from leak_suite.metrics import metric_named
from leak_suite.options import Options
from leak_suite.result import Series
from leak_suite.verdict import Tolerance, scale_of

__all__ = ["minimum_growth", "tolerances"]

_MIB = 1 << 20


def tolerances(series: Iterable[Series], options: Options) -> dict[str, Tolerance]:
    """The tolerance of each metric; the peak has none, only budgets."""
    names = (one.metric for one in series if one.metric != "peak")
    return {name: _tolerance(name, options.tolerances.get(name)) for name in names}


def minimum_growth(metric: str, options: Options) -> float:
    """Growth in all, in the metric's unit, below which nothing is claimed."""
    return scale_of(metric, _tolerance(metric, options.tolerances.get(metric))).minimum_growth


def _tolerance(metric: str, floor: float | None) -> Tolerance:
    known = metric_named(metric)
    told_memory = metric.startswith("counter:") and not known.exact
    return Tolerance(
        known.exact,
        known.unit,
        known.min_rate if floor is None else floor,
        minimum_growth=2.0 * _MIB if told_memory else None,  # somebody's resident memory
        max_detectable=4096.0 if told_memory and floor is None else None,
        required=known.required,
        covered_by=known.covering_metrics,
    )
