"""What a job is asked to do, what it says on the way, and what it hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

__all__ = ["DetectionMode", "FrameSource", "ImageFormat", "Progress", "Summary", "Task"]

FrameSource = Literal["stream", "batch"]
DetectionMode = Literal["fast", "smart"]
ImageFormat = Literal["jpg", "png"]

#: A decoder keeps several whole frames, so the area decides what a job weighs; 1088 is how
#: encoders write 1080 lines. A 4K video needs about 150 MiB more than this.
MAX_PIXELS = 1920 * 1088


@dataclass(frozen=True)
class Task:
    """One video, the folder that its results go to, and the limits that hold for it."""

    source: Path
    folder: Path
    max_duration_seconds: float = 10.0
    frame_interval: int = 3
    output_width: int = 720
    frame_source: FrameSource = "stream"
    detection_mode: DetectionMode = "fast"
    max_pixels: int = MAX_PIXELS
    #: What the job may allocate; None where nothing limits it.
    memory_bytes: int | None = None
    preview_seconds: float = 3.0
    batch_frames: int = 30
    batch_format: ImageFormat = "jpg"


@dataclass(frozen=True)
class Progress:
    """How far a job is: the stage, the part of the whole job that is done, a line to show."""

    stage: str
    fraction: float
    message: str


@dataclass(frozen=True)
class Summary:
    """What came out of a job."""

    frames: int
    processed: int
    detected: int
    detection_rate: float
    mean_visibility: float
    duration_seconds: float
    original_duration_seconds: float
    trimmed: bool
    damaged_packets: int
    width: int
    height: int
    wall_seconds: float
    peak_memory_bytes: int
    #: What was made: video, csv, thumbnail, preview, each with its file's name in the folder.
    files: Mapping[str, str] = field(default_factory=dict)
    #: What the person should know: trimmed, damaged, nobody found.
    notes: tuple[str, ...] = ()
