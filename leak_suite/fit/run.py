"""`run_fit`: trials without a limit, under it, and where wanted under ever smaller ones."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace

from leak_suite.environment import environment
from leak_suite.errors import ConfigurationError, SubjectError
from leak_suite.fit.backends import BACKENDS, Backend, select_backend
from leak_suite.fit.result import (
    FitCause,
    FitResult,
    Headroom,
    KernelCounters,
    MemoryLimit,
    MinimumSearch,
    SearchStep,
    UnlimitedTrial,
)
from leak_suite.fit.sampler import UsageSample
from leak_suite.fit.trial import Load, Trial, TrialEnd, run_trial
from leak_suite.fit.verdict import COLLAPSE, FitVerdict, judge_trial
from leak_suite.result import Series
from leak_suite.subject import Spec
from leak_suite.units import MIB

__all__ = ["FitOptions", "run_fit", "smallest_passing"]

_START_SECONDS = 90.0
_SLACK_SECONDS = 30.0
_MAX_SAMPLES = 600
_MAX_SEARCH_TRIALS = 16

OnProgress = Callable[[str], None]


@dataclass(frozen=True)
class FitOptions:
    """What to try.

    `limit_name`: how the limit was asked for, a size or a plan. `max_seconds`: of load, for each
    trial. `tolerance_bytes`: how near the search for the smallest limit comes to it. `backend`:
    the only one of BACKENDS to try. `image`: the docker image in which the command can be run.
    """

    limit_bytes: int
    limit_name: str = ""
    users: int = 1
    iterations: int = 20
    max_seconds: float = 600.0
    find_minimum: bool = False
    tolerance_bytes: int = 8 * MIB
    backend: str | None = None
    image: str | None = None

    def __post_init__(self) -> None:
        for name in ("limit_bytes", "users", "iterations", "max_seconds", "tolerance_bytes"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"{name.replace('_', ' ')} must be above zero")
        if self.backend is not None and self.backend not in BACKENDS:
            known = ", ".join(BACKENDS)
            raise ConfigurationError(f"no backend {self.backend!r}; known are {known}")


def run_fit(
    spec: Spec,
    options: FitOptions,
    *,
    on_progress: OnProgress | None = None,
) -> FitResult:
    """Run the service under the limit and say whether it fits.

    Raises:
        ConfigurationError: the workload cannot be loaded.
        SubjectError: the service or the workload does not work even without a limit.
    """
    fit = _Fit(spec, options, on_progress or (lambda _: None))
    unlimited = fit.run_unlimited()
    if not fit.backend.enforced:
        return fit.not_enforced(unlimited)
    trial = fit.run_limited(options.limit_bytes, options.iterations, unlimited)
    verdict = judge_trial(trial, unlimited)
    minimum = None
    if options.find_minimum and verdict.fits is not None:
        minimum = fit.search_minimum(unlimited, passed=verdict.fits)
    if verdict.fits and trial.end is TrialEnd.TIME:
        verdict = replace(verdict, reason=f"{verdict.reason}, in the time given")
    return fit.result(trial, unlimited, verdict, minimum)


class _Fit:
    """The trials of one run, and the result that they make."""

    def __init__(self, spec: Spec, options: FitOptions, on_progress: OnProgress) -> None:
        self._spec, self._options, self._on_progress = spec, options, on_progress
        self.backend: Backend = select_backend(only=options.backend, image=options.image)

    def run_unlimited(self) -> Trial:
        """Without a limit: the service must work at all; its pace and files are the reference."""
        options = self._options
        iterations = options.iterations
        if self.backend.enforced:
            iterations = min(iterations, _short_trial(options.users))
        trial = run_trial(
            self._spec,
            self.backend.make_cgroup,
            None,
            Load(options.users, iterations, _START_SECONDS, options.max_seconds),
            on_progress=lambda text: self._on_progress(f"without a limit: {text}"),
        )
        if trial.end in (TrialEnd.FAILED, TrialEnd.DIED, TrialEnd.NOT_STARTED):
            raise SubjectError(f"it does not work even without a limit: {trial.error}")
        if not trial.done:
            raise SubjectError(
                f"not one iteration was finished in {options.max_seconds:.0f} s without a limit; "
                "give a shorter workload, or more time by --max-seconds"
            )
        return trial

    def run_limited(self, limit: int, iterations: int, unlimited: Trial) -> Trial:
        """Under `limit` bytes, with the files of the service dropped from the page cache."""
        expected = (unlimited.seconds_per_iteration or 0.0) * iterations * COLLAPSE + _SLACK_SECONDS
        start_seconds = min(_START_SECONDS, unlimited.start_seconds * COLLAPSE + _SLACK_SECONDS)
        max_seconds = min(expected, self._options.max_seconds)
        return run_trial(
            self._spec,
            self.backend.make_cgroup,
            limit,
            Load(self._options.users, iterations, start_seconds, max_seconds),
            files=unlimited.files,
            on_progress=lambda text: self._on_progress(f"under {limit / MIB:,.0f} MiB: {text}"),
        )

    def search_minimum(self, unlimited: Trial, *, passed: bool) -> MinimumSearch:
        """The smallest limit that passes, by trials that are shorter than the main one."""
        options = self._options
        iterations = min(options.iterations, _short_trial(options.users))
        steps: list[SearchStep] = []

        def passes(limit: int) -> bool:
            trial = self.run_limited(limit, iterations, unlimited)
            verdict = judge_trial(trial, unlimited)
            steps.append(
                SearchStep(
                    limit=limit,
                    passed=bool(verdict.fits),
                    cause=verdict.cause,
                    iterations=trial.done,
                    seconds=round(trial.seconds, 2),
                    slowdown=_rounded(verdict.slowdown),
                )
            )
            return bool(verdict.fits)

        needed = unlimited.peak.unreclaimable or options.limit_bytes
        low = min(needed, options.limit_bytes) - 2 * options.tolerance_bytes
        found = smallest_passing(
            passes,
            low=max(options.tolerance_bytes, low),
            high=options.limit_bytes if passed else max(needed, options.limit_bytes),
            tolerance=options.tolerance_bytes,
            high_passes=True if passed else None,
            highest=4 * max(needed, options.limit_bytes),
        )
        return MinimumSearch(found, options.tolerance_bytes, tuple(steps))

    def not_enforced(self, unlimited: Trial) -> FitResult:
        """The result where no backend works: what was sampled, and no verdict."""
        limit, pss = self._options.limit_bytes, unlimited.peak.pss
        seen = "its memory could not be read" if pss is None else _compare_pss(pss, limit)
        reason = f"NOT ENFORCED: no memory limit could be set here; {seen}"
        verdict = FitVerdict(None, FitCause.NOT_ENFORCED, reason)
        return self.result(unlimited, unlimited, verdict, None)

    def result(
        self,
        trial: Trial,
        unlimited: Trial,
        verdict: FitVerdict,
        minimum: MinimumSearch | None,
    ) -> FitResult:
        """Everything that is known of the trials."""
        limit, enforced = self._options.limit_bytes, self.backend.enforced
        return FitResult(
            subject=str(self._spec),
            environment=environment({"python": platform.python_version()}),
            fits=verdict.fits,
            cause=verdict.cause,
            reason=verdict.reason,
            limit=MemoryLimit(
                bytes=limit,
                name=self._options.limit_name or f"{limit / MIB:,.0f} MiB",
                backend=self.backend.name,
                enforced=enforced,
                swap="off" if enforced else "as it is",
                unavailable=dict(self.backend.unavailable),
            ),
            users=self._options.users,
            iterations=trial.done,
            seconds=round(trial.seconds, 3),
            peak=trial.peak,
            counters=KernelCounters(
                oom_kills=trial.oom_kills,
                limit_hits=trial.limit_hits,
                major_faults=trial.major_faults,
                refaults=trial.refaults,
                stalled_seconds=trial.stalled_seconds,
            ),
            start_seconds=round(trial.start_seconds, 3),
            slowdown=_rounded(verdict.slowdown),
            headroom=_headroom(limit, trial, verdict, minimum),
            killed=trial.killed,
            server_alive=trial.server_alive,
            minimum=minimum,
            without_limit=UnlimitedTrial(
                iterations=unlimited.done,
                seconds=round(unlimited.seconds, 3),
                start_seconds=round(unlimited.start_seconds, 3),
                peak=unlimited.peak,
            ),
            page_cache=trial.page_cache,
            series=_series(trial.samples),
        )


def smallest_passing(
    passes: Callable[[int], bool],
    *,
    low: int,
    high: int,
    tolerance: int,
    high_passes: bool | None = None,
    highest: int,
) -> int | None:
    """A limit that passes, at most `tolerance` above one that does not, by bisection.

    All sizes are in bytes. `low` is expected to fail and `high` to pass; where they do not, the
    search goes on down to `tolerance` or up to `highest`. `high_passes`: what is already known of
    `high`. None if no limit passes.
    """
    high = max(high, low + tolerance)
    best: int | None = None
    for _ in range(_MAX_SEARCH_TRIALS):
        good = passes(high) if high_passes is None else high_passes
        high_passes = None
        if good:
            best = high
            break
        if high >= highest:
            return None
        low, high = high, min(highest, high + max(high // 4, tolerance))
    if best is None:
        return None
    step = best - low
    while low > 0 and passes(low):
        best, low = low, max(0, low - step)
    while best - low > tolerance:
        middle = (best + low) // 2
        if passes(middle):
            best = middle
        else:
            low = middle
    return best


def _short_trial(users: int) -> int:
    """Iterations that show the pace: each user has worked, and a single one several times."""
    return max(4, users)


def _headroom(
    limit: int, trial: Trial, verdict: FitVerdict, minimum: MinimumSearch | None
) -> Headroom | None:
    if minimum is not None and minimum.bytes is not None:
        return Headroom(limit - minimum.bytes, "smallest passing limit")
    # The peak of what did not fit shows only where it was stopped, not what it needs.
    if not verdict.fits or trial.peak.unreclaimable is None:
        return None
    return Headroom(limit - trial.peak.unreclaimable, "peak unreclaimable memory")


def _compare_pss(pss: int, limit: int) -> str:
    side = "above" if pss > limit else "below"
    return (
        f"sampled, the processes held {pss / MIB:,.0f} MiB (PSS) at most, {side} the limit of "
        f"{limit / MIB:,.0f} MiB, which says little: page cache and kernel memory count too"
    )


def _series(samples: tuple[UsageSample, ...]) -> tuple[Series, ...]:
    """At most 600 samples of each, every one the highest of those that it stands for."""
    names = ("anon", "file", "kernel", "pss")
    step = max(1, math.ceil(len(samples) / _MAX_SAMPLES))
    chunks = [samples[start : start + step] for start in range(0, len(samples), step)]
    return tuple(
        Series(name, "bytes", tuple((chunk[-1].done, _highest(chunk, name)) for chunk in chunks))
        for name in names
    )


def _highest(samples: tuple[UsageSample, ...], name: str) -> int | None:
    return max((n for one in samples if (n := getattr(one, name)) is not None), default=None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
