"""Draws the skeleton straight onto a frame's planes, so that no frame is converted for it."""

from __future__ import annotations

from collections.abc import Iterable

from reference_app.pipeline.frames import Image, planes
from reference_app.pipeline.skeleton import BONES, LANDMARKS, Pose

__all__ = ["draw_skeleton"]

#: Points seen less surely than this are left out: they are guesses outside the picture.
MIN_VISIBILITY = 0.5

#: Brightness and the two colour values of the person's left side, right side and middle.
COLOURS = {"left": (170, 60, 190), "right": (150, 200, 60), "middle": (235, 128, 128)}


def draw_skeleton(pixels: Image, pose: Pose) -> None:
    """Draw the lines and points of a body onto the frame, in place."""
    height, width = pixels.shape[0] * 2 // 3, pixels.shape[1]
    thickness = max(2, round(height / 135))
    lines = _lines(pose, width, height)
    for plane, values in zip(planes(pixels), zip(*COLOURS.values(), strict=True), strict=True):
        scale = plane.shape[0] / height
        for side, value in zip(COLOURS, values, strict=True):
            _stroke(plane, lines[side], scale, thickness, value)


def _lines(pose: Pose, width: int, height: int) -> dict[str, list[tuple[float, ...]]]:
    """Per side, where its lines run in pixels; a point is a line without length."""
    lines: dict[str, list[tuple[float, ...]]] = {side: [] for side in COLOURS}
    seen = [point.visibility >= MIN_VISIBILITY for point in pose]
    for start, end in BONES:
        if seen[start] and seen[end]:
            a, b = pose[start], pose[end]
            lines[_side(start, end)].append((a.x * width, a.y * height, b.x * width, b.y * height))
    for index, point in enumerate(pose):
        if seen[index]:
            x, y = point.x * width, point.y * height
            lines[_side(index, index)].append((x, y, x, y))
    return lines


def _side(start: int, end: int) -> str:
    sides = {
        next((s for s in ("left", "right") if s in LANDMARKS[i]), "middle") for i in (start, end)
    }
    return sides.pop() if len(sides) == 1 else "middle"


def _stroke(
    plane: Image, lines: Iterable[tuple[float, ...]], scale: float, thickness: int, value: int
) -> None:
    import cv2
    import numpy as np

    # OpenCV takes 1/16 pixels; far-off points are clipped so that they cannot overflow.
    points = np.clip(np.array(list(lines), dtype=np.float32) * (scale * 16), -(2**20), 2**20)
    if points.size:
        segments = points.round().astype(np.int32).reshape(-1, 2, 1, 2)
        cv2.polylines(
            plane,
            list(segments),
            isClosed=False,
            color=(value,),
            thickness=max(1, round(thickness * scale)),
            shift=4,
        )
