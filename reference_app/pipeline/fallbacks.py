"""Looks at a frame in other ways while the body is poorly seen, and maps what it finds back."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from reference_app.pipeline.frames import Image
from reference_app.pipeline.skeleton import Pose, mean_visibility, mirror

__all__ = ["FALLBACKS", "DetectionFallbacks"]

#: Below this mean visibility a pose is poor and the next way is tried.
ENOUGH = 0.6
#: How many winners are remembered to decide which way is tried first.
HISTORY = 30
#: The share of the picture, from below, that shows legs in an upright picture of a person.
LOWER_PART = 0.65
BRIGHTER = 1.4
LIFT = 25


class Detector(Protocol):
    """What is asked of a detector here."""

    def detect(self, picture: Image, seconds: float | None = None) -> Pose | None: ...


def equalised(picture: Image) -> Image:
    """Local contrast evened out, for dark corners and back light."""
    import cv2

    lightness, a, b = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB))
    lightness = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(lightness)
    return cv2.cvtColor(cv2.merge((lightness, a, b)), cv2.COLOR_LAB2RGB)  # type: ignore[return-value]


def brighter(picture: Image) -> Image:
    """More light, for pictures that are dark as a whole."""
    import cv2

    return cv2.convertScaleAbs(picture, alpha=BRIGHTER, beta=LIFT)  # type: ignore[return-value]


def mirrored(picture: Image) -> Image:
    """Left and right changed, for poses that the model knows better the other way round."""
    import cv2

    return cv2.flip(picture, 1)  # type: ignore[return-value]


def lower_part(picture: Image) -> Image:
    """The lower part alone, for people whose upper body is cut off or hidden."""
    import numpy as np

    return np.ascontiguousarray(picture[_cut(picture.shape[0]) :])


def from_lower_part(pose: Pose, height: int) -> Pose:
    """A pose in the lower part, in coordinates of the whole picture."""
    top = _cut(height) / height
    return tuple(point._replace(y=top + point.y * (1 - top)) for point in pose)


def _unchanged_picture(picture: Image) -> Image:
    return picture


def _unchanged_pose(pose: Pose, _height: int) -> Pose:
    return pose


def _from_mirror(pose: Pose, _height: int) -> Pose:
    return mirror(pose)


def _cut(height: int) -> int:
    return height - max(1, round(height * LOWER_PART))


class Fallback(NamedTuple):
    """A transformed picture, and how a pose found in it maps back to the original."""

    look: Callable[[Image], Image]
    back: Callable[[Pose, int], Pose]


#: The ways in the order in which they are tried at first.
FALLBACKS = {
    "plain": Fallback(_unchanged_picture, _unchanged_pose),
    "clahe": Fallback(equalised, _unchanged_pose),
    "brighter": Fallback(brighter, _unchanged_pose),
    "mirrored": Fallback(mirrored, _from_mirror),
    "lower_body": Fallback(lower_part, from_lower_part),
}


class DetectionFallbacks:
    """Tries other pictures until the body is seen well enough, the useful ones first."""

    def __init__(self) -> None:
        self._winners: deque[str] = deque(maxlen=HISTORY)

    @property
    def remembered(self) -> int:
        """How many winners are kept; never more than `HISTORY`."""
        return len(self._winners)

    def find(self, detector: Detector, picture: Image, seconds: float) -> Pose | None:
        """The best pose that any way gave; the ways end as soon as one is good enough."""
        best: Pose | None = None
        best_score = -1.0
        winner = ""
        for name in self._order():
            fallback = FALLBACKS[name]
            pose = detector.detect(fallback.look(picture), seconds)
            if pose is None:
                continue
            score = mean_visibility(pose)
            if score > best_score:
                best, best_score, winner = fallback.back(pose, picture.shape[0]), score, name
            if score >= ENOUGH:
                break
        if winner:
            self._winners.append(winner)
        return best

    def _order(self) -> list[str]:
        wins = Counter(self._winners)
        others = sorted((n for n in FALLBACKS if n != "plain"), key=lambda n: -wins[n])
        return ["plain", *others]
