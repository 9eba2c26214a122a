"""What a run found: series, findings and sites, and their one file form, `run.json`.

Everything that measures writes a `RunResult`; everything that presents reads one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

from leak_suite.clauses import Clause, ClauseKind, Part, wording
from leak_suite.errors import RunFileError
from leak_suite.fsutil import write_whole
from leak_suite.places import Place
from leak_suite.run_file_v1 import upgraded

__all__ = [
    "SCHEMA_VERSION",
    "Agents",
    "Cause",
    "Details",
    "Finding",
    "GrowingContainer",
    "Outcome",
    "Row",
    "RunResult",
    "SelfCheck",
    "Series",
    "Site",
]

SCHEMA_VERSION = 2
_JUMP = "grew in one of two windows only: perhaps one jump"
"""How the note of a site said so before `is_jump` did."""

Row = tuple[str | int | float | None, ...]
"""One thing behind a number: paths, names and counts, in the order that its metric has them."""


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


class Cause(str, Enum):
    """Why a metric has its outcome. The second group is of inconclusive findings."""

    NONE = ""
    LEAK = "leak"
    RETENTION = "allocator retention"
    PLATEAU = "plateau"
    FIRST_USE = "first use"
    CYCLE = "cycle"
    PEAK = "peak"
    FILLING = "filling"
    ACCEPTED = "accepted"

    TOO_FEW = "too few samples"
    BLIND = "blind probe"
    NOISY = "too noisy for the run's length"
    UNSETTLED = "still unsettled"
    STOPPED_EARLY = "stopped early"
    SHARED_PAGES = "shared pages"
    NO_AGENT = "no agent"

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class Series:
    """The readings of one metric, in order.

    `samples` holds (iterations done so far, value in `unit`); None is "unknown", never zero. The
    first `warm_up` samples were taken before the subject had settled in; they are kept to be
    drawn, and not judged. `process` labels the group of processes that it was read in; empty for
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
    """A place in the subject's code that growth came from.

    `per_iteration` is in the finding's unit, `share` from 0 to 1 is its part of the finding's
    growth; None where it is not known. `stack` holds the frames below it, innermost first.
    `holder` is the path to what keeps the objects alive, as `shop.SEEN`; `process` labels the
    process that it was found in, empty for the whole subject. `note` says what else is known: an
    object's type, the path behind a file descriptor, a thread's name. One that `is_jump` grew in
    one of two traced windows only.
    """

    file: str
    line: int
    function: str
    per_iteration: float | None = None
    stack: tuple[Place, ...] = ()
    note: str = ""
    share: float | None = None
    holder: str = ""
    process: str = ""
    is_jump: bool = False

    @property
    def place(self) -> Place:
        """Its line. The file is empty where there is no Python frame."""
        return Place(self.file, self.line, self.function)


@dataclass(frozen=True)
class GrowingContainer:
    """A container that got longer while a finding's growth was traced.

    `holder` is the path to it, `length` its number of entries then; it gets `per_iteration` more.
    That adds `growth` to the finding, in its unit per iteration, on average; `table` of it are in
    the container's own table, which grows by steps. An entry takes `entry_bytes`.
    `bound` is the most entries that it may have, `bounded_by` says what bounds it; None and empty
    where nothing was found that does. `emptied_at` are places, each as "file:line", of code that
    runs with the workload and empties it at times; `lines` those that fill it.
    """

    holder: str
    type: str
    length: int
    per_iteration: float
    growth: float
    entry_bytes: float
    table: float = 0.0
    bound: int | None = None
    bounded_by: str = ""
    emptied_at: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finding:
    """The judgement of one metric.

    `rate` and `interval` (95%) are in `unit` per iteration; so is `detectable_rate`, the smallest
    steady growth that this run would have seen. `longest_period` is in iterations: growth in jumps
    rarer than one in so many would have been missed. `peak` is the highest value read, in `unit`.
    `clauses` say why; `reason` is their English. A run is inconclusive if a `required` finding is.

    `process` labels the process, or group of them, that was judged; empty for the whole subject.
    `per_process` holds the rate of each by its label. `containers` got longer meanwhile, where that
    was traced.
    """

    metric: str
    unit: str
    outcome: Outcome
    cause: Cause = Cause.NONE
    rate: float | None = None
    interval: tuple[float, float] | None = None
    detectable_rate: float | None = None
    longest_period: int | None = None
    peak: float | None = None
    clauses: tuple[Clause, ...] = ()
    sites: tuple[Site, ...] = ()
    required: bool = True
    process: str = ""
    per_process: Mapping[str, float] = field(default_factory=dict)
    containers: tuple[GrowingContainer, ...] = ()

    @property
    def reason(self) -> str:
        """All clauses in English, whole sentences."""
        return wording(self.clauses, self.metric, self.unit)

    def reason_of(self, part: Part, *, named: bool = True) -> str:
        """The clauses of one part in English; without the metric's name unless `named`."""
        clauses = [clause for clause in self.clauses if clause.part is part]
        return wording(clauses, self.metric if named else "", self.unit)

    @property
    def cause_text(self) -> str:
        """The cause in a few words; of what was accepted, by whom and until when."""
        if self.cause is not Cause.ACCEPTED:
            return str(self.cause)
        return self.reason_of(Part.ACCEPTANCE).removesuffix(".") or str(self.cause)


