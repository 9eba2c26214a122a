"""The end of a run: what the watch saw, the verdict on memory, and `outcome.json`."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from leak_suite.result import Outcome, RunResult
from load import invariants
from load.ledger import Check, as_json, status_of
from load.memory import ENOUGH_RESTS, idle_and_last, judge_memory
from load.observe import Observed
from load.spool import spool_files

if TYPE_CHECKING:
    from load.session import Session  # of Locust's process, with gevent

__all__ = ["has_recovered", "judge_health", "judge_run", "write_outcome"]

_ENOUGH_HEALTH = 40
# A watch that wakes later than this was kept waiting for a processor, as the service was.
_PUNCTUAL_MS = 10.0
# Two workers, the service, Locust and the watch are five on two processors; more is others' load.
_CROWDED = 2.5
_SOAK = "soak"


def has_recovered(session: Session) -> bool:
    """Whether memory at rest is back near what it was before; True where nobody can tell."""
    pair = idle_and_last(session.observed(), session.ledger.rests)
    return pair is None or pair[1] <= pair[0] * (1 + session.plan.recovery_share)


def judge_run(session: Session) -> RunResult:
    """Everything that can be said only afterwards goes into the ledger; the run file comes out."""
    session.stop_watch()
    observed = session.observed()
    invariants.afterwards(session.ledger, session.plan, session.health)
    judge_health(session, observed)
    _judge_recovery(session, observed)
    _judge_files(session)
    result = judge_memory(
        observed, session.ledger.rests, session.plan, session.seconds, _details(observed)
    )
    _judge_memory(session, result)
    result.write(session.plan.folder / "run.json")
    return result


def write_outcome(session: Session, required: tuple[str, ...]) -> tuple[int, tuple[Check, ...]]:
    """The one status and the checks behind it, kept in `outcome.json`."""
    checks = session.ledger.checks(required)
    broken = [*session.ledger.broken, *_exceptions(session)]
    status = status_of(checks, broken)
    outcome = {
        "scenario": session.plan.scenario,
        "host": session.host,
        "view": "process tree" if session.plan.is_local else "outside only",
        "status": status,
        "uploads": session.ledger.uploads,
        "jobs": len(session.ledger.jobs),
        "rounds": session.round + 1,
        "seconds": round(session.seconds, 1),
        "checks": as_json(checks),
        "broken": sorted(set(broken)),
    }
    session.plan.folder.mkdir(parents=True, exist_ok=True)
    path: Path = session.plan.folder / "outcome.json"
    path.write_text(json.dumps(outcome, indent=1) + "\n", encoding="utf-8")
    return status, checks


def _exceptions(session: Session) -> list[str]:
    """What Locust caught itself: a task that raised is no failure in its own exit status."""
    runner = session.environment.runner
    caught = getattr(runner, "exceptions", {}) if runner is not None else {}
    return [str(entry.get("msg", entry)) for entry in caught.values()]


def judge_health(session: Session, observed: Observed) -> None:
    """Whether /health answered in time, as far as this machine allows to say so."""
    ledger, plan = session.ledger, session.plan
    for error in observed.health_errors:
        ledger.saw(invariants.HEALTH, False, error)
    if len(observed.health_ms) < _ENOUGH_HEALTH:
        return
    slow = invariants.percentile(observed.health_ms, 0.99)
    text = f"p99 was {slow:.0f} ms of {len(observed.health_ms)} looks, {plan.health_ms:g} allowed"
    if slow >= plan.health_ms:
        undisturbed = observed.undisturbed(_PUNCTUAL_MS)
        if _too_busy(observed, undisturbed, plan.health_ms):
            why = f"{text}, but this machine is too busy to tell whose doing that is"
            ledger.leave_out(invariants.HEALTH, why)
            ledger.broken.append("the machine was too busy to measure /health")
            return
        slow = invariants.percentile(undisturbed or observed.health_ms, 0.99)
        text += f"; {slow:.0f} ms of the {len(undisturbed)} during which the watch was in time"
    ledger.saw(invariants.HEALTH, slow < plan.health_ms, text)


def _too_busy(observed: Observed, undisturbed: list[float], allowed_ms: float) -> bool:
    """Whether the machine may be to blame: it seldom let the watch run, or had a long queue.

    A service that is slow half of the time is slow whatever else the machine does.
    """
    if len(undisturbed) < max(_ENOUGH_HEALTH, len(observed.health_ms) / 4):
        return invariants.percentile(observed.health_ms, 0.5) < allowed_ms
    crowded = bool(observed.crowd) and median(observed.crowd) > _CROWDED
    return crowded and invariants.percentile(undisturbed, 0.5) < allowed_ms / 2


def _judge_recovery(session: Session, observed: Observed) -> None:
    pair = idle_and_last(observed, session.ledger.rests)
    if pair is None:
        session.ledger.leave_out(invariants.RECOVERED, "the service's memory cannot be read")
        return
    idle, last = (value / 1024**2 for value in pair)
    text = f"{idle:.1f} MiB idle before, {last:.1f} MiB at rest after"
    session.ledger.saw(invariants.RECOVERED, has_recovered(session), text)


def _judge_files(session: Session) -> None:
    """Each job was removed, so its folder has to be gone; lost jobs are told of elsewhere."""
    if not session.plan.is_local or not session.plan.spool:
        session.ledger.leave_out(invariants.FILES, "the spool folder cannot be seen from here")
        return
    left = spool_files(session.plan.spool)
    lost = any(job.lost for job in session.ledger.jobs.values())
    if not lost:
        session.ledger.saw(invariants.FILES, not left, f"{len(left)} left: {left[:3]}")


def _judge_memory(session: Session, result: RunResult) -> None:
    ledger = session.ledger
    if result.outcome is Outcome.INCONCLUSIVE:
        ledger.leave_out(invariants.MEMORY, result.reason or "the verdict is inconclusive")
        # Elsewhere memory is looked at on the way; a soak that cannot judge it has shown nothing.
        if session.plan.scenario == _SOAK and len(ledger.rests) > ENOUGH_RESTS:
            ledger.broken.append(f"the verdict on memory is inconclusive: {result.reason}")
    else:
        ledger.saw(invariants.MEMORY, result.outcome is Outcome.STABLE, result.reason)


def _details(observed: Observed) -> dict[str, Any]:
    if not observed.health_ms:
        return {}
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        "health_ms": {k: invariants.percentile(observed.health_ms, v) for k, v in shares.items()},
        "watch_late_ms": {k: invariants.percentile(observed.late_ms, v) for k, v in shares.items()},
        "health_looks": len(observed.health_ms),
    }
