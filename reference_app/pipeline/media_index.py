"""How large the index of a file is, counted before a library reads it into memory.

A table of a few bytes can claim millions of samples, and a demuxer makes an entry for each. The
walk itself is bounded: so many boxes, so many tracks.
"""

from __future__ import annotations

import mmap
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from reference_app.pipeline.errors import UnreadableVideo

__all__ = ["Clusters", "checked_clusters", "index_bytes"]

#: One sample in the tables of a demuxer; FFmpeg takes 24 to 44 bytes for it.
_BYTES_PER_SAMPLE = 48
#: Matroska's masters as a demuxer keeps them, against their size in the file.
_MASTER_GROWTH = 8
#: A fragment is about ten boxes, so this is an hour of fragments of two seconds, and more.
_MAX_BOXES = 100_000
_MAX_TRACKS = 64
_CONTAINERS = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf"}
_SEGMENT = b"\x18\x53\x80\x67"
_CLUSTER = b"\x1f\x43\xb6\x75"
#: A checksum of all that follows it in its cluster; four bytes, the lowest first.
_CRC32 = b"\xbf\x84"
#: Cues, tags, chapters, attachments, tracks: what is read into memory as a whole.
_MASTERS = {
    b"\x1c\x53\xbb\x6b",
    b"\x12\x54\xc3\x67",
    b"\x10\x43\xa7\x70",
    b"\x19\x41\xa4\x69",
    b"\x16\x54\xae\x6b",
}


def index_bytes(path: Path) -> int:
    """An upper bound of what the index takes in a demuxer's memory; 0 for other containers.

    Raises `UnreadableVideo` for a file of more boxes or tracks than any recording has.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] == b"\x1a\x45\xdf\xa3":
            return _matroska(data)
        if data[4:8].isalnum():
            return _mp4(data)
        return 0


def _mp4(data: mmap.mmap) -> int:
    """Of each track the largest count that one of its tables gives, and all of the fragments."""
    tracks, fragments = [0], 0
    for kind, body, end in _boxes(data):
        if kind == b"trak":
            tracks.append(0)
            if len(tracks) > _MAX_TRACKS:
                raise UnreadableVideo(f"The file has more than {_MAX_TRACKS - 1} tracks.")
        elif kind in (b"stsz", b"stz2"):
            tracks[-1] = max(tracks[-1], _number(data, body + 8, end))
        elif kind in (b"stts", b"ctts"):
            tracks[-1] = max(tracks[-1], _total_of_runs(data, body + 8, end))
        elif kind == b"trun":
            fragments += _number(data, body + 4, end)
    return (sum(tracks) + fragments) * _BYTES_PER_SAMPLE


def _boxes(data: mmap.mmap) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start of the body and end of every box, the ones inside right after the outer."""
    waiting = [(0, len(data))]
    for _ in range(_MAX_BOXES):
        while waiting and waiting[-1][0] + 8 > waiting[-1][1]:
            waiting.pop()
        if not waiting:
            return
        start, end = waiting.pop()
        size, kind, body = _number(data, start, end), data[start + 4 : start + 8], start + 8
        if size == 1:
            size, body = int.from_bytes(data[start + 8 : start + 16], "big"), start + 16
        elif size == 0:
            size = end - start
        if start + size < body:
            # A broken box: what follows it in its container cannot be found, nor by a demuxer.
            continue
        stop = min(start + size, end)
        waiting.append((stop, end))
        if kind in _CONTAINERS:
            waiting.append((body, stop))
        yield kind, body, stop
    raise UnreadableVideo(f"The index of the file has more than {_MAX_BOXES} boxes.")


def _number(data: mmap.mmap, at: int, end: int) -> int:
    return int.from_bytes(data[at : at + 4], "big") if at + 4 <= end else 0


def _total_of_runs(data: mmap.mmap, start: int, end: int) -> int:
    """The sum of the first numbers of pairs of 32 bits."""
    import numpy as np

    pairs = max(0, end - start) // 8
    table = np.frombuffer(data[start : start + pairs * 8], dtype=">u4")
    return int(table[0::2].sum(dtype=np.int64))


@dataclass(frozen=True)
class Clusters:
    """The parts of a Matroska file that hold its pictures, as their checksums have them."""

    #: Whether every one has a checksum.
    checked: bool = False
    #: Start and end of each one that is not what was written.
    damaged: tuple[tuple[int, int], ...] = ()

    def damage_at(self, position: int | None) -> tuple[int, int] | None:
        """The damaged one that a packet at this byte of the file is in."""
        if position is None:
            return None
        return next((part for part in self.damaged if part[0] <= position < part[1]), None)


def checked_clusters(path: Path) -> Clusters:
    """Check the checksums of a Matroska file; other files, and most of WebM, have none."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != b"\x1a\x45\xdf\xa3":
            return Clusters()
        found = [(body, end) for name, body, end in _elements(data) if name == _CLUSTER]
        checked = [part for part in found if data[part[0] : part[0] + 2] == _CRC32]
        with memoryview(data) as view:
            damaged = [part for part in checked if not _holds(view, *part)]
        return Clusters(bool(found) and len(checked) == len(found), tuple(damaged))


def _holds(view: memoryview, body: int, end: int) -> bool:
    start = body + len(_CRC32) + 4
    with view[start:end] as content:
        return zlib.crc32(content) == int.from_bytes(view[start - 4 : start], "little")


def _matroska(data: mmap.mmap) -> int:
    """The masters beside the clusters, as large as a demuxer makes them."""
    return sum(
        (end - body) * _MASTER_GROWTH for name, body, end in _elements(data) if name in _MASTERS
    )


def _elements(data: mmap.mmap) -> Iterator[tuple[bytes, int, int]]:
    """Name, start of the body and end of every element of the segment and beside it."""
    at, end = 0, len(data)
    for _ in range(_MAX_BOXES):
        name_length, size_length = _width(data, at), _width(data, at + _width(data, at))
        if not name_length or not size_length:
            return
        name = data[at : at + name_length]
        at += name_length
        size = int.from_bytes(data[at : at + size_length], "big") & ((1 << 7 * size_length) - 1)
        at += size_length
        if name == _SEGMENT:
            continue
        # The largest number means an unknown size, a recording's cluster: pictures to the end.
        yield name, at, max(at, min(at + size, end))
        at += size
    raise UnreadableVideo(f"The file has more than {_MAX_BOXES} parts.")


def _width(data: mmap.mmap, at: int) -> int:
    """The length of the number here, given by its leading zeros; 0 at the end or for none."""
    return 9 - data[at].bit_length() if at < len(data) and data[at] else 0
