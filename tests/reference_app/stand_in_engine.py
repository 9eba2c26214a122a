"""A stand-in for the pipeline: what a job does is written in its own file.

Apart from the service, so that a worker process imports no more than it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from reference_app.pipeline import PipelineCancelled, PipelineFactories, UnreadableVideo
from reference_app.pipeline.task import Progress, Summary, Task
from reference_app.workers.child_main import Engine

FILES = {"video": "video.mp4", "csv": "poses.csv", "preview": "preview.mp4", "thumbnail": "t.jpg"}
RELEASE = "release"


def box(name: bytes, body: bytes) -> bytes:
    """One box of an MP4 file."""
    return (len(body) + 8).to_bytes(4, "big") + name + body


def clip(behaviour: str = "quick", size: int | None = None) -> bytes:
    """The outline of an MP4 whose pictures are an instruction; padded to `size` bytes."""
    data = box(b"ftyp", b"isom") + box(b"moov", b"") + box(b"mdat", behaviour.encode())
    return data if size is None else data + box(b"free", b"\0" * (size - len(data) - 8))


def hold(task: Task, cancelled: Callable[[], bool]) -> None:
    """Work until the spool folder says that all may end."""
    gate = task.folder.parents[2] / RELEASE
    while not gate.exists():
        if cancelled():
            raise PipelineCancelled("holding")
        time.sleep(0.01)


def engine(
    task: Task, report: Callable[[Progress], None], cancelled: Callable[[], bool]
) -> Summary:
    """Do what the file says."""
    data = Path(task.source).read_bytes()[:4096]
    report(Progress("start", 0.5, "Half-way"))
    if b"slow" in data:
        time.sleep(0.2)
    if b"half" in data:
        time.sleep(0.5)
    if b"hold" in data:
        hold(task, cancelled)
    if b"unreadable" in data:
        raise UnreadableVideo("There is no picture in this file.")
    if b"broken" in data:
        raise RuntimeError("a part fell off")
    if b"vanish" in data:
        os._exit(3)
    (task.folder / "scratch").mkdir()
    for name in FILES.values():
        (task.folder / name).write_bytes(b"x" * (50_000_000 if b"big" in data else 200_000))
    return Summary(
        frames=9, processed=3, detected=3, detection_rate=1.0, mean_visibility=0.9,
        duration_seconds=1.0, original_duration_seconds=1.0, trimmed=False, damaged_packets=0,
        width=320, height=240, wall_seconds=0.1, peak_memory_bytes=1, files=dict(FILES),
    )  # fmt: skip


def make_engine(_parts: PipelineFactories) -> Engine:
    """The engine, whatever the pipeline's parts are."""
    return engine
