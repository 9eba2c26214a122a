"""Read the first file form of a fit: an ordinary run file with everything in `details.fit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leak_suite.errors import RunFileError
from leak_suite.fit.result import (
    FitCause,
    FitResult,
    Headroom,
    KernelCounters,
    KilledProcess,
    MemoryLimit,
    MinimumSearch,
    PageCacheDrop,
    Peak,
    SearchStep,
    UnlimitedTrial,
    series_from_data,
)

__all__ = ["fit_from_version_1"]

_CAUSES = {"too little": FitCause.TOO_FEW, "passes": FitCause.FITS}


def fit_from_version_1(data: Mapping[str, Any]) -> FitResult:
    """The fit in the parsed JSON of a run file of version 1.

    Raises:
        RunFileError: it is not that.
    """
    try:
        return _result(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunFileError(f"not the run file of a fit: {error}") from error


def _result(data: Mapping[str, Any]) -> FitResult:
    fit = data["details"]["fit"]
    without, minimum, cold = fit.get("without_limit"), fit.get("minimum"), fit.get("cold")
    headroom = fit.get("headroom")
    measured_from = fit.get("headroom_from", "").replace("peak held", "peak unreclaimable memory")
    return FitResult(
        subject=data["subject"],
        environment=data["environment"],
        fits=fit["fits"],
        cause=_cause(fit.get("how") or ("fits" if fit["fits"] else "failed")),
        reason=data["reason"].partition(f" in {fit['limit_name']}: ")[2] or data["reason"],
        limit=MemoryLimit(
            bytes=fit["limit"],
            name=fit["limit_name"],
            backend=fit["enforced_by"],
            enforced=fit["enforced"],
            swap=fit["swap"],
            unavailable=fit.get("refused_ways", {}),
        ),
        users=fit["users"],
        iterations=data["iterations"],
        seconds=data["seconds"],
        peak=_peak(fit["peak"]),
        counters=KernelCounters(
            oom_kills=fit.get("oom_kills", 0),
            limit_hits=fit.get("limit_hits"),
            major_faults=fit.get("major_faults"),
            refaults=fit.get("refaults"),
            stalled_seconds=fit.get("stalled_seconds"),
        ),
        start_seconds=fit.get("start_seconds"),
        slowdown=fit.get("slowdown"),
        headroom=None if headroom is None else Headroom(headroom, measured_from),
        killed=tuple(KilledProcess(**one) for one in fit.get("killed", ())),
        server_alive=fit.get("server_alive", True),
        minimum=None if minimum is None else _minimum(minimum),
        without_limit=None
        if without is None
        else UnlimitedTrial(**{**without, "peak": _peak(without["peak"])}),
        page_cache=None if cold is None else PageCacheDrop(**cold),
        series=tuple(series_from_data(one) for one in data["series"]),
    )


def _cause(how: str) -> FitCause:
    return _CAUSES.get(how) or FitCause(how)


def _peak(peak: Mapping[str, int | None]) -> Peak:
    renamed = {"unreclaimable" if name == "held" else name: n for name, n in peak.items()}
    return Peak(**renamed)


def _minimum(minimum: Mapping[str, Any]) -> MinimumSearch:
    steps = (
        SearchStep(
            limit=one["limit"],
            passed=one["passed"],
            cause=_cause(one["how"]),
            iterations=one["iterations"],
            seconds=one.get("seconds"),
            slowdown=one.get("slowdown"),
        )
        for one in minimum["trials"]
    )
    return MinimumSearch(minimum["bytes"], minimum["tolerance"], tuple(steps))
