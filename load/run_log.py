"""The log of a load run: jobs, checks of invariants, limits reached, idle windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["FINAL", "IdleWindow", "InvariantResult", "RunLog", "UploadedJob"]

FINAL = frozenset({"completed", "failed", "cancelled"})
_MOST_DETAILS = 5

PASSED, VIOLATED, NOT_EXERCISED, NOT_JUDGED = (
    "passed",
    "violated",
    "not exercised",
    "not judged",
)


@dataclass
class UploadedJob:
    """An accepted upload.

    `ends`: the final states that its file may lead to. `view`: the last answer of the status route.
    `lost`: why it counts as lost; empty while it does not.
    """

    job_id: str
    ends: frozenset[str]
    view: dict[str, Any] = field(default_factory=dict)
    positions: list[int] = field(default_factory=list)
    lost: str = ""

    def update(self, view: dict[str, Any]) -> None:
        """Keep the newest answer, and every queue position."""
        self.view = view
        position = view.get("queue_position")
        if isinstance(position, int):
            self.positions.append(position)

    @property
    def status(self) -> str:
        """The last status that was seen."""
        return str(self.view.get("status", ""))

    def moment(self, name: str) -> float | None:
        """A timestamp of the service in seconds; None where it has none."""
        text = self.view.get(name)
        if not isinstance(text, str):
            return None
        try:
            return datetime.fromisoformat(text).timestamp()
        except ValueError:
            return None


@dataclass(frozen=True)
class IdleWindow:
    """Seconds of the monotonic clock in which nothing ran, after so many uploads."""

    begin: float
    end: float
    uploads: int


@dataclass(frozen=True)
class InvariantResult:
    """One invariant at the end of a run. `seen`: how often it was checked."""

    name: str
    state: str
    seen: int = 0
    details: tuple[str, ...] = ()


class RunLog:
    """Collects what scenarios see.

    `on_check(invariant, error)` is called at every check of an invariant; `error` is empty where it
    holds. `broken`: failures of the load itself. `skipped`: invariant to why it cannot be judged.
    `figures`: what was measured, in words.
    """

    def __init__(self, on_check: Callable[[str, str], None]) -> None:
        self.jobs: dict[str, UploadedJob] = {}
        self.idle_windows: list[IdleWindow] = []
        self.uploads = 0
        self.skipped: dict[str, str] = {}
        self.broken: list[str] = []
        self.figures: list[str] = []
        self._on_check = on_check
        self._seen: dict[str, int] = {}
        self._errors: dict[str, list[str]] = {}
        self._reached: set[str] = set()

    def record(self, invariant: str, holds: bool, detail: str = "") -> bool:
        """Record one check of an invariant; returns whether it holds."""
        self._seen[invariant] = self._seen.get(invariant, 0) + 1
        if not holds:
            self._errors.setdefault(invariant, []).append(detail or "it does not hold")
        self._on_check(invariant, "" if holds else detail or "it does not hold")
        return holds

    def mark_reached(self, limit: str) -> None:
        """Record that the run reached a limit that it is meant to try."""
        self._reached.add(limit)

    def skip(self, invariant: str, why: str) -> None:
        """Record that an invariant cannot be judged here, which is no failure."""
        self.skipped[invariant] = why

    def add(self, job: UploadedJob) -> UploadedJob:
        """Add an accepted job."""
        self.jobs[job.job_id] = job
        return job

    def to_json(self) -> dict[str, Any]:
        """All of it as plain data, for the process that judges several logs as one."""
        return {
            "jobs": [{**asdict(job), "ends": sorted(job.ends)} for job in self.jobs.values()],
            "uploads": self.uploads,
            "skipped": self.skipped,
            "broken": self.broken,
            "figures": self.figures,
            "seen": self._seen,
            "errors": self._errors,
            "reached": sorted(self._reached),
        }

    def merge(self, other: Mapping[str, Any]) -> None:
        """Take in the log of another process, as its `to_json` gave it.

        `on_check` is not called for its checks: it was, where they were made.
        """
        for job in other["jobs"]:
            self.add(UploadedJob(**{**job, "ends": frozenset(job["ends"])}))
        self.uploads += other["uploads"]
        self.skipped |= other["skipped"]
        self.broken += other["broken"]
        self.figures += other["figures"]
        self._reached |= set(other["reached"])
        for name, seen in other["seen"].items():
            self._seen[name] = self._seen.get(name, 0) + seen
        for name, errors in other["errors"].items():
            self._errors.setdefault(name, []).extend(errors)

    def checks(self, required: Sequence[str]) -> tuple[InvariantResult, ...]:
        """Every invariant in the order of its first check, then what was never tried."""
        found = [self._check(name) for name in self._seen]
        reached = [InvariantResult(name, PASSED, 1) for name in sorted(self._reached)]
        known = self._seen.keys() | self._reached | self.skipped.keys()
        missing = [
            InvariantResult(name, NOT_EXERCISED, 0, ("the run never came to this",))
            for name in required
            if name not in known
        ]
        left_out = [
            InvariantResult(name, NOT_JUDGED, 0, (why,)) for name, why in self.skipped.items()
        ]
        return (*found, *reached, *left_out, *missing)

    def _check(self, name: str) -> InvariantResult:
        errors = self._errors.get(name, [])
        shown = tuple(errors[:_MOST_DETAILS])
        if len(errors) > len(shown):
            shown = (*shown, f"and {len(errors) - len(shown)} more")
        return InvariantResult(name, VIOLATED if errors else PASSED, self._seen[name], shown)


def status_of(checks: Sequence[InvariantResult], broken: Sequence[str]) -> int:
    """One exit status: 1 for a violation, else 2 for what was not tried or broke, else 0."""
    states = {check.state for check in checks}
    if VIOLATED in states:
        return 1
    if broken or NOT_EXERCISED in states or PASSED not in states:
        return 2
    return 0


def as_json(checks: Sequence[InvariantResult]) -> list[dict[str, Any]]:
    """The checks as they stand in `outcome.json`."""
    return [asdict(check) for check in checks]
