"""Every reason to refuse, one after the other: size, type, content, memory, a full queue."""

from __future__ import annotations

import time
from pathlib import Path

import gevent

from fixtures.boxes import pad
from fixtures.hostile import HOSTILE
from load import files, invariants
from load.observer import spool_files
from load.plan import MIB, LoadPlan
from load.raw_uploads import send_chunked, send_declared
from load.run_log import UploadedJob
from load.scenarios.base import Scenario, retry_seconds
from load.scenarios.registry import register

__all__ = ["Rejection"]

LARGEST = "the largest file is taken"
TOO_LARGE = "one byte more is refused with 413"
NOTHING_LEFT = "a refused upload leaves nothing"
DECLARED_UNREAD = "a declared 60 MB is refused unread"
CUT_OFF = "a body without end is cut off at the limit"
TYPE = "another type is refused with 415"
GARBAGE = "garbage is refused with 422"
MEMORY_REFUSED = "memory over the hard limit refuses with 503"
MEMORY_BACK = "admitted again once memory is back"
OPEN_AGAIN = "an ordinary upload works afterwards"

_DECLARED_BYTES = 60_000_000
# What the kernel takes off our hands although nobody reads it.
_SOCKET_BYTES = 12 * MIB
# Sent before any job has shown its pace, the first wait is a guess; the second must hold.
_RETURNS = 2
_EXCESS_MIB = 48
_MEMORY_SECONDS = 60.0


