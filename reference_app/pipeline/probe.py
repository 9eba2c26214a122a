"""What a file really holds: which video stream, how large, how long; or why it cannot be used.

Nothing that a header claims is believed where it costs memory or time: lengths come from the
packets themselves, which is a read of the file without decoding any of it.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reference_app.pipeline.budget import JOB_BASE_BYTES, MemoryBudget
from reference_app.pipeline.errors import UnreadableVideo
from reference_app.pipeline.media_index import index_bytes
from reference_app.pipeline.parameter_sets import reference_frames

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = [
    "ACCEPTED_FORMATS",
    "MIN_SIDE",
    "Clip",
    "open_video",
    "output_size",
    "picture_bytes",
    "pixel_aspect",
    "probe",
]

#: Containers that are opened at all. A playlist renamed to .mp4 would otherwise make the library
#: fetch whatever it names.
ACCEPTED_FORMATS = ("mov", "mp4", "matroska", "webm", "avi", "mpegts")
MIN_SIDE = 32
#: A picture longer than this is a strip, in which nobody can be seen once it is scaled.
MAX_SIDE_RATIO = 16
#: Beyond this a pixel's shape is a mistake in the header.
MAX_PIXEL_ASPECT = 4
#: Beyond this many frames a second a file is work without information.
MAX_FPS = 120.0
DEFAULT_FPS = 30.0
#: Pictures that a decoder holds beside those that it refers to: the one that it decodes, the one
#: that was handed out, and some that wait to be shown. Measured on FFmpeg's, one thread each.
PICTURES_BESIDE_REFERENCES = {"h264": 2, "hevc": 4}
PICTURES_OF_OTHERS = {"vp9": 7}
PICTURES_OF_UNKNOWN = 4
#: The highest picture that leaves the scaler, in widths: 9:16 fits whole.
MAX_HEIGHT_IN_WIDTHS = Fraction(16, 9)


@dataclass(frozen=True)
class Clip:
    """A video that can be processed, as its packets show it."""

    path: Path
    width: int
    height: int
    fps: float
    duration_seconds: float
    packets: int


def probe(path: Path, *, max_pixels: int, budget: MemoryBudget | None = None) -> Clip:
    """Look at the file without decoding it; `UnreadableVideo` says what is wrong with it.

    Raises `OutOfMemory` where its index or its decoder need more than the budget, with both
    figures.
    """
    budget = budget or MemoryBudget(None)
    if path.stat().st_size == 0:
        raise UnreadableVideo("The file is empty. Upload a video.")
    index = index_bytes(path)
    budget.check(JOB_BASE_BYTES + index)
    with ExitStack() as stack:
        container, stream = open_video(path, max_pixels=max_pixels)
        stack.callback(container.close)
        budget.check(JOB_BASE_BYTES + index + _decoder_bytes(stream))
        packets, duration = _measure(container, stream)
        if packets == 0:
            raise UnreadableVideo("The file has no picture data: it was probably cut off.")
        fps = _rate(stream, packets, duration)
        size = stream.codec_context.width, stream.codec_context.height
        return Clip(path, *size, fps, duration or packets / fps, packets)


def open_video(path: Path, *, max_pixels: int) -> tuple[InputContainer, VideoStream]:
    """Open the file and its video stream within the limits; the caller closes the container."""
    import av

    options = {"format_whitelist": ",".join(ACCEPTED_FORMATS), "protocol_whitelist": "file"}
    # Opening a file decodes some of it, and a picture can change its size at any time: decoders
    # refuse a larger one before they take memory for it.
    decoders = {"max_pixels": str(max_pixels)}
    try:
        # An absolute path cannot be read as an address, whatever characters are in its name.
        container = av.open(
            f"file:{path.resolve()}", mode="r", options=decoders, container_options=options
        )
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError) as error:
        raise UnreadableVideo(
            "The file is not a readable MP4, MOV, 3GP, WebM, MKV, AVI or MPEG-TS video: it is "
            "damaged, cut off or of another kind."
        ) from error
    try:
        stream = _video_stream(container, max_pixels)
        if stream.codec_context.name == "hevc":
            # Where pictures come with checksums, hold them to these.
            decoders = {**decoders, "err_detect": "crccheck"}
        stream.codec_context.options = decoders
        return container, stream
    except BaseException:
        container.close()
        raise


def _video_stream(container: InputContainer, max_pixels: int) -> VideoStream:
    from av.stream import Disposition

    videos = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not videos:
        raise UnreadableVideo("The file has no video, only sound or other data.")
    stream = videos[0]
    if stream.codec_context is None:
        raise UnreadableVideo("The video is in a format that cannot be decoded. Use H.264.")
    check_size(stream.codec_context.width, stream.codec_context.height, max_pixels)
    # One thread: each further one keeps frames of its own, 9 MiB at 1080p.
    stream.thread_type = "NONE"
    stream.codec_context.thread_count = 1
    return stream


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture that is too small to hold a person or too large to fit in memory."""
    if min(width, height) < MIN_SIDE:
        raise UnreadableVideo(
            f"The video is too small ({width}x{height} pixels): both sides need at least "
            f"{MIN_SIDE} pixels."
        )
    if max(width, height) > MAX_SIDE_RATIO * min(width, height):
        raise UnreadableVideo(
            f"The video is a strip ({width}x{height} pixels): one side may be at most "
            f"{MAX_SIDE_RATIO} times as long as the other."
        )
    if width * height > max_pixels:
        raise UnreadableVideo(
            f"The video is too large ({width}x{height} pixels): at most {max_pixels} pixels a "
            "frame, which is 1920x1080. Scale it down and upload it again."
        )


