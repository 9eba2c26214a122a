"""Draws the skeleton straight onto a frame's planes, so that no frame is converted for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reference_app.pipeline.frames import Image, planes
from reference_app.pipeline.skeleton import BONES, LANDMARKS, Pose

__all__ = ["Drawing", "draw_skeleton", "plan_skeleton"]

#: Points seen less surely than this are left out: they are guesses outside the picture.
MIN_VISIBILITY = 0.5

FRACTION_BITS = 4

#: Brightness and the two colour values of the person's left side, right side and middle.
COLOURS = {"left": (170, 60, 190), "right": (150, 200, 60), "middle": (235, 128, 128)}


#: The size of each plane against the frame.
SCALES = (1.0, 0.5, 0.5)

Segments = list[Any]


@dataclass(frozen=True)
class Drawing:
    """A body as strokes for each plane: worked out once, drawn on every frame until the next."""

    thickness: int
    strokes: tuple[tuple[Segments, ...], ...]


def plan_skeleton(pose: Pose, width: int, height: int) -> Drawing:
    """The strokes of a body in frames of this size."""
    lines = _lines(pose, width, height)
    strokes = tuple(tuple(_segments(lines[side], s) for side in COLOURS) for s in SCALES)
    return Drawing(max(2, round(height / 135)), strokes)


def draw_skeleton(pixels: Image, drawing: Drawing) -> None:
    """Draw the body onto the frame, in place."""
    import cv2

    values = zip(*COLOURS.values(), strict=True)
    for plane, strokes, scale, shades in zip(
        planes(pixels), drawing.strokes, SCALES, values, strict=True
    ):
        thickness = max(1, round(drawing.thickness * scale))
        for segments, shade in zip(strokes, shades, strict=True):
            cv2.polylines(plane, segments, False, (shade,), thickness, shift=FRACTION_BITS)


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


def _segments(lines: list[tuple[float, ...]], scale: float) -> Segments:
    """The lines in the fixed-point numbers that OpenCV takes; none where there are no lines."""
    import numpy as np

    if not lines:
        return []
    points = np.array(lines, dtype=np.float32) * (scale * 2**FRACTION_BITS)
    # Guesses can lie far outside the picture; clipped, they cannot overflow.
    return list(np.clip(points, -(2**20), 2**20).round().astype(np.int32).reshape(-1, 2, 1, 2))
