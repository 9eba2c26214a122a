"""Finds a body in a picture, and gives everything back when closed."""

from __future__ import annotations

from typing import Protocol

from reference_app.pipeline.frames import Image
from reference_app.pipeline.libraries import has_solutions, load_mediapipe
from reference_app.pipeline.skeleton import Pose

__all__ = ["PoseDetector", "PoseGraph"]

MICROSECONDS = 1_000_000
#: MediaPipe's own pace, for pictures that come without a time.
DEFAULT_STEP_SECONDS = 0.033333


class PoseGraph(Protocol):
    """An open MediaPipe graph; which one it is depends on the MediaPipe that is installed."""

    def find(self, picture: Image, microseconds: int) -> Pose | None:
        """The body in an RGB picture, or None; times are strictly later from call to call."""

    def close(self) -> None:
        """Give the graph's memory back; called once."""


class PoseDetector:
    """An open MediaPipe graph that follows one person through a video.

    With `static_image_mode` it takes every picture for itself instead: 1.6 times the work, but
    pictures that are not a film (one frame in several renderings) then do not disturb one another.

    A graph that is dropped without `close()` keeps about 105 MiB and, in MediaPipe's normal
    form, four threads for the rest of the process.
    """

    def __init__(self, *, static_image_mode: bool = False, min_confidence: float = 0.5) -> None:
        self._graph: PoseGraph | None = open_graph(static_image_mode, min_confidence)
        self._microseconds = 0

    def __enter__(self) -> PoseDetector:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether the graph has been given back."""
        return self._graph is None

    def detect(self, picture: Image, seconds: float | None = None) -> Pose | None:
        """The body in an RGB picture, or None; `seconds` is its time, later than the one before.

        True times make the smoothing right for a video of which only every third frame is seen.

        Raises:
            ValueError: the detector is closed.
        """
        if self._graph is None:
            raise ValueError("the detector is closed")
        step = DEFAULT_STEP_SECONDS
        now = self._microseconds + round(step * MICROSECONDS)
        if seconds is not None:
            # Graphs want strictly later stamps, also when the clock of a file stands still.
            now = max(self._microseconds + 1, round((seconds + step) * MICROSECONDS))
        self._microseconds = now
        return self._graph.find(picture, now)

    def close(self) -> None:
        """Give the graph's memory back; a second call does nothing."""
        graph, self._graph = self._graph, None
        if graph is not None:
            graph.close()


def open_graph(static_image_mode: bool, min_confidence: float) -> PoseGraph:
    """The graph of the MediaPipe that is installed, its models loaded."""
    load_mediapipe()
    if has_solutions():
        from reference_app.pipeline.solutions_graph import SolutionsGraph

        return SolutionsGraph(static_image_mode, min_confidence)
    from reference_app.pipeline.tasks_graph import TasksGraph

    return TasksGraph(static_image_mode, min_confidence)
