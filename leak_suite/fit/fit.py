"""Does it fit: trials without a limit, under it, and where wanted under ever smaller ones."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from leak_suite.errors import ConfigurationError, SubjectError
from leak_suite.fit.answer import COLLAPSE, Answer, judge_trial
from leak_suite.fit.minimum import smallest_passing
from leak_suite.fit.trial import Load, Trial, run_trial
from leak_suite.fit.watch import Sample
from leak_suite.fit.ways import WAYS, Chosen, choose
from leak_suite.result import Cause, Finding, Outcome, RunResult, Series
from leak_suite.subject import AppSpec, CommandSpec

__all__ = ["FitOptions", "fit"]

_MIB = 1 << 20
_START_SECONDS = 90.0
_SLACK_SECONDS = 30.0
_MOST_SAMPLES = 600

Tell = Callable[[str], None]


@dataclass(frozen=True)
class FitOptions:
    """What to try. `limit_name` is how the limit was asked for: a size or a plan."""

    limit_bytes: int
    limit_name: str = ""
    users: int = 1
    iterations: int = 20
    max_seconds: float = 600.0
    find_minimum: bool = False
    tolerance_bytes: int = 8 * _MIB
    way: str | None = None
    image: str | None = None

    def __post_init__(self) -> None:
        for name in ("limit_bytes", "users", "iterations", "max_seconds", "tolerance_bytes"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name.replace('_', ' ')} must be above zero")
        if self.way is not None and self.way not in WAYS:
            raise ConfigurationError(f"no way {self.way!r}; known are {', '.join(WAYS)}")


def fit(
    spec: AppSpec | CommandSpec,
    options: FitOptions,
    *,
    on_progress: Callable[[Any], None] | None = None,
) -> RunResult:
    """Run the service under the limit and say whether it fits; SubjectError if it never runs."""
    tell: Tell = on_progress or (lambda _: None)
    chosen = choose(only=options.way, image=options.image)
    return _Fit(spec, options, chosen, tell).result()


class _Fit:
    """The trials of one run, in order."""

    def __init__(
        self, spec: AppSpec | CommandSpec, options: FitOptions, chosen: Chosen, tell: Tell
    ) -> None:
        self._spec, self._options, self._chosen, self._tell = spec, options, chosen, tell
        self._steps: list[dict[str, Any]] = []
        self._free = self._run_free()

    def result(self) -> RunResult:
        if not self._chosen.enforced:
            return self._not_enforced()
        limit = self._options.limit_bytes
        trial = self._under(limit, self._options.iterations)
        answer = judge_trial(trial, self._free)
        minimum = None
        if self._options.find_minimum and answer.fits is not None:
            minimum = self._minimum(bool(answer.fits))
        return self._told(trial, answer, minimum)

    def _run_free(self) -> Trial:
        """Without a limit: it must work at all, and its pace and files are the measure."""
        options = self._options
        iterations = options.iterations
        if self._chosen.enforced:
            iterations = min(iterations, _enough(options.users))
        load = Load(options.users, iterations, _START_SECONDS, options.max_seconds)
        free = run_trial(
            self._spec,
            self._chosen.open,
            None,
            load,
            tell=lambda news: self._tell(f"without a limit: {news}"),
        )
        if free.ended in ("failed", "died", "not started"):
            raise SubjectError(f"it does not work even without a limit: {free.error}")
        if not free.done:
            raise SubjectError(
                f"not one iteration was finished in {options.max_seconds:.0f} s without a limit; "
                "give a shorter workload, or more time by --max-seconds"
            )
        return free

    def _under(self, limit: int, iterations: int) -> Trial:
        pace = self._free.seconds_per_iteration or 0.0
        expected = pace * iterations * COLLAPSE + _SLACK_SECONDS
        load = Load(
            self._options.users,
            iterations,
            min(_START_SECONDS, self._free.start_seconds * COLLAPSE + _SLACK_SECONDS),
            min(expected, self._options.max_seconds),
        )
        return run_trial(
            self._spec,
            self._chosen.open,
            limit,
            load,
            cold=self._free.files,
            tell=lambda news: self._tell(f"under {limit / _MIB:,.0f} MiB: {news}"),
        )

    def _minimum(self, passed: bool) -> int | None:
        """Shorter trials than the main one."""
        options = self._options
        iterations = min(options.iterations, _enough(options.users))

        def passes(limit: int) -> bool:
            trial = self._under(limit, iterations)
            answer = judge_trial(trial, self._free)
            self._steps.append(
                {
                    "limit": limit,
                    "passed": bool(answer.fits),
                    "how": answer.how,
                    "iterations": trial.done,
                    "seconds": round(trial.seconds, 2),
                    "slowdown": _rounded(answer.slowdown),
                }
            )
            return bool(answer.fits)

        held = self._free.peak.held or options.limit_bytes
        low = min(held, options.limit_bytes) - 2 * options.tolerance_bytes
        return smallest_passing(
            passes,
            low=max(options.tolerance_bytes, low),
            high=options.limit_bytes if passed else max(held, options.limit_bytes),
            tolerance=options.tolerance_bytes,
            high_passes=True if passed else None,
            highest=4 * max(held, options.limit_bytes),
        )

    def _told(self, trial: Trial, answer: Answer, minimum: int | None) -> RunResult:
        outcome = {True: Outcome.STABLE, False: Outcome.OVER_BUDGET, None: Outcome.INCONCLUSIVE}[
            answer.fits
        ]
        if answer.fits and trial.ended == "time":
            answer = replace(answer, reason=f"{answer.reason}, in the time given")
        return self._run_result(trial, outcome, answer, minimum)

    def _not_enforced(self) -> RunResult:
        limit, pss = self._options.limit_bytes, self._free.peak.pss
        seen = "its memory could not be read" if pss is None else _against(pss, limit)
        answer = Answer(
            None, "not enforced", f"NOT ENFORCED: no memory limit could be set here; {seen}"
        )
        return self._run_result(self._free, Outcome.INCONCLUSIVE, answer, None)

    def _run_result(
        self, trial: Trial, outcome: Outcome, answer: Answer, minimum: int | None
    ) -> RunResult:
        limit = self._options.limit_bytes
        name = self._options.limit_name or f"{limit / _MIB:,.0f} MiB"
        over = outcome is Outcome.OVER_BUDGET
        finding = Finding(
            metric="memory limit",
            unit="bytes",
            outcome=outcome,
            cause=Cause.PEAK if over else Cause.NONE,
            peak=trial.peak.held if trial.peak.held is not None else trial.peak.pss,
            reason=answer.reason,
        )
        verdict = "fits" if answer.fits else "does not fit" if over else "could not be told"
        return RunResult(
            subject=str(self._spec),
            environment=_environment(),
            outcome=outcome,
            iterations=trial.done,
            seconds=round(trial.seconds, 3),
            series=_series(trial.samples),
            findings=(finding,),
            reason=f"{verdict} in {name}: {answer.reason}",
            details={"fit": self._details(trial, answer, minimum, name)},
        )

    def _details(
        self, trial: Trial, answer: Answer, minimum: int | None, name: str
    ) -> Mapping[str, Any]:
        limit, options = self._options.limit_bytes, self._options
        held = trial.peak.held
        # What did not fit shows by its peak only where it was stopped, not what it needs.
        needs = minimum if minimum is not None else held if answer.fits else None
        return {
            "limit": limit,
            "limit_name": name,
            "enforced_by": self._chosen.name,
            "enforced": self._chosen.enforced,
            "refused_ways": dict(self._chosen.refused),
            "swap": "off" if self._chosen.enforced else "as it is",
            "fits": answer.fits,
            "how": answer.how,
            "users": options.users,
            "peak": asdict(trial.peak),
            "headroom": None if needs is None else limit - needs,
            "headroom_from": "smallest passing limit" if minimum is not None else "peak held",
            "oom_kills": trial.oom_kills,
            "killed": [asdict(one) for one in trial.killed],
            "server_alive": trial.server_alive,
            "slowdown": _rounded(answer.slowdown),
            "limit_hits": trial.limit_hits,
            "major_faults": trial.major_faults,
            "refaults": trial.refaults,
            "stalled_seconds": trial.stalled_seconds,
            "start_seconds": round(trial.start_seconds, 3),
            "cold": None if trial.cold is None else asdict(trial.cold),
            "without_limit": {
                "iterations": self._free.done,
                "seconds": round(self._free.seconds, 3),
                "start_seconds": round(self._free.start_seconds, 3),
                "peak": asdict(self._free.peak),
            },
            "minimum": None
            if not self._options.find_minimum
            else {
                "bytes": minimum,
                "tolerance": options.tolerance_bytes,
                "trials": self._steps,
            },
        }


def _enough(users: int) -> int:
    """Iterations that show the pace: everybody has worked, and a lone one more than once."""
    return max(4, users)


def _against(pss: int, limit: int) -> str:
    side = "above" if pss > limit else "below"
    return (
        f"sampled, the processes held {pss / _MIB:,.0f} MiB (PSS) at most, {side} the limit of "
        f"{limit / _MIB:,.0f} MiB, which says little: page cache and kernel memory count too"
    )


def _series(samples: tuple[Sample, ...]) -> tuple[Series, ...]:
    step = max(1, math.ceil(len(samples) / _MOST_SAMPLES))
    thinned = [_highest(samples[at : at + step]) for at in range(0, len(samples), step)]
    return tuple(
        Series(name, "bytes", tuple((one.done, getattr(one, name)) for one in thinned))
        for name in ("anon", "file", "kernel", "pss")
    )


def _highest(samples: tuple[Sample, ...]) -> Sample:
    """The last of some samples with the highest of their values, so that no peak is lost."""
    tops: dict[str, Any] = {}
    for name in ("anon", "file", "kernel", "pss"):
        values = [v for one in samples if (v := getattr(one, name)) is not None]
        tops[name] = max(values, default=None)
    return replace(samples[-1], **tops)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _environment() -> dict[str, Any]:
    settings = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "WORKERS", "WEB_CONCURRENCY")
    return {
        "python": platform.python_version(),
        "platform": sys.platform,
        "kernel": platform.release(),
        "cpus": os.cpu_count(),
        "settings": {k: v for k, v in sorted(os.environ.items()) if k.startswith(settings)},
    }
