"""The files that scenarios send, made once and kept in the cache of clips."""

from __future__ import annotations

from functools import cache

from fixtures.boxes import pad
from fixtures.clips import clip
from fixtures.hostile import HOSTILE
from load.plan import MIB

__all__ = ["audio_only", "long_job", "longest_job", "of_size", "quick_job"]


@cache
def quick_job() -> bytes:
    """Nine frames: as short as a job gets."""
    return clip(width=320, height=240, seconds=0.3).path.read_bytes()


@cache
def long_job() -> bytes:
    """Six seconds of video: holds a slot while the queue behind it is filled."""
    return clip(width=640, height=480, seconds=6.0).path.read_bytes()


@cache
def longest_job() -> bytes:
    """As much as the service takes: ten seconds of 1080 lines."""
    return clip(width=1920, height=1080, seconds=10.0).path.read_bytes()


@cache
def of_size(mebibytes: int, kind: str) -> bytes:
    """A video of this size: padded, or filled with pictures."""
    if kind == "real":
        return clip(seconds=10.0, target_bytes=mebibytes * MIB).path.read_bytes()
    return pad(quick_job(), mebibytes * MIB)


@cache
def audio_only() -> bytes:
    """A file that is taken in and whose job then fails."""
    return HOSTILE["audio-only"].make()
