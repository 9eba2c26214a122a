"""A workload for `leak-suite fit`: upload a 10 s 1080p clip and wait until it is processed.

With 12 users there are always two jobs at work and ten in the queue.
"""

from __future__ import annotations

import functools
import os
import time

import httpx

__all__ = ["one_job"]

_CLIP_BYTES = 29_500_000
_ANSWER_SECONDS = 600.0
_PAUSE_SECONDS = 0.25


def one_job(client: httpx.Client) -> None:
    """One job from upload to deletion; anything but a completed one is an error."""
    job_id = _upload(client)
    until = time.monotonic() + _ANSWER_SECONDS
    while (job := client.get(f"/api/status/{job_id}").json())["status"] != "completed":
        if job["status"] in ("failed", "cancelled"):
            raise AssertionError(f"the job {job['status']}: {job.get('error')}")
        if time.monotonic() > until:
            raise AssertionError(f"the job was not done within {_ANSWER_SECONDS:.0f} s")
        time.sleep(_PAUSE_SECONDS)
    client.delete(f"/api/cleanup/{job_id}").raise_for_status()


def _upload(client: httpx.Client) -> str:
    while True:
        with open(_clip(), "rb") as file:  # noqa: PTH123 - httpx reads it
            answer = client.post("/api/upload", files={"file": ("walk.mp4", file, "video/mp4")})
        if answer.status_code == 503 and "queue" in answer.text.lower():
            time.sleep(float(answer.headers.get("Retry-After", "1")))
            continue
        if answer.status_code != 202:
            raise AssertionError(f"upload: {answer.status_code} {answer.text[:300]}")
        return str(answer.json()["job_id"])


@functools.cache
def _clip() -> str:
    chosen = os.environ.get("FIT_CLIP")
    if chosen:
        return chosen
    from fixtures.clips import clip

    made = clip(width=1920, height=1080, seconds=10, codec="h264", target_bytes=_CLIP_BYTES)
    return str(made.path)
