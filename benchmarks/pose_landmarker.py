"""Workloads that show whether the current MediaPipe's PoseLandmarker keeps what it gives.

`leak-suite run benchmarks/pose_landmarker.py:detect`; Python 3.13 or later, with the model made.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import Any

import cv2
from mediapipe import Image, ImageFormat
from mediapipe.tasks.python import BaseOptions, vision

from fixtures.clips import clip
from reference_app.pipeline.pose_model import model_path

__all__ = ["detect", "follow", "open_and_close"]

_CLOCK = count(1)


def detect() -> None:
    """Find the body in a picture, with a landmarker that stays open."""
    _landmarker(vision.RunningMode.IMAGE).detect(_picture())


def follow() -> None:
    """The same in video mode."""
    _landmarker(vision.RunningMode.VIDEO).detect_for_video(_picture(), next(_CLOCK))


def open_and_close() -> None:
    """Open a landmarker for one picture, and close it."""
    with _open(vision.RunningMode.IMAGE) as landmarker:
        landmarker.detect(_picture())


def _open(mode: Any) -> Any:
    options = BaseOptions(model_asset_path=str(model_path()))
    return vision.PoseLandmarker.create_from_options(
        vision.PoseLandmarkerOptions(base_options=options, running_mode=mode)
    )


_landmarker = cache(_open)


@cache
def _picture() -> Image:
    _, frame = cv2.VideoCapture(str(clip(width=320, height=240, seconds=0.5).path)).read()
    return Image(ImageFormat.SRGB, frame[:, :, ::-1].copy())
