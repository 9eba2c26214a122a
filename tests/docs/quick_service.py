"""The reference service with jobs that end at once: what load from outside needs, and no more."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from reference_app.app import create_app
from reference_app.factories import ServiceFactories
from reference_app.pipeline import PipelineFactories
from reference_app.pipeline.task import Progress, Summary, Task
from reference_app.settings import Settings
from reference_app.workers.child_main import Engine

_FILES = {"video": "video.mp4", "csv": "poses.csv", "preview": "p.mp4", "thumbnail": "t.jpg"}
#: Long enough that jobs sent together are seen to run side by side.
_SECONDS = 1.0


def engine(
    task: Task, report: Callable[[Progress], None], cancelled: Callable[[], bool]
) -> Summary:
    """Leave a file for each result."""
    report(Progress("start", 0.5, "Half-way"))
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end and not cancelled():
        time.sleep(0.01)
    for name in _FILES.values():
        (Path(task.folder) / name).write_bytes(b"x")
    return Summary(
        frames=9, processed=3, detected=3, detection_rate=1.0, mean_visibility=0.9,
        duration_seconds=0.3, original_duration_seconds=0.3, trimmed=False, damaged_packets=0,
        width=320, height=240, wall_seconds=_SECONDS, peak_memory_bytes=1, files=dict(_FILES),
    )  # fmt: skip


def make_engine(_parts: PipelineFactories) -> Engine:
    """The engine, whatever the pipeline's parts are."""
    return engine


app = create_app(Settings(workers="thread"), ServiceFactories(engine=make_engine))
