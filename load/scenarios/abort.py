"""Clients that go away: in the middle of an upload, of a download, of an event stream."""

from __future__ import annotations

import time
from contextlib import closing

import gevent
from locust import tag, task

from load import files, invariants
from load.ledger import Job
from load.scenarios.base import LoadUser
from load.wire import send_half

__all__ = ["Abort"]

GONE = "an upload that was cut off leaves no place taken"
CUT = "reached: an upload was cut off half-way"
DROPPED = "reached: a download was dropped"
STREAM_DROPPED = "reached: an event stream was dropped"
_GONE_SECONDS = 5.0


class Abort(LoadUser):
    """Three kinds of clients that go away, and jobs that must not notice."""

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

    @tag("abort")
    @task
    def play(self) -> None:
        """All rounds."""
        super().play()

    def one_round(self) -> None:
        """Go away in this user's own way, after sending something ordinary."""
        if self.seat % 3 == 0:
            send_half(self.session.host, files.of_size(4, "small"))
            self.session.ledger.reach(CUT)
            self._places_come_back()
        job = self.send(files.quick_job())
        if self.seat % 3 == 1:
            self._drop_stream(job)
        self.follow(job)
        if self.seat % 3 == 2 and job.status == "completed":
            self._drop_download(job)
        self.clean(job)

    def _drop_download(self, job: Job) -> None:
        path = f"/api/download/{job.job_id}/video"
        label = "/api/download/[id]/video"
        if self._begin_and_drop(path, label):
            self.session.ledger.reach(DROPPED)

    def _drop_stream(self, job: Job) -> None:
        path = f"/api/jobs/{job.job_id}/events"
        if self._begin_and_drop(path, "/api/jobs/[id]/events"):
            self.session.ledger.reach(STREAM_DROPPED)

    def _begin_and_drop(self, path: str, label: str) -> bool:
        """Read the first bytes of an answer, then close the connection under it."""
        with closing(self.client.get(path, name=label, stream=True, timeout=30)) as answer:
            return answer.status_code == 200 and bool(next(answer.iter_content(64), b""))

    def _places_come_back(self) -> None:
        """The service counts uploads on their way; one whose client is gone is on no way."""
        health = self.look() or {}
        if "uploading" not in health.get("jobs", {}):
            self.session.ledger.leave_out(GONE, "the service does not count uploads on their way")
            return
        deadline = time.monotonic() + _GONE_SECONDS
        while (count := self._uploading()) and time.monotonic() < deadline:
            gevent.sleep(0.1)
        self.session.ledger.saw(GONE, count == 0, f"{count} still counted as on their way")

    def _uploading(self) -> int:
        return int((self.look() or {}).get("jobs", {}).get("uploading", 0))
