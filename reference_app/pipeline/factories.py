"""The seam: everything in a job that can fail, each behind one field.

A seeded defect or an injected failure replaces exactly one of them. All are module-level names,
so that a `PipelineFactories` travels to a worker process.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from reference_app.pipeline.batch import FrameFolder
from reference_app.pipeline.decode import FrameReader
from reference_app.pipeline.draw import Drawing, draw_skeleton, plan_skeleton
from reference_app.pipeline.encode import VideoWriter
from reference_app.pipeline.fallbacks import DetectionFallbacks
from reference_app.pipeline.frames import Image, to_rgb
from reference_app.pipeline.landmarks_csv import LandmarkCsvWriter
from reference_app.pipeline.libraries import load
from reference_app.pipeline.peak_memory import PeakMemory
from reference_app.pipeline.pose import PoseDetector
from reference_app.pipeline.preview import cut_preview
from reference_app.pipeline.probe import Clip, probe
from reference_app.pipeline.skeleton import Pose
from reference_app.pipeline.thumbnail import write_thumbnail

__all__ = ["PipelineFactories"]


@dataclass(frozen=True)
class PipelineFactories:
    """What a job is put together from; each field takes the arguments of its default."""

    probe: Callable[..., Clip] = probe
    load_libraries: Callable[[], None] = load
    open_reader: Callable[..., FrameReader] = FrameReader
    open_folder: Callable[..., FrameFolder] = FrameFolder
    make_detector: Callable[..., PoseDetector] = PoseDetector
    make_fallbacks: Callable[[], DetectionFallbacks] = DetectionFallbacks
    open_landmarks_csv: Callable[..., LandmarkCsvWriter] = LandmarkCsvWriter
    open_writer: Callable[..., VideoWriter] = VideoWriter
    to_rgb: Callable[[Image], Image] = to_rgb
    plan: Callable[[Pose, int, int], Drawing] = plan_skeleton
    draw: Callable[[Image, Drawing], None] = draw_skeleton
    write_thumbnail: Callable[..., None] = write_thumbnail
    cut_preview: Callable[..., None] = cut_preview
    measure_memory: Callable[[], PeakMemory] = PeakMemory
    clock: Callable[[], float] = time.perf_counter
