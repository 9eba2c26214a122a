"""Half of all jobs are cancelled: waiting, running, or done."""

from __future__ import annotations

import time

from load import files, invariants
from load.plan import LoadPlan
from load.run_log import FINAL, UploadedJob
from load.scenarios.base import COMPLETED, Scenario
from load.scenarios.registry import register

__all__ = ["Cancel"]

QUICK = "a cancelled job is free within 2 s"
IN_STATE = "reached: cancelled while {}"
_SECONDS = 2.0
_STATES = ("pending", "processing", "completed")


@register
class Cancel(Scenario):
    """Every other user cancels, each in its own state of the job."""

    name = "cancel"
    users = 8
    rounds = 10
    required = (
        QUICK,
        invariants.LOST,
        invariants.ENDS,
        invariants.SLOTS,
        invariants.HEALTH,
        *(IN_STATE.format(state) for state in _STATES),
    )

    @classmethod
    def prepare_files(cls, plan: LoadPlan) -> None:
        """See `Scenario`."""
        super().prepare_files(plan)
        files.longest_job()

    def one_round(self) -> None:
        """Send one job, and cancel it if it is this user's turn."""
        cancels = self.user_index % 2 == 0
        state = (
            _STATES[(self.user_index // 2 + self.session.round) % len(_STATES)] if cancels else ""
        )
        # What is cancelled while it runs would run for much longer than cancelling may take.
        job = self.send(
            files.longest_job() if state == "processing" else files.quick_job(),
        )
        if cancels:
            self.follow(job, FINAL if state == "completed" else frozenset({state}))
            if not job.lost:
                self._cancel(job)
        self.finish(job)

    def _cancel(self, job: UploadedJob) -> None:
        # It may still have been completed, or failed, before the word arrived.
        job.ends = frozenset({"cancelled"}) | (COMPLETED & {job.status})
        before = job.status
        began = time.monotonic()
        answer = self.client.post(f"/api/cancel/{job.job_id}", name="/api/cancel/[id]", timeout=30)
        seconds = time.monotonic() - began
        if answer.status_code == 200:
            job.update(answer.json())
            self.session.log.mark_reached(IN_STATE.format(before))
        done = answer.status_code == 200 and job.status in FINAL and seconds <= _SECONDS
        text = f"a {before} job: {answer.status_code}, {job.status} after {seconds:.1f} s"
        self.session.log.record(QUICK, done, text)
