"""What clients do with the service: workloads of the harness, which take an `httpx.Client`."""

from __future__ import annotations

import os
import random
import time
from functools import cache

import httpx

from gate.client import (
    damaged_video,
    longer_video,
    upload,
    upload_chunked,
    video,
    wait_for_job,
    wait_until,
)

__all__ = [
    "abandoned_stream",
    "abandoned_upload",
    "cancelled_job",
    "expired_job",
    "failed_job",
    "finished_job",
    "mixed_job",
]

_EXPIRY_PATIENCE_SECONDS = 1.5
_PAUSE_SECONDS = 0.02
_OUTPUTS = ("csv", "video", "preview", "thumbnail")


def finished_job(client: httpx.Client) -> None:
    """Upload, wait, fetch everything, clean up."""
    job = wait_for_job(client, upload(client, video()))
    assert job["status"] == "completed", job["error"]
    for output in _OUTPUTS:
        assert client.get(f"/api/download/{job['job_id']}/{output}").raise_for_status().content
    _remove(client, job["job_id"])


def failed_job(client: httpx.Client) -> None:
    """Upload a video whose frames become noise: the job fails with an error, half-way."""
    job = wait_for_job(client, upload(client, damaged_video()))
    assert job["status"] == "failed", job["status"]
    assert job["error"]
    _remove(client, job["job_id"])


def cancelled_job(client: httpx.Client) -> None:
    """Cancel a job while its frames are being worked on."""
    job_id = upload(client, longer_video())
    wait_for_job(client, job_id, lambda job: job["progress"] > 0)
    client.post(f"/api/cancel/{job_id}").raise_for_status()
    wait_for_job(client, job_id)
    _remove(client, job_id)


def expired_job(client: httpx.Client) -> None:
    """Leave a finished job to its expiry, which the environment sets to a moment.

    Waits only so long: a registry that forgets nothing must be seen to grow, not to hang.
    """
    wait_for_job(client, upload(client, video()))
    end = time.monotonic() + _EXPIRY_PATIENCE_SECONDS
    while time.monotonic() < end and _jobs(client)["total"]:
        time.sleep(_PAUSE_SECONDS)


def abandoned_upload(client: httpx.Client) -> None:
    """Disconnect in the middle of an upload, and wait until the service has noticed."""
    upload_chunked(client, video(), stop_at=len(video()) // 2)
    wait_until(lambda: _jobs(client)["uploading"] == 0)


def abandoned_stream(client: httpx.Client) -> None:
    """Open the event stream of a job, disconnect once it is processed, and remove the job."""
    job_id = upload(client, longer_video())
    # A job that never begins loads no library, and the first that does makes a step in memory.
    wait_for_job(client, job_id, lambda job: job["progress"] > 0)
    with client.stream("GET", f"/api/jobs/{job_id}/events") as events:
        next(events.iter_lines())
    _remove(client, job_id)


def mixed_job(client: httpx.Client) -> None:
    """One of the others, drawn by weight with SOAK_SEED: the workload of the soak."""
    (thing,) = _chance().choices(list(_DAY), weights=list(_DAY.values()))
    thing(client)


_DAY = {
    finished_job: 12,
    failed_job: 3,
    cancelled_job: 2,
    abandoned_upload: 2,
    abandoned_stream: 1,
}
"""What `mixed_job` does, and how often of 20 times."""


@cache
def _chance() -> random.Random:
    return random.Random(int(os.environ.get("SOAK_SEED", "1")))


def _jobs(client: httpx.Client) -> dict[str, int]:
    counts: dict[str, int] = client.get("/health/memory").raise_for_status().json()["jobs"]
    return counts


def _remove(client: httpx.Client, job_id: str) -> None:
    client.delete(f"/api/cleanup/{job_id}").raise_for_status()