@dataclass(frozen=True)
class SelfCheck:
    """A known amount was shown to a probe before the run, in its metric's unit.

    `seen` is None if it could not be read; `problem` says why the metric counts as blind.
    """

    shown: float
    seen: float | None
    problem: str | None = None


@dataclass(frozen=True)
class Agents:
    """How many of the subject's Python processes were read from inside.

    `missing` describes each that has no agent, with the reason where it is known.
    """

    connected: int
    processes: int
    missing: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.connected} of {self.processes}"


@dataclass(frozen=True)
class Details:
    """How a run was measured, and what could not be.

    `overhead` is the share of settling and reading: seconds for one second of workload after
    warm-up. `blind` says by metric why it could not be read; `not_observed` names metrics that
    only an agent inside could have read. `stopped` is the reason of the runner's stop, empty where
    the verdict ended the run; `subject_output` is what the subject wrote last where its workload
    failed. `evidence` holds, by metric, the things behind a number at the end.
    `tolerances` and `budgets` are those that the options gave. `iteration` says what one was where
    there was no workload. `not_called` are routes that the workload did not call, each as
    "POST /upload"; `refused` those that were answered with errors only, as "POST /upload (403)".
    `flamegraphs` links pages by their titles. `extra` has facts of other programs that write run
    files.
    """

    warm_up_iterations: int = 0
    rounds: int = 0
    overhead: float | None = None
    overhead_seconds: float | None = None
    gc_frozen: int = 0
    self_check: Mapping[str, SelfCheck] = field(default_factory=dict)
    blind: Mapping[str, str] = field(default_factory=dict)
    not_observed: tuple[str, ...] = ()
    stopped: str = ""
    subject_output: str = ""
    evidence: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    tolerances: Mapping[str, float] = field(default_factory=dict)
    budgets: Mapping[str, float] = field(default_factory=dict)
    iteration: str = ""
    not_called: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    attribution_error: str = ""
    flamegraph_error: str = ""
    flamegraphs: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunResult:
    """One run of the gate on one subject with one workload.

    `iterations` counts warm-up too; `seconds` is the workload's own time after it. `reason` says
    why the run ended, if that needs saying. `agents` is None where there was nothing to connect to.
    `workload` is what runs are matched by: the subject, without what differs
    each time.
    """

    subject: str
    environment: Mapping[str, Any]
    outcome: Outcome
    iterations: int
    seconds: float
    series: tuple[Series, ...] = ()
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    details: Details = field(default_factory=Details)
    agents: Agents | None = None
    workload: str = ""
    schema_version: int = SCHEMA_VERSION

    def __post_init__(self) -> None:
        if not self.workload:
            object.__setattr__(self, "workload", self.subject)

    def finding(self, metric: str) -> Finding:
        """The finding of `metric` on the whole subject, or else on any process.

        Raises:
            KeyError: it was not judged.
        """
        found = sorted((f for f in self.findings if f.metric == metric), key=lambda f: f.process)
        if not found:
            raise KeyError(metric)
        return found[0]

    def to_json(self) -> str:
        """The text of `run.json`."""
        data = asdict(self)
        for finding, written in zip(self.findings, data["findings"], strict=True):
            written["clauses"] = [_written(clause) for clause in finding.clauses]
            written["reason"] = finding.reason
            for site, text in zip(finding.sites, written["sites"], strict=True):
                text["stack"] = [str(place) for place in site.stack]
        return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> RunResult:
        """Read what `to_json` wrote, in this version or an older one.

        Raises:
            RunFileError: it is not that, or of a version that this release does not know.
        """
        try:
            data = json.loads(text, parse_constant=_refuse)
        except ValueError as error:
            raise RunFileError(f"not a run file: {error}") from error
        if not isinstance(data, dict) or "schema_version" not in data:
            raise RunFileError("not a run file: it has no schema_version")
        if data.get("kind") == "fit":
            raise RunFileError("this is the result of a fit, not of a run")
        version = data["schema_version"]
        if version not in (1, SCHEMA_VERSION):
            raise RunFileError(
                f"schema version {version} is unknown; this release reads versions 1 to "
                f"{SCHEMA_VERSION}. Read the file with the release that wrote it."
            )
        try:
            return _result(upgraded(data) if version == 1 else data)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunFileError(f"not a run file of version {version}: {error}") from error

    def write(self, path: Path) -> None:
        """Write `run.json` whole or not at all; folders on the way are made."""
        write_whole(path, self.to_json())

    @classmethod
    def read(cls, path: Path) -> RunResult:
        """Read a run file.

        Raises:
            RunFileError: it cannot be read; the message names the path.
        """
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


