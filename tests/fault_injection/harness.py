"""The service in this process, with its jobs in threads, and what must hold when it rests."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from fixtures.clips import clip
from reference_app.errors import NotFound
from reference_app.jobs.model import Job
from reference_app.jobs.sqlite_store import SqliteJobStore
from tests.fault_injection.injection import FaultInjector, app_parts, system_calls
from tests.reference_app.conftest import Running, descriptors, running, settings_for, until

#: No turn of the background work: it would take numbers at moments of its own.
QUIET = {
    "memory_interval_seconds": 3600,
    "expiry_interval_seconds": 3600,
    "queue_poll_seconds": 3600,
}


def tiny() -> bytes:
    """Nine pictures of a person."""
    return clip(width=320, height=240, seconds=0.3).path.read_bytes()


@dataclass
class Harness:
    """A service whose calls can be made to fail."""

    service: Running
    faults: FaultInjector
    loop: asyncio.AbstractEventLoop
    cancelling: list[asyncio.Future[None]] = field(default_factory=list)

    def job(self, content: bytes, at: int | None = None, kind: str = "error") -> dict[str, Any]:
        """Send a video while the call of this number fails; what became of it."""
        with self.faults.armed(at, kind):
            answer = self.service.upload(content)
            if answer.status_code != 202:
                self._wait_until_idle()
                return {"status": "refused", "code": answer.status_code, "body": answer.text}
            job_id = answer.json()["job_id"]
            until(lambda: (job := self._record(job_id)) is None or job.status.final, 30)
            self._wait_until_idle()
        job = self._record(job_id)
        return job.view() if job else {"status": "lost", "error": None}

    def forget_all(self) -> None:
        """Remove what is left of earlier jobs, the way a user does."""
        for job in self.service.http.get("/api/jobs").json()["jobs"]:
            self.service.http.delete(f"/api/cleanup/{job['job_id']}")

    def _record(self, job_id: str) -> Job | None:
        """By a way of its own: the usual question would be one of the calls that count."""
        return next((job for job in self._records() if job.job_id == job_id), None)

    def _records(self) -> list[Job]:
        store = self.service.container.store
        assert isinstance(store, SqliteJobStore)
        return store.all_now()

    def _wait_until_idle(self) -> None:
        runner = self.service.container.runner
        until(lambda: runner.running == 0 and all(job.status.final for job in self._records()), 30)
        until(lambda: all(cancelling.done() for cancelling in self.cancelling), 30)

    def footprint(self) -> dict[str, Any]:
        """Everything countable that a job may hold."""
        container, process = self.service.container, psutil.Process()
        return {
            "files": sorted(path.name for path in self.service.files()),
            "jobs": len(self._records()),
            "uploading": container.admission.uploading,
            "running": container.runner.running,
            "listeners": len(container.broadcaster),
            "fds": descriptors(process),
            "children": len(process.children()),
            "open parts": _open_parts(),
        }

    def cancel_now(self) -> bool:
        """Cancel the only job, from whatever thread this is; False where there is none."""
        jobs = [job for job in self._records() if not job.status.final]
        if not jobs:
            return False

        async def cancel() -> None:
            try:
                await self.service.container.jobs.cancel(jobs[0].job_id)
            except NotFound:
                return

        def begin() -> None:
            self.cancelling.append(asyncio.ensure_future(cancel()))

        self.loop.call_soon_threadsafe(begin)
        return True


def _open_parts() -> dict[str, int]:
    from reference_app.pipeline.decode import FrameReader
    from reference_app.pipeline.encode import VideoWriter
    from reference_app.pipeline.landmarks_csv import LandmarkCsvWriter
    from reference_app.pipeline.pose import PoseDetector

    gc.collect()
    kept = {PoseDetector: "_graph", FrameReader: "_container", VideoWriter: "_container"}
    kept[LandmarkCsvWriter] = "_file"
    found = dict.fromkeys((one.__name__ for one in kept), 0)
    for thing in gc.get_objects():
        attribute = kept.get(type(thing))
        if attribute and getattr(thing, attribute, None) is not None:
            found[type(thing).__name__] += 1
    return found


@contextmanager
def harness(folder: Path, **changes: Any) -> Iterator[Harness]:
    """A service whose calls can be made to fail, warmed by one job."""
    faults = FaultInjector()
    settings = settings_for(folder / "spool", **{**QUIET, **changes})
    with running(settings, app_parts(faults)) as service, system_calls(faults, folder / "spool"):
        made = Harness(service, faults, service.loop)
        faults.cancel = made.cancel_now
        yield made
