"""What each metric of a run may do: the table of probes, and what the options say instead."""

from __future__ import annotations

from collections.abc import Iterable

from leak_suite.metrics import metric_named
from leak_suite.options import Options
from leak_suite.result import Series
from leak_suite.verdict import Tolerance, resolve_tolerance

__all__ = ["minimum_growth", "tolerance", "tolerances"]

_MIB = 1 << 20


def tolerances(series: Iterable[Series], options: Options) -> dict[str, Tolerance]:
    """The tolerance of each metric; the peak has none, only budgets."""
    names = (one.metric for one in series if one.metric != "peak")
    return {name: tolerance(name, options.tolerances.get(name)) for name in names}


def minimum_growth(metric: str, options: Options) -> float:
    """Growth in all, in the metric's unit, below which nothing is claimed."""
    allowed = tolerance(metric, options.tolerances.get(metric))
    return resolve_tolerance(metric, allowed).minimum_growth


def tolerance(metric: str, given: float | None) -> Tolerance:
    """What a metric is allowed to do; `given` (unit per iteration) replaces its own `min_rate`.

    Raises:
        KeyError: there is no such metric.
    """
    known = metric_named(metric)
    reported_memory = metric.startswith("counter:") and not known.exact
    return Tolerance(
        known.exact,
        known.unit,
        known.min_rate if given is None else given,
        minimum_growth=2.0 * _MIB if reported_memory else None,  # somebody's resident memory
        max_detectable=4096.0 if reported_memory and given is None else None,
        required=known.required,
        covering_metrics=known.covering_metrics,
    )
