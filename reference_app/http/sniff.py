"""Is this a video at all? The container's first bytes and outline, read in plain Python.

The API process loads no decoder, so it only looks at the outline of a file: enough to refuse at
once what is no video, or a container that is plainly broken. What is wrong further inside shows
when the worker opens it, and fails the job with a reason.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

__all__ = ["HEAD_BYTES", "broken_because", "foreign_kind", "is_video_name"]

# So many first bytes are enough to tell the container.
HEAD_BYTES = 12
# A packet of a transport stream begins with this byte, and the next one 188 bytes on; cameras
# put a time of four bytes before each.
_SYNC, _PACKET_BYTES, _STAMP_BYTES = 0x47, 188, 4
_DISPUTED_ENDINGS = {"ts", "mts", "m2ts", "3gp", "3g2"}
_ENDINGS = {"mp4", "m4v", "mov", "qt", "mkv", "webm", "avi"} | _DISPUTED_ENDINGS
_FOREIGN_ENDINGS = {
    "txt",
    "csv",
    "json",
    "html",
    "pdf",
    "zip",
    "jpg",
    "jpeg",
    "png",
    "gif",
    "mp3",
    "wav",
}
_GENERIC_TYPES = {"", "application/octet-stream", "binary/octet-stream"}
_VIDEO_TYPES = {"application/mp4", "application/x-matroska"}
_FOREIGN = {
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip archive",
    b"\x7fELF": "a program",
}
_BOXES = {b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"}
_MAX_BOXES = 10_000


def is_video_name(filename: str, content_type: str) -> bool:
    """Whether the client itself calls it a video; what it really is, its content says.

    A declared type of video counts unless the name plainly says something else. A generic type
    says nothing, so there the name must. Systems disagree about the type of .ts and .3gp.
    """
    _, _, ending = filename.rpartition(".")
    ending = ending.lower() if "." in filename else ""
    kind = content_type.split(";")[0].strip().lower()
    if kind.startswith("video/") or kind in _VIDEO_TYPES:
        return ending not in _FOREIGN_ENDINGS
    return ending in _ENDINGS and (kind in _GENERIC_TYPES or ending in _DISPUTED_ENDINGS)


def foreign_kind(head: bytes) -> str | None:
    """What else these first bytes plainly are, in words."""
    return next((kind for magic, kind in _FOREIGN.items() if head.startswith(magic)), None)


def _container_of(head: bytes) -> str | None:
    """The container that these first bytes begin, or None."""
    if head[4:8] in _BOXES:
        return "mp4"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    for stamp in (0, _STAMP_BYTES):
        first, second = stamp, 2 * stamp + _PACKET_BYTES
        if head[first : first + 1] == head[second : second + 1] == bytes([_SYNC]):
            return "mpegts"
    return None


def broken_because(path: Path) -> str | None:
    """Why this file cannot be a whole video, or None where its outline is in order."""
    with path.open("rb") as file:
        container = _container_of(file.read(2 * (_PACKET_BYTES + _STAMP_BYTES)))
        if container is None:
            return "it does not begin like a video"
        if container == "mp4":
            return _broken_mp4(file, path.stat().st_size)
    return None


def _broken_mp4(file: BinaryIO, size: int) -> str | None:
    """Walk the top-level boxes until the index and the pictures are found.

    What follows them is not looked at: players do not mind padding, and neither does the decoder.
    """
    offset, missing = 0, {b"moov", b"mdat"}
    for _ in range(_MAX_BOXES):
        if offset >= size or not missing:
            break
        file.seek(offset)
        header = file.read(16)
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - offset
        if length < 8:
            return "its structure is damaged"
        missing.discard(b"mdat" if name == b"moof" else name)
        offset += length
    if b"moov" in missing:
        return "its index is missing: the file is damaged, cut off, or was not finished"
    return "it holds no picture data" if missing else None
