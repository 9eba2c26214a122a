"""Whether a trial fits, by its figures alone: pure, so that it can be tested on made-up trials."""

from __future__ import annotations

from dataclasses import dataclass

from leak_suite.fit.result import FitCause
from leak_suite.fit.trial import Trial, TrialEnd

__all__ = ["COLLAPSE", "SLOWDOWN", "FitVerdict", "judge_trial"]

SLOWDOWN = 2.0
"""Times slower than without a limit: thrashing, if the paging shows that memory is the reason."""
COLLAPSE = 6.0
"""Times slower: does not fit, whatever the counters say."""
_REFAULTS_PER_SECOND = 500.0
"""Pages read back after they had been evicted: 2 MB a second of them is paging, not chance."""
_MAJOR_FAULTS_PER_SECOND = 50.0
_STALLED_SHARE = 0.1
_ERROR_LENGTH = 400


@dataclass(frozen=True)
class FitVerdict:
    """`fits` is None where it cannot be judged. `slowdown`: times slower than without a limit."""

    fits: bool | None
    cause: FitCause
    reason: str
    slowdown: float | None = None


def judge_trial(trial: Trial, unlimited: Trial) -> FitVerdict:
    """Judge the trial under a limit against the one without."""
    slowdown = _slowdown(trial, unlimited)
    if trial.oom_kills:
        return FitVerdict(False, FitCause.KILLED, _describe_kills(trial), slowdown)
    if trial.end is TrialEnd.NOT_STARTED:
        return FitVerdict(False, FitCause.NOT_STARTED, _one_line(trial.error), slowdown)
    paging = describe_paging(trial, unlimited)
    if trial.end is TrialEnd.TIME and not trial.done and not paging:
        reason = "not one iteration was finished in the time given"
        return FitVerdict(None, FitCause.TOO_FEW, reason)
    if slowdown is not None and (slowdown >= COLLAPSE or (slowdown >= SLOWDOWN and paging)):
        reason = f"{slowdown:.1f} times slower than without a limit"
        reason += f": {paging}" if paging else ""
        return FitVerdict(False, FitCause.THRASHING, reason, slowdown)
    if trial.end is TrialEnd.TIME and paging and not trial.done:
        reason = f"no iteration was finished: {paging}"
        return FitVerdict(False, FitCause.THRASHING, reason, slowdown)
    if trial.end in (TrialEnd.FAILED, TrialEnd.DIED):
        error = _one_line(trial.error) + (f" ({paging})" if paging else "")
        reason = f"under the limit, and not without it: {error}"
        return FitVerdict(False, FitCause.FAILED, reason, slowdown)
    return FitVerdict(True, FitCause.FITS, f"{trial.done} iterations, no kill", slowdown)


def describe_paging(trial: Trial, unlimited: Trial) -> str:
    """What shows that the service waited for pages it had before; empty where nothing does."""
    if trial.seconds <= 0 or trial.limit_hits == 0:  # a cold start reads pages again, too
        return ""
    for name, threshold, unit in (
        ("refaults", _REFAULTS_PER_SECOND, "pages read again"),
        ("major_faults", _MAJOR_FAULTS_PER_SECOND, "major faults"),
        ("stalled_seconds", _STALLED_SHARE, "s stalled"),
    ):
        limited, without = _per_second(trial, name), _per_second(unlimited, name) or 0.0
        if limited is not None and limited - without >= threshold:
            return f"{limited:,.4g} {unit} per second"
    return ""


def _per_second(trial: Trial, name: str) -> float | None:
    value: float | None = getattr(trial, name)
    return None if value is None or trial.seconds <= 0 else value / trial.seconds


def _slowdown(trial: Trial, unlimited: Trial) -> float | None:
    limited, without = trial.seconds_per_iteration, unlimited.seconds_per_iteration
    return None if limited is None or not without else limited / without


def _describe_kills(trial: Trial) -> str:
    if any(process.is_server for process in trial.killed):
        return "the kernel killed the server itself"
    rest = "although the server lives" if trial.server_alive else "and the server ended"
    number = "a process" if trial.oom_kills == 1 else f"{trial.oom_kills} processes"
    named = next((f" (pid {one.pid}: {one.command})" for one in trial.killed), "")
    return f"the kernel killed {number} under the server{named}, {rest}"


def _one_line(text: str) -> str:
    return " ".join(text.split())[-_ERROR_LENGTH:]
