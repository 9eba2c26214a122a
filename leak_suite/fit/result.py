"""What `leak-suite fit` found, and its file form: a run file whose `kind` is "fit"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from leak_suite.errors import RunFileError
from leak_suite.result import Outcome, Series

__all__ = [
    "KIND",
    "SCHEMA_VERSION",
    "FitCause",
    "FitResult",
    "Headroom",
    "KernelCounters",
    "KilledProcess",
    "MemoryLimit",
    "MinimumSearch",
    "PageCacheDrop",
    "Peak",
    "SearchStep",
    "UnlimitedTrial",
    "is_fit_data",
    "series_from_data",
]

KIND = "fit"
SCHEMA_VERSION = 2
"""Version 1 was `details.fit` of an ordinary run file: see result_v1."""


class FitCause(str, Enum):
    """Why a trial passed or did not."""

    FITS = "fits"
    KILLED = "killed"
    THRASHING = "thrashing"
    FAILED = "failed"
    NOT_STARTED = "not started"
    TOO_FEW = "too few iterations"
    NOT_ENFORCED = "not enforced"


@dataclass(frozen=True)
class MemoryLimit:
    """The limit in bytes, and what enforced it.

    `name`: as it was asked for, a size or a plan. `backend`: the one of BACKENDS that worked.
    `unavailable`: why each backend that was tried before it does not work here.
    """

    bytes: int
    name: str
    backend: str
    enforced: bool
    swap: str
    unavailable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Peak:
    """The highest values seen, in bytes, each for itself; None is "the kernel does not report it".

    `unreclaimable` is the highest sum of what the kernel cannot drop: anonymous memory, files in
    memory (tmpfs) and its own.
    """

    anon: int | None = None
    file: int | None = None
    kernel: int | None = None
    unreclaimable: int | None = None
    pss: int | None = None


@dataclass(frozen=True)
class Headroom:
    """Bytes between the limit and what the service needs.

    `measured_from`: "smallest passing limit", or "peak unreclaimable memory".
    """

    bytes: int
    measured_from: str


@dataclass(frozen=True)
class KernelCounters:
    """What the kernel counted in the group; all but the first two only while clients worked."""

    oom_kills: int = 0
    limit_hits: int | None = None
    major_faults: float | None = None
    refaults: float | None = None
    stalled_seconds: float | None = None


@dataclass(frozen=True)
class KilledProcess:
    """A process that the kernel killed. `anon`: its anonymous bytes when it was last seen."""

    pid: int
    command: str
    is_server: bool
    anon: int


@dataclass(frozen=True)
class PageCacheDrop:
    """How the page cache of the service's files was dropped, in bytes.

    `still_cached`: what stayed because other programs map it; the service does not pay for it.
    None is "the kernel does not report it".
    """

    method: str
    files: int
    bytes: int
    still_cached: int | None


@dataclass(frozen=True)
class SearchStep:
    """One trial of the search for the smallest limit. `limit` is in bytes."""

    limit: int
    passed: bool
    cause: FitCause
    iterations: int
    seconds: float | None = None
    slowdown: float | None = None


@dataclass(frozen=True)
class MinimumSearch:
    """The smallest limit that passes, `tolerance` bytes above one that does not at the most.

    `bytes` is None where no limit that was tried passes.
    """

    bytes: int | None
    tolerance: int
    steps: tuple[SearchStep, ...] = ()


@dataclass(frozen=True)
class UnlimitedTrial:
    """The trial without a limit that the others are compared with."""

    iterations: int
    seconds: float
    start_seconds: float
    peak: Peak


@dataclass(frozen=True)
class FitResult:
    """Whether one service fits one memory limit under one workload.

    `fits` is None where it cannot be judged. `slowdown`: how many times the seconds that an
    iteration takes without a limit. `seconds`: of workload under the limit. The series count in
    bytes over finished iterations: anon, file, kernel and pss.
    """

    subject: str
    environment: Mapping[str, Any]
    fits: bool | None
    cause: FitCause
    reason: str
    limit: MemoryLimit
    users: int
    iterations: int
    seconds: float
    peak: Peak
    counters: KernelCounters = KernelCounters()
    start_seconds: float | None = None
    slowdown: float | None = None
    headroom: Headroom | None = None
    killed: tuple[KilledProcess, ...] = ()
    server_alive: bool = True
    minimum: MinimumSearch | None = None
    without_limit: UnlimitedTrial | None = None
    page_cache: PageCacheDrop | None = None
    series: tuple[Series, ...] = ()
    command: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Stable (0) where it fits, over budget (1) where it does not, else inconclusive (2)."""
        if self.fits is None:
            return Outcome.INCONCLUSIVE
        return Outcome.STABLE if self.fits else Outcome.OVER_BUDGET

    @property
    def sentence(self) -> str:
        """The verdict and its reason: `fits in 512 MiB: 20 iterations, no kill`."""
        verdict = {True: "fits", False: "does not fit", None: "could not be judged"}[self.fits]
        return f"{verdict} in {self.limit.name}: {self.reason}"

    def to_json(self) -> str:
        """The text of the run file."""
        data = {"kind": KIND, "schema_version": SCHEMA_VERSION, **asdict(self)}
        data["series"] = [
            {"metric": one.metric, "unit": one.unit, "samples": one.samples} for one in self.series
        ]
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> FitResult:
        """The result from the parsed JSON of `to_json`.

        Raises:
            RunFileError: it is not that, or of a version that this release does not know.
        """
        try:
            if data["schema_version"] != SCHEMA_VERSION:
                raise RunFileError(
                    f"schema version {data['schema_version']} of a fit is unknown; this release "
                    f"reads version {SCHEMA_VERSION}. Read the file with the release that wrote it."
                )
            return _from_data(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunFileError(f"not the run file of a fit: {error}") from error

    def write(self, path: Path) -> None:
        """Write the run file whole or not at all; folders on the way are made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(self.to_json(), encoding="utf-8")
        partial.replace(path)


def is_fit_data(data: object) -> bool:
    """Whether parsed JSON is the run file of a fit, of whatever version."""
    if not isinstance(data, dict):
        return False
    details = data.get("details")
    return data.get("kind") == KIND or (
        isinstance(details, dict) and details.get("fit") is not None
    )


def _from_data(data: Mapping[str, Any]) -> FitResult:
    values = {name: value for name, value in data.items() if name not in ("kind", "schema_version")}
    minimum, without = data["minimum"], data["without_limit"]
    return FitResult(
        **{
            **values,
            "cause": FitCause(data["cause"]),
            "limit": MemoryLimit(**data["limit"]),
            "peak": Peak(**data["peak"]),
            "counters": KernelCounters(**data["counters"]),
            "headroom": None if data["headroom"] is None else Headroom(**data["headroom"]),
            "killed": tuple(KilledProcess(**one) for one in data["killed"]),
            "minimum": None if minimum is None else _minimum(minimum),
            "without_limit": None if without is None else _unlimited(without),
            "page_cache": None
            if data["page_cache"] is None
            else PageCacheDrop(**data["page_cache"]),
            "series": tuple(series_from_data(one) for one in data["series"]),
            "command": tuple(data["command"]),
        }
    )


def _minimum(data: Mapping[str, Any]) -> MinimumSearch:
    steps = (SearchStep(**{**step, "cause": FitCause(step["cause"])}) for step in data["steps"])
    return MinimumSearch(data["bytes"], data["tolerance"], tuple(steps))


def _unlimited(data: Mapping[str, Any]) -> UnlimitedTrial:
    return UnlimitedTrial(**{**data, "peak": Peak(**data["peak"])})


def series_from_data(data: Mapping[str, Any]) -> Series:
    """A series as either version of the file holds it."""
    samples = tuple((n, value) for n, value in data["samples"])
    return Series(data["metric"], data["unit"], samples)
