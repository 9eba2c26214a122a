"""Decodes a video frame by frame, scaled down before anything else sees it.

Measured against OpenCV's capture, one thread each, with pose detection on every third frame: 5 to
10% less CPU, because a picture goes from the decoder's own layout to its final size in one step
instead of through a full-size BGR copy. The peak is the same within 1% at 1080p; at 720p OpenCV
alone is 9 MiB smaller, but those are PyAV's libraries, which the encoder needs anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reference_app.pipeline.budget import MemoryBudget
from reference_app.pipeline.decoder_log import DecoderLog
from reference_app.pipeline.errors import UnreadableVideo
from reference_app.pipeline.frames import Frame, Image, rotate
from reference_app.pipeline.media_index import Clusters, checked_clusters
from reference_app.pipeline.parameter_sets import has_forbidden_bytes, unit_length_bytes, units_fill
from reference_app.pipeline.probe import (
    Clip,
    check_size,
    open_video,
    output_size,
    picture_bytes,
    pixel_aspect,
)
from reference_app.pipeline.vp9 import CheckedVp9

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame

__all__ = ["MAX_FPS", "FrameReader"]

#: A file in which more than this part cannot be decoded is refused rather than shown in scraps.
DAMAGE_LIMIT = 0.5
MAX_FPS = 120
MAX_DECODED_FPS = 1000
#: Codecs that detect nearly all damage by themselves: data that must end where their decoder does,
#: bytes that no encoder writes. Measured: `python -m benchmarks damage`.
DETECTING = frozenset({"h264", "av1", "libdav1d", "mpeg4"})
#: FFmpeg's number for B pictures.
BIDIRECTIONAL = 3
#: Stamps are rounded, to a millisecond in Matroska: a tenth of a frame at 120 a second is forgiven.
SLOT_TOLERANCE = 0.1


class FrameReader:
    """An open video; iterate it once, from the first frame to the time limit or the end.

    A damaged packet is skipped or shown as far as it goes, as a player would; it and every picture
    in which the decoder filled gaps count in `damaged`. What follows is marked as damaged up to
    the next key frame. `unchecked` names the codec where damage may pass for picture data.
    Time is taken from the frames as they are decoded; where their stamps stand still or run
    backwards each one counts as one frame's length. So no header can make a job longer than its
    limit, and neither can stamps: of more than 120 frames a second the rest is left out, and
    after 1,000 for each allowed second reading ends.
    """

    def __init__(
        self,
        clip: Clip,
        *,
        width: int,
        max_pixels: int,
        max_duration_seconds: float,
        budget: MemoryBudget | None = None,
    ) -> None:
        self.trimmed = False
        self.damaged = 0
        self.left_out = 0
        self._in_damage = False
        #: Stamps of damaged packets since the last key frame, and of the container's key frames.
        self._doubtful: set[int] = set()
        self._keys: set[int] = set()
        self._last_cluster: tuple[int, int] | None = None
        self._lost_packets = 0
        self._clip = clip
        self._width = width
        self._max_pixels = max_pixels
        self._limit = max_duration_seconds
        self._container, self._stream = open_video(clip.path, max_pixels=max_pixels)
        context = self._stream.codec_context
        self._codec = context.name
        self._unit_length_bytes = unit_length_bytes(context.name, context.extradata)
        self._pixel_aspect = pixel_aspect(self._stream)
        self._picture_bytes = picture_bytes(self._stream)
        self._budget = budget or MemoryBudget(None)
        self._scaler: Any = None
        self._vp9 = self._checked_vp9() if self._codec == "vp9" else None
        self._log = DecoderLog() if self._codec == "hevc" else None
        detects = self._codec in DETECTING
        self._clusters = Clusters() if detects else checked_clusters(clip.path)
        self.unchecked = None if detects or self._clusters.checked else self._codec.upper()

    def __enter__(self) -> FrameReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        step = 1 / self._clip.fps
        most = int(self._limit * MAX_DECODED_FPS)
        start: float | None = None
        last, slot, shown = -step, -1, 0
        for count, picture in enumerate(self._decode()):
            stamp = picture.time
            if stamp is not None and start is None:
                start = stamp
            seconds = last + step if stamp is None or start is None else stamp - start
            if seconds <= last:
                seconds = last + step
            if seconds >= self._limit or count >= most:
                self.trimmed = True
                return
            last = seconds
            damaged = self._is_damaged(picture)
            due = int(seconds * MAX_FPS + SLOT_TOLERANCE)
            if due <= slot:
                self.left_out += 1
                continue
            slot = due
            yield Frame(
                shown, seconds, self._scale(picture), damaged, picture.pict_type == BIDIRECTIONAL
            )
            shown += 1

    def close(self) -> None:
        """Release the file and the decoder; a second call does nothing."""
        container, self._container = self._container, None  # type: ignore[assignment]
        self._stream = None  # type: ignore[assignment]
        self._scaler = None
        if self._vp9 is not None:
            self._vp9.close()
        if container is not None:
            container.close()

    def _decode(self) -> Iterator[VideoFrame]:
        for packet in self._packets():
            if self._container is None:
                return
            if self._is_in_damaged_cluster(packet):
                self._doubt(packet)
            elif self._is_doubtful(packet):
                self.damaged += 1
                self._doubt(packet)
            if packet.is_keyframe:
                self._keys |= _stamps(packet)
            try:
                with self._budget:
                    pictures = self._pictures(packet)
            except _decoding_errors() as error:
                self._blame(error)
                self._doubt(packet)
                pictures = self._patched(packet)
            yield from pictures

    def _pictures(self, packet: Packet[Any]) -> list[VideoFrame]:
        if self._vp9 is not None:
            return self._vp9.decode(packet)
        if self._log is None:
            return packet.decode()
        with self._log:
            pictures = packet.decode()
        if self._log.tells_damage:
            self.damaged += 1
            self._doubt(packet)
        return pictures

    def _doubt(self, packet: Packet[Any]) -> None:
        """The picture of this packet and what is made from it may be wrong."""
        self._in_damage = True
        self._doubtful |= _stamps(packet)

    def _is_in_damaged_cluster(self, packet: Packet[Any]) -> bool:
        """Whether the checksum of the packet's part of the file fails; each part counts once."""
        cluster = self._clusters.damage_at(packet.pos)
        if cluster is None or not packet.size:
            return False
        self.damaged += cluster != self._last_cluster
        self._last_cluster = cluster
        return True

    def _is_doubtful(self, packet: Packet[Any]) -> bool:
        """Whether a packet is damaged as its container or its own bytes tell.

        Decoders drop units that do not fit and read through runs of zeros without a word.
        """
        if not packet.size:
            # The last one makes the decoder to give out what it holds.
            return False
        return (
            packet.is_corrupt
            or not units_fill(packet, self._unit_length_bytes)
            or has_forbidden_bytes(self._codec, packet, self._unit_length_bytes)
        )

    def _packets(self) -> Iterator[Packet[Any]]:
        """Packets to the end of the file, or to where it was cut off."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                with self._budget:
                    packet = next(packets)
            except StopIteration:
                return
            except _decoding_errors() as error:
                self._blame(error)
                self._lose()
                return
            yield packet

    def _patched(self, packet: Packet[Any]) -> list[VideoFrame]:
        """What can be shown all the same of a packet that is damaged."""
        pictures: list[VideoFrame] = []
        if self._vp9 is not None:
            try:
                with self._budget:
                    pictures = self._vp9.patch(packet)
            except _decoding_errors() as error:
                self._check_memory(error)
        if not pictures:
            self._lose()
        return pictures

    def _check_memory(self, error: BaseException) -> None:
        """Tell a want of memory from damage: some decoders call the one the other."""
        if isinstance(error, MemoryError) or not self._budget.leaves(2 * self._picture_bytes):
            raise MemoryError from error

    def _blame(self, error: BaseException) -> None:
        self._check_memory(error)
        self.damaged += 1

    def _lose(self) -> None:
        self._lost_packets += 1
        if self._lost_packets > self._clip.packets * DAMAGE_LIMIT:
            raise UnreadableVideo(
                f"The video is damaged: more than {self._lost_packets - 1} of its "
                f"{self._clip.packets} pictures cannot be decoded."
            )

    def _is_damaged(self, picture: VideoFrame) -> bool:
        """Whether this picture, or one since the last key frame, was made over gaps."""
        if picture.is_corrupt:
            self.damaged += 1
            self._in_damage = True
        elif picture.key_frame and (picture.pts is None or picture.pts in self._keys):
            # A damaged header can make any picture a key frame, so the container must say so too.
            # It may come late, when damage after it was already seen; and be damaged itself.
            shown = picture.pts
            self._keys = {at for at in self._keys if shown is not None and at > shown}
            self._doubtful = {at for at in self._doubtful if shown is not None and at >= shown}
            self._in_damage = bool(self._doubtful)
        return self._in_damage

    def _checked_vp9(self) -> CheckedVp9:
        return CheckedVp9(
            self._stream,
            lambda: open_video(self._clip.path, max_pixels=self._max_pixels),
            max_pixels=self._max_pixels,
            packets=self._clip.packets,
        )

    def _scale(self, picture: VideoFrame) -> Image:
        check_size(picture.width, picture.height, self._max_pixels)
        turn = None if self._vp9 is None else self._vp9.rotation
        turns = round((picture.rotation if turn is None else turn) / 90) % 4
        sideways = turns % 2 == 1
        # Pixels that are not square become so: results and the video have none that are not.
        square = round(picture.width * self._pixel_aspect)
        shown = (picture.height, square) if sideways else (square, picture.height)
        width, height = output_size(*shown, self._width)
        if sideways:
            width, height = height, width
        if self._scaler is None:
            from av.video.reformatter import VideoReformatter

            self._scaler = VideoReformatter()
        scaled = self._scaler.reformat(picture, width, height, "yuv420p", threads=1)
        return rotate(scaled.to_ndarray(), turns)


def _stamps(packet: Packet[Any]) -> set[int]:
    """When the picture of a packet is shown, as far as its container says so."""
    stamp = packet.dts if packet.pts is None else packet.pts
    return set() if stamp is None else {stamp}


def _decoding_errors() -> tuple[type[BaseException], ...]:
    import av

    return (av.FFmpegError, ValueError)
