"""Decodes VP9 and detects damage: by libvpx until it reports some, then by one that reads on.

VP9 has no checksum, but a decoder that reads past the end of its data knows that they are wrong.
libvpx says so and gives no picture after a fault up to the next key frame; FFmpeg's own decoder
shows what it can make of them without a word. So pictures come from libvpx, and after a fault, as
damaged ones, from the other, which for that reads again from the last key frame on. At 2 Mbit/s
that detects 29 of 33 faults; of a 1080p video at 14 Mbit/s 6 of 15, because its data are so long
that a decoder rarely gets to their end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

    # At run time it would cost every worker 6 MiB.
    from typing_extensions import Buffer

__all__ = ["CheckedVp9", "Vp9Picture", "vp9_pictures"]

_SYNC = 0x498342
_RGB = 7
#: Packets read again after faults, in lengths of the file: a fault in every group of pictures
#: must not make a job as long as the square of its file.
_MOST_REREADS = 4


@dataclass(frozen=True)
class Vp9Picture:
    """One picture in a packet; its size is None where it has that of an earlier one."""

    key: bool
    size: tuple[int, int] | None


def vp9_pictures(packet: Buffer) -> list[Vp9Picture]:
    """What the headers in a packet say; a picture with a broken one is left out."""
    found = (_picture(frame) for frame in _frames(bytes(packet)))
    return [picture for picture in found if picture is not None]


class CheckedVp9:
    """Pictures of one VP9 stream, and whether they can be trusted.

    `open_again` gives a second container of the same file and its stream, which are closed here.
    """

    def __init__(
        self,
        stream: VideoStream,
        open_again: Callable[[], tuple[InputContainer, VideoStream]],
        *,
        max_pixels: int,
        packets: int,
    ) -> None:
        self._open_again = open_again
        self._max_pixels = max_pixels
        self._rereads_left = _MOST_REREADS * packets
        self._first: VideoCodecContext = stream.codec_context
        self._plain = self._first
        self._checked = _libvpx() if _has_eight_bits(stream) else None
        self._number = self._key = -1
        self._patching = self._checked is None
        self._again: InputContainer | None = None
        #: Only a decoder that was made for the stream knows how its pictures are turned.
        self.rotation: int | None = None

    def decode(self, packet: Packet[Any]) -> list[VideoFrame]:
        """The pictures of a packet; raises FFmpeg's errors, after which `patch` may have some."""
        headers = vp9_pictures(packet) if packet.size else []
        key = any(header.key for header in headers)
        self._number += 1
        if self._checked is None:
            return self._first.decode(packet)
        if key:
            self._key = self._number
            self._stop_patching()
        if self._patching:
            return self._plain.decode(packet)
        if self.rotation is None:
            self.rotation = next((p.rotation for p in self._first.decode(packet)), None)
            self._first.flush_buffers()
        # libvpx takes memory for any size in a header.
        if any(header.size and _area(header.size) > self._max_pixels for header in headers):
            raise ValueError("a picture is larger than it may be")
        pictures = self._checked.decode(packet if packet.size else None)
        for picture in pictures:
            # libvpx does not say so itself.
            picture.key_frame = key  # type: ignore[misc]
        return pictures

    def patch(self, packet: Packet[Any]) -> list[VideoFrame]:
        """What can be shown for the packet that `decode` failed on, and go on so to a key frame."""
        if self._patching or self._rereads_left < self._number:
            return []
        self._rereads_left -= self._number
        self._patching = True
        self._again, stream = self._open_again()
        self._plain = stream.codec_context
        for number, earlier in enumerate(self._again.demux(stream)):
            if number >= self._number:
                break
            if number >= self._key:
                _drop(self._plain, earlier)
        return self._plain.decode(packet)

    def close(self) -> None:
        """Release what was opened here; a second call does nothing."""
        self._stop_patching()
        self._checked = None

    def _stop_patching(self) -> None:
        self._patching = self._checked is None
        again, self._again = self._again, None
        if again is not None:
            again.close()


def _libvpx() -> VideoCodecContext | None:
    import av

    try:
        context = av.CodecContext.create("libvpx-vp9", "r")
    except ValueError:
        return None
    assert isinstance(context, av.VideoCodecContext)
    context.thread_count = 1
    return context


def _has_eight_bits(stream: VideoStream) -> bool:
    """Whether it is of the depth that every build of libvpx reads."""
    layout = stream.codec_context.format
    return layout is not None and all(part.bits == 8 for part in layout.components)


def _drop(context: VideoCodecContext, packet: Packet[Any]) -> None:
    """Decode for what later pictures are made from."""
    import av

    try:
        context.decode(packet)
    except MemoryError:
        raise
    except (av.FFmpegError, ValueError):
        pass


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _frames(data: bytes) -> Iterator[bytes]:
    """The frames of a packet: one, or those that an index at its end gives (VP9, annex B)."""
    marker = data[-1] if data else 0
    count, width = (marker & 7) + 1, (marker >> 3 & 3) + 1
    index = 2 + count * width
    if marker & 0xE0 != 0xC0 or len(data) < index or data[-index] != marker:
        yield data
        return
    at, sizes = 0, data[-index + 1 : -1]
    for number in range(count):
        size = int.from_bytes(sizes[number * width : (number + 1) * width], "little")
        yield data[at : at + size]
        at += size


def _picture(frame: bytes) -> Vp9Picture | None:
    """What the uncompressed header says (VP9, 6.2 and 7.2); None where it is none."""
    try:
        return _header(_Header(frame))
    except IndexError:
        return None


class _Header:
    """Reads bits from the left; raises IndexError at the end."""

    def __init__(self, frame: bytes) -> None:
        # The longest header to the size of the picture is far shorter.
        start = frame[:32]
        self._value, self._left = int.from_bytes(start, "big"), len(start) * 8

    def bits(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError("the header ends too early")
        return self._value >> self._left & ((1 << count) - 1)

    def size(self) -> tuple[int, int]:
        return self.bits(16) + 1, self.bits(16) + 1


def _header(read: _Header) -> Vp9Picture | None:
    if read.bits(2) != 2:
        return None
    profile = read.bits(1) | read.bits(1) << 1
    if profile == 3:
        read.bits(1)
    if read.bits(1):
        # One that was decoded before is shown now.
        return Vp9Picture(key=False, size=None)
    key, shown, resilient = not read.bits(1), read.bits(1), read.bits(1)
    if key:
        if read.bits(24) != _SYNC:
            return None
        _skip_colours(read, profile)
        return Vp9Picture(key=True, size=read.size())
    intra_only = not shown and read.bits(1)
    if not resilient:
        read.bits(2)
    if intra_only:
        if read.bits(24) != _SYNC:
            return None
        if profile > 0:
            _skip_colours(read, profile)
        read.bits(8)
        return Vp9Picture(key=False, size=read.size())
    read.bits(8 + 3 * 4)
    if any(read.bits(1) for _ in range(3)):
        return Vp9Picture(key=False, size=None)
    return Vp9Picture(key=False, size=read.size())


def _skip_colours(read: _Header, profile: int) -> None:
    if profile >= 2:
        read.bits(1)
    if read.bits(3) != _RGB:
        read.bits(1)
        if profile in (1, 3):
            read.bits(3)
    elif profile in (1, 3):
        read.bits(1)
