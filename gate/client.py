"""What the gate sends to the service: small clips, uploads, and waiting for their jobs.

The clips are tiny, so that a round of real MediaPipe jobs takes a second and not a minute.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import httpx

from fixtures.boxes import boxes
from fixtures.clips import clip

__all__ = [
    "FINAL",
    "damaged_video",
    "longer_video",
    "upload",
    "upload_chunked",
    "video",
    "wait_for_job",
    "wait_for_jobs",
    "wait_until",
]

FINAL = {"completed", "failed", "cancelled"}
_TIMEOUT_SECONDS = 60.0
_PAUSE_SECONDS = 0.02
_HEAD = (
    b'--edge\r\nContent-Disposition: form-data; name="file"; filename="walk.mp4"\r\n'
    b"Content-Type: video/mp4\r\n\r\n"
)

Job = dict[str, Any]


@cache
def video() -> bytes:
    """Nine frames."""
    return clip(width=320, height=240, seconds=0.3, fps=30).path.read_bytes()


@cache
def longer_video() -> bytes:
    """Three seconds."""
    return clip(width=320, height=240, seconds=3.0, fps=30).path.read_bytes()


@cache
def damaged_video() -> bytes:
    """Some frames that pass all stages, then noise; the index is whole, so the upload passes."""
    whole = clip(width=320, height=240, seconds=0.5, fps=30).path.read_bytes()
    pictures = next(box for box in boxes(whole) if box.kind == b"mdat")
    good = (pictures.body + pictures.end) // 2
    noise = random.Random(1).randbytes(pictures.end - good)
    return whole[:good] + noise + whole[pictures.end :]


def upload(client: httpx.Client, content: bytes) -> str:
    """Upload a video that has to be accepted; returns the id of its job."""
    answer = client.post("/api/upload", files={"file": ("walk.mp4", content, "video/mp4")})
    return str(answer.raise_for_status().json()["job_id"])


def upload_chunked(
    client: httpx.Client, content: bytes, *, stop_at: int | None = None
) -> httpx.Response | None:
    """Upload without a declared length; disconnect after `stop_at` bytes: None is returned then."""

    def body() -> Iterator[bytes]:
        yield _HEAD + content[:stop_at]
        if stop_at is not None:
            raise _ClientDisconnected
        yield b"\r\n--edge--\r\n"

    header = {"Content-Type": "multipart/form-data; boundary=edge"}
    with suppress(_ClientDisconnected):
        return client.post("/api/upload", content=body(), headers=header)
    return None


def wait_for_job(
    client: httpx.Client, job_id: str, wanted: Callable[[Job], bool] | None = None
) -> Job:
    """The job as soon as `wanted` holds for it, or it is final."""
    (job,) = wait_for_jobs(client, [job_id], wanted)
    return job


def wait_for_jobs(
    client: httpx.Client, job_ids: Sequence[str], wanted: Callable[[Job], bool] | None = None
) -> list[Job]:
    """Each job as soon as `wanted` holds for it, or it is final: before it can expire."""
    reached: dict[str, Job] = {}

    def are_reached() -> bool:
        for job_id in job_ids:
            if job_id not in reached:
                job = client.get(f"/api/status/{job_id}").raise_for_status().json()
                if job["status"] in FINAL or (wanted is not None and wanted(job)):
                    reached[job_id] = job
        return len(reached) == len(job_ids)

    wait_until(are_reached)
    return [reached[job_id] for job_id in job_ids]


def wait_until(condition: Callable[[], bool], seconds: float = _TIMEOUT_SECONDS) -> None:
    """Wait until `condition` holds.

    Raises:
        AssertionError: it does not within `seconds`.
    """
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not happen in {seconds:g} s"
        time.sleep(_PAUSE_SECONDS)


class _ClientDisconnected(Exception):
    """The client disconnects in the middle of an upload."""
