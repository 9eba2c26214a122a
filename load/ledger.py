"""What a run has seen: jobs, invariants that held or did not, limits reached, moments of rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["FINAL", "Check", "Job", "Ledger", "Rest"]

FINAL = frozenset({"completed", "failed", "cancelled"})
_MOST_DETAILS = 5

PASSED, VIOLATED, NOT_EXERCISED, NOT_JUDGED = (
    "passed",
    "violated",
    "not exercised",
    "not judged",
)


@dataclass
class Job:
    """One accepted upload, and what the service has said of it since."""

    job_id: str
    ends: frozenset[str]
    view: dict[str, Any] = field(default_factory=dict)
    positions: list[int] = field(default_factory=list)
    lost: str = ""

    def hear(self, view: dict[str, Any]) -> None:
        """Keep the newest word, and every queue position."""
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
class Rest:
    """A stretch of time (steady clock) in which nothing ran, after so many uploads."""

    begin: float
    end: float
    uploads: int


@dataclass(frozen=True)
class Check:
    """One invariant at the end of a run."""

    name: str
    state: str
    seen: int = 0
    details: tuple[str, ...] = ()


class Ledger:
    """Collects what scenarios see; `tell` hears of every look at an invariant as it happens."""

    def __init__(self, tell: Callable[[str, str], None]) -> None:
        self.jobs: dict[str, Job] = {}
        self.rests: list[Rest] = []
        self.uploads = 0
        self.unjudged: dict[str, str] = {}
        self.broken: list[str] = []
        self._tell = tell
        self._seen: dict[str, int] = {}
        self._complaints: dict[str, list[str]] = {}
        self._reached: set[str] = set()

    def saw(self, invariant: str, holds: bool, detail: str = "") -> bool:
        """Note one look at an invariant; gives back whether it holds."""
        self._seen[invariant] = self._seen.get(invariant, 0) + 1
        if not holds:
            self._complaints.setdefault(invariant, []).append(detail or "it does not hold")
        self._tell(invariant, "" if holds else detail or "it does not hold")
        return holds

    def reach(self, limit: str) -> None:
        """Note that the run came to a limit that it claims to have tried."""
        self._reached.add(limit)

    def leave_out(self, invariant: str, why: str) -> None:
        """Note that an invariant cannot be judged here, which is no failure."""
        self.unjudged[invariant] = why

    def take(self, job: Job) -> Job:
        """Enter an accepted job."""
        self.jobs[job.job_id] = job
        return job

    def checks(self, required: Sequence[str]) -> tuple[Check, ...]:
        """Every invariant in the order of its first look, then what was never tried."""
        found = [self._check(name) for name in self._seen]
        reached = [Check(name, PASSED, 1) for name in sorted(self._reached)]
        known = self._seen.keys() | self._reached | self.unjudged.keys()
        missing = [
            Check(name, NOT_EXERCISED, 0, ("the run never came to this",))
            for name in required
            if name not in known
        ]
        left_out = [Check(name, NOT_JUDGED, 0, (why,)) for name, why in self.unjudged.items()]
        return (*found, *reached, *left_out, *missing)

    def _check(self, name: str) -> Check:
        complaints = self._complaints.get(name, [])
        shown = tuple(complaints[:_MOST_DETAILS])
        if len(complaints) > len(shown):
            shown = (*shown, f"and {len(complaints) - len(shown)} more")
        return Check(name, VIOLATED if complaints else PASSED, self._seen[name], shown)


def status_of(checks: Sequence[Check], broken: Sequence[str]) -> int:
    """One exit status: 1 for a violation, else 2 for what was not tried or broke, else 0."""
    states = {check.state for check in checks}
    if VIOLATED in states:
        return 1
    if broken or NOT_EXERCISED in states or PASSED not in states:
        return 2
    return 0


def as_json(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """The checks as they stand in `outcome.json`."""
    return [asdict(check) for check in checks]
