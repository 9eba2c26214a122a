"""What a run found: series, findings and sites, and their one file form, `run.json`.

Everything that measures writes a `RunResult`; everything that presents reads one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from leak_suite.errors import RunFileError

__all__ = ["SCHEMA_VERSION", "Cause", "Finding", "Outcome", "RunResult", "Series", "Site"]

SCHEMA_VERSION = 1


class Outcome(str, Enum):
    """What a metric, or a whole run, was found to do."""

    STABLE = "stable"
    GROWING = "growing"
    OVER_BUDGET = "over budget"
    INCONCLUSIVE = "inconclusive"

    @property
    def status(self) -> int:
        """Exit status of a command that ends with this outcome: 0, 1 or 2."""
        return {Outcome.STABLE: 0, Outcome.INCONCLUSIVE: 2}.get(self, 1)


class Cause:
    """The named causes. An inconclusive finding says its cause in words of its own."""

    LEAK = "leak"
    RETENTION = "allocator retention"
    PLATEAU = "plateau"
    FIRST_USE = "first use"
    CYCLE = "cycle"
    PEAK = "peak"
    NONE = ""


@dataclass(frozen=True)
class Series:
    """The readings of one metric, in order.

    `samples` holds (iterations done so far, value); a value of None is "unknown", never zero.
    The first `warm_up` samples were taken before the subject had settled in; they are kept to be
    drawn, and not judged. `process` names the group of processes that it was read in; empty for
    the subject as a whole, or its main process.
    """

    metric: str
    unit: str
    samples: tuple[tuple[int, float | None], ...] = ()
    warm_up: int = 0
    process: str = ""

    def judged(self) -> tuple[tuple[int, float], ...]:
        """The known samples after warm-up."""
        return tuple((n, value) for n, value in self.samples[self.warm_up :] if value is not None)


@dataclass(frozen=True)
class Site:
    """A place in the subject's code that what grew came from.

    `per_iteration` is in the finding's unit; `stack` holds the frames below it, innermost first,
    each as "file:line function"; `note` says what else is known (an object's type and who holds
    it, the path behind a file descriptor, a thread's name).
    """

    file: str
    line: int
    function: str
    per_iteration: float | None = None
    stack: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """The judgement of one metric.

    `rate` and `interval` are in `unit` per iteration; so is `detectable_rate`, the smallest steady
    growth that this run would have seen. `longest_period` is in iterations: a jump rarer than that
    would have been missed. `peak` is the highest value read, in `unit`.
    """

    metric: str
    unit: str
    outcome: Outcome
    cause: str = Cause.NONE
    rate: float | None = None
    interval: tuple[float, float] | None = None
    detectable_rate: float | None = None
    longest_period: int | None = None
    peak: float | None = None
    reason: str = ""
    sites: tuple[Site, ...] = ()
    required: bool = True
    process: str = ""


@dataclass(frozen=True)
class RunResult:
    """One run of the gate on one subject with one workload."""

    subject: str
    environment: Mapping[str, Any]
    outcome: Outcome
    iterations: int
    seconds: float
    series: tuple[Series, ...] = ()
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    def finding(self, metric: str) -> Finding:
        """The finding of `metric`; KeyError if it was not judged."""
        for finding in self.findings:
            if finding.metric == metric:
                return finding
        raise KeyError(metric)

    def to_json(self) -> str:
        """The text of `run.json`, one series a line so that it can be compared by eye."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunResult:
        """Read what `to_json` wrote; RunFileError if it is not that, or of another version."""
        try:
            data = json.loads(text, parse_constant=_refuse)
        except ValueError as error:
            raise RunFileError(f"not a run file: {error}") from error
        if not isinstance(data, dict) or "schema_version" not in data:
            raise RunFileError("not a run file: it has no schema_version")
        if data["schema_version"] != SCHEMA_VERSION:
            raise RunFileError(
                f"schema version {data['schema_version']} is unknown; this release reads "
                f"version {SCHEMA_VERSION}. Read the file with the release that wrote it."
            )
        try:
            return cls(
                **{
                    **data,
                    "outcome": Outcome(data["outcome"]),
                    "series": tuple(_series(item) for item in data["series"]),
                    "findings": tuple(_finding(item) for item in data["findings"]),
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RunFileError(f"not a run file of version {SCHEMA_VERSION}: {error}") from error

    def write(self, path: Path) -> None:
        """Write `run.json` whole or not at all; folders on the way are made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        partial.write_text(self.to_json(), encoding="utf-8")
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> RunResult:
        """Read a run file; RunFileError, naming the path, if that cannot be done."""
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise RunFileError(f"{path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise RunFileError(f"{path}: not a run file: it is not text") from error
        except RunFileError as error:
            raise RunFileError(f"{path}: {error}") from error


def _refuse(word: str) -> Any:
    """JSON knows no NaN or Infinity, though Python would read them."""
    raise ValueError(f"{word} is not a number that a run file may hold")


def _series(data: Mapping[str, Any]) -> Series:
    return Series(**{**data, "samples": tuple((n, value) for n, value in data["samples"])})


def _finding(data: Mapping[str, Any]) -> Finding:
    interval = data["interval"]
    return Finding(
        **{
            **data,
            "outcome": Outcome(data["outcome"]),
            "interval": None if interval is None else _pair(interval),
            "sites": tuple(_site(item) for item in data["sites"]),
        }
    )


def _site(data: Mapping[str, Any]) -> Site:
    return Site(**{**data, "stack": tuple(data["stack"])})


def _pair(values: Iterable[float]) -> tuple[float, float]:
    low, high = values
    return low, high
