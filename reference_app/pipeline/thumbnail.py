"""One small picture of the result."""

from __future__ import annotations

from pathlib import Path

from reference_app.pipeline.frames import Image, to_bgr
from reference_app.pipeline.runtime import partial_path, publish

__all__ = ["THUMBNAIL_WIDTH", "write_thumbnail"]

THUMBNAIL_WIDTH = 320
QUALITY = 85


def write_thumbnail(path: Path, pixels: Image) -> None:
    """Save a frame as a JPEG at most 320 pixels wide."""
    import cv2

    picture = to_bgr(pixels)
    height, width = picture.shape[:2]
    if width > THUMBNAIL_WIDTH:
        size = (THUMBNAIL_WIDTH, max(1, round(height * THUMBNAIL_WIDTH / width)))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if not cv2.imwrite(str(partial_path(path)), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
        raise OSError(f"{path.name} could not be written")
    publish(path)
