"""The end of a run: what the observer saw, the verdict on memory, and `outcome.json`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from leak_suite.result import Outcome, RunResult
from load import invariants
from load.memory import MIN_IDLE_WINDOWS, first_and_last_idle, judge_memory
from load.observer import Observations, spool_files
from load.record import read_record
from load.run_log import InvariantResult, as_json, status_of

if TYPE_CHECKING:
    from load.session import LoadSession  # of Locust's process, with gevent

__all__ = ["has_recovered", "judge_health", "judge_run", "wait_for_memory", "write_outcome"]

_ENOUGH_HEALTH = 40
# An observer that wakes later than this was kept waiting for a CPU, as the service was.
_PUNCTUAL_MS = 10.0
# Two workers, the service, Locust and the observer are five on two CPUs; more is others' load.
_MAX_RUN_QUEUE_PER_CPU = 2.5
_SOAK = "soak"


def has_recovered(session: LoadSession) -> bool:
    """Whether idle memory is back near what it was before; True where that cannot be read."""
    pair = first_and_last_idle(session.observed(), session.log.idle_windows)
    return pair is None or pair[1] <= pair[0] * (1 + session.plan.recovery_share)


def wait_for_memory(session: LoadSession) -> None:
    """Keep still until idle memory is back, as long as the plan allows."""
    deadline = time.monotonic() + session.plan.recovery_seconds
    while not has_recovered(session) and time.monotonic() < deadline:
        session.mark_idle()


def judge_run(session: LoadSession) -> RunResult:
    """Everything that can be said only afterwards goes into the log; the run file comes out."""
    session.stop_observer()
    observed = session.observed()
    invariants.judge_afterwards(session.log, session.plan, session.health)
    if session.plan.load_workers:
        # So many processes make the load that it is they who keep /health waiting.
        session.log.skip(invariants.HEALTH, "the load is made by several processes")
    else:
        judge_health(session, observed)
    _judge_recovery(session, observed)
    _judge_files(session)
    _judge_record(session)
    result = judge_memory(
        observed, session.log.idle_windows, session.plan, session.seconds, _details(observed)
    )
    _judge_memory(session, result)
    result.write(session.plan.folder / "run.json")
    return result


def write_outcome(
    session: LoadSession, required: tuple[str, ...]
) -> tuple[int, tuple[InvariantResult, ...]]:
    """The one status and the checks behind it, kept in `outcome.json`."""
    checks = session.log.checks(required)
    broken = [*session.log.broken, *_exceptions(session)]
    status = status_of(checks, broken)
    outcome = {
        "scenario": session.plan.scenario,
        "host": session.host,
        "view": "process tree" if session.plan.is_local else "outside only",
        "load_workers": session.plan.load_workers,
        "status": status,
        "uploads": session.log.uploads,
        "jobs": len(session.log.jobs),
        "rounds": session.round + 1,
        "seconds": round(session.seconds, 1),
        "checks": as_json(checks),
        "figures": session.log.figures,
        "broken": sorted(set(broken)),
    }
    session.plan.folder.mkdir(parents=True, exist_ok=True)
    path: Path = session.plan.folder / "outcome.json"
    path.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
    return status, checks


def _exceptions(session: LoadSession) -> list[str]:
    """What Locust caught itself: a task that raised is no failure in its own exit status."""
    runner = session.environment.runner
    caught = getattr(runner, "exceptions", {}) if runner is not None else {}
    return [str(entry.get("msg", entry)) for entry in caught.values()]


def judge_health(session: LoadSession, observed: Observations) -> None:
    """Whether /health answered in time, as far as this machine allows to say so."""
    log, plan = session.log, session.plan
    for error in observed.health_errors:
        log.record(invariants.HEALTH, False, error)
    if len(observed.health_ms) < _ENOUGH_HEALTH:
        return
    slow = invariants.percentile(observed.health_ms, 0.99)
    text = (
        f"p99 was {slow:.0f} ms of {len(observed.health_ms)} requests, {plan.health_ms:g} allowed"
    )
    if slow >= plan.health_ms:
        undisturbed = observed.undisturbed(_PUNCTUAL_MS)
        if _too_busy(observed, undisturbed, plan.health_ms):
            why = f"{text}, but this machine is too busy to tell why"
            log.skip(invariants.HEALTH, why)
            log.broken.append("the machine was too busy to measure /health")
            return
        slow = invariants.percentile(undisturbed or observed.health_ms, 0.99)
        text += f"; {slow:.0f} ms of the {len(undisturbed)} during which the observer woke in time"
    log.record(invariants.HEALTH, slow < plan.health_ms, text)


def _too_busy(observed: Observations, undisturbed: list[float], allowed_ms: float) -> bool:
    """Whether the machine may be to blame: it seldom let the observer run, or had a long run queue.

    A service that is slow half of the time is slow whatever else the machine does.
    """
    if len(undisturbed) < max(_ENOUGH_HEALTH, len(observed.health_ms) / 4):
        return invariants.percentile(observed.health_ms, 0.5) < allowed_ms
    overloaded = (
        bool(observed.run_queue_per_cpu)
        and median(observed.run_queue_per_cpu) > _MAX_RUN_QUEUE_PER_CPU
    )
    return overloaded and invariants.percentile(undisturbed, 0.5) < allowed_ms / 2


def _judge_recovery(session: LoadSession, observed: Observations) -> None:
    pair = first_and_last_idle(observed, session.log.idle_windows)
    if pair is None:
        session.log.skip(invariants.RECOVERED, "the service's memory cannot be read")
        return
    idle, last = (value / 1024**2 for value in pair)
    text = f"{idle:.1f} MiB idle before, {last:.1f} MiB idle after"
    session.log.record(invariants.RECOVERED, has_recovered(session), text)


def _judge_files(session: LoadSession) -> None:
    """Each job was removed, so its folder has to be gone; lost jobs are checked elsewhere."""
    if not session.plan.is_local or not session.plan.spool:
        session.log.skip(invariants.FILES, "the spool folder cannot be seen from here")
        return
    left = spool_files(session.plan.spool)
    lost = any(job.lost for job in session.log.jobs.values())
    if not lost:
        session.log.record(invariants.FILES, not left, f"{len(left)} left: {left[:3]}")


def _judge_record(session: LoadSession) -> None:
    """What the database and the store say of the accepted jobs, where they may be asked."""
    log, plan = session.log, session.plan
    if not plan.database_url:
        if plan.hosts:
            log.skip(invariants.ONCE, "the database of the service cannot be asked")
        return
    record = read_record(plan)
    for job in log.jobs.values():
        error = invariants.ends_error(record.statuses.get(job.job_id, ()), job.status)
        log.record(invariants.ONCE, not error, f"job {job.job_id} {error}")
    if not any(job.lost for job in log.jobs.values()):
        left = [*record.rows, *record.objects]
        log.record(invariants.RECORD, not left, f"{len(left)} left: {left[:3]}")


def _judge_memory(session: LoadSession, result: RunResult) -> None:
    log = session.log
    if result.outcome is Outcome.INCONCLUSIVE:
        log.skip(invariants.MEMORY, result.reason or "the verdict is inconclusive")
        # In other scenarios memory is a by-product; a soak that cannot judge it has shown nothing.
        if session.plan.scenario == _SOAK and len(log.idle_windows) > MIN_IDLE_WINDOWS:
            log.broken.append(f"the verdict on memory is inconclusive: {result.reason}")
    else:
        log.record(invariants.MEMORY, result.outcome is Outcome.STABLE, result.reason)


def _details(observed: Observations) -> dict[str, Any]:
    if not observed.health_ms:
        return {}
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        "health_ms": {k: invariants.percentile(observed.health_ms, v) for k, v in shares.items()},
        "observer_late_ms": {
            k: invariants.percentile(observed.late_ms, v) for k, v in shares.items()
        },
        "health_requests": len(observed.health_ms),
    }
