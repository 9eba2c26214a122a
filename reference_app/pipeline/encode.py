"""Writes frames as H.264 in an MP4 that browsers play while it is still loading."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_app.pipeline.frames import Frame
from reference_app.pipeline.runtime import partial_path, publish

if TYPE_CHECKING:
    from av.container import OutputContainer

__all__ = ["ENCODER_OPTIONS", "VideoWriter"]

#: An encoder that looks ahead, goes back or compares several pictures keeps them all. Without
#: any of that one picture is in memory, so it can run beside the detector. On grainy 720-wide
#: frames `ultrafast` took 7 MiB and about half the time, `veryfast` 10 MiB, and the files were
#: of the same size within a tenth.
ENCODER_OPTIONS = {
    "preset": "ultrafast",
    "crf": "23",
    "rc-lookahead": "0",
    "bf": "0",
    "refs": "1",
    "threads": "1",
}
#: Fine enough for every frame rate, and what players expect.
TIME_BASE = Fraction(1, 90_000)


class VideoWriter:
    """An open video file; it takes its name when `finish()` is called.

    The first frame decides the size; each keeps its own time, so a video of varying rate stays
    one.
    """

    def __init__(self, path: Path, *, fps: float) -> None:
        import av

        self.frames = 0
        self._path = path
        self._rate = Fraction(fps).limit_denominator(1001)
        self._stream: Any = None
        self._last_stamp = -1
        self._container: OutputContainer | None = av.open(
            str(partial_path(path)), "w", format="mp4", options={"movflags": "faststart"}
        )

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, frame: Frame) -> None:
        """Encode one frame."""
        from av import VideoFrame

        if self._container is None:
            raise ValueError("the video is closed")
        if self._stream is None:
            self._start(self._container, frame)
        picture = VideoFrame.from_ndarray(frame.pixels, format="yuv420p")
        stamp = max(self._last_stamp + 1, round(frame.seconds / TIME_BASE))
        picture.pts, picture.time_base = stamp, TIME_BASE
        self._last_stamp = stamp
        self._container.mux(self._stream.encode(picture))
        self.frames += 1

    def finish(self) -> None:
        """Write what is still held back, close the file and give it its name."""
        if self._container is None or self._stream is None:
            raise ValueError("the video is closed or has no frame")
        self._container.mux(self._stream.encode(None))
        self._container.close()
        publish(self._path)
        self._container = self._stream = None

    def close(self) -> None:
        """Close the file and remove it unless it was finished; a second call does nothing."""
        container, self._container, self._stream = self._container, None, None
        if container is None:
            return
        try:
            container.close()
        finally:
            partial_path(self._path).unlink(missing_ok=True)

    def _start(self, container: OutputContainer, frame: Frame) -> None:
        stream = container.add_stream("libx264", rate=self._rate, options=dict(ENCODER_OPTIONS))
        stream.width = frame.pixels.shape[1]
        stream.height = frame.pixels.shape[0] * 2 // 3
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = TIME_BASE
        stream.codec_context.thread_count = 1
        self._stream = stream
