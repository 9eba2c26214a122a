"""What H.264 and HEVC say before they are decoded: pictures to keep, and where units end.

A decoder takes its pictures one by one as the stream goes on, so what it will need is known only
from here: the sequence parameter set, ITU-T H.264 7.3.2.1.1 and H.265 7.3.2.2.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # At run time it would cost every worker 6 MiB.
    from typing_extensions import Buffer

__all__ = ["has_forbidden_bytes", "reference_frames", "unit_length_bytes", "units_fill"]

#: Profiles of H.264 whose parameter sets tell the colour format and the depth.
_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
_H264_SPS, _HEVC_SPS = 7, 33
_LONGEST_CODE = 32
#: What no encoder writes within a unit (H.264 7.4.1, H.265 7.4.2): the rules of escaping keep out
#: two zeros before a 0, 1 or 2, and a 3 after them stands only before one of these or itself.
_FORBIDDEN = re.compile(b"\0\0(?:[\0\1\2]|\3[^\0-\3])")
#: Between units more zeros have their place, but only before a start code.
_FORBIDDEN_WITH_START_CODES = re.compile(b"\0\0(?:\2|\3[^\0-\3]|\0+[^\0\1])")


def reference_frames(codec: str, extradata: bytes | None) -> int | None:
    """The most pictures that the stream refers to; None where its parameters do not say."""
    found = (_references(codec, unit) for unit in _units(codec, extradata or b""))
    return max((count for count in found if count is not None), default=None)


def unit_length_bytes(codec: str, extradata: bytes | None) -> int:
    """How many bytes give the length of each unit (ISO/IEC 14496-15); 0 where none do."""
    at = {"h264": 4, "hevc": 21}.get(codec)
    if at is None or not extradata or extradata[0] != 1 or len(extradata) <= at:
        return 0
    return (extradata[at] & 3) + 1


def units_fill(packet: Buffer, length_bytes: int) -> bool:
    """Whether units of the lengths that they give themselves fill the packet exactly."""
    if not length_bytes:
        return True
    data = memoryview(packet)
    at, end = 0, len(data)
    while at + length_bytes < end:
        size = int.from_bytes(data[at : at + length_bytes], "big")
        if size == 0:
            # Some writers pad with zeros.
            return not any(data[at:])
        at += length_bytes
        # The highest bit of a unit's first byte is always zero.
        if data[at] & 0x80:
            return False
        at += size
    return at == end


def has_forbidden_bytes(codec: str, packet: Buffer, length_bytes: int) -> bool:
    """Whether H.264 or HEVC hold bytes that its encoder cannot have written, such as runs of zeros.

    A decoder reads on through them and may show a wrong picture without a word.
    """
    if codec not in ("h264", "hevc"):
        return False
    data = memoryview(packet)
    if not length_bytes:
        return _FORBIDDEN_WITH_START_CODES.search(data) is not None
    at = 0
    while at + length_bytes < len(data):
        start = at + length_bytes
        at = start + int.from_bytes(data[at:start], "big")
        # Zeros at the end of a unit are padding, which the pattern must not see.
        unit = bytes(data[start:at]).rstrip(b"\0")
        if _FORBIDDEN.search(unit):
            return True
    return False


def _references(codec: str, unit: bytes) -> int | None:
    """What a sequence parameter set says; None for other units and broken ones."""
    try:
        if codec == "h264" and unit[0] & 0x1F == _H264_SPS:
            return _h264(_Bits(unit[1:]))
        if codec == "hevc" and unit[0] >> 1 & 0x3F == _HEVC_SPS:
            return _hevc(_Bits(unit[2:]))
    except (IndexError, ValueError):
        pass
    return None


def _units(codec: str, data: bytes) -> Iterator[bytes]:
    """The NAL units: after start codes, or in the records of MP4 (ISO/IEC 14496-15)."""
    if data[:1] != b"\x01":
        yield from (unit for unit in data.split(b"\0\0\1")[1:] if unit)
        return
    at = 5 if codec == "h264" else 22
    groups = 1 if codec == "h264" else int.from_bytes(data[at : at + 1], "big")
    at += 0 if codec == "h264" else 1
    for _ in range(groups):
        if codec == "h264":
            count, at = int.from_bytes(data[at : at + 1], "big") & 31, at + 1
        else:
            count, at = int.from_bytes(data[at + 1 : at + 3], "big"), at + 3
        for _ in range(count):
            size = int.from_bytes(data[at : at + 2], "big")
            if not size or at + 2 + size > len(data):
                return
            yield data[at + 2 : at + 2 + size]
            at += 2 + size


class _Bits:
    """Reads bits and Exp-Golomb codes; raises IndexError at the end."""

    def __init__(self, payload: bytes) -> None:
        plain = payload.replace(b"\0\0\3", b"\0\0")
        self._value = int.from_bytes(plain, "big")
        self._left = len(plain) * 8

    def bits(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise IndexError("the parameter set ends too early")
        return self._value >> self._left & ((1 << count) - 1)

    def unsigned(self) -> int:
        zeros = 0
        while not self.bits(1):
            zeros += 1
            if zeros > _LONGEST_CODE:
                raise ValueError("no such code")
        return (1 << zeros) - 1 + self.bits(zeros)

    def signed(self) -> int:
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -(code // 2)


def _h264(read: _Bits) -> int:
    profile = read.bits(8)
    read.bits(16)
    read.unsigned()
    if profile in _HIGH_PROFILES:
        chroma = read.unsigned()
        if chroma == 3:
            read.bits(1)
        read.unsigned()
        read.unsigned()
        read.bits(1)
        if read.bits(1):
            for index in range(12 if chroma == 3 else 8):
                if read.bits(1):
                    _skip_scaling_list(read, 16 if index < 6 else 64)
    read.unsigned()
    order = read.unsigned()
    if order == 0:
        read.unsigned()
    elif order == 1:
        read.bits(1)
        read.signed()
        read.signed()
        for _ in range(read.unsigned()):
            read.signed()
    return read.unsigned()


def _skip_scaling_list(read: _Bits, size: int) -> None:
    last, following = 8, 8
    for _ in range(size):
        if following:
            following = (last + read.signed()) % 256
        last = following or last


def _hevc(read: _Bits) -> int:
    read.bits(4)
    layers = read.bits(3) + 1
    read.bits(1)
    read.bits(88 + 8)
    present = [(read.bits(1), read.bits(1)) for _ in range(layers - 1)]
    if present:
        read.bits(2 * (8 - len(present)))
    for profile, level in present:
        read.bits(88 * profile + 8 * level)
    read.unsigned()
    if read.unsigned() == 3:
        read.bits(1)
    read.unsigned()
    read.unsigned()
    if read.bits(1):
        for _ in range(4):
            read.unsigned()
    read.unsigned()
    read.unsigned()
    read.unsigned()
    kept = 0
    for _ in range(layers if read.bits(1) else 1):
        kept = max(kept, read.unsigned() + 1)
        read.unsigned()
        read.unsigned()
    return kept
