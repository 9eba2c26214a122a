"""Whether a trial fits, by its figures alone: pure, so that it can be tested on made-up trials."""

from __future__ import annotations

from dataclasses import dataclass

from leak_suite.fit.trial import Trial

__all__ = ["COLLAPSE", "SLOWDOWN", "Answer", "judge_trial"]

SLOWDOWN = 2.0
"""Times slower than without a limit: thrashing, if the paging shows that memory is the reason."""
COLLAPSE = 6.0
"""Times slower: does not fit, whatever the counters say."""
_REFAULTS_PER_SECOND = 500.0
"""Pages read back after they had been thrown out: 2 MB a second of them is paging, not chance."""
_MAJOR_FAULTS_PER_SECOND = 50.0
_STALLED_SHARE = 0.1


@dataclass(frozen=True)
class Answer:
    """`fits` is None where it cannot be told.

    `how` is one of: fits, killed, thrashing, failed, not started, too little, not enforced.
    """

    fits: bool | None
    how: str
    reason: str
    slowdown: float | None = None


def judge_trial(trial: Trial, free: Trial) -> Answer:
    """What the trial under a limit says, against the one without."""
    slowdown = _slowdown(trial, free)
    if trial.oom_kills:
        return Answer(False, "killed", _who_was_killed(trial), slowdown)
    if trial.ended == "not started":
        return Answer(False, "not started", _one_line(trial.error), slowdown)
    paging = paging_of(trial, free)
    if trial.ended == "time" and not trial.done and not paging:
        return Answer(None, "too little", "not one iteration was finished in the time given")
    if slowdown is not None and (slowdown >= COLLAPSE or (slowdown >= SLOWDOWN and paging)):
        said = f"{slowdown:.1f} times slower than without a limit" + (f": {paging}" * bool(paging))
        return Answer(False, "thrashing", said, slowdown)
    if trial.ended == "time" and paging and not trial.done:
        return Answer(False, "thrashing", f"no iteration was finished: {paging}", slowdown)
    if trial.ended in ("failed", "died"):
        said = _one_line(trial.error) + ("" if not paging else f" ({paging})")
        return Answer(False, "failed", f"under the limit, and not without it: {said}", slowdown)
    return Answer(True, "fits", f"{trial.done} iterations, no kill", slowdown)


def paging_of(trial: Trial, free: Trial) -> str:
    """What shows that the subject waited for pages it had before; empty where nothing does."""
    if trial.seconds <= 0 or trial.limit_hits == 0:  # a cold start reads pages again, too
        return ""
    for name, least, unit in (
        ("refaults", _REFAULTS_PER_SECOND, "pages read again"),
        ("major_faults", _MAJOR_FAULTS_PER_SECOND, "major faults"),
        ("stalled_seconds", _STALLED_SHARE, "s stalled"),
    ):
        under, without = _rate(trial, name), _rate(free, name) or 0.0
        if under is not None and under - without >= least:
            return f"{under:,.4g} {unit} per second"
    return ""


def _rate(trial: Trial, name: str) -> float | None:
    value: float | None = getattr(trial, name)
    return None if value is None or trial.seconds <= 0 else value / trial.seconds


def _slowdown(trial: Trial, free: Trial) -> float | None:
    under, without = trial.seconds_per_iteration, free.seconds_per_iteration
    return None if under is None or not without else under / without


def _who_was_killed(trial: Trial) -> str:
    server = any(victim.is_server for victim in trial.killed)
    if server:
        return "the kernel killed the server itself"
    lives = "although the server lives" if trial.server_alive else "and the server ended"
    number = "a process" if trial.oom_kills == 1 else f"{trial.oom_kills} processes"
    named = next((f" (pid {one.pid}: {one.command})" for one in trial.killed), "")
    return f"the kernel killed {number} under the server{named}, {lives}"


def _one_line(text: str) -> str:
    return " ".join(text.split())[-400:]
