"""How the suite talks to the service: small clips, an upload, and waiting for what follows.

The clips are tiny, so that a round of real MediaPipe jobs takes a second and not a minute.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import httpx

from fixtures.boxes import boxes
from fixtures.clips import clip

__all__ = ["FINAL", "damaged_video", "in_pieces", "longer_video", "send", "until", "video", "wait"]

FINAL = {"completed", "failed", "cancelled"}
_PATIENCE_SECONDS = 60.0
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
    """Some frames that pass all stages, then noise; the outline is whole, so nobody is warned."""
    whole = clip(width=320, height=240, seconds=0.5, fps=30).path.read_bytes()
    pictures = next(box for box in boxes(whole) if box.kind == b"mdat")
    good = (pictures.body + pictures.end) // 2
    noise = random.Random(1).randbytes(pictures.end - good)
    return whole[:good] + noise + whole[pictures.end :]


def send(client: httpx.Client, content: bytes) -> str:
    """Upload a video that is to be taken; its job's id."""
    answer = client.post("/api/upload", files={"file": ("walk.mp4", content, "video/mp4")})
    return str(answer.raise_for_status().json()["job_id"])


def in_pieces(
    client: httpx.Client, content: bytes, *, stop_at: int | None = None
) -> httpx.Response | None:
    """Upload without saying how much it will be; go away after `stop_at` bytes: no answer then."""

    def body() -> Iterator[bytes]:
        yield _HEAD + content[:stop_at]
        if stop_at is not None:
            raise _GoneAway
        yield b"\r\n--edge--\r\n"

    header = {"Content-Type": "multipart/form-data; boundary=edge"}
    with suppress(_GoneAway):
        return client.post("/api/upload", content=body(), headers=header)
    return None


def wait(client: httpx.Client, job_id: str, wanted: Callable[[Job], bool] | None = None) -> Job:
    """The job as soon as it is `wanted`, or final."""
    job: Job = {}

    def is_there() -> bool:
        job.update(client.get(f"/api/status/{job_id}").raise_for_status().json())
        return job["status"] in FINAL or (wanted is not None and wanted(job))

    until(is_there)
    return job


def until(condition: Callable[[], bool], seconds: float = _PATIENCE_SECONDS) -> None:
    """Wait for something; AssertionError if it does not happen in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"it did not happen in {seconds:g} s"
        time.sleep(_PAUSE_SECONDS)


class _GoneAway(Exception):
    """The client has lost its interest."""
