"""The pose graph of MediaPipe 0.10.21, the last with `solutions`: Python 3.11 and 3.12."""

from __future__ import annotations

import functools
from typing import Any

from reference_app.pipeline.frames import Image
from reference_app.pipeline.skeleton import Landmark, Pose

__all__ = ["SolutionsGraph"]


class SolutionsGraph:
    """MediaPipe's Pose on the thread that asks, with nothing fetched but the landmarks."""

    def __init__(self, static_image_mode: bool, min_confidence: float) -> None:
        self._pose = _pose_class()(
            static_image_mode=static_image_mode,
            min_detection_confidence=min_confidence,
            min_tracking_confidence=min_confidence,
        )
        # Loads the models now, which the first picture would do otherwise: 100 MiB.
        self._pose.prepare()

    def find(self, picture: Image, microseconds: int) -> Pose | None:
        """The body in an RGB picture, or None; times are strictly later from call to call."""
        found = self._pose.find(picture, microseconds)
        if found is None:
            return None
        return tuple(Landmark(p.x, p.y, p.z, p.visibility) for p in found.landmark)

    def close(self) -> None:
        """Give the graph's memory back."""
        self._pose.close()


@functools.cache
def _pose_class() -> Any:
    """MediaPipe's Pose with two changes, made on first use so that importing stays light.

    Its work runs on the calling thread instead of a pool of four, with the same results; and
    only the landmarks are fetched, without the result class that it defines anew for every frame.
    """
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
