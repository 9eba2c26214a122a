"""How much growth matters, per metric, and the sizes at which a bound is no longer likely."""

from __future__ import annotations

from dataclasses import dataclass

from leak_suite.metrics import METRICS
from leak_suite.verdict import thresholds

__all__ = ["RESIDENT", "ResolvedTolerance", "Tolerance", "resolve_tolerance"]

RESIDENT = frozenset(name for name, metric in METRICS.items() if metric.resident)


@dataclass(frozen=True)
class Tolerance:
    """What a metric is allowed to do.

    `exact` metrics are counted after settling and judged as they stand; the others as a trend.
    Growth below `min_rate` per iteration does not matter. The other fields have defaults that
    follow from the metric and its unit: `minimum_growth` is the total growth below which nothing is
    claimed, `implausible` the size above which no cache or pool is expected, `max_detectable` the
    coarsest view (per iteration) with which a series may still be called stable.

    `covering_metrics` see, more coarsely, what this one would have seen. One that is not `required`
    leaves no hole where it is blind, nor where it cannot be judged but a covering metric can.
    """

    exact: bool
    unit: str
    min_rate: float = 0.0
    minimum_growth: float | None = None
    implausible: float | None = None
    max_detectable: float | None = None
    required: bool = True
    covering_metrics: tuple[str, ...] = ()


@dataclass(frozen=True)
class ResolvedTolerance:
    """A tolerance with every default filled in for one metric; in its unit."""

    exact: bool
    min_rate: float
    minimum_growth: float
    implausible: float
    max_detectable: float

    @property
    def quantum(self) -> float:
        """The smallest move of a reading that counts as one."""
        return 0.0 if self.exact else self.minimum_growth * thresholds.QUANTUM_SHARE

    @property
    def stillness(self) -> float:
        """A series that moves by no more than this, from its lowest to its highest, is still."""
        return 0.0 if self.exact else self.minimum_growth * thresholds.STILLNESS_SHARE

    @property
    def job_sized(self) -> float:
        """Growth in one iteration that a whole job would leave behind, not a cache entry."""
        return thresholds.JOB_SIZED_EXACT if self.exact else self.minimum_growth


def resolve_tolerance(metric: str, tolerance: Tolerance) -> ResolvedTolerance:
    """Fill in the defaults of `tolerance` for `metric`."""
    if tolerance.exact:
        defaults = thresholds.EXACT_DEFAULTS
    elif tolerance.unit == "bytes":
        resident = metric in RESIDENT
        defaults = thresholds.RESIDENT_DEFAULTS if resident else thresholds.BYTES_DEFAULTS
    else:
        defaults = thresholds.COUNT_DEFAULTS
    minimum, implausible, detectable = defaults
    given, known = tolerance, METRICS[metric].implausible if metric in METRICS else None
    return ResolvedTolerance(
        exact=given.exact,
        min_rate=given.min_rate,
        minimum_growth=_or(given.minimum_growth, minimum),
        implausible=_or(given.implausible, known if known is not None else implausible),
        # Who tolerates more need not be seen through finer.
        max_detectable=max(_or(given.max_detectable, detectable), 2 * given.min_rate),
    )


def _or(given: float | None, default: float) -> float:
    return default if given is None else given
