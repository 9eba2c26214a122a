"""How much damage passes without a word, codec by codec: `python -m benchmarks damage`.

Of each codec a clip is damaged in 36 places, 300 bytes at each, and read as a job reads it. What is
right is known from the whole clip: a picture differs where a block of 16x16 pixels does by more
than 10 of 255 on average.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from fixtures.damage import CODED, coded, damaged
from reference_app.pipeline.decode import FrameReader
from reference_app.pipeline.errors import UnreadableVideo
from reference_app.pipeline.frames import planes
from reference_app.pipeline.probe import probe
from reference_app.pipeline.task import MAX_PIXELS

__all__ = ["DecodedPictures", "main", "outcome", "read"]

ENDS = ("refused", "no picture differs", "detected", "detected late", "silent")
BLOCK = 16
DIFFERENCE = 10


class DecodedPictures:
    """The brightness of a clip's pictures, which of them are marked, and what was counted."""

    def __init__(self) -> None:
        self.pictures: dict[float, Any] = {}
        self.marked: set[float] = set()
        self.damaged = 0
        self.unchecked: str | None = None

    def differing(self, right: DecodedPictures) -> set[float]:
        """The pictures that are not what they are in the whole clip."""
        return {
            time
            for time, picture in self.pictures.items()
            if time in right.pictures and _worst_block(picture - right.pictures[time]) > DIFFERENCE
        }


def _worst_block(difference: Any) -> float:
    """The largest mean difference of a whole block."""
    rows, columns = (side // BLOCK for side in difference.shape)
    whole = np.abs(difference[: rows * BLOCK, : columns * BLOCK])
    blocks = whole.reshape(rows, BLOCK, columns, BLOCK)
    return float(blocks.mean(axis=(1, 3)).max())


def read(path: Path) -> DecodedPictures:
    """Read a clip as a job does; raises `UnreadableVideo` as a job would."""
    reading, bidirectional = DecodedPictures(), set()
    clip = probe(path, max_pixels=MAX_PIXELS)
    with FrameReader(clip, width=720, max_pixels=MAX_PIXELS, max_duration_seconds=10) as reader:
        for frame in reader:
            time = round(frame.seconds, 2)
            reading.pictures[time] = planes(frame.pixels)[0].astype(np.int16)
            # As the table of landmarks has it: pictures may have been made from a later one.
            bidirectional.add(time)
            if frame.damaged:
                reading.marked |= bidirectional
            if not frame.bidirectional:
                bidirectional.clear()
        reading.damaged, reading.unchecked = reader.damaged, reader.unchecked
    return reading


def outcome(path: Path, right: DecodedPictures) -> str:
    """One of `ENDS`: what a job says of a damaged clip."""
    try:
        reading = read(path)
    except UnreadableVideo:
        return "refused"
    differing = reading.differing(right)
    if not differing:
        return "no picture differs"
    if not reading.damaged:
        return "silent"
    return "detected" if differing <= reading.marked else "detected late"


def main() -> None:
    """Print a line for each codec."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("codecs", nargs="*", help=f"some of {', '.join(CODED)} (all)")
    parser.add_argument("--places", type=int, default=36, help="damaged clips of each (36)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.codecs or CODED:
            path = Path(folder) / "clip.bin"
            path.write_bytes(coded(name))
            right = read(path)
            ends: Counter[str] = Counter()
            for seed in range(options.places):
                damaged(coded(name), path, seed)
                ends[outcome(path, right)] += 1
            print(f"{name}: " + ", ".join(f"{end} {ends[end]}" for end in ENDS), flush=True)


if __name__ == "__main__":
    main()
