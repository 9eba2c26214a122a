"""From one run of the gate on a twin to a score: caught, missed, false alarm, line. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.catalogue.case import Case
from benchmarks.catalogue.start import LEAKY
from benchmarks.proportions import wilson

__all__ = ["Score", "TwinRun", "judge_run", "score"]

GROWING = "growing"
STABLE = "stable"
_STATUS = {GROWING: 1, STABLE: 0}


@dataclass(frozen=True)
class TwinRun:
    """What the gate said of one twin.

    `outcome` is that of the run file, or "no verdict" where the exit status says otherwise.
    `metrics` are those that grow; `first_sites` the first site of each that has one; `left` the
    processes that the gate left behind.
    """

    case: str
    twin: str
    repeat: int
    status: int | None
    outcome: str
    metrics: tuple[str, ...]
    right_metric: bool
    first_sites: tuple[str, ...]
    line_named: bool
    seconds: float
    cpu_seconds: float
    left: tuple[str, ...] = ()
    note: str = ""

    @property
    def leaks(self) -> bool:
        """Whether the truth is that it leaks."""
        return self.twin == LEAKY

    @property
    def caught(self) -> bool:
        """A leak that is called one, for a metric that really grows."""
        return self.leaks and self.outcome == GROWING and self.right_metric

    @property
    def false_alarm(self) -> bool:
        """A clean twin that is called growing."""
        return not self.leaks and self.outcome == GROWING

    @property
    def false_green(self) -> bool:
        """A leak that is called stable: the one answer that must never be given."""
        return self.leaks and self.outcome == STABLE

    @property
    def as_expected(self) -> bool:
        """Whether it says of the twin what is true, and leaves nothing behind."""
        return (self.caught if self.leaks else self.outcome == STABLE) and not self.left


def judge_run(
    case: Case,
    twin: str,
    repeat: int,
    *,
    status: int | None,
    data: Mapping[str, Any] | None,
    seconds: float,
    cpu_seconds: float,
    left: tuple[str, ...] = (),
    note: str = "",
) -> TwinRun:
    """Hold the run file `data` (None where there is none) against the truth of the case."""
    growing = [f for f in (data or {}).get("findings", ()) if f["outcome"] == GROWING]
    outcome = str((data or {}).get("outcome", "no verdict"))
    if status != _STATUS.get(outcome, 2 if data else status):
        note, outcome = f"{outcome}, but status {status}", "no verdict"
    firsts = [finding["sites"][0] for finding in growing if finding.get("sites")]
    metrics = tuple(str(finding["metric"]) for finding in growing)
    places = {(str((case.folder / site["file"]).resolve()), int(site["line"])) for site in firsts}
    return TwinRun(
        case=case.name,
        twin=twin,
        repeat=repeat,
        status=status,
        outcome=outcome,
        metrics=metrics,
        right_metric=bool(case.metrics & set(metrics)),
        first_sites=tuple(f"{Path(site['file']).name}:{site['line']}" for site in firsts),
        line_named=bool(places & case.lines()),
        seconds=round(seconds, 2),
        cpu_seconds=round(cpu_seconds, 2),
        left=left,
        note="; ".join(filter(None, [note or _reason(data), *(f"left: {name}" for name in left)])),
    )


def _reason(data: Mapping[str, Any] | None) -> str:
    return str((data or {}).get("reason", ""))[:400]


@dataclass(frozen=True)
class Score:
    """All runs of one catalogue. Pairs are (of which so many, out of so many)."""

    caught: tuple[int, int]
    false_greens: tuple[int, int]
    false_alarms: tuple[int, int]
    no_verdict: tuple[int, int]
    left_behind: tuple[int, int]
    lines: tuple[int, int]
    median_seconds: float
    worst_seconds: float
    median_cpu_seconds: float

    def rows(self) -> list[tuple[str, str, str]]:
        """(what, how many, 95% interval), for a table."""
        pairs = {
            "caught": self.caught,
            "false greens (a leak called stable)": self.false_greens,
            "false alarms (clean, called growing)": self.false_alarms,
            "neither growing nor stable": self.no_verdict,
            "processes left behind": self.left_behind,
            "line named, of the leaks caught": self.lines,
        }
        rows = [(name, _of(pair), _interval(pair)) for name, pair in pairs.items()]
        rows.append(("seconds of the command, median", f"{self.median_seconds:.1f}", ""))
        rows.append(("seconds of the command, longest", f"{self.worst_seconds:.1f}", ""))
        rows.append(("seconds of CPU, median", f"{self.median_cpu_seconds:.1f}", ""))
        return rows


def score(runs: Sequence[TwinRun]) -> Score:
    """Count; the runs must not be empty."""
    leaky = [run for run in runs if run.leaks]
    clean = [run for run in runs if not run.leaks]
    caught = [run for run in leaky if run.caught]
    return Score(
        caught=(len(caught), len(leaky)),
        false_greens=_count((run.false_green for run in leaky), leaky),
        false_alarms=_count((run.false_alarm for run in clean), clean),
        no_verdict=_count((run.outcome not in (GROWING, STABLE) for run in runs), runs),
        left_behind=_count((bool(run.left) for run in runs), runs),
        lines=_count((run.line_named for run in caught), caught),
        median_seconds=median(run.seconds for run in runs),
        worst_seconds=max(run.seconds for run in runs),
        median_cpu_seconds=median(run.cpu_seconds for run in runs),
    )


def _count(answers: Iterable[bool], of: Sequence[TwinRun]) -> tuple[int, int]:
    return sum(answers), len(of)


def _of(pair: tuple[int, int]) -> str:
    return f"{pair[0]}/{pair[1]}" if pair[1] else "-"


def _interval(pair: tuple[int, int]) -> str:
    if not pair[1]:
        return ""
    low, high = wilson(*pair)
    return f"{low:.0%}-{high:.0%}"
