"""The service on more than one machine: what one process takes in, another one answers for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from load import files, invariants
from load.plan import LoadPlan
from load.run_log import UploadedJob
from load.scenarios.base import COMPLETED, Scenario
from load.scenarios.registry import register

__all__ = ["Scaled"]

RESULTS = "results come from a process that did not take the upload in"

_FAILED = frozenset({"failed"})
# Of five users in a row one sends a file whose job fails, and one cancels its job.
_KINDS, _FAILS, _CANCELS = 5, 3, 4
# What two processes may tell differently of a job that has ended: nothing of this.
_END = ("status", "error", "finished_at")


@register
class Scaled(Scenario):
    """Users of several Locust processes, each with uploads to one process and questions to others.

    All upload at once, so that the slots fill and some are refused: an upload under way has a
    place in the queue too. Who is refused comes back after Retry-After.
    """

    name = "scaled"
    users = 20
    rounds = 3
    distributed = True
    required = (
        invariants.ONCE,
        invariants.LOST,
        invariants.ENDS,
        invariants.AGREE,
        invariants.ORDER,
        invariants.SNAPSHOT,
        invariants.RETRY_AFTER,
        invariants.ERRORS,
        invariants.SLOTS,
        invariants.PLACES,
        invariants.SLOTS_BUSY,
        RESULTS,
    )

    @classmethod
    def prepare_files(cls, plan: LoadPlan) -> None:
        """See `Scenario`."""
        super().prepare_files(plan)
        files.long_job()
        files.audio_only()

    def one_round(self) -> None:
        """One job: sent to one process, followed and fetched by way of the next."""
        link = self.session.link
        workers = max(1, self.session.plan.load_workers)
        number = self.user_index * workers + (link.index if link is not None else 0)
        kind = number % _KINDS
        with self._at(number):
            job = self.send(
                # The leaders' jobs hold the slots while the others fill the queue.
                files.long_job() if self.is_leader else self._content(kind),
                ends=_FAILED if kind == _FAILS and not self.is_leader else COMPLETED,
            )
        if self.is_leader:
            self.snapshot()
        with self._at(number + 1):
            if kind == _CANCELS:
                self._cancel(job)
            self.follow(job)
            if job.status == "completed":
                self._fetch(job)
        self._compare(job)
        with self._at(number):
            self.clean(job)

    def _content(self, kind: int) -> bytes:
        return files.audio_only() if kind == _FAILS else files.quick_job()

    def _cancel(self, job: UploadedJob) -> None:
        """Cancel it where it was not sent to, whether it waits, runs or is done by now."""
        answer = self.client.post(f"/api/cancel/{job.job_id}", name="/api/cancel/[id]", timeout=30)
        if answer.status_code == 200:
            job.ends |= {"cancelled"}

    def _fetch(self, job: UploadedJob) -> None:
        path = f"/api/download/{job.job_id}/csv"
        answer = self.client.get(path, name="/api/download/[id]/csv", timeout=60)
        text = f"job {job.job_id}: {answer.status_code} with {len(answer.content)} bytes"
        fetched = answer.status_code == 200 and len(answer.content) > 0
        self.session.log.record(RESULTS, fetched, text)

    def _compare(self, job: UploadedJob) -> None:
        """Ask every process for a job that has ended."""
        if job.lost:
            return
        reported = []
        for number in range(len(self.session.plan.all_hosts)):
            with self._at(number):
                view = self.client.get(
                    f"/api/status/{job.job_id}", name="/api/status/[id]", timeout=30
                ).json()
            reported.append(tuple(view.get(name) for name in _END))
        text = f"job {job.job_id}: {sorted(set(map(str, reported)))}"
        self.session.log.record(invariants.AGREE, len(set(reported)) <= 1, text)

    @contextmanager
    def _at(self, number: int) -> Iterator[None]:
        """Send the requests of the block to one of the processes with a port."""
        hosts = self.session.plan.all_hosts or (self.session.host,)
        before, self.client.base_url = self.client.base_url, hosts[number % len(hosts)]
        try:
            yield
        finally:
            self.client.base_url = before