_EMPTY = Clause(ClauseKind.TEXT)


def _written(clause: Clause) -> dict[str, Any]:
    """The kind and whatever else the clause holds."""
    names = [item.name for item in fields(clause) if item.name != "kind"]
    held = {name: getattr(clause, name) for name in names}
    return {
        "kind": clause.kind.value,
        **{name: value for name, value in held.items() if value != getattr(_EMPTY, name)},
    }


def _result(data: Mapping[str, Any]) -> RunResult:
    agents = data["agents"]
    return RunResult(
        **{
            **data,
            "outcome": Outcome(data["outcome"]),
            "series": tuple(_series(item) for item in data["series"]),
            "findings": tuple(_finding(item) for item in data["findings"]),
            "details": _details(data["details"]),
            "agents": None if agents is None else _agents(agents),
            "workload": data.get("workload", _PID.sub("pid", data["subject"])),
        }
    )


_PID = re.compile(r"^pid \d+")
"""The part of a subject that differs each time, in files from before `workload` was in them."""


def _series(data: Mapping[str, Any]) -> Series:
    return Series(**{**data, "samples": tuple((n, value) for n, value in data["samples"])})


def _finding(data: Mapping[str, Any]) -> Finding:
    known = {name: value for name, value in data.items() if name != "reason"}
    interval = data["interval"]
    return Finding(
        **{
            **known,
            "outcome": Outcome(data["outcome"]),
            "cause": Cause(data["cause"]),
            "interval": None if interval is None else _pair(interval),
            "clauses": tuple(_clause(item) for item in data["clauses"]),
            "sites": tuple(_site(item) for item in data["sites"]),
            "containers": tuple(_container(item) for item in data.get("containers", ())),
        }
    )


def _clause(data: Mapping[str, Any]) -> Clause:
    kind, metrics = ClauseKind(data["kind"]), tuple(data.get("metrics", ()))
    return Clause(**{**data, "kind": kind, "metrics": metrics})


def _site(data: Mapping[str, Any]) -> Site:
    note = data["note"]
    site = Site(**{**data, "stack": tuple(Place.from_text(text) for text in data["stack"])})
    if "is_jump" in data or not note.endswith(_JUMP):
        return site
    return replace(site, is_jump=True, note=note.removesuffix(_JUMP).removesuffix("; "))


def _container(data: Mapping[str, Any]) -> GrowingContainer:
    places = {name: tuple(data[name]) for name in ("emptied_at", "lines")}
    return GrowingContainer(**{**data, **places})


def _details(data: Mapping[str, Any]) -> Details:
    return Details(
        **{
            **data,
            "self_check": {name: SelfCheck(**one) for name, one in data["self_check"].items()},
            "not_observed": tuple(data["not_observed"]),
            "evidence": {
                metric: tuple(tuple(row) for row in rows)
                for metric, rows in data["evidence"].items()
            },
            "not_called": tuple(data.get("not_called", ())),
            "refused": tuple(data.get("refused", ())),
            "command": tuple(data["command"]),
        }
    )


def _agents(data: Mapping[str, Any]) -> Agents:
    return Agents(**{**data, "missing": tuple(data["missing"])})


def _pair(values: Iterable[float]) -> tuple[float, float]:
    low, high = values
    return low, high
