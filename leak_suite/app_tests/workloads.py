"""What people do with the service, each as a workload of the harness: it takes an `httpx.Client`.

The clip is tiny, so that a round of real MediaPipe jobs takes a second and not a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx

from fixtures.clips import clip

__all__ = ["cancelled_job", "expired_job", "failed_job", "finished_job"]

_FINAL = {"completed", "failed", "cancelled"}
_PATIENCE_SECONDS = 60.0
_EXPIRY_PATIENCE_SECONDS = 1.5
_PAUSE_SECONDS = 0.02
_OUTPUTS = ("csv", "video", "preview", "thumbnail")


def finished_job(client: httpx.Client) -> None:
    """Upload, wait, fetch everything, clean up."""
    job = _wait(client, _upload(client, _video()), lambda job: job["status"] in _FINAL)
    assert job["status"] == "completed", job["error"]
    for output in _OUTPUTS:
        assert client.get(f"/api/download/{job['job_id']}/{output}").raise_for_status().content
    client.delete(f"/api/cleanup/{job['job_id']}").raise_for_status()


def failed_job(client: httpx.Client) -> None:
    """Upload a video whose end is missing: the job fails with a reason, or 422 says it at once."""
    response = _send(client, _damaged_video())
    if response.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        return
    job_id = response.raise_for_status().json()["job_id"]
    job = _wait(client, job_id, lambda job: job["status"] in _FINAL)
    assert job["status"] == "failed", job["status"]
    assert job["error"]
    client.delete(f"/api/cleanup/{job_id}").raise_for_status()


def cancelled_job(client: httpx.Client) -> None:
    """Cancel a job while its frames are being worked on."""
    job_id = _upload(client, _longer_video())
    _wait(client, job_id, lambda job: job["progress"] > 0 or job["status"] in _FINAL)
    client.post(f"/api/cancel/{job_id}").raise_for_status()
    _wait(client, job_id, lambda job: job["status"] in _FINAL)
    client.delete(f"/api/cleanup/{job_id}").raise_for_status()


def expired_job(client: httpx.Client) -> None:
    """Leave a finished job to its expiry, which the environment sets to a moment.

    Waits only so long: a registry that forgets nothing must be seen to grow, not to hang.
    """
    job_id = _upload(client, _video())
    _wait(client, job_id, lambda job: job["status"] in _FINAL)
    until = time.monotonic() + _EXPIRY_PATIENCE_SECONDS
    while time.monotonic() < until:
        if client.get(f"/api/status/{job_id}").status_code == httpx.codes.NOT_FOUND:
            return
        time.sleep(_PAUSE_SECONDS)


@cache
def _video() -> bytes:
    return clip(width=320, height=240, seconds=0.3, fps=30).path.read_bytes()


@cache
def _longer_video() -> bytes:
    return clip(width=320, height=240, seconds=3.0, fps=30).path.read_bytes()


@cache
def _damaged_video() -> bytes:
    # The index of an mp4 stands first or last: with its last third gone, frames are missing.
    whole = _video()
    return whole[: 2 * len(whole) // 3]


def _send(client: httpx.Client, video: bytes) -> httpx.Response:
    return client.post("/api/upload", files={"file": ("walk.mp4", video, "video/mp4")})


def _upload(client: httpx.Client, video: bytes) -> str:
    response = _send(client, video).raise_for_status()
    return str(response.json()["job_id"])


def _wait(
    client: httpx.Client, job_id: str, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        job: dict[str, Any] = client.get(f"/api/status/{job_id}").raise_for_status().json()
        if wanted(job):
            return job
        if time.monotonic() > until:
            raise TimeoutError(f"job {job_id} is still {job['status']} ({job['message']})")
        time.sleep(_PAUSE_SECONDS)
