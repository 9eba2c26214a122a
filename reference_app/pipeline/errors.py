"""Why a job ended without a result; every message is for the person who sent the video.

All of them travel between processes, so each passes its arguments on to `Exception` unchanged.
"""

from __future__ import annotations

__all__ = ["JobFailed", "PipelineCancelled", "PipelineError", "StageFailed", "UnreadableVideo"]


class PipelineError(Exception):
    """Processing ended early."""


class UnreadableVideo(PipelineError):
    """The file is not a video that can be processed; `reason` says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class OutOfMemory(UnreadableVideo):
    """The video needs more memory than a job has; the same video will need it again."""


class PipelineCancelled(PipelineError):
    """Someone asked for the job to end."""

    def __init__(self, stage: str = "") -> None:
        super().__init__(stage)
        self.stage = stage

    def __str__(self) -> str:
        return f"cancelled during {self.stage}" if self.stage else "cancelled"


class StageFailed(PipelineError):
    """A stage broke, through no fault of the video."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(stage, reason)
        self.stage = stage
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.stage} failed: {self.reason}"


class JobFailed(Exception):
    """A job could not be done; the message is the reason that its owner reads."""
