"""A picture on its way through the stages: planes of brightness and colour in one block.

Frames stay in the layout that decoders give and encoders want (planar YUV 4:2:0, one array of
height * 3/2 rows). Only what the detector sees is turned into RGB, so two frames in three are
never converted at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
else:
    Image = Any

__all__ = ["Frame", "Image", "from_bgr", "planes", "rotate", "to_bgr", "to_rgb"]


@dataclass(frozen=True)
class Frame:
    """One decoded and scaled picture: its number, its time from the start, its pixels.

    `damaged` means that the decoder filled gaps in it, or in one that it may have been made from.
    A picture that is `bidirectional` may have been made from a later one too.
    """

    index: int
    seconds: float
    pixels: Image
    damaged: bool = False
    bidirectional: bool = False


def planes(pixels: Image) -> tuple[Image, Image, Image]:
    """Views on brightness (whole size) and the two colour planes (half size) of a block."""
    height, width = pixels.shape[0] * 2 // 3, pixels.shape[1]
    flat = pixels.reshape(-1)
    luma, chroma = height * width, height * width // 4
    half = (height // 2, width // 2)
    return (
        flat[:luma].reshape(height, width),
        flat[luma : luma + chroma].reshape(half),
        flat[luma + chroma :].reshape(half),
    )


def to_rgb(pixels: Image) -> Image:
    """The block as an RGB picture."""
    import cv2

    return cv2.cvtColor(pixels, cv2.COLOR_YUV2RGB_I420)  # type: ignore[return-value]


def to_bgr(pixels: Image) -> Image:
    """The block as a BGR picture, as OpenCV's files want it."""
    import cv2

    return cv2.cvtColor(pixels, cv2.COLOR_YUV2BGR_I420)  # type: ignore[return-value]


def from_bgr(picture: Image) -> Image:
    """A BGR picture with even sides as a block."""
    import cv2

    return cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420)  # type: ignore[return-value]


def rotate(pixels: Image, quarter_turns: int) -> Image:
    """The block turned counter-clockwise by so many quarters."""
    import numpy as np

    if quarter_turns % 4 == 0:
        return pixels
    turned = [np.rot90(plane, quarter_turns) for plane in planes(pixels)]
    block: Image = np.concatenate([plane.reshape(-1) for plane in turned])
    return block.reshape(-1, turned[0].shape[1])