@register
class Rejection(Scenario):
    """One careful user; the queue is filled for the last refusal."""

    name = "rejection"
    required = (
        LARGEST,
        TOO_LARGE,
        NOTHING_LEFT,
        DECLARED_UNREAD,
        CUT_OFF,
        TYPE,
        GARBAGE,
        MEMORY_REFUSED,
        MEMORY_BACK,
        OPEN_AGAIN,
        invariants.FULL,
        invariants.RETRY_AFTER,
        invariants.READMITTED,
        invariants.LOST,
        invariants.HEALTH,
    )

    @classmethod
    def prepare_files(cls, plan: LoadPlan) -> None:
        """See `Scenario`."""
        super().prepare_files(plan)
        files.long_job()

    def one_round(self) -> None:
        """One reason to refuse."""
        if not self.is_leader:
            return
        steps = (
            self._ordinary,
            self._largest,
            self._one_byte_more,
            self._declared,
            self._endless,
            self._wrong_type,
            self._garbage,
            self._memory,
            self._ordinary,
            self._full_queue,
        )
        steps[self.session.round % len(steps)]()

    def _record(self, invariant: str, holds: bool, detail: str) -> None:
        self.session.log.record(invariant, holds, detail)

    def _ordinary(self) -> None:
        """A job like those that will fill the queue: the service learns how long one takes."""
        answer = self.upload(files.long_job())
        job = self.accept(answer)
        self._record(OPEN_AGAIN, job is not None, f"it was answered {answer.status_code}")
        if job is not None:
            self.finish(job)

    def _largest(self) -> None:
        size = self.session.plan.max_upload_bytes
        answer = self.upload(pad(files.quick_job(), size), label="[largest]")
        job = self.accept(answer)
        self._record(LARGEST, job is not None, f"{size} bytes were answered {answer.status_code}")
        if job is not None:
            self.finish(job)

    def _one_byte_more(self) -> None:
        size = self.session.plan.max_upload_bytes + 1
        answer = self.upload(pad(files.quick_job(), size), label="[one byte more]")
        self._refused(TOO_LARGE, answer.status_code, 413)
        job = self.accept(answer)
        if job is not None:
            self.finish(job)

    def _declared(self) -> None:
        answer = send_declared(self.session.host, _DECLARED_BYTES)
        self._refused(DECLARED_UNREAD, answer.status, 413, answer.error)

    def _endless(self) -> None:
        limit = self.session.plan.max_upload_bytes
        answer = send_chunked(self.session.host, 2 * limit)
        self._record(
            CUT_OFF,
            answer.sent <= limit + _SOCKET_BYTES and answer.status in (413, 0),
            f"answered {answer.status or 'by closing'} after {answer.sent} bytes",
        )
        self._nothing_left("an endless body")

    def _wrong_type(self) -> None:
        recipe = HOSTILE["text-said-so"]
        answer = self.upload(recipe.make(), name=recipe.filename, kind=recipe.content_type)
        self._refused(TYPE, answer.status_code, 415)

    def _garbage(self) -> None:
        answer = self.upload(HOSTILE["garbage-after-magic"].make())
        self._refused(GARBAGE, answer.status_code, 422)

    def _refused(self, invariant: str, status: int, expected: int, why: str = "") -> None:
        self._record(invariant, status == expected, why or f"it was answered {status}")
        self._nothing_left(invariant)

    def _nothing_left(self, after: str) -> None:
        """No file of a refused upload; the service may take a moment to delete."""
        spool = self.session.plan.spool
        if not spool:
            self.session.log.skip(NOTHING_LEFT, "the spool folder cannot be seen from here")
            return
        deadline = time.monotonic() + 3
        while (left := spool_files(spool)) and time.monotonic() < deadline:
            gevent.sleep(0.1)
        self._record(NOTHING_LEFT, not left, f"after '{after}': {left[:3]}")

    def _memory(self) -> None:
        """Hold real memory inside the service until it has to refuse, then give it back."""
        plan, health = self.session.plan, self.memory_health() or {}
        resting = health.get("memory", {}).get("resting_bytes")
        hard = health.get("limits", {}).get("memory_hard_mb")
        if not plan.memory_pressure or resting is None or hard is None:
            why = "memory can only be forced in a service that `python -m load` started itself"
            for invariant in (MEMORY_REFUSED, MEMORY_BACK):
                self.session.log.skip(invariant, why)
            return
        memory_pressure = Path(plan.memory_pressure)
        memory_pressure.write_text(str(hard - resting // MIB + _EXCESS_MIB), encoding="utf-8")
        try:
            self._wait_for_excess(hard * MIB)
            answer = self.upload(files.quick_job(), label="[memory over the limit]")
        finally:
            memory_pressure.unlink()
        text = f"it was answered {answer.status_code}"
        self._record(MEMORY_REFUSED, answer.status_code == 503, text)
        taken = self.accept(answer)
        if taken is not None:
            self.finish(taken)
        self._record(MEMORY_BACK, self._is_back(), f"not within {_MEMORY_SECONDS:g} s")

    def _wait_for_excess(self, bytes_wanted: int) -> None:
        """Until the service itself reads as much; it takes a moment to fill so many pages."""
        deadline = time.monotonic() + _MEMORY_SECONDS
        while (self.memory_health() or {}).get("memory", {}).get("resting_bytes", 0) < bytes_wanted:
            if time.monotonic() > deadline:
                raise RuntimeError("memory could not be forced over the hard limit")
            gevent.sleep(0.2)

    def _is_back(self) -> bool:
        """Upload, keeping to Retry-After, until one is taken."""
        deadline = time.monotonic() + _MEMORY_SECONDS
        while time.monotonic() < deadline:
            answer = self.upload(files.quick_job(), label="[memory is back]")
            job = self.accept(answer)
            if job is not None:
                self.finish(job)
                return True
            gevent.sleep(retry_seconds(answer) or 1)
        return False

    def _full_queue(self) -> None:
        plan = self.session.plan
        running = frozenset({"processing"})
        jobs = [self.follow(self.send(files.long_job()), running) for _ in range(plan.slots)]
        jobs += [self.send(files.long_job()) for _ in range(plan.pending)]
        answer = self.upload(files.long_job(), label="[queue full]")
        still_running = all(self._still_runs(job.job_id) for job in jobs[: plan.slots])
        extra = self.accept(answer)
        # A slot that came free meanwhile makes room for one more: then nothing was shown.
        if still_running or extra is None:
            text = f"number {plan.slots + plan.pending + 1} was answered {answer.status_code}"
            self._record(invariants.FULL, answer.status_code == 503, text)
        if extra is None:
            extra = self._come_back(retry_seconds(answer) or 1)
        for job in reversed([*jobs, *([extra] if extra else [])]):
            self._abandon(job)

    def _abandon(self, job: UploadedJob) -> None:
        """All has been seen: what still waits or runs need not be waited for."""
        answer = self.client.post(f"/api/cancel/{job.job_id}", name="/api/cancel/[id]", timeout=30)
        if answer.status_code == 200:
            job.ends |= {"cancelled"}
        self.finish(job)

    def _still_runs(self, job_id: str) -> bool:
        answer = self.client.get(f"/api/status/{job_id}", name="/api/status/[id]", timeout=30)
        return bool(answer.status_code == 200 and answer.json().get("status") == "processing")

    def _come_back(self, seconds: int) -> UploadedJob | None:
        for _ in range(_RETURNS):
            gevent.sleep(seconds)
            answer = self.upload(files.long_job(), label="[after Retry-After]")
            job = self.accept(answer)
            if job is not None:
                break
            seconds = retry_seconds(answer) or seconds
        text = f"refused {_RETURNS} times, each after waiting as long as Retry-After said"
        self._record(invariants.READMITTED, job is not None, text)
        return job
