"""How much growth matters, per metric, and the sizes at which a bound is no longer likely."""

from __future__ import annotations

from dataclasses import dataclass

from leak_suite.metrics import METRICS
from leak_suite.units import KIB, MIB

__all__ = ["RESIDENT", "Scale", "Tolerance", "scale_of"]

RESIDENT = frozenset(name for name, metric in METRICS.items() if metric.resident)


@dataclass(frozen=True)
class Tolerance:
    """What a metric is allowed to do.

    `exact` metrics are counted after settling and judged as they stand; the others as a trend.
    Growth below `floor` per iteration does not matter. The other fields have defaults that follow
    from the metric and its unit: `minimum_growth` is the total growth below which nothing is
    claimed, `implausible` the size above which no cache or pool is expected, `max_detectable` the
    coarsest view (per iteration) with which a series may still be called stable.

    `covered_by` names metrics that see, more coarsely, what this one would have seen. One that is
    not `required` leaves no hole where it is blind, nor where it cannot be judged but a metric that
    covers it can.
    """

    exact: bool
    unit: str
    floor: float = 0.0
    minimum_growth: float | None = None
    implausible: float | None = None
    max_detectable: float | None = None
    required: bool = True
    covered_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scale:
    """A tolerance with every default filled in for one metric."""

    exact: bool
    floor: float
    minimum_growth: float
    implausible: float
    max_detectable: float

    @property
    def quantum(self) -> float:
        """The smallest move of a reading that counts as one."""
        return 0.0 if self.exact else self.minimum_growth / 64

    @property
    def stillness(self) -> float:
        """A series that moves by no more than this, from its lowest to its highest, is still."""
        return 0.0 if self.exact else self.minimum_growth / 4

    @property
    def job_sized(self) -> float:
        """Growth in one iteration that a whole job would leave behind, not a cache entry."""
        return 0.9 if self.exact else self.minimum_growth


def scale_of(metric: str, tolerance: Tolerance) -> Scale:
    """Fill in the defaults of `tolerance` for `metric`."""
    if tolerance.exact:
        minimum, implausible, detectable = 4.0, 5_000.0, 1.0
    elif tolerance.unit == "bytes":
        minimum, implausible, detectable = 64 * KIB, 48 * MIB, 128.0
        if metric in RESIDENT:
            minimum, implausible, detectable = 2 * MIB, 96 * MIB, 4 * KIB
    else:
        minimum, implausible, detectable = 256.0, 1e6, 2.0
    given, known = tolerance, METRICS[metric].implausible if metric in METRICS else None
    return Scale(
        exact=given.exact,
        floor=given.floor,
        minimum_growth=_or(given.minimum_growth, minimum),
        implausible=_or(given.implausible, known if known is not None else implausible),
        # Who tolerates more need not be seen through finer.
        max_detectable=max(_or(given.max_detectable, detectable), 2 * given.floor),
    )


def _or(given: float | None, default: float) -> float:
    return default if given is None else given
