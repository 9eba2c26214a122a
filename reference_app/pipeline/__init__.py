"""From an uploaded video to its poses: one job, in one pass, in bounded memory.

Importing this package is cheap. OpenCV, PyAV and MediaPipe are loaded when a job runs, or by
`reference_app.pipeline.preload` in the process that workers are forked from.
"""

from __future__ import annotations

from reference_app.pipeline.errors import (
    PipelineCancelled,
    PipelineError,
    StageFailed,
    UnreadableVideo,
)
from reference_app.pipeline.factories import PipelineFactories
from reference_app.pipeline.job import process
from reference_app.pipeline.task import Progress, Summary, Task

__all__ = [
    "PipelineCancelled",
    "PipelineError",
    "PipelineFactories",
    "Progress",
    "StageFailed",
    "Summary",
    "Task",
    "UnreadableVideo",
    "process",
]
