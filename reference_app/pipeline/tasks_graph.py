"""The pose graph of the current MediaPipe (Tasks): Python 3.13 and later."""

from __future__ import annotations

from reference_app.pipeline.frames import Image
from reference_app.pipeline.pose_model import model_path
from reference_app.pipeline.skeleton import Landmark, Pose

__all__ = ["TasksGraph"]

MICROSECONDS_PER_MILLISECOND = 1000


class TasksGraph:
    """MediaPipe's PoseLandmarker in video mode, or in image mode for pictures that are no film.

    It works on threads of its own, which end when it is closed.

    Raises:
        ModelMissing: the bundle of its two models has not been made.
    """

    def __init__(self, static_image_mode: bool, min_confidence: float) -> None:
        from mediapipe.tasks.python import BaseOptions, vision

        mode = vision.RunningMode.IMAGE if static_image_mode else vision.RunningMode.VIDEO
        self._static = static_image_mode
        self._milliseconds = 0
        self._landmarker = vision.PoseLandmarker.create_from_options(
            vision.PoseLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=str(model_path())),
                running_mode=mode,
                min_pose_detection_confidence=min_confidence,
                min_pose_presence_confidence=min_confidence,
                min_tracking_confidence=min_confidence,
            )
        )

    def find(self, picture: Image, microseconds: int) -> Pose | None:
        """The body in an RGB picture, or None; times are strictly later from call to call."""
        from mediapipe import Image as MediaPipeImage
        from mediapipe import ImageFormat

        image = MediaPipeImage(ImageFormat.SRGB, picture)
        if self._static:
            result = self._landmarker.detect(image)
        else:
            # Its clock counts whole milliseconds, and they have to rise as well.
            now = round(microseconds / MICROSECONDS_PER_MILLISECOND)
            self._milliseconds = max(self._milliseconds + 1, now)
            result = self._landmarker.detect_for_video(image, self._milliseconds)
        if not result.pose_landmarks:
            return None
        return tuple(Landmark(p.x, p.y, p.z, p.visibility) for p in result.pose_landmarks[0])

    def close(self) -> None:
        """Give the graph's memory back, and end its threads."""
        self._landmarker.close()
