"""Finds a body in a picture, on the thread that asks, and gives everything back when closed."""

from __future__ import annotations

import functools
from typing import Any

from reference_app.pipeline.frames import Image
from reference_app.pipeline.libraries import load_mediapipe
from reference_app.pipeline.skeleton import Landmark, Pose

__all__ = ["PoseDetector"]

MICROSECONDS = 1_000_000
#: MediaPipe's own pace, for pictures that come without a time.
DEFAULT_STEP_SECONDS = 0.033333


class PoseDetector:
    """An open MediaPipe graph that follows one person through a video.

    With `static_image_mode` it takes every picture for itself instead: 1.6 times the work, but
    pictures that are not a film (one frame in several renderings) then do not disturb one another.

    A graph that is dropped without `close()` keeps about 105 MiB and, in MediaPipe's normal
    form, four threads for the rest of the process.
    """

    def __init__(self, *, static_image_mode: bool = False, min_confidence: float = 0.5) -> None:
        self._graph = _graph_class()(
            static_image_mode=static_image_mode,
            min_detection_confidence=min_confidence,
            min_tracking_confidence=min_confidence,
        )
        # Loads the models now, which the first picture would do otherwise: 100 MiB.
        self._graph.prepare()
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
        """
        if self._graph is None:
            raise ValueError("the detector is closed")
        step = DEFAULT_STEP_SECONDS
        now = self._microseconds + round(step * MICROSECONDS)
        if seconds is not None:
            # Graphs want strictly later stamps, also when the clock of a file stands still.
            now = max(self._microseconds + 1, round((seconds + step) * MICROSECONDS))
        self._microseconds = now
        found = self._graph.find(picture, now)
        if found is None:
            return None
        return tuple(Landmark(p.x, p.y, p.z, p.visibility) for p in found.landmark)

    def close(self) -> None:
        """Give the graph's memory back; a second call does nothing."""
        graph, self._graph = self._graph, None
        if graph is not None:
            graph.close()


@functools.cache
def _graph_class() -> Any:
    """MediaPipe's Pose with two changes, made on first use so that importing stays light.

    Its work runs on the calling thread instead of a pool of four, with the same results; and
    only the landmarks are fetched, without the result class that it defines anew for every frame.
    """
    load_mediapipe()
    from mediapipe.python import packet_creator, packet_getter
    from mediapipe.python._framework_bindings import image_frame
    from mediapipe.python.solutions import pose

    class CallerThreadPose(pose.Pose):  # type: ignore[misc]
        def _initialize_graph_interface(self, graph: Any, *args: Any, **kwargs: Any) -> Any:
            config = super()._initialize_graph_interface(graph, *args, **kwargs)
            del config.executor[:]
            config.executor.add(type="ApplicationThreadExecutor")
            return config

        def prepare(self) -> None:
            self._graph.wait_until_idle()

        def find(self, picture: Image, microseconds: int) -> Any:
            packet = packet_creator.create_image_frame(
                picture, image_format=image_frame.ImageFormat.SRGB
            )
            self._graph_outputs.clear()
            self._graph.add_packet_to_input_stream(stream="image", packet=packet.at(microseconds))
            self._graph.wait_until_idle()
            answer = self._graph_outputs.get("pose_landmarks")
            if answer is None or answer.is_empty():
                return None
            return packet_getter.get_proto(answer)

    return CallerThreadPose