def pixel_aspect(stream: VideoStream) -> Fraction:
    """Width of a pixel for its height; 1 where the file does not say, or nothing sensible."""
    aspect = stream.sample_aspect_ratio
    if not aspect or not 1 / MAX_PIXEL_ASPECT <= aspect <= MAX_PIXEL_ASPECT:
        return Fraction(1)
    return Fraction(aspect)


def picture_bytes(stream: VideoStream) -> int:
    """One decoded picture of this stream, with the margins that decoders add."""
    context = stream.codec_context
    bits = context.format.padded_bits_per_pixel if context.format else 12
    return (context.width + 32) * (context.height + 32) * bits // 8


def _decoder_bytes(stream: VideoStream) -> int:
    """What the pictures in its decoder will take, as far as the stream's parameters tell."""
    codec = stream.codec_context.name
    references = reference_frames(codec, stream.codec_context.extradata)
    if references is None:
        return PICTURES_OF_OTHERS.get(codec, PICTURES_OF_UNKNOWN) * picture_bytes(stream)
    return (references + PICTURES_BESIDE_REFERENCES[codec]) * picture_bytes(stream)


def output_size(width: int, height: int, limit: int) -> tuple[int, int]:
    """The size after scaling: never larger, at most `limit` wide, both sides even."""
    highest = int(limit * MAX_HEIGHT_IN_WIDTHS)
    scale = min(1.0, limit / width, highest / height)
    return max(2, int(width * scale) // 2 * 2), max(2, round(height * scale) // 2 * 2)


def _measure(container: InputContainer, stream: VideoStream) -> tuple[int, float]:
    """Count the packets and the seconds that they span."""
    import av

    packets, first, last = 0, math.inf, -math.inf
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            packets += 1
            if packet.pts is not None:
                first = min(first, packet.pts)
                last = max(last, packet.pts + (packet.duration or 0))
    except MemoryError:
        raise
    except av.FFmpegError:
        # Cut off here: what was seen so far is what there is.
        pass
    base = stream.time_base
    return packets, float((last - first) * base) if base and last > first else 0.0


def _rate(stream: Any, packets: int, duration: float) -> float:
    """Frames a second, from what was counted; the header's word only where nothing was."""
    rate = packets / duration if duration > 0 else float(stream.average_rate or 0)
    return rate if 0 < rate <= MAX_FPS else min(MAX_FPS, max(rate, 0)) or DEFAULT_FPS
