"""The other way of feeding a job: frames as pictures on disk, a batch at a time.

It costs a picture written and read per frame and buys nothing that streaming does not give; it
is here because deployed services work so, and is measured beside streaming.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from reference_app.pipeline.frames import Frame, Image, from_bgr, to_bgr
from reference_app.pipeline.task import ImageFormat

__all__ = ["FrameFolder"]

JPEG_QUALITY = 85


class FrameFolder:
    """A folder with at most one batch of pictures in it; `close()` removes it."""

    def __init__(self, path: Path, *, batch_frames: int, image_format: ImageFormat) -> None:
        self._path = path
        self._size = batch_frames
        self._suffix = f".{image_format}"
        path.mkdir(parents=True)

    def __enter__(self) -> FrameFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def through(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """The same frames after a way over the disk, in batches that are deleted as they end."""
        waiting = iter(frames)
        while batch := [self._save(frame) for frame in itertools.islice(waiting, self._size)]:
            try:
                for index, seconds, damaged, bidirectional, path in batch:
                    yield Frame(index, seconds, self._load(path), damaged, bidirectional)
            finally:
                for *_, path in batch:
                    path.unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder and what is left in it; a second call does nothing."""
        shutil.rmtree(self._path, ignore_errors=True)

    def _save(self, frame: Frame) -> tuple[int, float, bool, bool, Path]:
        import cv2

        path = self._path / f"{frame.index:06d}{self._suffix}"
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if self._suffix == ".jpg" else []
        if not cv2.imwrite(str(path), to_bgr(frame.pixels), options):
            raise OSError(f"{path.name} could not be written")
        return frame.index, frame.seconds, frame.damaged, frame.bidirectional, path

    def _load(self, path: Path) -> Image:
        import cv2

        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise OSError(f"{path.name} could not be read back")
        return from_bgr(picture)  # type: ignore[arg-type]
