"""The 33 points of a body: their names, which ones are joined, and which swap in a mirror."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BONES", "LANDMARKS", "MIRRORED", "Landmark", "Pose", "mean_visibility", "mirror"]

LANDMARKS = (
    "nose",
    "left_eye_inner",
    "left_eye",
    "left_eye_outer",
    "right_eye_inner",
    "right_eye",
    "right_eye_outer",
    "left_ear",
    "right_ear",
    "mouth_left",
    "mouth_right",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_pinky",
    "right_pinky",
    "left_index",
    "right_index",
    "left_thumb",
    "right_thumb",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
    "left_heel",
    "right_heel",
    "left_foot_index",
    "right_foot_index",
)

#: Pairs of points between which a line is drawn.
BONES = (
    *((0, 2), (2, 7), (0, 5), (5, 8), (9, 10)),
    *((11, 12), (11, 23), (12, 24), (23, 24)),
    *((11, 13), (13, 15), (15, 17), (15, 19), (15, 21), (17, 19)),
    *((12, 14), (14, 16), (16, 18), (16, 20), (16, 22), (18, 20)),
    *((23, 25), (25, 27), (27, 29), (29, 31), (27, 31)),
    *((24, 26), (26, 28), (28, 30), (30, 32), (28, 32)),
)


def _other_side(name: str) -> str:
    if "left" in name:
        return name.replace("left", "right")
    return name.replace("right", "left")


#: For each point, the one that takes its place in a mirror.
MIRRORED = tuple(LANDMARKS.index(_other_side(name)) for name in LANDMARKS)


class Landmark(NamedTuple):
    """A point of the body: x and y as parts of the picture, depth, and how surely it is seen."""

    x: float
    y: float
    z: float
    visibility: float


Pose = tuple[Landmark, ...]


def mirror(pose: Pose) -> Pose:
    """The pose of the mirrored picture: left and right change places as well as names."""
    return tuple(pose[other]._replace(x=1.0 - pose[other].x) for other in MIRRORED)


def mean_visibility(pose: Pose) -> float:
    """How well the body as a whole is seen, from 0 to 1."""
    return sum(point.visibility for point in pose) / len(pose)
