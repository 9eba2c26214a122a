"""Clients that go away: in the middle of an upload, of a download, of an event stream."""

from __future__ import annotations

import time
from contextlib import closing

import gevent

from load import files, invariants
from load.plan import LoadPlan
from load.raw_uploads import send_half
from load.run_log import UploadedJob
from load.scenarios.base import Scenario
from load.scenarios.registry import register

__all__ = ["Abort"]

GONE = "an upload that was cut off leaves no place taken"
CUT = "reached: an upload was cut off half-way"
DROPPED = "reached: a download was dropped"
STREAM_DROPPED = "reached: an event stream was dropped"
_GONE_SECONDS = 5.0
_CUT_MIB = 4


@register
class Abort(Scenario):
    """Three kinds of clients that go away, and jobs that must not notice."""

    name = "abort"
    users = 6
    rounds = 10
    required = (
        GONE,
        CUT,
        DROPPED,
        STREAM_DROPPED,
        invariants.LOST,
        invariants.ENDS,
        invariants.HEALTH,
    )

    @classmethod
    def prepare_files(cls, plan: LoadPlan) -> None:
        """See `Scenario`."""
        super().prepare_files(plan)
        files.of_size(_CUT_MIB, "small")

    def one_round(self) -> None:
        """Go away in this user's own way, after sending something ordinary."""
        if self.user_index % 3 == 0:
            send_half(self.session.host, files.of_size(_CUT_MIB, "small"))
            self.session.log.mark_reached(CUT)
            self._places_come_back()
        job = self.send(files.quick_job())
        if self.user_index % 3 == 1:
            self._drop_stream(job)
        self.follow(job)
        if self.user_index % 3 == 2 and job.status == "completed":
            self._drop_download(job)
        self.clean(job)

    def _drop_download(self, job: UploadedJob) -> None:
        path = f"/api/download/{job.job_id}/video"
        label = "/api/download/[id]/video"
        if self._begin_and_drop(path, label):
            self.session.log.mark_reached(DROPPED)

    def _drop_stream(self, job: UploadedJob) -> None:
        path = f"/api/jobs/{job.job_id}/events"
        if self._begin_and_drop(path, "/api/jobs/[id]/events"):
            self.session.log.mark_reached(STREAM_DROPPED)

    def _begin_and_drop(self, path: str, label: str) -> bool:
        """Read the first bytes of an answer, then close the connection under it."""
        with closing(self.client.get(path, name=label, stream=True, timeout=30)) as answer:
            return answer.status_code == 200 and bool(next(answer.iter_content(64), b""))

    def _places_come_back(self) -> None:
        """The service counts uploads in progress; one whose client is gone is not."""
        health = self.memory_health() or {}
        if "uploading" not in health.get("jobs", {}):
            self.session.log.skip(GONE, "the service does not count uploads in progress")
            return
        deadline = time.monotonic() + _GONE_SECONDS
        while (count := self._uploading()) and time.monotonic() < deadline:
            gevent.sleep(0.1)
        self.session.log.record(GONE, count == 0, f"{count} still counted as in progress")

    def _uploading(self) -> int:
        return int((self.memory_health() or {}).get("jobs", {}).get("uploading", 0))
