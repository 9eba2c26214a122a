"""The invariants by name, and the arithmetic behind those that are worked out afterwards."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from load.plan import LoadPlan
from load.run_log import FINAL, RunLog, UploadedJob

__all__ = ["ends_error", "judge_afterwards", "max_overlap", "percentile", "queue_error"]

SLOTS = "never more jobs running than slots"
PLACES = "never more jobs waiting than places"
LOST = "no accepted job lost"
ENDS = "every job ends as its file deserves"
ORDER = "queue positions only go down"
SNAPSHOT = "queue positions are 1, 2, 3 … without gaps"
ERRORS = "no server error but 503"
RETRY_AFTER = "every 503 says when to come back"
READMITTED = "admitted again after Retry-After"
FULL = "a full queue refuses with 503"
DECLARED = "the service declares the limits it should"
HEALTH = "/health answers in time under load"
RECOVERED = "memory comes back to idle"
MEMORY = "memory does not grow"
FILES = "no file left behind"
ONCE = "every accepted job ends once"
RECORD = "no row and no object left behind"
AGREE = "every process reports the same end of a job"

SLOTS_BUSY = "reached: every slot busy at once"
QUEUE_FULL = "reached: the queue was full"

Interval = tuple[float, float]


def max_overlap(intervals: Iterable[Interval]) -> int:
    """How many of these intervals overlap at most; one that ends frees its place for the next."""
    changes: list[tuple[float, int]] = []
    for begin, end in intervals:
        changes += [(begin, 1), (end, -1)]
    most = now = 0
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all values does not exceed."""
    if not values:
        raise ValueError("there is no percentile of nothing")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def queue_error(views: Sequence[Mapping[str, Any]], slots: int) -> str:
    """What is wrong with the queue positions in one answer of /api/jobs; empty if nothing is.

    A job that is just being started has left the queue and is not called processing yet: as many
    as there are slots may be pending without a position.
    """
    positions = sorted(
        view["queue_position"] for view in views if view.get("queue_position") is not None
    )
    if positions != list(range(1, len(positions) + 1)):
        return f"positions {positions}"
    for view in views:
        if view.get("queue_position") is not None and view.get("status") != "pending":
            return f"a {view.get('status')} job has position {view['queue_position']}"
    pending = sum(view.get("status") == "pending" for view in views)
    if pending > len(positions) + slots:
        return f"{pending} pending jobs, {len(positions)} with a position"
    return ""


def ends_error(statuses: Sequence[str], seen: str) -> str:
    """What is wrong with the changes of a job's status, in their order; empty if nothing is.

    A job ends once: nothing comes after its end, but that a completed job may be taken back by a
    cancel, or by its removal, which is one. `seen`: the last status that a client read.
    """
    ended = next((index for index, status in enumerate(statuses) if status in FINAL), None)
    if ended is None:
        return f"never ended: {' → '.join(statuses) or 'no change'}"
    after = list(statuses[ended + 1 :])
    taken_back = statuses[ended] == "completed" and after == ["cancelled"]
    if after and not taken_back:
        return f"went on after its end: {' → '.join(statuses)}"
    if seen not in statuses[ended:]:
        return f"is {seen} for its client, and was recorded as {' → '.join(statuses[ended:])}"
    return ""


def judge_afterwards(log: RunLog, plan: LoadPlan, health: Mapping[str, Any] | None) -> None:
    """Record what only the whole run shows: losses, overlaps, positions, the service's peaks."""
    jobs = tuple(log.jobs.values())
    for job in jobs:
        _judge_job(log, job)
    running = max_overlap(_between(jobs, "started_at", "finished_at"))
    waiting = max_overlap(_between(jobs, "created_at", "started_at"))
    if running:
        text = f"{running} jobs overlapped, {plan.slots} may"
        log.record(SLOTS, running <= plan.slots, text)
    if waiting:
        text = f"{waiting} jobs waited at once, {plan.pending} may"
        log.record(PLACES, waiting <= plan.pending, text)
    peaks = _numbers(health, "peaks")
    if "processing" in peaks:
        text = f"the service counted {peaks['processing']:g} at once"
        log.record(SLOTS, peaks["processing"] <= plan.slots, text)
    if "pending" in peaks:
        text = f"the service counted {peaks['pending']:g} waiting"
        log.record(PLACES, peaks["pending"] <= plan.pending, text)
    if running >= plan.slots:
        log.mark_reached(SLOTS_BUSY)
    if waiting >= plan.pending:
        log.mark_reached(QUEUE_FULL)
    _judge_declared(log, plan, _numbers(health, "limits"))


def _judge_job(log: RunLog, job: UploadedJob) -> None:
    ends = ", ".join(sorted(job.ends))
    lost = job.lost or ("" if job.status in FINAL else f"last seen {job.status}")
    if log.record(LOST, not lost, f"job {job.job_id}: {lost}"):
        text = f"job {job.job_id} is {job.status} ({job.view.get('error')}), not {ends}"
        log.record(ENDS, job.status in job.ends, text)
    if len(job.positions) > 1:
        falling = all(after <= before for before, after in pairwise(job.positions))
        log.record(ORDER, falling, f"job {job.job_id} stood at {job.positions}")


def _judge_declared(log: RunLog, plan: LoadPlan, limits: Mapping[str, float]) -> None:
    expected = {
        "max_processing": plan.slots,
        "max_pending": plan.pending,
        "max_upload_mb": plan.max_upload_mb,
    }
    for name, value in expected.items():
        if name in limits:
            text = f"{name} is {limits[name]:g}, not {value}"
            log.record(DECLARED, limits[name] == value, text)


def _between(jobs: Iterable[UploadedJob], begin: str, end: str) -> list[Interval]:
    """A job that was cancelled in the queue never began: it stopped waiting when it finished."""
    found = []
    for job in jobs:
        first, last = job.moment(begin), job.moment(end)
        if first is not None and last is None:
            last = job.moment("finished_at")
        if first is not None and last is not None:
            found.append((first, last))
    return found


def _numbers(health: Mapping[str, Any] | None, key: str) -> dict[str, float]:
    part = (health or {}).get(key)
    if not isinstance(part, dict):
        return {}
    return {name: value for name, value in part.items() if isinstance(value, int | float)}
