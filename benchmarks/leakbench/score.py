"""From runs to numbers: who caught what, who cried wolf, and who named the line. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from benchmarks.leakbench.folder import JobCase

__all__ = [
    "GROWING",
    "NO_VERDICT",
    "STABLE",
    "ScoredRun",
    "ToolAnswer",
    "ToolScore",
    "score",
    "scored",
]

GROWING = "growing"
STABLE = "stable"
NO_VERDICT = "no verdict"

# Views of the same memory from different sides.
_SAME = {"rss_anon": "rss", "pss": "rss", "temp_bytes": "temp_files", "python_threads": "threads"}


@dataclass(frozen=True)
class ToolAnswer:
    """What a tool said of one job: `outcome` is one of the three words above."""

    outcome: str
    metrics: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    names_metrics: bool = False
    names_lines: bool = False
    note: str = ""
    verdict_seconds: float | None = None


@dataclass(frozen=True)
class ScoredRun:
    """One run of one tool on one case, scored."""

    tool: str
    case: str
    variant: str
    repeat: int
    seed: int
    outcome: str
    as_expected: bool
    metrics: tuple[str, ...]
    right_metric: bool | None
    strict_metric: bool | None
    stray_metrics: tuple[str, ...]
    first_site: str
    right_site: bool | None
    python_level: bool
    below_bar: bool
    seconds: float
    verdict_seconds: float | None
    note: str = ""

    @property
    def leaks(self) -> bool:
        """Whether the truth is that it leaks."""
        return self.variant == "leaky"


@dataclass(frozen=True)
class ToolScore:
    """One tool over all its runs. Pairs are (of which so many, out of so many)."""

    tool: str
    caught: tuple[int, int]
    false_alarms: tuple[int, int]
    no_verdict: tuple[int, int]
    median_seconds: float
    worst_seconds: float
    right_metric: tuple[int, int]
    strict_metric: tuple[int, int]
    right_site: tuple[int, int]


def scored(
    case: JobCase, tool: str, reading: ToolAnswer, *, repeat: int, seed: int, seconds: float
) -> ScoredRun:
    """Hold a tool's reading against the truth of the case."""
    outcome = reading.outcome
    caught = case.leaks and outcome == GROWING
    grown = {_SAME.get(metric, metric) for metric in reading.metrics}
    true = {_SAME.get(metric, metric) for metric in case.grows}
    judge_metric = caught and reading.names_metrics and bool(true)
    judge_site = caught and reading.names_lines and bool(case.lines)
    return ScoredRun(
        tool=tool,
        case=case.name,
        variant=case.variant,
        repeat=repeat,
        seed=seed,
        outcome=outcome,
        as_expected=outcome == (GROWING if case.leaks else STABLE),
        metrics=reading.metrics,
        right_metric=bool(grown & true) if judge_metric else None,
        strict_metric=case.surest in reading.metrics if judge_metric else None,
        stray_metrics=tuple(sorted(grown - true)) if caught else (),
        first_site=reading.sites[0] if reading.sites else "",
        right_site=_names_the_line(case, reading.sites) if judge_site else None,
        python_level=case.python_level,
        below_bar=case.below_bar,
        seconds=round(seconds, 3),
        verdict_seconds=reading.verdict_seconds,
        note=reading.note,
    )


def _names_the_line(case: JobCase, sites: tuple[str, ...]) -> bool:
    file, _, line = sites[0].partition(" ")[0].rpartition(":") if sites else ("", "", "")
    return file == case.file and line.isdigit() and int(line) in case.lines


def score(tool: str, runs: Iterable[ScoredRun]) -> ToolScore:
    """The row of one tool; leaks below the bar count in no column but that of false alarms."""
    own = [run for run in runs if run.tool == tool]
    leaky = [run for run in own if run.leaks and not run.below_bar]
    clean = [run for run in own if not run.leaks]
    seconds = [run.seconds for run in leaky + clean]
    sites = [run.right_site for run in leaky if run.python_level]
    return ToolScore(
        tool=tool,
        caught=(sum(run.outcome == GROWING for run in leaky), len(leaky)),
        false_alarms=(sum(run.outcome == GROWING for run in clean), len(clean)),
        no_verdict=(sum(run.outcome == NO_VERDICT for run in leaky + clean), len(leaky + clean)),
        median_seconds=median(seconds) if seconds else math.nan,
        worst_seconds=max(seconds, default=math.nan),
        right_metric=_share(run.right_metric for run in leaky),
        strict_metric=_share(run.strict_metric for run in leaky),
        right_site=_share(sites),
    )


def _share(answers: Iterable[bool | None]) -> tuple[int, int]:
    known = [answer for answer in answers if answer is not None]
    return sum(known), len(known)
